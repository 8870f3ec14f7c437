/**
 * What one session counts about relations until it is reported (pgstat_relation.c): plain numbers.
 *
 * What a transaction inserts, updates and deletes counts as live or dead by its outcome, so it is kept apart, by table
 * and nesting level, until the (sub)transaction ends: rows of one that fails are dead.
 */
import type { Oid } from '@pgtroupe/common/ids';
import type { CountedRelation, RelationCounts } from '@pgtroupe/transam/pgstat_count';

/** PgStat_TableCounts, and where they belong. */
export class TableCounts {
  /** 0: shared by all. */
  readonly database: Oid;
  readonly relation: Oid;
  numscans = 0;
  tuplesReturned = 0;
  tuplesFetched = 0;
  tuplesInserted = 0;
  tuplesUpdated = 0;
  tuplesDeleted = 0;
  tuplesHotUpdated = 0;
  truncdropped = false;
  deltaLiveTuples = 0;
  deltaDeadTuples = 0;
  changedTuples = 0;
  blocksFetched = 0;
  blocksHit = 0;
  /** Of the innermost (sub)transaction that changed it. */
  trans: TableXact | undefined;

  constructor(database: Oid, relation: Oid) {
    this.database = database;
    this.relation = relation;
  }

  /** Adds what came later. */
  add(later: TableCounts): void {
    this.numscans += later.numscans;
    this.tuplesReturned += later.tuplesReturned;
    this.tuplesFetched += later.tuplesFetched;
    this.tuplesInserted += later.tuplesInserted;
    this.tuplesUpdated += later.tuplesUpdated;
    this.tuplesDeleted += later.tuplesDeleted;
    this.tuplesHotUpdated += later.tuplesHotUpdated;
    if (later.truncdropped) {
      this.truncdropped = true;
      this.deltaLiveTuples = 0;
      this.deltaDeadTuples = 0;
    }
    this.deltaLiveTuples += later.deltaLiveTuples;
    this.deltaDeadTuples += later.deltaDeadTuples;
    this.changedTuples += later.changedTuples;
    this.blocksFetched += later.blocksFetched;
    this.blocksHit += later.blocksHit;
  }
}

/** PgStat_TableXactStatus */
interface TableXact {
  table: TableCounts;
  nestLevel: number;
  inserted: number;
  updated: number;
  deleted: number;
  truncdropped: boolean;
  insertedBefore: number;
  updatedBefore: number;
  deletedBefore: number;
  readonly upper: TableXact | undefined;
}

interface Existence {
  readonly oid: Oid;
  nestLevel: number;
}

export class SessionTables implements RelationCounts {
  readonly #database: Oid;
  #tables = new Map<Oid, TableCounts>();
  /** The last two that were counted for, mostly a table and its index. */
  #last: TableCounts | undefined;
  #lastButOne: TableCounts | undefined;
  /** By nesting level less one: tables that the (sub)transaction changed. */
  readonly #changed: TableXact[][] = [];
  /** Made and dropped by the transaction under way. */
  #created: Existence[] = [];
  #dropped: Existence[] = [];
  /** 1 for the transaction proper, one more for each savepoint. */
  nestLevel = 1;

  constructor(database: Oid) {
    this.#database = database;
  }

  get empty(): boolean {
    return this.#tables.size === 0;
  }

  /** What was counted since the last report, with what the transaction under way changed (find_tabstat_entry). */
  own(relation: Oid): TableCounts | undefined {
    const table = this.#tables.get(relation);
    if (table === undefined) return undefined;
    const sum = new TableCounts(table.database, relation);
    sum.add(table);
    for (let { trans } = table; trans !== undefined; trans = trans.upper) {
      sum.tuplesInserted += trans.inserted;
      sum.tuplesUpdated += trans.updated;
      sum.tuplesDeleted += trans.deleted;
    }
    return sum;
  }

  #of(rel: CountedRelation): TableCounts {
    const { oid } = rel;
    if (this.#last?.relation === oid) return this.#last;
    let found = this.#lastButOne;
    if (found?.relation !== oid) {
      found = this.#tables.get(oid);
      if (found === undefined) {
        found = new TableCounts(rel.smgr.rnode.dbNode === 0 ? (0 as Oid) : this.#database, oid);
        this.#tables.set(oid, found);
      }
    }
    this.#lastButOne = this.#last;
    this.#last = found;
    return found;
  }

  #xactOf(rel: CountedRelation): TableXact {
    const table = this.#of(rel);
    const { trans } = table;
    if (trans?.nestLevel === this.nestLevel) return trans;
    const opened: TableXact = {
      table,
      nestLevel: this.nestLevel,
      inserted: 0,
      updated: 0,
      deleted: 0,
      truncdropped: false,
      insertedBefore: 0,
      updatedBefore: 0,
      deletedBefore: 0,
      upper: trans,
    };
    table.trans = opened;
    this.#level(this.nestLevel).push(opened);
    return opened;
  }

  #level(nestLevel: number): TableXact[] {
    while (this.#changed.length < nestLevel) this.#changed.push([]);
    return this.#changed[nestLevel - 1]!;
  }

  heapInsert(rel: CountedRelation, tuples: number): void {
    this.#xactOf(rel).inserted += tuples;
  }

  heapUpdate(rel: CountedRelation, hot: boolean): void {
    const trans = this.#xactOf(rel);
    trans.updated++;
    if (hot) trans.table.tuplesHotUpdated++;
  }

  heapDelete(rel: CountedRelation): void {
    this.#xactOf(rel).deleted++;
  }

  truncate(rel: CountedRelation): void {
    const trans = this.#xactOf(rel);
    saveTruncDrop(trans);
    trans.inserted = 0;
    trans.updated = 0;
    trans.deleted = 0;
  }

  deadTuplesRemoved(rel: CountedRelation, tuples: number): void {
    this.#of(rel).deltaDeadTuples -= tuples;
  }

  scan(rel: CountedRelation): void {
    this.#of(rel).numscans++;
  }

  returned(rel: CountedRelation, tuples: number): void {
    this.#of(rel).tuplesReturned += tuples;
  }

  fetched(rel: CountedRelation, tuples: number): void {
    this.#of(rel).tuplesFetched += tuples;
  }

  created(oid: Oid): void {
    this.#created.push({ oid, nestLevel: this.nestLevel });
  }

  dropped(oid: Oid): void {
    this.#dropped.push({ oid, nestLevel: this.nestLevel });
  }

  /** ANALYZE counted rows of the transaction under way too, which will be counted at its end. */
  ownRows(oid: Oid): { readonly live: number; readonly dead: number } {
    const table = this.#tables.get(oid);
    let live = 0;
    let dead = table?.deltaDeadTuples ?? 0;
    for (let trans = table?.trans; trans !== undefined; trans = trans.upper) {
      live += trans.inserted - trans.deleted;
      dead += trans.updated + trans.deleted;
    }
    return { live, dead };
  }

  /** A subtransaction at this level is over (AtEOSubXact_PgStat_Relations). */
  subtransactionEnded(nestLevel: number, committed: boolean): void {
    for (const list of [this.#created, this.#dropped]) {
      for (const each of list) if (committed && each.nestLevel >= nestLevel) each.nestLevel = nestLevel - 1;
    }
    if (!committed) {
      for (const { oid, nestLevel: level } of this.#created) if (level >= nestLevel) this.#forget(oid);
      this.#created = this.#created.filter(each => each.nestLevel < nestLevel);
      this.#dropped = this.#dropped.filter(each => each.nestLevel < nestLevel);
    }
    const changed = this.#changed[nestLevel - 1];
    if (changed === undefined) return;
    this.#changed[nestLevel - 1] = [];
    for (const trans of changed) {
      if (committed) this.#becomesPartOfUpper(trans);
      else {
        restoreTruncDrop(trans);
        countOutcome(trans);
        // What it inserted is dead; what it deleted is not.
        trans.table.deltaDeadTuples += trans.inserted + trans.updated;
        trans.table.trans = trans.upper;
      }
    }
  }

  #becomesPartOfUpper(trans: TableXact): void {
    const { upper } = trans;
    if (upper?.nestLevel !== trans.nestLevel - 1) {
      trans.nestLevel--;
      this.#level(trans.nestLevel).push(trans);
      return;
    }
    if (trans.truncdropped) {
      saveTruncDrop(upper);
      upper.inserted = trans.inserted;
      upper.updated = trans.updated;
      upper.deleted = trans.deleted;
    } else {
      upper.inserted += trans.inserted;
      upper.updated += trans.updated;
      upper.deleted += trans.deleted;
    }
    trans.table.trans = upper;
  }

  /** The transaction is over (AtEOXact_PgStat_Relations); no savepoint is open any more. Answers what it dropped. */
  transactionEnded(committed: boolean): readonly Oid[] {
    const changed = this.#changed[0];
    if (changed !== undefined && changed.length > 0) {
      for (const trans of changed) countEnd(trans, committed);
      changed.length = 0;
    }
    this.nestLevel = 1;
    if (this.#created.length === 0 && this.#dropped.length === 0) return [];
    const gone = (committed ? this.#dropped : this.#created).map(({ oid }) => oid);
    this.#created = [];
    this.#dropped = [];
    for (const oid of gone) this.#forget(oid);
    return committed ? gone : [];
  }

  #forget(oid: Oid): void {
    this.#tables.delete(oid);
    this.#last = undefined;
    this.#lastButOne = undefined;
  }

  /** Gives away what was counted; what a transaction under way changed stays. */
  take(): Iterable<TableCounts> {
    const taken = this.#tables;
    this.#tables = new Map();
    this.#last = undefined;
    this.#lastButOne = undefined;
    for (const [oid, table] of taken) {
      if (table.trans === undefined) continue;
      const kept = new TableCounts(table.database, oid);
      for (let trans: TableXact | undefined = table.trans; trans !== undefined; trans = trans.upper) {
        trans.table = kept;
      }
      kept.trans = table.trans;
      this.#tables.set(oid, kept);
    }
    return taken.values();
  }
}

/** What was done before TRUNCATE, for the case that it is rolled back; only the first time at this level. */
function saveTruncDrop(trans: TableXact): void {
  if (trans.truncdropped) return;
  trans.insertedBefore = trans.inserted;
  trans.updatedBefore = trans.updated;
  trans.deletedBefore = trans.deleted;
  trans.truncdropped = true;
}

function restoreTruncDrop(trans: TableXact): void {
  if (!trans.truncdropped) return;
  trans.inserted = trans.insertedBefore;
  trans.updated = trans.updatedBefore;
  trans.deleted = trans.deletedBefore;
}

/** Actions count whether they came to something or not. */
function countOutcome({ table, inserted, updated, deleted }: TableXact): void {
  table.tuplesInserted += inserted;
  table.tuplesUpdated += updated;
  table.tuplesDeleted += deleted;
}

function countEnd(trans: TableXact, committed: boolean): void {
  if (!committed) restoreTruncDrop(trans);
  countOutcome(trans);
  const { table, inserted, updated, deleted } = trans;
  if (committed) {
    if (trans.truncdropped) {
      table.truncdropped = true;
      table.deltaLiveTuples = 0;
      table.deltaDeadTuples = 0;
    }
    table.deltaLiveTuples += inserted - deleted;
    table.deltaDeadTuples += updated + deleted;
    table.changedTuples += inserted + updated + deleted;
  } else table.deltaDeadTuples += inserted + updated;
  table.trans = undefined;
}
