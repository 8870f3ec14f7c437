/** What the walwriter owes the archiver: every segment that ended is announced, and none goes before it is archived. */
import { FaultDisk } from '@pgtroupe/actor/fault-disk';
import type { RpcStream } from '@pgtroupe/actor/rpc';
import type { ArchiveOrder, ArchiveReport, WalOrder, WalReport } from '@pgtroupe/rpc/generated/walwriter';
import { WAL_WRITE } from '@pgtroupe/rpc/wal-write';
import { MemoryDisk } from '@pgtroupe/testkit/sim/memory-disk';
import { Network } from '@pgtroupe/testkit/sim/network';
import { SimProcess } from '@pgtroupe/testkit/sim/process';
import { World } from '@pgtroupe/testkit/sim/world';
import { XLOG_SEG_SIZE, xlogFileName } from '@pgtroupe/transam/xlogpage';
import { describe, expect, it } from 'vitest';
import { ARCHIVE } from './archive-server.ts';
import { WalWriter, type WalWriterOptions } from './walwriter.ts';

const name = (segno: number): string => xlogFileName(1, segno);

class Stage {
  readonly world = new World(5);
  readonly network = new Network(this.world, { minLatencyMs: 0.1, maxLatencyMs: 0.3, busLoss: 0 });
  readonly platter = new MemoryDisk();
  readonly disk = new FaultDisk(this.platter);
  readonly client = new SimProcess(this.world, this.network, 'buffer-manager', new MemoryDisk());
  process!: SimProcess;
  readonly reports: NonNullable<WalReport['report']>[] = [];
  readonly answers: NonNullable<ArchiveReport['report']>[] = [];
  #owner!: RpcStream<WalOrder, WalReport>;
  #archiver!: RpcStream<ArchiveOrder, ArchiveReport>;
  #epoch = 0;

  async start(options: Partial<WalWriterOptions> = {}): Promise<void> {
    this.process = new SimProcess(this.world, this.network, 'walwriter', this.disk);
    const walwriter = new WalWriter(this.process.env, {
      flushDelayMs: () => 200,
      flushAfterBytes: () => 2 ** 20,
      archiving: true,
      ...options,
    });
    void walwriter.open().then(() => this.process.env.rpc.serve('unix:/w', walwriter.handlers()));
    await this.world.pass(50);
    this.#archiver = this.client.env.rpc.open('unix:/w', ARCHIVE);
    this.#archiver.onMessage = ({ report }) => this.answers.push(report!);
    this.#archiver.onEnd = () => {};
  }

  async begin(complete: number, endOfLog?: number): Promise<void> {
    this.reports.length = 0;
    this.#owner = this.client.env.rpc.open('unix:/w', WAL_WRITE);
    this.#owner.onMessage = ({ report }) => this.reports.push(report!);
    this.#owner.onEnd = () => {};
    const value = { epoch: ++this.#epoch, timeline: 1, systemIdentifier: '7', complete };
    this.order({ $case: 'hello', value });
    if (endOfLog !== undefined) this.order({ $case: 'endOfLog', value: { pos: endOfLog } });
    else this.order({ $case: 'room', value: { pos: complete } });
    await this.world.pass(400);
  }

  order(order: NonNullable<WalOrder['order']>): void {
    this.#owner.send({ order });
  }

  /** WAL is durable up to the end of this segment; `complete`: a record ends there. */
  async fill(segno: number, complete = true): Promise<void> {
    const pos = (segno + 1) * XLOG_SEG_SIZE - 8;
    this.order({ $case: 'append', value: { pos, data: Buffer.from(`end of ${segno}`.slice(0, 8)), sync: true } });
    await this.world.pass(200);
    if (complete) this.order({ $case: 'complete', value: { pos: pos + 8 } });
    await this.world.pass(200);
  }

  async recycle(keepFrom: number): Promise<void> {
    this.order({ $case: 'recycle', value: { keepFrom: keepFrom * XLOG_SEG_SIZE, keepBytes: 0 } });
    await this.world.pass(400);
  }

  async archiver(order: NonNullable<ArchiveOrder['order']>): Promise<NonNullable<ArchiveReport['report']>> {
    this.answers.length = 0;
    this.#archiver.send({ order });
    await this.world.runUntil(() => this.answers.some(a => a.$case !== 'ready'), { ms: 1000, what: 'an answer' });
    return this.answers.find(a => a.$case !== 'ready')!;
  }

  async next(): Promise<string | undefined> {
    const answer = await this.archiver({ $case: 'next', value: {} });
    return answer.$case === 'file' ? answer.value.name : undefined;
  }

  async done(file: string): Promise<void> {
    expect((await this.archiver({ $case: 'done', value: { name: file } })).$case).toBe('kept');
  }

  async status(): Promise<string[]> {
    return (await this.disk.readdir('archive_status')).filter(each => !each.includes('.stat'));
  }
}

async function filled(): Promise<Stage> {
  const stage = new Stage();
  await stage.start();
  await stage.begin(0, XLOG_SEG_SIZE + 64);
  for (const segno of [1, 2, 3]) await stage.fill(segno);
  return stage;
}

describe('archive status', () => {
  it('a segment that ended is announced durably, and the archiver woken; the oldest is first', async () => {
    const stage = await filled();
    expect(stage.answers.map(a => a.$case)).toContain('ready');
    expect(await stage.status()).toEqual([1, 2, 3].map(n => `${name(n)}.ready`));
    // What the platter has survives the machine.
    stage.process.kill('power failure');
    stage.disk.loseAll();
    expect(await stage.status()).toEqual([1, 2, 3].map(n => `${name(n)}.ready`));
    await stage.start();
    for (const n of [1, 2, 3]) {
      expect(await stage.next()).toBe(name(n));
      const chunk = await stage.archiver({ $case: 'read', value: { name: name(n), offset: XLOG_SEG_SIZE - 8 } });
      expect(chunk.$case === 'chunk' && Buffer.from(chunk.value.data).toString()).toBe(`end of ${n}`);
      await stage.done(name(n));
    }
    expect(await stage.next()).toBeUndefined();
    expect(await stage.status()).toEqual([1, 2, 3].map(n => `${name(n)}.done`));
  });

  it('nothing is recycled or removed before it is archived', async () => {
    const stage = await filled();
    await stage.recycle(4);
    const segments = async (): Promise<number[]> => {
      const files = await stage.platter.readdir('');
      return [1, 2, 3].filter(n => files.includes(name(n)));
    };
    expect(await segments()).toEqual([1, 2, 3]);
    await stage.done(name(1));
    await stage.recycle(4);
    expect(await segments()).toEqual([2, 3]);
    expect(await stage.status()).toEqual([2, 3].map(n => `${name(n)}.ready`));
  });

  it('who dies before he announces leaves it to his successor', async () => {
    const stage = new Stage();
    let armed = false;
    await stage.start({
      failpoint: async at => {
        if (!armed || at !== 'walwriter-before-ready') return;
        stage.process.kill('test');
        await new Promise(() => {});
      },
    });
    await stage.begin(0, XLOG_SEG_SIZE + 64);
    armed = true;
    await stage.fill(1);
    expect(await stage.status()).toEqual([]);
    expect(stage.reports.some(r => r.$case === 'flushed' && r.value.lsn === 2 * XLOG_SEG_SIZE)).toBe(true);
    armed = false;
    await stage.start();
    await stage.begin(2 * XLOG_SEG_SIZE);
    expect(await stage.next()).toBe(name(1));
  });

  it('a segment whose last record goes on in the next is not announced before that record is whole', async () => {
    const stage = new Stage();
    await stage.start();
    await stage.begin(0, XLOG_SEG_SIZE + 64);
    await stage.fill(1, false);
    expect(await stage.status()).toEqual([]);
    // It never was: recovery goes on in the middle of the segment, and then ends it otherwise.
    await stage.begin(0, 2 * XLOG_SEG_SIZE - 64);
    expect(await stage.status()).toEqual([]);
    await stage.fill(1);
    expect(await stage.status()).toEqual([`${name(1)}.ready`]);
  });

  it('history files go first; a status without its file is removed', async () => {
    const stage = await filled();
    stage.process.kill('test');
    await stage.platter.writeFile('00000001.history', Buffer.from('1\t0/0\tno reason\n'));
    for (const file of ['00000001.history', '0000000100000000000000AA', 'not a name'])
      await stage.platter.writeFile(`archive_status/${file}.ready`, new Uint8Array(0));
    await stage.start();
    expect(await stage.next()).toBe('00000001.history');
    await stage.done('00000001.history');
    expect(await stage.next()).toBe(name(1));
    expect(await stage.status()).not.toContain('0000000100000000000000AA.ready');
    expect(await stage.status()).toContain('not a name.ready');
  });

  it('without archive_mode nothing is announced, and segments go as they please', async () => {
    const stage = new Stage();
    await stage.start({ archiving: false });
    await stage.begin(0, XLOG_SEG_SIZE + 64);
    for (const segno of [1, 2]) await stage.fill(segno);
    await stage.recycle(3);
    expect(await stage.status()).toEqual([]);
    expect(await stage.platter.readdir('')).not.toContain(name(1));
  });
});
