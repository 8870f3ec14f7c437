/** The sums: what reports add up to, by PostgreSQL's rules (pgstat_relation_flush_cb, pgstat_report_vacuum…). Pure. */
import {
  type AnalyzeReport,
  BgWriterStats,
  DatabaseStats,
  type RelationReport,
  RelationStats,
  type ResetOrder,
  type SharedAnswer,
  SlruStats,
  StatsFile,
  type StatsReport,
  type VacuumReport,
  WalStats,
} from '@pgtroupe/rpc/generated/stats-collector';
import { DATABASE_COUNTS } from '@pgtroupe/rpc/report-counts';

/** Of the file's layout. Another one is not read. */
const VERSION = 1;
const NOTHING = new Uint8Array(0);

/** PostgreSQL's SLRUs (slru_names). */
const SLRU_NAMES = ['CommitTs', 'MultiXactMember', 'MultiXactOffset', 'Notify', 'Serial', 'Subtrans', 'Xact', 'other'];

/** Of relations that their database adds up too. */
const RELATION_SUMS = [
  'tuplesReturned',
  'tuplesFetched',
  'tuplesInserted',
  'tuplesUpdated',
  'tuplesDeleted',
  'blocksFetched',
  'blocksHit',
] as const;

export class Statistics {
  readonly #databases = new Map<number, DatabaseStats>();
  /** By database, 0: shared by all. */
  readonly #relations = new Map<number, Map<number, RelationStats>>();
  #bgwriter: BgWriterStats;
  #wal: WalStats;
  readonly #slrus = new Map<string, SlruStats>();
  #recoveryPrefetchReset: number;

  /** `micros`: the wall clock. */
  constructor(micros: number) {
    this.#bgwriter = { ...BgWriterStats.decode(NOTHING), statsReset: micros };
    this.#wal = { ...WalStats.decode(NOTHING), statsReset: micros };
    this.#recoveryPrefetchReset = micros;
    for (const name of SLRU_NAMES) this.#slrus.set(name, noSlruStats(name, micros));
  }

  apply(report: StatsReport): void {
    for (const each of report.relations) this.#addRelation(each);
    for (const each of report.databases) {
      const sum = this.#database(each.database);
      for (const field of DATABASE_COUNTS) sum[field] += each[field];
    }
    for (const { database, relation } of report.dropped) this.#relations.get(database)?.delete(relation);
    for (const each of report.vacuums) this.#vacuumed(each);
    for (const each of report.analyzes) this.#analyzed(each);
    if (report.bgwriter !== undefined) this.#bgwriter = addedUp(this.#bgwriter, report.bgwriter);
    if (report.wal !== undefined) this.#wal = addedUp(this.#wal, report.wal);
    for (const each of report.slrus) {
      const sum = this.#slrus.get(each.name);
      if (sum !== undefined) this.#slrus.set(each.name, addedUp(sum, each));
    }
  }

  databases(): DatabaseStats[] {
    return [...this.#databases.values()];
  }

  relations(database: number): RelationStats[] {
    return [...(this.#relations.get(database)?.values() ?? [])];
  }

  shared(): SharedAnswer {
    return {
      bgwriter: this.#bgwriter,
      wal: this.#wal,
      slrus: [...this.#slrus.values()],
      recoveryPrefetchReset: this.#recoveryPrefetchReset,
    };
  }

  reset({ what }: ResetOrder, micros: number): void {
    switch (what?.$case) {
      case 'database':
        this.#relations.delete(what.value);
        this.#databases.set(what.value, { ...noDatabaseStats(what.value), statsReset: micros });
        return;
      case 'relation': {
        const { database, relation } = what.value;
        this.#relations.get(database)?.delete(relation);
        this.#database(database).statsReset = micros;
        return;
      }
      case 'shared':
        if (what.value === 'bgwriter') this.#bgwriter = { ...BgWriterStats.decode(NOTHING), statsReset: micros };
        else if (what.value === 'wal') this.#wal = { ...WalStats.decode(NOTHING), statsReset: micros };
        else this.#recoveryPrefetchReset = micros;
        return;
      case 'slru': {
        const names = what.value === '' ? SLRU_NAMES : [this.#slrus.has(what.value) ? what.value : 'other'];
        for (const name of names) this.#slrus.set(name, noSlruStats(name, micros));
        return;
      }
      case undefined:
        return;
    }
  }

  encode(): Buffer {
    const relations = [...this.#relations].map(([database, all]) => ({ database, relations: [...all.values()] }));
    const file = { version: VERSION, databases: this.databases(), relations, shared: this.shared() };
    return Buffer.from(StatsFile.encode(file).finish());
  }

  /** Begins with what an earlier collector knew; throws when that makes no sense. */
  decode(data: Uint8Array): void {
    const { version, databases, relations, shared } = StatsFile.decode(data);
    if (version !== VERSION) throw new Error(`version ${version}`);
    for (const each of databases) this.#databases.set(each.database, each);
    for (const { database, relations: all } of relations) {
      this.#relations.set(database, new Map(all.map(each => [each.relation, each])));
    }
    if (shared === undefined) return;
    this.#bgwriter = shared.bgwriter ?? this.#bgwriter;
    this.#wal = shared.wal ?? this.#wal;
    for (const each of shared.slrus) this.#slrus.set(each.name, each);
    this.#recoveryPrefetchReset = shared.recoveryPrefetchReset;
  }

  #database(oid: number): DatabaseStats {
    let found = this.#databases.get(oid);
    if (found === undefined) this.#databases.set(oid, (found = noDatabaseStats(oid)));
    return found;
  }

  #relation(database: number, oid: number): RelationStats {
    let relations = this.#relations.get(database);
    if (relations === undefined) this.#relations.set(database, (relations = new Map()));
    let found = relations.get(oid);
    if (found === undefined) relations.set(oid, (found = { ...RelationStats.decode(NOTHING), relation: oid }));
    return found;
  }

  #addRelation(r: RelationReport): void {
    const sum = this.#relation(r.database, r.relation);
    const all = this.#database(r.database);
    for (const field of RELATION_SUMS) {
      sum[field] += r[field];
      all[field] += r[field];
    }
    sum.numscans += r.numscans;
    sum.tuplesHotUpdated += r.tuplesHotUpdated;
    if (r.truncdropped) {
      sum.liveTuples = 0;
      sum.deadTuples = 0;
      sum.insertsSinceVacuum = 0;
    }
    sum.liveTuples = Math.max(0, sum.liveTuples + r.deltaLiveTuples);
    sum.deadTuples = Math.max(0, sum.deadTuples + r.deltaDeadTuples);
    sum.changesSinceAnalyze += r.changedTuples;
    sum.insertsSinceVacuum += r.tuplesInserted;
  }

  #vacuumed(v: VacuumReport): void {
    const sum = this.#relation(v.database, v.relation);
    sum.liveTuples = v.liveTuples;
    sum.deadTuples = v.deadTuples;
    sum.insertsSinceVacuum = 0;
    if (v.auto) {
      sum.autovacuumTime = v.micros;
      sum.autovacuumCount++;
    } else {
      sum.vacuumTime = v.micros;
      sum.vacuumCount++;
    }
  }

  #analyzed(a: AnalyzeReport): void {
    const sum = this.#relation(a.database, a.relation);
    sum.liveTuples = a.liveTuples;
    sum.deadTuples = a.deadTuples;
    if (a.resetCounter) sum.changesSinceAnalyze = 0;
    if (a.auto) {
      sum.autoanalyzeTime = a.micros;
      sum.autoanalyzeCount++;
    } else {
      sum.analyzeTime = a.micros;
      sum.analyzeCount++;
    }
  }
}

function noDatabaseStats(database: number): DatabaseStats {
  return { ...DatabaseStats.decode(NOTHING), database };
}

function noSlruStats(name: string, micros: number): SlruStats {
  return { ...SlruStats.decode(NOTHING), name, statsReset: micros };
}

/** Every count; when it was reset stays. */
function addedUp<T extends BgWriterStats | WalStats | SlruStats>(sum: T, more: T): T {
  const added: Record<string, string | number> = { ...sum };
  for (const [field, value] of Object.entries<string | number>({ ...more })) {
    const before = added[field];
    if (field !== 'statsReset' && typeof before === 'number' && typeof value === 'number')
      added[field] = before + value;
  }
  return added as unknown as T;
}
