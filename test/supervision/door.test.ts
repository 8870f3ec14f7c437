/** The postmaster's door, lent to an instance: nobody notices, whoever dies. */
import { existsSync } from 'node:fs';
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { isBuilt, sleep, TestCluster, until } from '@pgtroupe/testkit/test-cluster';
import { Session, startupPacket, words } from './session.ts';

const signals: [number, NodeJS.Signals][] = [];
const stopped = (pid: number): void => {
  process.kill(pid, 'SIGSTOP');
  signals.push([pid, 'SIGCONT']);
};

describe.skipIf(!isBuilt || process.platform === 'win32')('the door (skipped until `npm run build`)', () => {
  let cluster: TestCluster;
  const sessions: Session[] = [];
  afterEach(async () => {
    for (const [pid, signal] of signals.splice(0)) {
      try {
        process.kill(pid, signal);
      } catch {
        // Gone.
      }
    }
    for (const session of sessions.splice(0)) session.socket.destroy();
    await cluster.destroy();
  });

  async function start(...settings: string[]): Promise<void> {
    cluster = await new TestCluster({ stubs: true }).create();
    await cluster.start(...settings.flatMap(s => ['-c', s]));
    await until('all ready', async () => (await cluster.status()).roles.every(r => r.state === 'ready'));
  }
  const client = (where: number | string = cluster.port): Session => {
    const session = new Session(where);
    sessions.push(session);
    return session;
  };
  const postmasterPid = async (): Promise<number> => (await cluster.status()).postmasterPid;
  const instancePid = async (): Promise<number> => (await cluster.role('backend-1')).osPid;

  it('clients get in while the postmaster stands still', async () => {
    await start();
    await (await client().open()).query('the door has been lent by now');
    stopped(await postmasterPid());
    const session = await client().open();
    expect(await session.query('x')).toMatch(/ 127\.0\.0\.1 false$/);
    const local = await client(`${cluster.folder}/.s.PGSQL.${cluster.port}`).open();
    expect(await local.query('x')).toMatch(/ local false$/);
  });

  it('who waits at the door of an instance that dies gets in at its successor', async () => {
    await start();
    await client().open();
    const victim = await instancePid();
    stopped(victim);
    const waiting = client();
    await once(waiting.socket, 'connect');
    waiting.socket.write(startupPacket());
    await sleep(100);
    process.kill(victim, 'SIGKILL');
    await until('an answer', () => waiting.pid > 0 || waiting.closed);
    expect(Number((await waiting.query('who')).split(' ')[0])).toBe(await instancePid());
    expect(await instancePid()).not.toBe(victim);
    expect(existsSync(`${cluster.folder}/.s.PGSQL.${cluster.port}`)).toBe(true);
  });

  it('an instance that hangs with the door when the postmaster dies is replaced, and the port is served again', async () => {
    await start('role_timeout=1500');
    await client().open();
    const victim = await instancePid();
    const postmaster = await postmasterPid();
    stopped(victim);
    process.kill(postmaster, 'SIGKILL');
    const pid = await until(
      'service',
      async () => {
        const session = new Session(cluster.port);
        await Promise.race([session.open().catch(() => {}), sleep(500)]);
        const answered = session.pid > 0 && (await session.query('who'));
        session.socket.destroy();
        return answered && Number(answered.split(' ')[0]);
      },
      20_000,
    );
    expect(pid).not.toBe(victim);
    expect(await postmasterPid()).not.toBe(postmaster);
  }, 40_000);

  it('counts to the last slot when all come at once', async () => {
    await start('max_connections=24', 'superuser_reserved_connections=3');
    await client().open();
    for (let round = 0; round < 3; round++) {
      const crowd = await Promise.all(Array.from({ length: 40 }, () => client().open()));
      const inside = crowd.filter(s => s.pid > 0);
      const refused = crowd.filter(s => s.pid === 0);
      expect(new Set(refused.map(s => s.error))).toEqual(new Set(['C53300 Msorry, too many clients already']));
      const answers = await Promise.all(inside.map(s => s.query('x')));
      expect(answers.filter(a => a.endsWith(' false'))).toHaveLength(20);
      expect(answers.filter(a => a.endsWith(' true'))).toHaveLength(3);
      for (const session of crowd) session.socket.destroy();
      await until(
        'free slots',
        async () => (await cluster.status()).roles.reduce((sum, r) => sum + r.sessions, 0) === 1,
      );
    }
    const again = await client().open();
    expect(await again.query('x')).toMatch(/ false$/);
  });

  it('packs a crowd into instances, and routes a cancel request that comes to another one', async () => {
    await start('sessions_per_instance=10', 'max_connections=40');
    const crowd: Session[] = [];
    for (let i = 0; i < 25; i++) crowd.push(await client().open());
    const loads = await until('reports', async () => {
      const counts = (await cluster.status()).roles.filter(r => r.name.startsWith('backend')).map(r => r.sessions);
      return counts.reduce((a, b) => a + b, 0) === 25 && counts;
    });
    expect(Math.max(...loads)).toBe(10);
    expect(loads.filter(n => n > 0)).toHaveLength(3);
    for (const sleeper of [crowd[0]!, crowd[12]!, crowd[24]!]) {
      const answer = sleeper.query('sleep');
      await sleep(50);
      const canceller = connect(cluster.port, '127.0.0.1');
      canceller.write(words(16, 80877102, sleeper.pid, 4711));
      await once(canceller, 'close');
      expect(await answer).toBe('cancelled');
    }
  });

  it('a fast shutdown closes the door and leaves no socket file', async () => {
    await start();
    await client().open();
    const { code } = await cluster.run('stop', '-D', cluster.data);
    expect(code).toBe(0);
    expect((await client().open()).pid).toBe(0);
    expect(existsSync(`${cluster.folder}/.s.PGSQL.${cluster.port}`)).toBe(false);
  });
});
