/** The checkpointer's stream: its orders are carried out one after the other (checkpoint.ts). */
import type { Clock, Log } from '@pgtroupe/actor/env';
import type { RpcStream } from '@pgtroupe/actor/rpc';
import {
  BufferManagerDefinition,
  type CheckpointOrder,
  type CheckpointReport,
} from '@pgtroupe/rpc/generated/buffer-manager';
import { streamMethod } from '@pgtroupe/rpc/method';
import { segmentNumber } from '@pgtroupe/transam/xlogpage';
import { CheckpointFailure } from './checkpoint.ts';
import type { SharedMemory } from './shared-memory.ts';

export const CHECKPOINT = streamMethod(BufferManagerDefinition, 'checkpoint');

type Stream = RpcStream<CheckpointReport, CheckpointOrder>;

export class CheckpointServer {
  readonly #shared: SharedMemory;
  readonly #log: Log;
  readonly #clock: Clock;
  /** When the checkpoint under way began to write. */
  #writingMs = 0;
  #stream: Stream | undefined;
  #work: Promise<void> = Promise.resolve();
  #toldSegment = -1;
  /** A checkpoint is under way. */
  #busy = false;

  constructor(shared: SharedMemory, log: Log, clock: Clock) {
    this.#clock = clock;
    this.#shared = shared;
    this.#log = log;
    shared.onCheckpointWanted = () => this.#report({ $case: 'wanted', value: {} });
    shared.onWalGrown = () => this.#progress();
  }

  accept(stream: Stream): void {
    this.#stream?.abort('another checkpointer came');
    this.#stream = stream;
    this.#shared.auxiliaries.came('checkpointer', () => (this.#busy ? null : 'Activity/CheckpointerMain'));
    stream.onMessage = ({ order }) => {
      this.#work = this.#work.then(() => (this.#stream === stream ? this.#obey(order) : undefined));
    };
    stream.onEnd = () => {
      if (this.#stream !== stream) return;
      this.#stream = undefined;
      this.#shared.auxiliaries.left('checkpointer');
      this.#shared.checkpoints.abandon();
    };
    this.#toldSegment = -1;
    this.#progress();
    // Somebody may have asked while there was no checkpointer.
    if (this.#shared.checkpoints.awaited) this.#report({ $case: 'wanted', value: {} });
  }

  close(): void {
    this.#stream?.end();
    this.#stream = undefined;
  }

  #report(report: NonNullable<CheckpointReport['report']>): void {
    if (report.$case === 'skipped' || report.$case === 'done' || report.$case === 'failed') this.#busy = false;
    this.#stream?.send({ report });
  }

  #progress(): void {
    const insert = this.#shared.insert.buffers.end;
    if (segmentNumber(insert) === this.#toldSegment || this.#stream === undefined) return;
    this.#toldSegment = segmentNumber(insert);
    this.#report({ $case: 'progress', value: { insert, redo: this.#shared.redo } });
  }

  async #obey(order: CheckpointOrder['order']): Promise<void> {
    const { checkpoints } = this.#shared;
    try {
      switch (order?.$case) {
        case 'begin':
          this.#busy = true;
          if (!order.value.shutdown) this.#shared.counts.checkpoint(order.value.timed);
          if (order.value.unlessIdle && checkpoints.idle) return this.#report({ $case: 'skipped', value: {} });
          if (order.value.shutdown) await checkpoints.beforeShutdown();
          this.#writingMs = this.#clock.nowMs();
          return this.#report({ $case: 'begun', value: await checkpoints.begin(order.value.shutdown) });
        case 'write': {
          const written = await checkpoints.write(order.value.pages);
          this.#shared.counts.add({ bufWrittenCheckpoints: written.pages });
          return this.#report({ $case: 'written', value: written });
        }
        case 'finish': {
          const checkpointWriteTime = this.#clock.nowMs() - this.#writingMs;
          const { lsn, redo, syncs, syncMs, removed, recycled } = await checkpoints.finish(order.value.keepBytes);
          this.#shared.counts.add({ checkpointWriteTime, checkpointSyncTime: syncMs });
          return this.#report({
            $case: 'done',
            value: {
              lsn,
              redo,
              filesSynced: syncs.files,
              longestSyncMs: syncs.longestMs,
              sumOfSyncsMs: syncs.sumMs,
              syncMs,
              segmentsRemoved: removed,
              segmentsRecycled: recycled,
            },
          });
        }
        case 'archiveTimeout':
          return await this.#shared.walSwitch.afterTimeout();
        case undefined:
          return;
      }
    } catch (error) {
      const message = (error as Error).message;
      if (error instanceof CheckpointFailure) checkpoints.abandon();
      else {
        this.#log.write('WARNING', `checkpoint failed: ${message}`);
        checkpoints.failed(error);
      }
      this.#report({ $case: 'failed', value: { message } });
    }
  }
}
