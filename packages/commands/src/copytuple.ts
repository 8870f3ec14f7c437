/**
 * COPY FROM's short way from a row of text to a heap tuple: integers and ASCII strings go from the
 * client's bytes straight into the tuple, other types through their input functions.
 *
 * It takes plain rows only. Whatever is out of the ordinary (a field too many, a number with a sign, a
 * null where none may be, a string that is too long) makes it say NOT_PLAIN without an error: the row
 * then goes the long way, which knows what to do or what to complain about.
 */
import { BPCHAROID, INT4OID, TEXTOID, VARCHAROID } from '@pgtroupe/common/oids';
import type { TupleDesc } from '@pgtroupe/access/common/tupdesc';
import { initHeapTuple, tupleLayout, type TupleLayout } from '@pgtroupe/access/common/heaptuple';
import {
  HEAP_HASNULL,
  HEAP_HASVARWIDTH,
  SIZEOF_HEAP_TUPLE_HEADER,
  type TupleMemory,
} from '@pgtroupe/access/common/htup';
import { ATT_VARLENA, attEnd, storeAtt, VARATT_SHORT_MAX_DATA, VarlenaImage } from '@pgtroupe/access/common/tupmacs';
import type { Datum } from '@pgtroupe/common/datum';
import type { CopyFromParser } from './copyfromparse.ts';

export const NOT_PLAIN = -1;

const VARHDRSZ = 4;
const BLANK = 0x20;

// How an attribute gets its bytes.
const NULL_ALWAYS = 0;
const PLAIN_INT4 = 1;
const PLAIN_STRING = 2;
const BY_FUNCTION = 3;

/** The value of a field, by the type's input function. */
export type FieldInput = (parser: CopyFromParser, field: number) => Datum;

export class CopyTupleFormer {
  readonly #layout: TupleLayout;
  readonly #how: Uint8Array;
  /** Field of the row for each attribute, -1 none. */
  readonly #field: Int16Array;
  readonly #notNull: Uint8Array;
  /** Longest string the type takes, in bytes, and to what length it is padded with blanks. */
  readonly #maxLength: Int32Array;
  readonly #padTo: Int32Array;
  readonly #fields: number;
  readonly #input: FieldInput;

  /** @param columns 0-based attributes in the order of the fields */
  constructor(att: TupleDesc, columns: readonly number[], input: FieldInput) {
    const { attrs } = att;
    this.#layout = tupleLayout(att);
    this.#how = new Uint8Array(attrs.length).fill(NULL_ALWAYS);
    this.#field = new Int16Array(attrs.length).fill(-1);
    this.#notNull = new Uint8Array(attrs.length);
    this.#maxLength = new Int32Array(attrs.length).fill(0x7fffffff);
    this.#padTo = new Int32Array(attrs.length);
    this.#fields = columns.length;
    this.#input = input;
    columns.forEach((n, field) => {
      const { typid, typmod } = attrs[n]!;
      this.#field[n] = field;
      const oid: number = typid;
      if (oid === INT4OID) this.#how[n] = PLAIN_INT4;
      else if (oid === TEXTOID || oid === VARCHAROID || oid === BPCHAROID) this.#how[n] = PLAIN_STRING;
      else this.#how[n] = BY_FUNCTION;
      if (this.#how[n] !== PLAIN_STRING || oid === TEXTOID || typmod < VARHDRSZ) return;
      this.#maxLength[n] = typmod - VARHDRSZ;
      if (oid === BPCHAROID) this.#padTo[n] = typmod - VARHDRSZ;
    });
    attrs.forEach((attribute, n) => {
      if (attribute.notNull && !attribute.dropped) this.#notNull[n] = 1;
    });
  }

  /** Forms the parser's row at `tup`, where `limit` bytes are the most it may take. Its length, or
   *  NOT_PLAIN. As heapFormTuple, leaves the transaction's fields to the heap. */
  form(parser: CopyFromParser, mem: TupleMemory, tup: number, limit: number): number {
    const layout = this.#layout;
    const { natts } = layout;
    if (parser.fieldCount !== this.#fields) return NOT_PLAIN;
    let nulls = false;
    for (let n = 0; n < natts; n++) {
      const field = this.#field[n]!;
      if (field >= 0 && parser.isNull[field] === 0) continue;
      if (this.#notNull[n] === 1) return NOT_PLAIN;
      nulls = true;
    }
    let mask = nulls ? HEAP_HASNULL : 0;
    let end = tup + initHeapTuple(natts, nulls, mem, tup);
    for (let n = 0; n < natts; n++) {
      const field = this.#field[n]!;
      if (field < 0 || parser.isNull[field] === 1) continue;
      if (nulls) mem.u8[tup + SIZEOF_HEAP_TUPLE_HEADER + (n >>> 3)]! |= 1 << (n & 7);
      if (layout.kind[n]! >= ATT_VARLENA) mask |= HEAP_HASVARWIDTH;
      switch (this.#how[n]) {
        case PLAIN_INT4:
          end = storeInt4(parser, field, mem, end);
          break;
        case PLAIN_STRING:
          end = this.#storeString(parser, n, field, mem, end, tup + limit);
          break;
        default:
          end = this.#storeValue(this.#input(parser, field), n, mem, end, tup + limit);
      }
      if (end === NOT_PLAIN || end - tup > limit) return NOT_PLAIN;
    }
    mem.u16[(tup + 20) >>> 1] = mask;
    return end - tup;
  }

  #storeString(parser: CopyFromParser, n: number, field: number, mem: TupleMemory, at: number, limit: number): number {
    const { u8 } = mem;
    const { data } = parser;
    const from = parser.start[field]!;
    const given = parser.end[field]! - from;
    if (given > this.#maxLength[n]!) return NOT_PLAIN;
    const length = Math.max(given, this.#padTo[n]!);
    if (at + length + 2 * VARHDRSZ > limit) return NOT_PLAIN;
    let to = at;
    if (this.#layout.packable[n] === 1 && length <= VARATT_SHORT_MAX_DATA) u8[to++] = ((length + 1) << 1) | 1;
    else {
      const alignment = this.#layout.alignMask[n]!;
      while ((to & alignment) !== 0) u8[to++] = 0;
      mem.u32[to >>> 2] = (length + VARHDRSZ) << 2;
      to += VARHDRSZ;
    }
    for (let i = 0; i < given; i++) {
      const byte = data[from + i]!;
      // Anything but ASCII must be looked at as a whole.
      if (byte > 0x7f || byte === 0) return NOT_PLAIN;
      u8[to + i] = byte;
    }
    for (let i = given; i < length; i++) u8[to + i] = BLANK;
    return to + length;
  }

  #storeValue(value: Datum, n: number, mem: TupleMemory, at: number, limit: number): number {
    const { kind, len, alignMask, packable } = this.#layout;
    if (value === null || value instanceof VarlenaImage) return NOT_PLAIN;
    if (attEnd(at, value, kind[n]!, len[n]!, alignMask[n]!, packable[n] === 1) > limit) return NOT_PLAIN;
    return storeAtt(mem, at, value, kind[n]!, len[n]!, alignMask[n]!, packable[n] === 1);
  }
}

function storeInt4(parser: CopyFromParser, field: number, mem: TupleMemory, at: number): number {
  const value = plainInteger(parser.data, parser.start[field]!, parser.end[field]!);
  if (value < 0) return NOT_PLAIN;
  while ((at & 3) !== 0) mem.u8[at++] = 0;
  mem.i32[at >>> 2] = value;
  return at + 4;
}

/** Up to nine decimal digits; -1 leaves it to int4in. */
function plainInteger(data: Uint8Array, from: number, to: number): number {
  if (to - from > 9 || to === from) return -1;
  let value = 0;
  for (let at = from; at < to; at++) {
    const digit = data[at]! - 0x30;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}
