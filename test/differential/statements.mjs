/**
 * One statement after the other: mostly queries, some that change rows (each looked at afterwards and rolled back), some
 * that are meant to fail.
 *
 * A statement is {tree, kind}; `scriptOf` gives what is sent.
 */
import { change } from './changes.mjs';
import { expression } from './expressions.mjs';
import { frail } from './functions.mjs';
import { TYPES } from './literals.mjs';
import { Generator } from './queries.mjs';
import { list, node, print, seeded } from './tree.mjs';

/** The n-th statement of a seed: independent of those before it. */
export function statement(seed, n) {
  const rng = seeded((Math.imul(seed, 0x9e3779b1) + Math.imul(n, 0x85ebca6b)) >>> 0);
  const generator = new Generator(rng);
  const kind = rng.weighted([
    [16, 'query'],
    [6, 'change'],
    [3, 'expression'],
    [2, 'error'],
  ]);
  switch (kind) {
    case 'change':
      return { kind, ...change(generator) };
    case 'expression': {
      const items = Array.from({ length: rng.int(1, 3) }, () =>
        expression(rng, generator.scope([], 1), rng.pick(TYPES), 4),
      );
      return { kind, tree: node(undefined, 'SELECT ', list(items, ', ', 1)) };
    }
    case 'error':
      return { kind, tree: mistaken(generator) };
    default:
      return { kind, tree: generator.query(rng.chance(0.7) ? 1 : 2).tree };
  }
}

/** What is sent: the statement by itself, or within a transaction with a look at the tables. */
export function scriptOf({ tree, tables }) {
  const sql = print(tree);
  return tables === undefined ? [sql] : ['BEGIN', sql, ...tables.map(table => `SELECT * FROM ${table}`), 'ROLLBACK'];
}

const OPERATORS = ['+', '-', '*', '/', '||', '=', '<', '&', '@>', '~', '->', '%'];
const FUNCTIONS = [
  'abs',
  'length',
  'upper',
  'round',
  'substr',
  'date_trunc',
  'array_length',
  'coalesce',
  'jsonb_typeof',
  'nofunc',
  'sum',
  'max',
  'lower',
];
const TEXTS = [
  "'abc'",
  "'12'",
  "' 7 '",
  "'2020-13-01'",
  "'1e3'",
  "''",
  "'99999999999'",
  "'t'",
  "'{1,x}'",
  '\'{"a"\'',
  "'-5 days'",
  "'2020-02-30'",
];

/** Types that do not fit, text that is no value, numbers out of range: what is said of it must be the same. */
function mistaken(generator) {
  const { rng } = generator;
  const scope = generator.scope([], 0);
  const any = () => expression(rng, scope, rng.pick(TYPES), 1);
  if (rng.chance(0.5))
    return node(
      undefined,
      'SELECT ',
      frail(rng, type => expression(rng, scope, type, 1)),
    );
  const wrong = rng.pick([
    () => node(undefined, '(', any(), ` ${rng.pick(OPERATORS)} `, any(), ')'),
    () => node(undefined, `${rng.pick(FUNCTIONS)}(`, list([any(), any()].slice(0, rng.int(1, 2)), ', '), ')'),
    () =>
      node(
        undefined,
        rng.pick(TEXTS),
        `::${rng.pick(['int', 'bigint', 'numeric', 'float8', 'bool', 'date', 'timestamp', 'interval', 'int[]', 'jsonb', 'smallint', 'numeric(3,1)', 'varchar(2)'])}`,
      ),
    () => node(undefined, '(', any(), `)::${rng.pick(['int', 'date', 'bool', 'jsonb', 'interval', 'int[]', 'text'])}`),
    () =>
      node(undefined, expression(rng, scope, 'int', 1), rng.pick([' / 0', ' % 0', ' + 2147483647', ' * 1000000000'])),
    () => node(undefined, 'CASE WHEN ', any(), ' THEN ', any(), ' ELSE ', any(), ' END'),
    () => node(undefined, 'coalesce(', any(), ', ', any(), ')'),
    () => node(undefined, '(', any(), ' IN (', any(), ', ', any(), '))'),
    () =>
      node(
        undefined,
        '(SELECT c FROM t1',
        rng.pick([' WHERE id < 3)', ' WHERE nocolumn = 1)', ' GROUP BY a)', ' WHERE max(id) = 1)']),
      ),
    () => node(undefined, '(SELECT id FROM t1 WHERE id = 1 UNION SELECT ', any(), ' ORDER BY 1 LIMIT 1)'),
  ])();
  return node(undefined, 'SELECT ', wrong);
}
