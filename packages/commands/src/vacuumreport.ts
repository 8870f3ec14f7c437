/**
 * What VACUUM (VERBOSE) and autovacuum tell of a table, in PostgreSQL's words. Time of the processor is that of the whole
 * instance meanwhile.
 */
import type { IndexVacuumStats } from '@pgtroupe/access/common/indexvacuum';
import type { VacuumResult } from '@pgtroupe/access/heap/vacuumlazy';
import { withCatalog } from '@pgtroupe/catalog/catalogmiss';
import type { RelationDesc } from '@pgtroupe/catalog/relcache';
import { NAMESPACEOID } from '@pgtroupe/catalog/syscache';
import { type FullTransactionId, type Oid, type TransactionId, xidFromFull } from '@pgtroupe/common/ids';
import type { CommandRunner } from './command-runner.ts';
import type { VacuumUsage } from './vacuumdelay.ts';
import type { Automatic } from './vacuumoptions.ts';

export interface VacuumedIndex {
  readonly name: string;
  readonly oid: Oid;
  readonly stats: IndexVacuumStats | undefined;
}

/** `postgres.public.t` */
export async function qualifiedName({ session, analysis }: CommandRunner, rel: RelationDesc): Promise<string> {
  const schema = await withCatalog(() => analysis.catalog.search(NAMESPACEOID, rel.rel.relnamespace)?.nspname);
  return `${session.database.name}.${schema}.${rel.name}`;
}

/** Does log_autovacuum_min_duration want to hear of it? */
export function tookLongEnough({ logMinDurationMs }: Automatic, { elapsedMs }: VacuumUsage): boolean {
  return logMinDurationMs >= 0 && elapsedMs >= logMinDurationMs;
}

export function reportTitle(name: string, aggressive: boolean, automatic: Automatic | undefined): string {
  if (automatic === undefined) return `finished vacuuming "${name}"`;
  const how = aggressive ? 'aggressive ' : '';
  return `automatic ${how}vacuum ${automatic.wraparound ? 'to prevent wraparound ' : ''}of table "${name}"`;
}

export function vacuumReport(
  title: string,
  result: VacuumResult,
  reltuples: number,
  before: { readonly scannedOf: number; readonly relfrozenxid: TransactionId; readonly relminmxid: TransactionId },
  ids: {
    readonly oldestXmin: TransactionId;
    readonly nextXid: FullTransactionId;
    readonly relfrozenxid: TransactionId;
    readonly relminmxid: TransactionId;
  },
  indexes: readonly VacuumedIndex[],
  usage: VacuumUsage,
): string {
  const { scannedOf } = before;
  const percent = (pages: number): string => (scannedOf === 0 ? 100 : (100 * pages) / scannedOf).toFixed(2);
  const since = (later: number, earlier: number): number => (later - earlier) | 0;
  const { oldestXmin, relfrozenxid, relminmxid } = ids;
  const lines = [
    `${title}: index scans: ${result.indexScans}`,
    `pages: ${result.removedPages} removed, ${result.relPages} remain, ${result.scannedPages} scanned (${percent(result.scannedPages)}% of total)`,
    `tuples: ${result.tuplesDeleted} removed, ${reltuples + result.recentlyDeadTuples} remain, ${result.recentlyDeadTuples} are dead but not yet removable`,
    `removable cutoff: ${oldestXmin}, which was ${since(xidFromFull(ids.nextXid), oldestXmin)} XIDs old when operation ended`,
  ];
  if (relfrozenxid !== before.relfrozenxid)
    lines.push(
      `new relfrozenxid: ${relfrozenxid}, which is ${since(relfrozenxid, before.relfrozenxid)} XIDs ahead of previous value`,
    );
  if (relminmxid !== before.relminmxid)
    lines.push(
      `new relminmxid: ${relminmxid}, which is ${since(relminmxid, before.relminmxid)} MXIDs ahead of previous value`,
    );
  const what = {
    yes: indexes.length === 0 || result.indexScans === 0 ? 'index scan not needed' : 'index scan needed',
    bypassed: 'index scan bypassed',
    failsafe: 'index scan bypassed by failsafe',
  }[result.indexes];
  const [verb, end] = result.indexes === 'yes' ? ['had', ' removed'] : ['have', ''];
  lines.push(
    `${what}: ${result.deadItemPages} pages from table (${percent(result.deadItemPages)}% of total) ${verb} ${result.deadItems} dead item identifiers${end}`,
  );
  for (const { name: index, stats } of indexes) {
    if (stats === undefined) continue;
    const { numPages, pagesNewlyDeleted, pagesDeleted, pagesFree } = stats;
    lines.push(
      `index "${index}": pages: ${numPages} in total, ${pagesNewlyDeleted} newly deleted, ${pagesDeleted} currently deleted, ${pagesFree} reusable`,
    );
  }
  lines.push(usage.report(true));
  return lines.join('\n');
}
