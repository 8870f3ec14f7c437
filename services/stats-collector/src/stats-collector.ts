/**
 * The statistics collector: adds up what other roles count, and tells the sums.
 *
 * Purpose    the numbers of pg_stat_* and pg_statio_*; autovacuum decides by them.
 * Promise    none that a query depends on. Reports come over the bus: one that is lost costs its counts.
 * Started by the postmaster.
 * Stops      on `stop`, behind all who count.
 * Its death  costs at most the counts of ten seconds. Who looks at statistics meanwhile sees the last it was told.
 *
 * A question says which report its sender has sent last, and is answered when that has come (or was lost: LATE_MS), so
 * that a session finds what it has just reported.
 */
import type { Env } from '@pgtroupe/actor/env';
import { handle, type Handler, type RpcStream } from '@pgtroupe/actor/rpc';
import {
  type StatsAnswer,
  StatsCollectorDefinition,
  type StatsQuestion,
  StatsReport,
} from '@pgtroupe/rpc/generated/stats-collector';
import { streamMethod } from '@pgtroupe/rpc/method';
import { Statistics } from './statistics.ts';

const ASK = streamMethod(StatsCollectorDefinition, 'ask');
const REPORT_SUBJECT = 'stats-collector.report';
/** A report that is so late does not come. */
const LATE_MS = 200;

interface Sender {
  epoch: number;
  /** Its last report. */
  number: number;
}

interface Waiting {
  readonly question: StatsQuestion;
  answer(): void;
}

export class StatsCollector {
  readonly #env: Env;
  readonly #statistics = new Statistics();
  readonly #senders = new Map<string, Sender>();
  #waiting: Waiting[] = [];
  #unsubscribe: () => void = () => {};

  constructor(env: Env) {
    this.#env = env;
  }

  start(): void {
    this.#unsubscribe = this.#env.bus.subscribe(REPORT_SUBJECT, payload => this.#reported(StatsReport.decode(payload)));
  }

  handlers(): Handler[] {
    return [handle(ASK, stream => this.#accept(stream))];
  }

  stop(): Promise<void> {
    this.#unsubscribe();
    return Promise.resolve();
  }

  #reported(report: StatsReport): void {
    const { from, epoch, number } = report;
    this.#statistics.apply(report);
    this.#senders.set(from, { epoch, number });
    if (this.#waiting.length === 0) return;
    const ready = this.#waiting.filter(({ question }) => this.#isIn(question));
    this.#waiting = this.#waiting.filter(({ question }) => !this.#isIn(question));
    for (const { answer } of ready) answer();
  }

  /** Has the last report come that the question knows of? */
  #isIn({ from, epoch, reported }: StatsQuestion): boolean {
    const sender = this.#senders.get(from);
    if (reported === 0) return true;
    if (sender === undefined || sender.epoch < epoch) return false;
    return sender.epoch > epoch || sender.number >= reported;
  }

  #accept(stream: RpcStream<StatsAnswer, StatsQuestion>): void {
    stream.onEnd = () => {};
    stream.onMessage = question => {
      const answer = (): void => {
        const said = this.#answer(question);
        if (said !== undefined) stream.send({ id: question.id, answer: said });
      };
      if (this.#isIn(question)) return answer();
      const waiting: Waiting = { question, answer };
      this.#waiting.push(waiting);
      this.#env.timers.after(LATE_MS, () => this.#late(waiting), { background: true });
    };
  }

  #late(waiting: Waiting): void {
    const at = this.#waiting.indexOf(waiting);
    if (at < 0) return;
    this.#waiting.splice(at, 1);
    // Lost, perhaps with the collector of before: nobody waits for it again.
    const { from, epoch, reported } = waiting.question;
    if (!this.#isIn(waiting.question)) this.#senders.set(from, { epoch, number: reported });
    waiting.answer();
  }

  #answer({ question }: StatsQuestion): StatsAnswer['answer'] {
    switch (question?.$case) {
      case 'relations':
        return { $case: 'relations', value: { relations: this.#statistics.relations(question.value.database) } };
      case 'databases':
        return { $case: 'databases', value: { databases: this.#statistics.databases() } };
      default:
        return undefined;
    }
  }
}
