/**
 * VACUUM of one table (vacuum_rel, heap_vacuum_rel), its TOAST values included.
 */
import { VACUUM_DONE } from '@pgtroupe/access/common/indexvacuum';
import { HeapContext } from '@pgtroupe/access/heap/heapam-context';
import { type IndexCleanup, LazyVacuum, type VacuumResult } from '@pgtroupe/access/heap/vacuumlazy';
import { vacuumableBTree } from '@pgtroupe/access/nbtree/nbtvacuum';
import type { Form_pg_class } from '@pgtroupe/catalog/catalogs/pg_class';
import { withCatalog } from '@pgtroupe/catalog/catalogmiss';
import { btIndexOf, heapOf, storageParameter } from '@pgtroupe/catalog/relaccess';
import type { RelationDesc } from '@pgtroupe/catalog/relcache';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { InstanceHeldXid } from '@pgtroupe/instance/held-xid';
import { parseBool } from '@pgtroupe/common/guc';
import { type Oid, type TransactionId, transactionIdPrecedes } from '@pgtroupe/common/ids';
import { type MultiXactId, multiXactIdPrecedes } from '@pgtroupe/transam/multixact';
import { countAllVisible, overwriteClassRow } from './analyze/analyze.ts';
import type { CommandRunner } from './command-runner.ts';
import { VacuumUsage } from './vacuumdelay.ts';
import type { VacuumWork } from './vacuumoptions.ts';
import { qualifiedName, reportTitle, tookLongEnough, type VacuumedIndex, vacuumReport } from './vacuumreport.ts';
import { openTarget, type Target } from './vacuumtarget.ts';
import { lazyTruncateHeap } from './vacuumtruncate.ts';
import { isFarBehind, multisAreOld, vacuumXidLimits } from './vacuumxids.ts';

const SLICE = 32;
const BYTES_PER_TID = 6;
const PROGRESS_VACUUM_PHASE_TRUNCATE = 5;

/** False: it was skipped, and the client has been told. `owner`: it holds that table's TOAST values. */
export async function vacuumRelation(
  runner: CommandRunner,
  target: Target,
  options: VacuumWork,
  owner?: Oid,
): Promise<boolean> {
  const rel = await openTarget(runner, target, options, 'rmt');
  if (rel === undefined) return false;
  try {
    await vacuumTable(runner, rel, options, owner);
  } finally {
    runner.session.progress = undefined;
  }
  if (options.toast && rel.rel.reltoastrelid !== 0)
    await vacuumRelation(runner, { oid: rel.rel.reltoastrelid, name: undefined, columns: [] }, options, rel.oid);
  return true;
}

async function vacuumTable(
  runner: CommandRunner,
  rel: RelationDesc,
  options: VacuumWork,
  owner: Oid | undefined,
): Promise<void> {
  const { session } = runner;
  const { kernel } = session.instance;
  const { verbose, automatic } = options;
  const usage = new VacuumUsage(session, options.delay);
  const context = new HeapContext(kernel.pages, kernel.wal, session.block.tx);
  const done = await runVacuum(runner, context, rel, options);
  const { result, indexes } = done;
  const scannedOf = result.relPages;
  const reltuples = estimateTuples(rel.rel, result);
  for (const { oid, stats } of indexes) {
    if (stats === undefined || stats.estimatedCount) continue;
    // Splits in the middle make some be counted twice.
    const entries = result.scannedPages >= scannedOf ? Math.min(stats.numIndexTuples, reltuples) : stats.numIndexTuples;
    await overwriteClassRow(runner, context, oid, { relpages: stats.numPages, reltuples: entries });
  }
  const truncates = result.indexes !== 'failsafe' && (options.truncate ?? vacuumTruncates(rel));
  if (truncates) {
    const finished = session.progress;
    session.progress = () => ({
      ...finished!(),
      params: [PROGRESS_VACUUM_PHASE_TRUNCATE, ...finished!().params.slice(1)],
    });
    await lazyTruncateHeap(runner, { rel, owner, context, result, verbose });
    session.progress = finished;
  }
  const relfrozenxid = laterXid(rel.rel.relfrozenxid, result.newRelFrozenXid);
  const relminmxid = laterMulti(rel.rel.relminmxid, result.newRelMinMxid as TransactionId);
  await overwriteClassRow(runner, context, rel.oid, {
    relpages: result.relPages,
    reltuples,
    relallvisible: await countAllVisible(runner, rel, result.relPages),
    relfrozenxid,
    relminmxid,
  });
  session.block.tx.stat?.reportVacuum(rel.rel.relisshared, rel.oid, reltuples, result.recentlyDeadTuples);
  if (automatic === undefined ? verbose : tookLongEnough(automatic, usage)) {
    const before = { scannedOf, relfrozenxid: rel.rel.relfrozenxid, relminmxid: rel.rel.relminmxid };
    const ids = { oldestXmin: done.oldestXmin, nextXid: kernel.shared.nextXid, relfrozenxid, relminmxid };
    const title = reportTitle(await qualifiedName(runner, rel), done.aggressive, automatic);
    const report = vacuumReport(title, result, reltuples, before, ids, indexes, usage);
    session.notice(automatic === undefined ? 'INFO' : 'LOG', '00000', report);
  }
}

/** Storage parameter vacuum_index_cleanup. */
function indexCleanupOf(rel: RelationDesc): IndexCleanup {
  const given = storageParameter(rel, 'vacuum_index_cleanup') ?? 'auto';
  if (given.toLowerCase() === 'auto') return 'auto';
  return parseBool(given) === false ? 'off' : 'on';
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

function workMemKb({ settings }: CommandRunner['session'], { automatic }: VacuumWork): number {
  const own = automatic === undefined ? -1 : settings.number('autovacuum_work_mem');
  return own >= 0 ? own : settings.number('maintenance_work_mem');
}

async function runVacuum(
  runner: CommandRunner,
  context: HeapContext,
  rel: RelationDesc,
  options: VacuumWork,
): Promise<{
  readonly result: VacuumResult;
  readonly indexes: readonly VacuumedIndex[];
  readonly oldestXmin: TransactionId;
  readonly aggressive: boolean;
}> {
  const { session, analysis } = runner;
  const { kernel } = session.instance;
  const { delay } = options;
  const trees = await withCatalog(() => rel.indexes.map(index => btIndexOf(analysis.catalog, index, rel)));
  const { oldestXmin, nextXid } = kernel.shared;
  const { relfrozenxid, relminmxid } = rel.rel;
  const ids = { oldestXmin, nextXid, relfrozenxid };
  const limits = vacuumXidLimits(session.settings, ids, options.freeze);
  if (limits.tooOld) {
    session.notice('WARNING', ERRCODE.WARNING, 'oldest xmin is far in the past', {
      hint: 'Close open transactions soon to avoid wraparound problems.\nYou might also need to commit or roll back old prepared transactions, or drop stale replication slots.',
    });
  }
  const { oldest: oldestMulti, next: nextMulti } = await kernel.multixacts.horizon();
  const minMultiAge = options.freeze ? 0 : session.settings.number('vacuum_multixact_freeze_min_age');
  const held = new InstanceHeldXid(kernel.shared, kernel.pages);
  const aggressive =
    options.aggressive || limits.aggressive || multisAreOld(session.settings, nextMulti, relminmxid as MultiXactId);
  const name = await qualifiedName(runner, rel);
  if (options.verbose) session.notice('INFO', '00000', `${aggressive ? 'aggressively ' : ''}vacuuming "${name}"`);
  const indexes = trees.map((tree, n) => ({
    name: tree.name,
    oid: rel.indexes[n]!.rel.oid,
    vacuumed: vacuumableBTree(tree, context, held),
  }));
  const vacuum = new LazyVacuum(
    context,
    heapOf(rel),
    indexes.map(({ vacuumed }) => vacuumed),
    {
      oldestXmin: limits.oldestXmin,
      oldestMulti,
      freezeLimits: {
        xid: limits.freezeLimit,
        multi: oldestMulti > minMultiAge ? oldestMulti - minMultiAge : 1,
      },
      aggressive,
      everyPage: options.everyPage,
      indexCleanup: options.indexCleanup ?? indexCleanupOf(rel),
      failsafe: () =>
        isFarBehind(session.settings, kernel.shared.nextXid, relfrozenxid, nextMulti, relminmxid as MultiXactId),
      maxDeadTids: Math.floor((workMemKb(session, options) * 1024) / BYTES_PER_TID),
    },
  );
  session.progress = () => ({ command: 'VACUUM', relation: rel.oid, params: vacuum.progress });
  try {
    for (let steps = 1; ; steps++) {
      const status = await delay.attempt(() => vacuum.step());
      if (status === VACUUM_DONE) break;
      if (vacuum.result.indexes === 'failsafe') delay.off();
      if (steps % SLICE === 0) await session.breathe();
      if (!delay.isDue) continue;
      // An id that is held holds everybody's horizon.
      held.giveBack();
      await delay.pause();
    }
  } finally {
    held.giveBack();
  }
  const { result } = vacuum;
  if (result.indexes === 'failsafe') {
    const message = `bypassing nonessential maintenance of table "${name}" as a failsafe after ${result.indexScans} index scans`;
    session.notice('WARNING', ERRCODE.WARNING, message, {
      detail: "The table's relfrozenxid or relminmxid is too far in the past.",
      hint: 'Consider increasing configuration parameter "maintenance_work_mem" or "autovacuum_work_mem".\nYou might also need to consider other ways for VACUUM to keep up with the allocation of transaction IDs.',
    });
  }
  return {
    result,
    indexes: indexes.map(index => ({ name: index.name, oid: index.oid, stats: index.vacuumed.stats })),
    oldestXmin: limits.oldestXmin,
    aggressive,
  };
}
