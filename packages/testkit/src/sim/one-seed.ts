/** One seed of what `seeds.ts` was asked for, and what came of it. */
import { writeFileSync } from 'node:fs';
import { BOOKS } from './books.ts';
import { SimCluster } from './cluster.ts';
import { mixOf } from './mix.ts';
import type { Fault } from './nemesis.ts';
import type { PlantedBug } from './planted.ts';
import { PLANTED_DISK } from './planted-disk.ts';
import { PLANTED_ENDS } from './planted-ends.ts';
import { PLANTED_LOCKS } from './planted-locks.ts';
import { PLANTED_BUGS } from './planted.ts';
import { run, type RunOptions } from './run.ts';

export interface SeedsWanted {
  /** A book's name; undefined: the mix. */
  readonly book: string | undefined;
  readonly bug: string | undefined;
  /** Instead of those that each seed chooses. */
  readonly faults: readonly Fault[] | undefined;
  /** Where the trace is written to, `%` stands for the seed. */
  readonly trace: string | undefined;
  /** The trace tells of every message. */
  readonly verbose: boolean;
}

export interface Outcome {
  readonly seed: number;
  readonly failure: string | undefined;
  readonly what: string;
  readonly acknowledged: number;
  readonly simulatedMs: number;
  readonly cpuMs: number;
}

export const ALL_PLANTED: readonly PlantedBug[] = [...PLANTED_BUGS, ...PLANTED_DISK, ...PLANTED_LOCKS, ...PLANTED_ENDS];

function bugOf(name: string | undefined): PlantedBug | undefined {
  if (name === undefined) return undefined;
  const bug = ALL_PLANTED.find(b => b.name === name);
  if (bug === undefined) throw new Error(`no bug of this name; there are: ${ALL_PLANTED.map(b => b.name).join(', ')}`);
  return bug;
}

/** Who does what in this seed: the mix, or one book with the mix' clients and instances. */
function workOf(seed: number, wanted: SeedsWanted, bug: PlantedBug | undefined): ReturnType<typeof mixOf> {
  const mix = mixOf(seed);
  const options: RunOptions = {
    ...mix.options,
    ...(bug === undefined ? {} : { bug, archiving: false }),
    ...(wanted.faults === undefined ? {} : { faults: wanted.faults }),
  };
  if (bug?.book !== undefined) return { name: bug.name, book: bug.book(), options };
  if (wanted.book === undefined) return { ...mix, options };
  const make = BOOKS[wanted.book];
  if (make === undefined) throw new Error(`no book of this name; there are: ${Object.keys(BOOKS).join(', ')}`);
  return { name: wanted.book, book: make(), options };
}

export async function oneSeed(seed: number, wanted: SeedsWanted): Promise<Outcome> {
  const bug = bugOf(wanted.bug);
  const { name, book, options } = workOf(seed, wanted, bug);
  const before = process.cpuUsage();
  let cluster: SimCluster | undefined;
  let failure: string | undefined;
  let acknowledged = 0;
  let what = `${name}, ${options.clients} clients, ${options.instances} instances`;
  try {
    const { accounts, nemesis } = await run(seed, book, {
      ...options,
      onCluster: made => {
        cluster = made;
        made.world.verbose = wanted.verbose;
      },
    });
    acknowledged = accounts.reduce((sum, a) => sum + a.acknowledged, 0);
    what += `, ${[...nemesis.done].map(([fault, n]) => `${n} ${fault}`).join(', ')}`;
  } catch (error) {
    failure = (error as Error).stack ?? String(error);
  }
  if (wanted.trace !== undefined && cluster !== undefined)
    writeFileSync(wanted.trace.replace('%', String(seed)), cluster.world.trace.join('\n'));
  const { user, system } = process.cpuUsage(before);
  const simulatedMs = cluster?.world.nowMs ?? 0;
  return { seed, failure, what, acknowledged, simulatedMs, cpuMs: (user + system) / 1000 };
}
