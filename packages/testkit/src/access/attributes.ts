/**
 * Descriptors for tests: `describe('int4', 'text')` is the TupleDesc of a table with such columns.
 */
import { assert } from '@pgtroupe/common/assert';
import type { Oid } from '@pgtroupe/common/ids';
import type { Attribute, TupleDesc } from '@pgtroupe/access/common/tupdesc';

type Shape = readonly [
  typid: number,
  len: number,
  byval: boolean,
  align: Attribute['align'],
  storage: Attribute['storage'],
];

const TYPES: Readonly<Record<string, Shape>> = {
  bool: [16, 1, true, 'c', 'p'],
  bytea: [17, -1, false, 'i', 'x'],
  char: [18, 1, true, 'c', 'p'],
  name: [19, 64, false, 'c', 'p'],
  int8: [20, 8, true, 'd', 'p'],
  int2: [21, 2, true, 's', 'p'],
  int4: [23, 4, true, 'i', 'p'],
  text: [25, -1, false, 'i', 'x'],
  oid: [26, 4, true, 'i', 'p'],
  tid: [27, 6, false, 's', 'p'],
  oidvector: [30, -1, false, 'i', 'p'],
  float4: [700, 4, true, 'i', 'p'],
  float8: [701, 8, true, 'd', 'p'],
  bpchar: [1042, -1, false, 'i', 'x'],
  timestamptz: [1184, 8, true, 'd', 'p'],
  numeric: [1700, -1, false, 'i', 'm'],
  uuid: [2950, 16, false, 'c', 'p'],
  pg_lsn: [3220, 8, true, 'd', 'p'],
  cstring: [2275, -2, false, 'c', 'p'],
};

export const TYPE_NAMES = Object.keys(TYPES);

export function attributeOf(typeName: string, name = typeName): Attribute {
  const shape = TYPES[typeName];
  assert(shape !== undefined, `no type ${typeName} here`);
  const [typid, len, byval, align, storage] = shape;
  return {
    name,
    typid: typid as Oid,
    typmod: -1,
    len,
    byval,
    align,
    storage,
    notNull: false,
    dropped: false,
    collation: 0 as Oid,
    hasDefault: false,
  };
}

export function describeRow(...typeNames: readonly string[]): TupleDesc {
  return { attrs: typeNames.map((typeName, i) => attributeOf(typeName, `c${i}`)) };
}
