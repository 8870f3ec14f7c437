/**
 * Many seeds over all cores: `npm run sim -- --seeds 1-1000`, or `node packages/testkit/dist/sim/seeds.js`.
 *
 *   --seeds A-B      which (1-40)                 --jobs N       processes (as many as there are cores)
 *   --book NAME      instead of the mix           --bug NAME     a planted bug, with its faults and its book
 *   --faults A,B     instead of the seed's own    --trace FILE   the trace, `%` is the seed; --verbose: every message
 *
 * Says how many there were and which failed; ends with 1 if any did.
 */
import { fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Fault } from './nemesis.ts';
import { type Outcome, oneSeed, type SeedsWanted } from './one-seed.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1-40' },
    jobs: { type: 'string', default: String(availableParallelism()) },
    book: { type: 'string' },
    bug: { type: 'string' },
    faults: { type: 'string' },
    trace: { type: 'string' },
    verbose: { type: 'boolean', default: false },
  },
});

/** Young objects are many and die soon. */
const NODE_OPTIONS = ['--max-semi-space-size=64'];
const FIRST_FAILURES = 10;

function wanted(): SeedsWanted {
  const { book, bug, trace, verbose } = values;
  return { book, bug, trace, verbose, faults: values.faults?.split(',') as Fault[] | undefined };
}

/** In a process of its own: does what it is told. */
function work(): void {
  process.on('message', (seed: number) => {
    void oneSeed(seed, wanted()).then(outcome => process.send!(outcome));
  });
}

function tell({ seed, failure, what, acknowledged, simulatedMs, cpuMs }: Outcome): void {
  const times = `${Math.round(simulatedMs)} simulated ms in ${Math.round(cpuMs)} ms of CPU`;
  const outcome = failure === undefined ? 'ok' : 'FAIL';
  console.log(`seed ${seed}: ${outcome}, ${acknowledged} acknowledged, ${times}, ${what}`);
  if (failure !== undefined) console.log(failure);
}

async function lead(): Promise<void> {
  const [first = 1, last = first] = values.seeds.split('-').map(Number);
  const began = performance.now();
  const outcomes: Outcome[] = [];
  let next = first;
  const employ = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const worker = fork(fileURLToPath(import.meta.url), process.argv.slice(2), {
        env: { ...process.env, SIM_WORKER: '1' },
        execArgv: NODE_OPTIONS,
      });
      let seed = 0;
      const give = (): void => {
        seed = next++;
        if (seed <= last) worker.send(seed);
        else worker.disconnect();
      };
      worker.on('message', (outcome: Outcome) => {
        outcomes.push(outcome);
        tell(outcome);
        give();
      });
      worker.on('exit', code =>
        code === 0 ? resolve() : reject(new Error(`seed ${seed} ended its process: ${code}`)),
      );
      give();
    });
  await Promise.all(Array.from({ length: Math.min(Number(values.jobs), last - first + 1) }, employ));
  const failed = outcomes.filter(o => o.failure !== undefined).map(o => o.seed);
  failed.sort((a, b) => a - b);
  const sum = (of: (o: Outcome) => number): number => outcomes.reduce((total, o) => total + of(o), 0);
  console.log(
    `${outcomes.length} seeds, ${failed.length} failed${failed.length > 0 ? ` (${failed.slice(0, FIRST_FAILURES).join(', ')})` : ''}: ` +
      `${sum(o => o.acknowledged)} acknowledged, ${Math.round(sum(o => o.cpuMs) / outcomes.length)} ms of CPU for each, ` +
      `${Math.round((performance.now() - began) / 1000)} s`,
  );
  if (failed.length > 0 || outcomes.length === 0) process.exitCode = 1;
}

if (process.env['SIM_WORKER'] === '1') work();
else await lead();
