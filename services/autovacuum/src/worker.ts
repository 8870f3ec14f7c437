/**
 * An autovacuum worker: vacuums and analyzes what is due in one database (do_autovacuum).
 *
 * Purpose    the work that the launcher found to be due.
 * Promise    no table is vacuumed by two workers; a session that waits for a table's lock longer than deadlock_timeout gets
 *            it, unless the table is vacuumed to prevent wraparound; a failure costs one table's turn.
 * Started by the postmaster, on the launcher's wish, for one database.
 * Stops      when all is done; on `stop` and pg_terminate_backend(), at once.
 * Its death  concerns nobody: what a vacuum has done to pages stands by itself, its transaction has nothing to undo, and
 *            the database gets another worker.
 *
 * It is an instance with one session that has no client. Which tables are taken is a lock of that session on each, held while
 * it works on it, so that the sequencer decides and a death gives it back.
 */
import { HeapContext } from '@pgtroupe/access/heap/heapam-context';
import type { Connection } from '@pgtroupe/actor/net';
import { withCatalog } from '@pgtroupe/catalog/catalogmiss';
import type { Form_pg_class } from '@pgtroupe/catalog/catalogs/pg_class';
import { DATABASEOID, NAMESPACEOID, RELOID } from '@pgtroupe/catalog/syscache';
import { autovacuumTable } from '@pgtroupe/commands/vacuum';
import { updateDatFrozenXid } from '@pgtroupe/commands/vacuumxids';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { PgError } from '@pgtroupe/common/ereport';
import { type FullTransactionId, type Oid, xidFromFull } from '@pgtroupe/common/ids';
import type { Settings } from '@pgtroupe/common/settings';
import type { BackendInstance } from '@pgtroupe/session/instance';
import type { Session } from '@pgtroupe/session/session';
import { EXCLUSIVE_LOCK, LOCKTAG_USERLOCK, type LockTag } from '@pgtroupe/storage/lmgr/locktag';
import {
  costLimits,
  type Needs,
  needsOf,
  type StorageParameters,
  storageParameters,
  type TableCounters,
  vacuumParameters,
} from './needs.ts';

export interface WorkerOptions {
  readonly instance: BackendInstance;
  readonly database: Oid;
  readonly settings: Settings;
  /** Lets the session in; answers when it has begun, undefined if it has not. */
  readonly connect: (database: string) => Promise<Session | undefined>;
  /** How many workers there are. */
  readonly workers: () => number;
  /** Of the database's tables and the shared ones; undefined: nobody knows. */
  readonly counters: () => Promise<ReadonlyMap<Oid, TableCounters> | undefined>;
}

export class AutovacuumWorker {
  readonly #o: WorkerOptions;
  /** By TOAST table: whose values it holds. */
  readonly #owners = new Map<Oid, Form_pg_class>();
  #session: Session | undefined;
  #freezeAll = false;
  #unfinished = false;

  constructor(options: WorkerOptions) {
    this.#o = options;
  }

  /** False: something is left to do. */
  async run(): Promise<boolean> {
    const { instance, database } = this.#o;
    await instance.attach();
    const name = await instance.databaseName(database);
    this.#session = name === undefined ? undefined : await this.#o.connect(name);
    // Dropped meanwhile, or told to end already.
    if (this.#session === undefined) return true;
    this.#session.block.stat.autovacuum = true;
    const finished = await this.#work(this.#session);
    this.#session.close(true);
    return finished;
  }

  /** The postmaster wants it to end. */
  terminate(): void {
    this.#session?.terminate();
  }

  async #work(session: Session): Promise<boolean> {
    let tables: readonly Oid[] = [];
    let vacuumed = false;
    const listed = await session.work('', async () => {
      tables = await this.#tablesToDo(session);
    });
    for (const oid of tables) {
      if (!(await this.#table(session, oid))) continue;
      vacuumed = true;
    }
    // Always after a vacuum; else at worst the next worker does it (do_autovacuum).
    if (vacuumed || tables.length === 0) {
      await session.work('', async () => {
        const { kernel } = session.instance;
        await session.runner.analysis.refresh();
        await updateDatFrozenXid(session.runner, new HeapContext(kernel.pages, kernel.wal, session.block.tx));
      });
    }
    return listed && !this.#unfinished;
  }

  async #tablesToDo(session: Session): Promise<readonly Oid[]> {
    const { analysis } = session.runner;
    await analysis.refresh();
    const { catalog } = analysis;
    const database = await withCatalog(() => catalog.search(DATABASEOID, this.#o.database));
    this.#freezeAll = database !== null && (database.datistemplate || !database.datallowconn);
    const rows = await withCatalog(() => catalog.searchList(RELOID));
    for (const row of rows) if (row.reltoastrelid !== 0) this.#owners.set(row.reltoastrelid, row);
    const counters = await this.#o.counters();
    const due: Oid[] = [];
    // Tables first, then TOAST tables.
    for (const kinds of ['rm', 't']) {
      for (const row of rows) {
        if (!kinds.includes(row.relkind) || row.relpersistence === 't') continue;
        const { vacuum, analyze } = await this.#needs(session, row, counters);
        if (vacuum || analyze) due.push(row.oid);
      }
    }
    return due;
  }

  #parameters(row: Form_pg_class): StorageParameters {
    const own = storageParameters(row.reloptions);
    return own.size === 0 && row.relkind === 't'
      ? storageParameters(this.#owners.get(row.oid)?.reloptions ?? null)
      : own;
  }

  async #needs(
    { instance: { kernel } }: Session,
    row: Form_pg_class,
    counters: ReadonlyMap<Oid, TableCounters> | undefined,
  ): Promise<Needs> {
    const { next: multi } = await kernel.multixacts.horizon();
    const next = { xid: xidFromFull(kernel.shared.nextXid as FullTransactionId), multi };
    return needsOf(row, this.#parameters(row), counters?.get(row.oid), this.#o.settings, next);
  }

  /** True: it was vacuumed. */
  async #table(session: Session, oid: Oid): Promise<boolean> {
    const { locks } = session.instance.kernel;
    let row: Form_pg_class | null = null;
    let claimed: LockTag | undefined;
    let needs: Needs = { vacuum: false, analyze: false, wraparound: false };
    const where = { kind: 'vacuum', table: '' };
    // Once more, behind the claim: another worker may just have done it.
    const checked = await session.work('', async () => {
      const { analysis } = session.runner;
      await analysis.refresh();
      row = await withCatalog(() => analysis.catalog.search(RELOID, oid));
      if (row === null) return;
      const tag = claimOf(row, this.#o.database);
      if (!(await claim(session, tag))) return;
      claimed = tag;
      await analysis.refresh();
      row = await withCatalog(() => analysis.catalog.search(RELOID, oid));
      if (row === null) return;
      needs = await this.#needs(session, row, await this.#o.counters());
      const { relnamespace, relname } = row;
      const schema = await withCatalog(() => analysis.catalog.search(NAMESPACEOID, relnamespace));
      where.table = `${schema?.nspname}.${relname}`;
    });
    if (claimed === undefined) return false;
    let done = false;
    if (checked && row !== null && (needs.vacuum || needs.analyze))
      done = await this.#do(session, row, needs, where.table);
    // Also of what is gone, or could not be looked at: the claim lasts as long as the session.
    locks.releaseSession(session.owner, claimed, EXCLUSIVE_LOCK);
    return done && needs.vacuum;
  }

  async #do(
    session: Session,
    row: Form_pg_class,
    { vacuum, analyze, wraparound }: Needs,
    table: string,
  ): Promise<boolean> {
    const what = vacuum ? (analyze ? 'VACUUM ANALYZE' : 'VACUUM') : 'ANALYZE';
    const text = `autovacuum: ${what} ${table}${wraparound ? ' (to prevent wraparound)' : ''}`;
    session.yields = !wraparound;
    const done = await session.work(text, async () => {
      const { settings, workers } = this.#o;
      const own = this.#parameters(row);
      const parameters = vacuumParameters(own, settings, this.#freezeAll);
      const logMin = own.get('log_autovacuum_min_duration');
      for (const [name, value] of parameters) session.settings.set(name, value, { local: false, depth: 1 });
      try {
        await session.runner.analysis.refresh();
        if (
          !(await autovacuumTable(session.runner, row.oid, {
            name: row.relname,
            vacuum,
            analyze,
            skipLocked: !wraparound,
            owner: this.#owners.get(row.oid)?.oid,
            cost: costLimits(own, settings, workers),
            automatic: {
              wraparound,
              logMinDurationMs: logMin === undefined ? settings.number('log_autovacuum_min_duration') : Number(logMin),
            },
          }))
        )
          this.#unfinished = true;
      } catch (error) {
        if (!(error instanceof PgError) || error.severity !== 'ERROR') throw error;
        const whole = `automatic ${vacuum ? 'vacuum' : 'analyze'} of table "${session.database.name}.${table}"`;
        const before = error.fields.where === undefined ? '' : `${error.fields.where}\n`;
        throw new PgError(error.sqlstate, error.message, { ...error.fields, where: `${before}${whole}`, cause: error });
      }
    });
    session.yields = false;
    if (!done) this.#unfinished = true;
    return done;
  }
}

/** Nobody else locks such things: PostgreSQL has the type for a module that is no more. */
function claimOf(row: Form_pg_class, database: Oid): LockTag {
  return { locktype: LOCKTAG_USERLOCK, f1: row.relisshared ? 0 : database, f2: row.oid, f3: 0, f4: 0 };
}

/** False: another worker has it. */
async function claim({ owner, instance }: Session, tag: LockTag): Promise<boolean> {
  try {
    await instance.kernel.locks.acquire(owner, tag, EXCLUSIVE_LOCK, { nowait: true, session: true });
    return true;
  } catch (error) {
    if (error instanceof PgError && error.sqlstate === ERRCODE.LOCK_NOT_AVAILABLE && error !== owner.interrupt)
      return false;
    throw error;
  }
}

/** A session that has no client: what it says goes nowhere. */
export class NoClient implements Connection {
  readonly peer = undefined;
  onData = (): void => {};
  onDrain = (): void => {};
  onEnd = (): void => {};
  /** The session has begun, or (false) it ends before. */
  readonly begun: Promise<boolean>;
  readonly ended: Promise<void>;
  #begin!: (begun: boolean) => void;
  #end!: () => void;

  constructor() {
    this.begun = new Promise(resolve => {
      this.#begin = resolve;
    });
    this.ended = new Promise(resolve => {
      this.#end = resolve;
    });
  }

  write(): boolean {
    // ReadyForQuery, or why there is none; that is followed by the end at once.
    queueMicrotask(() => this.#begin(true));
    return true;
  }

  pause(): void {}
  resume(): void {}

  end(): void {
    this.#begin(false);
    this.#end();
  }

  leave(): void {
    this.end();
  }

  destroy(): void {
    this.end();
  }
}
