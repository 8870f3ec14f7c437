/**
 * Composite values (records): reading, building, text and binary I/O, comparison.
 *
 * Payload (a heap tuple header after the length word): 0 int32 typmod   4 oid type   8 tid (unused)
 * 14 uint16 infomask2: number of attributes   16 uint16 infomask: bit 0 nulls   18 uint8 hoff
 * 19 null bitmap; the columns begin at hoff, counted from the varlena's start.
 */
import { ATTNUM } from '@pgtroupe/catalog/syscache';
import { INT4OID, RECORDOID } from '@pgtroupe/common/oids';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';
import type { Datum } from '@pgtroupe/common/datum';
import { maxAlign, type Oid } from '@pgtroupe/common/ids';
import {
  baseType,
  builtin,
  comparator,
  equality,
  inputFunction,
  outputFunction,
  receiveFunction,
  sendFunction,
  typeFacts,
} from './cache/typcache.ts';
import { type FunctionCall, type FunctionTable, nestedCall } from './fmgr.ts';
import { ByteBuilder, stringBufferFull } from './mb/bytebuilder.ts';
import { allocBytes, MAX_ALLOC_SIZE, textToString } from './mb/mbutils.ts';
import { readAligned, storageForm, type TypeLayout, writeAligned } from './arrayutils.ts';
import { formatType } from './format_type.ts';
import { catalogOf } from './namespace.ts';
import { mayBeType, receivePart, viewOf, WireReader } from './pqwire.ts';
import { joinBytes } from './textfuncs.ts';
import { builtinTypes } from './cache/builtin_types.ts';
import type { AttributeFacts, FunctionCatalog, TypeFacts } from './cache/functioncatalog.ts';

type Bytes = Uint8Array;

const OPENING = 40;
const CLOSING = 41;
const COMMA = 44;
const DOUBLE_QUOTE = 34;
const BACKSLASH = 92;

const VARHDRSZ = 4;
const HEADER = 19;
const HEAP_HASNULL = 1;
const NATTS_MASK = 0x07ff;

export interface RecordColumn {
  readonly name: string;
  readonly type: Oid;
  readonly typmod: number;
  readonly dropped: boolean;
  /** How a value is stored. */
  readonly layout: TypeLayout;
}

export interface RecordField extends RecordColumn {
  readonly value: Datum;
}

/** Columns of a composite type, dropped ones included; of an anonymous record by its typmod. */
export function recordColumns(fc: FunctionCall, type: Oid, typmod: number): readonly RecordColumn[] {
  const catalog = catalogOf(fc);
  const rel = (type as number) === RECORDOID ? undefined : rowType(fc, type).typrelid;
  const attributes =
    rel === undefined ? catalog.recordTypes.columns(typmod) : rel === 0 ? undefined : columnsOf(catalog, rel);
  if (attributes === undefined)
    throw ereport(
      ERRCODE.WRONG_OBJECT_TYPE,
      rel === undefined ? 'record type has not been registered' : `type ${formatType(fc, type)} is not composite`,
    );
  return attributes.map(a => ({
    name: a.attname,
    type: a.atttypid,
    typmod: a.atttypmod,
    dropped: a.attisdropped,
    layout: { typlen: a.attlen, typbyval: a.attbyval, typalign: a.attalign, typoutput: '' },
  }));
}

/** What a call by hand names may be no type at all. */
function rowType(fc: FunctionCall, oid: Oid): TypeFacts {
  const type = builtinTypes().get(oid) ?? catalogOf(fc).type(oid);
  if (!type) throw ereport(ERRCODE.UNDEFINED_OBJECT, `type with OID ${oid} does not exist`);
  return type;
}

function columnsOf(catalog: FunctionCatalog, relation: Oid): readonly AttributeFacts[] {
  return catalog
    .caches()
    .searchList(ATTNUM, relation)
    .filter(a => a.attnum > 0)
    .map(a => ({ ...a, attalign: a.attalign as AttributeFacts['attalign'] }))
    .sort((a, b) => a.attnum - b.attnum);
}

/** A record's columns with their values, dropped ones left out. Bytes are views. */
export function recordFields(fc: FunctionCall, record: Bytes): RecordField[] {
  const view = viewOf(record);
  const columns = recordColumns(fc, view.getUint32(4, true) as Oid, view.getInt32(0, true));
  const stored = view.getUint16(14, true) & NATTS_MASK;
  const hasNulls = (view.getUint16(16, true) & HEAP_HASNULL) !== 0;
  let at = record[18] - VARHDRSZ;
  const out: RecordField[] = [];
  columns.forEach((column, i) => {
    let value: Datum = null;
    if (i < stored && !(hasNulls && (record[HEADER + (i >> 3)] & (1 << (i & 7))) === 0)) {
      // A dropped column's value is passed over.
      const type = column.dropped ? column.layout : typeFacts(fc, column.type);
      const read = readAligned(record, view, at, type, storageForm(type));
      value = read.value;
      at = read.end;
    }
    if (!column.dropped) out.push({ ...column, value });
  });
  return out;
}

/** Builds a record of a type; one value per column, dropped ones null. */
export function formRecord(
  fc: FunctionCall,
  type: Oid,
  typmod: number,
  columns: readonly RecordColumn[],
  values: readonly Datum[],
): Bytes {
  const hasNulls = values.includes(null);
  const hoff = maxAlign(HEADER + VARHDRSZ + (hasNulls ? (values.length + 7) >> 3 : 0));
  const types = columns.map(c => (c.dropped ? c.layout : typeFacts(fc, c.type)));
  let end = hoff - VARHDRSZ;
  values.forEach((value, i) => {
    if (value !== null) end = writeAligned(undefined, end, types[i], storageForm(types[i]), value);
  });
  const out = new Uint8Array(end);
  const view = viewOf(out);
  view.setInt32(0, typmod, true);
  view.setUint32(4, type, true);
  view.setUint16(8, 0xffff, true);
  view.setUint16(10, 0xffff, true);
  view.setUint16(14, values.length, true);
  view.setUint16(16, hasNulls ? HEAP_HASNULL : 0, true);
  out[18] = hoff;
  let at = hoff - VARHDRSZ;
  values.forEach((value, i) => {
    if (value === null) return;
    if (hasNulls) out[HEADER + (i >> 3)] |= 1 << (i & 7);
    at = writeAligned(out, at, types[i], storageForm(types[i]), value);
  });
  return out;
}

const malformed = (text: Bytes, detail: string): PgError =>
  ereport(ERRCODE.INVALID_TEXT_REPRESENTATION, `malformed record literal: "${textToString(text)}"`, { detail });

/** (a,"b c",,) into its columns' texts; nothing between commas is null. */
function parseRecordText(text: Bytes, count: number): (Bytes | null)[] {
  let at = 0;
  const space = (): void => {
    while (text[at] === 32 || (text[at] >= 9 && text[at] <= 13)) at++;
  };
  space();
  if (text[at++] !== 40) throw malformed(text, 'Missing left parenthesis.');
  const out: (Bytes | null)[] = [];
  for (let i = 0; i < count; i++) {
    if (i > 0) {
      if (text[at] !== 44) throw malformed(text, 'Too few columns.');
      at++;
    }
    if (text[at] === 44 || text[at] === 41) {
      out.push(null);
      continue;
    }
    const bytes: number[] = [];
    let quoted = false;
    for (; quoted || (text[at] !== 44 && text[at] !== 41); at++) {
      if (at >= text.length) throw malformed(text, 'Unexpected end of input.');
      const c = text[at];
      if (c === 92) {
        if (++at >= text.length) throw malformed(text, 'Unexpected end of input.');
        bytes.push(text[at]);
      } else if (c === 34) {
        if (!quoted) quoted = true;
        else if (text[at + 1] === 34) {
          bytes.push(34);
          at++;
        } else quoted = false;
      } else bytes.push(c);
    }
    out.push(Uint8Array.from(bytes));
  }
  if (text[at] !== 41) throw malformed(text, 'Too many columns.');
  at++;
  space();
  if (at < text.length) throw malformed(text, 'Junk after right parenthesis.');
  return out;
}

function readRecord(fc: FunctionCall, text: Bytes, type: Oid, typmod: number): Bytes {
  if ((type as number) === RECORDOID && typmod < 0)
    throw ereport(ERRCODE.FEATURE_NOT_SUPPORTED, 'input of anonymous composite types is not implemented');
  const columns = recordColumns(fc, type, typmod);
  const live = columns.filter(c => !c.dropped);
  const texts = parseRecordText(text, live.length);
  let next = 0;
  const values = columns.map(c => {
    if (c.dropped) return null;
    const field = texts[next++];
    return field === null ? null : inputFunction(fc, c.type)(field, c.typmod);
  });
  return formRecord(fc, type, typmod, columns, values);
}

/** Each record around a record doubles its quotes: with more of them around it no text is short enough. */
const MOST_NESTED = 31;
let nested = 0;

function printRecord(fc: FunctionCall, record: Bytes): Bytes {
  if (nested >= MOST_NESTED) throw stringBufferFull(MAX_ALLOC_SIZE - 1, 1);
  nested++;
  try {
    const out = new ByteBuilder();
    out.byte(OPENING);
    recordFields(fc, record).forEach((field, n) => {
      if (n > 0) out.byte(COMMA);
      if (field.value !== null) printField(out, outputFunction(fc, field.type)(field.value));
    });
    out.byte(CLOSING);
    return out.toBytes();
  } finally {
    nested--;
  }
}

function printField(out: ByteBuilder, text: Bytes): void {
  let quoted = text.length === 0;
  let doubled = 0;
  for (let i = 0; i < text.length; i++) {
    const byte = text[i];
    if (byte === DOUBLE_QUOTE || byte === BACKSLASH) doubled++;
    quoted ||= isSpecial(byte);
  }
  if (!quoted) return out.append(text);
  out.byte(DOUBLE_QUOTE);
  out.append(doubled === 0 ? text : withDoubled(text, doubled));
  out.byte(DOUBLE_QUOTE);
}

function withDoubled(text: Bytes, doubled: number): Bytes {
  const length = text.length + doubled;
  if (length >= MAX_ALLOC_SIZE) throw stringBufferFull(text.length, doubled);
  const out = allocBytes(length);
  let to = 0;
  for (let i = 0; i < text.length; i++) {
    const byte = text[i];
    out[to++] = byte;
    if (byte === DOUBLE_QUOTE || byte === BACKSLASH) out[to++] = byte;
  }
  return out;
}

function isSpecial(byte: number): boolean {
  return (
    byte === DOUBLE_QUOTE ||
    byte === BACKSLASH ||
    byte === OPENING ||
    byte === CLOSING ||
    byte === COMMA ||
    byte === 32 ||
    (byte >= 9 && byte <= 13)
  );
}

function sendRecord(fc: FunctionCall, record: Bytes): Bytes {
  const fields = recordFields(fc, record);
  const int = (n: number): Bytes => {
    const out = new Uint8Array(4);
    viewOf(out).setInt32(0, n);
    return out;
  };
  const parts = [int(fields.length)];
  for (const f of fields) {
    parts.push(int(f.type));
    if (f.value === null) parts.push(int(-1));
    else {
      const bytes = sendFunction(fc, f.type)(f.value);
      parts.push(int(bytes.length), bytes);
    }
  }
  return joinBytes(parts);
}

function receiveRecord(fc: FunctionCall, bytes: Bytes, type: Oid, typmod: number): Bytes {
  if ((type as number) === RECORDOID && typmod < 0)
    throw ereport(ERRCODE.FEATURE_NOT_SUPPORTED, 'input of anonymous composite types is not implemented');
  const columns = recordColumns(fc, type, typmod);
  const reader = new WireReader(bytes);
  const count = reader.int32();
  const live = columns.filter(c => !c.dropped).length;
  if (count !== live) throw ereport(ERRCODE.DATATYPE_MISMATCH, `wrong number of columns: ${count}, expected ${live}`);
  const values = columns.map((c, i) => {
    if (c.dropped) return null;
    const sent = reader.uint32();
    if (!mayBeType(sent, c.type)) {
      throw ereport(
        ERRCODE.DATATYPE_MISMATCH,
        `binary data has type ${sent} (${formatType(fc, sent as Oid)}) instead of expected ${c.type} (${formatType(fc, c.type)}) in record column ${i + 1}`,
      );
    }
    const length = reader.int32();
    if (length === -1) return null;
    if (length < 0 || length > reader.remaining)
      throw ereport(ERRCODE.INVALID_BINARY_REPRESENTATION, 'insufficient data left in message');
    const value = reader.bytes(length);
    return receivePart(() => receiveFunction(fc, c.type)(value, c.typmod), `record column ${i + 1}`);
  });
  reader.done();
  return formRecord(fc, type, typmod, columns, values);
}

/** Columns of both sides in pairs; types must agree. */
function* pairs(fc: FunctionCall, a: Bytes, b: Bytes): Generator<[RecordField, RecordField]> {
  const x = recordFields(fc, a);
  const y = recordFields(fc, b);
  for (let i = 0; i < Math.min(x.length, y.length); i++) {
    if (x[i].type !== y[i].type) {
      throw ereport(
        ERRCODE.DATATYPE_MISMATCH,
        `cannot compare dissimilar column types ${formatType(fc, x[i].type)} and ${formatType(fc, y[i].type)} at record column ${i + 1}`,
      );
    }
    yield [x[i], y[i]];
  }
  if (x.length !== y.length)
    throw ereport(ERRCODE.DATATYPE_MISMATCH, 'cannot compare record types with different numbers of columns');
}

function compareRecords(fc: FunctionCall, a: Bytes, b: Bytes): number {
  for (const [x, y] of pairs(fc, a, b)) {
    if (x.value === null || y.value === null) {
      if (x.value === y.value) continue;
      return x.value === null ? 1 : -1;
    }
    const compare = comparator(fc, x.type);
    if (!compare)
      throw ereport(
        ERRCODE.UNDEFINED_FUNCTION,
        `could not identify a comparison function for type ${formatType(fc, x.type)}`,
      );
    const order = compare(x.value, y.value);
    if (order !== 0) return order < 0 ? -1 : 1;
  }
  return 0;
}

function equalRecords(fc: FunctionCall, a: Bytes, b: Bytes): boolean {
  let same = true;
  for (const [x, y] of pairs(fc, a, b)) {
    if (!same) continue;
    if (x.value === null || y.value === null) same = x.value === y.value;
    else {
      const equal = equality(fc, x.type);
      if (!equal)
        throw ereport(
          ERRCODE.UNDEFINED_FUNCTION,
          `could not identify an equality operator for type ${formatType(fc, x.type)}`,
        );
      same = equal(x.value, y.value);
    }
  }
  return same;
}

function hashRecord(fc: FunctionCall, record: Bytes): number {
  let result = 0;
  for (const { type, value } of recordFields(fc, record)) {
    const { hash } = baseType(fc, type);
    // Of an anonymous row PostgreSQL does not know beforehand whether its parts can be hashed.
    if (hash === '' || (type as number) === RECORDOID)
      throw ereport(ERRCODE.UNDEFINED_FUNCTION, `could not identify a hash function for type ${formatType(fc, type)}`);
    const ofField = value === null ? 0 : (builtin(hash)(nestedCall(fc, [type], INT4OID as Oid), value) as number);
    result = (Math.imul(result, 31) + ofField) | 0;
  }
  return result;
}

export const rowtypeFunctions: FunctionTable = {
  record_in: readRecord,
  record_out: printRecord,
  record_recv: receiveRecord,
  record_send: sendRecord,
  record_eq: equalRecords,
  record_ne: (fc: FunctionCall, a: Bytes, b: Bytes) => !equalRecords(fc, a, b),
  record_lt: (fc: FunctionCall, a: Bytes, b: Bytes) => compareRecords(fc, a, b) < 0,
  record_le: (fc: FunctionCall, a: Bytes, b: Bytes) => compareRecords(fc, a, b) <= 0,
  record_gt: (fc: FunctionCall, a: Bytes, b: Bytes) => compareRecords(fc, a, b) > 0,
  record_ge: (fc: FunctionCall, a: Bytes, b: Bytes) => compareRecords(fc, a, b) >= 0,
  btrecordcmp: compareRecords,
  hash_record: hashRecord,
};
