/** The stats-collector's file, which it has kept here: this is the one role that opens the data directory. */
import { type Disk, DiskError, isMissing, type Log } from '@pgtroupe/actor/env';
import type { RpcStream } from '@pgtroupe/actor/rpc';
import {
  BufferManagerDefinition,
  type StatsFileOrder,
  type StatsFileReport,
} from '@pgtroupe/rpc/generated/buffer-manager';
import { streamMethod } from '@pgtroupe/rpc/method';

export const KEEP_STATISTICS = streamMethod(BufferManagerDefinition, 'keepStatistics');

/** PostgreSQL knows pg_stat/pgstat.stat only. */
const FILE = 'pg_stat/pgtroupe.stat';
const NEXT_FILE = 'pg_stat/pgtroupe.tmp';
const PIECE_BYTES = 256 * 1024;

type Stream = RpcStream<StatsFileReport, StatsFileOrder>;

export class StatisticsFile {
  readonly #disk: Disk;
  readonly #log: Log;
  #stream: Stream | undefined;
  #work: Promise<void> = Promise.resolve();

  constructor(disk: Disk, log: Log) {
    this.#disk = disk;
    this.#log = log;
  }

  accept(stream: Stream): void {
    this.#stream?.abort('another stats-collector came');
    this.#stream = stream;
    let pieces: Uint8Array[] = [];
    stream.onMessage = ({ order }) => {
      if (order?.$case === 'read') this.#work = this.#work.then(() => this.#read(stream));
      if (order?.$case !== 'write') return;
      pieces.push(order.value.data);
      if (!order.value.last) return;
      const whole = Buffer.concat(pieces);
      pieces = [];
      this.#work = this.#work.then(() => this.#write(stream, whole));
    };
    stream.onEnd = () => {
      if (this.#stream === stream) this.#stream = undefined;
    };
  }

  /** Resolves when the last order is carried out. */
  async close(): Promise<void> {
    await this.#work;
    this.#stream?.end();
  }

  async #read(stream: Stream): Promise<void> {
    let data = Buffer.alloc(0);
    try {
      data = Buffer.from(await this.#disk.readFile(FILE));
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      if (!isMissing(error)) this.#log.write('LOG', `could not open statistics file "${FILE}": ${error.message}`);
    }
    let at = 0;
    do {
      const piece = data.subarray(at, at + PIECE_BYTES);
      at += piece.length;
      stream.send({ report: { $case: 'piece', value: { data: piece, last: at === data.length } } });
    } while (at < data.length);
  }

  async #write(stream: Stream, data: Uint8Array): Promise<void> {
    // Another collector is there: its predecessor's numbers are older.
    if (this.#stream !== stream) return;
    let done = true;
    try {
      await this.#disk.writeFile(NEXT_FILE, data);
      await this.#disk.rename(NEXT_FILE, FILE);
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      this.#log.write('LOG', `could not write temporary statistics file "${NEXT_FILE}": ${error.message}`);
      done = false;
    }
    stream.send({ report: { $case: 'kept', value: { done } } });
  }
}
