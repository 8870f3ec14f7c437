/**
 * What built-in functions know of their session: one live object, read anew at every call.
 */
import { POSTGRES_EPOCH_MICROS } from '@pgtroupe/common/epoch';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { PgError } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import { postgresRandom } from '@pgtroupe/common/pg_prng';
import { checkRelation } from '@pgtroupe/commands/permissions';
import { type SequenceIo, sequenceIo } from '@pgtroupe/commands/sequence-io';
import { type SequenceLocks, SequenceState } from '@pgtroupe/commands/sequence-state';
import { ROW_EXCLUSIVE_LOCK } from '@pgtroupe/storage/lmgr/locktag';
import { SysFunctionCatalog } from '@pgtroupe/adt/cache/functioncatalog';
import type { DateOrder, DateStyle, FunctionCall, IntervalStyle, SessionSettings } from '@pgtroupe/adt/fmgr';
import type { PreparedStatement } from './prepared-statement.ts';
import type { Session } from './session.ts';
import { sessionLogFiles } from './session-logfiles.ts';
import { backends } from './session-questions.ts';
import { SessionStatements } from './session-statements.ts';
import { sessionServer } from './session-server.ts';
import { sessionStatistics } from './session-statistics.ts';
import { sessionWal } from './session-wal.ts';
import { setOfTransaction, shownOfTransaction } from './utility/transaction-stmt.ts';
import { CatalogMiss } from '@pgtroupe/catalog/catalogmiss';
import { preventIfReadOnly } from '@pgtroupe/commands/read-only';
import { MISS } from '@pgtroupe/storage/buffer/pages';
import type { AdvisoryLocks } from '@pgtroupe/adt/lockfuncs';
import type { WalFacts } from '@pgtroupe/adt/xlogfuncs';
import type { Backends } from '@pgtroupe/adt/signalfuncs';
import type { TransactionIds } from '@pgtroupe/adt/xid8funcs';
import type { LogFiles } from '@pgtroupe/adt/logfuncs';
import type { CumulativeStatistics } from '@pgtroupe/adt/pgstat_relation';
import type { ServerFacts } from '@pgtroupe/adt/serverfuncs';

export class SessionFunctions implements SessionSettings {
  readonly #session: Session;
  readonly lookup: SysFunctionCatalog;
  readonly databaseId: Oid;
  readonly databaseName: string;
  readonly backendPid: number;
  readonly versionString: string;
  readonly sequenceIo: SequenceIo;
  readonly sequences: SequenceState;
  readonly uncommittedEnums = new Set<number>();
  readonly server: ServerFacts;
  readonly logFiles: LogFiles;
  readonly advisoryLocks: AdvisoryLocks;
  readonly wal: WalFacts;
  readonly backends: Backends;
  readonly statistics: CumulativeStatistics;
  readonly statements: SessionStatements;
  readonly transactionIds: TransactionIds;
  queryString: string | undefined;
  /** Wall clock when the client's message came: a statement's time, and that of the transaction it starts. */
  messageMicros: number;
  #random: { uniform(): number };
  /** Derived from settings; computed again when they change. */
  #derivedAt = -1;
  #dateStyle: DateStyle = 'ISO';
  #dateOrder: DateOrder = 'MDY';
  #intervalStyle: IntervalStyle = 'postgres';
  #timeZone = 'UTC';
  #extraFloatDigits = 1;

  constructor(session: Session) {
    this.#session = session;
    this.messageMicros = session.instance.env.clock.wallMicros();
    this.lookup = new SysFunctionCatalog(
      () => session.runner.analysis.catalog,
      () => session.runner.analysis.searchPath(),
    );
    this.databaseId = session.database.oid as Oid;
    this.databaseName = session.database.name;
    this.backendPid = session.pid;
    this.versionString = `PostgreSQL ${session.settings.string('server_version')} on Node.js, 64-bit`;
    this.server = sessionServer(session);
    this.logFiles = sessionLogFiles(session);
    this.advisoryLocks = advisoryLocks(session);
    this.backends = backends(session);
    this.statistics = sessionStatistics(session);
    this.statements = new SessionStatements(session);
    this.transactionIds = transactionIds(session);
    const { kernel } = session.instance;
    this.wal = sessionWal(session);
    this.sequenceIo = sequenceIo(
      work => kernel.attempt(work, session.owner, () => session.enter()),
      () => ({ pages: kernel.pages, wal: kernel.wal, xact: session.block.tx }),
    );
    this.sequences = new SequenceState(
      () => session.runner.analysis.catalog,
      () => this.sequenceIo,
      sequenceLocks(session),
      (rel, right) => checkRelation(session.runner.analysis.acl(), rel.rel, this.currentUserId, right),
      command => preventIfReadOnly(session.block, command),
    );
    this.#random = { uniform: () => session.instance.env.random.uniform() };
  }

  /** A message about a statement came from the client. */
  messageArrived(): void {
    this.messageMicros = this.#session.instance.env.clock.wallMicros();
  }

  /** A new statement came from the client. */
  beginStatement(text: string, statement?: PreparedStatement): void {
    this.statements.current = statement;
    this.queryString = text;
    this.messageArrived();
  }

  /** A call of a function outside of a plan. */
  call(argTypes: readonly Oid[], resultType: Oid): FunctionCall {
    return { settings: this, collation: 0 as Oid, argTypes, resultType, catalog: this.lookup };
  }

  warn(sqlstate: string, message: string): void {
    this.#session.notice('WARNING', sqlstate, message);
  }

  #derive(): void {
    const { settings } = this.#session;
    if (this.#derivedAt === settings.version) return;
    this.#derivedAt = settings.version;
    [this.#dateStyle, this.#dateOrder] = settings.string('DateStyle').split(', ') as [DateStyle, DateOrder];
    this.#intervalStyle = settings.string('IntervalStyle') as IntervalStyle;
    this.#timeZone = settings.string('TimeZone');
    this.#extraFloatDigits = settings.number('extra_float_digits');
  }

  get currentUserId(): Oid {
    return this.#session.settings.user.current.oid;
  }

  get sessionUserId(): Oid {
    return this.#session.settings.user.session.oid;
  }

  get currentUser(): string {
    return this.#session.settings.user.current.name;
  }

  get sessionUser(): string {
    return this.#session.settings.user.session.name;
  }

  get dateStyle(): DateStyle {
    this.#derive();
    return this.#dateStyle;
  }

  get dateOrder(): DateOrder {
    this.#derive();
    return this.#dateOrder;
  }

  get intervalStyle(): IntervalStyle {
    this.#derive();
    return this.#intervalStyle;
  }

  get timeZone(): string {
    this.#derive();
    return this.#timeZone;
  }

  get extraFloatDigits(): number {
    this.#derive();
    return this.#extraFloatDigits;
  }

  get byteaOutput(): 'hex' | 'escape' {
    return this.#session.settings.string('bytea_output') as 'hex' | 'escape';
  }

  get quoteAllIdentifiers(): boolean {
    return this.#session.settings.bool('quote_all_identifiers');
  }

  get transactionTimestamp(): number {
    return this.#session.block.startMicros - POSTGRES_EPOCH_MICROS;
  }

  get statementTimestamp(): number {
    return this.messageMicros - POSTGRES_EPOCH_MICROS;
  }

  clockTimestamp(): number {
    return this.#session.instance.env.clock.wallMicros() - POSTGRES_EPOCH_MICROS;
  }

  random(): number {
    return this.#random.uniform();
  }

  setseed(seed: number): void {
    this.#random = postgresRandom(seed);
  }

  get searchPath(): readonly string[] {
    return this.#session.runner.analysis.searchPathNames();
  }

  getConfigOption(name: string): string | undefined {
    return shownOfTransaction(this.#session, name) ?? this.#session.settings.showOrUndefined(name);
  }

  setConfigOption(name: string, value: string | null, isLocal: boolean): string {
    const { settings, block } = this.#session;
    if (value !== null && setOfTransaction(this.#session, name, value)) return this.getConfigOption(name)!;
    if (value === null) settings.reset(name, block.tx.depth);
    else this.#session.remark(settings.set(name, value, { local: isLocal, depth: block.tx.depth }));
    return settings.show(name);
  }
}

function sequenceLocks(session: Session): SequenceLocks {
  const { locks } = session.instance.kernel;
  const database = session.database.oid as Oid;
  return {
    tryLock: oid => locks.tryRelation(session.owner, database, oid, ROW_EXCLUSIVE_LOCK),
    lock: async oid => {
      await locks.relation(session.owner, database, oid, ROW_EXCLUSIVE_LOCK);
      // What the one who had the lock changed.
      await session.runner.analysis.refresh();
    },
  };
}

function advisoryLocks(session: Session): AdvisoryLocks {
  const { locks } = session.instance.kernel;
  const { owner } = session;
  return {
    acquire: async (tag, mode, how) => {
      try {
        await locks.acquire(owner, tag, mode, how);
        return true;
      } catch (error) {
        const inTheWay = how.nowait && error instanceof PgError && error.sqlstate === ERRCODE.LOCK_NOT_AVAILABLE;
        if (!inTheWay) throw error;
        return false;
      }
    },
    release: (tag, mode) => locks.releaseSession(owner, tag, mode),
    releaseAll: () => locks.releaseAllSession(owner),
  };
}

function transactionIds(session: Session): TransactionIds {
  const { kernel } = session.instance;
  return {
    get current() {
      const { topXid } = session.block.tx;
      return topXid === 0 ? undefined : topXid;
    },
    get snapshot() {
      return session.block.activeSnapshot;
    },
    assign: () => {
      const fxid = session.block.tx.assignTopXid();
      if (fxid !== MISS) return fxid;
      const { want } = kernel.pages;
      throw new CatalogMiss(() => kernel.satisfy(want, session.owner));
    },
  };
}
