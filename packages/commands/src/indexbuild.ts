/**
 * CREATE INDEX: fills a new B-tree from its table (nbtsort's callers, IndexBuildHeapScan).
 *
 * The table is locked against writers. Its rows are read, sorted by key and packed into pages, and every page is logged
 * whole. A row's entry leads to the root of its HOT chain.
 *
 * Rows that nobody will see again but some snapshot still does have entries too, but are not asked whether they are
 * unique. Of a HOT chain only the last version has one: its key need not be that of the versions before, so that who sees
 * one of those must not use the index (a broken HOT chain; pg_index.indcheckxmin).
 */
import { orDetoastMiss } from '@pgtroupe/access/common/detoast';
import { heapGetAttr, tupleLayout } from '@pgtroupe/access/common/heaptuple';
import type { HeapContext } from '@pgtroupe/access/heap/heapam-context';
import { IndexablePage } from '@pgtroupe/access/heap/heapam-indexable';
import type { BTIndex } from '@pgtroupe/access/nbtree/btindex';
import { uniqueViolation } from '@pgtroupe/access/nbtree/nbtinsert';
import { BTBuild } from '@pgtroupe/access/nbtree/nbtsort';
import type { IndexBuildResult } from '@pgtroupe/catalog/catalogwriter';
import type { IndexDesc, RelationDesc } from '@pgtroupe/catalog/relcache';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported } from '@pgtroupe/common/ereport';
import type { Datum } from '@pgtroupe/common/datum';
import type { Slices } from '@pgtroupe/common/slices';
import { BLCKSZ, MAIN_FORKNUM, type Oid } from '@pgtroupe/common/ids';
import { MISS } from '@pgtroupe/storage/buffer/pages';
import { btIndexOf } from '@pgtroupe/catalog/relaccess';
import { outputText } from '@pgtroupe/adt/cache/iofunctions';
import type { BackendSession, CommandRunner } from './command-runner.ts';
import { withCatalog } from '@pgtroupe/catalog/catalogmiss';
import { NAMESPACEOID } from '@pgtroupe/catalog/syscache';
import { logNewPage } from './newpage.ts';
import { SortedKeys } from './sortedkeys.ts';

/** Rows or pages between looks at the clock and at interrupts. */
const SLICE = 64;
/** Finished pages wait in memory that is allocated so many at a time. */
const SLAB_PAGES = 64;

/** PROGRESS_CREATEIDX_COMMAND_CREATE, PROGRESS_CREATEIDX_PHASE_BUILD, and PROGRESS_BTREE_PHASE_*. */
const CREATE_INDEX = 1;
const PHASE_BUILD = 2;
const [SCANS_TABLE, SORTS_LIVE, SORTS_DEAD, LOADS_TREE] = [2, 3, 4, 5];

/** Who repeats work until its pages are there: the transaction's catalog store. */
interface Attempts {
  attempt(work: () => number): Promise<number>;
}

/** How far it is, as pg_stat_progress_create_index has it (PROGRESS_CREATEIDX_*, PROGRESS_SCAN_*). */
class BuildProgress {
  subphase = SCANS_TABLE;
  blocks = 0;
  blocksDone = 0;
  tuples = 0;
  tuplesDone = 0;

  scanned(tuples: number): void {
    this.subphase = SORTS_LIVE;
    this.tuples = tuples;
    this.blocks = 0;
    this.blocksDone = 0;
  }

  params(index: Oid, am: Oid): readonly number[] {
    const params = new Array<number>(17).fill(0);
    params[0] = CREATE_INDEX;
    params[6] = index;
    params[8] = am;
    params[9] = PHASE_BUILD;
    params[10] = this.subphase;
    params[11] = this.tuples;
    params[12] = this.tuplesDone;
    params[15] = this.blocks;
    params[16] = this.blocksDone;
    return params;
  }
}

/** As `buildNewIndex`; who asks sees how far it is, unless it is part of something that tells so itself. */
export async function buildIndex(
  store: Attempts,
  runner: CommandRunner,
  context: HeapContext,
  table: RelationDesc,
  desc: IndexDesc,
): Promise<IndexBuildResult> {
  const { session } = runner;
  const progress = new BuildProgress();
  const before = session.progress;
  const { indexrelid } = desc.index;
  session.progress ??= () => {
    return { command: 'CREATE INDEX', relation: table.oid, params: progress.params(indexrelid, desc.rel.rel.relam) };
  };
  try {
    return await buildNewIndex(store, runner, context, { table, desc, progress });
  } finally {
    session.progress = before;
  }
}

async function buildNewIndex(
  store: Attempts,
  runner: CommandRunner,
  context: HeapContext,
  { table, desc, progress }: Building,
): Promise<IndexBuildResult> {
  const { session } = runner;
  if (desc.index.indexprs !== null || desc.index.indpred !== null) {
    throw notSupported('building an index on expressions or with a predicate');
  }
  const index = await withCatalog(() => btIndexOf(runner.analysis.catalog, desc, table));
  const keys = new SortedKeys(index);
  const { rows, blocks, dead, brokenHotChain } = await collect(
    store,
    session,
    context,
    { table, desc, progress },
    keys,
  );
  progress.scanned(keys.length + dead.length);
  await inSlices(session, keys.sort());
  await withCatalog(() => checkUnique(runner, table, desc, index, keys));
  if (dead.length > 0) {
    progress.subphase = SORTS_DEAD;
    for (const { values, blk, offnum } of dead) {
      if (keys.single) keys.addOne(values[0]!, blk, offnum);
      else keys.add(values, blk, offnum);
    }
    await inSlices(session, keys.sort());
  }
  const pages: Uint8Array[] = [];
  let slab = new Uint8Array(SLAB_PAGES * BLCKSZ);
  let used = 0;
  const build = new BTBuild(index, (page, blkno) => {
    if (used === slab.length) {
      slab = new Uint8Array(SLAB_PAGES * BLCKSZ);
      used = 0;
    }
    pages[blkno] = slab.subarray(used, used + BLCKSZ);
    pages[blkno]!.set(page);
    used += BLCKSZ;
  });
  progress.subphase = LOADS_TREE;
  for (let n = 0; n < keys.length; n++) {
    progress.tuplesDone = n;
    keys.addTo(build, n);
    if (n % 4096 === 4095) await session.breathe();
  }
  progress.tuplesDone = keys.length;
  build.finish();
  await logPages(store, session, desc.rel, pages);
  return { tuples: rows, tablePages: blocks, indexPages: pages.length, brokenHotChain };
}

interface Building {
  readonly table: RelationDesc;
  readonly desc: IndexDesc;
  readonly progress: BuildProgress;
}

async function inSlices(session: BackendSession, work: Slices<void>): Promise<void> {
  while (work.next().done !== true) await session.breathe();
}

interface DeadRow {
  readonly values: readonly Datum[];
  readonly blk: number;
  readonly offnum: number;
}

interface Collected {
  readonly rows: number;
  readonly blocks: number;
  /** Deleted, but some snapshot sees them. */
  readonly dead: readonly DeadRow[];
  readonly brokenHotChain: boolean;
}

/** Reads the keys of all rows (heapam_index_build_range_scan). */
async function collect(
  store: Attempts,
  session: BackendSession,
  context: HeapContext,
  { table, desc, progress }: Building,
  keys: SortedKeys,
): Promise<Collected> {
  const { kernel } = session.instance;
  const { mem } = kernel.pages;
  const layout = tupleLayout(table.att);
  const attributes = desc.index.indkey.map(attnum => attnum - 1);
  const valuesOf = (tuple: number): Datum[] => attributes.map(att => own(heapGetAttr(layout, mem, tuple, att)));
  const page = new IndexablePage();
  const dead: DeadRow[] = [];
  let rows = 0;
  let brokenHotChain = false;
  const blocks = await store.attempt(() => kernel.pages.nblocks(table.smgr, MAIN_FORKNUM));
  // As young as can be: what was deleted before it needs no entry.
  if (blocks > 0) await kernel.shared.renewHorizon();
  progress.blocks = blocks;
  for (let blk = 0; blk < blocks; blk++) {
    progress.blocksDone = blk;
    if (blk % SLICE === SLICE - 1) await session.breathe();
    await store.attempt(() => {
      if (page.read(context, table.smgr, blk) === MISS) return MISS;
      const { count, tuples } = page;
      // All of a page's or none: a value that must be fetched first begins it anew.
      const values: Datum[][] = [];
      const status = orDetoastMiss(() => {
        for (let i = 0; i < count; i++) if (!keys.single || page.dead[i] !== 0) values[i] = valuesOf(tuples[i]!);
        return count;
      });
      if (status === MISS) return MISS;
      for (let i = 0; i < count; i++) {
        const offnum = page.roots[page.offnums[i]!]!;
        if (page.dead[i] !== 0) dead.push({ values: values[i]!, blk, offnum });
        else if (values[i] !== undefined) keys.add(values[i]!, blk, offnum);
        else keys.addOne(heapGetAttr(layout, mem, tuples[i]!, attributes[0]!), blk, offnum);
      }
      rows += page.live;
      brokenHotChain ||= page.brokenHotChain;
      return 0;
    });
  }
  return { rows, blocks, dead, brokenHotChain };
}

/** Page memory is not ours to keep. */
function own(value: Datum): Datum {
  return value instanceof Uint8Array ? value.slice() : value;
}

function checkUnique(
  { functions, analysis }: CommandRunner,
  table: RelationDesc,
  desc: IndexDesc,
  index: BTIndex,
  keys: SortedKeys,
): void {
  if (!index.unique) return;
  const at = keys.firstDuplicate();
  if (at < 0) return;
  const texts = keys
    .values(at)
    .slice(0, index.nkeyatts)
    .map((value, n) => (value === null ? null : outputText(functions, desc.rel.att.attrs[n]!.typid as Oid, value)));
  const schema = analysis.catalog.search(NAMESPACEOID, table.rel.relnamespace)?.nspname ?? '';
  const violation = uniqueViolation(index, schema, texts);
  const detail = violation.fields.detail!.replace(' already exists.', ' is duplicated.');
  throw ereport(ERRCODE.UNIQUE_VIOLATION, `could not create unique index "${desc.rel.name}"`, {
    detail,
    schema,
    table: table.name,
    constraint: desc.rel.name,
  });
}

/** Puts finished pages into the relation, each with its image in the WAL. */
async function logPages(
  store: Attempts,
  session: BackendSession,
  rel: RelationDesc,
  pages: readonly Uint8Array[],
): Promise<void> {
  const { kernel } = session.instance;
  for (let blk = 0; blk < pages.length; blk++) {
    if (blk % SLICE === SLICE - 1) await session.breathe();
    await store.attempt(() => logNewPage(kernel, rel.smgr, blk, pages[blk]!));
  }
}
