/**
 * The archiver's stream: what is to be archived, its bytes, and that it is. Beside the walwriter's loop: what is ready is
 * written no more, and not removed before it is done.
 */
import { type Disk, DiskError, type Log } from '@pgtroupe/actor/env';
import type { RpcStream } from '@pgtroupe/actor/rpc';
import { type ArchiveOrder, type ArchiveReport, WalWriterDefinition } from '@pgtroupe/rpc/generated/walwriter';
import { streamMethod } from '@pgtroupe/rpc/method';
import type { ArchiveStatistics } from './archive-statistics.ts';
import type { ArchiveStatus } from './archive-status.ts';

export const ARCHIVE = streamMethod(WalWriterDefinition, 'archive');

type Stream = RpcStream<ArchiveReport, ArchiveOrder>;

const READ_BYTES = 1024 * 1024;
const NOTHING = Buffer.alloc(0);

export class ArchiveServer {
  readonly #disk: Disk;
  readonly #log: Log;
  readonly #status: ArchiveStatus;
  readonly #statistics: ArchiveStatistics;
  #stream: Stream | undefined;
  #work: Promise<void> = Promise.resolve();

  constructor(disk: Disk, log: Log, status: ArchiveStatus, statistics: ArchiveStatistics) {
    this.#disk = disk;
    this.#log = log;
    this.#status = status;
    this.#statistics = statistics;
  }

  accept(stream: Stream): void {
    this.#stream?.abort('another archiver came');
    this.#stream = stream;
    stream.onMessage = ({ order }) => {
      this.#work = this.#work.then(() => (this.#stream === stream ? this.#obey(stream, order) : undefined));
    };
    stream.onEnd = () => {
      if (this.#stream === stream) this.#stream = undefined;
    };
  }

  /** There is more to be archived. */
  wake(): void {
    this.#stream?.send({ report: { $case: 'ready', value: {} } });
  }

  async close(): Promise<void> {
    this.#stream?.end();
    this.#stream = undefined;
    await this.#work;
    await this.#statistics.saved();
  }

  async #obey(stream: Stream, order: ArchiveOrder['order']): Promise<void> {
    // To whoever asked, though another archiver may have come meanwhile.
    const answer = (report: NonNullable<ArchiveReport['report']>): void => stream.send({ report });
    try {
      switch (order?.$case) {
        case 'next':
          return answer(await this.#next());
        case 'read':
          return answer({ $case: 'chunk', value: await this.#read(order.value.name, order.value.offset) });
        case 'done':
          if (!this.#status.isReady(order.value.name)) return stream.abort(`${order.value.name} is not to be archived`);
          await this.#status.archived(order.value.name);
          this.#statistics.archived(order.value.name);
          return answer({ $case: 'kept', value: {} });
        case 'failed':
          return this.#statistics.failed(order.value.name);
        case undefined:
          return stream.abort('unknown order');
      }
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      // It comes again, and asks again.
      this.#log.write('WARNING', `could not serve the archiver: ${error.message}`);
      stream.abort(error.message);
    }
  }

  async #next(): Promise<NonNullable<ArchiveReport['report']>> {
    const name = this.#status.next();
    if (name === undefined) return { $case: 'nothing', value: {} };
    const found = await this.#disk.stat(name);
    return { $case: 'file', value: { name, size: found?.sizeBytes ?? 0 } };
  }

  async #read(name: string, offset: number): Promise<{ readonly data: Buffer }> {
    // Only what is to be archived is anybody's business.
    if (!this.#status.isReady(name)) return { data: NOTHING };
    const file = await this.#disk.open(name, 'read');
    try {
      const into = Buffer.allocUnsafe(READ_BYTES);
      return { data: into.subarray(0, await file.read(into, offset)) };
    } finally {
      await file.close();
    }
  }
}
