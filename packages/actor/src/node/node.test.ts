import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { DiskError } from '../env.ts';
import { nodeClock } from './clock.ts';
import { SocketConnection } from './connection.ts';
import { nodeDisk } from './disk.ts';
import { DirectoryGuard } from './directory-guard.ts';
import { lockDataDirectory, readPidFile, writePidFile } from './pidfile.ts';
import { isAlive, ownProcess, processAt, signalProcess } from './process.ts';
import { claimLaunch, forgetLaunch, prepareRunDirectory, readLaunches, runDirectoryOf, writeLaunch } from './rundir.ts';

const folder = mkdtempSync(join(tmpdir(), 'pgt-node-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const fresh = (): string => mkdtempSync(join(folder, 'd'));
const bytes = (s: string): Uint8Array => new TextEncoder().encode(s);

describe('clock', () => {
  it('tells microseconds that do not go back, near the wall clock', () => {
    let last = nodeClock.wallMicros();
    let backwards = 0;
    for (const until = performance.now() + 300; performance.now() < until; ) {
      const now = nodeClock.wallMicros();
      if (now < last) backwards++;
      last = now;
    }
    expect(backwards).toBe(0);
    expect(Math.abs(nodeClock.wallMicros() / 1000 - Date.now())).toBeLessThan(5);
  });
});

describe('disk', () => {
  it('reads what it wrote, at positions, and says short only at the end', async () => {
    const disk = nodeDisk(fresh());
    const file = await disk.open('f', 'create');
    await file.write(bytes('hello'), 3);
    await file.datasync();
    const into = new Uint8Array(10);
    expect(await file.read(into, 1)).toBe(7);
    expect(new TextDecoder().decode(into.subarray(0, 7))).toBe('\0\0hello');
    expect(await file.sizeBytes()).toBe(8);
    await file.truncate(4);
    expect(await file.sizeBytes()).toBe(4);
    await file.close();
    await disk.mkdir('sub');
    await disk.rename('f', 'sub/g');
    await disk.syncDir('sub');
    expect(await disk.readdir('sub')).toEqual(['g']);
    expect(await disk.stat('sub/g')).toEqual({ sizeBytes: 4, directory: false });
    expect(await disk.stat('nothing')).toBeUndefined();
  });

  it('names what went wrong in POSIX terms and never leaves its root', async () => {
    const disk = nodeDisk(fresh());
    await expect(disk.open('none', 'read')).rejects.toMatchObject({ code: 'ENOENT', path: 'none' });
    await expect(async () => disk.readFile('../x')).rejects.toThrow(DiskError);
    await expect(async () => disk.readFile('/etc/hostname')).rejects.toThrow(DiskError);
  });

  it('says ENOSPC on a full disk', async () => {
    if (process.platform !== 'linux') return;
    const file = await nodeDisk('/dev').open('full', 'write');
    await expect(file.write(bytes('x'), 0)).rejects.toMatchObject({ code: 'ENOSPC' });
    await file.close();
  });
});

describe('processes', () => {
  it('knows a process by pid and start time, and takes a zombie for dead', async () => {
    const child = spawn('sleep', ['60']);
    const id = processAt(child.pid!)!;
    expect(isAlive(id)).toBe(true);
    expect(isAlive({ ...id, started: 'another time' })).toBe(false);
    expect(signalProcess({ ...id, started: 'another time' }, 'SIGKILL')).toBe(false);
    expect(signalProcess(id, 'SIGKILL')).toBe(true);
    await once(child, 'exit');
    expect(isAlive(id)).toBe(false);
    expect(processAt(0)).toBeUndefined();
    expect(isAlive(ownProcess())).toBe(true);
  });
});

describe('run directory', () => {
  it('is short, private, and refused when others may enter', () => {
    const data = fresh();
    const run = runDirectoryOf(data);
    expect(run.length).toBeLessThan(60);
    prepareRunDirectory(run);
    expect(statSync(run).mode & 0o777).toBe(0o700);
    rmSync(run, { recursive: true });
    const open = fresh();
    spawnSync('chmod', ['0755', open]);
    expect(() => prepareRunDirectory(open)).toThrow(/wrong ownership or permissions/);
  });

  it('lets a launch be claimed once: by the process or by who wants it void', () => {
    const run = fresh();
    prepareRunDirectory(run);
    const launch = { name: 'walwriter', epoch: 5, incarnation: 'a', cluster: '1', settings: {} };
    writeLaunch(run, launch);
    expect(readLaunches(run)).toEqual([launch]);
    const mine = { kind: 'process', ...ownProcess() } as const;
    expect(claimLaunch(run, launch, mine)).toEqual(mine);
    expect(claimLaunch(run, launch, { kind: 'void' })).toEqual(mine);
    expect(claimLaunch(run, { ...launch, epoch: 6 }, { kind: 'void' })).toEqual({ kind: 'void' });
    expect(claimLaunch(run, { ...launch, epoch: 6 }, mine)).toEqual({ kind: 'void' });
    forgetLaunch(run, launch);
    expect(readLaunches(run)).toEqual([]);
  });
});

describe('lock of a data directory', () => {
  it('is held by one process, and a dead one does not hold it', async () => {
    const data = fresh();
    const lock = await lockDataDirectory(data);
    const script = `
      import { lockDataDirectory } from ${JSON.stringify(new URL('../../dist/node/pidfile.js', import.meta.url).href)};
      try { await lockDataDirectory(${JSON.stringify(data)}); console.log('got it'); } catch (e) { console.log(e.message + '|' + e.fields.hint); }`;
    const other = (): string =>
      spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' }).stdout;
    expect(other()).toContain(`lock file "postmaster.pid" already exists|Is another postmaster (PID ${process.pid})`);
    lock.release();
    expect(other()).toBe('got it\n');
    // That process is gone without having released anything.
    expect(readdirSync(data)).toHaveLength(1);
    const again = await lockDataDirectory(data);
    expect(readdirSync(data)).toEqual([`postmaster.lock.${process.pid}`]);
    again.release();
  }, 30_000);

  it('of many who want it at once exactly one gets it', async () => {
    const data = fresh();
    const script = `
      import { lockDataDirectory } from ${JSON.stringify(new URL('../../dist/node/pidfile.js', import.meta.url).href)};
      try { await lockDataDirectory(${JSON.stringify(data)}); console.log('1'); } catch { console.log('0'); }
      process.stdin.resume();`;
    const children = Array.from({ length: 4 }, () =>
      spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['pipe', 'pipe', 'inherit'] }),
    );
    const answers = await Promise.all(children.map(async c => String((await once(c.stdout, 'data'))[0]).trim()));
    for (const child of children) child.kill('SIGKILL');
    expect(answers.filter(a => a === '1')).toHaveLength(1);
  }, 30_000);

  it('is kept by a role that has no postmaster, until another server has made postmaster.pid its own', async () => {
    const data = fresh();
    const runDirectory = '/run/ours';
    const gone = spawnSync(process.execPath, ['-e', '']).pid;
    const file = {
      pid: gone,
      dataDirectory: data,
      startSeconds: 0,
      port: 5432,
      socketDirectory: '',
      listenAddress: '',
      status: 'ready',
      runDirectory,
    } as const;
    writePidFile(file);
    const guard = new DirectoryGuard({ dataDirectory: data, runDirectory, role: 'buffer-manager' });
    await guard.enter();
    expect(guard.holds()).toBe(true);
    expect(readPidFile(data)).toEqual({ ...file, pid: process.pid });
    rmSync(join(data, 'postmaster.pid'));
    expect(guard.holds()).toBe(true);
    expect(readPidFile(data)!.pid).toBe(process.pid);
    // PostgreSQL's file ends before the line with our run directory.
    writeFileSync(join(data, 'postmaster.pid'), `${gone}\n${data}\n0\n5432\n\n\n`);
    expect(guard.holds()).toBe(false);
    guard.leave();
  });

  it('a role without a postmaster never undoes the file of the next one', async () => {
    const data = fresh();
    const gone = spawnSync(process.execPath, ['-e', '']).pid;
    // The next postmaster, again and again: it finds a dead one's file, puts its own there, and looks whether it stays.
    const script = `
      import { readPidFile, writePidFile } from ${JSON.stringify(new URL('../../dist/node/pidfile.js', import.meta.url).href)};
      const file = { dataDirectory: ${JSON.stringify(data)}, startSeconds: 0, port: 1, socketDirectory: '', listenAddress: '', status: 'ready', runDirectory: '/run/ours' };
      const wait = us => { const end = performance.now() + us / 1000; while (performance.now() < end); };
      let undone = 0;
      for (let n = 0; n < 1500; n++) {
        writePidFile({ ...file, pid: ${gone} });
        wait(n % 200);
        writePidFile({ ...file, pid: process.pid });
        wait(200);
        if (readPidFile(file.dataDirectory).pid !== process.pid) undone++;
      }
      console.log('undone ' + undone);`;
    const next = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['pipe', 'pipe', 'inherit'] });
    let said = '';
    next.stdout.on('data', chunk => (said += chunk));
    const guard = new DirectoryGuard({ dataDirectory: data, runDirectory: '/run/ours', role: 'logger' });
    let looks = 0;
    while (said === '') {
      const until = performance.now() + 20;
      while (performance.now() < until) {
        if (readPidFile(data) !== undefined && guard.holds()) looks++;
      }
      await new Promise(resolve => setImmediate(resolve));
    }
    expect(looks).toBeGreaterThan(1000);
    expect(said).toBe('undone 0\n');
  }, 30_000);

  it('a starting role leaves the sign of a killed postmaster for the keeper', async () => {
    const data = fresh();
    const gone = spawnSync(process.execPath, ['-e', '']).pid;
    writeFileSync(
      join(data, `postmaster.lock.${gone}`),
      JSON.stringify({ pid: gone, started: 'then', runDirectory: '/run/ours' }),
    );
    const guard = new DirectoryGuard({ dataDirectory: data, runDirectory: '/run/ours', role: 'logger' });
    await guard.enter();
    expect(readdirSync(data).sort()).toEqual([`postmaster.lock.${gone}`, `postmaster.lock.${process.pid}`].sort());
    guard.leave();
    (await lockDataDirectory(data)).release();
    expect(readdirSync(data)).toEqual([]);
  });

  it('writes postmaster.pid as PostgreSQL does', () => {
    const data = fresh();
    const file = {
      pid: 42,
      dataDirectory: data,
      startSeconds: 1_700_000_000,
      port: 5432,
      socketDirectory: '/tmp',
      listenAddress: 'localhost',
      status: 'ready',
      runDirectory: '/tmp/r',
    } as const;
    writePidFile(file);
    expect(readFileSync(join(data, 'postmaster.pid'), 'utf8')).toBe(
      `42\n${data}\n1700000000\n5432\n/tmp\nlocalhost\n\nready   \n/tmp/r\n`,
    );
    expect(readPidFile(data)).toEqual(file);
    writeFileSync(join(data, 'postmaster.pid'), '-42\n');
    expect(readPidFile(data)!.pid).toBe(42);
  });
});

describe('connection', () => {
  async function pair(): Promise<[SocketConnection, Socket]> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = connect((server.address() as { port: number }).port, '127.0.0.1');
    const [socket] = (await once(server, 'connection')) as [Socket];
    server.close();
    return [new SocketConnection(socket), client];
  }

  it('says false to a writer whose peer does not read, and drain when it does', async () => {
    const [connection, client] = await pair();
    client.pause();
    let drained = false;
    connection.onDrain = () => (drained = true);
    let sent = 0;
    while (connection.write(new Uint8Array(65536))) sent++;
    expect(sent).toBeLessThan(1000);
    await new Promise(r => setTimeout(r, 50));
    expect(drained).toBe(false);
    client.resume();
    while (!drained) await new Promise(r => setTimeout(r, 10));
    connection.destroy();
    client.destroy();
  });

  it('ends once, and delivers nothing afterwards', async () => {
    const [connection, client] = await pair();
    const seen: string[] = [];
    connection.onData = chunk => seen.push(new TextDecoder().decode(chunk));
    connection.onEnd = () => seen.push('end');
    client.end('bye');
    await once(client, 'close').catch(() => {});
    connection.end();
    await new Promise(r => setTimeout(r, 50));
    expect(seen).toEqual(['bye', 'end']);
    expect(connection.peer?.address).toBe('127.0.0.1');
  });
});
