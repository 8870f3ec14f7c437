/** Counters of a role that serves no sessions, on their way to the stats-collector: at most once a second, when there are new ones. */
import type { Env } from '@pgtroupe/actor/env';
import { StatsReport } from './generated/stats-collector.ts';

export const STATS_REPORT_SUBJECT = 'stats-collector.report';
const REPORT_MS = 1000;

/** What adds up of a database: fields of DatabaseReport and DatabaseStats. */
export const DATABASE_COUNTS = [
  'xactCommit',
  'xactRollback',
  'deadlocks',
  'tempFiles',
  'tempBytes',
  'sessionTime',
  'activeTime',
  'idleInTransactionTime',
  'sessions',
  'sessionsAbandoned',
  'sessionsFatal',
  'sessionsKilled',
  'blockReadTime',
] as const;

/** Plain numbers that somebody counts. */
export interface CountSource {
  /** Called when there is something to report for the first time since it was taken. */
  onChange: () => void;
  take(): Pick<Partial<StatsReport>, 'bgwriter' | 'wal'>;
}

/** `who`: the role and its launch. */
export function reportCounts(
  env: Env,
  who: { readonly from: string; readonly epoch: number },
  source: CountSource,
): void {
  let number = 0;
  const report = (): void => {
    const counts = { ...StatsReport.decode(new Uint8Array(0)), ...who, number: ++number, ...source.take() };
    env.bus.publish(STATS_REPORT_SUBJECT, StatsReport.encode(counts).finish());
  };
  source.onChange = () => env.timers.after(REPORT_MS, report, { background: true });
}
