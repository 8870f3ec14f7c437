/**
 * One statement after the other: mostly queries, some that change rows (each looked at afterwards and rolled back), some
 * that are meant to fail.
 *
 * A statement is {tree, kind}; `scriptOf` gives what is sent.
 */
import { COMMON, expression, literal, TYPES } from './expressions.mjs';
import { Generator } from './queries.mjs';
import { TABLES } from './schema.mjs';
import { list, node, optional, print, seeded } from './tree.mjs';

const WRITABLE = TABLES.filter(t => !t.view && !t.big);

/** The n-th statement of a seed: independent of those before it. */
export function statement(seed, n) {
  const rng = seeded((Math.imul(seed, 0x9e3779b1) + Math.imul(n, 0x85ebca6b)) >>> 0);
  const generator = new Generator(rng);
  const kind = rng.weighted([
    [16, 'query'],
    [4, 'change'],
    [2, 'expression'],
    [1, 'error'],
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

/** What is sent: the statement by itself, or within a transaction with a look at the table. */
export function scriptOf({ tree, table }) {
  const sql = print(tree);
  return table === undefined ? [sql] : ['BEGIN', sql, `SELECT * FROM ${table}`, 'ROLLBACK'];
}

function returning(generator, scope) {
  const { rng } = generator;
  if (rng.chance(0.4)) return '';
  const items = Array.from({ length: rng.int(1, 2) }, () => generator.expression(scope, rng.pick(COMMON), 2));
  return optional(' RETURNING ', list(items, ', ', 1));
}

function scopeOf(generator, table, alias) {
  return generator.scope(
    Object.entries(table.columns).map(([name, type]) => ({ sql: `${alias}.${name}`, type })),
    1,
  );
}

function assignments(generator, table, scope) {
  const { rng } = generator;
  const free = Object.entries(table.columns).filter(([name]) => !['id', 'k', 'l', 'o'].includes(name));
  const items = [];
  const [first, second] = [rng.pick(free), rng.pick(free)];
  if (first[0] !== second[0] && rng.chance(0.25)) {
    const inner = generator.fromAndWhere({ columns: scope.columns, depth: 0 }, 1, true);
    const value = t => generator.expression(inner.scope, t, 1);
    return [
      node(
        undefined,
        `(${first[0]}, ${second[0]}) = (SELECT `,
        value(first[1]),
        ', ',
        value(second[1]),
        ' FROM ',
        inner.from,
        inner.where,
        ' ORDER BY 1, 2 LIMIT 1)',
      ),
    ];
  }
  for (const [name, type] of new Map([first, second]))
    items.push(node(undefined, `${name} = `, generator.expression(scope, type, 2)));
  return items;
}

function change(generator) {
  const { rng } = generator;
  const table = rng.pick(WRITABLE);
  const scope = scopeOf(generator, table, table.name);
  const outer = { columns: [], depth: 1 };
  switch (rng.int(0, 3)) {
    case 0: {
      const names = Object.keys(table.columns);
      const query = generator.select(outer, Object.values(table.columns));
      // Keys of their own: no row stands in the way.
      const values = names.map((name, i) =>
        name === table.key || name === 'l'
          ? `1000 + row_number() OVER (ORDER BY s.*)`
          : name === 'o'
            ? `coalesce(s.c${i + 1}, true)`
            : `s.c${i + 1}`,
      );
      return {
        table: table.name,
        tree: node(
          undefined,
          `INSERT INTO ${table.name} (${names.join(', ')}) SELECT ${values.join(', ')} FROM (`,
          query.tree,
          ') AS s',
          returning(generator, scope),
        ),
      };
    }
    case 1: {
      if (table.key === null) return change(generator);
      const names = Object.keys(table.columns);
      const rows = [0, 1, 2, 3]
        .slice(0, rng.int(1, 4))
        .map(i =>
          node(
            undefined,
            '(',
            names
              .map(name =>
                name === table.key
                  ? String(i * 6 + 3)
                  : name === 'o'
                    ? 'true'
                    : print(literal(rng, table.columns[name])),
              )
              .join(', '),
            ')',
          ),
        );
      const excluded = generator.scope(
        [...scope.columns, ...scope.columns.map(c => ({ ...c, sql: c.sql.replace(/^\w+/, 'excluded') }))],
        1,
      );
      const action = rng.chance(0.3)
        ? ' DO NOTHING'
        : node(
            undefined,
            ' DO UPDATE SET ',
            list(assignments(generator, table, excluded), ', ', 1),
            rng.chance(0.4) ? optional(' WHERE ', generator.expression(excluded, 'bool', 2)) : '',
          );
      return {
        table: table.name,
        tree: node(
          undefined,
          `INSERT INTO ${table.name} VALUES `,
          list(rows, ', ', 1),
          ` ON CONFLICT (${table.key})`,
          action,
          returning(generator, scope),
        ),
      };
    }
    case 2: {
      const where = [];
      let from = '';
      let seen = scope;
      if (rng.chance(0.4)) {
        // At most one row of the other table for each: otherwise any of them may win.
        const alias = generator.name();
        const other = rng.pick(TABLES.filter(t => t.key !== null && !t.view));
        seen = generator.scope([...scope.columns, ...scopeOf(generator, other, alias).columns], 1);
        const keys = Object.entries(table.columns).filter(([, type]) => type === 'int');
        if (keys.length > 0) {
          from = ` FROM ${other.name} AS ${alias}`;
          where.push(node('bool', `${table.name}.${rng.pick(keys)[0]} = ${alias}.${other.key}`));
        } else seen = scope;
      }
      const required = from === '' ? '' : print(where[0]);
      const more = rng.chance(0.8) ? [generator.expression(seen, 'bool', 3)] : [];
      const condition =
        required === ''
          ? more.length > 0
            ? optional(' WHERE ', more[0])
            : ''
          : node(undefined, ` WHERE ${required}`, ...more.map(m => optional(' AND ', m)));
      return {
        table: table.name,
        tree: node(
          undefined,
          `UPDATE ${table.name} SET `,
          list(assignments(generator, table, seen), ', ', 1),
          from,
          condition,
          returning(generator, seen),
        ),
      };
    }
    default: {
      const inner = rng.chance(0.3) ? generator.relation({ columns: [], depth: 0 }, [], 0) : undefined;
      const seen = inner === undefined ? scope : generator.scope([...scope.columns, ...inner.columns], 1);
      const using = inner === undefined ? '' : node(undefined, ' USING ', inner.sql);
      const where = rng.chance(0.9) ? optional(' WHERE ', list([generator.expression(seen, 'bool', 3)], ' AND ')) : '';
      const sql = node(
        undefined,
        `DELETE FROM ${table.name}`,
        using,
        where,
        inner === undefined ? returning(generator, seen) : '',
      );
      if (inner === undefined && rng.chance(0.2))
        return {
          table: table.name,
          tree: node(
            undefined,
            `WITH gone AS (DELETE FROM ${table.name}`,
            where,
            ' RETURNING *) SELECT count(*), max(c) FROM gone',
          ),
        };
      return { table: table.name, tree: sql };
    }
  }
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
