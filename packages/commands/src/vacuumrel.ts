/**
 * VACUUM of one table (vacuum_rel, heap_vacuum_rel), its TOAST values included.
 */
import { VACUUM_DONE } from '@pgtroupe/access/common/indexvacuum';
import { HeapContext } from '@pgtroupe/access/heap/heapam-context';
import { LazyVacuum, type VacuumResult } from '@pgtroupe/access/heap/vacuumlazy';
import { vacuumableBTree } from '@pgtroupe/access/nbtree/nbtvacuum';
import type { Form_pg_class } from '@pgtroupe/catalog/catalogs/pg_class';
import { withCatalog } from '@pgtroupe/catalog/catalogmiss';
import { btIndexOf, heapOf, storageParameter } from '@pgtroupe/catalog/relaccess';
import type { RelationDesc } from '@pgtroupe/catalog/relcache';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { InstanceHeldXid } from '@pgtroupe/instance/held-xid';
import { parseBool } from '@pgtroupe/common/guc';
import { type Oid, type TransactionId, transactionIdPrecedes } from '@pgtroupe/common/ids';
import { multiXactIdPrecedes } from '@pgtroupe/transam/multixact';
import { countAllVisible, overwriteClassRow } from './analyze/analyze.ts';
import type { CommandRunner } from './command-runner.ts';
import { attempt } from './vacuuminplace.ts';
import { openTarget, type Target, type VacuumOptions } from './vacuumtarget.ts';
import { lazyTruncateHeap } from './vacuumtruncate.ts';
import { vacuumXidLimits } from './vacuumxids.ts';

const SLICE = 32;

/** False: it was skipped, and the client has been told. `owner`: it holds that table's TOAST values. */
export async function vacuumRelation(
  runner: CommandRunner,
  target: Target,
  options: VacuumOptions,
  owner?: Oid,
): Promise<boolean> {
  const rel = await openTarget(runner, target, options, 'rmt');
  if (rel === undefined) return false;
  const { session } = runner;
  const { kernel } = session.instance;
  const { verbose } = options;
  const context = new HeapContext(kernel.pages, kernel.wal, session.block.tx);
  const result = await runVacuum(runner, context, rel, options);
  const reltuples = estimateTuples(rel.rel, result);
  if (options.truncate ?? vacuumTruncates(rel))
    await lazyTruncateHeap(runner, { rel, owner, context, result, verbose });
  await overwriteClassRow(runner, context, rel.oid, {
    relpages: result.relPages,
    reltuples,
    relallvisible: await countAllVisible(runner, rel, result.relPages),
    relfrozenxid: laterXid(rel.rel.relfrozenxid, result.newRelFrozenXid),
    relminmxid: laterMulti(rel.rel.relminmxid, result.newRelMinMxid as TransactionId),
  });
  session.block.tx.stat?.reportVacuum(rel.rel.relisshared, rel.oid, reltuples, result.recentlyDeadTuples);
  if (rel.rel.reltoastrelid !== 0)
    await vacuumRelation(runner, { oid: rel.rel.reltoastrelid, name: undefined, columns: [] }, options, rel.oid);
  return true;
}

/** Storage parameter vacuum_truncate. */
function vacuumTruncates(rel: RelationDesc): boolean {
  return parseBool(storageParameter(rel, 'vacuum_truncate') ?? 'on') !== false;
}

/** 0: pages were skipped, nothing is known. It never goes back. */
function laterXid(before: TransactionId, after: TransactionId): TransactionId {
  return after !== 0 && transactionIdPrecedes(before, after) ? after : before;
}

function laterMulti(before: TransactionId, after: TransactionId): TransactionId {
  return after !== 0 && multiXactIdPrecedes(before, after) ? after : before;
}

/** Rows of pages that were skipped are as dense as they were (vac_estimate_reltuples). */
function estimateTuples(before: Form_pg_class, { relPages, scannedPages, liveTuples }: VacuumResult): number {
  if (scannedPages >= relPages) return liveTuples;
  // So few pages say nothing about the others.
  if (before.relpages === relPages && scannedPages < relPages * 0.02) return before.reltuples;
  if (scannedPages <= 1) return before.reltuples;
  const density =
    before.reltuples < 0 || before.relpages === 0 ? liveTuples / scannedPages : before.reltuples / before.relpages;
  return Math.floor(density * (relPages - scannedPages) + liveTuples + 0.5);
}

async function runVacuum(
  runner: CommandRunner,
  context: HeapContext,
  rel: RelationDesc,
  options: VacuumOptions,
): Promise<VacuumResult> {
  const { session, analysis } = runner;
  const { kernel } = session.instance;
  const trees = await withCatalog(() => rel.indexes.map(index => btIndexOf(analysis.catalog, index, rel)));
  const { oldestXmin, nextXid } = kernel.shared;
  const ids = { oldestXmin, nextXid, relfrozenxid: rel.rel.relfrozenxid };
  const limits = vacuumXidLimits(session.settings, ids, options.freeze);
  if (limits.tooOld) {
    session.notice('WARNING', ERRCODE.WARNING, 'oldest xmin is far in the past', {
      hint: 'Close open transactions soon to avoid wraparound problems.\nYou might also need to commit or roll back old prepared transactions, or drop stale replication slots.',
    });
  }
  const { oldest: oldestMulti } = await kernel.multixacts.horizon();
  const minMultiAge = options.freeze ? 0 : session.settings.number('vacuum_multixact_freeze_min_age');
  const held = new InstanceHeldXid(kernel.shared, kernel.pages);
  const vacuum = new LazyVacuum(
    context,
    heapOf(rel),
    trees.map(tree => vacuumableBTree(tree, context, held)),
    {
      oldestXmin: limits.oldestXmin,
      oldestMulti,
      freezeLimits: {
        xid: limits.freezeLimit,
        multi: oldestMulti > minMultiAge ? oldestMulti - minMultiAge : 1,
      },
      aggressive: options.aggressive || limits.aggressive,
      everyPage: options.everyPage,
    },
  );
  try {
    for (let steps = 1; ; steps++) {
      const status = await attempt(session, () => vacuum.step());
      if (status === VACUUM_DONE) return vacuum.result;
      if (steps % SLICE === 0) await session.breathe();
    }
  } finally {
    held.giveBack();
  }
}
