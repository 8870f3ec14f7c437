/**
 * The autovacuum launcher: decides when which database is due, and asks the postmaster for a worker.
 *
 * Purpose    so that dead rows do not pile up, statistics are fresh and transaction ids never run out.
 * Promise    a database in danger of wraparound gets a worker within autovacuum_naptime; no database gets more than
 *            one in that time. It looks into no table and has no session.
 * Started by the postmaster, while `autovacuum` and `track_counts` are on, or wraparound is near.
 * Stops      on `stop`, at once; when the buffer-manager goes it waits for the next.
 * Its death  concerns nobody: workers go on, its successor has every database looked at once.
 *
 * Between its looks, one per naptime and database and one when a worker ends, it sleeps.
 */
import type { Env, Timer } from '@pgtroupe/actor/env';
import type { RpcStream } from '@pgtroupe/actor/rpc';
import { type Ages, type AgesQuestion, BufferManagerDefinition } from '@pgtroupe/rpc/generated/buffer-manager';
import type { AutovacWorkers } from '@pgtroupe/rpc/generated/postmaster';
import { streamMethod } from '@pgtroupe/rpc/method';
import { type DatabaseActivity, type Limits, Schedule } from './schedule.ts';

const AUTOVACUUM = streamMethod(BufferManagerDefinition, 'autovacuum');
const REOPEN_MS = 1000;

export interface LauncherOptions {
  readonly bufferManager: string;
  readonly limits: () => Limits;
  /** Of each database that the statistics know. */
  readonly activity: () => Promise<readonly DatabaseActivity[]>;
  readonly startWorker: (database: number) => void;
}

export class AutovacuumLauncher {
  readonly #env: Env;
  readonly #options: LauncherOptions;
  readonly #schedule = new Schedule();
  #stream: RpcStream<AgesQuestion, Ages> | undefined;
  #workers: AutovacWorkers = { running: [], unfinished: [] };
  #timer: Timer | undefined;
  #looking = false;
  #again = false;
  #answer: ((ages: Ages | undefined) => void) | undefined;
  #stopped = false;

  constructor(env: Env, options: LauncherOptions) {
    this.#env = env;
    this.#options = options;
  }

  start(): void {
    this.#env.log.write('DEBUG', 'autovacuum launcher started');
    this.#open();
    // Switched off, it was launched because of what cannot wait.
    if (this.#options.limits().active) this.#sleep([]);
    else void this.#look();
  }

  stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#stream?.end();
    this.#env.log.write('DEBUG', 'autovacuum launcher shutting down');
    return Promise.resolve();
  }

  /** The postmaster says which workers there are. */
  workersChanged(workers: AutovacWorkers): void {
    const ended = workers.running.length < this.#workers.running.length;
    this.#workers = workers;
    // There may be a database that waits for a slot, or another one in danger.
    if (ended) void this.#look();
  }

  configurationChanged(): void {
    this.#schedule.forget();
    this.#sleep([]);
  }

  #open(): void {
    if (this.#stopped) return;
    const stream = this.#env.rpc.open(this.#options.bufferManager, AUTOVACUUM);
    this.#stream = stream;
    stream.onMessage = ages => this.#answer?.(ages);
    stream.onEnd = () => {
      this.#stream = undefined;
      this.#answer?.(undefined);
      this.#env.timers.after(REOPEN_MS, () => this.#open());
    };
  }

  /** undefined: the buffer-manager is away. */
  #ages(): Promise<Ages | undefined> {
    const stream = this.#stream;
    if (stream === undefined) return Promise.resolve(undefined);
    return new Promise(resolve => {
      this.#answer = resolve;
      stream.send({});
    });
  }

  #sleep(activity: readonly DatabaseActivity[]): void {
    this.#timer?.cancel();
    if (this.#stopped) return;
    const ms = this.#schedule.sleepMs(this.#options.limits(), activity);
    this.#timer = this.#env.timers.after(ms, () => void this.#look());
  }

  async #look(): Promise<void> {
    if (this.#looking) {
      this.#again = true;
      return;
    }
    this.#looking = true;
    let activity: readonly DatabaseActivity[] = [];
    do {
      this.#again = false;
      const ages = await this.#ages();
      if (ages === undefined) break;
      activity = await this.#options.activity();
      if (this.#stopped) return;
      const nowMs = this.#env.clock.nowMs();
      const database = this.#schedule.choose(nowMs, this.#options.limits(), ages, activity, this.#workers);
      if (database !== undefined) this.#options.startWorker(database);
    } while (this.#again);
    this.#looking = false;
    this.#sleep(activity);
  }
}
