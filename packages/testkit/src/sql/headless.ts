/**
 * SQL without a server, for tests of the planner and executor: text goes through parser, analysis, rewriter,
 * planner and executor, over pages, transactions and catalogs in memory.
 *
 *   const db = await HeadlessDatabase.create();
 *   await db.run('create table t (a int)');
 *   (await db.run('select a from t')).rows            // text values, null for NULL
 *
 * With `misses` every page is lacking at first and taken away again after every suspension, and time slices
 * end all the time: what a plan node forgets to hold shows at once.
 */
import { finish } from '@pgtroupe/common/slices';
import { BOOTSTRAP_SUPERUSERID } from '@pgtroupe/common/oids';
import { HeapContext } from '@pgtroupe/access/heap/heapam-context';
import { heapPruneQueued } from '@pgtroupe/access/heap/pruneheap';
import { registerToastFetcher } from '@pgtroupe/access/common/detoast';
import { SoloPages } from '../access/solo-pages.ts';
import { MemoryTempFiles } from './memory-temp-files.ts';
import { ToastReader } from '../access/solo-toast.ts';
import { type SoloXact, SoloTransactions } from '../access/solo-xact.ts';
import { btInitMetaPage, emptyMeta } from '@pgtroupe/access/nbtree/nbtree';
import { CatalogMiss } from '@pgtroupe/catalog/catalogmiss';
import type { IndexBuildResult } from '@pgtroupe/catalog/catalogwriter';
import { computeSearchPath, type SearchPath } from '@pgtroupe/catalog/namespace';
import type { IndexDesc, RelationDesc } from '@pgtroupe/catalog/relcache';
import { SystemCatalog } from '@pgtroupe/catalog/systemcatalog';
import { MemoryStore } from '../catalog/memory-store.ts';
import { assert } from '@pgtroupe/common/assert';
import type { Datum } from '@pgtroupe/common/datum';
import { MAIN_FORKNUM, type Oid, type RelFileNode } from '@pgtroupe/common/ids';
import { Arena, ArenaSpace } from '@pgtroupe/storage/arena';
import type { RelationFiles } from '@pgtroupe/instance/relation-files';
import '@pgtroupe/commands/fmgrtab';
import { CommandContext } from '@pgtroupe/commands/command-context';
import { runDefinitionCommand } from '@pgtroupe/commands/utility';
import type { ExecEnv } from '@pgtroupe/executor/estate';
import { explainPlan } from '@pgtroupe/executor/explain';
import { evaluateConstant, type Fold } from '@pgtroupe/executor/execConstants';
import { statisticValues } from '@pgtroupe/executor/statisticvalues';
import { initPlan, type QueryState } from '@pgtroupe/executor/execMain';
import { btreeOf, heapOf } from '@pgtroupe/executor/relations';
import { EState } from '@pgtroupe/executor/estate';
import { END, MISS, ROW, YIELD } from '@pgtroupe/executor/status';
import { CMD_UTILITY } from '@pgtroupe/nodes/nodes';
import type { Query } from '@pgtroupe/nodes/parsenodes';
import type { Expr } from '@pgtroupe/nodes/primnodes';
import type { RawStmt } from '@pgtroupe/nodes/rawnodes';
import { stringToNode } from '@pgtroupe/nodes/readfuncs';
import { exprType } from '@pgtroupe/nodes/nodefuncs';
import type { PlannerEnv, PlannerMethod } from '@pgtroupe/optimizer/pathnodes';
import { evalConstExpressions } from '@pgtroupe/optimizer/constfold';
import { planner } from '@pgtroupe/optimizer/planner';
import { sqlFunctionBody } from '@pgtroupe/optimizer/sqlfunctions';
import type { PlannedStmt } from '@pgtroupe/optimizer/plannodes';
import { analyze } from '@pgtroupe/parser/analyze';
import { CatalogLookup } from '@pgtroupe/parser/catalog-lookup';
import { loadParser, rawParse } from '@pgtroupe/parser/parser';
import { rewriteQuery } from '@pgtroupe/parser/rewrite/rewriteHandler';
import { SysFunctionCatalog } from '@pgtroupe/adt/cache/functioncatalog';
import { outputFunction } from '@pgtroupe/adt/cache/typcache';
import { DEFAULT_SETTINGS, type FunctionCall } from '@pgtroupe/adt/fmgr';

const ARENA_BYTES = 256 << 20;

export interface HeadlessOptions {
  readonly pages?: number;
  readonly misses?: boolean;
}

export interface HeadlessResult {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | null)[])[];
  readonly processed: number;
}

class HeadlessStore extends MemoryStore {
  readonly #db: () => HeadlessDatabase;

  constructor(db: () => HeadlessDatabase) {
    super();
    this.#db = db;
  }

  override createStorage(rnode: RelFileNode): Promise<void> {
    this.#db().solo.relation(rnode.relNode);
    return super.createStorage(rnode);
  }

  /** Indexes are made before there are rows. */
  override buildIndex(table?: RelationDesc, index?: IndexDesc): Promise<IndexBuildResult> {
    assert(table !== undefined && index !== undefined, 'an index of a table');
    const { solo, env } = this.#db();
    const files = index.rel.smgr as RelationFiles;
    if (files.forks[MAIN_FORKNUM]!.blocks <= 0) {
      const page = solo.addPage(files, MAIN_FORKNUM);
      btInitMetaPage(solo.mem, page, emptyMeta(btreeOf(new EState(env, 0), table, index).allequalimage));
    }
    return Promise.resolve({ tuples: 0, tablePages: 0, indexPages: 1, brokenHotChain: false });
  }
}

export class HeadlessDatabase {
  readonly solo: SoloPages;
  readonly transactions: SoloTransactions;
  readonly store: HeadlessStore;
  readonly env: HeadlessEnv;
  readonly catalog: SystemCatalog;
  readonly #shared: SystemCatalog;
  readonly #misses: boolean;
  #xact: SoloXact;
  /** Statements commit by themselves unless this is off. */
  autocommit = true;
  /** What the planner shall avoid: enable_… is off. */
  disabled: ReadonlySet<PlannerMethod> = new Set();

  private constructor(options: HeadlessOptions) {
    this.solo = new SoloPages({ pages: options.pages ?? 4096, arena: ARENA_BYTES, misses: options.misses === true });
    this.#misses = options.misses === true;
    this.transactions = new SoloTransactions(this.solo);
    this.store = new HeadlessStore(() => this);
    this.#shared = new SystemCatalog(this.store, {
      databaseOid: 5 as Oid,
      defaultTablespace: 1663 as Oid,
      smgropen: rnode => this.solo.relation(rnode.relNode),
      mappedFilenode: oid => oid,
    });
    this.catalog = this.#shared.fork(this.store);
    this.#xact = this.transactions.begin();
    this.env = new HeadlessEnv(this, options.misses === true);
    registerToastFetcher(
      this.solo.mem,
      new ToastReader(this.env.heap, oid => {
        const relation = this.env.relation(oid);
        return { oid, heap: heapOf(relation), index: btreeOf(new EState(this.env, 0), relation, relation.indexes[0]!) };
      }),
    );
  }

  static async create(options: HeadlessOptions = {}): Promise<HeadlessDatabase> {
    await loadParser();
    const db = new HeadlessDatabase(options);
    await db.#shared.preload();
    return db;
  }

  get xact(): SoloXact {
    return this.#xact;
  }

  /** Commits; the next statement begins a new transaction. */
  commit(): void {
    this.#xact.commit();
    this.#begin();
  }

  abort(): void {
    this.#xact.abort();
    this.#begin();
  }

  #begin(): void {
    this.#xact = this.transactions.begin();
    this.env.heap.xact = this.#xact;
  }

  async #retry<T>(work: () => T): Promise<T> {
    for (;;) {
      try {
        return work();
      } catch (error) {
        if (!(error instanceof CatalogMiss)) throw error;
        await error.load();
      }
    }
  }

  searchPath(): SearchPath {
    return computeSearchPath(this.catalog, { setting: 'public', userName: 'postgres', tempNamespace: 0 as Oid });
  }

  call(): FunctionCall {
    return {
      settings: this.env.settings,
      collation: 0 as Oid,
      argTypes: [],
      resultType: 0 as Oid,
      catalog: this.env.lookup,
    };
  }

  /** Runs all statements of a text; answers the last one's result. */
  async run(sql: string, params: readonly Datum[] = []): Promise<HeadlessResult> {
    let result: HeadlessResult = { columns: [], rows: [], processed: 0 };
    for (const raw of rawParse(sql)) result = await this.#runOne(sql, raw, params);
    return result;
  }

  async #runOne(sql: string, raw: RawStmt, params: readonly Datum[]): Promise<HeadlessResult> {
    const query = await this.#analyze(sql, raw);
    if (query.commandType === CMD_UTILITY) {
      const searchPath = await this.#retry(() => this.searchPath());
      const session = {
        databaseName: 'postgres',
        userId: 10 as Oid,
        userName: 'postgres',
        superuser: true,
        searchPath: () => searchPath,
        tempNamespace: 0 as Oid,
        fc: this.call(),
      };
      await runDefinitionCommand(new CommandContext(session, this.catalog, this.store, sql), raw.stmt);
      return { columns: [], rows: [], processed: 0 };
    }
    const plan = await this.#retry(() => planner(this.plannerEnv(), query));
    const state = await this.#retry(() => initPlan(this.env, plan));
    try {
      const fold: Fold = (expr, known) => evalConstExpressions(this.plannerEnv(), expr, known);
      await this.#retry(() => finish(state.computeConstants(params, 0, fold)));
      const result = await this.execute(state, params);
      this.#xact.nextCommand();
      if (this.autocommit) this.commit();
      return result;
    } catch (error) {
      if (this.autocommit) this.abort();
      throw error;
    } finally {
      state.release();
    }
  }

  #catalogLookup(): CatalogLookup {
    return new CatalogLookup(this.catalog, this.searchPath().path, {
      databaseName: 'postgres',
      userId: BOOTSTRAP_SUPERUSERID,
    });
  }

  async #analyze(sql: string, raw: RawStmt): Promise<Query> {
    return this.#retry(() => {
      const input = { catalog: this.#catalogLookup(), fc: this.call() };
      const { query } = analyze({ ...input, sourceText: sql, stmt: raw, params: { kind: 'variable', types: [] } });
      return rewriteQuery(input, query);
    });
  }

  plannerEnv(): PlannerEnv {
    return {
      enabled: method => !this.disabled.has(method),
      collapseLimit: () => 8,
      rows: this.env.rows,
      statisticValues: statisticValues(this.env.rows, () => this.call()),
      relation: oid => this.env.relation(oid as Oid),
      relationBlocks: rel => (rel.smgr as RelationFiles).forks[MAIN_FORKNUM]!.blocks,
      evaluate: expr => evaluateConstant(this.env, expr),
      sqlFunctionBody: (oid, argTypes) =>
        sqlFunctionBody({ catalog: this.#catalogLookup(), fc: this.call() }, this.env.rows, oid, argTypes),
      indexCheckXmin: () => 'everybody',
      stringToExpr: text => stringToNode(text) as Expr | readonly Expr[],
    };
  }

  /** The plan of a statement. */
  async plan(sql: string): Promise<PlannedStmt> {
    const [raw] = rawParse(sql);
    const query = await this.#analyze(sql, raw!);
    return this.#retry(() => planner(this.plannerEnv(), query));
  }

  /** EXPLAIN without costs. */
  async explain(sql: string): Promise<string[]> {
    const plan = await this.plan(sql);
    return this.#retry(() => explainPlan(plan, this.call(), { costs: false, verbose: false }));
  }

  /** Runs a plan that is ready, as a session driver does. */
  async execute(state: QueryState, params: readonly Datum[]): Promise<HeadlessResult> {
    const rows: (string | null)[][] = [];
    state.start(params, this.#xact.snapshot(), this.#xact);
    const outputs = await this.#retry(() =>
      state.tlist.map(tle => outputFunction(this.call(), exprType(tle.expr) as Oid)),
    );
    for (;;) {
      let status: number;
      try {
        status = state.pull();
      } catch (error) {
        if (!(error instanceof CatalogMiss)) throw error;
        state.suspend();
        if (this.#misses) this.solo.movePages();
        await error.load();
        continue;
      }
      if (status === END) break;
      if (status === ROW) {
        for (let row = 0; row < state.count; row++) {
          rows.push(
            state.readers.map((read, i) => {
              const value = read(row);
              return value === null ? null : Buffer.from(outputs[i]!(value)).toString('utf8');
            }),
          );
        }
        continue;
      }
      state.suspend();
      if (this.#misses) this.solo.movePages();
      if (status === MISS) await this.#satisfy();
      else {
        assert(status === YIELD, `status ${status}`);
        this.solo.recallAll();
        this.env.turnEnded();
      }
    }
    heapPruneQueued(this.env.heap);
    return { columns: state.tlist.map(tle => tle.resname ?? ''), rows, processed: state.processed };
  }

  async #satisfy(): Promise<void> {
    const { want } = this.solo;
    this.solo.want = { kind: 'none' };
    if (want.kind === 'await') await want.run();
    else this.solo.satisfy(want);
  }
}

class HeadlessEnv implements ExecEnv {
  readonly #db: HeadlessDatabase;
  readonly mem;
  readonly arena: Arena;
  readonly pages: SoloPages;
  readonly heap: HeapContext;
  #chance = 1;
  /** Chance that is the same each time, and new at each call. */
  readonly settings = {
    ...DEFAULT_SETTINGS,
    random: () => (this.#chance = (this.#chance * 48271) % 0x7fffffff) / 0x7fffffff,
  };
  readonly lookup: SysFunctionCatalog;
  usesTransactionSnapshot = false;
  readonly #impatient: boolean;
  #asked = 0;
  #nextOid = 100_000;

  constructor(db: HeadlessDatabase, impatient: boolean) {
    this.#db = db;
    this.mem = db.solo.mem;
    this.arena = new Arena(new ArenaSpace(db.solo.mem, db.solo.arenaStart, db.solo.arenaStart + ARENA_BYTES));
    this.pages = db.solo;
    this.heap = new HeapContext(db.solo, db.solo.wal, db.xact);
    this.lookup = new SysFunctionCatalog(
      () => db.catalog,
      () => db.searchPath().path,
    );
    this.#impatient = impatient;
  }

  get rows() {
    return this.#db.catalog.rows;
  }

  relation(oid: Oid): RelationDesc {
    const relation = this.#db.catalog.relation(oid);
    assert(relation !== null, `relation ${oid} exists`);
    return relation;
  }

  readonly sliceBeganMs = 0;

  nowMs(): number {
    return 0;
  }

  /** With misses, every third question ends the turn. */
  shouldYield(): boolean {
    return this.#impatient && ++this.#asked % 3 === 0;
  }

  /** Small enough, everything goes to disk. */
  workMemBytes = 4 << 20;

  get hashMemBytes(): number {
    return this.workMemBytes;
  }

  readonly temp: MemoryTempFiles = new MemoryTempFiles();

  newOid(): number {
    return this.#nextOid++;
  }

  turnEnded(): void {
    this.#asked = 0;
  }
}
