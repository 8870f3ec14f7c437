/**
 * VACUUM and ANALYZE (vacuum.c): which tables, and each in a transaction of its own where that may be.
 */
import { VACUUM_DONE } from '@pgtroupe/access/common/indexvacuum';
import { HeapContext } from '@pgtroupe/access/heap/heapam-context';
import { LazyVacuum, type VacuumResult } from '@pgtroupe/access/heap/vacuumlazy';
import { vacuumableBTree } from '@pgtroupe/access/nbtree/nbtvacuum';
import type { Form_pg_attribute } from '@pgtroupe/catalog/catalogs/pg_attribute';
import type { Form_pg_class } from '@pgtroupe/catalog/catalogs/pg_class';
import { StatisticRelationId } from '@pgtroupe/catalog/catalogs/pg_statistic';
import { PG_CATALOG_NAMESPACE } from '@pgtroupe/common/oids';
import { btIndexOf, heapOf } from '@pgtroupe/catalog/relaccess';
import type { RelationDesc } from '@pgtroupe/catalog/relcache';
import { DATABASEOID, RELOID } from '@pgtroupe/catalog/syscache';
import { ERRCODE, type Sqlstate } from '@pgtroupe/common/errcodes';
import { ereport, notSupported } from '@pgtroupe/common/ereport';
import { type Oid, type TransactionId, transactionIdPrecedes } from '@pgtroupe/common/ids';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { ACCESS_SHARE_LOCK, relationTag, SHARE_UPDATE_EXCLUSIVE_LOCK } from '@pgtroupe/storage/lmgr/locktag';
import { multiXactIdPrecedes } from '@pgtroupe/transam/multixact';
import { errorPosition } from '@pgtroupe/parser/position';
import { withCatalog } from '@pgtroupe/catalog/catalogmiss';
import { rangeVarName } from './command-context.ts';
import { defGetBoolean } from './define.ts';
import type { CommandRunner } from './command-runner.ts';
import { isLockRefusal, lockRangeVar } from './rangevar.ts';
import { analyzeTable, overwriteClassRow } from './analyze/analyze.ts';
import { attempt } from './vacuuminplace.ts';
import { updateDatFrozenXid, vacuumXidLimits } from './vacuumxids.ts';

const SLICE = 32;

interface VacuumOptions {
  readonly vacuum: boolean;
  readonly analyze: boolean;
  readonly freeze: boolean;
  readonly aggressive: boolean;
  readonly skipLocked: boolean;
  readonly verbose: boolean;
}

export async function vacuumStmt(runner: CommandRunner, raw: RawNode, text: string): Promise<string> {
  const { session, analysis } = runner;
  const command = raw['is_vacuumcmd'] === true ? 'VACUUM' : 'ANALYZE';
  const options = vacuumOptions(raw, text);
  if (options.vacuum) session.block.prevent('VACUUM');
  await analysis.refresh();
  const list = await targets(runner, raw, options);
  // ANALYZE alone may be part of something larger; else no lock is kept longer than its table needs.
  const ownTransactions = options.vacuum || (!session.block.lasts && list.length > 1);
  const nextTransaction = async (): Promise<void> => {
    if (!ownTransactions) return;
    await session.block.finishCommand();
    session.block.startCommand();
    await analysis.refresh();
  };
  for (const target of list) {
    if (options.vacuum) {
      const done = await vacuumRelation(runner, target, options);
      await nextTransaction();
      if (!done) continue;
    }
    if (options.analyze) {
      await analyzeRelation(runner, target, options);
      await nextTransaction();
    }
  }
  if (options.vacuum) {
    const { kernel } = session.instance;
    await analysis.refresh();
    await updateDatFrozenXid(runner, new HeapContext(kernel.pages, kernel.wal, session.block.tx));
  }
  return command;
}

/** Options in brackets by command; those of VACUUM that pgtroupe takes without a difference included. */
const KNOWN_OPTIONS: Readonly<Record<'VACUUM' | 'ANALYZE', readonly string[]>> = {
  ANALYZE: ['verbose', 'skip_locked'],
  VACUUM: [
    ...['verbose', 'skip_locked', 'analyze', 'freeze', 'full', 'disable_page_skipping'],
    ...['index_cleanup', 'process_toast', 'truncate', 'parallel'],
  ],
};

function vacuumOptions(raw: RawNode, text: string): VacuumOptions {
  const vacuum = raw['is_vacuumcmd'] === true;
  const command = vacuum ? 'VACUUM' : 'ANALYZE';
  const given = new Map<string, RawNode | undefined>();
  for (const option of (raw['options'] as RawNode[] | undefined) ?? []) {
    const name = option['defname'] as string;
    if (!KNOWN_OPTIONS[command].includes(name)) {
      throw ereport(ERRCODE.SYNTAX_ERROR, `unrecognized ${command} option "${name}"`, {
        position: errorPosition(text, Number(option['location'] ?? -1)),
      });
    }
    given.set(name, option['arg'] as RawNode | undefined);
  }
  const on = (name: string): boolean => given.has(name) && defGetBoolean(name, given.get(name));
  if (on('full')) throw notSupported('VACUUM FULL');
  return {
    vacuum,
    analyze: !vacuum || on('analyze'),
    freeze: on('freeze'),
    aggressive: on('freeze') || on('disable_page_skipping'),
    skipLocked: on('skip_locked'),
    verbose: on('verbose'),
  };
}

interface Target {
  readonly oid: Oid;
  /** As the statement named it; undefined: it did not. */
  readonly name: string | undefined;
  /** What ANALYZE shall look at; empty: all. */
  readonly columns: readonly string[];
}

/** Named tables, or all of the database. */
async function targets(runner: CommandRunner, raw: RawNode, options: VacuumOptions): Promise<readonly Target[]> {
  const { analysis, session } = runner;
  const named = raw['rels'] as RawNode[] | undefined;
  if (named === undefined) {
    const rows = await withCatalog(() => analysis.catalog.searchList(RELOID));
    return rows
      .filter(row => row.relkind === 'r' || row.relkind === 'm')
      .map(row => ({ oid: row.oid, name: undefined, columns: [] }));
  }
  const wanted = named as unknown as { readonly relation: RawNode; readonly va_cols?: readonly RawNode[] }[];
  if (!options.analyze && wanted.some(({ va_cols }) => va_cols !== undefined))
    throw ereport(ERRCODE.FEATURE_NOT_SUPPORTED, 'ANALYZE option must be specified when a column list is provided');
  const found: Target[] = [];
  for (const { relation, va_cols } of wanted) {
    const { relname: name } = rangeVarName(relation);
    const oid = await lockToVacuum(runner, name, options, () =>
      lockRangeVar(runner, relation, ACCESS_SHARE_LOCK, { nowait: options.skipLocked }),
    );
    if (oid === undefined) continue;
    const rel = await withCatalog(() => analysis.catalog.relation(oid));
    if (rel === null || (await mayVacuumOrNotice(runner, rel, options.vacuum))) {
      const columns = (va_cols ?? []).map(column => (column['sval']?.sval ?? column['sval']) as string);
      found.push({ oid, name, columns });
    }
    // Each table has a transaction of its own: until its turn it may go, or have another name.
    if (options.vacuum) {
      const tag = relationTag(session.database.oid as Oid, oid);
      session.instance.kernel.locks.giveBack(session.owner, tag, ACCESS_SHARE_LOCK);
    }
  }
  return found;
}

/** Takes the lock, or tells under SKIP_LOCKED that it is not to be had, and answers undefined. */
async function lockToVacuum<T>(
  runner: CommandRunner,
  name: string | undefined,
  options: VacuumOptions,
  lock: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await lock();
  } catch (error) {
    if (!options.skipLocked || !isLockRefusal(runner, error)) throw error;
    skipping(runner, name, options, ERRCODE.LOCK_NOT_AVAILABLE, 'lock not available');
    return undefined;
  }
}

function skipping(
  { session }: CommandRunner,
  name: string | undefined,
  options: VacuumOptions,
  sqlstate: Sqlstate,
  why: string,
): void {
  if (name === undefined) return;
  session.notice('WARNING', sqlstate, `skipping ${options.vacuum ? 'vacuum' : 'analyze'} of "${name}" --- ${why}`);
}

async function mayVacuumOrNotice(runner: CommandRunner, rel: RelationDesc, vacuum: boolean): Promise<boolean> {
  if (await withCatalog(() => mayVacuum(runner, rel.rel))) return true;
  runner.session.notice('WARNING', ERRCODE.WARNING, skippedForRights(rel, vacuum ? 'vacuum' : 'analyze'));
  return false;
}

/** The table, locked, if it is still there and the user may do it; else undefined, and the client has been told. */
async function openTarget(
  runner: CommandRunner,
  { oid, name }: Target,
  options: VacuumOptions,
  kinds: string,
): Promise<RelationDesc | undefined> {
  const { session, analysis } = runner;
  const { kernel } = session.instance;
  const database = session.database.oid as Oid;
  const locked = await lockToVacuum(runner, name, options, async () => {
    await kernel.locks.relation(session.owner, database, oid, SHARE_UPDATE_EXCLUSIVE_LOCK, options.skipLocked);
    return true;
  });
  if (locked === undefined) return undefined;
  await kernel.shared.renewHorizon();
  const rel = await withCatalog(() => analysis.catalog.relation(oid));
  if (rel === null) {
    skipping(runner, name, options, ERRCODE.UNDEFINED_TABLE, 'relation no longer exists');
    return undefined;
  }
  if (!(await mayVacuumOrNotice(runner, rel, options.vacuum))) return undefined;
  if (!kinds.includes(rel.rel.relkind)) {
    const what = options.vacuum ? 'vacuum' : 'analyze';
    const message = `skipping "${rel.name}" --- cannot ${what} non-tables or special system tables`;
    session.notice('WARNING', ERRCODE.WARNING, message);
    return undefined;
  }
  return rel;
}

/** False: it was skipped, and the client has been told. */
async function vacuumRelation(runner: CommandRunner, target: Target, options: VacuumOptions): Promise<boolean> {
  const rel = await openTarget(runner, target, options, 'rmt');
  if (rel === undefined) return false;
  const { session } = runner;
  const { kernel } = session.instance;
  const context = new HeapContext(kernel.pages, kernel.wal, session.block.tx);
  const result = await runVacuum(runner, context, rel, options);
  const reltuples =
    result.scannedPages === result.relPages || result.allVisiblePages === 0
      ? result.liveTuples
      : estimateTuples(rel.rel, result);
  await overwriteClassRow(runner, context, rel.oid, {
    relpages: result.relPages,
    reltuples,
    relallvisible: result.allVisiblePages,
    relfrozenxid: laterXid(rel.rel.relfrozenxid, result.newRelFrozenXid),
    relminmxid: laterMulti(rel.rel.relminmxid, result.newRelMinMxid as TransactionId),
  });
  if (rel.rel.reltoastrelid !== 0)
    await vacuumRelation(runner, { oid: rel.rel.reltoastrelid, name: undefined, columns: [] }, options);
  return true;
}

async function analyzeRelation(runner: CommandRunner, target: Target, options: VacuumOptions): Promise<void> {
  const rel = await openTarget(runner, target, { ...options, vacuum: false }, 'rm');
  // Its own rows are not looked at: its transaction has no business with a table that another writes.
  if (rel === undefined || rel.oid === StatisticRelationId) return;
  const { session } = runner;
  const { kernel } = session.instance;
  const context = new HeapContext(kernel.pages, kernel.wal, session.block.tx);
  const { verbose, vacuum: afterVacuum } = options;
  await analyzeTable(runner, context, rel, columnsToAnalyze(rel, target.columns), { verbose, afterVacuum });
}

/** Those that were named, in that order; else all. */
function columnsToAnalyze(rel: RelationDesc, names: readonly string[]): readonly Form_pg_attribute[] {
  if (names.length === 0) return rel.attributes;
  return names.map((name, i) => {
    const attribute = rel.attributes.find(att => att.attname === name && !att.attisdropped);
    if (attribute === undefined)
      throw ereport(ERRCODE.UNDEFINED_COLUMN, `column "${name}" of relation "${rel.name}" does not exist`);
    if (names.indexOf(name) < i)
      throw ereport(ERRCODE.DUPLICATE_COLUMN, `column "${name}" of relation "${rel.name}" appears more than once`);
    return attribute;
  });
}

/** Its owner, or the database's if the table is no shared one. */
function mayVacuum({ analysis, functions }: CommandRunner, rel: Form_pg_class): boolean {
  const acl = analysis.acl();
  const me = functions.currentUserId;
  const database = rel.relisshared ? null : analysis.catalog.search(DATABASEOID, functions.databaseId);
  return acl.hasPrivsOfRole(me, rel.relowner) || (database !== null && acl.hasPrivsOfRole(me, database.datdba));
}

function skippedForRights({ name, rel }: RelationDesc, what: string): string {
  const who = rel.relisshared
    ? 'superuser'
    : rel.relnamespace === PG_CATALOG_NAMESPACE
      ? 'superuser or database owner'
      : 'table or database owner';
  return `skipping "${name}" --- only ${who} can ${what} it`;
}

/** 0: pages were skipped, nothing is known. It never goes back. */
function laterXid(before: TransactionId, after: TransactionId): TransactionId {
  return after !== 0 && transactionIdPrecedes(before, after) ? after : before;
}

function laterMulti(before: TransactionId, after: TransactionId): TransactionId {
  return after !== 0 && multiXactIdPrecedes(before, after) ? after : before;
}

/** Rows of pages that were skipped are as dense as they were. */
function estimateTuples(before: Form_pg_class, result: VacuumResult): number {
  if (before.reltuples < 0 || before.relpages === 0) return result.liveTuples;
  const density = before.reltuples / before.relpages;
  return Math.round(density * (result.relPages - result.scannedPages) + result.liveTuples);
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
  const vacuum = new LazyVacuum(
    context,
    heapOf(rel),
    trees.map(tree => vacuumableBTree(tree, kernel.pages, kernel.wal)),
    {
      oldestXmin: limits.oldestXmin,
      oldestMulti,
      freezeLimits: {
        xid: limits.freezeLimit,
        multi: oldestMulti > minMultiAge ? oldestMulti - minMultiAge : 1,
      },
      aggressive: options.aggressive || limits.aggressive,
    },
  );
  for (let steps = 1; ; steps++) {
    const status = await attempt(session, () => vacuum.step());
    if (status === VACUUM_DONE) return vacuum.result;
    if (steps % SLICE === 0) await session.breathe();
  }
}
