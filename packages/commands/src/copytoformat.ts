/**
 * Rows of COPY TO as text or CSV lines (copyto.c).
 */
import { allocBytes } from '@pgtroupe/adt/mb/mbutils';
import { finish, type Slices } from '@pgtroupe/common/slices';
import type { CopyOptions } from './copyoptions.ts';

/** Where a line's bytes go. */
export interface LineSink {
  byte(value: number): void;
  bytes(value: Uint8Array): void;
}

const BACKSLASH = 0x5c;
/** Bytes that text format writes as a backslash and a letter. */
const TEXT_ESCAPES: readonly (readonly [number, number])[] = [
  [8, 0x62],
  [9, 0x74],
  [10, 0x6e],
  [11, 0x76],
  [12, 0x66],
  [13, 0x72],
  [BACKSLASH, BACKSLASH],
];
/** Longer fields are put together first, so that their memory is made once. */
const LONG_FIELD = 1 << 16;
/** Still longer ones bit by bit (`formatLarge`). */
const LARGE_FIELD = 1 << 20;
const BYTES_A_SLICE = 1 << 20;

/** How a format writes bytes that mean something to it. */
interface Escapes {
  readonly prefix: number;
  /** By byte: what stands behind the prefix; 0 for bytes that stand alone. */
  readonly letters: Uint8Array;
}

const escapesOf = new WeakMap<CopyOptions, Escapes>();

function escapes(options: CopyOptions): Escapes {
  let known = escapesOf.get(options);
  if (known === undefined) {
    const letters = new Uint8Array(256);
    const { format, delimiter, quote, escape } = options;
    if (format === 'csv') for (const byte of [quote, escape]) letters[byte] = byte;
    else {
      letters[delimiter] = delimiter;
      for (const [byte, letter] of TEXT_ESCAPES) letters[byte] = letter;
    }
    known = { prefix: format === 'csv' ? escape : BACKSLASH, letters };
    escapesOf.set(options, known);
  }
  return known;
}

/** A field as it stands in its line. */
export class FormattedField {
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
}

export function isLargeField(value: Uint8Array): boolean {
  return value.length > LARGE_FIELD;
}

/** A field of any size, bit by bit. */
export function* formatLarge(options: CopyOptions, value: Uint8Array, force: boolean): Slices<FormattedField> {
  if (options.format !== 'csv') return new FormattedField(yield* escaped(value, escapes(options), 0));
  let quoted = force;
  for (let at = 0; at < value.length && !quoted; at += BYTES_A_SLICE) {
    quoted = value.subarray(at, at + BYTES_A_SLICE).some(byte => isSpecial(options, byte));
    yield;
  }
  return new FormattedField(quoted ? yield* escaped(value, escapes(options), options.quote) : value);
}

/** Writes one line, terminator included. `forceQuote` is by column. */
export function copyLine(
  sink: LineSink,
  options: CopyOptions,
  values: readonly (Uint8Array | FormattedField | null)[],
  forceQuote: readonly boolean[],
): void {
  values.forEach((value, column) => {
    if (column > 0) sink.byte(options.delimiter);
    if (value === null) sink.bytes(options.nullText);
    else if (value instanceof FormattedField) sink.bytes(value.bytes);
    else if (options.format === 'csv') csvField(sink, options, value, forceQuote[column] === true, values.length === 1);
    else field(sink, options, value);
  });
  sink.byte(0x0a);
}

/** The value with what the format escapes. */
function field(sink: LineSink, options: CopyOptions, value: Uint8Array): void {
  const { prefix, letters } = escapes(options);
  if (value.length >= LONG_FIELD) return sink.bytes(finish(escaped(value, escapes(options), 0)));
  let from = 0;
  for (let at = 0; at < value.length; at++) {
    const letter = letters[value[at]!]!;
    if (letter === 0) continue;
    if (at > from) sink.bytes(value.subarray(from, at));
    sink.byte(prefix);
    sink.byte(letter);
    from = at + 1;
  }
  if (from < value.length) sink.bytes(from === 0 ? value : value.subarray(from));
}

/** The value with what the format escapes, between two of `quote` if that is a byte. */
function* escaped(value: Uint8Array, { prefix, letters }: Escapes, quote: number): Slices<Uint8Array> {
  let count = 0;
  for (let from = 0; from < value.length; from += BYTES_A_SLICE) {
    const end = Math.min(value.length, from + BYTES_A_SLICE);
    for (let at = from; at < end; at++) if (letters[value[at]!] !== 0) count++;
    if (end < value.length) yield;
  }
  const quotes = quote === 0 ? 0 : 1;
  if (count + quotes === 0) return value;
  const out = allocBytes(value.length + count + 2 * quotes);
  let to = 0;
  if (quotes > 0) out[to++] = quote;
  for (let from = 0; from < value.length; from += BYTES_A_SLICE) {
    const end = Math.min(value.length, from + BYTES_A_SLICE);
    for (let at = from; at < end; at++) {
      const byte = value[at]!;
      const letter = letters[byte]!;
      if (letter === 0) out[to++] = byte;
      else {
        out[to++] = prefix;
        out[to++] = letter;
      }
    }
    if (end < value.length) yield;
  }
  if (quotes > 0) out[to] = quote;
  return out;
}

function isSpecial({ delimiter, quote }: CopyOptions, byte: number): boolean {
  return byte === delimiter || byte === quote || byte === 0x0a || byte === 0x0d;
}

function csvField(sink: LineSink, options: CopyOptions, value: Uint8Array, force: boolean, alone: boolean): void {
  const { quote, nullText } = options;
  const looksNull = value.length === nullText.length && nullText.equals(value);
  // A lone `\.` would read as the end of data.
  const looksLikeEnd = alone && value.length === 2 && value[0] === BACKSLASH && value[1] === 0x2e;
  if (!force && !looksNull && !looksLikeEnd && !value.some(byte => isSpecial(options, byte))) {
    sink.bytes(value);
    return;
  }
  sink.byte(quote);
  field(sink, options, value);
  sink.byte(quote);
}
