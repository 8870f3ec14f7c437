/**
 * npm run bench: pgtroupe and PostgreSQL 15 in turn, in one run, on this machine.
 *
 * Both with shared_buffers=256MB and data checksums, everything else stock, fsync on. Each
 * round measures both servers, one right after the other and in alternating order; the table shows the
 * medians and the median of the rounds' ratios. BENCH_SECONDS (5) and BENCH_ROUNDS (3) set the length.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { ask, median, pgbench, timed } from './measure.mjs';
import { postgresAvailable, startPgtroupe, startPostgres } from './servers.mjs';

const SECONDS = process.env.BENCH_SECONDS ?? '5';
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? '3');
const SCALE = process.env.BENCH_SCALE ?? '10';

const T = ['-n', '-T', SECONDS];
const CASES = [
  { name: 'TPC-B, prepared, 1 client', args: [...T, '-M', 'prepared', '-c', '1'], expected: 0.5 },
  { name: 'TPC-B, prepared, 16 clients', args: [...T, '-M', 'prepared', '-c', '16'], expected: 0.5 },
  { name: 'TPC-B, simple, 16 clients', args: [...T, '-M', 'simple', '-c', '16'] },
  { name: 'select only, prepared, 1 client', args: [...T, '-S', '-M', 'prepared', '-c', '1'] },
  { name: 'select only, prepared, 16 clients', args: [...T, '-S', '-M', 'prepared', '-c', '16'], expected: 0.8 },
  { name: 'select only, simple, 16 clients', args: [...T, '-S', '-M', 'simple', '-c', '16'] },
  { name: 'select only, connect each time, 16 clients', args: [...T, '-S', '-C', '-c', '16'], expected: 8 },
];

if (!postgresAvailable()) {
  console.log('bench: PostgreSQL 15 (server and pgbench) is not installed; on Debian: apt-get install postgresql-15');
  process.exit(2);
}

const only = process.argv[2];
const postgres = await startPostgres();
const pgtroupe = await startPgtroupe();
try {
  console.log(`machine: ${availableParallelism()} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}`);
  const rows = [];
  const init = { pgtroupe: [], PostgreSQL: [] };
  for (const server of [pgtroupe, postgres]) {
    init[server.name].push(await timed(() => initialise(server)));
  }
  rows.push(row(`pgbench -i -s ${SCALE} (seconds)`, init.pgtroupe, init.PostgreSQL, 4, 'at most'));
  for (const { name, args, expected } of CASES) {
    if (only !== undefined && !name.includes(only)) continue;
    const tps = { pgtroupe: [], PostgreSQL: [] };
    for (let round = 0; round < ROUNDS; round++) {
      const order = round % 2 === 0 ? [pgtroupe, postgres] : [postgres, pgtroupe];
      for (const server of order) tps[server.name].push((await pgbench(server, args)).tps);
    }
    rows.push(row(name, tps.pgtroupe, tps.PostgreSQL, expected, 'at least'));
    console.log(format(rows.at(-1)));
  }
  console.log('\n| measure | pgtroupe | PostgreSQL 15 | ratio | expected |\n|---|---|---|---|---|');
  for (const r of rows) console.log(`| ${r.name} | ${r.ours} | ${r.theirs} | ${r.ratio} | ${r.expected} |`);
  console.log(`\nstart to ready (built, existing data): ${pgtroupe.readySeconds.toFixed(2)} s (expected: at most 3)`);
  await memory();
  await invariant();
} finally {
  await pgtroupe.stop();
  await postgres.stop();
}

async function initialise(server) {
  const { execFileSync } = await import('node:child_process');
  const { PG_BIN } = await import('./measure.mjs');
  execFileSync(`${PG_BIN}/pgbench`, ['-i', '-q', '-s', SCALE, '-h', server.host, '-p', String(server.port), '-U', server.user, server.database], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
}

function row(name, ours, theirs, expected, how) {
  const ratio = median(ours.map((value, i) => value / theirs[i]));
  const show = value => (value >= 100 ? String(Math.round(value)) : value.toFixed(2));
  return {
    name,
    ours: show(median(ours)),
    theirs: show(median(theirs)),
    ratio: ratio.toFixed(2),
    expected: expected === undefined ? '' : `${how} ${expected}`,
  };
}

function format(r) {
  return `${r.name}: ${r.ours} / ${r.theirs} = ${r.ratio} ${r.expected}`;
}

/** Resident memory of each role, from /proc. */
async function memory() {
  const status = await pgtroupe.status();
  console.log('\nresident memory (MiB):');
  for (const process_ of status.roles) {
    try {
      const text = readFileSync(`/proc/${process_.osPid}/status`, 'utf8');
      const kib = Number(/VmRSS:\s+(\d+)/.exec(text)?.[1] ?? 0);
      console.log(`  ${process_.name}: ${Math.round(kib / 1024)}`);
    } catch {
      // Gone meanwhile.
    }
  }
}

/** pgbench's books must balance. */
async function invariant() {
  const sums = await ask(
    pgtroupe,
    'select (select sum(abalance) from pgbench_accounts), (select sum(tbalance) from pgbench_tellers), (select sum(bbalance) from pgbench_branches), (select sum(delta) from pgbench_history)',
  );
  const values = new Set(sums.split('|'));
  console.log(`\nsum(abalance) | sum(tbalance) | sum(bbalance) | sum(delta): ${sums}`);
  if (values.size !== 1) {
    console.error('bench: the sums differ');
    process.exitCode = 1;
  }
}
