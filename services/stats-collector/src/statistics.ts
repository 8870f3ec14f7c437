/** The sums: what reports add up to, by PostgreSQL's rules (pgstat_relation_flush_cb, pgstat_report_vacuum…). Pure. */
import type {
  AnalyzeReport,
  DatabaseReport,
  DatabaseStats,
  RelationReport,
  RelationStats,
  StatsReport,
  VacuumReport,
} from '@pgtroupe/rpc/generated/stats-collector';

export class Statistics {
  readonly #databases = new Map<number, DatabaseStats>();
  /** By database, 0: shared by all. */
  readonly #relations = new Map<number, Map<number, RelationStats>>();

  apply(report: StatsReport): void {
    for (const each of report.relations) this.#addRelation(each);
    for (const each of report.databases) this.#addDatabase(each);
    for (const { database, relation } of report.dropped) this.#relations.get(database)?.delete(relation);
    for (const each of report.vacuums) this.#vacuumed(each);
    for (const each of report.analyzes) this.#analyzed(each);
  }

  databases(): DatabaseStats[] {
    return [...this.#databases.values()];
  }

  relations(database: number): RelationStats[] {
    return [...(this.#relations.get(database)?.values() ?? [])];
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
    if (found === undefined) relations.set(oid, (found = noRelationStats(oid)));
    return found;
  }

  #addRelation(r: RelationReport): void {
    const sum = this.#relation(r.database, r.relation);
    sum.numscans += r.numscans;
    sum.tuplesReturned += r.tuplesReturned;
    sum.tuplesFetched += r.tuplesFetched;
    sum.tuplesInserted += r.tuplesInserted;
    sum.tuplesUpdated += r.tuplesUpdated;
    sum.tuplesDeleted += r.tuplesDeleted;
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
    sum.blocksFetched += r.blocksFetched;
    sum.blocksHit += r.blocksHit;
    const all = this.#database(r.database);
    all.tuplesReturned += r.tuplesReturned;
    all.tuplesFetched += r.tuplesFetched;
    all.tuplesInserted += r.tuplesInserted;
    all.tuplesUpdated += r.tuplesUpdated;
    all.tuplesDeleted += r.tuplesDeleted;
    all.blocksFetched += r.blocksFetched;
    all.blocksHit += r.blocksHit;
  }

  #addDatabase(r: DatabaseReport): void {
    const sum = this.#database(r.database);
    sum.xactCommit += r.xactCommit;
    sum.xactRollback += r.xactRollback;
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
  return {
    database,
    xactCommit: 0,
    xactRollback: 0,
    blocksFetched: 0,
    blocksHit: 0,
    tuplesReturned: 0,
    tuplesFetched: 0,
    tuplesInserted: 0,
    tuplesUpdated: 0,
    tuplesDeleted: 0,
    statsReset: 0,
  };
}

function noRelationStats(relation: number): RelationStats {
  return {
    relation,
    numscans: 0,
    tuplesReturned: 0,
    tuplesFetched: 0,
    tuplesInserted: 0,
    tuplesUpdated: 0,
    tuplesDeleted: 0,
    tuplesHotUpdated: 0,
    liveTuples: 0,
    deadTuples: 0,
    changesSinceAnalyze: 0,
    insertsSinceVacuum: 0,
    blocksFetched: 0,
    blocksHit: 0,
    vacuumTime: 0,
    vacuumCount: 0,
    autovacuumTime: 0,
    autovacuumCount: 0,
    analyzeTime: 0,
    analyzeCount: 0,
    autoanalyzeTime: 0,
    autoanalyzeCount: 0,
  };
}
