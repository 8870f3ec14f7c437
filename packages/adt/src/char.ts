/**
 * The type "char": one byte, held as a number 0..255 (or signed, as a page reader may give it).
 * Bytes above 127 print as a backslash and three octal digits; zero prints as nothing.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { FunctionCall, FunctionTable } from './fmgr.ts';
import { EMPTY_BYTES } from './mb/mbutils.ts';
import { recvByte } from './pqwire.ts';

const BACKSLASH = 92;
const isOctal = (c: number): boolean => c >= 48 && c <= 55;

function parseChar(text: Uint8Array): number {
  if (text.length === 4 && text[0] === BACKSLASH && isOctal(text[1]) && isOctal(text[2]) && isOctal(text[3])) {
    return (((text[1] - 48) << 6) | ((text[2] - 48) << 3) | (text[3] - 48)) & 255;
  }
  return text.length === 0 ? 0 : text[0];
}

export function formatChar(value: number): Uint8Array {
  const c = value & 255;
  if (c > 127) return Uint8Array.of(BACKSLASH, 48 + (c >> 6), 48 + ((c >> 3) & 7), 48 + (c & 7));
  return c === 0 ? EMPTY_BYTES : Uint8Array.of(c);
}

export const charFunctions: FunctionTable = {
  charin: (_fc: FunctionCall, text: Uint8Array) => parseChar(text),
  charout: (_fc: FunctionCall, value: number) => formatChar(value),
  charrecv: (_fc: FunctionCall, bytes: Uint8Array) => recvByte(bytes),
  charsend: (_fc: FunctionCall, value: number) => Uint8Array.of(value),
  chareq: (_fc: FunctionCall, a: number, b: number) => (a & 255) === (b & 255),
  charne: (_fc: FunctionCall, a: number, b: number) => (a & 255) !== (b & 255),
  charlt: (_fc: FunctionCall, a: number, b: number) => (a & 255) < (b & 255),
  charle: (_fc: FunctionCall, a: number, b: number) => (a & 255) <= (b & 255),
  chargt: (_fc: FunctionCall, a: number, b: number) => (a & 255) > (b & 255),
  charge: (_fc: FunctionCall, a: number, b: number) => (a & 255) >= (b & 255),
  btcharcmp: (_fc: FunctionCall, a: number, b: number) => (a & 255) - (b & 255),
  chartoi4: (_fc: FunctionCall, value: number) => (value << 24) >> 24,
  i4tochar: (_fc: FunctionCall, value: number) => {
    if (value < -128 || value > 127) throw ereport(ERRCODE.NUMERIC_VALUE_OUT_OF_RANGE, '"char" out of range');
    return value & 255;
  },
  text_char: (_fc: FunctionCall, text: Uint8Array) => parseChar(text),
  char_text: (_fc: FunctionCall, value: number) => formatChar(value),
};
