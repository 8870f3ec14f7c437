import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Traffic } from '@pgtroupe/actor/traffic';
import { afterEach, describe, expect, it } from 'vitest';
import type { PulseReport } from '@pgtroupe/rpc/generated/pulse';
import { grpcRpc } from '@pgtroupe/rpc/grpc/index';
import { pulseHandler } from './pulse.ts';

const folder = mkdtempSync(join(tmpdir(), 'pulse-'));
const ended: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ended.splice(0)) await end();
  rmSync(folder, { recursive: true, force: true });
});

const sleep = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms));

describe('pulse', () => {
  it('speaks while the main loop is held up, not when it turns, not when the process is stopped', async () => {
    const endpoint = `unix:${folder}/s.sock`;
    const reports: PulseReport[] = [];
    const server = grpcRpc({ cluster: '1', name: 'server', epoch: 1 }, new Traffic());
    const listener = await server.serve(endpoint, [pulseHandler(report => reports.push(report))]);
    ended.push(() => listener.close());

    // Turns every 100 ms; on a line of input it computes for 4 s.
    const script = `
      const { startPulse } = await import(${JSON.stringify(new URL('../dist/pulse.js', import.meta.url).href)});
      const pulse = startPulse({ cluster: '1', name: 'backend-1', epoch: 7, endpoints: [${JSON.stringify(endpoint)}] });
      setInterval(() => pulse.turn(), 100);
      process.stdin.on('data', () => { for (const t = Date.now(); Date.now() - t < 4000; ); console.log('done'); });
      console.log('up');`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    ended.push(() => child.kill('SIGKILL'));
    await once(child.stdout, 'data');
    await sleep(1500);
    expect(reports).toEqual([]);

    child.stdin.write('compute\n');
    await once(child.stdout, 'data');
    expect(reports.length).toBeGreaterThan(1);
    expect(reports[0]).toMatchObject({ name: 'backend-1', epoch: 7 });
    expect(reports.at(-1)!.busyMs).toBeGreaterThan(reports[0]!.busyMs);

    await sleep(1000);
    reports.length = 0;
    child.stdin.write('compute\n');
    await sleep(2500);
    child.kill('SIGSTOP');
    await sleep(200);
    const sofar = reports.length;
    expect(sofar).toBeGreaterThan(0);
    await sleep(1500);
    expect(reports.length).toBe(sofar);
  }, 20_000);
});
