/**
 * The cumulative statistics as a session sees them, by stats_fetch_consistency: what was read first in a transaction stays
 * until its end (cache; snapshot: everything at once), or is read anew by each statement (none).
 */
import type { CumulativeStatistics } from '@pgtroupe/adt/pgstat_relation';
import { CatalogMiss } from '@pgtroupe/catalog/catalogmiss';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { Transaction } from '@pgtroupe/instance/xact';
import type { DatabaseStats, RelationStats, SharedAnswer } from '@pgtroupe/rpc/generated/stats-collector';
import type { Session } from './session.ts';

interface Snapshot {
  readonly tx: Transaction;
  readonly messageMicros: number;
  relations?: ReadonlyMap<number, RelationStats>;
  databases?: ReadonlyMap<number, DatabaseStats>;
  shared?: SharedAnswer;
  /** When all of it was read at once. */
  micros?: number;
}

const NOBODY_TOLD: SharedAnswer = { bgwriter: undefined, wal: undefined, slrus: [], recoveryPrefetchReset: 0 };

export function sessionStatistics(session: Session): CumulativeStatistics {
  const { statistics, env } = session.instance;
  let snapshot: Snapshot | undefined;

  const current = (): Snapshot => {
    const { tx } = session.block;
    const { messageMicros } = session.runner.functions;
    const each = session.settings.string('stats_fetch_consistency') === 'none';
    if (snapshot?.tx !== tx || (each && snapshot.messageMicros !== messageMicros)) snapshot = { tx, messageMicros };
    return snapshot;
  };

  const readRelations = async (into: Snapshot): Promise<boolean> => {
    const told = await Promise.all(
      [session.database.oid, 0].map(database => statistics.ask({ $case: 'relations', value: { database } })),
    );
    into.relations = new Map(told.flatMap(each => each.value?.relations ?? []).map(each => [each.relation, each]));
    return told.some(each => each.stale);
  };

  const readDatabases = async (into: Snapshot): Promise<boolean> => {
    const { value, stale } = await statistics.ask({ $case: 'databases', value: {} });
    into.databases = new Map((value?.databases ?? []).map(each => [each.database, each]));
    return stale;
  };

  const readShared = async (into: Snapshot): Promise<boolean> => {
    const { value, stale } = await statistics.ask({ $case: 'shared', value: {} });
    into.shared = value ?? NOBODY_TOLD;
    return stale;
  };

  /** Reads this part, or all of it; then the function is called again. */
  const read = (into: Snapshot, part: (into: Snapshot) => Promise<boolean>): never => {
    const all = session.settings.string('stats_fetch_consistency') === 'snapshot';
    const parts = all ? [readRelations, readDatabases, readShared] : [part];
    if (all) into.micros = env.clock.wallMicros();
    throw new CatalogMiss(async () => {
      const stale = await Promise.all(parts.map(each => each(into)));
      if (!stale.includes(true)) return;
      const message = 'using stale statistics instead of current ones because stats collector is not responding';
      session.notice('WARNING', ERRCODE.WARNING, message);
    });
  };

  return {
    relation: oid => {
      const now = current();
      return now.relations === undefined ? read(now, readRelations) : now.relations.get(oid);
    },
    database: oid => {
      const now = current();
      return now.databases === undefined ? read(now, readDatabases) : now.databases.get(oid);
    },
    shared: () => {
      const now = current();
      return now.shared ?? read(now, readShared);
    },
    own: oid => session.block.stat.tables.own(oid),
    clearSnapshot: () => {
      snapshot = undefined;
    },
    get snapshotMicros() {
      return snapshot?.tx === session.block.tx ? snapshot.micros : undefined;
    },
    forceNextFlush: () => session.block.stat.forceNextFlush(),
    reset: async order => {
      const { stale } = await statistics.ask({ $case: 'reset', value: order });
      if (stale)
        throw ereport(
          ERRCODE.OBJECT_NOT_IN_PREREQUISITE_STATE,
          'could not reset statistics: stats collector is not responding',
        );
      snapshot = undefined;
    },
  };
}
