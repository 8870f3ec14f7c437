/**
 * Questions about sessions: what they do, which locks they have, whose session a pid is, and the wish that it end what it
 * does. Only the instances know, so each is asked, on demand, and says it at once. One that is paused, or busy with one
 * long piece of work, says nothing: it is waited for so long, then the answer names who was silent. One that dies has no
 * sessions any more.
 */
import type { Timer, Timers } from '@pgtroupe/actor/env';
import { type DownOp, SESSION_QUESTIONS, type SessionQuestion, type UpOp } from '@pgtroupe/rpc/attach/ops';

type Up<K extends UpOp['op']> = Extract<UpOp, { op: K }>;

/** Less than a paused instance has before it is expelled. */
export const SESSION_ANSWER_MS = 2000;

/** What there is to know of an instance here. */
interface Asked {
  readonly name: string;
  put(op: DownOp): void;
}

interface Question<I> {
  readonly instance: I;
  readonly reqId: number;
  readonly what: SessionQuestion | undefined;
  /** One session is meant: the first who knows it answers for all. */
  readonly one: boolean;
  /** Instances that have not answered. */
  readonly missing: Set<I>;
  readonly said: string[];
  readonly patience: Timer;
}

export class SessionQuestions<I extends Asked> {
  readonly #instances: ReadonlySet<I>;
  readonly #timers: Timers;
  /** What the buffer-manager has to say to it, as JSON; '' for nothing. */
  readonly #own: (what: SessionQuestion | undefined) => string;
  /** Sends what was put, where no operation's end does it. */
  readonly #send: () => void;
  readonly #questions = new Map<number, Question<I>>();
  #last = 0;

  constructor(
    instances: ReadonlySet<I>,
    timers: Timers,
    own: (what: SessionQuestion | undefined) => string,
    send: () => void,
  ) {
    this.#instances = instances;
    this.#timers = timers;
    this.#own = own;
    this.#send = send;
  }

  ask(instance: I, { reqId, what, pid, about }: Up<'askSessions'>): void {
    // 0: nobody waits for the answer.
    const question = (this.#last = (this.#last + 1) >>> 0 || 1);
    const patience = this.#timers.after(
      SESSION_ANSWER_MS,
      () => {
        this.#answer(question);
        this.#send();
      },
      { background: true },
    );
    const missing = new Set(this.#instances);
    this.#questions.set(question, {
      instance,
      reqId,
      what: SESSION_QUESTIONS[what],
      one: pid !== 0,
      missing,
      said: [],
      patience,
    });
    for (const each of this.#instances) each.put({ op: 'sessionsAsked', question, what, pid, about });
  }

  /** DS_BLOCKED_BY_AUTOVACUUM: a worker ends what it does, unless that is to prevent wraparound, which it knows itself. */
  askToYield(blockers: Iterable<{ readonly pid: number; readonly instance: I }>): void {
    for (const { pid, instance } of blockers) {
      if (!instance.name?.startsWith('autovacuum-worker')) continue;
      instance.put({ op: 'sessionsAsked', question: 0, what: SESSION_QUESTIONS.indexOf('yield'), pid, about: '' });
    }
  }

  said(instance: I, { question, said }: Up<'sessionsSaid'>): void {
    this.#heard(instance, question, said);
  }

  /** It answers nothing more, nor does it wait for an answer. */
  died(instance: I): void {
    for (const [number, question] of this.#questions) {
      if (question.instance === instance) this.#forget(number, question);
      else this.#heard(instance, number, '');
    }
  }

  #heard(instance: I, number: number, said: string): void {
    const question = this.#questions.get(number);
    if (question === undefined || !question.missing.delete(instance)) return;
    if (said !== '') question.said.push(said);
    if (question.missing.size === 0 || (question.one && said !== '')) this.#answer(number);
  }

  #answer(number: number): void {
    const question = this.#questions.get(number);
    if (question === undefined) return;
    this.#forget(number, question);
    const { instance, reqId, what, one, said, missing } = question;
    const own = this.#own(what);
    if (own !== '') said.push(own);
    const known = one && said.length > 0;
    const silent = known ? '' : [...missing].map(({ name }) => name).join(', ');
    instance.put({ op: 'sessionsTold', reqId, said: `[${said.join(',')}]`, silent });
  }

  #forget(number: number, question: Question<I>): void {
    question.patience.cancel();
    this.#questions.delete(number);
  }
}
