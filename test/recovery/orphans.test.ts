/**
 * A cast whose keeper and postmaster were killed: it goes on for half a minute, keeps others out of its directory, and
 * ends by itself, those who write last.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { PG_BIN } from '@pgtroupe/testkit/oracle-address';
import { hasPostgres } from '@pgtroupe/testkit/postgres-judge';
import { freePort, isBuilt, isProcessAlive, sleep, TestCluster, until } from '@pgtroupe/testkit/test-cluster';

/** PostgreSQL does not run as root, and only sees processes of its own user. */
const uid = process.getuid?.() === 0 ? Number(execFileSync('id', ['-u', 'postgres'], { encoding: 'utf8' })) : undefined;
const GONE_MS = 30_000;

let cluster: TestCluster | undefined;
const folders: string[] = [];
afterEach(async () => {
  await cluster?.destroy();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function postgresSays(data: string): string {
  const { stdout, stderr } = spawnSync(`${PG_BIN}/postgres`, ['--single', '-D', data, 'postgres'], {
    input: 'SELECT count(*) AS rows FROM kept\n',
    encoding: 'utf8',
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  return stdout + stderr;
}

describe.runIf(isBuilt && hasPostgres)('a cast without keeper and postmaster', () => {
  it('lets nobody into its directory, and ends within half a minute', { timeout: 120_000 }, async () => {
    cluster = await new TestCluster(uid === undefined ? {} : { uid }).create();
    const { data, environment } = cluster;
    await cluster.start();
    const insert = ['sql', '-D', data, 'CREATE TABLE kept (id int); INSERT INTO kept VALUES (1), (2)'];
    expect(await cluster.run(...insert)).toMatchObject({ code: 0 });
    const { roles, postmasterPid } = await cluster.status();
    const pidOf = (name: string): number => roles.find(role => role.name === name)!.osPid;
    const orphanedMs = performance.now();
    process.kill(cluster.keeper!.pid!, 'SIGKILL');
    process.kill(postmasterPid, 'SIGKILL');
    await until('the postmaster to be gone', () => !isProcessAlive(postmasterPid));
    await sleep(300);
    expect(isProcessAlive(pidOf('buffer-manager'))).toBe(true);

    expect(postgresSays(data)).toMatch(/FATAL: +lock file "postmaster.pid" already exists/);
    const elsewhere = mkdtempSync(join(tmpdir(), 'pgt-elsewhere-'));
    folders.push(elsewhere);
    const second = spawnSync(
      process.execPath,
      [cluster.bin, 'start', '-D', data, '-p', String(await freePort()), '-h', '127.0.0.1'],
      { env: { ...environment, TMPDIR: elsewhere }, encoding: 'utf8', timeout: 20_000 },
    );
    expect(second.status).not.toBe(0);
    expect(second.stdout + second.stderr).toContain('lock file "postmaster.pid" already exists');
    expect(readdirSync(elsewhere).filter(name => name.startsWith('pgtroupe'))).toEqual([]);
    expect(isProcessAlive(pidOf('buffer-manager'))).toBe(true);

    const order: string[] = [];
    const pids = new Map(roles.map(role => [role.name, role.osPid]));
    while (pids.size > 0 && performance.now() - orphanedMs < GONE_MS + 5_000) {
      for (const [name, pid] of pids) {
        if (isProcessAlive(pid)) continue;
        pids.delete(name);
        order.push(name);
      }
      await sleep(20);
    }
    expect([...pids.keys()]).toEqual([]);
    expect(performance.now() - orphanedMs).toBeLessThan(GONE_MS);
    expect(order.indexOf('buffer-manager')).toBeLessThan(order.indexOf('walwriter'));
    expect(order.indexOf('backend-1')).toBeLessThan(order.indexOf('buffer-manager'));
    // Nothing floods the log.
    expect(cluster.log.split('\n').length).toBeLessThan(60);
    const answer = postgresSays(data);
    expect(answer).toMatch(/rows = "2"/);
    expect(answer).not.toMatch(/recover/);
  });
});
