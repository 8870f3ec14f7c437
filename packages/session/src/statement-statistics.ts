/**
 * pg_stat_statements: what an instance has counted of the statements of its sessions, by user, database and query identifier.
 *
 * On a statement's path there is one look into what its analysis remembers, two readings of the clock and some additions;
 * everything else happens when somebody asks (session-questions.ts gathers what all instances say). The counts end with
 * their instance.
 */
import type { Clock } from '@pgtroupe/actor/env';
import { POSTGRES_EPOCH_MICROS } from '@pgtroupe/common/epoch';
import type { StatementCounts, StatementsTold } from '@pgtroupe/adt/pg_stat_statements';

/** USAGE_DEALLOC_PERCENT, and the least that goes. */
const DEALLOC_PERCENT = 5;
const DEALLOC_MIN = 10;
/** USAGE_DECREASE_FACTOR */
const USAGE_DECREASE_FACTOR = 0.99;
const MAX_TEXTS = 512;
const MAX_TEXT_LENGTH = 1024;

export interface StatementKey {
  readonly userid: number;
  readonly dbid: number;
  readonly queryid: bigint;
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

export class StatementEntry {
  readonly key: StatementKey;
  readonly counts: Writable<StatementCounts>;
  /** How much it is used, lately more than long ago. */
  usage = 1;
  /** It was reset or made room: another takes its place when the statement runs again. */
  gone = false;

  constructor(key: StatementKey, query: string) {
    this.key = key;
    const { userid, dbid, queryid } = key;
    this.counts = {
      userid,
      dbid,
      queryid: String(queryid),
      query,
      calls: 0,
      totalMs: 0,
      minMs: 0,
      maxMs: 0,
      meanMs: 0,
      squaresMs: 0,
      rows: 0,
      walRecords: 0,
      walImages: 0,
      walBytes: 0,
    };
  }

  /** Welford's method for the variance, as there. */
  add(ms: number, rows: number): void {
    const { counts } = this;
    const calls = ++counts.calls;
    counts.totalMs += ms;
    counts.rows += rows;
    this.usage++;
    if (calls === 1) {
      counts.minMs = counts.maxMs = counts.meanMs = ms;
      return;
    }
    const before = counts.meanMs;
    counts.meanMs += (ms - before) / calls;
    counts.squaresMs += (ms - before) * (ms - counts.meanMs);
    if (ms < counts.minMs) counts.minMs = ms;
    if (ms > counts.maxMs) counts.maxMs = ms;
  }
}

export class StatementStatistics {
  readonly #clock: Clock;
  readonly #most: () => number;
  readonly #entries = new Map<string, StatementEntry>();
  #dealloc = 0;
  /** Microseconds since 2000. */
  #resetAt: number;

  /** `most`: pg_stat_statements.max. */
  constructor(clock: Clock, most: () => number) {
    this.#clock = clock;
    this.#most = most;
    this.#resetAt = clock.wallMicros() - POSTGRES_EPOCH_MICROS;
  }

  /** `query` gives the text where there is no such entry yet. */
  entry(key: StatementKey, query: () => string): StatementEntry {
    const name = `${key.userid}/${key.dbid}/${key.queryid}`;
    let found = this.#entries.get(name);
    if (found === undefined) {
      if (this.#entries.size >= this.#most()) this.#makeRoom();
      found = new StatementEntry(key, query());
      this.#entries.set(name, found);
    }
    return found;
  }

  /** The least used go. */
  #makeRoom(): void {
    const all = [...this.#entries].sort(([, a], [, b]) => a.usage - b.usage);
    for (const [, entry] of all) entry.usage *= USAGE_DECREASE_FACTOR;
    const many = Math.max(DEALLOC_MIN, Math.floor((all.length * DEALLOC_PERCENT) / 100));
    for (const [name, entry] of all.slice(0, many)) this.#forget(name, entry);
    this.#dealloc++;
  }

  #forget(name: string, entry: StatementEntry): void {
    entry.gone = true;
    this.#entries.delete(name);
  }

  readonly #idsOfTexts = new Map<string, bigint>();

  /** The identifier of a statement that has none but its text; remembered, as few are run again and again. */
  idOfText(text: string, compute: (text: string) => bigint): bigint {
    let id = this.#idsOfTexts.get(text);
    if (id === undefined) {
      id = compute(text);
      if (this.#idsOfTexts.size >= MAX_TEXTS) this.#idsOfTexts.clear();
      if (text.length <= MAX_TEXT_LENGTH) this.#idsOfTexts.set(text, id);
    }
    return id;
  }

  /** 0 means any. */
  reset({ userid, dbid, queryid }: StatementKey): void {
    for (const [name, entry] of this.#entries) {
      const { key } = entry;
      const isMeant =
        (userid === 0 || key.userid === userid) &&
        (dbid === 0 || key.dbid === dbid) &&
        (queryid === 0n || key.queryid === queryid);
      if (isMeant) this.#forget(name, entry);
    }
    if (userid !== 0 || dbid !== 0 || queryid !== 0n) return;
    this.#dealloc = 0;
    this.#resetAt = this.#clock.wallMicros() - POSTGRES_EPOCH_MICROS;
  }

  /** For whoever asks. */
  told(): StatementsTold {
    const counted = [...this.#entries.values()].map(({ counts }) => counts).filter(({ calls }) => calls > 0);
    return { statements: counted, dealloc: this.#dealloc, resetAt: this.#resetAt };
  }
}

/** What several instances have counted, as if one had. */
export function mergedStatements(told: readonly StatementsTold[]): StatementsTold {
  const merged = new Map<string, Writable<StatementCounts>>();
  for (const { statements = [] } of told) {
    for (const more of statements) {
      const name = `${more.userid}/${more.dbid}/${more.queryid}`;
      const known = merged.get(name);
      if (known === undefined) merged.set(name, { ...more });
      else addCounts(known, more);
    }
  }
  const of = (what: 'dealloc' | 'resetAt'): number[] => told.flatMap(each => each[what] ?? []);
  return {
    statements: [...merged.values()],
    dealloc: of('dealloc').reduce((sum, n) => sum + n, 0),
    resetAt: Math.min(...of('resetAt')),
  };
}

function addCounts(into: Writable<StatementCounts>, more: StatementCounts): void {
  const calls = into.calls + more.calls;
  const apart = more.meanMs - into.meanMs;
  into.squaresMs += more.squaresMs + (apart * apart * into.calls * more.calls) / calls;
  into.meanMs += (apart * more.calls) / calls;
  into.calls = calls;
  into.totalMs += more.totalMs;
  into.minMs = Math.min(into.minMs, more.minMs);
  into.maxMs = Math.max(into.maxMs, more.maxMs);
  into.rows += more.rows;
  into.walRecords += more.walRecords;
  into.walImages += more.walImages;
  into.walBytes += more.walBytes;
}
