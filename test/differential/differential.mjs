/**
 * npm run differential: the same generated statements on pgtroupe and on PostgreSQL 15; rows, their order, column types, SQLSTATE and
 * message must be equal.
 *
 *   node test/differential/differential.mjs [--statements 2000] [--seed 1] [--from 0] [--target host:port]
 *        [--oracle host:port] [--golden FILE] [--record FILE] [--reduce 5] [--one N] [--slow 400] [--patience 30000] [--lanes 2]
 *
 * Without --target a cluster of its own is started. Every block of statements runs with another way of planning and
 * executing (modes.mjs). With --golden the recorded answers judge instead of a server; --record
 * asks PostgreSQL alone and writes them. --slow: milliseconds after which PostgreSQL's answer is not waited for; such statements are
 * not sent to pgtroupe. --patience: after which pgtroupe's is called far slower (more on a busy machine). --lanes: sessions at a time.
 * Prints each difference with its smallest case and a count by kind; exits 1 if any is unexplained.
 */
import { parseArgs } from 'node:util';
import { ORACLE_HOST, ORACLE_PORT } from '../../packages/testkit/dist/oracle-address.js';
import { startPgtroupe } from '../bench/servers.mjs';
import { BLOCK, Comparison, modeOf } from './comparison.mjs';
import { readGolden, writeGolden } from './golden.mjs';
import { scriptOf, statement } from './statements.mjs';

const { values: options } = parseArgs({
  options: {
    statements: { type: 'string', default: '2000' },
    seed: { type: 'string', default: '1' },
    from: { type: 'string', default: '0' },
    target: { type: 'string' },
    oracle: { type: 'string', default: `${ORACLE_HOST}:${ORACLE_PORT}` },
    golden: { type: 'string' },
    record: { type: 'string' },
    slow: { type: 'string', default: '400' },
    patience: { type: 'string', default: '30000' },
    lanes: { type: 'string', default: '2' },
    reduce: { type: 'string', default: '5' },
    one: { type: 'string' },
  },
});
const SEED = Number(options.seed);
const FROM = Number(options.one ?? options.from);
const TO = options.one === undefined ? FROM + Number(options.statements) : FROM + 1;
const recording = options.record !== undefined;

const recorded = options.golden === undefined ? undefined : readGolden(options.golden, SEED, FROM, TO - FROM);
if (recorded !== undefined) console.log(`no PostgreSQL asked: answers recorded in ${options.golden} judge`);

const begun = performance.now();
// What is replayed uses the machine's cores: a process for each lane.
const settings = recorded === undefined ? [] : ['sessions_per_instance=1'];
const own = options.target === undefined && !recording ? await startPgtroupe(settings) : undefined;
const addresses = {
  target: recording ? undefined : (options.target ?? `127.0.0.1:${own.port}`),
  oracle: recorded === undefined ? options.oracle : undefined,
  slow: Number(options.slow),
  patience: Number(options.patience),
};
const counts = { statements: 0, equal: 0 };
const spent = { judge: 0, target: 0 };
const slow = [];
const reasons = new Map();
const faults = new Map();
const written = [];
let reductions = Number(options.reduce);
let next = FROM;

try {
  const lanes = Array.from({ length: Math.min(Number(options.lanes), Math.ceil((TO - FROM) / BLOCK)) }, (_, i) => i);
  await Promise.all(lanes.map(lane));
} finally {
  await own?.stop();
}
if (recording) writeGolden(options.record, SEED, FROM, written);
report();

/** Takes one block after the other. */
async function lane(number) {
  const comparison = await Comparison.open(addresses, number);
  try {
    while (next < TO) {
      const from = next;
      next = Math.min(TO, from - (from % BLOCK) + BLOCK);
      const [to, mode] = [next, modeOf(from)];
      if (!recording) await comparison.use(mode);
      for (let n = from; n < to; n++) {
        if (recording) written[n - FROM] = await comparison.record(statement(SEED, n), mode);
        else await one(comparison, n, mode);
        if (++counts.statements % 1000 === 0) console.log(`… ${counts.statements} statements`);
      }
    }
  } finally {
    for (const side of ['judge', 'target']) spent[side] += comparison.spent[side];
    await comparison.close();
  }
}

async function one(comparison, n, mode) {
  const made = statement(SEED, n);
  const result = await comparison.compare(made, mode, recorded?.[n - FROM]);
  if (options.one !== undefined)
    console.log(`${scriptOf(made).join(';\n')};\n-- ${mode.name}\n${JSON.stringify(result, null, 1)}`);
  if (result.slow) slow.push(n);
  else if (result.fault === undefined && result.explained === undefined) counts.equal++;
  else if (result.fault === undefined) add(reasons, result.explained, n);
  else {
    add(faults, result.fault, n);
    const small =
      recorded === undefined && reductions-- > 0 ? await comparison.reduce(made, mode, result.fault) : undefined;
    const lines = [`\n#### ${n} (${mode.name}) ${result.fault}`, `${scriptOf(small ?? made).join(';\n')};`];
    if (small !== undefined) {
      const { got, expected } = await comparison.compare(small, mode);
      lines.push(`PostgreSQL ${short(expected)}`, `pgtroupe   ${short(got)}`);
    }
    console.log(lines.join('\n'));
  }
}

function add(map, key, n) {
  map.set(key, [...(map.get(key) ?? []), n]);
}

function short(answer) {
  const text = JSON.stringify(answer) ?? 'too slow';
  return text.length > 600 ? `${text.slice(0, 600)}…` : text;
}

function report() {
  const total = map => [...map.values()].reduce((sum, all) => sum + all.length, 0);
  const seconds = ms => Math.round(ms / 1000);
  console.log(
    `\nseed ${SEED}: ${counts.statements} statements, ${counts.equal} equal, ${slow.length} too slow to compare, ` +
      `${total(reasons)} explained, ${total(faults)} unexplained; seconds: ${seconds(performance.now() - begun)}, of them ` +
      `PostgreSQL ${seconds(spent.judge)}, pgtroupe ${seconds(spent.target)}`,
  );
  const some = all => `${all.slice(0, 12).join(' ')}${all.length > 12 ? ' …' : ''}`;
  if (slow.length > 0) console.log(`  too slow on PostgreSQL, not sent ${slow.length}: ${some(slow)}`);
  for (const [why, all] of [...reasons].sort((a, b) => b[1].length - a[1].length))
    console.log(`  explained ${all.length}: ${why}: ${some(all)}`);
  for (const [fault, all] of faults) console.log(`  UNEXPLAINED ${all.length}: ${fault}: ${some(all)}`);
  process.exitCode = total(faults) > 0 ? 1 : 0;
}
