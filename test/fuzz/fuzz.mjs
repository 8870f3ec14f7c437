/**
 * npm run fuzz: odd statements, on pgtroupe and, where one is, on PostgreSQL 15: every function and operator with odd arguments, texts for
 * every type's input, casts, SET of every parameter, mutants of the regression statements.
 *
 *   node test/fuzz/fuzz.mjs [--seed 1] [--rounds 3] [--only functions|operators|inputs|settings|mutants] [--target host:port]
 *        [--oracle host:port | --alone] [--golden FILE] [--record FILE] [--show 40] [--match REGEXP]
 *
 * Without --target a cluster of its own is started. --rounds: how often each function, operator, type and parameter has its turn. --alone
 * asks nobody else: nothing may die, and XX000 never reaches a client. With --golden the recorded marks of PostgreSQL's answers judge; --record
 * asks PostgreSQL alone and writes them. --match: only statements like this. Each difference is printed with both answers, and counted by
 * kind; explained.mjs knows which are right, and why. Exits 1 if one is not.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { ORACLE_HOST, ORACLE_PORT } from '../../packages/testkit/dist/oracle-address.js';
import { startPgtroupe } from '../bench/servers.mjs';
import { digest } from '../differential/answers.mjs';
import { seeded } from '../differential/tree.mjs';
import { Asked } from './asked.mjs';
import { judge, mark } from './judge.mjs';
import { corpus, mutant } from './mutations.mjs';
import { statements, textOf } from './statements.mjs';

const { values: options } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    rounds: { type: 'string', default: '3' },
    only: { type: 'string' },
    target: { type: 'string' },
    oracle: { type: 'string', default: `${ORACLE_HOST}:${ORACLE_PORT}` },
    alone: { type: 'boolean', default: false },
    golden: { type: 'string' },
    record: { type: 'string' },
    show: { type: 'string', default: '40' },
    match: { type: 'string' },
  },
});
const SEED = Number(options.seed);
const ROUNDS = Number(options.rounds);
const recording = options.record !== undefined;
const begun = performance.now();
const own = options.target === undefined && !recording ? await startPgtroupe() : undefined;
const target = recording ? undefined : (options.target ?? `127.0.0.1:${own.port}`);
const oracle = recording || !(options.alone || options.golden !== undefined) ? options.oracle : undefined;
const asked = [];
const counts = { asked: 0, equal: 0, slow: 0 };
const explained = new Map();
const faults = new Map();
let shown = 0;

try {
  for (const where of [target, oracle]) asked.push(where === undefined ? undefined : await Asked.connect(where));
  const [ours, theirs] = asked;
  const all = statements(await (theirs ?? ours).catalogs(), SEED, ROUNDS, options.only);
  if (recording) await record(theirs, all);
  else await compare(ours, theirs, all, options.golden === undefined ? undefined : recorded(all));
  if (!recording && options.golden === undefined && [undefined, 'mutants'].includes(options.only))
    await mutants(ours, theirs);
} finally {
  for (const server of asked) await server?.end();
  await own?.stop();
}
if (!recording) report();

function matches(made) {
  return options.match === undefined || new RegExp(options.match).test(textOf(made));
}

async function record(theirs, all) {
  const marks = [];
  for (const made of all) marks.push(mark(await theirs.answer(made.script), made.vague));
  writeFileSync(options.record, `${[headerOf(all), ...marks].join('\n')}\n`);
}

function headerOf(all) {
  return `seed ${SEED} rounds ${ROUNDS} statements ${all.length} digest ${digest(all)}`;
}

function recorded(all) {
  const [header, ...marks] = readFileSync(options.golden, 'utf8').trim().split('\n');
  if (header !== headerOf(all))
    throw new Error(`${options.golden} has the answers to other statements than "${headerOf(all)}": record it again`);
  console.log(`no PostgreSQL asked: answers recorded in ${options.golden} judge`);
  return marks;
}

async function compare(ours, theirs, all, marks) {
  for (const [n, made] of all.entries()) if (matches(made)) await one(ours, theirs, made, marks?.[n]);
}

async function one(ours, theirs, made, recordedMark) {
  const expected = await theirs?.answer(made.script);
  const wanted = expected === undefined ? recordedMark : mark(expected, made.vague);
  if (++counts.asked % 2000 === 0) console.log(`… ${counts.asked} statements`);
  const got = await ours.answer(made.script);
  const result = judge(made, got, wanted, expected);
  if (result === undefined) counts.equal++;
  else if (result.slow) counts.slow++;
  else if (result.explained !== undefined) explained.set(result.explained, (explained.get(result.explained) ?? 0) + 1);
  else {
    faults.set(result.fault, (faults.get(result.fault) ?? 0) + 1);
    if (shown++ >= Number(options.show)) return;
    console.log(`\n#### ${made.kind}: ${result.fault}\n${textOf(made)}`);
    if (expected !== undefined) console.log(`PostgreSQL ${short(expected)}\npgtroupe   ${short(got)}`);
  }
}

/** Files of the corpus, in a schema of their own each: before every statement some mutants of it, which are rolled back. */
async function mutants(ours, theirs) {
  for (const [number, { name, statements: originals }] of corpus().entries()) {
    for (const server of [ours, theirs]) await server?.schema(number);
    const random = seeded(SEED * 1000 + number);
    for (const sql of originals) {
      for (let round = 0; round < ROUNDS; round++) {
        if (ROUNDS < 1 && !random.chance(ROUNDS)) continue;
        const made = { kind: `mutant of ${name}`, script: ['begin', mutant(random, sql), 'rollback'], vague: false };
        if (matches(made)) await one(ours, theirs, made);
      }
      for (const server of [ours, theirs]) await server?.answer([sql]);
    }
  }
}

function short(answer) {
  const text = JSON.stringify(
    answer.error ?? answer.parts?.map(p => [p.columns.map(c => c.oid), p.rows]) ?? 'too slow',
  );
  return text.length > 400 ? `${text.slice(0, 400)}…` : text;
}

function report() {
  const total = map => [...map.values()].reduce((sum, n) => sum + n, 0);
  console.log(
    `\nseed ${SEED}: ${counts.asked} statements, ${counts.equal} ${oracle === undefined && options.golden === undefined ? 'without an internal error' : 'equal'}, ` +
      `${counts.slow} too slow to compare, ${total(explained)} explained, ${total(faults)} unexplained; ${Math.round((performance.now() - begun) / 1000)} s`,
  );
  for (const [map, label] of [
    [explained, 'explained'],
    [faults, 'UNEXPLAINED'],
  ])
    for (const [why, n] of [...map].sort((a, b) => b[1] - a[1])) console.log(`  ${label} ${n}: ${why}`);
  process.exitCode = faults.size > 0 ? 1 : 0;
}
