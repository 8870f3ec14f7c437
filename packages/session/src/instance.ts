/**
 * A backend instance: the process that hosts client sessions.
 *
 * Purpose: takes clients from the postmaster, runs their sessions over one attachment to shared
 *   state: one page cache, one set of catalogs, one reserve of transaction ids for all of them.
 * Promise: a session's failure is its own; nothing here is the only copy of a committed fact.
 * Started by: the postmaster, warm before the first client comes; more when sessions fill it up.
 * Stops: told so by the postmaster (smart: after the last session; fast: sessions are terminated;
 *   immediate: at once); when it cannot go on (PANIC).
 * Its death means: its sessions are gone, their transactions roll back; the buffer-manager fences
 *   it, aborts what it had not committed and frees its locks.
 *
 * When the buffer-manager dies the instance lives on: open transactions fail, idle sessions stay,
 * and everything is fetched anew from the next life (invariant 22).
 */
import { ACL_CONNECT } from '@pgtroupe/catalog/acl';
import { AclCheck } from '@pgtroupe/catalog/aclchk';
import type { Env } from '@pgtroupe/actor/env';
import type { Arrival, SessionIntake } from '@pgtroupe/actor/net';
import { AUTHNAME, AUTHOID, DATABASENAME, DATABASEOID } from '@pgtroupe/catalog/syscache';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';
import { BLCKSZ, type CommandId, type Oid } from '@pgtroupe/common/ids';
import { BOOTSTRAP_SUPERUSERID } from '@pgtroupe/common/oids';
import type { Settings } from '@pgtroupe/common/settings';
import type { ShutdownMode } from '@pgtroupe/actor/lifecycle';
import { type HbaFile, parseHba } from '@pgtroupe/libpq/hba';
import type { Welcome } from '@pgtroupe/instance/attachment';
import { encodingToChar } from '@pgtroupe/adt/misc';
import type { DatabaseLocale } from './settings.ts';
import { MemoryGuard } from './memory-guard.ts';
import type { SessionExecEnv } from './session-exec-env.ts';
import { OffLoop } from './offloop/offloop.ts';
import { Arena, ArenaSpace } from '@pgtroupe/storage/arena';
import { InstanceStat } from '@pgtroupe/instance/pgstat';
import { StatsClient } from '@pgtroupe/instance/pgstat_client';
import { createMemory } from '@pgtroupe/storage/memory';
import { InstanceKernel } from '@pgtroupe/instance/instance-kernel';
import { withCatalog } from '@pgtroupe/catalog/catalogmiss';
import { DatabaseContext } from './database-context.ts';
import { answerQuestions } from './session-questions.ts';
import { AUTOVACUUM_WORKER } from './session-ends.ts';
import { Session } from './session.ts';
import { removeTemporaryFiles } from './temp-files.ts';
import { StatementStatistics } from './statement-statistics.ts';
import { InstanceToast } from './toast-fetcher.ts';
import type { TransactionBlock } from './transaction-block.ts';

/** Offsets into an instance's memory are 31 bits. */
const MAX_MEMORY_BYTES = 2 ** 31 - BLCKSZ;

export interface InstanceOptions {
  /** `backend-3`. */
  readonly name: string;
  readonly epoch: number;
  readonly osPid: number;
  /** Endpoint of the buffer-manager. */
  readonly bufferManager: string;
  readonly statsCollector: string;
  /** The same of the postmaster, who has the configuration files. */
  readonly postmaster: string;
  readonly settings: Settings;
  readonly intake: SessionIntake;
  /** Content of pg_hba.conf, again at every reload. */
  readonly hbaText: () => Promise<string>;
}

/** Who logged in. */
export interface Login {
  readonly database: Oid;
  readonly user: string;
  readonly userOid: Oid;
  readonly superuser: boolean;
  /** The database's, by name. */
  readonly locale: DatabaseLocale;
  readonly context: DatabaseContext;
}

export class BackendInstance {
  readonly env: Env;
  readonly settings: Settings;
  readonly postmaster: string;
  readonly kernel: InstanceKernel;
  readonly arenaSpace: ArenaSpace;
  /** What belongs to no session: workspaces of commands. */
  readonly arena: Arena;
  readonly toast: InstanceToast;
  /** Long computations run in it; absent where there is one thread only. */
  readonly offLoop: OffLoop | undefined;
  readonly stat: InstanceStat;
  readonly statistics: StatsClient;
  /** pg_stat_statements. */
  readonly statements: StatementStatistics;
  readonly #memoryGuard: MemoryGuard | undefined;
  hba: HbaFile = { lines: [], problems: [] };
  readonly #options: InstanceOptions;
  readonly #sessions = new Map<number, Session>();
  readonly #databases = new Map<Oid, Promise<DatabaseContext>>();
  readonly #open: DatabaseContext[] = [];
  #pids: { next: number; end: number }[] = [];
  #attachWaiters: (() => void)[] = [];
  /** Resolves when the first attachment stands. */
  #stopping: ShutdownMode | undefined;
  #stopped: (() => void) | undefined;

  constructor(env: Env, options: InstanceOptions) {
    this.env = env;
    this.settings = options.settings;
    this.postmaster = options.postmaster;
    this.#options = options;
    this.offLoop = env.threads === undefined ? undefined : new OffLoop(env.threads, env.timers);
    const arenaBytes = options.settings.number('instance_work_area') * 1024 * 1024;
    const cachePages = Math.min(options.settings.number('instance_buffers'), (MAX_MEMORY_BYTES - arenaBytes) / BLCKSZ);
    const cacheBytes = cachePages * BLCKSZ;
    const mem = createMemory(cacheBytes + arenaBytes);
    this.arenaSpace = new ArenaSpace(mem, cacheBytes, mem.u8.length);
    this.arena = new Arena(this.arenaSpace);
    this.statements = new StatementStatistics(env.clock, () => options.settings.number('pg_stat_statements.max'));
    this.kernel = new InstanceKernel(env, {
      endpoint: options.bufferManager,
      name: options.name,
      osPid: options.osPid,
      mem,
      cachePages,
    });
    this.stat = new InstanceStat(env, this.kernel.pages.relations, options);
    this.statistics = new StatsClient(env, options.statsCollector, this.stat);
    this.#memoryGuard = env.memory === undefined ? undefined : new MemoryGuard(env.memory, env.clock);
    this.toast = new InstanceToast(mem, this.kernel.pages, this.offLoop);
    this.kernel.onAttach = welcome => this.#attached(welcome);
    this.kernel.onDetach = why => this.#detached(why);
    this.kernel.shared.databaseName = async oid => {
      const shared = await this.#database(0 as Oid);
      return (await withCatalog(() => shared.catalog.search(DATABASEOID, oid)))?.datname;
    };
    this.kernel.shared.onInvalidations = invals => this.applyInvalidations(invals);
    answerQuestions(this);
    options.intake.onArrival = arrival => this.#arrived(arrival);
    options.intake.onCancel = (pid, secret) => {
      const session = this.#sessions.get(pid);
      if (session !== undefined && session.secret === secret) session.cancel();
    };
  }

  /** At the end of a session's slice: whoever takes too much of the process' memory is told to end its statement. */
  watchMemory(session: Session): void {
    const account = this.#memoryGuard?.look(session.runner.execution.env, () => this.#accounts());
    if (account !== undefined) account.outOfMemory();
  }

  *#accounts(): Iterable<SessionExecEnv> {
    for (const { runner } of this.#sessions.values()) yield runner.execution.env;
  }

  /** Resolves when clients can be served: attached, and the catalogs of the default database read. */
  async start(): Promise<void> {
    await this.reload();
    await removeTemporaryFiles(this.env);
    this.kernel.attachment.start();
    do await this.whenAttached();
    while (!(await this.#preload()));
  }

  /** Resolves when it is attached. */
  attach(): Promise<void> {
    this.kernel.attachment.start();
    return this.whenAttached();
  }

  /** undefined: it is gone. */
  async databaseName(oid: Oid): Promise<string | undefined> {
    const shared = await this.#database(0 as Oid);
    await this.refreshCatalogs();
    return (await withCatalog(() => shared.catalog.search(DATABASEOID, oid)))?.datname;
  }

  /** False: the buffer-manager went away meanwhile. */
  async #preload(): Promise<boolean> {
    const { life } = this.kernel;
    try {
      const shared = await this.#database(0 as Oid);
      const template = await withCatalog(() => shared.catalog.search(DATABASENAME, 'postgres'));
      if (template !== null) await (await this.#database(template.oid)).catalog.preload();
      return true;
    } catch (error) {
      if (this.kernel.life === life) throw error;
      return false;
    }
  }

  async reload(): Promise<void> {
    const hba = parseHba(await this.#options.hbaText());
    for (const problem of hba.problems) {
      this.env.log.write('LOG', `line ${problem.lineNumber} of pg_hba.conf: ${problem.message}`);
    }
    if (hba.problems.length === 0 || this.hba.lines.length === 0) this.hba = hba;
  }

  /** Catalog entries that a committed transaction changed are read anew. */
  applyInvalidations(invals: Uint8Array): void {
    for (const database of this.#open) database.catalog.applyBytes(invals);
  }

  // ---- attachment ----------------------------------------------------------------------------------

  #attached(welcome: Welcome): void {
    this.#pids = [{ next: welcome.pidFirst, end: welcome.pidFirst + welcome.pidCount }];
    this.#options.intake.leased(welcome.pidFirst, welcome.pidCount);
    const waiters = this.#attachWaiters;
    this.#attachWaiters = [];
    for (const wake of waiters) wake();
  }

  #detached(why: string): void {
    this.env.log.write('LOG', `lost the buffer manager: ${why}`);
    for (const database of this.#open) database.catalog.reset();
    for (const session of [...this.#sessions.values()]) {
      session.sharedMemoryLost();
      if (session.owner.session.size === 0) continue;
      session.owner.session.clear();
      session.terminate(sessionLocksLost());
    }
  }

  whenAttached(): Promise<void> {
    if (this.kernel.attachment.attached) return Promise.resolve();
    return new Promise(resolve => this.#attachWaiters.push(resolve));
  }

  // ---- sessions ------------------------------------------------------------------------------------

  #arrived(arrival: Arrival): void {
    const pid = this.#takePid();
    const secret = Buffer.from(this.env.random.bytes(4)).readUInt32BE(0);
    const session = new Session(this, arrival, pid, secret);
    this.#sessions.set(pid, session);
    if (this.#stopping !== undefined) {
      session.fatal(ereport(ERRCODE.CANNOT_CONNECT_NOW, 'the database system is shutting down', { severity: 'FATAL' }));
      return;
    }
    void session.start();
  }

  #takePid(): number {
    const range = this.#pids[0]!;
    const pid = range.next++;
    if (range.next === range.end) this.#pids.shift();
    const left = this.#pids.reduce((sum, r) => sum + r.end - r.next, 0);
    if (left < 64) void this.#leasePids();
    // A range that ran out before the next came: numbers of ended sessions are used again.
    if (this.#pids.length === 0) this.#pids.push({ next: pid + 1, end: pid + 2 });
    return pid;
  }

  #leasing = false;
  async #leasePids(): Promise<void> {
    if (this.#leasing) return;
    this.#leasing = true;
    try {
      const op = await this.kernel.call(reqId => ({ op: 'leasePids', reqId }));
      if (op.op !== 'pidsLeased') return;
      this.#pids.push({ next: op.first, end: op.first + op.count });
      this.#options.intake.leased(op.first, op.count);
    } catch (error) {
      this.env.log.write('LOG', `could not lease session PIDs: ${(error as Error).message}`);
    } finally {
      this.#leasing = false;
    }
  }

  /** Messages that sessions have begun to work on: tells a long statement whether others are active. */
  messages = 0;

  session(pid: number): Session | undefined {
    return this.#sessions.get(pid);
  }

  get sessions(): Iterable<Session> {
    return this.#sessions.values();
  }

  admitted(session: Session): void {
    session.authenticated = true;
    if (session.worker === undefined) this.#options.intake.authenticated();
  }

  ended(session: Session): void {
    if (!this.#sessions.delete(session.pid)) return;
    if (session.worker === undefined) this.#options.intake.ended(session.authenticated);
    if (this.#stopping !== undefined && this.#sessions.size === 0) this.#stopped?.();
  }

  /** What was committed until now is in the catalogs afterwards: invalidations come with a snapshot. */
  async refreshCatalogs(): Promise<void> {
    const { shared } = this.kernel;
    const live = shared.tryTakeSnapshot(0 as CommandId) ?? (await shared.takeSnapshot(0 as CommandId));
    shared.releaseSnapshot(live);
  }

  /** Finds database and role ('': the bootstrap superuser). FATAL errors are the client's. `worker`: backend_type of
   *  one that is no client; autovacuum also goes where no connections are taken. */
  async logIn(user: string, databaseName: string, worker: string | undefined): Promise<Login> {
    const shared = await this.#database(0 as Oid);
    await this.refreshCatalogs();
    const role = await withCatalog(() =>
      user === '' ? shared.catalog.search(AUTHOID, BOOTSTRAP_SUPERUSERID) : shared.catalog.search(AUTHNAME, user),
    );
    if (role === null) {
      throw ereport(ERRCODE.INVALID_AUTHORIZATION_SPECIFICATION, `role "${user}" does not exist`, {
        severity: 'FATAL',
      });
    }
    if (!role.rolcanlogin) {
      throw ereport(ERRCODE.INVALID_AUTHORIZATION_SPECIFICATION, `role "${user}" is not permitted to log in`, {
        severity: 'FATAL',
      });
    }
    const database = await withCatalog(() => shared.catalog.search(DATABASENAME, databaseName));
    if (database === null) {
      throw ereport(ERRCODE.UNDEFINED_DATABASE, `database "${databaseName}" does not exist`, { severity: 'FATAL' });
    }
    if (!database.datallowconn && worker !== AUTOVACUUM_WORKER) {
      throw ereport(
        ERRCODE.OBJECT_NOT_IN_PREREQUISITE_STATE,
        `database "${databaseName}" is not currently accepting connections`,
        { severity: 'FATAL' },
      );
    }
    const mayConnect = await withCatalog(() =>
      new AclCheck(shared.catalog, database.oid).objectCheck('database', database.oid, role.oid, ACL_CONNECT),
    );
    if (!mayConnect) {
      throw ereport(ERRCODE.INSUFFICIENT_PRIVILEGE, `permission denied for database "${databaseName}"`, {
        detail: 'User does not have CONNECT privilege.',
        severity: 'FATAL',
      });
    }
    const context = await this.#database(database.oid);
    return {
      database: database.oid,
      user: role.rolname,
      userOid: role.oid,
      superuser: role.rolsuper,
      locale: {
        encoding: encodingToChar(database.encoding),
        collate: database.datcollate,
        ctype: database.datctype,
      },
      context,
    };
  }

  #database(oid: Oid): Promise<DatabaseContext> {
    let opening = this.#databases.get(oid);
    if (opening === undefined) {
      opening = DatabaseContext.open(this.kernel, this.toast, oid).then(context => {
        this.#open.push(context);
        return context;
      });
      opening.catch(() => this.#databases.delete(oid));
      this.#databases.set(oid, opening);
    }
    return opening;
  }

  /** For the status: what sessions hold here. */
  held(): Record<string, number> {
    let transactions = 0;
    let remote = 0;
    let files = 0;
    for (const { runner } of this.#sessions.values())
      files += (runner as typeof runner | undefined)?.execution.env.temp.open ?? 0;
    for (const { block, owner } of this.#sessions.values()) {
      remote += owner.remote.size;
      // Not there while the session starts.
      if ((block as TransactionBlock | undefined)?.open === true) transactions++;
    }
    return { transactions, 'remote locks': remote, 'temporary files': files, ...this.kernel.held() };
  }

  // ---- shutdown --------------------------------------------------------------------------------------

  /** Resolves when no session is left. */
  async stop(mode: ShutdownMode): Promise<void> {
    this.#stopping = mode;
    const gone = new Promise<void>(resolve => {
      this.#stopped = resolve;
    });
    // Background workers are told by the postmaster, and end their sessions themselves.
    const clients = [...this.#sessions.values()].filter(session => session.worker === undefined);
    if (mode !== 'smart') for (const session of clients) session.terminate();
    if (this.#sessions.size > 0) await gone;
    this.stat.flush();
    this.statistics.close();
    await this.kernel.close();
  }
}

/** What the client believes to hold somebody else may have by now. PostgreSQL ends every session then. */
function sessionLocksLost(): PgError {
  return ereport(ERRCODE.CRASH_SHUTDOWN, 'terminating connection because of crash of another server process', {
    severity: 'FATAL',
    detail: "The session's advisory locks were lost with shared memory.",
    hint: 'In a moment you should be able to reconnect to the database and repeat your command.',
  });
}
