/**
 * npm run soak: several sessions define, use, alter and drop for a while; the memory of each process has to level off.
 *
 *   node test/soak/soak.mjs [MINUTES=20] [--sessions 4] [--instances 1] [--seed 1] [--growth 10] [--keep]
 *
 * Prints the resident memory of every role once a minute, then by how much the last third's mean lies above the middle
 * third's. Exits 1 where that is more than `--growth` percent (and 8 MB), or when a statement failed as none should.
 * Caches of pages are small, so that they are full long before the middle. `--keep` leaves the cluster running for a look.
 */
import { parseArgs } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import { startPgtroupe } from '../bench/servers.mjs';
import { connect, seeded } from '../recovery/ledger.mjs';
import { round } from './round.mjs';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    sessions: { type: 'string', default: '4' },
    instances: { type: 'string', default: '1' },
    seed: { type: 'string', default: '1' },
    growth: { type: 'string', default: '10' },
    keep: { type: 'boolean', default: false },
  },
});
const MINUTES = Number(positionals[0] ?? 20);
const SAMPLE_MS = 20_000;
const NOISE_MB = 8;
const END = performance.now() + MINUTES * 60_000;
const MB = 1 << 20;

const server = await startPgtroupe([
  'shared_buffers=32MB',
  'instance_buffers=32MB',
  'max_wal_size=64MB',
  'checkpoint_timeout=60s',
  `sessions_per_instance=${Math.ceil(Number(options.sessions) / Number(options.instances)) + 1}`,
]);
let rounds = 0;
const failures = new Map();

/** One session after the other, each for some rounds: what a session keeps goes with it. */
async function worker(n) {
  const random = seeded(Number(options.seed) * 1000 + n);
  while (performance.now() < END) {
    const client = await connect(server);
    for (let i = 0; i < 20 && performance.now() < END; i++) {
      await round(client, random, n, error => failures.set(error, (failures.get(error) ?? 0) + 1));
      rounds++;
    }
    await client.end();
  }
}

/** Resident MB by role. */
async function sample() {
  const { roles } = await server.status();
  return new Map(roles.filter(({ osPid }) => osPid > 0).map(({ name, rssBytes }) => [name, rssBytes / MB]));
}

const samples = [];
async function watch() {
  const begun = performance.now();
  for (let shown = -1; performance.now() < END; ) {
    const now = await sample();
    samples.push(now);
    const minute = Math.floor((performance.now() - begun) / 60_000);
    if (minute > shown) {
      shown = minute;
      const figures = [...now].map(([name, mb]) => `${name} ${Math.round(mb)}`).join('  ');
      console.log(`${String(minute).padStart(3)} min  ${String(rounds).padStart(6)} rounds  ${figures}`);
    }
    await sleep(SAMPLE_MS);
  }
}

await Promise.all([watch(), ...Array.from({ length: Number(options.sessions) }, (_, n) => worker(n))]);

const mean = (name, from, to) => {
  const values = samples
    .slice(Math.floor(samples.length * from), Math.floor(samples.length * to))
    .map(s => s.get(name));
  return values.reduce((sum, value) => sum + (value ?? 0), 0) / values.length;
};
let grown = 0;
console.log('\nMB: mean of the middle third, of the last, growth');
for (const name of samples.at(-1).keys()) {
  const middle = mean(name, 1 / 3, 2 / 3);
  const last = mean(name, 2 / 3, 1);
  const tooMuch = last - middle > Math.max(NOISE_MB, (middle * Number(options.growth)) / 100);
  if (tooMuch) grown++;
  console.log(
    `${name.padEnd(16)}${middle.toFixed(0).padStart(6)}${last.toFixed(0).padStart(6)}${(last - middle).toFixed(1).padStart(8)}${tooMuch ? '  GROWS' : ''}`,
  );
}
for (const [error, count] of failures) console.log(`${count} times: ${error}`);
console.log(`\n${rounds} rounds in ${MINUTES} minutes, ${grown} processes grow, ${failures.size} kinds of failures`);
if (options.keep) console.log(`kept: port ${server.port}, data ${server.data}`);
else await server.stop();
process.exit(grown > 0 || failures.size > 0 ? 1 : 0);
