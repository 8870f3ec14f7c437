/**
 * The cumulative statistics as a session sees them: by stats_fetch_consistency what was read first in a transaction stays
 * until its end, or is read anew by each statement.
 */
import type { CumulativeStatistics } from '@pgtroupe/adt/pgstat_relation';
import { CatalogMiss } from '@pgtroupe/catalog/catalogmiss';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import type { Transaction } from '@pgtroupe/instance/xact';
import type { RelationStats } from '@pgtroupe/rpc/generated/stats-collector';
import type { Session } from './session.ts';

interface Snapshot {
  readonly tx: Transaction;
  readonly messageMicros: number;
  relations?: ReadonlyMap<number, RelationStats>;
}

export function sessionStatistics(session: Session): CumulativeStatistics {
  const { statistics } = session.instance;
  let snapshot: Snapshot | undefined;

  const current = (): Snapshot => {
    const { tx } = session.block;
    const { messageMicros } = session.runner.functions;
    const each = session.settings.string('stats_fetch_consistency') === 'none';
    if (snapshot?.tx !== tx || (each && snapshot.messageMicros !== messageMicros)) snapshot = { tx, messageMicros };
    return snapshot;
  };

  const stale = (): void =>
    session.notice(
      'WARNING',
      ERRCODE.WARNING,
      'using stale statistics instead of current ones because stats collector is not responding',
    );

  return {
    relation: oid => {
      const now = current();
      if (now.relations !== undefined) return now.relations.get(oid);
      throw new CatalogMiss(async () => {
        const told = await Promise.all(
          [session.database.oid, 0].map(database => statistics.ask({ $case: 'relations', value: { database } })),
        );
        if (told.some(each => each.stale)) stale();
        now.relations = new Map(told.flatMap(each => each.value?.relations ?? []).map(each => [each.relation, each]));
      });
    },
    clearSnapshot: () => {
      snapshot = undefined;
    },
    forceNextFlush: () => session.block.stat.forceNextFlush(),
  };
}
