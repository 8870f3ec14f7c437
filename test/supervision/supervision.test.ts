import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { userInfo } from 'node:os';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Session, startupPacket, words } from './session.ts';
import { freePort, isBuilt, isProcessAlive, sleep, TestCluster, until } from '@pgtroupe/testkit/test-cluster';

const ROLES = [
  'walwriter',
  'buffer-manager',
  'checkpointer',
  'bgwriter',
  'stats-collector',
  'logger',
  'broker',
  'backend-1',
];

describe.skipIf(!isBuilt)('a cluster of stand-ins (skipped until `npm run build`)', () => {
  describe('running', () => {
    const cluster = new TestCluster({ stubs: true });
    beforeAll(async () => {
      await cluster.create();
      await cluster.start();
    }, 60_000);
    afterAll(() => cluster.destroy());

    it('prints where it listens, the cast with pids, how to connect', async () => {
      expect(cluster.console).toContain(
        `listening on 127.0.0.1:${cluster.port}, ${cluster.folder}/.s.PGSQL.${cluster.port}`,
      );
      expect(cluster.console).toContain(`psql -h 127.0.0.1 -p ${cluster.port} -U postgres postgres`);
      for (const name of ROLES) expect(cluster.console).toMatch(new RegExp(`  ${name} +\\d+  `));
    });

    it('every role is a process of its own with its name for a title', async () => {
      const status = await cluster.status();
      expect(new Set(status.roles.map(r => r.osPid)).size).toBe(ROLES.length);
      await until('all ready', async () => (await cluster.status()).roles.every(r => r.state === 'ready'));
      if (process.platform !== 'linux') return;
      for (const role of status.roles) {
        const title = readFileSync(`/proc/${role.osPid}/cmdline`, 'utf8').replaceAll('\0', '').trim();
        expect(title).toBe(`pgtroupe: ${role.name.replace('backend-', 'backend ')}`);
      }
    });

    it('gives the socket itself to the instance', async () => {
      const session = await new Session(cluster.port).open();
      const [instancePid, sessionPid, address] = (await session.query('who')).split(' ');
      expect(Number(instancePid)).toBe((await cluster.role('backend-1')).osPid);
      expect(Number(sessionPid)).toBe(session.pid);
      expect(address).toBe('127.0.0.1');
      session.socket.destroy();
      expect((await cluster.run('sql', '-D', cluster.data, '-t', 'SELECT 1')).out).toMatch(/^\d+ \d+ local false\n$/);
    });

    it.each(ROLES)('%s killed with -9 comes back, and nobody else dies', async name => {
      await until('all ready', async () => (await cluster.status()).roles.every(r => r.state === 'ready'));
      const session = await new Session(cluster.port).open();
      const before = await cluster.status();
      const victim = before.roles.find(r => r.name === name)!;
      process.kill(victim.osPid, 'SIGKILL');
      await until(`${name} again`, async () => {
        const role = await cluster.role(name);
        return role.state === 'ready' && role.osPid !== victim.osPid;
      });
      const after = await cluster.status();
      for (const role of after.roles) {
        if (role.name !== name) expect(role.osPid, role.name).toBe(before.roles.find(r => r.name === role.name)!.osPid);
      }
      if (name === 'backend-1') await until('the session to end', () => session.closed);
      else
        expect(await session.query('still there')).toContain(
          String(before.roles.find(r => r.name === 'backend-1')!.osPid),
        );
      session.socket.destroy();
      const next = await new Session(cluster.port).open();
      expect(await next.query('hello')).toMatch(/^\d+ /);
      next.socket.destroy();
    });

    it('the postmaster killed with -9 comes back within 2 s, adopts its cast, and costs no session', async () => {
      const session = await new Session(cluster.port).open();
      const before = await cluster.status();
      process.kill(before.postmasterPid, 'SIGKILL');
      const killedMs = performance.now();
      const fresh = await until('a new connection', async () => {
        const s = new Session(cluster.port);
        await once(s.socket, 'connect').catch(() => {});
        if (s.closed || s.socket.destroyed) return false;
        await s.open().catch(() => {});
        return s.pid > 0 && s;
      });
      expect(performance.now() - killedMs).toBeLessThan(2_000);
      expect(await fresh.query('spliced')).toMatch(/ 127\.0\.0\.1 /);
      expect(await session.query('still there')).toMatch(/^\d+ /);
      // That client may have got in at the instance, which still had the door.
      const after = await until('the next postmaster', async () => {
        // A postmaster that is not up yet does not answer.
        const status = await cluster.status().catch(() => undefined);
        return status?.roles !== undefined && status.postmasterPid !== before.postmasterPid && status;
      });
      for (const role of after.roles) {
        expect(role.adopted).toBe(true);
        expect(role.osPid).toBe(before.roles.find(r => r.name === role.name)!.osPid);
      }
      // An adopted role is supervised like any other.
      process.kill(after.roles.find(r => r.name === 'bgwriter')!.osPid, 'SIGKILL');
      await until('bgwriter again', async () => {
        const role = await cluster.role('bgwriter');
        return role.state === 'ready' && !role.adopted;
      });
      session.socket.destroy();
      fresh.socket.destroy();
    });

    it('nobody who connects while the instance dies is left waiting', async () => {
      let done = false;
      const fates: string[] = [];
      const visitor = async (): Promise<void> => {
        while (!done) {
          const session = await new Session(cluster.port).open();
          let answered = false;
          if (session.pid > 0) void session.query('x').then(() => (answered = true));
          await until('an answer or an end', () => session.closed || session.error !== '' || answered, 5_000);
          fates.push(session.closed ? 'closed' : session.error === '' ? 'served' : 'refused');
          session.socket.destroy();
        }
      };
      const visitors = Promise.all(Array.from({ length: 16 }, visitor));
      for (let i = 0; i < 2; i++) {
        await sleep(200);
        const { osPid } = await until('an instance', async () => {
          const role = await cluster.role('backend-1');
          return role?.state === 'ready' && role;
        });
        process.kill(osPid, 'SIGKILL');
      }
      await until('service', async () => (await cluster.role('backend-1')).state === 'ready');
      await sleep(300);
      done = true;
      await visitors;
      expect(fates.filter(f => f === 'served').length).toBeGreaterThan(50);
    });

    it('routes a cancel request to the session it names', async () => {
      const session = await new Session(cluster.port).open();
      const answer = session.query('sleep');
      await sleep(100);
      for (const [pid, secret] of [
        [session.pid + 1, 4711],
        [session.pid, 1],
        [session.pid, 4711],
      ]) {
        const canceller = connect(cluster.port, '127.0.0.1');
        canceller.write(words(16, 80877102, pid!, secret!));
        await once(canceller, 'close');
      }
      expect(await answer).toBe('cancelled');
      session.socket.destroy();
    });

    it('answers N to SSL and GSS requests, then goes on', async () => {
      const session = new Session(cluster.port);
      session.socket.removeAllListeners('data');
      session.socket.write(words(8, 80877103));
      expect(String((await once(session.socket, 'data'))[0])).toBe('N');
      session.socket.write(words(8, 80877104));
      expect(String((await once(session.socket, 'data'))[0])).toBe('N');
      session.socket.write(startupPacket());
      expect(String((await once(session.socket, 'data'))[0])[0]).toBe('R');
      session.socket.destroy();
    });

    it('bears garbage, oversize and unfinished packets', async () => {
      const lost: Socket[] = [];
      for (const bytes of [
        words(0xffffffff, 196608),
        words(3),
        Buffer.from('GET / HTTP/1.1\r\n\r\n'),
        words(10_001, 196608),
      ]) {
        const socket = connect(cluster.port, '127.0.0.1').on('error', () => {});
        socket.write(bytes);
        lost.push(socket);
      }
      await Promise.all(lost.map(socket => once(socket, 'close')));
      const slow = connect(cluster.port, '127.0.0.1');
      slow.write(startupPacket().subarray(0, 9));
      const session = await new Session(cluster.port).open();
      expect(await session.query('x')).toMatch(/^\d+ /);
      session.socket.destroy();
      slow.destroy();
      const old = new Session(cluster.port);
      await old.open(words(8, 2 << 16));
      expect(old.error).toBe('C0A000 Munsupported frontend protocol 2.0: server supports 3.0 to 3.0');
    });

    it('reload reaches every role, and a file that makes no sense changes nothing', async () => {
      const before = await cluster.status();
      writeFileSync(join(cluster.data, 'postgresql.auto.conf'), "work_mem = '8MB'\nshared_buffers = '1GB'\n");
      expect(await cluster.run('reload', '-D', cluster.data)).toMatchObject({ code: 0, out: 'server signaled\n' });
      const version = await until('acknowledgements', async () => {
        const { configVersion, roles } = await cluster.status();
        const attending = roles.filter(r => r.name !== 'broker' || r.configVersion > 0);
        return (
          configVersion > before.configVersion &&
          attending.every(r => r.configVersion === configVersion) &&
          configVersion
        );
      });
      writeFileSync(join(cluster.data, 'postgresql.auto.conf'), 'work_mem = = 1\n');
      await cluster.run('reload', '-D', cluster.data);
      await sleep(300);
      expect((await cluster.status()).configVersion).toBe(version);
      writeFileSync(join(cluster.data, 'postgresql.auto.conf'), '');
    });

    it('a role that stands still is killed and replaced', async () => {
      writeFileSync(join(cluster.data, 'postgresql.auto.conf'), 'role_timeout = 1500\n');
      await cluster.run('reload', '-D', cluster.data);
      const victim = await cluster.role('checkpointer');
      process.kill(victim.osPid, 'SIGSTOP');
      await until('another checkpointer', async () => {
        const role = await cluster.role('checkpointer');
        return role.state === 'ready' && role.osPid !== victim.osPid;
      });
      expect(isProcessAlive(victim.osPid)).toBe(false);
      writeFileSync(join(cluster.data, 'postgresql.auto.conf'), '');
      await cluster.run('reload', '-D', cluster.data);
    });

    it('a second start in the same directory, and a second cluster on the same port, are refused in one line', async () => {
      const again = await cluster.run('start', '-D', cluster.data);
      expect(again.code).toBe(1);
      expect(again.err).toMatch(
        /^pgtroupe: a server is already running in ".*" \(PID \d+, port \d+\)\. Stop it with "pgtroupe stop .*\n$/,
      );
      const other = await new TestCluster({ stubs: true }).create();
      try {
        const taken = await other.run('start', '-D', other.data, '-p', String(cluster.port), '-h', '127.0.0.1');
        expect(taken.code).toBe(1);
        expect(taken.err).toBe(
          `pgtroupe: could not bind address "127.0.0.1", port ${cluster.port}: Address already in use. Is another server already running on port ${cluster.port}? Stop it, or choose another port: -p ${cluster.port + 1}.\n`,
        );
        expect(readdirSync(other.data).filter(f => f.startsWith('postmaster'))).toEqual([]);
        // Side by side on another port.
        await other.start();
        expect((await other.run('sql', '-D', other.data, '-t', 'x')).code).toBe(0);
      } finally {
        await other.destroy();
      }
    });
  });

  describe('starting and stopping', () => {
    let cluster: TestCluster;
    afterEach(() => cluster.destroy());

    it.each([
      ['SIGINT', 'fast'],
      ['SIGTERM', 'smart'],
      ['SIGQUIT', 'immediate'],
    ] as const)('%s to the foreground process is a %s shutdown', async (signal, mode) => {
      cluster = await new TestCluster({ stubs: true }).create();
      await cluster.start();
      const status = await cluster.status();
      const session = await new Session(cluster.port).open();
      await until('the session to be counted', async () => (await cluster.role('backend-1')).sessions === 1);
      cluster.keeper!.kill(signal);
      if (mode === 'smart') {
        await sleep(500);
        expect(await session.query('still there')).toMatch(/^\d+ /);
        const late = await new Session(cluster.port).open();
        expect(late.error).toBe('C57P03 Mthe database system is shutting down');
        session.socket.destroy();
      }
      expect(await cluster.ended()).toBe(0);
      expect(cluster.console).toContain(`${mode} shutdown requested`);
      for (const pid of [status.postmasterPid, ...status.roles.map(r => r.osPid)]) {
        await until(`process ${pid} to be gone`, () => !isProcessAlive(pid), 3_000);
      }
      expect(readdirSync(cluster.data).filter(f => f.startsWith('postmaster'))).toEqual([]);
      expect(existsSync(join(cluster.folder, `.s.PGSQL.${cluster.port}`))).toBe(false);
      expect(existsSync(status.runDirectory)).toBe(false);
    });

    it('a stop that meets a postmaster on its way back ends everything', async () => {
      cluster = await new TestCluster({ stubs: true }).create();
      await cluster.start();
      const { postmasterPid, roles } = await until('all ready', async () => {
        const status = await cluster.status();
        return status.roles.every(r => r.state === 'ready') && status;
      });
      process.kill(postmasterPid, 'SIGKILL');
      await until('its restart', () => cluster.log.includes('starting it again'));
      // By now the next one is about to be started, or loads its program and would not survive a signal.
      await sleep(100);
      cluster.keeper!.kill('SIGINT');
      expect(await cluster.ended(), cluster.log).toBe(0);
      for (const { osPid } of roles) await until(`process ${osPid} to be gone`, () => !isProcessAlive(osPid), 3_000);
      expect(readdirSync(cluster.data).filter(f => f.startsWith('postmaster'))).toEqual([]);
    });

    it('detached: start returns when it is ready; the killed keeper is replaced; stop ends everything', async () => {
      cluster = await new TestCluster({ stubs: true }).create();
      const options = [
        '-D',
        cluster.data,
        '-p',
        String(cluster.port),
        '-c',
        `unix_socket_directories=${cluster.folder}`,
      ];
      const started = await cluster.run('start', ...options, '-d', '-l', join(cluster.folder, 'log'));
      expect(started).toMatchObject({ code: 0, err: '' });
      expect(started.out).toContain('database system is ready to accept connections');
      const { postmasterPid } = await cluster.status();
      if (process.platform === 'linux') {
        const parent = Number(/^\d+ \(.*\) \S (\d+)/.exec(readFileSync(`/proc/${postmasterPid}/stat`, 'utf8'))![1]);
        process.kill(parent, 'SIGKILL');
        await sleep(1_000);
        process.kill(postmasterPid, 'SIGKILL');
        const { postmasterPid: next } = await until('another postmaster', async () => {
          const status = await cluster.status();
          return status.running && status.postmasterPid !== postmasterPid && status;
        });
        expect(next).not.toBe(postmasterPid);
      }
      expect(await cluster.run('stop', '-D', cluster.data)).toMatchObject({ code: 0, out: 'server stopped\n' });
      expect(await cluster.run('status', '-D', cluster.data)).toMatchObject({ code: 3, out: 'no server running\n' });
      expect(await cluster.run('stop', '-D', cluster.data)).toMatchObject({ code: 1 });
    });

    it('limits connections: the last slots are reserved, then 53300', async () => {
      cluster = await new TestCluster({ stubs: true }).create();
      await cluster.start('-c', 'max_connections=4', '-c', 'superuser_reserved_connections=1');
      const sessions: Session[] = [];
      const reserved: string[] = [];
      for (let i = 0; i < 4; i++) {
        const session = await new Session(cluster.port).open();
        reserved.push((await session.query('x')).split(' ')[3]!);
        sessions.push(session);
      }
      expect(reserved).toEqual(['false', 'false', 'false', 'true']);
      expect((await new Session(cluster.port).open()).error).toBe('C53300 Msorry, too many clients already');
      sessions[0]!.socket.destroy();
      await until('a free slot', async () => {
        const s = await new Session(cluster.port).open();
        s.socket.destroy();
        return s.error === '';
      });
      for (const session of sessions) session.socket.destroy();
    });

    it('packs sessions into instances, one more is always warm', async () => {
      cluster = await new TestCluster({ stubs: true }).create();
      await cluster.start('-c', 'sessions_per_instance=2', '-c', 'max_connections=6');
      const sessions = [];
      for (let i = 0; i < 5; i++) sessions.push(await new Session(cluster.port).open());
      const pids = [];
      for (const session of sessions) pids.push((await session.query('x')).split(' ')[0]);
      expect(new Set(pids).size).toBe(3);
      const loads = await until('reports', async () => {
        const status = await cluster.status();
        const counts = status.roles.filter(r => r.name.startsWith('backend')).map(r => r.sessions);
        return counts.reduce((a, b) => a + b, 0) === 5 && counts;
      });
      expect(loads).toEqual([2, 2, 1]);
      for (const session of sessions) session.socket.destroy();
    });

    it('names what is wrong in one line with the remedy, and leaves nothing behind', async () => {
      cluster = await new TestCluster({ stubs: true }).create();
      const data = cluster.data;
      const start = (...options: string[]) => cluster.run('start', '-D', data, '-p', String(cluster.port), ...options);
      const cases: [
        string,
        Promise<{ code: number; err: string }> | (() => Promise<{ code: number; err: string }>),
        RegExp,
      ][] = [
        [
          'no directory',
          () => cluster.run('start', '-D', join(cluster.folder, 'none')),
          /^pgtroupe: data directory ".*none" does not exist\. Create one with "pgtroupe initdb -D .*\n$/,
        ],
        [
          'unknown parameter',
          () => start('-c', 'sharedbuffers=1'),
          /^pgtroupe: unrecognized configuration parameter "sharedbuffers"\n$/,
        ],
        [
          'bad value',
          () => start('-c', 'work_mem=lots'),
          /^pgtroupe: invalid value for parameter "work_mem": "lots"\n$/,
        ],
        [
          'bad unit',
          () => start('-c', 'work_mem=1XB'),
          /^pgtroupe: invalid value for parameter "work_mem": "1XB"\. Valid units for this parameter are/,
        ],
        [
          'bad mode',
          () => cluster.run('stop', '-D', data, '-m', 'gently'),
          /^pgtroupe: unrecognized shutdown mode "gently"/,
        ],
        [
          'not empty',
          () => cluster.run('initdb', '-D', data),
          /^pgtroupe: cannot create a cluster in ".*": data directory exists but is not empty\. If you want/,
        ],
        [
          'bad listen address',
          () => start('-h', 'nosuchhost.invalid'),
          /^pgtroupe: could not translate host name "nosuchhost\.invalid" to address: .*listen_addresses".\n$/,
        ],
      ];
      for (const [name, run, expected] of cases) {
        const { code, err } = await (run as () => Promise<{ code: number; err: string }>)();
        expect(err, name).toMatch(expected);
        expect(code, name).toBe(1);
      }
      mkdirSync(join(cluster.folder, 'empty'), { mode: 0o700 });
      expect((await cluster.run('start', '-D', join(cluster.folder, 'empty'))).err).toMatch(
        /is not a valid data directory\. File "PG_VERSION" is missing\. Create one/,
      );
      writeFileSync(join(data, 'PG_VERSION'), '14\n');
      expect((await start()).err).toMatch(
        /database files are incompatible with server\. The data directory was initialized by PostgreSQL version 14, which/,
      );
      writeFileSync(join(data, 'PG_VERSION'), '15\n');
      chmodSync(data, 0o755);
      expect((await start()).err).toMatch(
        /has invalid permissions\. Permissions should be u=rwx \(0700\).* Run "chmod 0700/,
      );
      chmodSync(data, 0o700);
      expect(readdirSync(data).filter(f => f.startsWith('postmaster'))).toEqual([]);
      if (userInfo().uid !== 0) {
        chmodSync(data, 0o000);
        expect((await start()).err).toMatch(/[Pp]ermission denied/);
        chmodSync(data, 0o700);
      }
    });

    it('a directory that another program has locked by postmaster.pid is refused', async () => {
      cluster = await new TestCluster({ stubs: true }).create();
      writeFileSync(join(cluster.data, 'postmaster.pid'), `${process.pid}\n${cluster.data}\n0\n5432\n\n\n\nready   \n`);
      const { code, err } = await cluster.run('start', '-D', cluster.data, '-p', String(cluster.port));
      expect(code).toBe(1);
      expect(err).toMatch(
        new RegExp(
          `lock file "postmaster.pid" already exists\\. Is another postmaster \\(PID ${process.pid}\\) running`,
        ),
      );
      writeFileSync(join(cluster.data, 'postmaster.pid'), `999999999\n${cluster.data}\n0\n5432\n\n\n\nready   \n`);
      await cluster.start();
    });

    it('ends when its data directory is taken away', async () => {
      cluster = await new TestCluster({ stubs: true }).create();
      await cluster.start();
      const { roles } = await cluster.status();
      rmSync(cluster.data, { recursive: true });
      expect(await cluster.ended()).toBe(0);
      for (const { osPid } of roles) await until('its end', () => !isProcessAlive(osPid), 3_000);
    });

    it('says 57P03 while it starts', async () => {
      cluster = await new TestCluster({ stubs: true }).create();
      cluster.spawnForeground();
      const error = await until('a refusal', async () => {
        const session = new Session(cluster.port);
        if (
          !(await once(session.socket, 'connect').then(
            () => true,
            () => false,
          ))
        )
          return false;
        await session.open();
        session.socket.destroy();
        return session.error || (session.pid > 0 && 'too late');
      });
      expect(error).toBe('C57P03 Mthe database system is starting up');
      await until('ready', () => cluster.console.includes('ready to accept'));
    });
  });

  it('the port of a listener that is no server of ours is named too', async () => {
    const squatter = createServer().listen(await freePort(), '127.0.0.1');
    await once(squatter, 'listening');
    const cluster = await new TestCluster({ stubs: true }).create();
    cluster.port = (squatter.address() as { port: number }).port;
    const run = await cluster.run('start', '-D', cluster.data, '-p', String(cluster.port), '-h', '127.0.0.1');
    expect(run.err).toMatch(/Address already in use/);
    squatter.close();
    await cluster.destroy();
  });
});
