/**
 * Many seeds, outside the test runner: `node packages/testkit/dist/sim/seeds.js <first> <last> [book [planted bug]]`.
 */
import { writeFileSync } from 'node:fs';
import { SimCluster } from './cluster.ts';
import { BOOKS } from './books.ts';
import type { Fault } from './nemesis.ts';
import { PLANTED_BUGS } from './planted.ts';
import { PLANTED_ENDS } from './planted-ends.ts';
import { PLANTED_DISK } from './planted-disk.ts';
import { PLANTED_LOCKS } from './planted-locks.ts';
import { run } from './run.ts';

const [first = '1', last = first, book = 'rows', bugName] = process.argv.slice(2);
const bugs = [...PLANTED_BUGS, ...PLANTED_ENDS, ...PLANTED_DISK, ...PLANTED_LOCKS];
const bug = bugs.find(b => b.name === bugName);
if (bugName !== undefined && bug === undefined)
  throw new Error(`no bug of this name; there are: ${bugs.map(b => b.name).join(', ')}`);
const traceFile = process.env['SIM_TRACE'];
/** Instead of those that each seed chooses: SIM_FAULTS=disk-trouble,kill */
const faults = process.env['SIM_FAULTS']?.split(',') as Fault[] | undefined;
function number(variable: string, usual: number): number {
  return Number(process.env[variable] ?? usual);
}

let latest: SimCluster | undefined;
const create = SimCluster.create;
SimCluster.create = async (seed, options) => {
  latest = await create.call(SimCluster, seed, options);
  latest.world.verbose = process.env['VERBOSE'] === '1';
  return latest;
};
for (let seed = Number(first); seed <= Number(last); seed++) {
  const began = performance.now();
  let outcome = 'ok';
  let detail = '';
  try {
    const { accounts, nemesis } = await run(seed, (bug?.book ?? BOOKS[book]!)(), {
      clients: number('SIM_CLIENTS', 3),
      rounds: number('SIM_ROUNDS', 8),
      instances: number('SIM_INSTANCES', 1 + (seed % 3)),
      ...(bug === undefined ? {} : { bug }),
      ...(faults === undefined ? {} : { faults }),
    });
    detail = `${accounts.reduce((sum, a) => sum + a.acknowledged, 0)} acknowledged, ${[...nemesis.done].map(([f, n]) => `${n} ${f}`).join(', ')}`;
  } catch (error) {
    outcome = 'FAIL';
    detail = (error as Error).stack ?? String(error);
    process.exitCode = 1;
  }
  console.log(
    `seed ${seed}: ${outcome}, ${Math.round(latest?.world.nowMs ?? 0)} simulated ms in ${Math.round(performance.now() - began)} ms, ${detail}`,
  );
  if (traceFile !== undefined) writeFileSync(traceFile.replace('%', String(seed)), latest!.world.trace.join('\n'));
}
