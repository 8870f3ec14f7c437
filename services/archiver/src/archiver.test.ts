/** Which command is run when, against a walwriter on paper. */
import type { CommandEnd } from '@pgtroupe/actor/env';
import { noFailpoint } from '@pgtroupe/actor/failpoint';
import { handle, type RpcStream } from '@pgtroupe/actor/rpc';
import { type ArchiveOrder, type ArchiveReport, WalWriterDefinition } from '@pgtroupe/rpc/generated/walwriter';
import { streamMethod } from '@pgtroupe/rpc/method';
import { MemoryDisk } from '@pgtroupe/testkit/sim/memory-disk';
import { Network } from '@pgtroupe/testkit/sim/network';
import { SimProcess } from '@pgtroupe/testkit/sim/process';
import { World } from '@pgtroupe/testkit/sim/world';
import { describe, expect, it } from 'vitest';
import { Archiver } from './archiver.ts';
import { archiveCommand, archiveFailure } from './shell-archive.ts';

const ARCHIVE = streamMethod(WalWriterDefinition, 'archive');

class Stage {
  readonly world = new World(7);
  readonly network = new Network(this.world, { minLatencyMs: 0.1, maxLatencyMs: 0.3, busLoss: 0 });
  readonly walwriter = new SimProcess(this.world, this.network, 'walwriter', new MemoryDisk());
  readonly scratch = new MemoryDisk();
  readonly process = new SimProcess(this.world, this.network, 'archiver', this.scratch);
  readonly ready = new Map<string, string>();
  readonly failed: string[] = [];
  /** What was run, when, and what it found at %p. */
  readonly runs: { readonly command: string; readonly ms: number; readonly content: string }[] = [];
  end: (command: string) => CommandEnd = () => ({ kind: 'exited', code: 0 });
  command = 'copy %p %f';
  stream: RpcStream<ArchiveReport, ArchiveOrder> | undefined;
  readonly archiver = new Archiver(
    this.process.env,
    {
      run: async command => {
        const [, path] = command.split(' ');
        const content = Buffer.from(await this.scratch.readFile(path!)).toString();
        this.runs.push({ command, ms: this.world.nowMs, content });
        return this.end(command);
      },
    },
    { walwriter: 'unix:/w', archiveCommand: () => this.command, failpoint: noFailpoint },
  );

  async start(...files: string[]): Promise<void> {
    for (const file of files) this.ready.set(file, `content of ${file}`);
    await this.walwriter.env.rpc.serve('unix:/w', [handle(ARCHIVE, stream => this.#accept(stream))]);
    void this.archiver.start();
    await this.world.pass(500);
  }

  #accept(stream: RpcStream<ArchiveReport, ArchiveOrder>): void {
    this.stream = stream;
    stream.onEnd = () => {};
    const report = (value: NonNullable<ArchiveReport['report']>): void => stream.send({ report: value });
    stream.onMessage = ({ order }) => {
      if (order?.$case === 'next') {
        const [file] = [...this.ready.keys()].sort();
        if (file === undefined) report({ $case: 'nothing', value: {} });
        else report({ $case: 'file', value: { name: file, size: this.ready.get(file)!.length } });
      } else if (order?.$case === 'read') {
        const text = this.ready.get(order.value.name)!.slice(order.value.offset, order.value.offset + 5);
        report({ $case: 'chunk', value: { data: Buffer.from(text) } });
      } else if (order?.$case === 'done') {
        this.ready.delete(order.value.name);
        report({ $case: 'kept', value: {} });
      } else if (order?.$case === 'failed') this.failed.push(order.value.name);
    };
  }
}

describe('the archiver', () => {
  it('archives what is ready in order, and what becomes so, and leaves no copy', async () => {
    const stage = await (async () => {
      const made = new Stage();
      await made.start('B', 'A');
      return made;
    })();
    expect(stage.runs.map(r => r.command)).toEqual(['copy pg_wal/A A', 'copy pg_wal/B B']);
    expect(stage.runs[0]!.content).toBe('content of A');
    stage.ready.set('C', 'content of C');
    stage.stream!.send({ report: { $case: 'ready', value: {} } });
    await stage.world.pass(100);
    expect(stage.runs).toHaveLength(3);
    expect(await stage.scratch.readdir('pg_wal')).toEqual([]);
  });

  it('tries three times, a second apart, and again after a minute', async () => {
    const stage = new Stage();
    stage.end = () => ({ kind: 'exited', code: stage.runs.length <= 4 ? 1 : 0 });
    await stage.start('A');
    await stage.world.pass(70_000);
    const times = stage.runs.map(r => r.ms - stage.runs[0]!.ms);
    expect(times.map(ms => Math.round(ms / 1000))).toEqual([0, 1, 2, 62, 63]);
    expect(stage.failed).toEqual(['A', 'A', 'A', 'A']);
    expect(stage.ready.size).toBe(0);
    const said = stage.world.trace.join('\n');
    expect(said).toContain('LOG archive command failed with exit code 1');
    expect(said).toContain('The failed archive command was: copy pg_wal/A A');
    expect(said).toContain('archiving write-ahead log file "A" failed too many times, will try again later');
  });

  it('a command that is set later is run at once', async () => {
    const stage = new Stage();
    stage.command = '';
    await stage.start('A');
    expect(stage.world.trace.join('\n')).toContain('archive_mode enabled, yet archiving is not configured');
    stage.command = 'copy %p %f';
    stage.archiver.wake();
    await stage.world.pass(100);
    expect(stage.runs).toHaveLength(1);
  });

  it('ends when the shell does not find the command, or a signal ended it', async () => {
    for (const end of [
      { kind: 'exited', code: 127 },
      { kind: 'signaled', signal: 9, text: 'Killed' },
    ] as const) {
      const stage = new Stage();
      stage.end = () => end;
      await stage.start('A');
      expect(stage.process.exitCode).toBe(1);
      expect(stage.failed).toEqual([]);
    }
  });

  it('asks again for what was archived when the walwriter could not note it', async () => {
    const stage = new Stage();
    stage.end = () => {
      if (stage.runs.length === 1) stage.stream!.abort('test');
      return { kind: 'exited', code: 0 };
    };
    await stage.start('A');
    expect(stage.runs.map(r => r.command)).toEqual(['copy pg_wal/A A', 'copy pg_wal/A A']);
    expect(stage.ready.size).toBe(0);
  });

  it('stops when all is archived; without a walwriter after a while', async () => {
    const stage = new Stage();
    await stage.start();
    stage.ready.set('A', 'content');
    let stopped = false;
    void stage.archiver.stop().then(() => (stopped = true));
    await stage.world.runUntil(() => stopped, { ms: 1000, what: 'the end' });
    expect(stage.ready.size).toBe(0);

    const alone = new Stage();
    await alone.start();
    alone.walwriter.kill('test');
    let ended = false;
    void alone.archiver.stop().then(() => (ended = true));
    await alone.world.runUntil(() => ended, { ms: 10_000, what: 'the end' });
  });
});

describe('archive_command', () => {
  it('%p, %f and %% stand for something, other percent signs for themselves', () => {
    expect(archiveCommand('cp %p "/a/%f" %% %x %', 'pg_wal/F', 'F')).toBe('cp pg_wal/F "/a/F" % %x %');
    expect(archiveCommand('%%p', 'pg_wal/F', 'F')).toBe('%p');
  });

  it('its end is told in PostgreSQL’s words', () => {
    expect(archiveFailure({ kind: 'exited', code: 0 })).toBeUndefined();
    expect(archiveFailure({ kind: 'exited', code: 125 })).toEqual({
      message: 'archive command failed with exit code 125',
      ends: false,
    });
    expect(archiveFailure({ kind: 'exited', code: 126 })!.ends).toBe(true);
    expect(archiveFailure({ kind: 'signaled', signal: 15, text: 'Terminated' })).toEqual({
      message: 'archive command was terminated by signal 15: Terminated',
      ends: true,
    });
  });
});
