/** Reports and questions, over simulated links. */
import { handle, type RpcStream } from '@pgtroupe/actor/rpc';
import {
  BufferManagerDefinition,
  type StatsFileOrder,
  type StatsFileReport,
} from '@pgtroupe/rpc/generated/buffer-manager';
import {
  RelationReport,
  type StatsAnswer,
  StatsCollectorDefinition,
  type StatsQuestion,
  StatsReport,
} from '@pgtroupe/rpc/generated/stats-collector';
import { streamMethod } from '@pgtroupe/rpc/method';
import { MemoryDisk } from '@pgtroupe/testkit/sim/memory-disk';
import { Network } from '@pgtroupe/testkit/sim/network';
import { SimProcess } from '@pgtroupe/testkit/sim/process';
import { World } from '@pgtroupe/testkit/sim/world';
import { describe, expect, it } from 'vitest';
import { StatsCollector } from './stats-collector.ts';

const ASK = streamMethod(StatsCollectorDefinition, 'ask');
const KEEP_STATISTICS = streamMethod(BufferManagerDefinition, 'keepStatistics');
const ENDPOINT = 'unix:/stats';
const KEEPER = 'unix:/keeper';
const EMPTY = new Uint8Array(0);
const TABLE = { database: 5, relation: 16384 };

class Stage {
  readonly world = new World(7);
  readonly network = new Network(this.world, { minLatencyMs: 0.1, maxLatencyMs: 0.3, busLoss: 0 });
  readonly process = new SimProcess(this.world, this.network, 'stats-collector', new MemoryDisk());
  readonly backend = new SimProcess(this.world, this.network, 'backend-1', new MemoryDisk());
  readonly answers: { readonly ms: number; readonly answer: StatsAnswer }[] = [];
  stream!: RpcStream<StatsQuestion, StatsAnswer>;

  readonly bufferManager = new SimProcess(this.world, this.network, 'buffer-manager', new MemoryDisk());
  collector!: StatsCollector;
  kept: Buffer = Buffer.alloc(0);

  /** `kept`: the file of an earlier collector. */
  async start(kept: Buffer = Buffer.alloc(0)): Promise<this> {
    this.kept = kept;
    await this.bufferManager.env.rpc.serve(KEEPER, [handle(KEEP_STATISTICS, stream => this.#keep(stream))]);
    this.collector = new StatsCollector(this.process.env, KEEPER);
    this.collector.start();
    await this.process.env.rpc.serve(ENDPOINT, this.collector.handlers());
    this.stream = this.backend.env.rpc.open(ENDPOINT, ASK);
    this.stream.onMessage = answer => this.answers.push({ ms: this.world.nowMs, answer });
    this.stream.onEnd = () => {};
    await this.world.pass(10);
    return this;
  }

  #keep(stream: RpcStream<StatsFileReport, StatsFileOrder>): void {
    stream.onEnd = () => {};
    stream.onMessage = ({ order }) => {
      if (order?.$case === 'read') stream.send({ report: { $case: 'piece', value: { data: this.kept, last: true } } });
      if (order?.$case !== 'write') return;
      this.kept = order.value.data;
      stream.send({ report: { $case: 'kept', value: { done: true } } });
    };
  }

  report(number: number, inserted: number, epoch = 1): void {
    const relation = { ...RelationReport.decode(EMPTY), ...TABLE, tuplesInserted: inserted, deltaLiveTuples: inserted };
    const report = { ...StatsReport.decode(EMPTY), from: 'backend-1', epoch, number, relations: [relation] };
    this.backend.env.bus.publish('stats-collector.report', StatsReport.encode(report).finish());
  }

  async ask(reported: number, passMs = 10, epoch = 1): Promise<number | undefined> {
    const before = this.answers.length;
    const question = { $case: 'relations', value: { database: TABLE.database } } as const;
    this.stream.send({ id: before, from: 'backend-1', epoch, reported, question });
    await this.world.pass(passMs);
    const answer = this.answers[before]?.answer.answer;
    return answer?.$case === 'relations' ? answer.value.relations[0]?.tuplesInserted : undefined;
  }
}

describe('the stats-collector', () => {
  it('adds up what is reported', async () => {
    const stage = await new Stage().start();
    stage.report(1, 10);
    stage.report(2, 5);
    await stage.world.pass(10);
    expect(await stage.ask(2)).toBe(15);
  });

  it('answers when the report has come that its sender has sent, or is lost', async () => {
    const stage = await new Stage().start();
    stage.report(1, 10);
    await stage.world.pass(10);
    expect(await stage.ask(2)).toBeUndefined();
    stage.report(2, 5);
    await stage.world.pass(10);
    expect(stage.answers).toHaveLength(1);
    // Number 3 was lost: it is waited for once.
    const asked = stage.world.nowMs;
    expect(await stage.ask(3, 300)).toBe(15);
    expect(stage.answers[1]!.ms - asked).toBeGreaterThan(150);
    expect(await stage.ask(3)).toBe(15);
  });

  it('what was counted is kept after five seconds, and at the end', async () => {
    const stage = await new Stage().start();
    stage.report(1, 10);
    await stage.world.pass(6000);
    expect(await (await new Stage().start(stage.kept)).ask(0)).toBe(10);
    stage.report(2, 5);
    await stage.world.pass(10);
    void stage.collector.stop();
    await stage.world.pass(100);
    expect(await (await new Stage().start(stage.kept)).ask(0)).toBe(15);
  });

  it('begins anew with a file that makes no sense', async () => {
    const stage = await new Stage().start(Buffer.from('nonsense'));
    stage.report(1, 10);
    await stage.world.pass(10);
    expect(await stage.ask(1)).toBe(10);
    expect(stage.world.trace.join('\n')).toContain('corrupted statistics file');
  });

  it('a later launch of the sender counts anew', async () => {
    const stage = await new Stage().start();
    stage.report(9, 10, 1);
    await stage.world.pass(10);
    expect(await stage.ask(1, 10, 2)).toBeUndefined();
    stage.report(1, 1, 2);
    await stage.world.pass(10);
    expect(stage.answers).toHaveLength(1);
  });
});
