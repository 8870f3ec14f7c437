/**
 * Enum types: a value is the OID of its pg_enum row. Values with even OIDs were born with the type,
 * in order; odd ones were added later, and only their sort position tells where they belong.
 */
import { ENUMOID, ENUMTYPOIDNAME } from '@pgtroupe/catalog/syscache';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { Datum } from '@pgtroupe/common/datum';
import type { Oid } from '@pgtroupe/common/ids';
import { typeFacts } from './cache/typcache.ts';
import type { FunctionCall, FunctionTable } from './fmgr.ts';
import { stringToText, textToString } from './mb/mbutils.ts';
import { buildArray } from './arrayutils.ts';
import { recvText } from './varlena.ts';
import { formatType } from './format_type.ts';
import { cachesOf } from './namespace.ts';
import type { Form_pg_enum } from '@pgtroupe/catalog/catalogs/pg_enum';

type Bytes = Uint8Array;

function labels(fc: FunctionCall, type: Oid): readonly Form_pg_enum[] {
  return cachesOf(fc)
    .searchList(ENUMTYPOIDNAME, type)
    .toSorted((a, b) => a.enumsortorder - b.enumsortorder);
}

function readEnum(fc: FunctionCall, text: Bytes, type: Oid): number {
  const name = textToString(text);
  const found = labels(fc, type).find(l => l.enumlabel === name);
  // A type that is no type (a call by hand).
  if (!found) typeFacts(fc, type);
  if (!found)
    throw ereport(
      ERRCODE.INVALID_TEXT_REPRESENTATION,
      `invalid input value for enum ${formatType(fc, type)}: "${name}"`,
    );
  return safeToUse(fc, type, found);
}

/** A label may outlive a rollback in an index: it is not handed out before it is committed. */
function safeToUse(fc: FunctionCall, type: Oid, label: Form_pg_enum): number {
  if (fc.settings.uncommittedEnums?.has(label.oid))
    throw ereport(
      ERRCODE.UNSAFE_NEW_ENUM_VALUE_USAGE,
      `unsafe use of new value "${label.enumlabel}" of enum type ${formatType(fc, type)}`,
      { hint: 'New enum values must be committed before they can be used.' },
    );
  return label.oid;
}

function printEnum(fc: FunctionCall, value: number): Bytes {
  const found = labels(fc, fc.argTypes[0]).find(l => l.oid === value);
  if (!found) throw ereport(ERRCODE.INVALID_BINARY_REPRESENTATION, `invalid internal value for enum: ${value}`);
  return stringToText(found.enumlabel);
}

function compareEnum(fc: FunctionCall, a: number, b: number): number {
  if (a === b) return 0;
  if (a % 2 === 0 && b % 2 === 0) return a < b ? -1 : 1;
  let orders = fc.extra as ReadonlyMap<number, number> | undefined;
  if (orders?.has(a) !== true || !orders.has(b)) fc.extra = orders = sortOrders(fc, a);
  return orders.get(a)! < orders.get(b)! ? -1 : 1;
}

/** Of the type that a label belongs to: who sorts or keeps an index knows no more than "an enum". */
function sortOrders(fc: FunctionCall, label: number): ReadonlyMap<number, number> {
  const row = cachesOf(fc).search(ENUMOID, label as Oid);
  if (row === null) throw ereport(ERRCODE.INVALID_BINARY_REPRESENTATION, `invalid internal value for enum: ${label}`);
  return new Map(labels(fc, row.enumtypid).map(({ oid, enumsortorder }) => [oid, enumsortorder]));
}

/** The type of first/last/range: their argument's, which may be a null. */
function enumType(fc: FunctionCall): Oid {
  const type = fc.argTypes[0];
  if (!type) throw ereport(ERRCODE.FEATURE_NOT_SUPPORTED, 'could not determine actual enum type');
  return type;
}

function endpoint(fc: FunctionCall, last: boolean): number {
  const all = labels(fc, enumType(fc));
  const found = last ? all[all.length - 1] : all[0];
  if (!found)
    throw ereport(ERRCODE.OBJECT_NOT_IN_PREREQUISITE_STATE, `enum ${formatType(fc, enumType(fc))} contains no values`);
  return safeToUse(fc, enumType(fc), found);
}

function range(fc: FunctionCall, from: number | null, to: number | null): Bytes {
  const type = enumType(fc);
  const all = labels(fc, type);
  const start = from === null ? 0 : all.findIndex(l => l.oid === from);
  const end = to === null ? all.length - 1 : all.findIndex(l => l.oid === to);
  return buildArray(start < 0 ? [] : all.slice(start, end + 1).map(l => safeToUse(fc, type, l)), typeFacts(fc, type));
}

export const enumFunctions: FunctionTable = {
  enum_in: readEnum,
  enum_out: printEnum,
  enum_recv: (fc: FunctionCall, bytes: Bytes, type: Oid) => readEnum(fc, recvText(bytes), type),
  enum_send: printEnum,
  enum_eq: (_fc: FunctionCall, a: number, b: number) => a === b,
  enum_ne: (_fc: FunctionCall, a: number, b: number) => a !== b,
  enum_lt: (fc: FunctionCall, a: number, b: number) => compareEnum(fc, a, b) < 0,
  enum_le: (fc: FunctionCall, a: number, b: number) => compareEnum(fc, a, b) <= 0,
  enum_gt: (fc: FunctionCall, a: number, b: number) => compareEnum(fc, a, b) > 0,
  enum_ge: (fc: FunctionCall, a: number, b: number) => compareEnum(fc, a, b) >= 0,
  enum_cmp: compareEnum,
  enum_larger: (fc: FunctionCall, a: number, b: number) => (compareEnum(fc, a, b) > 0 ? a : b),
  enum_smaller: (fc: FunctionCall, a: number, b: number) => (compareEnum(fc, a, b) < 0 ? a : b),
  enum_first: (fc: FunctionCall, _value: Datum) => endpoint(fc, false),
  enum_last: (fc: FunctionCall, _value: Datum) => endpoint(fc, true),
  enum_range_all: (fc: FunctionCall, _value: Datum) => range(fc, null, null),
  enum_range_bounds: range,
};
