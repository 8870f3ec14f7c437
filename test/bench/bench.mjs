/**
 * npm run bench [-- NAME]: pgtroupe and PostgreSQL 15 in turn, in one run, on this machine.
 *
 * Both with shared_buffers=256MB and data checksums, everything else stock, fsync on. Each
 * round measures both servers, one right after the other and in alternating order; the table shows the
 * medians and the median of the rounds' ratios. BENCH_SECONDS (5) and BENCH_ROUNDS (3) set the length, NAME
 * the cases whose name contains it.
 *
 * Beside the ratios: what a transaction costs in messages between the roles, counted by the roles over the same rounds;
 * memory; the time to start. Every table says which expected bounds are missed.
 */
import { execFileSync } from 'node:child_process';
import { availableParallelism, totalmem } from 'node:os';
import { atLeast, atMost, judged, printMissed, printTable } from './bound.mjs';
import { PG_BIN } from '../../packages/testkit/dist/oracle-address.js';
import { ask, median, pgbench, timed } from './measure.mjs';
import { idleSessions, residentRoles, SESSIONS_SETTINGS } from './memory.mjs';
import { postgresAvailable, startPgtroupe, startPostgres } from './servers.mjs';
import { addTraffic, perTransaction, readTraffic } from './traffic.mjs';

const SECONDS = process.env.BENCH_SECONDS ?? '5';
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? '3');
const SCALE = process.env.BENCH_SCALE ?? '10';
/** What the bounds of messages allow for pgbench's own first questions and for a page now and then. */
const NOISE = 0.05;

const T = ['-n', '-T', SECONDS];
/** `awaited`: how many messages to the buffer-manager a transaction may wait for. */
const CASES = [
  {
    name: 'TPC-B, prepared, 1 client',
    args: [...T, '-M', 'prepared', '-c', '1'],
    expected: 0.5,
    awaited: 1,
    writes: true,
  },
  { name: 'TPC-B, prepared, 16 clients', args: [...T, '-M', 'prepared', '-c', '16'], expected: 0.5, writes: true },
  { name: 'TPC-B, simple, 16 clients', args: [...T, '-M', 'simple', '-c', '16'], writes: true },
  { name: 'select only, prepared, 1 client', args: [...T, '-S', '-M', 'prepared', '-c', '1'], awaited: 0 },
  {
    name: 'select only, prepared, 16 clients',
    args: [...T, '-S', '-M', 'prepared', '-c', '16'],
    expected: 0.8,
    awaited: 0,
  },
  { name: 'select only, simple, 16 clients', args: [...T, '-S', '-M', 'simple', '-c', '16'], awaited: 0 },
  { name: 'select only, connect each time, 16 clients', args: [...T, '-S', '-C', '-c', '16'], expected: 8 },
];

if (!postgresAvailable()) {
  console.log('bench: PostgreSQL 15 (server and pgbench) is not installed; on Debian: apt-get install postgresql-15');
  process.exit(2);
}
const only = process.argv[2];
const cases = CASES.filter(({ name }) => only === undefined || name.includes(only));
if (cases.length === 0) {
  console.log(`bench: no case is called "${only}"; there are\n${CASES.map(({ name }) => `  ${name}`).join('\n')}`);
  process.exit(2);
}

const postgres = await startPostgres();
let pgtroupe = await startPgtroupe();
try {
  console.log(
    `machine: ${availableParallelism()} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}`,
  );
  const rows = [await initialised()];
  const messages = [];
  for (const one of cases) {
    const { row, traffic } = await measured(one);
    rows.push(row);
    messages.push(traffic);
    console.log(row.join('; '));
  }
  printTable(['measure', 'pgtroupe', 'PostgreSQL 15', 'ratio', 'expected'], rows);
  printTable(
    [
      'per transaction',
      'attach messages up / down',
      'of these up, no session waits for',
      'attach operations up / down',
      'WAL messages up / down',
      'gRPC messages, all',
      'page images to the buffer-manager / to the instance',
      'NATS messages',
      'expected',
    ],
    messages,
  );
  const roles = await residentRoles(pgtroupe);
  await invariant();
  // The same data once more, with room for the sessions and with an instance that has seen none.
  await pgtroupe.stop({ keep: true });
  pgtroupe = await startPgtroupe(SESSIONS_SETTINGS, pgtroupe.folder);
  const ready = pgtroupe.readySeconds;
  printTable(
    ['start', 'seconds', 'expected'],
    [['start to ready, built, existing data', ready.toFixed(2), judged('start to ready', ready, atMost(3))]],
  );
  printTable(['role, after the run', 'resident MiB'], roles);
  printTable(['idle sessions', 'resident'], await idleSessions(pgtroupe));
  printMissed();
} finally {
  await pgtroupe.stop();
  await postgres.stop();
}

async function initialised() {
  const seconds = {};
  for (const server of [pgtroupe, postgres]) seconds[server.name] = [await timed(() => initialise(server))];
  return row(`pgbench -i -s ${SCALE} (seconds)`, seconds, atMost(4));
}

function initialise(server) {
  execFileSync(
    `${PG_BIN}/pgbench`,
    ['-i', '-q', '-s', SCALE, '-h', server.host, '-p', String(server.port), '-U', server.user, server.database],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
}

async function measured({ name, args, expected, awaited }) {
  const tps = { pgtroupe: [], PostgreSQL: [] };
  const total = { transactions: 0 };
  for (let round = 0; round < ROUNDS; round++) {
    const order = round % 2 === 0 ? [pgtroupe, postgres] : [postgres, pgtroupe];
    for (const server of order) {
      const before = server === pgtroupe ? await readTraffic(pgtroupe) : undefined;
      const result = await pgbench(server, args);
      tps[server.name].push(result.tps);
      if (before !== undefined) addTraffic(total, before, await readTraffic(pgtroupe), result.transactions);
    }
  }
  const { attach, lazy, operations, wal, grpc, pages, nats } = perTransaction(total);
  const bound =
    awaited === undefined ? undefined : { ...atMost(awaited + NOISE), text: `${awaited} up that is waited for` };
  const verdict = judged(
    `${name}, attach messages per transaction`,
    (total.attachUp - total.attachUnawaited) / total.transactions,
    bound,
  );
  return {
    row: row(name, tps, expected === undefined ? undefined : atLeast(expected)),
    traffic: [name, attach, lazy, operations, wal, grpc, pages, nats, verdict],
  };
}

function row(name, { pgtroupe: ours, PostgreSQL: theirs }, bound) {
  const ratio = median(ours.map((value, i) => value / theirs[i]));
  const show = value => (value >= 100 ? String(Math.round(value)) : value.toFixed(2));
  return [name, show(median(ours)), show(median(theirs)), ratio.toFixed(2), judged(name, ratio, bound)];
}

/** pgbench's books must balance. */
async function invariant() {
  const title = '\nsum(abalance) | sum(tbalance) | sum(bbalance) | sum(delta)';
  if (!cases.some(({ writes }) => writes)) return console.log(`${title}: TPC-B was not run`);
  const sums = await ask(
    pgtroupe,
    'select (select sum(abalance) from pgbench_accounts), (select sum(tbalance) from pgbench_tellers), (select sum(bbalance) from pgbench_branches), (select sum(delta) from pgbench_history)',
  );
  console.log(`${title}: ${sums}`);
  if (new Set(sums.split('|')).size !== 1) {
    console.error('bench: the sums differ');
    process.exitCode = 1;
  }
}
