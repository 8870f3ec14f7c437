/**
 * Cuts COPY FROM's stream into rows and fields, text and CSV (copyfromparse.c).
 *
 * Chunks may be cut anywhere. A row's fields are ranges of `data`; a field that had escapes or quotes
 * was rewritten in place, since it only ever gets shorter. Ranges are valid until the next `push`.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';
import { stringBufferFull } from '@pgtroupe/adt/mb/bytebuilder';
import { allocBytes, MAX_ALLOC_SIZE } from '@pgtroupe/adt/mb/mbutils';
import type { CopyOptions } from './copyoptions.ts';

const LF = 0x0a;
const CR = 0x0d;
const BACKSLASH = 0x5c;
const DOT = 0x2e;

/** A line that is longer is put together in one place. */
const LONG_LINE = 1 << 16;

const badFormat = (message: string, hint?: string): PgError => ereport(ERRCODE.BAD_COPY_FILE_FORMAT, message, { hint });

const OTHER_NEWLINE = 'end-of-copy marker does not match previous newline style';

type LineEnd = 'unknown' | 'nl' | 'cr' | 'crnl';

/** CSV's FORCE_NOT_NULL and FORCE_NULL, by field. */
export interface ForcedNulls {
  readonly notNull: readonly boolean[];
  readonly null: readonly boolean[];
}

export class CopyFromParser {
  data: Buffer = Buffer.alloc(0);
  /** Fields of the current row. */
  fieldCount = 0;
  start = new Int32Array(64);
  end = new Int32Array(64);
  isNull = new Uint8Array(64);
  /** Line at work, header included, for messages: where the row ends, if newlines are in quotes. */
  lineNumber = 0;
  /** `\.` was seen: the rest is ignored. */
  finished = false;
  readonly #options: CopyOptions;
  #at = 0;
  /** Bytes of the line at work that were looked at already, and what was found in them. */
  #searched = 0;
  #quoted = false;
  #newlines = 0;
  /** Memory that `data` begins in, with room behind it for the rest of a long line. */
  #room: Buffer | undefined;
  /** The current line as it came: its range, or a copy if fields were rewritten. */
  #lineFrom = 0;
  #lineTo = 0;
  #original: Buffer | undefined;
  /** `lineNumber` counts the line whose end is looked for. */
  #begun = false;
  #lineEnd: LineEnd = 'unknown';
  /** The line ends with the end-of-copy marker. */
  #marked = false;
  #noMore = false;

  constructor(options: CopyOptions) {
    this.#options = options;
  }

  /** The chunk is the parser's from here on: fields are rewritten in place. */
  push(chunk: Buffer): void {
    const rest = this.data.length - this.#at;
    if (rest < LONG_LINE) {
      this.data = rest === 0 ? chunk : Buffer.concat([this.data.subarray(this.#at), chunk]);
      this.#room = undefined;
    } else this.data = this.#appended(rest, chunk);
    this.#at = 0;
  }

  /** The rest of a long line is not copied for each of its chunks. */
  #appended(rest: number, chunk: Buffer): Buffer {
    const length = rest + chunk.length;
    if (length > MAX_ALLOC_SIZE) throw stringBufferFull(rest, chunk.length);
    let room = this.#room;
    if (room === undefined || this.#at !== 0 || length > room.length) {
      room = Buffer.from(allocBytes(Math.min(2 * length, MAX_ALLOC_SIZE - 4)).buffer);
      this.data.copy(room, 0, this.#at);
    }
    this.#room = room;
    chunk.copy(room, rest);
    return room.subarray(0, length);
  }

  /** The current line, or undefined when it was not read to its end. */
  get rawLine(): Uint8Array | undefined {
    if (this.#begun) return undefined;
    return this.#original ?? this.data.subarray(this.#lineFrom, this.#lineTo);
  }

  /** No chunk follows: a last line without its end counts. */
  endOfInput(): void {
    this.#noMore = true;
  }

  /** Moves to the next row; false when more input is needed or there is none. */
  nextRow(): boolean {
    if (this.finished) return false;
    if (!this.#begun) this.lineNumber++;
    this.#begun = true;
    const lineEnd = this.#options.format === 'csv' ? this.#findCsvLineEnd() : this.#findTextLineEnd();
    if (lineEnd < 0) return false;
    this.#begun = false;
    this.#searched = 0;
    const from = this.#at;
    const to = lineEnd;
    this.#lineFrom = from;
    this.#lineTo = to;
    this.#original = undefined;
    // Move behind the terminator.
    if (lineEnd >= this.data.length) this.#at = this.data.length;
    else if (this.data[lineEnd] === CR && this.#lineEnd === 'crnl') this.#at = lineEnd + 2;
    else this.#at = lineEnd + 1;
    const csv = this.#options.format === 'csv';
    if (csv && to - from === 2 && this.data[from] === BACKSLASH && this.data[from + 1] === DOT) {
      this.finished = true;
      return false;
    }
    if (this.#marked) {
      // What stands before the marker is a line of its own.
      this.finished = true;
      if (to === from) return false;
    }
    if (csv) this.#splitCsv(from, to);
    else this.#splitText(from, to);
    return true;
  }

  /** Index of the line's terminator, data.length at the end of input, or -1. */
  #findTextLineEnd(): number {
    const { data } = this;
    let at = this.#at + this.#searched;
    for (; at < data.length; at++) {
      const byte = data[at]!;
      if (byte === BACKSLASH) {
        // What follows a backslash never ends a line.
        if (at + 1 >= data.length) break;
        if (data[at + 1] === DOT) {
          if (!this.#endOfCopyMarker(at)) break;
          return at;
        }
        at++;
        continue;
      }
      if (byte !== LF && byte !== CR) continue;
      if (byte === CR && this.#needsMoreAfterCr(at)) break;
      this.#checkLineEnd(byte, at);
      return at;
    }
    this.#searched = at - this.#at;
    return this.#atEndOfInput();
  }

  /** `\\.` at `at` must be all that is left of its line; false when the line's end is not here yet. */
  #endOfCopyMarker(at: number): boolean {
    const { data } = this;
    const end = at + (this.#lineEnd === 'crnl' ? 3 : 2);
    if (end >= data.length && !this.#noMore) return false;
    if (this.#lineEnd === 'crnl') {
      if (data[end - 1] === LF) throw badFormat(OTHER_NEWLINE);
      if (data[end - 1] !== CR) throw badFormat('end-of-copy marker corrupt');
    }
    if (data[end] !== CR && data[end] !== LF) throw badFormat('end-of-copy marker corrupt');
    const wanted = this.#lineEnd === 'unknown' ? data[end] : this.#lineEnd === 'cr' ? CR : LF;
    if (data[end] !== wanted) throw badFormat(OTHER_NEWLINE);
    this.#marked = true;
    return true;
  }

  #findCsvLineEnd(): number {
    const { data } = this;
    const { quote, escape } = this.#options;
    let quoted = this.#quoted;
    // Newlines in quotes are counted, once it is known what ends a line.
    const newline = this.#lineEnd === 'unknown' ? -1 : this.#lineEnd === 'nl' ? LF : CR;
    let newlines = this.#newlines;
    let at = this.#at + this.#searched;
    for (; at < data.length; at++) {
      const byte = data[at]!;
      if (quoted && byte === newline) newlines++;
      if (quoted && byte === escape && escape !== quote) {
        at++;
        continue;
      }
      if (byte === quote) {
        quoted = !quoted;
        continue;
      }
      if (quoted || (byte !== LF && byte !== CR)) continue;
      if (byte === CR && this.#needsMoreAfterCr(at)) break;
      this.lineNumber += newlines;
      this.#quoted = false;
      this.#newlines = 0;
      this.#checkLineEnd(byte, at);
      return at;
    }
    this.#searched = at - this.#at;
    this.#quoted = quoted;
    this.#newlines = newlines;
    if (this.#noMore) this.lineNumber += newlines;
    if (this.#noMore && quoted) {
      this.#lineFrom = this.#at;
      this.#lineTo = data.length;
      this.#begun = false;
      throw badFormat('unterminated CSV quoted field');
    }
    return this.#atEndOfInput();
  }

  #atEndOfInput(): number {
    return this.#noMore && this.#at < this.data.length ? this.data.length : -1;
  }

  /** A carriage return at the very end: is a newline coming? */
  #needsMoreAfterCr(at: number): boolean {
    return at + 1 >= this.data.length && !this.#noMore;
  }

  #checkLineEnd(byte: number, at: number): void {
    if (this.#lineEnd === 'unknown') {
      this.#lineEnd = byte === LF ? 'nl' : this.data[at + 1] === LF ? 'crnl' : 'cr';
      return;
    }
    const csv = this.#options.format === 'csv';
    const quoted = csv ? 'unquoted' : 'literal';
    if (byte === LF && this.#lineEnd !== 'nl') {
      throw badFormat(
        `${quoted} newline found in data`,
        csv ? 'Use quoted CSV field to represent newline.' : 'Use "\\n" to represent newline.',
      );
    }
    if (byte === CR && (this.#lineEnd === 'nl' || (this.#lineEnd === 'crnl' && this.data[at + 1] !== LF))) {
      throw badFormat(
        `${quoted} carriage return found in data`,
        csv ? 'Use quoted CSV field to represent carriage return.' : 'Use "\\r" to represent carriage return.',
      );
    }
  }

  #splitText(from: number, to: number): void {
    const { data } = this;
    const { delimiter } = this.#options;
    this.fieldCount = 0;
    let start = from;
    let escaped = false;
    for (let at = from; at < to; at++) {
      const byte = data[at]!;
      if (byte === delimiter) {
        this.#textField(start, at, escaped);
        start = at + 1;
        escaped = false;
      } else if (byte === BACKSLASH) {
        escaped = true;
        at++;
      }
    }
    this.#textField(start, to, escaped);
  }

  #textField(from: number, to: number, escaped: boolean): void {
    const n = this.#nextField();
    this.start[n] = from;
    this.isNull[n] = this.#isNullText(from, to) ? 1 : 0;
    if (escaped && this.isNull[n] === 0) {
      this.#keepOriginal();
      this.end[n] = unescape(this.data, from, to);
    } else this.end[n] = to;
  }

  #splitCsv(from: number, to: number): void {
    const { data } = this;
    const { delimiter, quote, escape } = this.#options;
    this.fieldCount = 0;
    let at = from;
    for (;;) {
      const start = at;
      let write = at;
      let sawQuote = false;
      let quoted = false;
      for (; at < to; at++) {
        const byte = data[at]!;
        if (quoted) {
          if (byte === escape && at + 1 < to && (data[at + 1] === escape || data[at + 1] === quote)) {
            data[write++] = data[++at]!;
            continue;
          }
          if (byte === quote) {
            quoted = false;
            continue;
          }
        } else {
          if (byte === delimiter) break;
          if (byte === quote) {
            this.#keepOriginal();
            quoted = true;
            sawQuote = true;
            continue;
          }
        }
        data[write++] = byte;
      }
      const n = this.#nextField();
      this.start[n] = start;
      this.end[n] = write;
      this.isNull[n] = !sawQuote && this.#isNullText(start, write) ? 1 : 0;
      if (at >= to) return;
      at++;
      if (at === to) {
        // A delimiter at the end of the line: one more, empty field.
        const last = this.#nextField();
        this.start[last] = to;
        this.end[last] = to;
        this.isNull[last] = this.#isNullText(to, to) ? 1 : 0;
        return;
      }
    }
  }

  #keepOriginal(): void {
    this.#original ??= Buffer.from(this.data.subarray(this.#lineFrom, this.#lineTo));
  }

  #nextField(): number {
    const n = this.fieldCount++;
    if (n === this.start.length) {
      const grow = (old: Int32Array): Int32Array<ArrayBuffer> => {
        const grown = new Int32Array(2 * old.length);
        grown.set(old);
        return grown;
      };
      this.start = grow(this.start);
      this.end = grow(this.end);
      const nulls = new Uint8Array(2 * this.isNull.length);
      nulls.set(this.isNull);
      this.isNull = nulls;
    }
    return n;
  }

  /** Takes the current row's null for the text that it is written as, or that text, though quoted, for null. */
  forceNulls(forced: ForcedNulls): void {
    for (let n = 0; n < this.fieldCount; n++) {
      if (this.isNull[n] === 1) {
        if (forced.notNull[n] === true) this.isNull[n] = 0;
      } else if (forced.null[n] === true && this.#isNullText(this.start[n]!, this.end[n]!)) this.isNull[n] = 1;
    }
  }

  #isNullText(from: number, to: number): boolean {
    const { nullText } = this.#options;
    if (to - from !== nullText.length) return false;
    for (let i = 0; i < nullText.length; i++) if (this.data[from + i] !== nullText[i]) return false;
    return true;
  }
}

const SIMPLE_ESCAPES: Readonly<Record<number, number>> = { 0x62: 8, 0x66: 12, 0x6e: LF, 0x72: CR, 0x74: 9, 0x76: 11 };

/** Resolves backslash sequences in place; returns the new end. */
function unescape(data: Buffer, from: number, to: number): number {
  let write = from;
  for (let at = from; at < to; at++) {
    const byte = data[at]!;
    if (byte !== BACKSLASH || at + 1 >= to) {
      data[write++] = byte;
      continue;
    }
    const next = data[++at]!;
    const simple = SIMPLE_ESCAPES[next];
    if (simple !== undefined) data[write++] = simple;
    else if (isOctal(next)) {
      let value = next - 0x30;
      for (let digits = 1; digits < 3 && at + 1 < to && isOctal(data[at + 1]!); digits++)
        value = value * 8 + data[++at]! - 0x30;
      data[write++] = value & 0xff;
    } else if (next === 0x78 && at + 1 < to && hexValue(data[at + 1]!) >= 0) {
      let value = hexValue(data[++at]!);
      if (at + 1 < to && hexValue(data[at + 1]!) >= 0) value = value * 16 + hexValue(data[++at]!);
      data[write++] = value;
    } else data[write++] = next;
  }
  return write;
}

function isOctal(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x37;
}

function hexValue(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
