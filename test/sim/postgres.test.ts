/**
 * PostgreSQL 15 judges what the simulated cluster leaves on its disk: after a clean stop, and after a
 * power failure, which it recovers from by itself. It must find what our own recovery finds.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SimCluster } from '@pgtroupe/testkit/sim/cluster';
import { dumpPlatter } from '@pgtroupe/testkit/sim/dump';
import { rowsBook } from '@pgtroupe/testkit/sim/ledger';
import { run } from '@pgtroupe/testkit/sim/run';

const BIN = process.env['PG_BIN'] ?? '/usr/lib/postgresql/15/bin';
const root = process.getuid?.() === 0;
const as = root ? ['runuser', '-u', 'postgres', '--'] : [];
const [first, ...rest] = [...as, `${BIN}/postgres`, '--version'];
const hasPostgres = spawnSync(first!, rest).status === 0;

/** What all of our own programs must agree on. */
const QUESTIONS = [
  'SELECT client, seq, note FROM ledger ORDER BY client, seq',
  'SELECT client, seq, debit, credit, amount FROM move ORDER BY client, seq',
  'SELECT id, balance FROM account ORDER BY id',
];

async function ours(cluster: SimCluster): Promise<string[]> {
  const { client } = cluster.client();
  const texts = [];
  for (const question of QUESTIONS) {
    const [answer] = await cluster.wait(client.query(question), question);
    texts.push(answer!.rows.map(row => `${row.join('\t')}\n`).join(''));
  }
  return texts;
}

/** PostgreSQL opens the folder, and recovers it if need be. */
function theirs(folder: string): { readonly answers: string[]; readonly log: string } {
  if (root) execFileSync('chown', ['-R', 'postgres', folder]);
  const script = [
    ...QUESTIONS.map((question, n) => `COPY (${question}) TO '${folder}/answer.${n}'`),
    'CREATE EXTENSION amcheck',
    "SELECT count(*) AS heap_errors FROM pg_class c, verify_heapam(c.oid) WHERE c.relkind IN ('r', 't', 'm')",
    "SELECT count(bt_index_check(i.indexrelid, true)) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relam = 403 AND c.relpersistence = 'p'",
  ];
  const [program, ...args] = [...as, `${BIN}/postgres`, '--single', '-D', folder, 'postgres'];
  const { status, stdout, stderr } = spawnSync(program!, args, { input: `${script.join('\n')}\n`, encoding: 'utf8', maxBuffer: 2 ** 28 });
  const log = stdout + stderr;
  expect(status, log).toBe(0);
  expect(log).not.toMatch(/ERROR|PANIC/);
  expect(log).toMatch(/heap_errors = "0"/);
  return { answers: QUESTIONS.map((_, n) => readFileSync(join(folder, `answer.${n}`), 'utf8')), log };
}

function judgeFiles(folder: string): void {
  expect(execFileSync(`${BIN}/pg_controldata`, [folder], { encoding: 'utf8' })).toMatch(/state: +shut down\n/);
  expect(execFileSync(`${BIN}/pg_checksums`, ['--check', '-D', folder], { encoding: 'utf8' })).toMatch(/Bad checksums: +0/);
  const wal = join(folder, 'pg_wal');
  const segments = readdirSync(wal).filter(name => /^[0-9A-F]{24}$/.test(name)).sort();
  // Segments made ahead hold nothing; the log ends where there is no next record.
  const dump = spawnSync(`${BIN}/pg_waldump`, ['-p', wal, segments[0]!, segments.at(-1)!], { encoding: 'utf8', maxBuffer: 2 ** 28 });
  expect(dump.stdout.trimEnd().split('\n').at(-1)).toMatch(/CHECKPOINT_SHUTDOWN/);
  expect(dump.stdout).not.toMatch(/UNKNOWN/);
}

describe.skipIf(!hasPostgres)('PostgreSQL 15', () => {
  const seeds = Array.from({ length: Number(process.env['SIM_SEEDS'] ?? 1) }, (_, n) => Number(process.env['SIM_SEED'] ?? 1) + n);
  it.each(seeds)('agrees with us: seed %i', async seed => {
    const { cluster, accounts } = await run(seed, rowsBook, { clients: 3, rounds: 4, instances: 1 + (seed % 2) });
    const folders: string[] = [];
    try {
      // Power fails while clients are at work; both recover from the same bytes.
      for (const account of accounts) {
        account.stopped = false;
        void account.run(cluster, rowsBook, accounts);
      }
      await cluster.world.pass(cluster.world.between(20, 300));
      await cluster.powerFailure('lose');
      for (const account of accounts) account.process.kill('the end');
      const crashed = await dumpPlatter(cluster.platter);
      folders.push(crashed);
      await cluster.untilReady();
      const recovered = await ours(cluster);
      const judged = theirs(crashed);
      expect(judged.log).toMatch(/redo starts at/);
      expect(judged.answers).toEqual(recovered);

      await cluster.stop();
      const stopped = await dumpPlatter(cluster.platter);
      folders.push(stopped);
      judgeFiles(stopped);
      const opened = theirs(stopped);
      expect(opened.log).not.toMatch(/redo starts at/);
      expect(opened.answers).toEqual(recovered);
    } finally {
      for (const folder of folders) rmSync(folder, { recursive: true });
    }
  }, 120_000);
});
