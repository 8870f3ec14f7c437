/**
 * VACUUM FULL (cluster_rel): a table, the table of its TOAST values and their indexes in new files, with what is alive
 * only; the old files go when the transaction commits, the new ones if it does not.
 */
import { HeapContext } from '@pgtroupe/access/heap/heapam-context';
import { pgClass } from '@pgtroupe/catalog/catalogs/pg_class';
import { storageParameter } from '@pgtroupe/catalog/relaccess';
import { NAMESPACEOID, RELOID } from '@pgtroupe/catalog/syscache';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import {
  FIRST_NORMAL_OBJECT_ID,
  type FullTransactionId,
  MAIN_FORKNUM,
  type Oid,
  type TransactionId,
  xidFromFull,
} from '@pgtroupe/common/ids';
import { notSupported } from '@pgtroupe/common/ereport';
import type { SmgrRelation } from '@pgtroupe/storage/buffer/pages';
import type { CommandContext } from './command-context.ts';
import type { CommandRunner } from './command-runner.ts';
import { rewriteHeap, type RewriteResult } from './rewriteheap.ts';
import { replaceFile } from './tablecmds.ts';
import { attempt } from './vacuuminplace.ts';
import type { VacuumOptions } from './vacuumoptions.ts';
import { openTarget, type Target } from './vacuumtarget.ts';

/** False: it was skipped, and the client has been told. */
export async function vacuumFull(runner: CommandRunner, target: Target, options: VacuumOptions): Promise<boolean> {
  const rel = await openTarget(runner, target, options, 'rmt');
  if (rel === undefined) return false;
  const { session } = runner;
  if (rel.oid < FIRST_NORMAL_OBJECT_ID) {
    if (target.name !== undefined) throw notSupported('VACUUM FULL of a system catalog');
    return false;
  }
  await runner.analysis.changeCatalogs('', async context => {
    const { w } = context;
    const schema = await w.search(NAMESPACEOID, rel.rel.relnamespace);
    const name = `"${schema?.nspname}.${rel.name}"`;
    const info = (message: string, detail?: string): void => {
      if (options.verbose) session.notice('INFO', ERRCODE.SUCCESSFUL_COMPLETION, message, { detail });
    };
    info(`vacuuming ${name}`);
    if (rel.rel.reltoastrelid !== 0) await rewriteRelation(runner, context, rel.rel.reltoastrelid);
    const done = await rewriteRelation(runner, context, rel.oid);
    info(
      `${name}: found ${done.removed} removable, ${done.rows + done.recentlyDead} nonremovable row versions in ${done.oldBlocks} pages`,
      `${done.recentlyDead} dead row versions cannot be removed yet.`,
    );
  });
  return true;
}

async function rewriteRelation(runner: CommandRunner, context: CommandContext, oid: Oid): Promise<RewriteResult> {
  const { session } = runner;
  const { kernel } = session.instance;
  const { w } = context;
  const old = await w.relation(oid);
  const indexes = await w.read(() => old.indexes);
  const { oldestXmin } = kernel.shared;
  const { oldest: oldestMulti } = await kernel.multixacts.horizon();
  await replaceFile(context, old);
  for (const index of indexes) await replaceFile(context, index.rel);
  w.commandCounterIncrement();
  const fresh = await w.relation(oid);
  const heap = new HeapContext(kernel.pages, kernel.wal, session.block.tx);
  const done = await rewriteHeap(session, heap, {
    from: old.smgr,
    to: fresh.smgr,
    fillfactor: Number(storageParameter(old, 'fillfactor') ?? 100),
    oldestXmin: xidFromFull(oldestXmin as FullTransactionId),
    oldestMulti,
  });
  await cutOff(runner, fresh.smgr, done.blocks);
  const sizes = new Map<Oid, number>();
  for (const index of await w.read(() => fresh.indexes)) {
    const { indexPages } = await w.store.buildIndex(fresh, index);
    await cutOff(runner, index.rel.smgr, indexPages);
    sizes.set(index.rel.oid, indexPages);
  }
  await w.update(pgClass, (await w.search(RELOID, oid))!, {
    relpages: done.blocks,
    reltuples: done.rows,
    relallvisible: 0,
    relfrozenxid: done.relfrozenxid,
    relminmxid: done.relminmxid as TransactionId,
  });
  for (const [index, relpages] of sizes)
    await w.update(pgClass, (await w.search(RELOID, index))!, { relpages, reltuples: done.rows });
  w.commandCounterIncrement();
  return done;
}

/** Files are extended ahead of need; of these nothing more is needed. */
async function cutOff({ session }: CommandRunner, smgr: SmgrRelation, blocks: number): Promise<void> {
  const { kernel } = session.instance;
  const there = await attempt(session, () => kernel.pages.nblocks(smgr, MAIN_FORKNUM));
  if (there > blocks) await kernel.smgrTruncate(smgr.rnode, MAIN_FORKNUM, blocks);
}
