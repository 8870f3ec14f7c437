/**
 * pg_blocking_pids: whom a session waits for. The lock table knows, but for waits for a row that a session of the
 * waiter's own instance holds: those come here only after deadlock_timeout. So every instance is told to bring them
 * now, and the table is read when all have said that they did.
 */
import type { DownOp, UpOp } from '@pgtroupe/rpc/attach/ops';
import { blockers } from './deadlock.ts';
import type { LockTable } from './lock-table.ts';

type Up<K extends UpOp['op']> = Extract<UpOp, { op: K }>;

/** What there is to know of an instance here. */
export interface Asked {
  put(op: DownOp): void;
}

interface Question<I> {
  readonly instance: I;
  readonly reqId: number;
  readonly pid: number;
  /** Instances that have not answered. */
  readonly missing: Set<I>;
}

export class LockQuestions<I extends Asked> {
  readonly #locks: LockTable<I>;
  readonly #instances: ReadonlySet<I>;
  readonly #questions = new Map<number, Question<I>>();
  #last = 0;

  constructor(locks: LockTable<I>, instances: ReadonlySet<I>) {
    this.#locks = locks;
    this.#instances = instances;
  }

  ask(instance: I, { reqId, pid }: Up<'getBlockers'>): void {
    this.#last = (this.#last + 1) >>> 0;
    this.#questions.set(this.#last, { instance, reqId, pid, missing: new Set(this.#instances) });
    for (const each of this.#instances) each.put({ op: 'showWaits', question: this.#last });
  }

  shown(instance: I, { question }: Up<'waitsShown'>): void {
    this.#answered(instance, question);
  }

  /** It answers nothing more, nor does it wait for an answer. */
  died(instance: I): void {
    for (const [number, question] of this.#questions) {
      if (question.instance === instance) this.#questions.delete(number);
      else this.#answered(instance, number);
    }
  }

  #answered(instance: I, number: number): void {
    const question = this.#questions.get(number);
    if (question === undefined || !question.missing.delete(instance) || question.missing.size > 0) return;
    this.#questions.delete(number);
    const waiter = this.#locks.waiting(question.pid);
    const pids = waiter === undefined ? [] : [...blockers(waiter)].map(({ blocker }) => blocker.pid);
    question.instance.put({ op: 'blockers', reqId: question.reqId, pids });
  }
}
