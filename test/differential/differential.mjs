/**
 * npm run differential: the same generated statements on pgtroupe and on PostgreSQL 15; rows, column types, SQLSTATE and
 * message must be equal.
 *
 *   node test/differential/differential.mjs [--statements 2000] [--seed 1] [--from 0] [--target host:port]
 *        [--oracle host:port] [--golden FILE] [--record FILE] [--reduce 5] [--one N] [--slow 400]
 *
 * Without --target a cluster of its own is started. Every block of statements runs with another way of planning and
 * executing (modes.mjs). With --golden the recorded answers judge instead of a server; --record
 * asks PostgreSQL alone and writes them. --slow: milliseconds after which PostgreSQL's answer is not waited for.
 * Prints each difference with its smallest case and a count by kind; exits 1 if any is unexplained.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { startPgtroupe } from '../bench/servers.mjs';
import { digest, explained, marks } from './explained.mjs';
import { MODES } from './modes.mjs';
import { reduce } from './reduce.mjs';
import { SETUP } from './schema.mjs';
import { Server } from './server.mjs';
import { scriptOf, statement } from './statements.mjs';
import { print } from './tree.mjs';

const { values: options } = parseArgs({
  options: {
    statements: { type: 'string', default: '2000' },
    seed: { type: 'string', default: '1' },
    from: { type: 'string', default: '0' },
    target: { type: 'string' },
    oracle: { type: 'string', default: `127.0.0.1:${process.env['PGTROUPE_ORACLE_PORT'] ?? 5555}` },
    golden: { type: 'string' },
    record: { type: 'string' },
    slow: { type: 'string', default: '400' },
    reduce: { type: 'string', default: '5' },
    one: { type: 'string' },
  },
});
const SEED = Number(options.seed);
const FROM = Number(options.one ?? options.from);
const TO = options.one === undefined ? FROM + Number(options.statements) : FROM + 1;
const BLOCK = 25;

/** Of which statements the answers are: a golden file is good for no others. */
const statements = digest([
  SETUP,
  BLOCK,
  Array.from({ length: TO - FROM }, (_, i) => scriptOf(statement(SEED, FROM + i))),
]);
const header = `seed ${SEED} from ${FROM} statements ${TO - FROM} digest ${statements}`;

const judge =
  options.golden === undefined ? await Server.connect(options.oracle, { slow: Number(options.slow) }) : null;
const recorded = options.golden === undefined ? null : readFileSync(options.golden, 'utf8').trim().split('\n');
if (recorded !== null && recorded.shift() !== header) {
  console.error(`${options.golden} has the answers to other statements than "${header}": record it again`);
  process.exit(2);
}
if (judge === null) console.log(`no PostgreSQL asked: answers recorded in ${options.golden} judge`);

const begun = performance.now();
const own = options.target === undefined && options.record === undefined ? await startPgtroupe() : null;
const target =
  options.record === undefined
    ? await Server.connect(options.target ?? `127.0.0.1:${own.port}`, { slow: 10_000 })
    : null;
console.log(`started after ${Math.round(performance.now() - begun)} ms`);
const counts = { statements: 0, equal: 0, slow: 0 };
const spent = { judge: 0, target: 0 };
const reasons = new Map();
const found = new Map();
const written = [];
let reductions = Number(options.reduce);

try {
  for (const server of [judge, target]) await server?.prepare(SETUP);
  for (let n = FROM; n < TO; n++) {
    const mode = MODES[Math.floor(n / BLOCK) % MODES.length];
    if (n === FROM || n % BLOCK === 0) await target?.use(mode);
    const made = statement(SEED, n);
    const script = scriptOf(made);
    if (options.one !== undefined) console.log(script.join(';\n'), `\n-- ${mode.name}`);
    const asking = performance.now();
    const expected = judge === null ? null : await judge.answer(script);
    const asked = performance.now();
    spent.judge += asked - asking;
    counts.statements++;
    if (counts.statements % 500 === 0)
      console.log(
        `… ${counts.statements} statements; ms: PostgreSQL ${Math.round(spent.judge)}, pgtroupe ${Math.round(spent.target)}`,
      );
    const wanted = recorded === null ? marks(expected) : recorded[n - FROM];
    written.push(wanted);
    if (wanted === 'slow') {
      counts.slow++;
      continue;
    }
    if (target === null) continue;
    const got = await target.answer(script, mode);
    spent.target += performance.now() - asked;
    if (options.one !== undefined) console.log(JSON.stringify({ expected, got }, null, 1));
    if (marks(got) === wanted) {
      counts.equal++;
      continue;
    }
    const why = explained(got, wanted, print(made.tree));
    if (why !== undefined) {
      reasons.set(why, (reasons.get(why) ?? 0) + 1);
      continue;
    }
    const kind = kindOf(got, expected);
    found.set(kind, [...(found.get(kind) ?? []), n]);
    console.log(`\n#### ${n} (${mode.name}) ${kind}`);
    if (judge === null || reductions-- <= 0) {
      console.log(script.join(';\n'));
      continue;
    }
    const smallest = await reduce(made, kind, async tree => {
      const cut = scriptOf({ ...made, tree });
      const want = await judge.answer(cut);
      if (want.slow) return undefined;
      const have = await target.answer(cut, mode);
      if (JSON.stringify(have) === JSON.stringify(want) || explained(have, marks(want), print(tree)) !== undefined)
        return undefined;
      return kindOf(have, want);
    });
    const cut = scriptOf({ ...made, tree: smallest });
    console.log(`${cut.join(';\n')};`);
    console.log('PostgreSQL', short(await judge.answer(cut)));
    console.log('pgtroupe  ', short(await target.answer(cut, mode)));
  }
} finally {
  await judge?.end();
  await target?.end();
  await own?.stop();
}

if (options.record !== undefined) writeFileSync(options.record, `${header}\n${written.join('\n')}\n`);
const unexplained = [...found.values()].reduce((sum, all) => sum + all.length, 0);
console.log(
  `\nseed ${SEED}: ${counts.statements} statements, ${counts.equal} equal, ${counts.slow} too slow to compare, ${[...reasons.values()].reduce((a, b) => a + b, 0)} explained, ${unexplained} unexplained; seconds: PostgreSQL ${Math.round(spent.judge / 1000)}, pgtroupe ${Math.round(spent.target / 1000)}`,
);
for (const [why, count] of [...reasons].sort((a, b) => b[1] - a[1])) console.log(`  explained ${count}: ${why}`);
for (const [kind, all] of found) console.log(`  UNEXPLAINED ${all.length}: ${kind}: ${all.slice(0, 12).join(' ')}`);
process.exitCode = unexplained > 0 ? 1 : 0;

function short(answer) {
  const text = JSON.stringify(answer);
  return text.length > 600 ? `${text.slice(0, 600)}…` : text;
}

/** Rows against rows is one kind; an error is its own. */
function kindOf(got, expected) {
  if (expected === null)
    return got.error === undefined ? 'other rows than recorded' : `${got.error.code} ${got.error.message}`;
  if (got.error !== undefined)
    return `${got.error.code} ${got.error.message}${expected.error === undefined ? '' : ` for ${expected.error.code} ${expected.error.message}`}`;
  if (expected.error !== undefined) return `no error ${expected.error.code} ${expected.error.message}`;
  return JSON.stringify(got.types) === JSON.stringify(expected.types) ? 'rows' : 'column types';
}
