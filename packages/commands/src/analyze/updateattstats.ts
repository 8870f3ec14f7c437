/**
 * Writing statistics of columns into pg_statistic (update_attstats): one row for each, replaced if it is there.
 */
import { buildArray } from '@pgtroupe/adt/arrayutils';
import { typeFacts } from '@pgtroupe/adt/cache/typcache';
import { withCatalog } from '@pgtroupe/catalog/catalogmiss';
import type { Form_pg_attribute } from '@pgtroupe/catalog/catalogs/pg_attribute';
import { type Form_pg_statistic, pgStatistic, STATISTIC_NUM_SLOTS } from '@pgtroupe/catalog/catalogs/pg_statistic';
import { STATRELATTINH } from '@pgtroupe/catalog/syscache';
import type { Oid } from '@pgtroupe/common/ids';
import { VOIDOID } from '@pgtroupe/common/oids';
import type { CommandRunner } from '../command-runner.ts';
import { type ColumnStats, EMPTY_SLOT } from './attstats.ts';

export interface StoredStats {
  readonly attribute: Form_pg_attribute;
  readonly stats: ColumnStats;
}

export async function updateAttStats(
  runner: CommandRunner,
  relid: Oid,
  columns: readonly StoredStats[],
): Promise<void> {
  if (columns.length === 0) return;
  await runner.analysis.changeCatalogs('', async ({ w }) => {
    for (const column of columns) {
      const row = await withCatalog(() => statisticRow(runner, relid, column));
      const before = await w.search(STATRELATTINH, relid, column.attribute.attnum, false);
      if (before === null) await w.insert(pgStatistic, row);
      else await w.update(pgStatistic, before, row);
    }
    w.commandCounterIncrement();
  });
}

/** May throw CatalogMiss. */
function statisticRow(runner: CommandRunner, relid: Oid, { attribute, stats }: StoredStats): Form_pg_statistic {
  const call = runner.functions.call([], VOIDOID);
  const row: Record<string, unknown> = {
    starelid: relid,
    staattnum: attribute.attnum,
    stainherit: false,
    stanullfrac: stats.nullFraction,
    stawidth: stats.width,
    stadistinct: stats.distinct,
  };
  for (let n = 0; n < STATISTIC_NUM_SLOTS; n++) {
    const { kind, op, collation, numbers, values, elementType } = stats.slots[n] ?? EMPTY_SLOT;
    row[`stakind${n + 1}`] = kind;
    row[`staop${n + 1}`] = op;
    row[`stacoll${n + 1}`] = collation;
    row[`stanumbers${n + 1}`] = numbers ?? null;
    // `anyarray`: of the column's own type, a domain included.
    row[`stavalues${n + 1}`] =
      values === undefined ? null : buildArray(values, typeFacts(call, elementType ?? attribute.atttypid));
  }
  return row as unknown as Form_pg_statistic;
}
