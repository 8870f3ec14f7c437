/** The real cast: it stands, it is stopped cleanly, and whoever is killed with -9 comes back. */
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PG_BIN } from '@pgtroupe/testkit/oracle-address';
import { hasPostgres } from '@pgtroupe/testkit/postgres-judge';
import { isBuilt, isProcessAlive, type Tally, TestCluster, type Traffic, until } from '@pgtroupe/testkit/test-cluster';

const SINGLE = ['walwriter', 'buffer-manager', 'checkpointer', 'bgwriter', 'stats-collector', 'logger', 'broker'];

describe.skipIf(!isBuilt)('the cast (skipped until `npm run build`)', () => {
  const cluster = new TestCluster();
  const open: pg.Client[] = [];
  const connect = async (): Promise<pg.Client> => {
    const client = new pg.Client({ host: '127.0.0.1', port: cluster.port, user: 'postgres', database: 'postgres' });
    client.on('error', () => {});
    await client.connect();
    open.push(client);
    return client;
  };
  /** A connection as soon as there can be one. */
  const connectSoon = (): Promise<pg.Client> => until('a connection', () => connect().catch(() => undefined));
  const one = async (client: pg.Client): Promise<unknown> => (await client.query('SELECT 1 AS x')).rows;
  const allReady = (): Promise<boolean> =>
    until('everybody ready', async () => (await cluster.status()).roles.every(role => role.state === 'ready'));

  beforeAll(async () => {
    await cluster.create();
    await cluster.start();
    await allReady();
  }, 60_000);
  afterAll(async () => {
    for (const client of open) await client.end().catch(() => {});
    await cluster.destroy();
  });

  it('answers SELECT 1 to node-postgres and to the command line', async () => {
    expect(await one(await connect())).toEqual([{ x: 1 }]);
    expect((await cluster.run('sql', '-D', cluster.data, 'SELECT 1 AS x')).out).toBe(' x \n---\n 1\n(1 row)\n\n');
  });

  it('status --json counts the messages of each role: they grow with the work', async () => {
    const client = await connect();
    await client.query('CREATE TABLE counted (a int); INSERT INTO counted SELECT generate_series(1, 2000)');
    const traffic = async (name: string): Promise<Traffic> => (await cluster.role(name)).traffic!;
    const method = ({ rpc }: Traffic, path: string): Tally => rpc.find(m => m.method === path)!;
    const attach = '/pgtroupe.BufferManager/Attach';
    await until('the first heartbeats', async () =>
      (await cluster.status()).roles.every(role => role.traffic !== undefined),
    );
    const before = {
      instance: await traffic('backend-1'),
      bufferManager: await traffic('buffer-manager'),
      logger: await traffic('logger'),
    };
    const TRANSACTIONS = 50;
    for (let i = 0; i < TRANSACTIONS; i++) await client.query('INSERT INTO counted VALUES ($1)', [i]);
    const after = await until('a heartbeat that tells', async () => {
      const instance = await traffic('backend-1');
      const bufferManager = await traffic('buffer-manager');
      const told = (path: string, now: Traffic, then: Traffic, how: 'sent' | 'received'): boolean =>
        method(now, path)[how] - method(then, path)[how] >= TRANSACTIONS;
      return (
        told(attach, instance, before.instance, 'sent') &&
        told(attach, instance, before.instance, 'received') &&
        told(attach, bufferManager, before.bufferManager, 'received') &&
        told(attach, bufferManager, before.bufferManager, 'sent') &&
        told('/pgtroupe.WalWriter/Write', bufferManager, before.bufferManager, 'sent') && { instance, bufferManager }
      );
    });
    // A record and its commit at least.
    expect(after.instance.operations.sent - before.instance.operations.sent).toBeGreaterThanOrEqual(2 * TRANSACTIONS);
    expect(after.bufferManager.operations.received - before.bufferManager.operations.received).toBeGreaterThanOrEqual(
      2 * TRANSACTIONS,
    );
    // A checkpoint takes the pages that were changed, and says so in the log.
    await client.query('CHECKPOINT');
    await until('the pages', async () => {
      const [instance, bufferManager] = [await traffic('backend-1'), await traffic('buffer-manager')];
      return (
        instance.pageImages.sent > before.instance.pageImages.sent &&
        bufferManager.pageImages.received > before.bufferManager.pageImages.received
      );
    });
    await until('its lines', async () => (await traffic('logger')).bus.received > before.logger.bus.received);
    expect((await traffic('checkpointer')).bus.sent).toBeGreaterThan(0);
    await client.end();
  }, 30_000);

  it.each(SINGLE)(
    '%s killed with -9 comes back; an idle session lives on',
    async name => {
      await allReady();
      const session = await connectSoon();
      expect(await one(session)).toEqual([{ x: 1 }]);
      const victim = await cluster.role(name);
      process.kill(victim.osPid, 'SIGKILL');
      await until(`another ${name}`, async () => {
        const role = await cluster.role(name);
        return role.osPid !== victim.osPid && role.state === 'ready';
      });
      await until(
        'an answer on the old session',
        () =>
          one(session).then(
            () => true,
            () => undefined,
          ),
        5_000,
      );
      await session.end();
      const next = await connectSoon();
      expect(await one(next)).toEqual([{ x: 1 }]);
      await next.end();
    },
    30_000,
  );

  it('an instance killed with -9 costs its sessions, and is replaced', async () => {
    await allReady();
    const session = await connectSoon();
    const ended = new Promise<void>(resolve => session.on('end', resolve));
    process.kill((await cluster.role('backend-1')).osPid, 'SIGKILL');
    await ended;
    expect(await one(await connectSoon())).toEqual([{ x: 1 }]);
  }, 30_000);

  it('the postmaster killed with -9 costs no session', async () => {
    await allReady();
    const session = await connectSoon();
    const { postmasterPid } = await cluster.status();
    process.kill(postmasterPid, 'SIGKILL');
    expect(await one(session)).toEqual([{ x: 1 }]);
    // At once the instance may still have the door.
    expect(await one(await connectSoon())).toEqual([{ x: 1 }]);
    await until('the next postmaster', async () => {
      // One that is not up yet does not answer.
      const status = await cluster.status().catch(() => undefined);
      return status?.roles !== undefined && status.postmasterPid !== postmasterPid;
    });
    expect(await one(await connectSoon())).toEqual([{ x: 1 }]);
    expect(await one(session)).toEqual([{ x: 1 }]);
  }, 30_000);

  it('stops cleanly, with nothing left running, and starts again', async () => {
    const status = await cluster.status();
    expect(await cluster.run('stop', '-D', cluster.data)).toMatchObject({ code: 0 });
    expect(await cluster.ended()).toBe(0);
    for (const { osPid } of status.roles) await until('its end', () => !isProcessAlive(osPid), 3_000);
    expect(readdirSync(cluster.data).filter(f => f.startsWith('postmaster'))).toEqual([]);
    if (hasPostgres) {
      const control = execFileSync(join(PG_BIN, 'pg_controldata'), [cluster.data], { encoding: 'utf8' });
      expect(control).toMatch(/Database cluster state: +shut down\n/);
      execFileSync(join(PG_BIN, 'pg_checksums'), ['--check', cluster.data], { stdio: 'ignore' });
    }
    await until('its last word', () => cluster.log.includes('database system is shut down'));
    expect(cluster.log.match(/database system is shut down/g)).toHaveLength(1);
    await cluster.start();
    expect(cluster.log).not.toContain('automatic recovery in progress');
  }, 30_000);
});
