import { expect, test } from 'vitest';
import { StatementWork } from './statement-work.ts';

const PLAN = { type: 'PlannedStmt' };
const impatient = { beginSlice: () => {}, shouldYield: () => true };
const patient = { ...impatient, shouldYield: () => false };

function world() {
  let begun = 0;
  const begin = function* () {
    begun++;
    for (let n = 0; n < 3; n++) yield;
    return PLAN;
  };
  return { work: new StatementWork<typeof PLAN>(), begin, begun: () => begun };
}

test('what fits into a slice is done in it, what does not goes on in the next turn', () => {
  const { work, begin, begun } = world();
  expect(work.run(['1', PLAN], begin, patient)).toBe(PLAN);
  const answers = [1, 2, 3, 4].map(() => work.run(['1', PLAN], begin, impatient));
  expect(answers).toEqual([undefined, undefined, undefined, PLAN]);
  expect(begun()).toBe(2);
});

test('of other catalogs it begins anew, and in the end is done in one piece', () => {
  const { work, begin, begun } = world();
  expect(work.run(['1'], begin, impatient)).toBeUndefined();
  expect(work.underWay).toBe(true);
  expect(work.run(['2'], begin, impatient)).toBeUndefined();
  expect(begun()).toBe(2);
  expect(work.run(['3'], begin, impatient)).toBeUndefined();
  expect(work.run(['4'], begin, impatient)).toBe(PLAN);
});

test('after an error it begins anew', () => {
  const { work, begin } = world();
  const fails = function* (): Generator<void, typeof PLAN> {
    yield;
    throw new Error('a miss');
  };
  expect(work.run(['1'], fails, impatient)).toBeUndefined();
  expect(() => work.run(['1'], fails, impatient)).toThrow('a miss');
  expect(work.underWay).toBe(false);
  expect(work.run(['1'], begin, patient)).toBe(PLAN);
});
