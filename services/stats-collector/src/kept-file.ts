/** The collector's file, as the buffer-manager keeps it: read once, then written now and then. Nobody waits for it. */
import type { Env } from '@pgtroupe/actor/env';
import type { RpcStream } from '@pgtroupe/actor/rpc';
import {
  BufferManagerDefinition,
  type StatsFileOrder,
  type StatsFileReport,
} from '@pgtroupe/rpc/generated/buffer-manager';
import { streamMethod } from '@pgtroupe/rpc/method';

const KEEP_STATISTICS = streamMethod(BufferManagerDefinition, 'keepStatistics');
const PIECE_BYTES = 256 * 1024;
const REOPEN_MS = 200;

type Stream = RpcStream<StatsFileOrder, StatsFileReport>;

export class KeptFile {
  readonly #env: Env;
  readonly #bufferManager: string;
  #stream: Stream | undefined;
  #closed = false;
  #pieces: Uint8Array[] = [];
  #loaded: ((data: Uint8Array) => void) | undefined;
  #kept: ((done: boolean) => void) | undefined;

  constructor(env: Env, bufferManager: string) {
    this.#env = env;
    this.#bufferManager = bufferManager;
  }

  /** Resolves when there is a buffer-manager to tell; empty: there is none yet. */
  load(): Promise<Uint8Array> {
    return new Promise(resolve => {
      this.#loaded = resolve;
      this.#open();
    });
  }

  /** False: not this time. One at a time. */
  save(data: Buffer): Promise<boolean> {
    const stream = this.#stream;
    if (stream === undefined || this.#kept !== undefined) return Promise.resolve(false);
    return new Promise(resolve => {
      this.#kept = resolve;
      let at = 0;
      do {
        const piece = data.subarray(at, at + PIECE_BYTES);
        at += piece.length;
        stream.send({ order: { $case: 'write', value: { data: piece, last: at === data.length } } });
      } while (at < data.length);
    });
  }

  close(): void {
    this.#closed = true;
    this.#stream?.end();
  }

  #open(): void {
    const stream = this.#env.rpc.open(this.#bufferManager, KEEP_STATISTICS);
    this.#stream = stream;
    this.#pieces = [];
    stream.onMessage = ({ report }) => {
      if (report?.$case === 'kept') this.#ended(report.value.done);
      if (report?.$case !== 'piece') return;
      this.#pieces.push(report.value.data);
      if (!report.value.last) return;
      this.#loaded?.(Buffer.concat(this.#pieces));
      this.#loaded = undefined;
      this.#pieces = [];
    };
    stream.onEnd = () => {
      this.#stream = undefined;
      this.#ended(false);
      if (!this.#closed) this.#env.timers.after(REOPEN_MS, () => this.#open(), { background: true });
    };
    if (this.#loaded !== undefined) stream.send({ order: { $case: 'read', value: {} } });
  }

  #ended(done: boolean): void {
    this.#kept?.(done);
    this.#kept = undefined;
  }
}
