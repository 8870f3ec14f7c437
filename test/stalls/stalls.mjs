/**
 * npm run stalls: no statement stops its neighbours. Runs each of cases.mjs in one session while another session of the same instance
 * asks `select 1` every 10 ms; then again, cancelled in its middle, and with a statement_timeout of as much.
 *
 *   node test/stalls/stalls.mjs [--only PATTERN] [--cheap] [--target host:port] [--pid N] [--no-cancel] [--record]
 *
 * Prints for each: the longest wait of the neighbour and the most that the instance's main thread computed during one (which a busy machine does not lengthen), the statement's time, whether the answer is PostgreSQL's (answers.json has those; --record
 * asks the PostgreSQL at PGTROUPE_ORACLE_PORT for them), how late a cancel and a timeout ended it, and the peak of the instance's memory.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { ORACLE_HOST, ORACLE_PORT } from '../../packages/testkit/dist/oracle-address.js';
import { startPgtroupe } from '../bench/servers.mjs';
import { CASES, SETUP } from './cases.mjs';
import { Client } from './client.mjs';
import { Watch } from './watch.mjs';

const { values: options } = parseArgs({
  options: {
    only: { type: 'string' },
    cheap: { type: 'boolean', default: false },
    target: { type: 'string' },
    pid: { type: 'string' },
    cancel: { type: 'boolean', default: true },
    record: { type: 'boolean', default: false },
    setup: { type: 'boolean', default: true },
  },
  allowNegative: true,
});

const ANSWERS = new URL('answers.json', import.meta.url);
const answers = JSON.parse(readFileSync(ANSWERS, 'utf8'));
const pattern = new RegExp(options.only ?? '', 'i');
const chosen = CASES.filter(({ name, cheap }) => pattern.test(name) && (cheap || !options.cheap));
/** A statement that is over sooner is not cancelled. */
const LONG_MS = 150;

async function setUp(server) {
  const client = await Client.open(server);
  for (const sql of SETUP) {
    const answer = await client.query(sql);
    if (/^[0-9A-Z]{5}$/.test(answer)) throw new Error(`${answer}: ${sql.slice(0, 100)}`);
  }
  client.close();
}

function at(address) {
  const [host, port] = address.split(':');
  return { host, port: Number(port), database: 'postgres' };
}

async function record() {
  const server = at(`${ORACLE_HOST}:${ORACLE_PORT}`);
  await setUp(server);
  const watch = await new Watch(server).start();
  for (const { name } of chosen) {
    const { answer, ms } = await watch.run(name);
    answers[name] = answer;
    console.log(`${String(Math.round(ms)).padStart(8)} ms  ${name}: ${answer}`);
  }
  await watch.stop();
  const known = CASES.map(({ name }) => name).filter(name => name in answers);
  writeFileSync(ANSWERS, `${JSON.stringify(Object.fromEntries(known.map(name => [name, answers[name]])), null, 2)}\n`);
}

const figure = (value, width) => (value === undefined ? '' : String(Math.round(value))).padStart(width);

function verdict({ name, answer: why }, run) {
  if (run.lost > 0) return 'DIED';
  if (run.answer === answers[name]) return 'ok';
  return why === undefined ? `${run.answer}, not ${answers[name]}` : run.answer;
}

function late({ answer, lateMs }) {
  return answer.includes('57014') ? Math.max(0, lateMs) : undefined;
}

async function measure() {
  const own = options.target === undefined;
  const server = own ? await startPgtroupe() : at(options.target);
  if (own) server.osPid = (await server.status()).roles.find(({ name }) => name.startsWith('backend')).osPid;
  else if (options.pid !== undefined) server.osPid = Number(options.pid);
  if (options.setup) await setUp(server);
  const stop = async () => {
    if (own) await server.stop();
    process.exit(1);
  };
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void stop());
  const watch = await new Watch(server).start();
  const noise = await watch.noise(3000);
  console.log(`A neighbour's longest wait with nothing else to do: ${Math.round(noise.gapMs)} ms\n`);
  console.log('busy ms  gap ms      ms  cancel timeout  MB peak  statement: answer');
  let longest = 0;
  let busiest = 0;
  let wrong = 0;
  for (const one of chosen) {
    const run = await watch.run(one.name);
    const cancelled =
      options.cancel && run.ms > LONG_MS ? late(await watch.cancelled(one.name, run.ms * 0.4)) : undefined;
    const timedOut =
      options.cancel && run.ms > LONG_MS ? late(await watch.timedOut(one.name, run.ms * 0.6)) : undefined;
    const said = verdict(one, run);
    if (said !== 'ok') wrong++;
    longest = Math.max(longest, run.gapMs);
    busiest = Math.max(busiest, run.busyMs);
    console.log(
      `${figure(run.busyMs, 7)}${figure(run.gapMs, 8)}${figure(run.ms, 8)}${figure(cancelled, 8)}${figure(timedOut, 8)}${figure(run.memoryMb, 9)}  ${one.name}: ${said}`,
    );
  }
  console.log(
    `\n${chosen.length} statements, longest wait ${Math.round(longest)} ms (${Math.round(busiest)} ms of computing), ${wrong} answers not PostgreSQL's`,
  );
  await watch.stop();
  if (own) await server.stop();
}

await (options.record ? record() : measure());
process.exit();
