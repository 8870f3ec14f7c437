/**
 * The counters of an instance on their way to the stats-collector (pgstat.c): sessions count into plain numbers, and at
 * most once a second the instance adds up what those have that are between transactions, and sends it. No query waits
 * for that, nothing is sent while nothing happens, and a message that is lost costs what it says.
 */
import type { Env } from '@pgtroupe/actor/env';
import type { Oid } from '@pgtroupe/common/ids';
import { DatabaseReport, StatsReport } from '@pgtroupe/rpc/generated/stats-collector';
import { DATABASE_COUNTS, STATS_REPORT_SUBJECT } from '@pgtroupe/rpc/report-counts';
import { SessionTables, TableCounts } from './pgstat_relation.ts';
import type { RelationDirectory } from './relation-files.ts';

/** PGSTAT_MIN_INTERVAL */
const REPORT_MS = 1000;
/** Relations in one message. */
const MESSAGE_RELATIONS = 4000;
const NOTHING = new Uint8Array(0);

function noCounts(database: Oid): DatabaseReport {
  return { ...DatabaseReport.decode(NOTHING), database };
}

interface VacuumOutcome {
  readonly database: Oid;
  readonly relation: Oid;
  readonly liveTuples: number;
  readonly deadTuples: number;
}

/** What one session counts. */
export class SessionStat {
  readonly #instance: InstanceStat;
  readonly database: Oid;
  readonly tables: SessionTables;
  /** Of its database, since they were reported last. */
  counts: DatabaseReport;
  /** Since when its time was not reported; 0: it is no client's. */
  #reportedMicros: number;
  /** A transaction is under way: what it counts is reported when it is over. */
  inTransaction = false;
  /** What it dropped, to be reported. */
  readonly dropped: Oid[] = [];
  /** Its VACUUM and ANALYZE are autovacuum's. */
  autovacuum = false;

  constructor(instance: InstanceStat, database: Oid) {
    this.#instance = instance;
    this.database = database;
    this.tables = new SessionTables(database);
    this.counts = noCounts(database);
    this.#reportedMicros = 0;
  }

  /** pgstat_report_connect: a client's session begins. */
  connected(nowMicros: number): void {
    this.#reportedMicros = nowMicros;
    this.counts.sessions++;
    // What found its database and its role.
    this.transactionEnded(true);
  }

  /** pgstat_report_disconnect */
  disconnected(how: 'normal' | 'abandoned' | 'fatal' | 'killed'): void {
    if (this.#reportedMicros === 0) return;
    if (how === 'abandoned') this.counts.sessionsAbandoned++;
    else if (how === 'fatal') this.counts.sessionsFatal++;
    else if (how === 'killed') this.counts.sessionsKilled++;
    this.#instance.counted(this);
  }

  /** What was counted, to be reported (pgstat_update_dbstats). */
  take(nowMicros: number): DatabaseReport {
    const taken = this.counts;
    this.counts = noCounts(this.database);
    if (this.#reportedMicros !== 0) {
      taken.sessionTime = Math.max(0, nowMicros - this.#reportedMicros);
      this.#reportedMicros = nowMicros;
    }
    return taken;
  }

  /** AtEOXact_PgStat */
  transactionEnded(committed: boolean): void {
    if (committed) this.counts.xactCommit++;
    else this.counts.xactRollback++;
    const dropped = this.tables.transactionEnded(committed);
    if (dropped.length > 0) this.dropped.push(...dropped);
    this.inTransaction = false;
    this.#instance.counted(this);
  }

  /** pgstat_report_vacuum */
  reportVacuum(shared: boolean, relation: Oid, liveTuples: number, deadTuples: number): void {
    const database = shared ? (0 as Oid) : this.database;
    this.#instance.vacuumed(this, { database, relation, liveTuples: Math.max(0, Math.round(liveTuples)), deadTuples });
  }

  /** pgstat_report_analyze */
  reportAnalyze(shared: boolean, relation: Oid, liveTuples: number, deadTuples: number, resetCounter: boolean): void {
    const database = shared ? (0 as Oid) : this.database;
    const own = this.tables.ownRows(relation);
    const outcome = {
      database,
      relation,
      liveTuples: Math.max(0, Math.round(liveTuples - own.live)),
      deadTuples: Math.max(0, Math.round(deadTuples - own.dead)),
    };
    this.#instance.analyzed(this, outcome, resetCounter);
  }

  /** pg_stat_force_next_flush: what this transaction counts is reported as soon as it is over. */
  forceNextFlush(): void {
    this.#instance.forced.add(this);
  }
}

export interface InstanceStatOptions {
  /** `backend-3` */
  readonly name: string;
  readonly epoch: number;
}

export class InstanceStat {
  readonly #env: Env;
  readonly #relations: RelationDirectory;
  readonly name: string;
  readonly epoch: number;
  /** Reports sent. */
  number = 0;
  readonly #counted = new Set<SessionStat>();
  readonly forced = new Set<SessionStat>();
  #waiting = false;
  #lastMs = -REPORT_MS;

  constructor(env: Env, relations: RelationDirectory, { name, epoch }: InstanceStatOptions) {
    this.#env = env;
    this.#relations = relations;
    this.name = name;
    this.epoch = epoch;
  }

  session(database: Oid): SessionStat {
    return new SessionStat(this, database);
  }

  /** The session has something to report. */
  counted(session: SessionStat): void {
    this.#counted.add(session);
    if (this.forced.size > 0 && this.forced.delete(session)) return this.flush();
    if (this.#waiting) return;
    this.#waiting = true;
    const waitMs = Math.max(0, this.#lastMs + REPORT_MS - this.#env.clock.nowMs());
    this.#env.timers.after(waitMs, () => this.#due(), { background: true });
  }

  #due(): void {
    this.#waiting = false;
    this.flush();
  }

  /** Sends what there is (pgstat_report_stat). */
  flush(): void {
    const report = this.#collect(this.#counted);
    if (report.relations.length + report.databases.length + report.dropped.length > 0) this.#send(report);
  }

  vacuumed(session: SessionStat, outcome: VacuumOutcome): void {
    const report = this.#collect([session]);
    const micros = this.#env.clock.wallMicros();
    report.vacuums.push({ ...outcome, auto: session.autovacuum, micros });
    this.#send(report);
  }

  analyzed(session: SessionStat, outcome: VacuumOutcome, resetCounter: boolean): void {
    const report = this.#collect([session]);
    const micros = this.#env.clock.wallMicros();
    report.analyzes.push({ ...outcome, auto: session.autovacuum, micros, resetCounter });
    this.#send(report);
  }

  #collect(sessions: Iterable<SessionStat>): StatsReport {
    const sums = new Map<Oid, Map<Oid, TableCounts>>();
    const databases = new Map<Oid, DatabaseReport>();
    const nowMicros = this.#env.clock.wallMicros();
    const dropped: StatsReport['dropped'] = [];
    for (const session of sessions) {
      // Those in a transaction come again at its end.
      if (session.inTransaction && sessions === this.#counted) continue;
      this.#counted.delete(session);
      for (const table of session.tables.take()) addTo(sums, table);
      for (const relation of session.dropped) dropped.push({ database: session.database, relation });
      session.dropped.length = 0;
      const counts = session.take(nowMicros);
      const sum = databases.get(session.database);
      if (sum === undefined) databases.set(session.database, counts);
      else for (const field of DATABASE_COUNTS) sum[field] += counts[field];
    }
    if (sessions === this.#counted) this.#addBlocks(sums);
    return {
      from: this.name,
      epoch: this.epoch,
      number: 0,
      relations: [...sums.values()].flatMap(tables => [...tables.values()]),
      databases: [...databases.values()],
      dropped,
      vacuums: [],
      analyzes: [],
      bgwriter: undefined,
      wal: undefined,
      slrus: [],
    };
  }

  /** Pages belong to no session: those who read on share what one has read. */
  #addBlocks(sums: Map<Oid, Map<Oid, TableCounts>>): void {
    for (const files of this.#relations.all()) {
      if (files.fetched === 0 || files.relation === 0 || files.gone) continue;
      const table = new TableCounts(files.rnode.dbNode, files.relation);
      table.blocksFetched = files.fetched;
      table.blocksHit = Math.max(0, files.fetched - files.read);
      files.fetched = 0;
      files.read = 0;
      addTo(sums, table);
    }
  }

  #send(report: StatsReport): void {
    this.#lastMs = this.#env.clock.nowMs();
    let { relations } = report;
    for (; relations.length > MESSAGE_RELATIONS; relations = relations.slice(MESSAGE_RELATIONS)) {
      const part = relations.slice(0, MESSAGE_RELATIONS);
      this.#publish({ ...report, relations: part, databases: [], dropped: [], vacuums: [], analyzes: [] });
    }
    this.#publish({ ...report, relations });
  }

  #publish(report: StatsReport): void {
    report.number = ++this.number;
    this.#env.bus.publish(STATS_REPORT_SUBJECT, StatsReport.encode(report).finish());
  }
}

function addTo(sums: Map<Oid, Map<Oid, TableCounts>>, table: TableCounts): void {
  let tables = sums.get(table.database);
  if (tables === undefined) sums.set(table.database, (tables = new Map()));
  const sum = tables.get(table.relation);
  if (sum === undefined) tables.set(table.relation, table);
  else sum.add(table);
}
