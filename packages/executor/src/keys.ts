/**
 * Comparing, ordering and hashing values by the operators a plan names. Numbers and plain bytes are
 * treated here, everything else by the type's functions.
 */
import { HASH_AM_OID, BOOLOID } from '@pgtroupe/common/oids';
import { AMOPOPID, AMPROCNUM } from '@pgtroupe/catalog/syscache';
import type { Datum } from '@pgtroupe/common/datum';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import { getOperator, getProc, orderingOpProperties } from '@pgtroupe/optimizer/lsyscache';
import type { EState } from './estate.ts';
import { indeterminateCollation } from '@pgtroupe/adt/pg_locale';
import { binaryFunction, makeCall, procFunction } from './execExpr.ts';
import { compareBytes } from '@pgtroupe/adt/mb/mbutils';
import { sameBytes } from './execExprInline.ts';

export type Equal = (a: Datum, b: Datum) => boolean;
export type Compare = (a: Datum, b: Datum) => number;
export type Hash = (value: Datum) => number;

/** prosrc of equality functions that compare numbers as JavaScript does. */
const NUMBER_EQUALITY: ReadonlySet<string> = new Set([
  'int2eq',
  'int4eq',
  'int8eq',
  'int24eq',
  'int42eq',
  'int28eq',
  'int82eq',
  'int48eq',
  'int84eq',
  'oideq',
  'date_eq',
  'timestamp_eq',
  'time_eq',
  'booleq',
  'chareq',
  'xideq',
  'cideq',
  'enum_eq',
  'cash_eq',
]);
const BYTES_EQUALITY: ReadonlySet<string> = new Set([
  'texteq',
  'byteaeq',
  'nameeq',
  'nameeqtext',
  'texteqname',
  'uuid_eq',
  'tideq',
]);

const numbersEqual: Equal = (a, b) => a === b;
const bytesEqual: Equal = (a, b) => sameBytes(a as Uint8Array, b as Uint8Array);

/** Equality of non-null values by an `=` operator. */
export function equalityOf(est: EState, opno: number, collation: number): Equal {
  const op = getOperator(est.env.rows, opno);
  const { prosrc } = getProc(est.env.rows, op.oprcode);
  if (NUMBER_EQUALITY.has(prosrc)) return numbersEqual;
  if (BYTES_EQUALITY.has(prosrc)) return indeterminateCollation(prosrc, collation) ?? bytesEqual;
  const call = binaryFunction(est, op.oprcode, [op.oprleft, op.oprright], BOOLOID, collation);
  return (a, b) => call(a, b) === true;
}

/** For grouping: nulls are equal to each other. */
export function notDistinct(equal: Equal): Equal {
  return (a, b) => (a === null || b === null ? a === b : equal(a, b));
}

const NUMBER_ORDER: ReadonlySet<string> = new Set([
  'btint2cmp',
  'btint4cmp',
  'btint8cmp',
  'btoidcmp',
  'btboolcmp',
  'btcharcmp',
  'date_cmp',
  'timestamp_cmp',
  'time_cmp',
  'btint48cmp',
  'btint84cmp',
  'btint24cmp',
  'btint42cmp',
  'btint28cmp',
  'btint82cmp',
  'cash_cmp',
]);
const BYTES_ORDER: ReadonlySet<string> = new Set([
  'bttextcmp',
  'byteacmp',
  'btnamecmp',
  'uuid_cmp',
  'bttext_pattern_cmp',
  'btnametextcmp',
  'bttextnamecmp',
]);

const compareNumbers: Compare = (a, b) => ((a as number) < (b as number) ? -1 : (a as number) > (b as number) ? 1 : 0);

const SPACE = 32;

/** Length without the spaces that pad a char(n). */
export function unpaddedLength(bytes: Uint8Array, from: number, length: number): number {
  let n = length;
  while (n > 0 && bytes[from + n - 1] === SPACE) n--;
  return n;
}

function withoutPadding(value: Uint8Array): Uint8Array {
  const n = unpaddedLength(value, 0, value.length);
  return n === value.length ? value : value.subarray(0, n);
}

export interface SortKey {
  readonly compare: Compare;
  readonly desc: boolean;
  readonly nullsFirst: boolean;
  /** How the first 4 bytes of order are made from a value. */
  readonly kind: 'int32' | 'int64' | 'bytes' | 'bpchar' | 'other';
}

const INT32_ORDER: ReadonlySet<string> = new Set(['btint2cmp', 'btint4cmp', 'date_cmp']);

/** A column's order by its ordering operator. */
export function sortKey(est: EState, sortop: number, collation: number, nullsFirst: boolean): SortKey {
  const order = orderingOpProperties(est.env.rows, sortop);
  if (order === undefined) throw ereport(ERRCODE.INTERNAL_ERROR, `operator ${sortop} is not a valid ordering operator`);
  const support = est.env.rows.search(AMPROCNUM, order.opfamily, order.opcintype, order.opcintype, 1);
  if (support === null)
    throw ereport(
      ERRCODE.INTERNAL_ERROR,
      `missing support function 1 for type ${order.opcintype} in opfamily ${order.opfamily}`,
    );
  const { prosrc } = getProc(est.env.rows, support.amproc);
  const base = { desc: order.desc, nullsFirst };
  const refusal = indeterminateCollation(prosrc, collation);
  if (refusal !== undefined) return { ...base, compare: refusal, kind: 'other' };
  if (NUMBER_ORDER.has(prosrc))
    return {
      ...base,
      compare: compareNumbers,
      kind: INT32_ORDER.has(prosrc)
        ? 'int32'
        : prosrc === 'btboolcmp' || prosrc === 'btcharcmp' || prosrc === 'btoidcmp'
          ? 'other'
          : 'int64',
    };
  if (BYTES_ORDER.has(prosrc))
    return { ...base, compare: (a, b) => compareBytes(a as Uint8Array, b as Uint8Array), kind: 'bytes' };
  if (prosrc === 'bpcharcmp')
    return {
      ...base,
      compare: (a, b) => compareBytes(withoutPadding(a as Uint8Array), withoutPadding(b as Uint8Array)),
      kind: 'bpchar',
    };
  const call = binaryFunction(est, support.amproc, [order.opcintype, order.opcintype], 23, collation);
  return { ...base, compare: (a, b) => call(a, b) as number, kind: 'other' };
}

/** Order of two values under a key, nulls included. */
export function compareUnder(key: SortKey, a: Datum, b: Datum): number {
  if (a === null || b === null) {
    if (a === b) return 0;
    return (a === null) === key.nullsFirst ? -1 : 1;
  }
  const c = key.compare(a, b);
  return key.desc ? -c : c;
}

// ---- hashing -----------------------------------------------------------------------------------------

function hashInt(value: number): number {
  let h = Math.imul(value, 0x9e3779b1);
  h ^= h >>> 15;
  h = Math.imul(h, 0x85ebca6b);
  return h ^ (h >>> 13);
}

function hashNumber(value: Datum): number {
  if (typeof value === 'number') {
    if (value === (value | 0)) return hashInt(value);
    return hashInt((value | 0) ^ hashInt(Math.floor(value / 0x100000000) | 0));
  }
  if (typeof value === 'boolean') return hashInt(value ? 1 : 0);
  const wide = BigInt.asIntN(64, value as bigint);
  return hashInt(Number(BigInt.asIntN(32, wide)) ^ hashInt(Number(BigInt.asIntN(32, wide >> 32n))));
}

function hashBytes(value: Datum): number {
  const bytes = value as Uint8Array;
  let h = 0x811c9dc5 | 0;
  for (let i = 0; i < bytes.length; i++) h = Math.imul(h ^ bytes[i]!, 0x01000193);
  return h ^ (h >>> 15);
}

const NUMBER_HASH: ReadonlySet<string> = new Set([
  'hashint2',
  'hashint4',
  'hashint8',
  'hashoid',
  'hashchar',
  'hashenum',
  'timestamp_hash',
  'time_hash',
  'date_hash',
  'hashxid',
  'hashcid',
]);
const BYTES_HASH: ReadonlySet<string> = new Set(['hashtext', 'hashname', 'hashvarlena', 'uuid_hash', 'hashtid']);

/** Hashes of non-null values of an equality operator's left and right side: equal values hash alike. */
export function hashesOf(
  est: EState,
  opno: number,
  types: readonly [number, number],
  collation: number,
): readonly [Hash, Hash] {
  const { rows } = est.env;
  const amop = rows.searchList(AMOPOPID, opno).find(a => (a.amopmethod as number) === HASH_AM_OID);
  const one = (type: number, actual: number): Hash => {
    const support = amop && rows.search(AMPROCNUM, amop.amopfamily, type, type, 1);
    if (!support) throw ereport(ERRCODE.UNDEFINED_FUNCTION, `could not find hash function for hash operator ${opno}`);
    const { prosrc } = getProc(rows, support.amproc);
    if (NUMBER_HASH.has(prosrc)) return hashNumber;
    if (BYTES_HASH.has(prosrc)) return indeterminateCollation(prosrc, collation) ?? hashBytes;
    const fn = procFunction(getProc(rows, support.amproc), collation);
    const fc = makeCall(est, [actual], 23, collation);
    return value => hashInt(fn(fc, value) as number);
  };
  return [one(amop?.amoplefttype ?? 0, types[0]), one(amop?.amoprighttype ?? 0, types[1])];
}

/** For grouping by one column. */
export function hashOf(est: EState, opno: number, typid: number, collation: number): Hash {
  return hashesOf(est, opno, [typid, typid], collation)[0];
}
