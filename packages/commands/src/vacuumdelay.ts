/**
 * What VACUUM and ANALYZE cost, and the pauses they make for it (vacuum_delay_point in vacuum.c).
 *
 * Each page costs vacuum_cost_page_hit where the instance has it, else vacuum_cost_page_miss, and vacuum_cost_page_dirty more
 * when it is the first to change it. When vacuum_cost_limit is reached it sleeps for vacuum_cost_delay, longer if it is far
 * beyond. It holds no page then, but the lock of its table; a cancel ends the pause.
 *
 * One for a whole statement: many small tables cost as much as a large one.
 */
import { BLCKSZ } from '@pgtroupe/common/ids';
import type { RelationFiles } from '@pgtroupe/instance/relation-files';
import { MISS, type Want } from '@pgtroupe/storage/buffer/pages';
import type { BackendSession } from './command-runner.ts';
import { attempt } from './vacuuminplace.ts';

const MAX_DELAYS = 4;
const BYTES_PER_MB = 1024 * 1024;
const MS_PER_SECOND = 1000;

/** An autovacuum worker's limits, which are the table's or the server's, and how many workers share them. */
export interface CostLimits {
  readonly delayMs: number;
  readonly limit: number;
  readonly sharers: () => number;
}

export class VacuumDelay {
  readonly #session: BackendSession;
  readonly #hit: number;
  readonly #miss: number;
  readonly #dirty: number;
  readonly #limits: CostLimits;
  #on: boolean;
  #balance = 0;
  hits = 0;
  misses = 0;
  dirtied = 0;

  constructor(session: BackendSession, limits?: CostLimits) {
    const { settings } = session;
    this.#session = session;
    this.#hit = settings.number('vacuum_cost_page_hit');
    this.#miss = settings.number('vacuum_cost_page_miss');
    this.#dirty = settings.number('vacuum_cost_page_dirty');
    this.#limits = limits ?? {
      delayMs: settings.number('vacuum_cost_delay'),
      limit: settings.number('vacuum_cost_limit'),
      sharers: () => 1,
    };
    this.#on = this.#limits.delayMs > 0;
  }

  /** From now on nothing counts but to come to an end. */
  off(): void {
    this.#on = false;
  }

  /** Repeats a synchronous attempt until it lacks nothing, and counts the pages it needed. */
  attempt(work: () => number): Promise<number> {
    const { pages } = this.#session.instance.kernel;
    let missed = 0;
    return attempt(this.#session, () => {
      const { fetched, dirtied } = pages;
      const answer = work();
      const changed = pages.dirtied - dirtied;
      this.dirtied += changed;
      this.#balance += changed * this.#dirty;
      if (answer === MISS) {
        if (lacksPage(pages.want)) missed++;
        return MISS;
      }
      const hit = Math.max(0, pages.fetched - fetched - missed);
      this.hits += hit;
      this.misses += missed;
      this.#balance += hit * this.#hit + missed * this.#miss;
      missed = 0;
      return answer;
    });
  }

  /** So much was done that it is time for a pause. */
  get isDue(): boolean {
    return this.#on && this.#balance >= this.#limit;
  }

  get #limit(): number {
    const { limit, sharers } = this.#limits;
    return Math.max(1, Math.floor(limit / Math.max(1, sharers())));
  }

  async pause(): Promise<void> {
    const { delayMs } = this.#limits;
    const ms = Math.min((delayMs * this.#balance) / this.#limit, delayMs * MAX_DELAYS);
    this.#balance = 0;
    await this.#session.sleep(ms, 'Timeout/VacuumDelay');
  }
}

/** Not there at all: who has it shared only wants more of it. */
function lacksPage(want: Want): boolean {
  return want.kind === 'page' && (want.rel as RelationFiles).forks[want.fork]!.slotOf(want.blk) < 0;
}

/** What was used from one moment on: pages, WAL, processor, time. */
export class VacuumUsage {
  readonly #session: BackendSession;
  readonly #delay: VacuumDelay;
  readonly #from: Readings;

  constructor(session: BackendSession, delay: VacuumDelay) {
    this.#session = session;
    this.#delay = delay;
    this.#from = readings(session, delay);
  }

  get elapsedMs(): number {
    return this.#session.instance.kernel.env.clock.nowMs() - this.#from.ms;
  }

  /** The last lines of what PostgreSQL tells of a vacuum, or of an analyze: that is without `wal`. */
  report(wal: boolean): string {
    const now = readings(this.#session, this.#delay);
    const since = (what: keyof Readings): number => now[what] - this.#from[what];
    const seconds = since('ms') / MS_PER_SECOND;
    const rate = (pages: number): string => (seconds > 0 ? (pages * BLCKSZ) / BYTES_PER_MB / seconds : 0).toFixed(3);
    return [
      `avg read rate: ${rate(since('misses'))} MB/s, avg write rate: ${rate(since('dirtied'))} MB/s`,
      `buffer usage: ${since('hits')} hits, ${since('misses')} misses, ${since('dirtied')} dirtied`,
      ...(wal
        ? [`WAL usage: ${since('records')} records, ${since('images')} full page images, ${since('bytes')} bytes`]
        : []),
      `system usage: CPU: user: ${hundredths(since('userMs'))} s, system: ${hundredths(since('systemMs'))} s, elapsed: ${hundredths(since('ms'))} s`,
    ].join('\n');
  }
}

type Readings = Record<
  'hits' | 'misses' | 'dirtied' | 'records' | 'images' | 'bytes' | 'userMs' | 'systemMs' | 'ms',
  number
>;

function readings({ instance: { kernel }, block }: BackendSession, { hits, misses, dirtied }: VacuumDelay): Readings {
  const { records, images, loggedBytes } = block.producer;
  const { userMicros, systemMicros } = kernel.env.processor?.use() ?? { userMicros: 0, systemMicros: 0 };
  return {
    ...{ hits, misses, dirtied, records, images, bytes: loggedBytes },
    ...{ userMs: userMicros / 1000, systemMs: systemMicros / 1000, ms: kernel.env.clock.nowMs() },
  };
}

/** Cut off, not rounded (pg_rusage_show). */
function hundredths(ms: number): string {
  return (Math.floor(ms / 10) / 100).toFixed(2);
}
