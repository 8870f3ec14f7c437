/**
 * A btree's file built in memory from all of its entries.
 */
import type { TupleDesc } from '@pgtroupe/access/common/tupdesc';
import { BTIndex } from '@pgtroupe/access/nbtree/btindex';
import { BTBuild } from '@pgtroupe/access/nbtree/nbtsort';
import type { Compare } from '@pgtroupe/access/nbtree/nbtcompare';
import type { ItemPointer } from '@pgtroupe/catalog/catalog';
import { pgAmproc } from '@pgtroupe/catalog/catalogs/pg_amproc';
import type { Form_pg_index } from '@pgtroupe/catalog/catalogs/pg_index';
import { pgOpclass } from '@pgtroupe/catalog/catalogs/pg_opclass';
import { pgProc } from '@pgtroupe/catalog/catalogs/pg_proc';
import { factRows } from '@pgtroupe/catalog/facts';
import { assert } from '@pgtroupe/common/assert';
import type { Datum } from '@pgtroupe/common/datum';
import { BLCKSZ } from '@pgtroupe/common/ids';
import type { Oid } from '@pgtroupe/common/ids';
import { pageMemory, pageSetChecksum } from '@pgtroupe/storage/page/bufpage';

export interface IndexEntry {
  readonly values: readonly Datum[];
  readonly tid: ItemPointer;
}

const BTORDER_PROC = 1;

/** Comparison functions (pg_proc.prosrc) of operator classes, from the facts. */
export class IndexFacts {
  readonly #opclasses = new Map(factRows(pgOpclass).map(o => [o.oid, o]));
  readonly #procs = new Map(
    factRows(pgAmproc)
      .filter(p => p.amprocnum === BTORDER_PROC && p.amproclefttype === p.amprocrighttype)
      .map(p => [`${p.amprocfamily} ${p.amproclefttype}`, p.amproc]),
  );
  readonly #sources = new Map(factRows(pgProc).map(p => [p.oid, p.prosrc]));

  orderProc(opclass: Oid): string {
    const { opcfamily, opcintype } = this.#opclasses.get(opclass)!;
    const proc = this.#procs.get(`${opcfamily} ${opcintype}`);
    assert(proc !== undefined, `operator class ${opclass} has a comparison function`);
    return this.#sources.get(proc)!;
  }
}

export function buildIndexFile(
  facts: IndexFacts,
  form: Form_pg_index,
  att: TupleDesc,
  entries: readonly IndexEntry[],
): Uint8Array {
  const rnode = { spcNode: 0 as Oid, dbNode: 0 as Oid, relNode: form.indexrelid };
  const index = new BTIndex({
    rel: { rnode, targetBlock: -1 },
    name: String(form.indexrelid),
    tableName: String(form.indrelid),
    att,
    keys: form.indclass.map((opclass, n) => ({
      orderProc: facts.orderProc(opclass),
      option: form.indoption[n]!,
    })),
    unique: form.indisunique,
  });
  const pages: Uint8Array[] = [];
  const build = new BTBuild(index, (page, blkno) => {
    pages[blkno] = page.slice();
  });
  for (const { values, tid } of sorted(entries, index.compare)) build.add(values, tid.blk, tid.off);
  const file = new Uint8Array(BLCKSZ * build.finish());
  pages.forEach((page, blkno) => {
    pageSetChecksum(pageMemory(page), 0, blkno);
    file.set(page, BLCKSZ * blkno);
  });
  return file;
}

/** By key, nulls last (no catalog's index has another order), then by place in the heap. */
function sorted(entries: readonly IndexEntry[], compare: readonly Compare[]): IndexEntry[] {
  return entries.slice().sort((a, b) => {
    for (let i = 0; i < compare.length; i++) {
      const x = a.values[i]!;
      const y = b.values[i]!;
      const order = x === null || y === null ? Number(x === null) - Number(y === null) : compare[i]!(x, y);
      if (order !== 0) return order;
    }
    return a.tid.blk - b.tid.blk || a.tid.off - b.tid.off;
  });
}
