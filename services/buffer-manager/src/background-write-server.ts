/** The bgwriter's stream: writes dirty pages that the clock sweep will come to soon (BgBufferSync). */
import type { RpcStream } from '@pgtroupe/actor/rpc';
import { BufferManagerDefinition, type BgWriteOrder, type BgWriteReport } from '@pgtroupe/rpc/generated/buffer-manager';
import { streamMethod } from '@pgtroupe/rpc/method';
import type { SharedMemory } from './shared-memory.ts';

export const BACKGROUND_WRITE = streamMethod(BufferManagerDefinition, 'backgroundWrite');

type Stream = RpcStream<BgWriteReport, BgWriteOrder>;

/** Moving average over this many orders, as in PostgreSQL. */
const SMOOTHING = 16;

export class BackgroundWriteServer {
  readonly #shared: SharedMemory;
  #stream: Stream | undefined;
  #smoothedAlloc = 0;
  /** What the bgwriter waits for. */
  #waits: string | null = 'Activity/BgWriterMain';

  constructor(shared: SharedMemory) {
    this.#shared = shared;
  }

  accept(stream: Stream): void {
    this.#stream?.abort('another bgwriter came');
    this.#stream = stream;
    this.#shared.auxiliaries.came('background writer', () => this.#waits);
    stream.onMessage = order => {
      void this.#obey(stream, order);
    };
    stream.onEnd = () => {
      if (this.#stream !== stream) return;
      this.#stream = undefined;
      this.#shared.auxiliaries.left('background writer');
    };
  }

  close(): void {
    this.#stream?.end();
    this.#stream = undefined;
  }

  /** Where nothing is going on the answer comes with the next slot that is taken (StrategyNotifyBgWriter): until then
   *  nobody sends anything. */
  async #obey(stream: Stream, order: BgWriteOrder): Promise<void> {
    this.#waits = null;
    const { written, allocated } = await this.#sync(order);
    if (written === 0 && allocated === 0) {
      this.#waits = 'Activity/BgWriterHibernate';
      await this.#shared.pool.nextAllocation();
    }
    if (this.#stream !== stream) return;
    this.#waits = 'Activity/BgWriterMain';
    stream.send({ written, allocated });
  }

  async #sync({ maxPages, lruMultiplier }: BgWriteOrder): Promise<BgWriteReport> {
    const { io, pool } = this.#shared;
    const allocated = pool.allocations;
    pool.allocations = 0;
    // Follow a rise at once, a fall slowly.
    if (this.#smoothedAlloc <= allocated) this.#smoothedAlloc = allocated;
    else this.#smoothedAlloc += (allocated - this.#smoothedAlloc) / SMOOTHING;
    // While the pool has room nothing is evicted, so nothing needs to be clean.
    const upcoming = pool.used < pool.limit ? 0 : Math.ceil(this.#smoothedAlloc * lruMultiplier);
    let written = 0;
    for (const page of pool.dirtyAhead(Math.min(maxPages, upcoming), upcoming * 2)) {
      if (!(await io.tryWrite(page))) break;
      written++;
    }
    const full = maxPages > 0 && written >= maxPages;
    if (allocated + written > 0)
      this.#shared.counts.add({ bufAlloc: allocated, bufWrittenClean: written, maxwrittenClean: full ? 1 : 0 });
    return { written, allocated };
  }
}
