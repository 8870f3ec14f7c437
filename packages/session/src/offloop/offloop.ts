/**
 * Work beside the main loop: one large call or parse at a time in a thread of its own, so that the sessions
 * around it are served, and so that it can be given up in its middle.
 *
 *   const job = offLoop.start({ task: 'call', … });
 *   await job.settled;              // or job.abandon()
 *   job.result()
 *
 * A thread that ran out of memory, or that was given up, is thrown away; one that has nothing to do ends soon.
 *
 * No job waits for another's end: who has waited a while gets a thread more, and when there are as many as there may be, the job that was
 * sent back most often, and then the one that has run longest, is sent back to the queue, to begin anew. It is left alone twice as long the next time.
 */
import type { Thread, Threads, Timer, Timers } from '@pgtroupe/actor/env';
import { assert, AssertionFailure } from '@pgtroupe/common/assert';
import type { Datum } from '@pgtroupe/common/datum';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import { type Answer, buffersOf, type ParseTask, type Task } from './messages.ts';

const PROGRAM = new URL('thread.js', import.meta.url);
const USUAL_THREADS = 2;
const MOST_THREADS = 4;
const IDLE_MS = 10_000;
const PATIENCE_MS = 250;
/** What a job may run, the first time, before another that has waited may have its thread. */
const QUANTUM_MS = 2000;

/** The main loop is held up no longer than it takes to copy this much. */
const COPY_BYTES = 4 << 20;

type State =
  | { readonly kind: 'waiting'; readonly task: Task }
  | { readonly kind: 'running'; readonly task: Task; readonly thread: Thread; readonly quantum: Timer }
  | { readonly kind: 'answered'; readonly answer: Answer }
  | { readonly kind: 'abandoned' };

export class Job {
  readonly settled: Promise<void>;
  readonly #owner: OffLoop;
  #state: State;
  #settle!: () => void;
  /** How often it was sent back. */
  sentBack = 0;
  #hadItsTime = false;

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
      if (state.kind === 'running') {
        state.quantum.cancel();
        state.thread.end();
      }
      this.#owner.forget(this);
      this.#settle();
    }
  }

  /** waiting -> running */
  begin(thread: Thread, timers: Timers): void {
    if (this.#state.kind !== 'waiting') throw new AssertionFailure('a job begins twice');
    const { task } = this.#state;
    this.#hadItsTime = false;
    const quantum = timers.after(QUANTUM_MS * 2 ** this.sentBack, () => (this.#hadItsTime = true), {
      background: true,
    });
    this.#state = { kind: 'running', task, thread, quantum };
    if (task.task === 'parse') thread.post(task);
    else void this.#post(thread, task, timers);
  }

  /** May it be sent back for the sake of `other`? */
  givesWayTo(other: Job): boolean {
    return this.#state.kind === 'running' && (this.#hadItsTime || this.sentBack > other.sentBack);
  }

  /** running -> waiting; its thread is gone. */
  sendBack(): void {
    assert(this.#state.kind === 'running', 'a job that runs is sent back');
    const { task, thread, quantum } = this.#state;
    quantum.cancel();
    this.sentBack++;
    this.#state = { kind: 'waiting', task };
    thread.end();
  }

  /** Arguments may be others' too: they are copied, large ones bit by bit. */
  async #post(thread: Thread, task: Exclude<Task, ParseTask>, timers: Timers): Promise<void> {
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
          if (this.#state.kind !== 'running' || this.#state.thread !== thread) return;
        }
        copy.set(arg.subarray(at, at + COPY_BYTES), at);
        copied += Math.min(COPY_BYTES, arg.length - at);
      }
    }
    thread.post({ ...task, args }, args.flatMap(buffersOf));
  }

  /** running -> answered; false if that thread is not its own any more. */
  answered(answer: Answer, thread: Thread): boolean {
    if (this.#state.kind !== 'running' || this.#state.thread !== thread) return false;
    this.#state.quantum.cancel();
    this.#state = { kind: 'answered', answer };
    this.#settle();
    return true;
  }
}

export class OffLoop {
  readonly #threads: Threads;
  readonly #timers: Timers;
  readonly #queue: Job[] = [];
  /** In the order in which they began. */
  readonly #running = new Set<Job>();
  readonly #idle: { readonly thread: Thread; readonly end: Timer }[] = [];
  #count = 0;
  #patience: Timer | undefined;

  constructor(threads: Threads, timers: Timers) {
    this.#threads = threads;
    this.#timers = timers;
  }

  start(task: Task): Job {
    const job = new Job(this, task);
    this.#enqueue(job);
    this.#next(USUAL_THREADS);
    return job;
  }

  /** Behind those who were sent back no more often. */
  #enqueue(job: Job): void {
    const at = this.#queue.findIndex(other => other.sentBack > job.sentBack);
    this.#queue.splice(at < 0 ? this.#queue.length : at, 0, job);
  }

  forget(job: Job): void {
    this.#running.delete(job);
    const at = this.#queue.indexOf(job);
    if (at >= 0) this.#queue.splice(at, 1);
  }

  #next(threads: number): void {
    while (this.#queue.length > 0) {
      const thread = this.#take(threads);
      if (thread === undefined) {
        if (this.#patience !== undefined) return;
        this.#patience = this.#timers.after(PATIENCE_MS, () => this.#waitedLong(), { background: true });
        return;
      }
      this.#run(this.#queue.shift()!, thread);
    }
  }

  #waitedLong(): void {
    this.#patience = undefined;
    const [waiting] = this.#queue;
    if (waiting === undefined) return;
    if (this.#count < MOST_THREADS) return this.#next(this.#count + 1);
    let victim: Job | undefined;
    for (const job of this.#running) {
      if (job.givesWayTo(waiting) && (victim === undefined || job.sentBack > victim.sentBack)) victim = job;
    }
    if (victim !== undefined) {
      this.#running.delete(victim);
      victim.sendBack();
      this.#enqueue(victim);
    }
    // Its thread's end makes room.
    this.#next(USUAL_THREADS);
  }

  #take(threads: number): Thread | undefined {
    const idle = this.#idle.pop();
    if (idle !== undefined) {
      idle.end.cancel();
      return idle.thread;
    }
    if (this.#count >= threads) return undefined;
    this.#count++;
    return this.#threads.start(PROGRAM);
  }

  #run(job: Job, thread: Thread): void {
    this.#running.add(job);
    thread.onMessage = answer => {
      // A thread that was given up is about to end.
      if (!job.answered(answer as Answer, thread)) return;
      this.#running.delete(job);
      // The grammar's own memory is not right any more after its stack ended.
      if (spoilt(answer as Answer)) return thread.end();
      const end = this.#timers.after(IDLE_MS, () => this.#retire(thread), { background: true });
      this.#idle.push({ thread, end });
      this.#next(USUAL_THREADS);
    };
    thread.onEnd = why => {
      this.#count--;
      this.#noLongerIdle(thread);
      // The only way a task ends its thread: no other error gets there.
      const fields = { detail: why };
      const answer: Answer = { answer: 'error', sqlstate: ERRCODE.OUT_OF_MEMORY, message: 'out of memory', fields };
      if (job.answered(answer, thread)) this.#running.delete(job);
      this.#next(Math.max(USUAL_THREADS, this.#count + 1));
    };
    job.begin(thread, this.#timers);
  }

  /** It ends some time after it was told to, and takes no job in between. */
  #retire(thread: Thread): void {
    this.#noLongerIdle(thread);
    thread.end();
  }

  #noLongerIdle(thread: Thread): void {
    const at = this.#idle.findIndex(idle => idle.thread === thread);
    if (at >= 0) this.#idle.splice(at, 1);
  }
}

function spoilt(answer: Answer): boolean {
  return answer.answer === 'error' && answer.sqlstate === ERRCODE.STATEMENT_TOO_COMPLEX;
}
