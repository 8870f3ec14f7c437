/**
 * Row types of anonymous records: a record value carries a number (its typmod) that leads to its columns. The numbers
 * live as long as the session, whose values alone carry them: a record is stored in no table and in no plan.
 */
import type { TupleDesc } from '@pgtroupe/access/common/tupdesc';
import type { AttributeFacts } from './functioncatalog.ts';

export class RecordTypes {
  readonly #descs: TupleDesc[] = [];
  readonly #byShape = new Map<string, number>();

  /** The typmod for records of this shape. */
  assign(desc: TupleDesc): number {
    // A name may contain anything: its length says where it ends.
    const shape = desc.attrs.map(a => `${a.name.length} ${a.name} ${a.typid} ${a.typmod}`).join();
    let typmod = this.#byShape.get(shape);
    if (typmod === undefined) {
      typmod = this.#descs.length;
      this.#descs.push(desc);
      this.#byShape.set(shape, typmod);
    }
    return typmod;
  }

  desc(typmod: number): TupleDesc | undefined {
    return this.#descs[typmod];
  }

  /** The same as catalog facts. */
  columns(typmod: number): readonly AttributeFacts[] | undefined {
    return this.#descs[typmod]?.attrs.map((a, i) => ({
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
}
