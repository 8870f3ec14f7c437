/**
 * What real processes leave on disk, after deaths and a clean stop: PostgreSQL 15's programs read every
 * segment of WAL, every page and every row; pg_filedump shows tuples and index items.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BLCKSZ } from '@pgtroupe/common/ids';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasPostgres, judgeFiles, postgresAnswers } from '@pgtroupe/testkit/postgres-judge';
import { isBuilt, TestCluster, until } from '@pgtroupe/testkit/test-cluster';

const hasFiledump = spawnSync('pg_filedump', ['-h']).error === undefined;
const QUESTIONS = [
  'SELECT * FROM item ORDER BY id',
  'SELECT id FROM item ORDER BY name, id',
  'SELECT * FROM tally ORDER BY kind',
];
const ROWS = 3000;

/** Blocks made ahead of need, which nobody has used: zeros, which pg_filedump takes for errors. */
function unusedBlocks(file: string): number {
  const bytes = readFileSync(file);
  let unused = 0;
  for (let at = 0; at < bytes.length; at += BLCKSZ)
    if (bytes.subarray(at, at + BLCKSZ).every(byte => byte === 0)) unused++;
  return unused;
}

describe.skipIf(!isBuilt)('the data directory (skipped until `npm run build`)', () => {
  const cluster = new TestCluster();
  const answers: string[] = [];
  let files: { readonly heap: string; readonly index: string };

  beforeAll(async () => {
    await cluster.create();
    await cluster.start('-c', 'max_wal_size=32MB', '-c', 'sessions_per_instance=1');
    const session = async <T>(work: (client: pg.Client) => Promise<T>): Promise<T> => {
      const client = new pg.Client({ host: '127.0.0.1', port: cluster.port, user: 'postgres', database: 'postgres' });
      client.on('error', () => {});
      await client.connect();
      try {
        return await work(client);
      } finally {
        await client.end().catch(() => {});
      }
    };
    await session(async client => {
      await client.query(
        'CREATE TABLE item (id int PRIMARY KEY, name text, price numeric(12,2), at timestamptz, flags bool[])',
      );
      await client.query('CREATE TABLE tally (kind text PRIMARY KEY, n bigint NOT NULL)');
      await client.query(
        `INSERT INTO item SELECT i, repeat('n' || i % 97, 1 + i % 9), i * 1.25, timestamptz '2026-01-01 00:00:00Z' + i * interval '1 hour', ARRAY[i % 2 = 0, NULL]
         FROM generate_series(1, ${ROWS}) i`,
      );
      await client.query('CREATE INDEX item_name ON item (name, price DESC)');
      await client.query("INSERT INTO tally VALUES ('updated', 0), ('deleted', 0)");
    });
    // Two instances change the same pages, and the shared memory dies between them.
    const change = (): Promise<unknown> =>
      Promise.all(
        [0, 1].map(n =>
          session(async client => {
            for (let i = 0; i < 10; i++) {
              await client.query('UPDATE item SET price = price + 1, name = name || $1 WHERE id % 50 = $2', [
                '+',
                2 * i + n,
              ]);
              await client.query("UPDATE tally SET n = n + 1 WHERE kind = 'updated'");
            }
          }),
        ),
      );
    await change();
    const { osPid } = await cluster.role('buffer-manager');
    process.kill(osPid, 'SIGKILL');
    await until('another buffer-manager', async () => {
      const next = await cluster.role('buffer-manager');
      return next.osPid !== osPid && next.state === 'ready';
    });
    // The instances have noticed when they answer.
    await until('an answer', () => session(client => client.query('SELECT count(*) FROM item')).catch(() => undefined));
    await session(async client => {
      await client.query('DELETE FROM item WHERE id % 7 = 0');
      await client.query('VACUUM item');
    });
    await change();
    await session(async client => {
      for (const question of QUESTIONS) {
        const { rows } = await client.query({
          text: question,
          rowMode: 'array',
          types: { getTypeParser: () => (text: string) => text },
        });
        answers.push(
          (rows as (string | null)[][]).map(row => `${row.map(value => value ?? '\\N').join('\t')}\n`).join(''),
        );
      }
      const path = async (name: string): Promise<string> => {
        const { rows } = await client.query(
          "SELECT d.oid AS db, c.relfilenode AS node FROM pg_class c, pg_database d WHERE c.relname = $1 AND d.datname = 'postgres'",
          [name],
        );
        return join(cluster.data, 'base', String(rows[0].db), String(rows[0].node));
      };
      files = { heap: await path('item'), index: await path('item_pkey') };
    });
    expect((await cluster.run('stop', '-D', cluster.data)).code).toBe(0);
    await cluster.ended();
  }, 120_000);
  afterAll(() => cluster.destroy());

  it.skipIf(!hasPostgres)('passes pg_controldata, pg_checksums and pg_waldump (skipped without PostgreSQL 15)', () => {
    judgeFiles(cluster.data);
  });

  it.skipIf(!hasFiledump)('shows its tuples and index items to pg_filedump (skipped without pg_filedump)', () => {
    const dump = (file: string): string => {
      const text = execFileSync('pg_filedump', ['-i', file], { encoding: 'utf8', maxBuffer: 2 ** 28 });
      const wrong = text.split('\n').filter(line => /error/i.test(line) && !/Invalid special section/.test(line));
      expect(wrong).toEqual(new Array<string>(unusedBlocks(file)).fill(' Error: Invalid header information.'));
      return text;
    };
    const heap = dump(files.heap);
    const live = answers[0]!.split('\n').length - 1;
    expect(live).toBe(ROWS - Math.floor(ROWS / 7));
    expect(heap.match(/Length: +\d+ +Offset: +\d+ .*Flags: NORMAL/g)!.length).toBeGreaterThanOrEqual(live);
    expect(heap).toMatch(/XMIN: \d+ +XMAX: \d+/);
    const index = dump(files.index);
    expect(index).toMatch(/BTree Index Section/);
    expect(index.match(/Block Id: \d+ +linp Index: \d+ +Size: 16/g)!.length).toBeGreaterThanOrEqual(live);
  });

  it.skipIf(!hasPostgres)('opens under PostgreSQL 15, which reads every row (skipped without PostgreSQL 15)', () => {
    const copy = join(cluster.folder, 'copy');
    cpSync(cluster.data, copy, { recursive: true });
    chmodSync(cluster.folder, 0o755);
    const opened = postgresAnswers(copy, QUESTIONS);
    expect(opened.log).not.toMatch(/redo starts at/);
    expect(opened.answers).toEqual(answers);
  });
});
