/**
 * The process's own stderr, for log lines that no logger takes. A console that is gone or full loses lines, which are
 * counted, and nothing else.
 */
import { write, writeSync } from 'node:fs';

const WAITING_MAX = 5_000;

/** At once, though the reader may have to be waited for: last words. */
export function writeStderr(text: string): void {
  try {
    writeSync(2, text);
  } catch {
    // Nobody is left to be told.
  }
}

class StderrQueue {
  #waiting: string[] = [];
  #lost = 0;
  #writing = false;

  /** Without waiting for who reads it. */
  append(text: string): void {
    if (this.#waiting.length >= WAITING_MAX) this.#lost++;
    else this.#waiting.push(text);
    if (!this.#writing) this.#write();
  }

  /** At the end of the process. */
  flush(): void {
    const text = this.#take();
    if (text !== '') writeStderr(text);
  }

  #take(): string {
    const text = this.#waiting.join('') + (this.#lost > 0 ? `WARNING:  ${this.#lost} log lines were lost\n` : '');
    this.#waiting = [];
    this.#lost = 0;
    return text;
  }

  #write(): void {
    const bytes = Buffer.from(this.#take());
    const from = (at: number): void => {
      write(2, bytes, at, (error, written) => {
        if (error === null && at + written < bytes.length) return from(at + written);
        this.#writing = false;
        if (this.#waiting.length > 0) this.#write();
      });
    };
    this.#writing = true;
    from(0);
  }
}

export const stderrQueue = new StderrQueue();
