/**
 * Column values as DataRow carries them: length and bytes, in text or binary form.
 *
 * The types that fill most results are written straight into the output buffer; every other type
 * goes through its own output or send function.
 */
import {
  BOOLOID,
  BPCHAROID,
  INT2OID,
  INT4OID,
  INT8OID,
  NAMEOID,
  OIDOID,
  TEXTOID,
  VARCHAROID,
} from '@pgtroupe/common/oids';
import type { Datum } from '@pgtroupe/common/datum';
import type { OutBuffer } from '@pgtroupe/libpq/pqformat';

/** Writes one value that is not null, with its length word. */
export type FieldEncoder = (out: OutBuffer, value: Datum) => void;

export const TEXT_FORMAT = 0;
export const BINARY_FORMAT = 1;

/** Output or send function of a type, already bound to its surroundings. */
export type OutputFunction = (value: Datum) => Uint8Array;

/** `output` is consulted only for types that have no shortcut. */
export function fieldEncoder(typid: number, format: number, output: () => OutputFunction): FieldEncoder {
  if (format === BINARY_FORMAT) return binaryEncoder(typid, output);
  switch (typid) {
    case INT2OID:
    case INT4OID:
    case OIDOID:
      return (out, value) => putInteger(out, value as number);
    case INT8OID:
      return (out, value) => {
        if (typeof value === 'number') putInteger(out, value);
        else putAscii(out, String(value));
      };
    case BOOLOID:
      return (out, value) => {
        out.int32(1);
        out.byte(value === true ? 0x74 : 0x66);
      };
    case TEXTOID:
    case VARCHAROID:
    case BPCHAROID:
    case NAMEOID:
      return (out, value) => putBytes(out, value as Uint8Array);
    default:
      return viaFunction(output());
  }
}

function binaryEncoder(typid: number, output: () => OutputFunction): FieldEncoder {
  switch (typid) {
    case INT4OID:
    case OIDOID:
      return (out, value) => {
        out.int32(4);
        out.int32(value as number);
      };
    case INT2OID:
      return (out, value) => {
        out.int32(2);
        out.int16(value as number);
      };
    case TEXTOID:
    case VARCHAROID:
    case BPCHAROID:
    case NAMEOID:
      return (out, value) => putBytes(out, value as Uint8Array);
    default:
      return viaFunction(output());
  }
}

function viaFunction(output: OutputFunction): FieldEncoder {
  return (out, value) => putBytes(out, output(value));
}

function putBytes(out: OutBuffer, bytes: Uint8Array): void {
  const { length } = bytes;
  out.int32(length);
  if (length < 64) {
    out.reserve(length);
    const { buffer } = out;
    let at = out.length;
    for (let i = 0; i < length; i++) buffer[at++] = bytes[i]!;
    out.length = at;
  } else out.bytes(bytes);
}

function putAscii(out: OutBuffer, text: string): void {
  out.int32(text.length);
  out.reserve(text.length);
  out.buffer.write(text, out.length, 'latin1');
  out.length += text.length;
}

/** Decimal digits of a safe integer, without making a string. */
function putInteger(out: OutBuffer, value: number): void {
  out.reserve(24);
  const { buffer } = out;
  const start = out.length + 4;
  let at = start;
  let rest = value;
  if (rest < 0) {
    buffer[at++] = 0x2d;
    rest = -rest;
  }
  let digits = 1;
  for (let bound = 10; rest >= bound; bound *= 10) digits++;
  let write = at + digits;
  while (rest > 0x7fffffff) {
    const quotient = Math.floor(rest / 10);
    buffer[--write] = 0x30 + (rest - quotient * 10);
    rest = quotient;
  }
  for (let small = rest | 0; write > at; ) {
    const quotient = (small / 10) | 0;
    buffer[--write] = 0x30 + (small - quotient * 10);
    small = quotient;
  }
  out.int32(at + digits - start);
  out.length = at + digits;
}
