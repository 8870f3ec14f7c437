/** The ordinary mix: who does what, and where, chosen by the seed; the faults are the nemesis' choice. */
import { seededRandom } from './prng.ts';
import { BOOKS } from './books.ts';
import { combinedBook } from './combined-book.ts';
import type { Book } from './ledger.ts';
import type { RunOptions } from './run.ts';

/** `tables` is what `ddl` does too, and grows by the number. */
const MIXED = Object.keys(BOOKS).filter(name => name !== 'tables');

/** Share of seeds in which WAL is archived. */
const ARCHIVING = 0.25;
/** Share of seeds in which some commit asynchronously, of those whose books do not build on what was acknowledged. */
const ASYNCHRONOUS = 0.5;
const INDEPENDENT: ReadonlySet<string> = new Set(['rows', 'churn']);

export interface Mix {
  readonly name: string;
  readonly book: Book;
  readonly options: RunOptions;
}

export function mixOf(seed: number): Mix {
  const chance = seededRandom(seed ^ 0x313);
  const among = (n: number): number => Math.floor(chance.uniform() * n);
  const names = [MIXED[among(MIXED.length)]!];
  if (chance.uniform() < 0.5) names.push(MIXED[among(MIXED.length)]!);
  const kinds = [...new Set(names)];
  return {
    name: kinds.join('+'),
    book: combinedBook(kinds.map(name => BOOKS[name]!())),
    options: {
      clients: 2 + among(3),
      rounds: 8,
      instances: 1 + among(4),
      archiving: seededRandom(seed ^ 0xa7c4).uniform() < ARCHIVING,
      // Whatever hinders flushing makes the window longer.
      ...(kinds.every(kind => INDEPENDENT.has(kind)) && seededRandom(seed ^ 0xa57c).uniform() < ASYNCHRONOUS
        ? { asynchronous: { windowMs: Infinity } }
        : {}),
    },
  };
}
