import { expect, it } from 'vitest';
import { finish, sortInSlices } from './slices.ts';

/** Numbers in no order, many of them equal. */
const shuffled = (n: number): { key: number; at: number }[] =>
  Array.from({ length: n }, (_, at) => ({ key: (at * 7919) % 1000, at }));

it.each([0, 1, 1024, 1025, 5000, 40_000])('%i elements are sorted, equal ones in their order', n => {
  const list = shuffled(n);
  const sorted = [...list].sort((a, b) => a.key - b.key);
  finish(sortInSlices(list, (a, b) => a.key - b.key));
  expect(list).toEqual(sorted);
});

it('no step compares more than some thousand times', () => {
  let compared = 0;
  let most = 0;
  const list = shuffled(100_000);
  const work = sortInSlices(list, (a, b) => (compared++, a.key - b.key));
  for (let step = work.next(); step.done !== true; step = work.next()) {
    most = Math.max(most, compared);
    compared = 0;
  }
  expect(most).toBeGreaterThan(0);
  expect(most).toBeLessThan(20_000);
});

it.each([3, 30_000, 90_000])('a comparison that throws after %i leaves all elements there', n => {
  const list = shuffled(10_000);
  let compared = 0;
  const fails = (a: { key: number }, b: { key: number }): number => {
    if (++compared > n) throw new Error('not known yet');
    return a.key - b.key;
  };
  expect(() => finish(sortInSlices(list, fails))).toThrow('not known yet');
  expect(list.map(({ at }) => at).sort((a, b) => a - b)).toEqual(shuffled(10_000).map(({ at }) => at));
});
