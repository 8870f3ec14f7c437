/**
 * Rows of COPY TO as text or CSV lines (copyto.c).
 */
import type { CopyOptions } from './copyoptions.ts';

/** Where a line's bytes go. */
export interface LineSink {
  byte(value: number): void;
  bytes(value: Uint8Array): void;
}

const BACKSLASH = 0x5c;
/** Bytes that text format writes as a backslash and a letter. */
const TEXT_ESCAPES: Readonly<Record<number, number>> = {
  8: 0x62,
  9: 0x74,
  10: 0x6e,
  11: 0x76,
  12: 0x66,
  13: 0x72,
  [BACKSLASH]: BACKSLASH,
};

/** Writes one line, terminator included. `forceQuote` is by column. */
export function copyLine(
  sink: LineSink,
  options: CopyOptions,
  values: readonly (Uint8Array | null)[],
  forceQuote: readonly boolean[],
): void {
  values.forEach((value, column) => {
    if (column > 0) sink.byte(options.delimiter);
    if (value === null) sink.bytes(options.nullText);
    else if (options.format === 'csv') csvField(sink, options, value, forceQuote[column] === true, values.length === 1);
    else textField(sink, options, value);
  });
  sink.byte(0x0a);
}

function textField(sink: LineSink, options: CopyOptions, value: Uint8Array): void {
  let from = 0;
  for (let at = 0; at < value.length; at++) {
    const byte = value[at]!;
    const letter = TEXT_ESCAPES[byte];
    if (letter === undefined && byte !== options.delimiter) continue;
    if (at > from) sink.bytes(value.subarray(from, at));
    sink.byte(BACKSLASH);
    sink.byte(letter ?? byte);
    from = at + 1;
  }
  if (from < value.length) sink.bytes(from === 0 ? value : value.subarray(from));
}

function csvField(sink: LineSink, options: CopyOptions, value: Uint8Array, force: boolean, alone: boolean): void {
  const { delimiter, quote, escape, nullText } = options;
  const looksNull = value.length === nullText.length && nullText.equals(value);
  // A lone `\.` would read as the end of data.
  const looksLikeEnd = alone && value.length === 2 && value[0] === BACKSLASH && value[1] === 0x2e;
  const special = (byte: number): boolean => byte === delimiter || byte === quote || byte === 0x0a || byte === 0x0d;
  if (!force && !looksNull && !looksLikeEnd && !value.some(special)) {
    sink.bytes(value);
    return;
  }
  sink.byte(quote);
  for (const byte of value) {
    if (byte === quote || byte === escape) sink.byte(escape);
    sink.byte(byte);
  }
  sink.byte(quote);
}
