/**
 * VACUUM and ANALYZE (vacuum.c): which tables, and each in a transaction of its own where that may be.
 */
import { HeapContext } from '@pgtroupe/access/heap/heapam-context';
import type { Form_pg_attribute } from '@pgtroupe/catalog/catalogs/pg_attribute';
import { StatisticRelationId } from '@pgtroupe/catalog/catalogs/pg_statistic';
import type { RelationDesc } from '@pgtroupe/catalog/relcache';
import { RELOID } from '@pgtroupe/catalog/syscache';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { ACCESS_SHARE_LOCK, relationTag } from '@pgtroupe/storage/lmgr/locktag';
import { withCatalog } from '@pgtroupe/catalog/catalogmiss';
import { rangeVarName } from './command-context.ts';
import type { CommandRunner } from './command-runner.ts';
import { lockRangeVar } from './rangevar.ts';
import { analyzeTable } from './analyze/analyze.ts';
import { type CostLimits, VacuumDelay, VacuumUsage } from './vacuumdelay.ts';
import { type Automatic, type VacuumOptions, vacuumOptions, type VacuumWork } from './vacuumoptions.ts';
import { vacuumFull } from './vacuumfull.ts';
import { vacuumRelation } from './vacuumrel.ts';
import { lockToVacuum, mayVacuumOrNotice, openTarget, type Target } from './vacuumtarget.ts';
import { qualifiedName, tookLongEnough } from './vacuumreport.ts';
import { updateDatFrozenXid } from './vacuumxids.ts';

export async function vacuumStmt(runner: CommandRunner, raw: RawNode, text: string): Promise<string> {
  const { session, analysis } = runner;
  const command = raw['is_vacuumcmd'] === true ? 'VACUUM' : 'ANALYZE';
  const options: VacuumWork = { ...vacuumOptions(raw, text), delay: new VacuumDelay(session) };
  if (options.vacuum) session.block.prevent('VACUUM');
  await analysis.refresh();
  const list = await targets(runner, raw, options);
  if (options.full && raw['rels'] === undefined)
    session.notice('WARNING', ERRCODE.FEATURE_NOT_SUPPORTED, 'VACUUM FULL leaves system catalogs as they are');
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
      const done = await (options.full ? vacuumFull : vacuumRelation)(runner, target, options);
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

/**
 * One table as autovacuum has it vacuumed and analyzed: by its OID and without its TOAST values, which have a turn of their own.
 * How much is frozen is what the session's parameters say. False: it was locked.
 */
export async function autovacuumTable(
  runner: CommandRunner,
  oid: Oid,
  what: {
    /** To tell of it. */
    readonly name: string;
    readonly vacuum: boolean;
    readonly analyze: boolean;
    readonly skipLocked: boolean;
    /** It holds this table's TOAST values. */
    readonly owner: Oid | undefined;
    readonly cost: CostLimits;
    readonly automatic: Automatic;
  },
): Promise<boolean> {
  const { session, analysis } = runner;
  const target = { oid, name: what.automatic.logMinDurationMs < 0 ? undefined : what.name, columns: [] };
  const options: VacuumWork = {
    ...what,
    delay: new VacuumDelay(session, what.cost),
    ...{ freeze: false, aggressive: false, everyPage: false, verbose: false, toast: false, full: false },
    indexCleanup: undefined,
    truncate: undefined,
  };
  if (what.vacuum && !(await vacuumRelation(runner, target, options, what.owner))) return false;
  if (!what.analyze) return true;
  if (what.vacuum) {
    await session.block.finishCommand();
    session.block.startCommand();
    await analysis.refresh();
  }
  return analyzeRelation(runner, target, options);
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

async function analyzeRelation(runner: CommandRunner, target: Target, options: VacuumWork): Promise<boolean> {
  const rel = await openTarget(runner, target, { ...options, vacuum: false }, 'rm');
  // Its own rows are not looked at: its transaction has no business with a table that another writes.
  if (rel === undefined || rel.oid === StatisticRelationId) return rel !== undefined;
  const { session } = runner;
  const { kernel } = session.instance;
  const context = new HeapContext(kernel.pages, kernel.wal, session.block.tx);
  const { verbose, vacuum: afterVacuum, delay, automatic } = options;
  const allColumns = target.columns.length === 0;
  const usage = new VacuumUsage(session, delay);
  const columns = columnsToAnalyze(rel, target.columns);
  try {
    await analyzeTable(runner, context, rel, columns, { verbose, afterVacuum, allColumns, delay });
  } finally {
    session.progress = undefined;
  }
  if (automatic !== undefined && tookLongEnough(automatic, usage)) {
    const name = await qualifiedName(runner, rel);
    session.notice('LOG', '00000', `automatic analyze of table "${name}"\n${usage.report(false)}`);
  }
  return true;
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
