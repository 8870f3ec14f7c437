/**
 * ANALYZE of one table (do_analyze_rel, commands/analyze.c): reads a sample of its rows, writes what it says about each column
 * into pg_statistic, and sizes into pg_class. The table is locked SHARE UPDATE EXCLUSIVE, so that nobody else does it too.
 */
import { lookupBuiltin } from '@pgtroupe/adt/fmgr';
import { baseType, comparator, type Equality, typeFacts } from '@pgtroupe/adt/cache/typcache';
import type { HeapContext } from '@pgtroupe/access/heap/heapam-context';
import { VISIBILITYMAP_ALL_VISIBLE, visibilitymapGetStatus } from '@pgtroupe/access/heap/visibilitymap';
import type { Catalog } from '@pgtroupe/catalog/catalog';
import { CatalogMiss, withCatalog } from '@pgtroupe/catalog/catalogmiss';
import type { Form_pg_attribute } from '@pgtroupe/catalog/catalogs/pg_attribute';
import { type Form_pg_class, pgClass } from '@pgtroupe/catalog/catalogs/pg_class';
import type { RelationDesc } from '@pgtroupe/catalog/relcache';
import { NAMESPACEOID, OPEROID, PROCOID, RELOID, TYPEOID } from '@pgtroupe/catalog/syscache';
import { assert } from '@pgtroupe/common/assert';
import { INVALID_OID, MAIN_FORKNUM, type Oid } from '@pgtroupe/common/ids';
import { BOOLOID, INT4OID } from '@pgtroupe/common/oids';
import { MISS } from '@pgtroupe/storage/buffer/pages';
import type { CommandRunner } from '../command-runner.ts';
import type { VacuumDelay } from '../vacuumdelay.ts';
import { attempt, overwriteCatalogRow } from '../vacuuminplace.ts';
import { type AnalyzedType, type ColumnStats, computeStats, ROWS_PER_TARGET } from './attstats.ts';
import { type AnalyzedElement, ARRAY_WIDTH_THRESHOLD } from './array-typanalyze.ts';
import { acquireSampleRows, type Sample, SampleColumn } from './sample.ts';
import { type StoredStats, updateAttStats } from './updateattstats.ts';

/** A table is sampled at least so well, whatever its columns ask for. */
const MIN_ROWS = 100;
const MAP_SLICE = 4096;
/** PROGRESS_ANALYZE_PHASE_* */
const [ANALYZE_SAMPLES, ANALYZE_STATS, ANALYZE_FINALIZES] = [1, 3, 5];

interface Wanted {
  readonly attribute: Form_pg_attribute;
  readonly type: AnalyzedType;
  readonly column: SampleColumn;
}

interface AnalyzeOptions {
  readonly verbose: boolean;
  /** VACUUM was here just before: it has counted the rows, and the entries of the indexes. */
  readonly afterVacuum: boolean;
  /** None was named: what was changed until now counts as looked at. */
  readonly allColumns: boolean;
  readonly delay: VacuumDelay;
}

/** `attributes`: the columns to look at. */
export async function analyzeTable(
  runner: CommandRunner,
  context: HeapContext,
  rel: RelationDesc,
  attributes: readonly Form_pg_attribute[],
  options: AnalyzeOptions,
): Promise<void> {
  const { session } = runner;
  const { kernel } = session.instance;
  const info = (message: string): void => {
    if (options.verbose) session.notice('INFO', '00000', message);
  };
  const schema = await withCatalog(() => runner.analysis.catalog.search(NAMESPACEOID, rel.rel.relnamespace)?.nspname);
  const report = (...params: readonly number[]): void => {
    session.progress = () => ({ command: 'ANALYZE', relation: rel.oid, params });
  };
  report();
  info(`analyzing "${schema}.${rel.name}"`);
  const wanted: Wanted[] = [];
  for (const attribute of attributes) {
    if (attribute.attisdropped || attribute.attstattarget === 0) continue;
    const type = await withCatalog(() => analyzedType(runner, attribute));
    const keep = type.element === undefined ? 0 : ARRAY_WIDTH_THRESHOLD;
    wanted.push({ attribute, type, column: new SampleColumn(attribute.attnum, keep) });
  }
  const targetRows = Math.max(MIN_ROWS, ...wanted.map(({ type }) => ROWS_PER_TARGET * type.target));
  const columns = wanted.map(({ column }) => column);
  const random = (): number => kernel.env.random.uniform();
  const live = await session.block.statementSnapshot();
  let sample: Sample;
  try {
    const scanning = (total: number, done: number): void => report(ANALYZE_SAMPLES, total, done);
    sample = await acquireSampleRows(
      session,
      { delay: options.delay, scanning },
      context,
      rel,
      columns,
      targetRows,
      random,
    );
  } finally {
    session.block.releaseSnapshot(live);
  }
  info(
    `"${rel.name}": scanned ${sample.scannedBlocks} of ${sample.blocks} pages, containing ${sample.liveRows} live rows ` +
      `and ${sample.deadRows} dead rows; ${sample.rows} rows in sample, ${sample.totalRows} estimated total rows`,
  );
  report(ANALYZE_STATS, sample.scannedBlocks, sample.scannedBlocks);
  const stored: StoredStats[] = [];
  for (const { attribute, type, column } of wanted) {
    const stats = await columnStats(runner, { type, column, rows: sample.rows, totalRows: sample.totalRows });
    if (stats === undefined) continue;
    const given = givenDistinct(attribute);
    stored.push({ attribute, stats: given === 0 ? stats : { ...stats, distinct: given } });
  }
  await updateAttStats(runner, rel.oid, stored);
  report(ANALYZE_FINALIZES, sample.scannedBlocks, sample.scannedBlocks);
  await updateSizes(runner, context, rel, sample, options.afterVacuum);
  const { totalRows, totalDeadRows } = sample;
  session.block.tx.stat?.reportAnalyze(rel.rel.relisshared, rel.oid, totalRows, totalDeadRows, options.allColumns);
}

/** Catalog rows that comparisons turn out to want are read, and the column begun anew. */
async function columnStats(
  runner: CommandRunner,
  sample: Parameters<typeof computeStats>[0],
): Promise<ColumnStats | undefined> {
  for (;;) {
    try {
      return await computeStats(sample, () => runner.session.breathe());
    } catch (error) {
      if (!(error instanceof CatalogMiss)) throw error;
      await error.load();
    }
  }
}

/** May throw CatalogMiss. */
function analyzedType(runner: CommandRunner, attribute: Form_pg_attribute): AnalyzedType {
  const { functions, analysis, session } = runner;
  const { atttypid, attstattarget } = attribute;
  const call = functions.call([atttypid, atttypid], INT4OID);
  const { cmp } = typeFacts(call, atttypid);
  const { lt, eq } = analysis.lookup().typeOperators(atttypid);
  const equal = equalityOf(runner, atttypid, eq);
  const ordered = lt !== 0 && equal !== undefined && lookupBuiltin(cmp) !== undefined;
  return {
    typlen: attribute.attlen,
    typbyval: attribute.attbyval,
    ltopr: lt,
    eqopr: eq,
    collation: attribute.attcollation,
    compare: ordered ? comparator(call, atttypid) : undefined,
    equal,
    element: elementOf(runner, attribute),
    target: attstattarget < 0 ? session.settings.number('default_statistics_target') : attstattarget,
  };
}

/** Of a column whose type has array_typanalyze, if its elements can be compared and hashed. */
function elementOf(runner: CommandRunner, { atttypid }: Form_pg_attribute): AnalyzedElement | undefined {
  const { functions, analysis } = runner;
  const typanalyze = analysis.catalog.search(TYPEOID, atttypid)?.typanalyze ?? INVALID_OID;
  if (typanalyze === 0 || analysis.catalog.search(PROCOID, typanalyze)?.prosrc !== 'array_typanalyze') return undefined;
  const call = functions.call([], INT4OID);
  const type = typeFacts(call, baseType(call, atttypid).typelem);
  const { eq: eqopr } = analysis.lookup().typeOperators(type.oid);
  const elements = functions.call([type.oid, type.oid], INT4OID);
  const hash = lookupBuiltin(type.hash);
  if (eqopr === 0 || hash === undefined || lookupBuiltin(type.cmp) === undefined) return undefined;
  const compare = comparator(elements, type.oid);
  if (compare === undefined) return undefined;
  return { type, eqopr, compare, hash: value => hash(elements, value) as number };
}

function equalityOf(runner: CommandRunner, typid: Oid, eqopr: Oid): Equality | undefined {
  const { catalog } = runner.analysis;
  const operator = eqopr === 0 ? null : catalog.search(OPEROID, eqopr);
  const proc = operator === null ? null : catalog.search(PROCOID, operator.oprcode);
  const fn = proc === null ? undefined : lookupBuiltin(proc.prosrc);
  if (fn === undefined) return undefined;
  const call = runner.functions.call([typid, typid], BOOLOID);
  return (a, b) => fn(call, a, b) as boolean;
}

/** ALTER COLUMN … SET (n_distinct = …); 0: nobody did. */
function givenDistinct({ attoptions }: Form_pg_attribute): number {
  const option = attoptions?.find(text => text.startsWith('n_distinct='));
  return option === undefined ? 0 : Number(option.slice('n_distinct='.length));
}

/** pg_class of the table and its indexes (vac_update_relstats): overwritten in place. */
async function updateSizes(
  runner: CommandRunner,
  context: HeapContext,
  rel: RelationDesc,
  sample: Sample,
  afterVacuum: boolean,
): Promise<void> {
  const { session } = runner;
  const { pages } = session.instance.kernel;
  await overwriteClassRow(runner, context, rel.oid, {
    relpages: sample.blocks,
    reltuples: sample.totalRows,
    relallvisible: await countAllVisible(runner, rel, sample.blocks),
  });
  if (afterVacuum) return;
  for (const index of await withCatalog(() => rel.indexes)) {
    const { smgr } = index.rel;
    const relpages = await attempt(session, () => pages.nblocks(smgr, MAIN_FORKNUM));
    await overwriteClassRow(runner, context, index.rel.oid, { relpages, reltuples: sample.totalRows });
  }
}

/** visibilitymap_count */
export async function countAllVisible({ session }: CommandRunner, rel: RelationDesc, blocks: number): Promise<number> {
  const { pages } = session.instance.kernel;
  let visible = 0;
  for (let from = 0; from < blocks; from += MAP_SLICE) {
    const end = Math.min(blocks, from + MAP_SLICE);
    visible += await attempt(session, () => {
      let count = 0;
      for (let blk = from; blk < end; blk++) {
        const bits = visibilitymapGetStatus(pages, rel.smgr, blk);
        if (bits === MISS) return MISS;
        if ((bits & VISIBILITYMAP_ALL_VISIBLE) !== 0) count++;
      }
      return count;
    });
    await session.breathe();
  }
  return visible;
}

/** Not transactional, as PostgreSQL does it. */
export async function overwriteClassRow(
  runner: CommandRunner,
  context: HeapContext,
  oid: Oid,
  changes: Partial<Form_pg_class>,
): Promise<void> {
  const find = (): Promise<Form_pg_class | null> => withCatalog(() => runner.analysis.catalog.search(RELOID, oid));
  const row = await overwriteCatalogRow(runner, context, pgClass as Catalog, find, before => ({
    ...before,
    ...changes,
  }));
  assert(row !== null, 'pg_class has the relation');
}
