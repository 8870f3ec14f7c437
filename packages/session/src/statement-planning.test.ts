import type { PlannedStmt } from '@pgtroupe/optimizer/plannodes';
import { expect, test } from 'vitest';
import { type PlanningBasis, StatementPlanning } from './statement-planning.ts';

const PLAN = { type: 'PlannedStmt' } as PlannedStmt;
const impatient = { beginSlice: () => {}, shouldYield: () => true };
const patient = { ...impatient, shouldYield: () => false };

function world() {
  let begun = 0;
  const begin = function* () {
    begun++;
    for (let n = 0; n < 3; n++) yield;
    return PLAN;
  };
  const basis = (validity: string): PlanningBasis => ({ query: QUERY, validity, snapshot: SNAPSHOT, params: PARAMS });
  return { planning: new StatementPlanning(), begin, basis, begun: () => begun };
}
const QUERY = {} as PlanningBasis['query'];
const SNAPSHOT = {};
const PARAMS: unknown[] = [];

test('what fits into a slice is planned in it, what does not goes on in the next turn', () => {
  const { planning, begin, basis, begun } = world();
  expect(planning.run(basis('1'), begin, patient)).toBe(PLAN);
  const answers = [1, 2, 3, 4].map(() => planning.run(basis('1'), begin, impatient));
  expect(answers).toEqual([undefined, undefined, undefined, PLAN]);
  expect(begun()).toBe(2);
});

test('of other catalogs it begins anew, and in the end plans in one piece', () => {
  const { planning, begin, basis, begun } = world();
  expect(planning.run(basis('1'), begin, impatient)).toBeUndefined();
  expect(planning.run(basis('2'), begin, impatient)).toBeUndefined();
  expect(begun()).toBe(2);
  expect(planning.run(basis('3'), begin, impatient)).toBeUndefined();
  expect(planning.run(basis('4'), begin, impatient)).toBe(PLAN);
});

test('after an error it begins anew', () => {
  const { planning, begin, basis } = world();
  const fails = function* (): Generator<void, PlannedStmt> {
    yield;
    throw new Error('a miss');
  };
  expect(planning.run(basis('1'), fails, impatient)).toBeUndefined();
  expect(() => planning.run(basis('1'), fails, impatient)).toThrow('a miss');
  expect(planning.run(basis('1'), begin, patient)).toBe(PLAN);
});
