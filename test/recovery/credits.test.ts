/**
 * Credits of the Attach stream at work between real processes: a load that outruns the walwriter waits
 * for it, and an instance that does not read costs the others nothing.
 */
import { readFileSync } from 'node:fs';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { isBuilt, sleep, TestCluster, until } from '@pgtroupe/testkit/test-cluster';
import { cancelRequest, connect, ours } from '../clients/clients.ts';

const MB = 1024 * 1024;
const ROW = Buffer.from(`1\t${'x'.repeat(989)}\n`);
const CHUNK = Buffer.concat(Array.from({ length: 64 }, () => ROW));
/** What a role may grow by while it keeps what was sent ahead of the walwriter: wal_buffers (4 MB) several times over
 *  (records, images, what lies in the streams) and the garbage collector's slack. */
const GROWTH_BYTES = 64 * MB;
const COPY_BYTES = 160 * MB;

/** Resident memory that is no file's. */
function anonymousOf(osPid: number): number {
  const [, kb] = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${osPid}/status`, 'utf8'))!;
  return Number(kb) * 1024;
}

/** COPY FROM STDIN over node-postgres, as fast as the server takes it. */
class CopyIn implements pg.Submittable {
  readonly #text: string;
  #left: number;
  sentBytes = 0;
  readonly done: Promise<string>;
  #resolve!: (tag: string) => void;
  #reject!: (error: Error) => void;
  #tag = '';

  constructor(text: string, bytes: number) {
    this.#text = text;
    this.#left = bytes;
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.done.catch(() => {});
  }

  submit(connection: pg.Connection): void {
    connection.query(this.#text);
  }

  handleCopyInResponse(connection: pg.Connection): void {
    const { stream } = connection;
    const pump = (): void => {
      while (this.#left > 0) {
        this.#left -= CHUNK.length;
        this.sentBytes += CHUNK.length;
        const head = Buffer.from([0x64, 0, 0, 0, 0]);
        head.writeUInt32BE(4 + CHUNK.length, 1);
        stream.write(head);
        if (stream.write(CHUNK)) continue;
        stream.once('drain', pump);
        return;
      }
      stream.write(Buffer.from([0x63, 0, 0, 0, 4]));
    };
    pump();
  }

  handleError(error: Error): void {
    this.#left = 0;
    this.#reject(error);
  }

  handleCommandComplete({ text }: { readonly text: string }): void {
    this.#tag = text;
  }

  handleReadyForQuery(): void {
    this.#resolve(this.#tag);
  }
}

describe.skipIf(!isBuilt || process.platform !== 'linux')('credits (on Linux, after `npm run build`)', () => {
  const cluster = new TestCluster();
  const open: pg.Client[] = [];
  const stopped = new Set<number>();
  const client = async (): Promise<pg.Client> => {
    const made = await connect(ours(cluster));
    open.push(made);
    return made;
  };
  const stop = (osPid: number): void => {
    process.kill(osPid, 'SIGSTOP');
    stopped.add(osPid);
  };
  const resume = (osPid: number): void => {
    stopped.delete(osPid);
    try {
      process.kill(osPid, 'SIGCONT');
    } catch {
      // It was replaced meanwhile.
    }
  };

  beforeAll(async () => {
    await cluster.create();
    await cluster.start('-c', 'role_timeout=60s', '-c', 'sessions_per_instance=2');
    await until('everybody ready', async () => (await cluster.status()).roles.every(role => role.state === 'ready'));
  });
  afterEach(() => {
    for (const osPid of stopped) resume(osPid);
  });
  afterAll(async () => {
    for (const one of open) await one.end().catch(() => {});
    await cluster.destroy();
  });

  it('COPY waits for a stopped walwriter, nobody grows, the others go on, and it ends well', async () => {
    const loader = await client();
    const other = await client();
    const second = await client();
    await other.query('CREATE TABLE load (a int, b text)');
    await other.query('CREATE TABLE small (a int PRIMARY KEY, b text)');
    await other.query("INSERT INTO small SELECT n, 'before' FROM generate_series(1, 1000) n");
    const copy = loader.query(new CopyIn('COPY load FROM STDIN', COPY_BYTES));
    await until('the load to be under way', () => copy.sentBytes > 40 * MB);
    const roles = (await cluster.status()).roles.filter(role => /^(backend|buffer-manager|walwriter)/.test(role.name));
    const walwriter = roles.find(role => role.name === 'walwriter')!;
    const before = roles.map(role => anonymousOf(role.osPid));
    const sentAtStop = copy.sentBytes;
    stop(walwriter.osPid);
    for (let n = 0; n < 8; n++) {
      await sleep(500);
      // A read, on a session of the same instance.
      const { rows } = await other.query('SELECT b FROM small WHERE a = $1', [1 + n]);
      expect(rows).toEqual([{ b: 'before' }]);
    }
    for (const [n, role] of roles.entries())
      expect(anonymousOf(role.osPid) - before[n]!, role.name).toBeLessThan(GROWTH_BYTES);
    // Another producer, of another instance, waits too; a cancel ends that.
    const insert = second.query("INSERT INTO load SELECT n, repeat('x', 1000) FROM generate_series(1, 100000) n");
    const ended = insert.then(
      () => 'done',
      (error: pg.DatabaseError) => error.code,
    );
    await sleep(1000);
    const { processID, secretKey } = second as unknown as { processID: number; secretKey: number };
    cancelRequest(ours(cluster), processID, secretKey);
    expect(await ended).toBe('57014');
    // It waits: what the client could still send lies in sockets.
    expect(copy.sentBytes).toBeLessThan(COPY_BYTES);
    expect(copy.sentBytes - sentAtStop).toBeLessThan(GROWTH_BYTES);
    // A COMMIT is not refused; it waits for durability and nothing else.
    let committed = false;
    const update = other.query("UPDATE small SET b = 'after' WHERE a = 1").then(() => {
      committed = true;
    });
    await sleep(500);
    expect(committed).toBe(false);
    resume(walwriter.osPid);
    await update;
    expect(await copy.done).toBe(`COPY ${copy.sentBytes / ROW.length}`);
    const { rows } = await other.query('SELECT count(*)::int AS n FROM load');
    expect(rows).toEqual([{ n: copy.sentBytes / ROW.length }]);
  });

  it('a stopped backend is expelled, its locks are free, the others go on; its sessions live on', async () => {
    const survivor = await client();
    await survivor.query('CREATE TABLE counters (a int PRIMARY KEY, n int)');
    await survivor.query('INSERT INTO counters VALUES (1, 0), (2, 0)');
    const pidOf = async (name: string): Promise<number> => (await cluster.role(name)).osPid;
    const [victim] = open as [pg.Client];
    await victim.query('BEGIN');
    await victim.query('UPDATE counters SET n = -1 WHERE a = 1');
    const backend = await pidOf('backend-1');
    const bufferManager = await pidOf('buffer-manager');
    const before = anonymousOf(bufferManager);
    stop(backend);
    // Waits for the victim's row until it is fenced.
    const waited = survivor.query('UPDATE counters SET n = n + 1 WHERE a = 1');
    const third = await client();
    for (let n = 0; n < 50; n++) await third.query('UPDATE counters SET n = n + 1 WHERE a = 2');
    await waited;
    expect((await third.query('SELECT a, n FROM counters ORDER BY a')).rows).toEqual([
      { a: 1, n: 1 },
      { a: 2, n: 50 },
    ]);
    expect(anonymousOf(bufferManager) - before).toBeLessThan(GROWTH_BYTES);
    await until('a line in the log', () => /backend-1 is expelled: nothing heard for 3000 ms/.test(cluster.log));
    resume(backend);
    await expect(victim.query('SELECT n FROM counters')).rejects.toMatchObject({ code: '40001' });
    await victim.query('ROLLBACK');
    expect((await victim.query('SELECT 1 AS x')).rows).toEqual([{ x: 1 }]);
  });
});
