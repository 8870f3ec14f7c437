/** When a checkpoint is due and how fast it goes (checkpointer.c, xlog.c). Pure. */
import { XLOG_SEG_SIZE } from '@pgtroupe/transam/xlogpage';

export interface CheckpointSettings {
  readonly timeoutMs: number;
  readonly maxWalBytes: number;
  readonly minWalBytes: number;
  readonly completionTarget: number;
}

/** CalculateCheckpointSegments: WAL between redo points so that max_wal_size holds. */
function checkpointSegments({ maxWalBytes, completionTarget }: CheckpointSettings): number {
  return Math.max(1, Math.floor(maxWalBytes / XLOG_SEG_SIZE / (1 + completionTarget)));
}

/** Has so much WAL been written that a checkpoint is due? */
export function dueByWal(insert: number, redo: number, settings: CheckpointSettings): boolean {
  return (
    Math.floor(insert / XLOG_SEG_SIZE) - Math.floor(redo / XLOG_SEG_SIZE) >=
    Math.max(1, checkpointSegments(settings) - 1)
  );
}

/** IsCheckpointOnSchedule: `progress` is the share of pages written. */
export function onSchedule(
  progress: number,
  elapsedMs: number,
  walBytes: number,
  settings: CheckpointSettings,
): boolean {
  const scaled = progress * settings.completionTarget;
  if (scaled < walBytes / XLOG_SEG_SIZE / checkpointSegments(settings)) return false;
  return scaled >= elapsedMs / settings.timeoutMs;
}

/** Estimates how much WAL a checkpoint cycle makes: rises at once, falls slowly. */
export class DistanceEstimate {
  #bytes = 0;

  update(bytes: number): void {
    this.#bytes = this.#bytes < bytes ? bytes : 0.9 * this.#bytes + 0.1 * bytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** WAL to keep allocated ahead (XLOGfileslop). */
  keepBytes(settings: CheckpointSettings): number {
    const wanted = (1 + settings.completionTarget) * this.#bytes * 1.1;
    return Math.min(Math.max(wanted, settings.minWalBytes), settings.maxWalBytes);
  }
}
