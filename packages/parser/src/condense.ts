/**
 * Long texts are long because of a few long literals or comments. Those are taken out before the grammar reads a text,
 * and put back into the tree: what the lexer, the regular expressions around it and JSON see stays short.
 *
 *   select length('xxxx…'), $$yyyy…$$ -- zzzz…     →     select length('<0>'), $$<1>$$ --
 *
 * <n> stands for a mark that the text does not have. Where this lexer is not sure (backslashes that escape in plain strings) nothing is
 * taken out. E'' B'' X'' N'' U&'' strings and quoted names stay as they are.
 */
import { PgError } from '@pgtroupe/common/ereport';
import { mbStrlen } from '@pgtroupe/adt/mb/mbutils';
import type { RawStmt } from '@pgtroupe/nodes/rawnodes';

/** Shorter ones stay. */
const LONG_BYTES = 1024;
const MARK = '\u0001';
const MARK_END = '\u0002';
const WHOLE = /^\u0001(\d+)\u0002$/;
const MARKED = /\u0001(\d+)\u0002/g;

const QUOTE = 39;
const DQUOTE = 34;
const DOLLAR = 36;
const MINUS = 45;
const SLASH = 47;
const STAR = 42;
const BACKSLASH = 92;
const NEWLINE = 10;
const RETURN = 13;

const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** Bytes [from, to) of the text were replaced by bytes [at, at + length) of the short one. */
interface Cut {
  readonly from: number;
  readonly to: number;
  readonly at: number;
  readonly length: number;
  /** A literal's doubled quotes mean one each. */
  readonly doubled: boolean;
}

function isWord(c: number): boolean {
  return (c >= 97 && c <= 122) || (c >= 65 && c <= 90) || (c >= 48 && c <= 57) || c === 95 || c >= 128;
}

export class CondensedText {
  readonly text: string;
  readonly #bytes: Uint8Array;
  readonly #cuts: readonly Cut[];

  constructor(bytes: Uint8Array, text: string, cuts: readonly Cut[]) {
    this.#bytes = bytes;
    this.text = text;
    this.#cuts = cuts;
  }

  #value(n: number): string {
    const { from, to, doubled } = this.#cuts[n]!;
    const value = decoder.decode(this.#bytes.subarray(from, to));
    return doubled ? value.replaceAll("''", "'") : value;
  }

  /** A literal that is nothing but cut n: its text when it is asked for, its bytes (as `bytes`) at once. */
  #restoreLiteral(literal: Record<string, unknown>, n: number): void {
    const { from, to, doubled } = this.#cuts[n]!;
    const bytes = doubled ? Buffer.from(this.#value(n)) : this.#bytes.subarray(from, to);
    let text: string | undefined;
    Object.defineProperty(literal, 'sval', { get: () => (text ??= this.#value(n)), enumerable: true });
    Object.defineProperty(literal, 'bytes', { value: bytes });
  }

  /** Where a byte offset of the short text lies in the whole one. */
  #offset(short: number): number {
    let moved = 0;
    for (const { from, to, at, length } of this.#cuts) {
      if (short <= at) break;
      moved += to - from - length;
    }
    return short + moved;
  }

  /** Puts values and places back, in place. */
  restore(stmts: readonly RawStmt[]): void {
    for (const stmt of stmts) {
      const begin = this.#offset(stmt.stmt_location);
      const end = this.#offset(stmt.stmt_location + stmt.stmt_len);
      this.#restoreNode(stmt);
      if (stmt.stmt_len > 0) (stmt as { stmt_len: number }).stmt_len = end - begin;
    }
  }

  #restoreNode(node: unknown): void {
    if (typeof node !== 'object' || node === null) return;
    const fields = node as Record<string, unknown>;
    for (const key in fields) {
      const value = fields[key];
      if (typeof value === 'string') {
        const whole = key === 'sval' ? WHOLE.exec(value) : null;
        if (whole !== null) this.#restoreLiteral(fields, Number(whole[1]));
        else if (value.includes(MARK)) fields[key] = value.replace(MARKED, (_, n: string) => this.#value(Number(n)));
      } else if (typeof value === 'number') {
        if (value > 0 && key.endsWith('location')) fields[key] = this.#offset(value);
      } else this.#restoreNode(value);
    }
  }

  /** A syntax error in the short text, as it is in the whole one. */
  restoreError(error: unknown): unknown {
    if (!(error instanceof PgError)) return error;
    const { position } = error.fields;
    const message = error.message.replace(MARKED, (_, n: string) => {
      const { from, to } = this.#cuts[Number(n)]!;
      return decoder.decode(this.#bytes.subarray(from, to));
    });
    const { cause: _, ...fields } = error.fields;
    return new PgError(error.sqlstate, message, {
      ...fields,
      ...(position === undefined ? {} : { position: this.#position(position) }),
    });
  }

  /** 1-based places in characters. */
  #position(short: number): number {
    const at = Buffer.byteLength(this.text.slice(0, short - 1));
    return mbStrlen(this.#bytes.subarray(0, this.#offset(at))) + 1;
  }
}

/** undefined: there is nothing long in it, or nothing can be taken out. */
export function condense(bytes: Uint8Array, backslashIsPlain: boolean): CondensedText | undefined {
  if (!backslashIsPlain) return undefined;
  const scan = new Scan(bytes);
  if (!scan.run() || scan.cuts.length === 0) return undefined;
  const text = scan.text();
  return text === undefined ? undefined : new CondensedText(bytes, text, scan.cuts);
}

class Scan {
  readonly cuts: Cut[] = [];
  readonly #bytes: Uint8Array;
  readonly #parts: Buffer[] = [];
  /** Bytes before are in `parts`, or taken out. */
  #kept = 0;
  #length = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  #keep(from: number, to: number): void {
    const part = Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset + from, to - from);
    this.#parts.push(part);
    this.#length += part.length;
  }

  #cut(from: number, to: number, standIn: string, doubled = false): void {
    if (to - from < LONG_BYTES) return;
    this.#keep(this.#kept, from);
    const part = Buffer.from(standIn);
    this.cuts.push({ from, to, at: this.#length, length: part.length, doubled });
    this.#parts.push(part);
    this.#length += part.length;
    this.#kept = to;
  }

  get #mark(): string {
    return `${MARK}${this.cuts.length}${MARK_END}`;
  }

  /** The short text; undefined if it has marks of its own. */
  text(): string | undefined {
    this.#keep(this.#kept, this.#bytes.length);
    for (let n = 0; n < this.#parts.length; n += 2) if (this.#parts[n]!.includes(1)) return undefined;
    return decoder.decode(Buffer.concat(this.#parts));
  }

  /** False where the text ends within something. */
  run(): boolean {
    const bytes = this.#bytes;
    const { length } = bytes;
    for (let p = 0; p < length; ) {
      const c = bytes[p]!;
      if (c >= 48 && c <= 57) p++;
      else if (isWord(c)) {
        const from = p;
        while (p < length && (isWord(bytes[p]!) || bytes[p] === DOLLAR)) p++;
        if (bytes[p] === QUOTE && p - from === 1) p = this.#prefixed(p, c | 32);
      } else if (c === QUOTE) p = this.#string(p, bytes[p - 1] !== 38);
      else if (c === DQUOTE) p = this.#closing(p + 1, DQUOTE);
      else if (c === DOLLAR) p = this.#dollar(p);
      else if (c === MINUS && bytes[p + 1] === MINUS) p = this.#line(p);
      else if (c === SLASH && bytes[p + 1] === STAR) p = this.#comment(p);
      else p++;
      if (p < 0) return false;
    }
    return true;
  }

  #closing(from: number, quote: number): number {
    const at = this.#bytes.indexOf(quote, from);
    return at < 0 ? -1 : at + 1;
  }

  /** From the opening quote to behind the closing one. */
  #string(open: number, plain: boolean): number {
    let doubled = false;
    for (let p = open + 1; ; ) {
      const at = this.#bytes.indexOf(QUOTE, p);
      if (at < 0) return -1;
      if (this.#bytes[at + 1] !== QUOTE) {
        if (plain) this.#cut(open + 1, at, this.#mark, doubled);
        return at + 1;
      }
      doubled = true;
      p = at + 2;
    }
  }

  /** `letter` stands before the quote. */
  #prefixed(open: number, letter: number): number {
    if (letter !== 101) return this.#string(open, false);
    for (let p = open + 1; p < this.#bytes.length; p++) {
      const c = this.#bytes[p];
      if (c === BACKSLASH) p++;
      else if (c === QUOTE) return p + 1;
    }
    return -1;
  }

  /** $1, $$…$$, $tag$…$tag$ */
  #dollar(open: number): number {
    const bytes = this.#bytes;
    let p = open + 1;
    if (bytes[p]! >= 48 && bytes[p]! <= 57) return p;
    while (p < bytes.length && isWord(bytes[p]!)) p++;
    if (bytes[p] !== DOLLAR) return open + 1;
    const tag = Buffer.from(bytes.buffer, bytes.byteOffset + open, p + 1 - open);
    const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    const end = all.indexOf(tag, p + 1);
    if (end < 0) return -1;
    this.#cut(p + 1, end, this.#mark);
    return end + tag.length;
  }

  #line(open: number): number {
    let end = this.#bytes.indexOf(NEWLINE, open);
    if (end < 0) end = this.#bytes.length;
    const carriage = this.#bytes.subarray(open, end).indexOf(RETURN);
    if (carriage >= 0) end = open + carriage;
    this.#cut(open + 2, end, '');
    return end;
  }

  /** Comments nest. */
  #comment(open: number): number {
    const bytes = this.#bytes;
    let depth = 1;
    for (let p = open + 2; ; ) {
      const at = bytes.indexOf(SLASH, p);
      if (at < 0) return -1;
      if (at > p && bytes[at - 1] === STAR) depth--;
      else if (bytes[at + 1] === STAR) {
        depth++;
        p = at + 2;
        continue;
      }
      if (depth === 0) {
        this.#cut(open + 2, at - 1, '');
        return at + 1;
      }
      p = at + 1;
    }
  }
}
