/**
 * Statements that change rows, by themselves or in WITH. Each says which tables it changes: they are looked at afterwards.
 * What they do does not depend on the order of rows: at most one row of another table joins each that is updated.
 */
import { COMMON, literal, pseudoConstant } from './literals.mjs';
import { TABLES } from './schema.mjs';
import { list, node, optional, print } from './tree.mjs';

const WRITABLE = TABLES.filter(t => !t.view && !t.big);

/** {tree, tables}. */
export function change(generator) {
  return generator.rng.chance(0.25) ? changesInWith(generator) : one(generator, generator.rng.pick(WRITABLE));
}

function one(generator, table) {
  const made = generator.rng.pick([insertSelect, insertOnConflict, update, remove])(generator, table);
  return { tables: [table.name], tree: made };
}

/** Several tables, each changed once; the query below sees what they return and the tables as they were. */
function changesInWith(generator) {
  const { rng } = generator;
  const tables = [rng.pick(WRITABLE)];
  const other = rng.pick(WRITABLE);
  if (!tables.includes(other) && rng.chance(0.6)) tables.push(other);
  const parts = [];
  const columns = [];
  for (const table of tables) {
    const name = generator.name('w');
    const scope = scopeOf(generator, table, table.name);
    const make = rng.pick([insertSelect, insertOnConflict, update, remove]);
    const statement = make(generator, table, () =>
      optional(
        ` RETURNING ${Object.keys(table.columns)
          .map(c => `${table.name}.${c}`)
          .join(', ')}`,
      ),
    );
    parts.push(node(undefined, `${name} AS (`, statement, ')'));
    columns.push({ name, columns: scope.columns.map(({ sql, type }) => ({ name: sql.replace(/^.*\./, ''), type })) });
  }
  generator.ctes.push(...columns);
  const body = rng.chance(0.7)
    ? generator.select({ columns: [], depth: 1 }).tree
    : node(undefined, `SELECT count(*) FROM ${columns[0].name}`);
  return { tables: tables.map(t => t.name), tree: node(undefined, 'WITH ', list(parts, ', ', 1), ' ', body) };
}

/** `all`: what stands for all columns. */
function returning(generator, scope, all = '*') {
  const { rng } = generator;
  if (rng.chance(0.4)) return '';
  if (rng.chance(0.1)) return optional(` RETURNING ${all}`);
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
  for (const [name, type] of new Map([first, second])) {
    const value = rng.chance(0.06) ? 'DEFAULT' : generator.expression(scope, type, 2);
    items.push(node(undefined, `${name} = `, value));
  }
  return items;
}

function insertSelect(generator, table, returns = returning) {
  const scope = scopeOf(generator, table, table.name);
  const names = Object.keys(table.columns);
  const query = generator.select({ columns: [], depth: 1 }, Object.values(table.columns));
  // Keys of their own: no row stands in the way.
  const values = names.map((name, i) =>
    name === table.key || name === 'l'
      ? `1000 + row_number() OVER (ORDER BY s.*)`
      : name === 'o'
        ? `coalesce(s.c${i + 1}, true)`
        : `s.c${i + 1}`,
  );
  return node(
    undefined,
    `INSERT INTO ${table.name} (${names.join(', ')}) SELECT ${values.join(', ')} FROM (`,
    query.tree,
    ') AS s',
    returns(generator, scope),
  );
}

function insertOnConflict(generator, table, returns = returning) {
  const { rng } = generator;
  const keys = table.key !== null ? [table.key] : table.columns.l === 'int' ? ['k', 'l'] : undefined;
  if (keys === undefined) return insertSelect(generator, table, returns);
  const scope = scopeOf(generator, table, table.name);
  const rows = [0, 1, 2, 3].slice(0, rng.int(1, 4)).map(i => {
    const value = name => {
      if (name === table.key) return String(i * 6 + 3);
      if (name === 'l' || name === 'k') return String(name === 'l' ? i * 5 + 1 : rng.int(0, 4));
      return name === 'o' ? 'true' : print(literal(rng, table.columns[name]));
    };
    return node(undefined, '(', Object.keys(table.columns).map(value).join(', '), ')');
  });
  const excluded = generator.scope(
    [...scope.columns, ...scope.columns.map(c => ({ ...c, sql: c.sql.replace(/^\w+/, 'excluded') }))],
    1,
  );
  const nothing = rng.chance(0.3);
  const where = rng.chance(0.5)
    ? optional(' WHERE ', rng.chance(0.15) ? pseudoConstant(rng) : generator.expression(excluded, 'bool', 2))
    : '';
  const action = nothing
    ? ' DO NOTHING'
    : node(undefined, ' DO UPDATE SET ', list(assignments(generator, table, excluded), ', ', 1), where);
  const target = nothing && rng.chance(0.5) ? '' : ` (${keys.join(', ')})`;
  return node(
    undefined,
    `INSERT INTO ${table.name} VALUES `,
    list(rows, ', ', 1),
    ` ON CONFLICT${target}`,
    action,
    returns(generator, scope),
  );
}

/** Conditions of a change: now and then one that no row has a say in. */
function conditions(generator, seen, required = []) {
  const { rng } = generator;
  const more = rng.chance(0.8) ? [generator.expression(seen, 'bool', 3)] : [];
  if (rng.chance(0.12)) more.splice(rng.int(0, more.length), 0, pseudoConstant(rng));
  if (required.length > 0)
    return node(undefined, ` WHERE ${print(required[0])}`, ...more.map(m => optional(' AND ', m)));
  return more.length > 0 ? optional(' WHERE ', list(more, ' AND ', 1)) : '';
}

function update(generator, table, returns = returning) {
  const { rng } = generator;
  const scope = scopeOf(generator, table, table.name);
  const required = [];
  let from = '';
  let seen = scope;
  const keys = Object.entries(table.columns).filter(([, type]) => type === 'int');
  if (keys.length > 0 && rng.chance(0.5)) {
    const alias = generator.name();
    const other = rng.pick(TABLES.filter(t => t.key !== null && !t.view));
    seen = generator.scope([...scope.columns, ...scopeOf(generator, other, alias).columns], 1);
    from = ` FROM ${other.name} AS ${alias}`;
    required.push(node('bool', `${table.name}.${rng.pick(keys)[0]} = ${alias}.${other.key}`));
  }
  return node(
    undefined,
    `UPDATE ${table.name} SET `,
    list(assignments(generator, table, seen), ', ', 1),
    from,
    conditions(generator, seen, required),
    returns(generator, seen),
  );
}

function remove(generator, table, returns = returning) {
  const { rng } = generator;
  const scope = scopeOf(generator, table, table.name);
  const using = rng.chance(0.4) ? generator.relation({ columns: [], depth: 0 }, [], 0) : undefined;
  const seen = using === undefined ? scope : generator.scope([...scope.columns, ...using.columns], 1);
  return node(
    undefined,
    `DELETE FROM ${table.name}`,
    using === undefined ? '' : node(undefined, ' USING ', using.sql),
    conditions(generator, seen),
    // Which of several rows that meet the same one it is returned with is up to the plan.
    returns(generator, scope, `${table.name}.*`),
  );
}
