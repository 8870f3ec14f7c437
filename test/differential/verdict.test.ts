/**
 * The judge of `npm run differential`: a falsified answer of each class is a fault, and an explanation reaches no further than
 * PostgreSQL's own answers do.
 */
import { expect, it } from 'vitest';
import { marks, orderOf } from './answers.mjs';
import { verdict } from './verdict.mjs';

const columns = [
  { name: 'a', oid: 23, typmod: -1 },
  { name: 'n', oid: 1700, typmod: -1 },
  { name: 'i', oid: 1186, typmod: -1 },
  { name: 't', oid: 25, typmod: -1 },
];
const rows = [
  ['1', '1.50', '1 mon', '1.0'],
  ['1', '2', null, 'x'],
  ['2', '1.50', '-00:00:01', null],
];
const answer = (changed: object = {}) => ({ parts: [{ columns, rows, tag: 'SELECT 3', order: [0], ...changed }] });
const error = (code: string, message = 'm') => ({ error: { code, message } });
const judged = (got: object, ...answers: object[]) => verdict(got, marks(answers), answers[0]);
const EXPLAINED = { explained: expect.any(String) };

it.each([
  ['lost qual', answer({ rows: [...rows, ['3', null, null, null]], tag: 'SELECT 4' }), 'count of rows'],
  ['wrong order', answer({ rows: [rows[2], rows[0], rows[1]] }), 'order of rows'],
  ['stale value', answer({ rows: [rows[0], rows[1], ['2', '1.50', '1 mon', null]] }), 'rows'],
  ['a text that looks like an equal number', answer({ rows: [['1', '1.50', '1 mon', '1'], ...rows.slice(1)] }), 'rows'],
  ['another look', answer({ rows: [['1', '1.5', '30 days', '1.0'], ...rows.slice(1)] }), 'look of values'],
  ['wrong type', answer({ columns: columns.map(c => ({ ...c, oid: 25 })) }), 'column types'],
  ['wrong typmod', answer({ columns: columns.map(c => ({ ...c, typmod: 6 })) }), 'column types'],
  ['an error', error('22012'), '22012 m'],
  ['an internal error', error('XX000'), 'XX000 m'],
  ['a lost connection', error('LOST'), 'LOST m'],
  ['no answer in time', { slow: true }, 'far slower than PostgreSQL'],
])('%s is a fault', (_, got, fault) => {
  expect(judged(got, answer())).toEqual({ fault: expect.stringContaining(fault) });
  expect(verdict(got, marks([answer()]), undefined)).toEqual({ fault: expect.any(String) });
});

it('an error is equal only to the same', () => {
  expect(judged(error('22012'), error('22012'))).toBeUndefined();
  for (const got of [error('22003'), error('22012', 'other'), error('XX000'), error('42883'), answer()])
    expect(judged(got, error('22012')), JSON.stringify(got)).toEqual({ fault: expect.any(String) });
  expect(judged(error('XX000'), error('XX000'))).toEqual({ fault: 'XX000 m' });
  expect(judged(error('LOST'), error('22012'), answer())).toEqual({ fault: 'LOST m' });
  expect(judged(error('XX000'), error('22012'), answer())).toEqual({ fault: 'XX000 m' });
});

it('rows of equal keys may be swapped, no others', () => {
  expect(judged(answer({ rows: [rows[1], rows[0], rows[2]] }), answer())).toBeUndefined();
  expect(judged(answer({ rows: [rows[0], rows[2], rows[1]] }), answer())).toEqual({ fault: 'order of rows' });
  const free = answer({ order: undefined });
  expect(judged(answer({ order: undefined, rows: [...rows].reverse() }), free)).toBeUndefined();
});

it('what PostgreSQL answers under another plan is right, and nothing else', () => {
  const other = answer({ rows: [['1', '1.5', '1 mon', '1.0'], ...rows.slice(1)] });
  const third = answer({ rows: [['1', '1.500', '30 days', '1.0'], ...rows.slice(1)] });
  expect(judged(other, answer(), answer(), other)).toEqual(EXPLAINED);
  expect(judged(third, answer(), answer(), other)).toEqual(EXPLAINED);
  expect(judged(third, answer(), answer())).toEqual({ fault: 'look of values' });
  const wrong = answer({ rows: [['9', '1.5', '1 mon', '1.0'], ...rows.slice(1)] });
  expect(judged(wrong, answer(), other)).toEqual({ fault: 'rows' });
});

it('an error of a value is up to the plan only where PostgreSQL errs under one plan and not, or otherwise, under another', () => {
  expect(judged(error('22012'), answer(), error('22012'))).toEqual(EXPLAINED);
  expect(judged(error('22003'), answer(), error('22012'))).toEqual(EXPLAINED);
  expect(judged(answer(), error('22012'), answer())).toEqual(EXPLAINED);
  expect(judged(error('22003'), error('22012'), error('22007'))).toEqual(EXPLAINED);
  expect(judged(error('22003'), error('22012'), error('22012'))).toEqual({ fault: expect.any(String) });
  expect(judged(error('42883'), answer(), error('22012'))).toEqual({ fault: expect.any(String) });
  expect(judged(answer({ rows: rows.slice(1) }), error('22012'), answer())).toEqual({ fault: expect.any(String) });
});

it('what is not supported says so', () => {
  const honest = error('0A000', 'JOIN is not supported by pgtroupe yet');
  expect(judged(honest, answer())).toEqual({ explained: honest.error.message });
  expect(judged(error('0A000'), answer())).toEqual({ fault: expect.any(String) });
});

it('finds the columns of ORDER BY', () => {
  expect(orderOf('SELECT 1')).toBeUndefined();
  expect(orderOf('SELECT (SELECT 1 ORDER BY 1)')).toBeUndefined();
  expect(orderOf('SELECT a, b ORDER BY 2 DESC NULLS LAST, 1 LIMIT 3 OFFSET 2')).toEqual([1, 0]);
  expect(orderOf('SELECT c1 FROM q ORDER BY c1')).toEqual([0]);
  expect(() => orderOf('SELECT a FROM t ORDER BY a')).toThrow();
});
