/**
 * The checkpointer: decides when a checkpoint happens and how fast; the buffer-manager does the work.
 *
 * Purpose    checkpoints by time, by amount of WAL, on request and at shutdown, spread over
 *            checkpoint_completion_target of the interval; the end of WAL segments that archive_timeout is over for.
 * Promise    none that others rely on: without it WAL grows and a restart takes longer.
 * Started by the postmaster.
 * Stops      on `stop`, after the shutdown checkpoint; when the buffer-manager goes it waits for the next.
 * Its death  abandons the checkpoint under way; its successor begins another.
 */
import type { Env } from '@pgtroupe/actor/env';
import type { RpcStream } from '@pgtroupe/actor/rpc';
import {
  BufferManagerDefinition,
  type CheckpointOrder,
  type CheckpointReport,
} from '@pgtroupe/rpc/generated/buffer-manager';
import { streamMethod } from '@pgtroupe/rpc/method';
import { type CheckpointCause, checkpointComplete, checkpointStarting } from './checkpoint-log.ts';
import { type CheckpointSettings, DistanceEstimate, dueByWal, onSchedule } from './schedule.ts';

const CHECKPOINT = streamMethod(BufferManagerDefinition, 'checkpoint');
/** Message that asks for a checkpoint; a reply subject gets an empty message when it is complete, and one that is not
 *  when it has failed. */
export const CHECKPOINT_SUBJECT = 'checkpointer.checkpoint';

const REOPEN_MS = 100;
const TICK_MS = 100;
const PAGES_PER_ORDER = 64;
const SHUTDOWN_PATIENCE_MS = 20_000;

type Report = NonNullable<CheckpointReport['report']>;
type Answer = Exclude<Report, { $case: 'wanted' } | { $case: 'progress' }>;
type Stream = RpcStream<CheckpointOrder, CheckpointReport>;

class Lost extends Error {
  override readonly name = 'Lost';
}

/** The buffer-manager could not do it. */
class Failed extends Lost {}

const COMPLETE = new Uint8Array(0);
const FAILED = new Uint8Array(1);

export interface CheckpointerOptions {
  readonly bufferManager: string;
  readonly settings: () => CheckpointSettings & {
    readonly logCheckpoints: boolean;
    /** checkpoint_warning */
    readonly warningSeconds: number;
    /** shared_buffers */
    readonly poolPages: number;
    /** 0: never. */
    readonly archiveTimeoutMs: number;
  };
}

export class Checkpointer {
  readonly #env: Env;
  readonly #options: CheckpointerOptions;
  #stream: Stream | undefined;
  #answer: { resolve(answer: Answer): void; reject(error: Error): void } | undefined;
  #insert = 0;
  #redo = 0;
  #lastMs: number;
  /** When the last segment ended or was asked to, as far as is known here. */
  #lastSwitchMs: number;
  /** Why a checkpoint is wanted now (CHECKPOINT_* flags); empty: none is. */
  #wanted = new Set<CheckpointCause>();
  /** The one under way is to make haste. */
  #immediate = false;
  #running = false;
  #stopping = false;
  readonly #estimate = new DistanceEstimate();
  /** Who waits for the next checkpoint to end, one way or the other. */
  #waiters: ((end: Uint8Array) => void)[] = [];
  #idle: (() => void)[] = [];

  constructor(env: Env, options: CheckpointerOptions) {
    this.#env = env;
    this.#options = options;
    this.#lastMs = env.clock.nowMs();
    this.#lastSwitchMs = this.#lastMs;
  }

  start(): void {
    this.#connect();
    this.#tick();
    this.#env.bus.subscribe(CHECKPOINT_SUBJECT, (_payload, _subject, reply) => {
      if (reply !== undefined) this.#waiters.push(end => this.#env.bus.respond(reply, end));
      this.#want(['immediate', 'force', 'wait']);
    });
  }

  /** Takes the shutdown checkpoint. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const begin = this.#env.clock.nowMs();
    while (this.#env.clock.nowMs() - begin < SHUTDOWN_PATIENCE_MS) {
      this.#immediate = true;
      this.#wanted.clear();
      if (this.#running) await new Promise<void>(resolve => this.#idle.push(resolve));
      else if (this.#stream === undefined) await this.#sleep(REOPEN_MS);
      else if (await this.#checkpoint(new Set(['shutdown', 'immediate']))) break;
      else await this.#sleep(REOPEN_MS);
    }
    this.#stream?.end();
  }

  #connect(): void {
    const stream = this.#env.rpc.open(this.#options.bufferManager, CHECKPOINT);
    stream.onMessage = ({ report }) => {
      // It answers: now it is there.
      this.#stream = stream;
      if (report !== undefined) this.#receive(report);
    };
    stream.onEnd = () => {
      if (this.#stream === stream) this.#stream = undefined;
      this.#answer?.reject(new Lost('the buffer-manager is gone'));
      this.#answer = undefined;
      this.#env.timers.after(REOPEN_MS, () => this.#connect(), { background: true });
    };
  }

  #receive(report: Report): void {
    if (report.$case === 'progress') {
      this.#lastSwitchMs = this.#env.clock.nowMs();
      this.#insert = report.value.insert;
      this.#redo = Math.max(this.#redo, report.value.redo);
      if (dueByWal(this.#insert, this.#redo, this.#options.settings())) this.#want(['wal']);
    } else if (report.$case === 'wanted') this.#want(['immediate', 'force', 'wait']);
    else {
      this.#answer?.resolve(report);
      this.#answer = undefined;
    }
  }

  /** Who wants one at once makes the one under way hurry, too. */
  #want(causes: readonly CheckpointCause[]): void {
    for (const cause of causes) this.#wanted.add(cause);
    if (this.#running) this.#immediate ||= this.#wanted.has('immediate');
    else this.#begin();
  }

  #tick(): void {
    const due = this.#env.clock.nowMs() - this.#lastMs >= this.#options.settings().timeoutMs;
    if (due && !this.#running) this.#wanted.add('time');
    if (!this.#running) this.#begin();
    this.#checkArchiveTimeout();
    this.#env.timers.after(1000, () => this.#tick(), { background: true });
  }

  /** The buffer-manager knows whether anything was logged meanwhile. */
  #checkArchiveTimeout(): void {
    const { archiveTimeoutMs } = this.#options.settings();
    const nowMs = this.#env.clock.nowMs();
    if (archiveTimeoutMs <= 0 || nowMs - this.#lastSwitchMs < archiveTimeoutMs || this.#stopping) return;
    this.#lastSwitchMs = nowMs;
    this.#stream?.send({ order: { $case: 'archiveTimeout', value: {} } });
  }

  #begin(): void {
    if (this.#stream === undefined || this.#stopping || this.#wanted.size === 0) return;
    const causes = this.#wanted;
    this.#wanted = new Set();
    if (causes.has('wal')) this.#warnOfHaste();
    void this.#checkpoint(causes);
  }

  /** checkpoint_warning */
  #warnOfHaste(): void {
    const seconds = Math.floor((this.#env.clock.nowMs() - this.#lastMs) / 1000);
    if (seconds >= this.#options.settings().warningSeconds) return;
    this.#env.log.write(
      'LOG',
      `checkpoints are occurring too frequently (${seconds} second${seconds === 1 ? '' : 's'} apart)`,
      { hint: 'Consider increasing the configuration parameter "max_wal_size".' },
    );
  }

  /** One checkpoint, start to end. False: it failed or was not needed. */
  async #checkpoint(causes: ReadonlySet<CheckpointCause>): Promise<boolean> {
    this.#running = true;
    this.#immediate ||= causes.has('immediate');
    let again = false;
    const waiters = this.#waiters;
    this.#waiters = [];
    const began = this.#env.clock.nowMs();
    try {
      const done = await this.#run(causes, began);
      for (const wake of waiters) wake(COMPLETE);
      again = true;
      return done;
    } catch (error) {
      if (!(error instanceof Lost)) throw error;
      this.#env.log.write('LOG', `checkpoint failed: ${error.message}`);
      // It is tried again all the same; who waits hears of the first failure, and does not wait for the disk.
      if (error instanceof Failed) for (const wake of waiters) wake(FAILED);
      else this.#waiters.unshift(...waiters);
      if (!causes.has('shutdown')) for (const cause of causes) this.#wanted.add(cause);
      return false;
    } finally {
      this.#lastMs = began;
      this.#running = false;
      this.#immediate = false;
      for (const wake of this.#idle.splice(0)) wake();
      // What was wanted meanwhile; after a failure only in a while (tick).
      if (again) this.#begin();
    }
  }

  async #run(causes: ReadonlySet<CheckpointCause>, began: number): Promise<boolean> {
    const settings = this.#options.settings();
    const shutdown = causes.has('shutdown');
    const timed = causes.has('time') && causes.size === 1;
    const begun = await this.#order(
      { $case: 'begin', value: { shutdown, unlessIdle: !shutdown && !causes.has('force'), timed } },
      'begun',
      'skipped',
    );
    if (begun.$case === 'skipped') return false;
    if (settings.logCheckpoints) this.#log(checkpointStarting(causes));
    const { pages, redo } = begun.value;
    const distance = redo - this.#redo;
    this.#estimate.update(distance);
    this.#redo = redo;
    let written = 0;
    for (let remaining = pages; remaining > 0; ) {
      const elapsed = this.#env.clock.nowMs() - began;
      if (!this.#immediate && onSchedule(written / pages, elapsed, this.#insert - redo, this.#options.settings())) {
        await this.#sleep(TICK_MS);
        continue;
      }
      const answer = await this.#order({ $case: 'write', value: { pages: PAGES_PER_ORDER } }, 'written');
      written += answer.value.pages;
      remaining = answer.value.remaining;
    }
    const writeMs = this.#env.clock.nowMs() - began;
    const { value: done } = await this.#order(
      { $case: 'finish', value: { keepBytes: Math.floor(this.#estimate.keepBytes(settings)) } },
      'done',
    );
    if (settings.logCheckpoints) {
      const totalMs = this.#env.clock.nowMs() - began;
      this.#log(
        checkpointComplete(done, {
          pages,
          poolPages: settings.poolPages,
          writeMs,
          totalMs,
          distance,
          estimate: this.#estimate.bytes,
        }),
      );
    }
    return true;
  }

  #log(message: string): void {
    this.#env.log.write('LOG', message);
  }

  /** Gives an order and awaits one of the answers it may have. */
  async #order<K extends Answer['$case']>(
    order: NonNullable<CheckpointOrder['order']>,
    ...expected: readonly K[]
  ): Promise<Extract<Answer, { $case: K }>> {
    const stream = this.#stream;
    if (stream === undefined) throw new Lost('the buffer-manager is not there');
    const answer = await new Promise<Answer>((resolve, reject) => {
      this.#answer = { resolve, reject };
      stream.send({ order });
    });
    if (answer.$case === 'failed') throw new Failed(answer.value.message);
    if (!(expected as readonly string[]).includes(answer.$case)) throw new Lost(`unexpected answer ${answer.$case}`);
    return answer as Extract<Answer, { $case: K }>;
  }

  #sleep(ms: number): Promise<void> {
    return new Promise(resolve => this.#env.timers.after(ms, resolve));
  }
}
