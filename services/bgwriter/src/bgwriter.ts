/**
 * The background writer: has dirty pages written before the clock sweep needs their slots.
 *
 * Purpose    so that a page that must be loaded finds a clean victim.
 * Promise    none; without it eviction waits for a write now and then.
 * Started by the postmaster.
 * Stops      on `stop`, at once; when the buffer-manager goes it waits for the next.
 * Its death  is noticed by nobody.
 */
import type { Env } from '@pgtroupe/actor/env';
import type { RpcStream } from '@pgtroupe/actor/rpc';
import { BufferManagerDefinition, type BgWriteOrder, type BgWriteReport } from '@pgtroupe/rpc/generated/buffer-manager';
import { streamMethod } from '@pgtroupe/rpc/method';

const BACKGROUND_WRITE = streamMethod(BufferManagerDefinition, 'backgroundWrite');
const REOPEN_MS = 200;

export interface BgWriterOptions {
  readonly bufferManager: string;
  readonly settings: () => { readonly delayMs: number; readonly lruMaxPages: number; readonly lruMultiplier: number };
}

export class BgWriter {
  readonly #env: Env;
  readonly #options: BgWriterOptions;
  #stream: RpcStream<BgWriteOrder, BgWriteReport> | undefined;
  #stopped = false;

  constructor(env: Env, options: BgWriterOptions) {
    this.#env = env;
    this.#options = options;
  }

  start(): void {
    const stream = this.#env.rpc.open(this.#options.bufferManager, BACKGROUND_WRITE);
    this.#stream = stream;
    stream.onMessage = () => this.#orderAfter(stream, this.#options.settings().delayMs);
    stream.onEnd = () => {
      this.#stream = undefined;
      if (!this.#stopped) this.#env.timers.after(REOPEN_MS, () => this.start());
    };
    this.#order(stream);
  }

  stop(): Promise<void> {
    this.#stopped = true;
    this.#stream?.end();
    return Promise.resolve();
  }

  #orderAfter(stream: RpcStream<BgWriteOrder, BgWriteReport>, ms: number): void {
    this.#env.timers.after(ms, () => {
      if (this.#stream === stream) this.#order(stream);
    });
  }

  #order(stream: RpcStream<BgWriteOrder, BgWriteReport>): void {
    const { lruMaxPages, lruMultiplier } = this.#options.settings();
    stream.send({ maxPages: lruMaxPages, lruMultiplier });
  }
}
