/**
 * How log lines get from a process to the logger over a bus that loses messages: each process numbers what it sends and
 * keeps it (a bounded number of bytes) until the logger says that it has it; what is not heard of is sent again, from the
 * first one on. The logger takes lines in turn only. Pure: no I/O, no time.
 *
 * A message is `NUMBER FIRST JSON`: FIRST is the oldest number that the sender still keeps. A logger that has not heard
 * of a process begins there; one that waits for an older line learns by it that that one is lost.
 */

/** The sender's side. */
export class LogWindow {
  readonly #maxLines: number;
  readonly #maxBytes: number;
  readonly #encoder = new TextEncoder();
  #kept: Uint8Array[] = [];
  #keptBytes = 0;
  /** Number of the oldest line kept, or of the next one. */
  #first = 1;

  constructor(maxLines: number, maxBytes: number) {
    this.#maxLines = maxLines;
    this.#maxBytes = maxBytes;
  }

  get size(): number {
    return this.#kept.length;
  }

  /** Is there room for this line? */
  hasRoom(line: Uint8Array): boolean {
    return this.#kept.length < this.#maxLines && this.#keptBytes + line.length <= this.#maxBytes;
  }

  /** Keeps it, and returns it as it is to be sent. */
  add(line: Uint8Array): Uint8Array {
    this.#kept.push(line);
    this.#keptBytes += line.length;
    return this.#message(this.#kept.length - 1);
  }

  /** Everything that was not heard of, to be sent again. */
  *messages(): Generator<Uint8Array> {
    for (let at = 0; at < this.#kept.length; at++) yield this.#message(at);
  }

  /** Line `upTo` and all before it are written. Returns whether that was news. */
  heard(upTo: number): boolean {
    const count = Math.min(upTo - this.#first + 1, this.#kept.length);
    if (count <= 0) return false;
    this.#forget(count);
    return true;
  }

  /** The oldest line is given up for a new one: it was sent, and most likely heard. */
  giveUpOldest(): void {
    this.#forget(1);
  }

  /** Gives up everything kept, as it was added. */
  takeAll(): Uint8Array[] {
    const all = this.#kept;
    this.#first += all.length;
    this.#kept = [];
    this.#keptBytes = 0;
    return all;
  }

  #forget(count: number): void {
    for (const line of this.#kept.splice(0, count)) this.#keptBytes -= line.length;
    this.#first += count;
  }

  #message(at: number): Uint8Array {
    const line = this.#kept[at]!;
    const head = this.#encoder.encode(`${this.#first + at} ${this.#first} `);
    const message = new Uint8Array(head.length + line.length);
    message.set(head);
    message.set(line, head.length);
    return message;
  }
}

export interface LogMessage {
  readonly number: number;
  readonly first: number;
  readonly json: string;
}

/** undefined: it is none. */
export function parseLogMessage(message: string): LogMessage | undefined {
  const found = /^(\d+) (\d+) /.exec(message);
  if (found === null) return undefined;
  return { number: Number(found[1]), first: Number(found[2]), json: message.slice(found[0].length) };
}

export type Reception =
  /** Its turn; `lost` lines before it never came and are not kept any more. */
  | { readonly kind: 'next'; readonly lost: number }
  /** It was here before, or an older one must come first. */
  | { readonly kind: 'skip' };

/** The logger's side, for one process. */
export class LogReception {
  /** Number of the last line taken; undefined: none yet. */
  #last: number | undefined;

  get last(): number {
    return this.#last ?? 0;
  }

  take({ number, first }: Pick<LogMessage, 'number' | 'first'>): Reception {
    const expected = this.#last === undefined ? first : Math.max(this.#last + 1, first);
    if (number !== expected) return { kind: 'skip' };
    const lost = this.#last === undefined ? 0 : number - this.#last - 1;
    this.#last = number;
    return { kind: 'next', lost };
  }
}
