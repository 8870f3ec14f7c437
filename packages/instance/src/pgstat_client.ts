/**
 * Questions to the stats-collector, over one stream that is opened when somebody asks. Nobody waits long for an answer:
 * a collector that is dead or stopped costs whoever looks at statistics ANSWER_MS, and then the last answer is the answer.
 */
import type { Env } from '@pgtroupe/actor/env';
import type { RpcStream } from '@pgtroupe/actor/rpc';
import {
  type StatsAnswer,
  StatsCollectorDefinition,
  type StatsQuestion,
} from '@pgtroupe/rpc/generated/stats-collector';
import { streamMethod } from '@pgtroupe/rpc/method';

const ASK = streamMethod(StatsCollectorDefinition, 'ask');
const ANSWER_MS = 1000;
/** While a collector is away, its successor may be on the way. */
const REOPEN_MS = 100;

export type StatsQuestionKind = NonNullable<StatsQuestion['question']>;
type Answer = NonNullable<StatsAnswer['answer']>;
type Answers = { readonly [A in Answer as A['$case']]: A['value'] };

/** What was reported before shall be counted in the answer. */
export interface StatsSource {
  readonly name: string;
  readonly epoch: number;
  /** Reports sent. */
  readonly number: number;
}

export interface StatsTold<T> {
  /** undefined: never heard. */
  readonly value: T | undefined;
  /** The collector did not answer: the value is what it said last. */
  readonly stale: boolean;
}

interface Pending {
  readonly question: StatsQuestion;
  answered(answer: StatsAnswer['answer'] | undefined): void;
}

export class StatsClient {
  readonly #env: Env;
  readonly #endpoint: string;
  readonly #source: StatsSource;
  #stream: RpcStream<StatsQuestion, StatsAnswer> | undefined;
  #nextId = 1;
  readonly #pending = new Map<number, Pending>();
  readonly #last = new Map<string, unknown>();

  constructor(env: Env, endpoint: string, source: StatsSource) {
    this.#env = env;
    this.#endpoint = endpoint;
    this.#source = source;
  }

  async ask<K extends StatsQuestionKind['$case']>(
    question: Extract<StatsQuestionKind, { $case: K }>,
  ): Promise<StatsTold<Answers[K]>> {
    const key = JSON.stringify(question);
    const answer = await this.#ask(question);
    if (answer?.$case === question.$case) {
      this.#last.set(key, answer.value);
      return { value: answer.value as Answers[K], stale: false };
    }
    return { value: this.#last.get(key) as Answers[K] | undefined, stale: true };
  }

  close(): void {
    this.#stream?.end();
  }

  #ask(question: StatsQuestionKind): Promise<StatsAnswer['answer'] | undefined> {
    const { name, epoch, number } = this.#source;
    const id = this.#nextId++ >>> 0;
    return new Promise(resolve => {
      const timer = this.#env.timers.after(ANSWER_MS, () => answered(undefined), { background: true });
      const answered = (answer: StatsAnswer['answer'] | undefined): void => {
        this.#pending.delete(id);
        timer.cancel();
        resolve(answer);
      };
      const pending = { question: { id, from: name, epoch, reported: number, question }, answered };
      this.#pending.set(id, pending);
      if (this.#stream === undefined) this.#open();
      else this.#stream.send(pending.question);
    });
  }

  /** Sends what waits. */
  #open(): void {
    const stream = this.#env.rpc.open(this.#endpoint, ASK);
    this.#stream = stream;
    stream.onMessage = ({ id, answer }) => this.#pending.get(id)?.answered(answer);
    stream.onEnd = () => {
      this.#stream = undefined;
      if (this.#pending.size === 0) return;
      this.#env.timers.after(
        REOPEN_MS,
        () => {
          if (this.#stream === undefined && this.#pending.size > 0) this.#open();
        },
        { background: true },
      );
    };
    for (const { question } of this.#pending.values()) stream.send(question);
  }
}
