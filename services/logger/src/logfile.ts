/**
 * One log file and its successors. Lines are gathered and written one write at a time; what cannot
 * be held (QUEUE_MAX) or written is dropped and counted.
 */
import type { DiskError, DiskFile, Env } from '@pgtroupe/actor/env';

export interface LogFileOptions {
  readonly folder: string;
  /** log_filename, with strftime escapes. */
  readonly pattern: string;
  readonly suffix: string;
  /** 0: never. */
  readonly rotationAgeMs: number;
  readonly rotationSizeBytes: number;
  readonly truncate: boolean;
  readonly mode: number;
}

const QUEUE_MAX = 10_000;
const MICROS_PER_MS = 1000;

export class LogFile {
  readonly #env: Env;
  readonly #options: LogFileOptions;
  #queue: string[] = [];
  #dropped = 0;
  #file: DiskFile | undefined;
  #sizeBytes = 0;
  #period = -1;
  #busy: Promise<void> | undefined;
  #closed = false;

  constructor(env: Env, options: LogFileOptions) {
    this.#env = env;
    this.#options = options;
  }

  append(line: string): void {
    if (this.#closed || this.#queue.length >= QUEUE_MAX) {
      this.#dropped++;
      return;
    }
    this.#queue.push(line);
    this.#busy ??= this.#drain().finally(() => {
      this.#busy = undefined;
    });
  }

  takeDropped(): number {
    const dropped = this.#dropped;
    this.#dropped = 0;
    return dropped;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#busy;
    await this.#file?.close().catch(() => {});
  }

  async #drain(): Promise<void> {
    // One turn's lines go out together.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      const lines = this.#queue;
      this.#queue = [];
      try {
        const file = await this.#current();
        const bytes = new TextEncoder().encode(lines.join(''));
        await file.write(bytes, this.#sizeBytes);
        this.#sizeBytes += bytes.length;
      } catch {
        this.#dropped += lines.length;
        await this.#file?.close().catch(() => {});
        this.#file = undefined;
      }
    }
  }

  /** The file to write to now, opened or changed when its time or size is up. */
  async #current(): Promise<DiskFile> {
    const { rotationAgeMs, rotationSizeBytes, truncate, folder, pattern, suffix } = this.#options;
    const nowMs = this.#env.clock.wallMicros() / MICROS_PER_MS;
    const period = rotationAgeMs > 0 ? Math.floor(nowMs / rotationAgeMs) : 0;
    const aged = this.#period >= 0 && period !== this.#period;
    const full = rotationSizeBytes > 0 && this.#sizeBytes >= rotationSizeBytes;
    if (this.#file !== undefined && !aged && !full) return this.#file;
    await this.#file?.close().catch(() => {});
    this.#file = undefined;
    this.#period = period;
    const { disk } = this.#env;
    await disk.mkdir(folder).catch((error: DiskError) => {
      if (error.code !== 'EEXIST') throw error;
    });
    const path = `${folder}/${strftime(pattern, nowMs).replace(/\.log$/, '')}${suffix}`;
    const found = await disk.stat(path);
    if (found === undefined) await disk.writeFile(path, new Uint8Array(0), { mode: this.#options.mode });
    const file = await disk.open(path, 'write');
    if (aged && truncate && found !== undefined) await file.truncate(0);
    this.#sizeBytes = aged && truncate ? 0 : (found?.sizeBytes ?? 0);
    this.#file = file;
    return file;
  }
}

/** The escapes that log file names use. Times are UTC. */
export function strftime(pattern: string, ms: number): string {
  const date = new Date(ms);
  const iso = date.toISOString();
  const escapes: Readonly<Record<string, string>> = {
    Y: iso.slice(0, 4),
    y: iso.slice(2, 4),
    m: iso.slice(5, 7),
    d: iso.slice(8, 10),
    H: iso.slice(11, 13),
    M: iso.slice(14, 16),
    S: iso.slice(17, 19),
    F: iso.slice(0, 10),
    T: iso.slice(11, 19),
    a: ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'][date.getUTCDay()]!,
    b: ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'][date.getUTCMonth()]!,
    j: String(Math.floor((ms - Date.UTC(date.getUTCFullYear(), 0, 1)) / 86_400_000) + 1).padStart(3, '0'),
    s: String(Math.floor(ms / 1000)),
    '%': '%',
  };
  return pattern.replace(/%(.)/g, (whole, letter: string) => escapes[letter] ?? whole);
}
