/** What is logged of checkpoints (LogCheckpointStart, LogCheckpointEnd in xlog.c). Pure. */
import type { CheckpointDone } from '@pgtroupe/rpc/generated/buffer-manager';

/** The CHECKPOINT_* flags, in the order of being told. */
const CAUSES = ['shutdown', 'immediate', 'force', 'wait', 'wal', 'time'] as const;
export type CheckpointCause = (typeof CAUSES)[number];

export function checkpointStarting(causes: ReadonlySet<CheckpointCause>): string {
  return `checkpoint starting: ${CAUSES.filter(cause => causes.has(cause)).join(' ')}`;
}

export function checkpointComplete(
  done: CheckpointDone,
  {
    pages,
    poolPages,
    writeMs,
    totalMs,
    distance,
    estimate,
  }: {
    readonly pages: number;
    readonly poolPages: number;
    readonly writeMs: number;
    readonly totalMs: number;
    /** Bytes of WAL since the last one, and what is expected of the next. */
    readonly distance: number;
    readonly estimate: number;
  },
): string {
  const average = done.filesSynced === 0 ? 0 : done.sumOfSyncsMs / done.filesSynced;
  return (
    `checkpoint complete: wrote ${pages} buffers (${((pages * 100) / poolPages).toFixed(1)}%); ` +
    `0 WAL file(s) added, ${done.segmentsRemoved} removed, ${done.segmentsRecycled} recycled; ` +
    `write=${seconds(writeMs)} s, sync=${seconds(done.syncMs)} s, total=${seconds(totalMs)} s; ` +
    `sync files=${done.filesSynced}, longest=${seconds(Math.ceil(done.longestSyncMs))} s, average=${seconds(Math.ceil(average))} s; ` +
    `distance=${kilobytes(distance)} kB, estimate=${kilobytes(estimate)} kB`
  );
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(3);
}

function kilobytes(bytes: number): number {
  return Math.floor(bytes / 1024);
}
