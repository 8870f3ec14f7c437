/**
 * Row types of anonymous records: a record value carries a number (its typmod) that leads to its columns.
 * The numbers live as long as the process; record values are never stored in tables.
 */
import type { TupleDesc } from '@pgtroupe/access/common/tupdesc';
import type { AttributeFacts } from './functioncatalog.ts';

const descs: TupleDesc[] = [];
const byShape = new Map<string, number>();

/** The typmod for records of this shape. */
export function assignRecordTypmod(desc: TupleDesc): number {
  const shape = desc.attrs.map(a => `${a.name}:${a.typid}:${a.typmod}`).join(',');
  let typmod = byShape.get(shape);
  if (typmod === undefined) {
    typmod = descs.length;
    descs.push(desc);
    byShape.set(shape, typmod);
  }
  return typmod;
}

export function recordTypeDesc(typmod: number): TupleDesc | undefined {
  return descs[typmod];
}

/** The same as catalog facts, for FunctionCatalog. */
export function recordTypeColumns(typmod: number): readonly AttributeFacts[] | undefined {
  return descs[typmod]?.attrs.map((a, i) => ({
    attname: a.name,
    attnum: i + 1,
    atttypid: a.typid,
    atttypmod: a.typmod,
    attisdropped: a.dropped,
    attlen: a.len,
    attbyval: a.byval,
    attalign: a.align,
  }));
}
