/**
 * The statistics collector: adds up what other roles count, and tells the sums.
 *
 * Purpose    the numbers of pg_stat_* and pg_statio_*; autovacuum decides by them.
 * Promise    none that a query depends on. Reports come over the bus: one that is lost costs its counts.
 * Started by the postmaster.
 * Stops      on `stop`, behind all who count.
 * Its death  costs at most the counts of ten seconds. Who looks at statistics meanwhile sees the last it was told.
 *
 * Every five seconds in which something was counted it has its numbers kept in a file, by the buffer-manager.
 * A question says which report its sender has sent last, and is answered when that has come (or was lost: LATE_MS), so
 * that a session finds what it has just reported.
 */
import type { Env, Timer } from '@pgtroupe/actor/env';
import { handle, type Handler, type RpcStream } from '@pgtroupe/actor/rpc';
import {
  type StatsAnswer,
  StatsCollectorDefinition,
  type StatsQuestion,
  StatsReport,
} from '@pgtroupe/rpc/generated/stats-collector';
import { streamMethod } from '@pgtroupe/rpc/method';
import { STATS_REPORT_SUBJECT } from '@pgtroupe/rpc/report-counts';
import { KeptFile } from './kept-file.ts';
import { Statistics } from './statistics.ts';

const ASK = streamMethod(StatsCollectorDefinition, 'ask');
/** A report that is so late does not come. */
const LATE_MS = 200;
/** What was counted is in the file after so long. */
const SAVE_MS = 5000;
const STOP_PATIENCE_MS = 2000;
/** Reports that wait while the buffer-manager recovers; beyond that the oldest are lost. */
const EARLY_MAX = 10_000;

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
  readonly #file: KeptFile;
  readonly #statistics: Statistics;
  readonly #senders = new Map<string, Sender>();
  #waiting: Waiting[] = [];
  #unsubscribe: () => void = () => {};
  /** Reports that came before the file was read; undefined: it is. */
  #early: StatsReport[] | undefined = [];
  #saving: Promise<boolean> | undefined;
  #changed = false;
  #saves: Timer | undefined;

  constructor(env: Env, bufferManager: string) {
    this.#env = env;
    this.#file = new KeptFile(env, bufferManager);
    this.#statistics = new Statistics(env.clock.wallMicros());
  }

  start(): void {
    this.#unsubscribe = this.#env.bus.subscribe(STATS_REPORT_SUBJECT, payload =>
      this.#reported(StatsReport.decode(payload)),
    );
    void this.#file.load().then(data => this.#loaded(data));
  }

  handlers(): Handler[] {
    return [handle(ASK, stream => this.#accept(stream))];
  }

  /** What was counted is kept, if there is somebody to keep it. */
  async stop(): Promise<void> {
    this.#unsubscribe();
    this.#saves?.cancel();
    const patience = new Promise<void>(resolve => {
      this.#env.timers.after(STOP_PATIENCE_MS, resolve);
    });
    await Promise.race([this.#saveAll(), patience]);
    this.#file.close();
  }

  #loaded(data: Uint8Array): void {
    if (data.length > 0) {
      try {
        this.#statistics.decode(data);
      } catch (error) {
        this.#env.log.write('LOG', `corrupted statistics file: ${(error as Error).message}`);
      }
    }
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const report of early) this.#statistics.apply(report);
    this.#answerReady();
  }

  #reported(report: StatsReport): void {
    const { from, epoch, number } = report;
    this.#senders.set(from, { epoch, number });
    if (this.#early === undefined) this.#statistics.apply(report);
    else if (this.#early.push(report) > EARLY_MAX) this.#early.shift();
    this.#saveLater();
    this.#answerReady();
  }

  // ---- the file --------------------------------------------------------------------------------

  #saveLater(): void {
    this.#changed = true;
    this.#saves ??= this.#env.timers.after(SAVE_MS, () => this.#save(), { background: true });
  }

  #save(): void {
    this.#saves = undefined;
    if (this.#early !== undefined) return this.#saveLater();
    this.#changed = false;
    this.#saving = this.#file.save(this.#statistics.encode());
    void this.#saving.then(done => {
      this.#saving = undefined;
      if (!done) this.#saveLater();
    });
  }

  async #saveAll(): Promise<void> {
    await this.#saving;
    if (this.#changed && this.#early === undefined) await this.#file.save(this.#statistics.encode());
  }

  // ---- questions -------------------------------------------------------------------------------

  #answerReady(): void {
    if (this.#waiting.length === 0) return;
    const ready = this.#waiting.filter(({ question }) => this.#isReady(question));
    this.#waiting = this.#waiting.filter(({ question }) => !this.#isReady(question));
    for (const { answer } of ready) answer();
  }

  /** Is the file read, and has the last report come that the question knows of? */
  #isReady({ from, epoch, reported }: StatsQuestion): boolean {
    if (this.#early !== undefined) return false;
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
      if (this.#isReady(question)) return answer();
      const waiting: Waiting = { question, answer };
      this.#waiting.push(waiting);
      this.#env.timers.after(LATE_MS, () => this.#late(waiting), { background: true });
    };
  }

  /** Lost, perhaps with the collector of before: nobody waits for it again. */
  #late({ question: { from, epoch, reported } }: Waiting): void {
    const sender = this.#senders.get(from);
    const known = sender !== undefined && (sender.epoch > epoch || sender.number >= reported);
    if (!known) this.#senders.set(from, { epoch, number: reported });
    this.#answerReady();
  }

  #answer({ question }: StatsQuestion): StatsAnswer['answer'] {
    switch (question?.$case) {
      case 'relations':
        return { $case: 'relations', value: { relations: this.#statistics.relations(question.value.database) } };
      case 'databases':
        return { $case: 'databases', value: { databases: this.#statistics.databases() } };
      case 'shared':
        return { $case: 'shared', value: this.#statistics.shared() };
      case 'reset':
        this.#statistics.reset(question.value, this.#env.clock.wallMicros());
        this.#saveLater();
        return { $case: 'reset', value: {} };
      default:
        return undefined;
    }
  }
}
