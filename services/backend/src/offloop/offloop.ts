/**
 * Work beside the main loop: one large call or parse at a time in a thread of its own, so that the sessions
 * around it are served, and so that it can be given up in its middle.
 *
 *   const job = offLoop.start({ task: 'call', … });
 *   await job.settled;              // or job.abandon()
 *   job.result()
 *
 * A thread that ran out of memory, or that was given up, is thrown away; one that has nothing to do ends soon.
 */
import type { Thread, Threads, Timer, Timers } from '@pgtroupe/actor/env';
import { assert, AssertionFailure } from '@pgtroupe/common/assert';
import type { Datum } from '@pgtroupe/common/datum';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import { type Answer, buffersOf, type CallTask, type Task } from './messages.ts';

const PROGRAM = new URL('thread.js', import.meta.url);
const MAX_THREADS = 2;
const IDLE_MS = 10_000;

/** The main loop is held up no longer than it takes to copy this much. */
const COPY_BYTES = 4 << 20;

type State =
  | { readonly kind: 'waiting'; readonly task: Task }
  | { readonly kind: 'running'; readonly thread: Thread }
  | { readonly kind: 'answered'; readonly answer: Answer }
  | { readonly kind: 'abandoned' };

export class Job {
  readonly settled: Promise<void>;
  readonly #owner: OffLoop;
  #state: State;
  #settle!: () => void;

  constructor(owner: OffLoop, task: Task) {
    this.#owner = owner;
    this.#state = { kind: 'waiting', task };
    this.settled = new Promise(resolve => (this.#settle = resolve));
  }

  get done(): boolean {
    return this.#state.kind === 'answered';
  }

  /** A call's value; throws what the task threw. */
  result(): Datum {
    const answer = this.#answer();
    assert(answer.answer === 'value', 'a call answers a value');
    return answer.value;
  }

  /** The tree of a parse. */
  json(): string {
    const answer = this.#answer();
    assert(answer.answer === 'json', 'a parse answers a tree');
    return answer.json;
  }

  #answer(): Answer {
    assert(this.#state.kind === 'answered', 'a job is asked when it is done');
    const { answer } = this.#state;
    if (answer.answer === 'error') throw ereport(answer.sqlstate, answer.message, answer.fields);
    if (answer.answer === 'failed') throw new AssertionFailure(answer.stack);
    return answer;
  }

  /** Nobody wants the result any more. */
  abandon(): void {
    const state = this.#state;
    if (state.kind === 'waiting' || state.kind === 'running') {
      this.#state = { kind: 'abandoned' };
      if (state.kind === 'running') state.thread.end();
      else this.#owner.forget(this);
      this.#settle();
    }
  }

  /** waiting -> running */
  begin(thread: Thread, timers: Timers): void {
    if (this.#state.kind !== 'waiting') throw new AssertionFailure('a job begins twice');
    const { task } = this.#state;
    this.#state = { kind: 'running', thread };
    if (task.task === 'call') void this.#post(thread, task, timers);
    else thread.post(task);
  }

  /** Arguments may be others' too: they are copied, large ones bit by bit. */
  async #post(thread: Thread, task: CallTask, timers: Timers): Promise<void> {
    const args: Datum[] = [];
    let copied = 0;
    for (const arg of task.args) {
      if (!(arg instanceof Uint8Array)) {
        args.push(arg);
        continue;
      }
      const copy = new Uint8Array(arg.length);
      args.push(copy);
      for (let at = 0; at < arg.length; at += COPY_BYTES) {
        if (copied >= COPY_BYTES) {
          copied = 0;
          await new Promise<void>(resolve => timers.soon(resolve));
          if (this.#state.kind !== 'running') return;
        }
        copy.set(arg.subarray(at, at + COPY_BYTES), at);
        copied += Math.min(COPY_BYTES, arg.length - at);
      }
    }
    thread.post({ ...task, args }, args.flatMap(buffersOf));
  }

  /** running -> answered */
  answered(answer: Answer): void {
    if (this.#state.kind !== 'running') return;
    this.#state = { kind: 'answered', answer };
    this.#settle();
  }
}

export class OffLoop {
  readonly #threads: Threads;
  readonly #timers: Timers;
  readonly #queue: Job[] = [];
  readonly #idle: { readonly thread: Thread; readonly end: Timer }[] = [];
  #count = 0;

  constructor(threads: Threads, timers: Timers) {
    this.#threads = threads;
    this.#timers = timers;
  }

  start(task: Task): Job {
    const job = new Job(this, task);
    this.#queue.push(job);
    this.#next();
    return job;
  }

  forget(job: Job): void {
    const at = this.#queue.indexOf(job);
    if (at >= 0) this.#queue.splice(at, 1);
  }

  #next(): void {
    while (this.#queue.length > 0) {
      const thread = this.#take();
      if (thread === undefined) return;
      this.#run(this.#queue.shift()!, thread);
    }
  }

  #take(): Thread | undefined {
    const idle = this.#idle.pop();
    if (idle !== undefined) {
      idle.end.cancel();
      return idle.thread;
    }
    if (this.#count >= MAX_THREADS) return undefined;
    this.#count++;
    return this.#threads.start(PROGRAM);
  }

  #run(job: Job, thread: Thread): void {
    thread.onMessage = answer => {
      job.answered(answer as Answer);
      // The grammar's own memory is not right any more after its stack ended.
      if (spoilt(answer as Answer)) return thread.end();
      const end = this.#timers.after(IDLE_MS, () => thread.end(), { background: true });
      this.#idle.push({ thread, end });
      this.#next();
    };
    thread.onEnd = why => {
      this.#count--;
      const at = this.#idle.findIndex(idle => idle.thread === thread);
      if (at >= 0) this.#idle.splice(at, 1);
      // The only way a task ends its thread: no other error gets there.
      const fields = { detail: why };
      job.answered({ answer: 'error', sqlstate: ERRCODE.OUT_OF_MEMORY, message: 'out of memory', fields });
      this.#next();
    };
    job.begin(thread, this.#timers);
  }
}

function spoilt(answer: Answer): boolean {
  return answer.answer === 'error' && answer.sqlstate === ERRCODE.STATEMENT_TOO_COMPLEX;
}
