/**
 * From text to analyzed statement, in the eyes of one session: its search path and its transaction's view
 * of the catalogs. Analysis is pure over the catalog caches and is run again after each miss.
 *
 * Before catalogs are looked at the instance's snapshot is current: invalidations come with snapshots,
 * so what the caches say is at least as new as every commit this session could know of.
 */
import { foldedColumns } from './folded-columns.ts';
import { VOIDOID } from '@pgtroupe/common/oids';
import { ACL_USAGE } from '@pgtroupe/catalog/acl';
import { AclCheck } from '@pgtroupe/catalog/aclchk';
import { CatalogMiss } from '@pgtroupe/catalog/catalogmiss';
import type { CatalogWriter } from '@pgtroupe/catalog/catalogwriter';
import { computeSearchPath, type SearchPath } from '@pgtroupe/catalog/namespace';
import { AUTHNAME, DBROLESETTING, NAMESPACEOID } from '@pgtroupe/catalog/syscache';
import type { SystemCatalog } from '@pgtroupe/catalog/systemcatalog';
import type { Datum } from '@pgtroupe/common/datum';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import { createTableAsOf, selectsInto } from '@pgtroupe/parser/selectinto';
import { finish, type Slices } from '@pgtroupe/common/slices';
import type { Oid } from '@pgtroupe/common/ids';
import { CommandContext, type CommandSession } from '@pgtroupe/commands/command-context';
import { lockWhatQueryMeans, type NeededLock, neededLocks, type RelationLocker } from '@pgtroupe/commands/needed-locks';
import { exprType, exprTypmod } from '@pgtroupe/nodes/nodefuncs';
import type { Query } from '@pgtroupe/nodes/parsenodes';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { analyzeInSlices, makeParseState, stmtRequiresParseAnalysis } from '@pgtroupe/parser/analyze';
import { CatalogLookup } from '@pgtroupe/parser/catalog-lookup';
import type { ParserNotice } from '@pgtroupe/parser/parse_node';
import { type LockTag, relationTag } from '@pgtroupe/storage/lmgr/locktag';
import { bindLiterals } from '@pgtroupe/parser/statement';
import { typenameType } from '@pgtroupe/parser/parse_type';
import { rewriteQuery } from '@pgtroupe/parser/rewrite/rewriteHandler';
import { evalConstExpressions } from '@pgtroupe/optimizer/constfold';
import { withCatalog } from '@pgtroupe/catalog/catalogmiss';
import { selectAll } from './own-query.ts';
import { TransactionCatalogStore } from './catalog-store.ts';
import type { DatabaseContext } from './database-context.ts';
import type { Login } from './instance.ts';
import { plannerEnv } from './planner-env.ts';
import { setVariableText } from './utility/variable-stmt.ts';
import {
  type Analyzed,
  type ColumnInfo,
  type PreparedStatement,
  type SharedAnalysis,
  unanalyzed,
  withoutLiterals,
} from './prepared-statement.ts';
import type { Session } from './session.ts';
import { StatementWork } from './statement-work.ts';
import type { SessionFunctions } from './session-functions.ts';
import { utilityColumns } from './utility/utility.ts';

const NO_LITERALS: readonly Datum[] = [];
/** Of one text: a client may give its parameters any types. */
const MAX_ANALYSES = 64;
/** A longer text is analyzed bit by bit. */
const LONG_TEXT_LENGTH = 8192;

/** Analyses of one text's statements, while nothing they depend on changes. */
interface AnalysisCache {
  readonly validity: string;
  readonly entries: Map<string, SharedAnalysis>;
}

function analysisKey({ index, givenTypes, allowParams }: PreparedStatement): string {
  return allowParams ? `${index}:${givenTypes.join()}` : String(index);
}

interface MadeAnalysis {
  readonly validity: string;
  readonly shared: SharedAnalysis;
}

/** A transaction that changes catalogs: its own view of them, and how it writes. */
interface CatalogChange {
  readonly catalog: SystemCatalog;
  readonly store: TransactionCatalogStore;
  writers: CatalogWriter[];
}

export class Analysis {
  readonly #session: Session;
  readonly #database: DatabaseContext;
  readonly #functions: SessionFunctions;
  #change: CatalogChange | undefined;
  #superuser:
    | {
        readonly catalog: SystemCatalog;
        readonly version: number;
        readonly oid: Oid;
        readonly superuser: boolean;
      }
    | undefined;
  #path:
    | {
        readonly catalog: SystemCatalog;
        readonly version: number;
        readonly settings: number;
        readonly path: SearchPath;
      }
    | undefined;

  constructor(session: Session, login: Login, functions: SessionFunctions) {
    this.#session = session;
    this.#database = login.context;
    this.#functions = functions;
    session.settings.user.catalog = {
      roleByName: name => {
        const row = this.catalog.search(AUTHNAME, name);
        return row === null ? undefined : { oid: row.oid, name: row.rolname, superuser: row.rolsuper };
      },
      acl: () => this.acl(),
    };
  }

  /** The judge of rights. */
  acl(): AclCheck {
    return new AclCheck(this.catalog, this.#session.database.oid as Oid);
  }

  /** Is the current user a superuser, as catalogs say now? May throw CatalogMiss. */
  isSuperuser(): boolean {
    const { catalog } = this;
    const { oid } = this.#session.settings.user.current;
    const known = this.#superuser;
    if (known !== undefined && known.catalog === catalog && known.version === catalog.version && known.oid === oid) {
      return known.superuser;
    }
    const superuser = this.acl().isSuperuser(oid);
    this.#superuser = { catalog, version: catalog.version, oid, superuser };
    return superuser;
  }

  /** Roles that the start-up packet asked for. */
  async lateStartup(): Promise<void> {
    await withCatalog(() => this.#session.settings.lateStartup());
  }

  /** What ALTER ROLE and ALTER DATABASE have set for this session. */
  async storedSettings(): Promise<void> {
    const session = this.#session;
    const { settings, database } = session;
    const { oid: role } = settings.user.authenticated;
    const stored = await withCatalog(() =>
      STORED_FOR.flatMap(({ source, ofDatabase, ofRole }) => {
        const row = this.catalog.search(DBROLESETTING, ofDatabase ? database.oid : 0, ofRole ? role : 0);
        return (row?.setconfig ?? []).map(item => ({ source, item }));
      }),
    );
    if (stored.length === 0) return;
    await withCatalog(() =>
      settings.storedDefaults(stored, error => session.notice('WARNING', error.sqlstate, error.message)),
    );
  }

  /** The catalogs as this session's transaction sees them. */
  get catalog(): SystemCatalog {
    return this.#change?.catalog ?? this.#database.catalog;
  }

  // ---- names -----------------------------------------------------------------------------------------

  searchPathInfo(): SearchPath {
    const { catalog } = this;
    const { settings } = this.#session;
    const known = this.#path;
    if (
      known !== undefined &&
      known.catalog === catalog &&
      known.version === catalog.version &&
      known.settings === settings.version
    ) {
      return known.path;
    }
    const path = computeSearchPath(catalog, {
      setting: settings.string('search_path'),
      userName: settings.user.current.name,
      tempNamespace: 0 as Oid,
      mayUse: oid => this.acl().objectCheck('schema', oid, settings.user.current.oid, ACL_USAGE),
    });
    this.#path = { catalog, version: catalog.version, settings: settings.version, path };
    return path;
  }

  searchPath(): readonly Oid[] {
    return this.searchPathInfo().path;
  }

  /** Schemas that exist, without those searched implicitly: current_schemas(false). */
  searchPathNames(): readonly string[] {
    const { path, creation } = this.searchPathInfo();
    const explicit = creation === 0 ? [] : path.slice(path.indexOf(creation));
    return explicit.map(oid => this.catalog.search(NAMESPACEOID, oid)?.nspname ?? '');
  }

  lookup(): CatalogLookup {
    return new CatalogLookup(this.catalog, this.searchPath(), {
      databaseName: this.#session.database.name,
      userId: this.#functions.currentUserId,
      mayUse: this.searchPathInfo().mayUse,
    });
  }

  /** Type OIDs of PREPARE's argument list. */
  typeNames(names: readonly RawNode[], text: string): Promise<readonly Oid[]> {
    return withCatalog(() => {
      const pstate = makeParseState({ catalog: this.lookup(), fc: this.#call(), sourceText: text });
      return names.map(name => typenameType(pstate, name).type.oid);
    });
  }

  #call() {
    return this.#functions.call([], VOIDOID);
  }

  // ---- statements ------------------------------------------------------------------------------------

  /** Fills in what the statement means. */
  async analyze(statement: PreparedStatement): Promise<void> {
    const { raw } = statement;
    if (raw === undefined) return;
    if (this.#session.block.failed) {
      statement.analyzed = { kind: 'utility', raw, columns: undefined };
      return;
    }
    if (isUtility(raw)) {
      const utility = createTableAsOf(raw) ?? raw;
      if (statement.allowParams && (utility.type === 'ExplainStmt' || utility.type === 'CreateTableAsStmt'))
        await this.#analyzeInner(statement, utility['query'] as RawNode);
      statement.analyzed = { kind: 'utility', raw: utility, columns: utilityColumns(this.#session.runner, utility) };
      return;
    }
    if (!this.tryAnalyze(statement)) await this.#analyzeAndLock(statement, () => false);
  }

  /** Parameters of EXPLAIN and CREATE TABLE AS are those of the statement within. */
  async #analyzeInner(statement: PreparedStatement, query: RawNode): Promise<void> {
    const { text, givenTypes } = statement;
    const explained = unanalyzed(withoutLiterals(query, text), 0, text, { givenTypes, allowParams: true, raw: query });
    await this.analyze(explained);
    statement.paramTypes = explained.paramTypes;
  }

  /** Fills in what the statement means, unless that is known, and locks what it reads and writes: when all of it is locked
   *  it still means that. */
  async #analyzeAndLock(statement: PreparedStatement, isKnown: () => boolean): Promise<void> {
    await this.refresh();
    await this.#session.block.settleSnapshot();
    let notices: readonly ParserNotice[] = [];
    await lockWhatQueryMeans(this.#locker, async () => {
      if (isKnown()) return locksOf(statement);
      const made = this.#isLong(statement) ? await this.#inSlices(statement) : undefined;
      notices = await withCatalog(() => this.#resolve(statement, made));
      return locksOf(statement);
    });
    this.#tell(notices);
  }

  get #locker(): RelationLocker {
    const { owner, database, instance } = this.#session;
    const { locks } = instance.kernel;
    const tag = (relid: Oid): LockTag => relationTag(database.oid as Oid, relid);
    return {
      lock: async (relid, mode) => {
        if (locks.holds(owner, tag(relid), mode)) return false;
        await locks.relation(owner, database.oid as Oid, relid, mode);
        await this.refresh();
        return true;
      },
      unlock: (relid, mode) => locks.giveBack(owner, tag(relid), mode),
    };
  }

  /** Locks what the statement reads and writes, if that can be had at once. */
  tryLocks(statement: PreparedStatement): boolean {
    const { owner, database, instance } = this.#session;
    const { locks } = instance.kernel;
    for (const { relid, mode } of locksOf(statement)) {
      if (!locks.tryRelation(owner, database.oid as Oid, relid, mode)) return false;
    }
    return true;
  }

  /** Without awaiting anything; false when something must be read or waited for first. */
  tryAnalyze(statement: PreparedStatement): boolean {
    const { raw } = statement;
    if (raw === undefined || isUtility(raw) || this.#session.block.failed || this.#isLong(statement)) return false;
    if (!this.#fresh()) return false;
    try {
      const notices = this.#resolve(statement);
      if (!this.tryLocks(statement)) return false;
      this.#tell(notices);
      return true;
    } catch (error) {
      if (error instanceof CatalogMiss) return false;
      throw error;
    }
  }

  /** Takes it long enough to analyze that neighbours should have their turn meanwhile? */
  #isLong(statement: PreparedStatement): boolean {
    const { text, parsed } = statement;
    if (text.length < LONG_TEXT_LENGTH || parsed.statement.stmts.length > 1) return false;
    return this.#known(statement, this.#validity()) === undefined;
  }

  /** The analysis of a long statement, made bit by bit. Undefined: that failed, and what is wrong with it is another's to say. */
  async #inSlices(statement: PreparedStatement): Promise<MadeAnalysis | undefined> {
    const session = this.#session;
    const work = new StatementWork<SharedAnalysis>();
    for (;;) {
      const validity = this.#validity();
      try {
        const begin = (): Slices<SharedAnalysis> => this.#analyzeQuery(statement, statement.raw!);
        const shared = work.run([validity, statement.raw], begin, session.runner.execution.env);
        if (shared !== undefined) return { validity, shared };
      } catch (error) {
        if (error instanceof CatalogMiss) await error.load();
        else if (statement.parsed.statement.shared) return undefined;
        else throw error;
      }
      await session.turn();
      session.enter();
    }
  }

  #resolve(statement: PreparedStatement, made?: MadeAnalysis): readonly ParserNotice[] {
    const validity = this.#validity();
    const shared = this.#analysisOf(statement, validity, made?.validity === validity ? made.shared : undefined);
    statement.literals =
      shared.literals.length === 0
        ? NO_LITERALS
        : bindLiterals(this.#call(), shared.literals, statement.parsed.literals, () => statement.text);
    statement.analyzed = shared.analyzed;
    statement.paramTypes = shared.paramTypes;
    statement.validity = validity;
    return shared.notices;
  }

  #tell(notices: readonly ParserNotice[]): void {
    for (const { severity, sqlstate, message, position } of notices)
      this.#session.notice(severity, sqlstate, message, { position });
  }

  /** An error is never another text's: its literals may be wrong where these are right, its places others. */
  #analysisOf(statement: PreparedStatement, validity: string, made?: SharedAnalysis): SharedAnalysis {
    const { parsed, index, text } = statement;
    try {
      return this.#sharedAnalysis(statement, validity, made);
    } catch (error) {
      if (error instanceof CatalogMiss || !parsed.statement.shared) throw error;
      const { statements } = this.#database;
      statements.forget(parsed.statement);
      if (parsed.statement.text === text) throw error;
      statement.parsed = statements.lookupText(text);
      statement.raw = statement.parsed.statement.stmts[index]!.stmt;
      return this.#analysisOf(statement, validity);
    }
  }

  /** The analysis that statements of this shape share; if there is none the one that was `made`, or it is made now. */
  #sharedAnalysis(statement: PreparedStatement, validity: string, made?: SharedAnalysis): SharedAnalysis {
    const known = this.#known(statement, validity);
    if (known !== undefined) return known;
    const entry = made ?? finish(this.#analyzeQuery(statement, statement.raw!));
    if (!this.#mayShare(statement)) return entry;
    const { entries } = statement.parsed.statement.cached as AnalysisCache;
    if (entries.size >= MAX_ANALYSES) entries.clear();
    entries.set(analysisKey(statement), entry);
    return entry;
  }

  /** A transaction's own view of the catalogs is nobody else's, nor is a tree that was made up here. */
  #mayShare({ parsed, index, raw }: PreparedStatement): boolean {
    return this.#change === undefined && raw === parsed.statement.stmts[index]?.stmt;
  }

  #known(statement: PreparedStatement, validity: string): SharedAnalysis | undefined {
    if (!this.#mayShare(statement)) return undefined;
    const { statement: text } = statement.parsed;
    const known = text.cached as AnalysisCache | undefined;
    if (known?.validity === validity) return known.entries.get(analysisKey(statement));
    text.cached = { validity, entries: new Map() } satisfies AnalysisCache;
    return undefined;
  }

  *#analyzeQuery(statement: PreparedStatement, raw: RawNode): Slices<SharedAnalysis> {
    const input = { catalog: this.lookup(), fc: this.#call() };
    const { statement: parsed } = statement.parsed;
    const literalBase = parsed.shared ? Math.max(parsed.literalBase, statement.givenTypes.length + 1) : 1 << 16;
    const { query, paramTypes, notices, literals, pinnedLiterals } = yield* analyzeInSlices({
      ...input,
      sourceText: parsed.text,
      stmt: { type: 'RawStmt', stmt: raw, stmt_location: 0, stmt_len: 0 },
      params: statement.allowParams ? { kind: 'variable', types: statement.givenTypes } : { kind: 'none' },
      ...(parsed.shared ? { literalBase } : {}),
    });
    if (pinnedLiterals.length > 0) this.#database.statements.pin(parsed, pinnedLiterals);
    yield;
    const rewritten = rewriteQuery(input, query);
    yield;
    const locks = neededLocks(rewritten);
    yield;
    const analyzed: Analyzed = {
      kind: 'query',
      query: rewritten,
      locks,
      columns: this.#columns(query, input.catalog),
      folded: foldedColumns(query),
      plan: undefined,
      source: query,
      literalBase,
      jumble: undefined,
      entry: undefined,
    };
    // What has a place to point at is this text's alone.
    if (notices.length > 0) this.#database.statements.forget(parsed);
    return { analyzed, paramTypes, literals, notices };
  }

  #columns(query: Query, catalog: CatalogLookup): readonly ColumnInfo[] | undefined {
    const list = query.commandType === 1 ? query.targetList : query.returningList;
    if (query.commandType !== 1 && list.length === 0) return undefined;
    return list
      .filter(entry => !entry.resjunk)
      .map(entry => {
        // A domain is told as what it is made of.
        const base = catalog.baseTypeAndTypmod(exprType(entry.expr), exprTypmod(entry.expr));
        return {
          name: entry.resname ?? '?column?',
          tableOid: entry.resorigtbl,
          attnum: entry.resorigcol,
          typid: base.type,
          typlen: this.#functions.lookup.type(base.type as Oid)?.typlen ?? -1,
          typmod: base.typmod,
        };
      });
  }

  /** Are invalidations as new as now? */
  #fresh(): boolean {
    const { shared } = this.#session.instance.kernel;
    const { block } = this.#session;
    const live = shared.tryTakeSnapshot(block.tx.curcid);
    if (live === undefined) return false;
    shared.releaseSnapshot(live);
    return block.settleSnapshot() === undefined;
  }

  /** Makes sure that invalidations are as new as now. */
  refresh(): Promise<void> {
    return this.#session.instance.refreshCatalogs();
  }

  isValid(statement: PreparedStatement): boolean {
    return statement.analyzed.kind !== 'query' || statement.validity === this.#validity();
  }

  /** Is what was analyzed still what it means? If not, a promise of having analyzed it again. */
  revalidate(statement: PreparedStatement): Promise<void> | undefined {
    return this.isValid(statement) ? undefined : this.lock(statement, true);
  }

  /** Locks what a statement that was analyzed before reads and writes, and analyzes it again if it means something else by
   *  now. `described`: its columns must be those that the client was told. */
  async lock(statement: PreparedStatement, described: boolean): Promise<void> {
    const before = columnsOf(statement);
    const { analyzed, paramTypes, literals } = statement;
    await this.#analyzeAndLock(statement, () => this.isValid(statement));
    if (described && !sameColumns(before, columnsOf(statement))) {
      // What the client was told stands: the next execution fails as well, unless the columns are those again.
      Object.assign(statement, { analyzed, paramTypes, literals, validity: '' });
      throw ereport(ERRCODE.FEATURE_NOT_SUPPORTED, 'cached plan must not change result type', {
        // pgjdbc and asyncpg know by this name that preparing anew will help.
        routine: 'RevalidateCachedQuery',
      });
    }
  }

  #validity(): string {
    const { catalog } = this;
    return `${catalog === this.#database.catalog ? 's' : 'f'}${catalog.version}/${this.#session.settings.analysisKey()}`;
  }

  // ---- changing catalogs -------------------------------------------------------------------------------

  /** Runs a command that changes catalogs, in the transaction's own view of them. */
  async changeCatalogs(text: string, work: (context: CommandContext) => Promise<void>): Promise<void> {
    const session = this.#session;
    await this.refresh();
    if (this.#change === undefined) {
      const store = new TransactionCatalogStore(session, this.#database);
      this.#change = { store, catalog: this.#database.catalog.fork(store), writers: [] };
    }
    const { catalog, store, writers } = this.#change;
    const command: CommandSession = {
      databaseName: session.database.name,
      userId: this.#functions.currentUserId,
      userName: this.#functions.currentUser,
      superuser: await withCatalog(() => this.isSuperuser()),
      searchPath: () => this.searchPathInfo(),
      tempNamespace: 0 as Oid,
      sequences: this.#functions.sequenceIo,
      stored: {
        value: setstmt => setVariableText(session, setstmt),
        check: (name, value) => {
          const checked = session.settings.checkStored(name, value);
          session.remark(checked.remark);
          return checked.name;
        },
        mayReset: name => session.settings.mayResetStored(name),
      },
      saltBytes: n => session.instance.env.random.bytes(n),
      select: raw => selectAll(session.runner, raw, text),
      simplify: expr => evalConstExpressions(plannerEnv(session.runner.execution), expr),
      fc: this.#call(),
    };
    const context = await withCatalog(() => new CommandContext(command, catalog, store, text));
    writers.push(context.w);
    try {
      await work(context);
    } finally {
      session.block.tx.invals = Buffer.concat(writers.map(writer => writer.invals));
    }
  }

  /** Rows of these catalogs were changed, and by no command that knows what they mean. */
  catalogRowsChanged(catalogs: readonly Oid[], text: string): Promise<void> {
    return this.changeCatalogs(text, async ({ w }) => {
      for (const catalog of catalogs) w.invalidateCatalog(catalog);
      w.commandCounterIncrement();
    });
  }

  /** ROLLBACK TO: what was read since may never have been. */
  savepointRolledBack(): void {
    this.#change?.catalog.reset();
  }

  transactionEnded(committed: boolean, invals: Uint8Array): void {
    const change = this.#change;
    if (change === undefined) return;
    this.#change = undefined;
    change.catalog.endFork();
    change.store.end();
    if (committed) this.#session.instance.applyInvalidations(invals);
  }
}

/** Rows of pg_db_role_setting, the strongest first. */
const STORED_FOR = [
  { source: 'database user', ofDatabase: true, ofRole: true },
  { source: 'user', ofDatabase: false, ofRole: true },
  { source: 'database', ofDatabase: true, ofRole: false },
  { source: 'global', ofDatabase: false, ofRole: false },
] as const;

function isUtility(raw: RawNode): boolean {
  return (
    !stmtRequiresParseAnalysis(raw) ||
    selectsInto(raw) ||
    ['ExplainStmt', 'DeclareCursorStmt', 'CreateTableAsStmt', 'CallStmt'].includes(raw.type)
  );
}

function locksOf({ analyzed }: PreparedStatement): readonly NeededLock[] {
  return analyzed.kind === 'query' ? analyzed.locks : [];
}

function columnsOf({ analyzed }: PreparedStatement): readonly ColumnInfo[] | undefined {
  return analyzed.kind === 'query' ? analyzed.columns : undefined;
}

function sameColumns(a: readonly ColumnInfo[] | undefined, b: readonly ColumnInfo[] | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.length === b.length && a.every((column, n) => column.typid === b[n]!.typid && column.name === b[n]!.name);
}
