/**
 * SELECTs over the tables of schema.mjs: joins of every kind, subqueries (correlated, LATERAL, in FROM, WHERE and
 * the target list), groups and grouping sets, windows, set operations, WITH and WITH RECURSIVE.
 *
 * Every query has one answer as a set of rows: LIMIT only behind an ORDER BY of all columns, what depends on the order
 * of rows is given one.
 */
import { column, comparison, expression } from './expressions.mjs';
import { COMMON, literal, pseudoConstant } from './literals.mjs';
import { functionInFrom, setReturning } from './setfunctions.mjs';
import { TABLES } from './schema.mjs';
import { list, node, optional, print } from './tree.mjs';

/** How far a RANGE frame reaches, by the type it is ordered by. */
const OFFSETS = {
  int: '2',
  bigint: '3::bigint',
  numeric: '1.25',
  float: '0.5::float8',
  date: "'10 days'::interval",
  timestamp: "'1 day 6 hours'::interval",
};

/** What one statement's queries share. */
export class Generator {
  #names = 0;
  constructor(rng) {
    this.rng = rng;
    this.ctes = [];
    this.big = false;
  }

  name(prefix = 'r') {
    return `${prefix}${++this.#names}`;
  }

  /** A scope whose subqueries see `columns`. */
  scope(columns, depth) {
    const scope = { columns, depth };
    const outer = () => ({ columns, depth: depth - 1 });
    scope.scalar = type => this.scalarSubquery(type, outer());
    scope.exists = () => {
      const negated = this.rng.chance(0.4);
      if (this.rng.chance(0.2))
        return node('bool', negated ? '(NOT EXISTS (' : '(EXISTS (', this.select(outer(), ['int']).tree, '))');
      const { from, where } = this.fromAndWhere(outer(), this.rng.chance(0.3) ? 2 : 1, true);
      return node('bool', negated ? '(NOT EXISTS (SELECT 1 FROM ' : '(EXISTS (SELECT 1 FROM ', from, where, '))');
    };
    scope.membership = () => this.membership(scope, outer());
    scope.array = () => {
      const inner = this.fromAndWhere(outer(), 1, true);
      return node(
        'ints',
        'ARRAY(SELECT ',
        this.expression(inner.scope, 'int', 1),
        ' FROM ',
        inner.from,
        inner.where,
        ' ORDER BY 1)',
      );
    };
    return scope;
  }

  expression(scope, type, depth = 3) {
    return expression(this.rng, scope, type, depth);
  }

  // ---- FROM --------------------------------------------------------------------------------------------

  /** One relation: {sql, columns, keys: columns that identify its rows, or null}. */
  relation(outer, left, depth) {
    const { rng } = this;
    const kind = rng.weighted([
      [10, 'table'],
      [depth > 0 ? 3 : 0, 'subquery'],
      [depth > 0 && left.length > 0 ? 2 : 0, 'lateral'],
      [1, 'values'],
      [1, 'series'],
      [left.some(c => c.type === 'ints') ? 1 : 0, 'unnest'],
      [1, 'function'],
      [depth > 0 ? 1 : 0, 'joined'],
      [this.ctes.length > 0 ? 6 : 0, 'cte'],
    ]);
    const alias = this.name();
    const named = columns => columns.map(({ name, type }) => ({ sql: `${alias}.${name}`, type, name, row: alias }));
    switch (kind) {
      case 'subquery': {
        const query = this.select({ columns: [], depth: depth - 1 });
        return { sql: node(undefined, '(', query.tree, `) AS ${alias}`), columns: named(query.columns), keys: null };
      }
      case 'lateral': {
        const query = this.select({ columns: [...left, ...outer.columns], depth: depth - 1 });
        return {
          sql: node(undefined, 'LATERAL (', query.tree, `) AS ${alias}`),
          columns: named(query.columns),
          keys: null,
          lateral: true,
        };
      }
      case 'values': {
        const types = [rng.pick(['int', 'text']), rng.pick(COMMON)];
        const rows = Array.from({ length: rng.int(1, 4) }, () =>
          node(undefined, '(', types.map(t => print(literal(rng, t))).join(', '), ')'),
        );
        const typed = node(undefined, '(VALUES ', list(rows, ', ', 1), `) AS ${alias}(c1, c2)`);
        return { sql: typed, columns: named(types.map((type, i) => ({ name: `c${i + 1}`, type }))), keys: null };
      }
      case 'series':
        return {
          sql: node(undefined, `generate_series(${rng.int(-1, 2)}, ${rng.int(1, 5)}) AS ${alias}(g)`),
          columns: named([{ name: 'g', type: 'int' }]),
          keys: [`${alias}.g`],
        };
      case 'function':
        return functionInFrom(rng, alias, { columns: left, depth: 0 });
      case 'joined': {
        // Joins in parentheses: what is outer of what is said by them.
        const inner = this.from({ columns: [], depth: 0 }, 2);
        return { ...inner, sql: node(undefined, '(', inner.sql, ')'), parenthesized: true };
      }
      case 'unnest':
        return {
          sql: node(undefined, 'LATERAL unnest(', column(rng, { columns: left }, 'ints'), `) AS ${alias}(g)`),
          columns: named([{ name: 'g', type: 'int' }]),
          keys: null,
          lateral: true,
        };
      case 'cte': {
        const cte = rng.pick(this.ctes);
        return { sql: node(undefined, `${cte.name} AS ${alias}`), columns: named(cte.columns), keys: null };
      }
      default: {
        const table = rng.weighted(TABLES.filter(t => !t.big || !this.big).map(t => [t.weight, t]));
        if (table.big) this.big = true;
        const columns = named(Object.entries(table.columns).map(([name, type]) => ({ name, type })));
        return {
          sql: node(undefined, `${table.name} AS ${alias}`),
          columns,
          keys: table.key && [`${alias}.${table.key}`],
          big: table.big,
        };
      }
    }
  }

  /** Relations joined. `keys`: columns that identify a row of the result, or null. */
  from(outer, most) {
    const { rng } = this;
    let first = this.relation(outer, [], outer.depth);
    // Parentheses are for joins only.
    if (first.parenthesized && !/ (?:JOIN|CROSS) |, /.test(print(first.sql))) first = this.relation(outer, [], 0);
    let sql = first.sql;
    let { columns, keys } = first;
    let big = first.big === true;
    const more = rng.weighted([
      [5, 0],
      [5, 1],
      [2, 2],
    ]);
    for (let i = 0; i < Math.min(more, most - 1, big ? 1 : 3); i++) {
      const next = this.relation(outer, columns, outer.depth);
      if (next.big) big = true;
      const scope = this.scope([...columns, ...next.columns, ...outer.columns], outer.depth);
      const kind = rng.weighted([
        [5, 'JOIN'],
        [5, 'LEFT JOIN'],
        [next.lateral ? 0 : 2, 'RIGHT JOIN'],
        [next.lateral ? 0 : 2, 'FULL JOIN'],
        [big || i > 0 ? 0 : 1, 'CROSS JOIN'],
      ]);
      if (kind === 'CROSS JOIN') sql = node(undefined, sql, rng.chance(0.5) ? ' CROSS JOIN ' : ', ', next.sql);
      else {
        const equality = this.joinEquality(columns, next.columns, kind === 'FULL JOIN');
        const others = [];
        if (kind !== 'FULL JOIN') {
          while (rng.chance(0.3)) others.push(expression(rng, scope, 'bool', 2));
          if (rng.chance(0.04)) others.push(pseudoConstant(rng));
        }
        const condition = equality === undefined ? 'true' : list([equality, ...others], ' AND ', 1);
        const shared = rng.chance(0.15) ? this.sharedColumns(columns, next.columns) : [];
        sql =
          shared.length > 0
            ? node(undefined, sql, ` ${kind} `, next.sql, ` USING (${rng.pick(shared)})`)
            : node(undefined, sql, ` ${kind} `, next.sql, ' ON ', condition);
      }
      columns = [...columns, ...next.columns];
      keys = keys === null || next.keys === null ? null : [...keys, ...next.keys];
    }
    return { sql, columns, keys };
  }

  /** Names of columns that both sides have once, of the same type. */
  sharedColumns(left, right) {
    return right
      .filter(({ name, type }) => {
        const same = left.filter(l => l.name === name);
        return name !== undefined && type !== 'jsonb' && same.length === 1 && same[0].type === type;
      })
      .map(({ name }) => name);
  }

  /** An equality of the two sides; a full join takes nothing else. */
  joinEquality(left, right, plain) {
    const { rng } = this;
    const pairs = left.flatMap(l => right.filter(r => r.type === l.type && l.type !== 'jsonb').map(r => [l, r]));
    if (pairs.length === 0) return undefined;
    const [l, r] = rng.pick(pairs);
    if (plain || rng.chance(0.7)) return node('bool', `${l.sql} = ${r.sql}`);
    if (l.type === 'int') {
      const other = column(rng, { columns: [...left, ...right] }, 'int');
      if (rng.chance(0.3)) {
        const [a, b] = [rng.pick(pairs), rng.pick(pairs)].map(([x, y]) => (x.type === 'int' ? [x, y] : [l, r]));
        return node('bool', `(${a[0].sql} + ${b[1].sql} = ${b[0].sql} + ${r.sql})`);
      }
      return rng.chance(0.5)
        ? node('bool', `${l.sql} = ${r.sql} + `, other)
        : node('bool', `(${l.sql} + ${r.sql} = `, other, ')');
    }
    return node('bool', `${l.sql} ${rng.pick(['=', '=', '<', '>='])} ${r.sql}`);
  }

  fromAndWhere(outer, most, correlated = false) {
    const { rng } = this;
    const from = this.from(outer, most);
    const scope = this.scope([...from.columns, ...outer.columns], outer.depth);
    const clauses = [];
    if (correlated && rng.chance(0.8) && outer.columns.length > 0) {
      const equality = this.joinEquality(outer.columns, from.columns, false);
      if (equality !== undefined) clauses.push(equality);
    }
    while (clauses.length < 4 && rng.chance(0.45)) clauses.push(expression(rng, scope, 'bool', 3));
    if (rng.chance(0.06)) clauses.splice(rng.int(0, clauses.length), 0, pseudoConstant(rng));
    const where = clauses.length === 0 ? '' : optional(' WHERE ', list(clauses, ' AND ', 1));
    return { from: from.sql, where, scope, columns: from.columns, keys: from.keys };
  }

  // ---- subqueries ----------------------------------------------------------------------------------------

  scalarSubquery(type, outer) {
    const { rng } = this;
    if (rng.chance(0.25))
      return node(
        type,
        '(SELECT c1 FROM (',
        this.select(outer, [type]).tree,
        `) AS ${this.name('q')} ORDER BY 1 LIMIT 1)`,
      );
    const inner = this.fromAndWhere(outer, 2, true);
    if (rng.chance(0.5)) {
      const aggregate = this.aggregate(inner.scope, type, 1);
      if (aggregate !== undefined) return node(type, '(SELECT ', aggregate, ' FROM ', inner.from, inner.where, ')');
    }
    return node(
      type,
      '(SELECT ',
      this.expression(inner.scope, type, 1),
      ' FROM ',
      inner.from,
      inner.where,
      ' ORDER BY 1 LIMIT 1)',
    );
  }

  membership(scope, outer) {
    const { rng } = this;
    const type = rng.pick(['int', 'int', 'text', 'bigint', 'date']);
    const inner = this.fromAndWhere(outer, rng.chance(0.2) ? 2 : 1, rng.chance(0.5));
    const left = expression(rng, scope, type, 1);
    const right = expression(rng, { ...inner.scope, depth: 0 }, type, 1);
    const query = rng.chance(0.2)
      ? node(undefined, '(', this.select(outer, [type]).tree, ')')
      : node(undefined, '(SELECT ', right, ' FROM ', inner.from, inner.where, ')');
    switch (rng.int(0, 4)) {
      case 0:
        return node('bool', '(', left, ` ${rng.pick(['=', '<', '>=', '<>'])} ${rng.pick(['ANY', 'ALL'])} `, query, ')');
      case 1: {
        const second = rng.pick(['int', 'text']);
        const two = node(
          undefined,
          '(SELECT ',
          right,
          ', ',
          expression(rng, { ...inner.scope, depth: 0 }, second, 1),
          ' FROM ',
          inner.from,
          inner.where,
          ')',
        );
        return node(
          'bool',
          '((',
          left,
          ', ',
          expression(rng, { ...scope, depth: 0 }, second, 1),
          rng.pick([') IN ', ') NOT IN ']),
          two,
          ')',
        );
      }
      case 2:
        return node('bool', '(', left, ' NOT IN ', query, ')');
      default:
        return node('bool', '(', left, ' IN ', query, ')');
    }
  }

  // ---- aggregates and windows -----------------------------------------------------------------------------

  aggregate(scope, type, depth) {
    const { rng } = this;
    const e = t => expression(rng, scope, t, depth);
    const filter = rng.chance(0.25) ? optional(' FILTER (WHERE ', expression(rng, scope, 'bool', 2), ')') : '';
    const distinct = rng.chance(0.2) ? 'DISTINCT ' : '';
    switch (type) {
      case 'bigint':
        return rng.pick([
          () => node(type, 'count(*)', filter),
          () => {
            const [by, second] = [rng.pick(['int', 'text', 'date']), rng.pick(['', ' DESC', ' NULLS FIRST'])];
            const order = node(undefined, ' WITHIN GROUP (ORDER BY ', e(by), second, ')');
            return node(type, rng.pick(['rank(', 'dense_rank(']), literal(rng, by), ')', order, filter);
          },
          () => node(type, `count(${distinct}`, e(rng.pick(COMMON.filter(t => t !== 'jsonb'))), ')', filter),
          () => node(type, `sum(${distinct}`, e('int'), ')', filter),
        ])();
      case 'numeric':
        if (rng.chance(0.2))
          return node(
            type,
            rng.pick(['avg(', 'stddev(', 'var_pop(', 'variance(', 'stddev_pop(']),
            e(rng.pick(['int', 'small', 'bigint'])),
            ')',
            filter,
          );
        return node(type, rng.pick(['sum(', 'avg(', 'max(', 'min(']) + distinct, e('numeric'), ')', filter);
      case 'int':
        return rng.chance(0.1)
          ? node(type, 'percentile_disc(0.5) WITHIN GROUP (ORDER BY ', e('int'), ')', filter)
          : node(type, rng.pick(['max(', 'min(', 'bit_or(', 'bit_and(', 'bit_xor(']) + distinct, e('int'), ')', filter);
      case 'text': {
        const value = e('text');
        if (rng.chance(0.1)) return node(type, 'mode() WITHIN GROUP (ORDER BY ', value, ')', filter);
        return rng.chance(0.4)
          ? node(type, 'string_agg(', value, ", ',' ORDER BY ", value, ')', filter)
          : node(type, rng.pick(['max(', 'min(']), value, ')', filter);
      }
      case 'bool':
        return node(type, rng.pick(['bool_and(', 'bool_or(', 'every(']), e('bool'), ')', filter);
      case 'interval':
        if (rng.chance(0.1))
          return node(type, 'percentile_cont(0.5) WITHIN GROUP (ORDER BY ', e('interval'), ')', filter);
        if (rng.chance(0.4)) return node(type, rng.pick(['sum(', 'avg(']) + distinct, e('interval'), ')', filter);
        return node(type, rng.pick(['max(', 'min(']), e(type), ')', filter);
      case 'texts': {
        const value = e('text');
        return node(type, `array_agg(${distinct}`, value, ' ORDER BY ', value, ')', filter);
      }
      case 'float':
        if (rng.chance(0.1))
          return node(
            type,
            rng.pick(['percent_rank(', 'cume_dist(']),
            literal(rng, 'int'),
            ') WITHIN GROUP (ORDER BY ',
            e('int'),
            ')',
            filter,
          );
        if (rng.chance(0.2))
          return node(
            type,
            `percentile_cont(${rng.pick(['0.5', '0.3', '1'])}) WITHIN GROUP (ORDER BY `,
            e('int'),
            ')',
            filter,
          );
        return node(type, rng.pick(['max(', 'min(']), e(type), ')', filter);
      case 'date':
      case 'timestamp':
      case 'small':
      case 'real':
      case 'tz':
      case 'time':
      case 'char':
      case 'mood':
        return node(type, rng.pick(['max(', 'min(']), e(type), ')', filter);
      case 'ints': {
        const value = e('int');
        if (rng.chance(0.1))
          return node(type, "percentile_disc('{0.2,0.8}'::float8[]) WITHIN GROUP (ORDER BY ", value, ')', filter);
        return node(
          type,
          `array_agg(${distinct}`,
          value,
          ' ORDER BY ',
          value,
          rng.pick(['', ' DESC', ' NULLS FIRST']),
          ')',
          filter,
        );
      }
      case 'jsonb': {
        const value = e(rng.pick(['int', 'text', 'date']));
        if (rng.chance(0.3)) {
          const key = node(undefined, 'concat(', e('text'), ", '-')");
          return node(type, 'jsonb_object_agg(', key, ', ', value, ' ORDER BY ', value, ')', filter);
        }
        return node(type, 'jsonb_agg(', value, ' ORDER BY ', value, ')', filter);
      }
      default:
        return undefined;
    }
  }

  /** A window function; those that see the order of equals only over rows with a key. */
  windowFunction(scope, keys) {
    const { rng } = this;
    const e = (t, d = 1) => expression(rng, scope, t, d);
    const partition = rng.chance(0.6) ? optional('PARTITION BY ', e(rng.pick(['int', 'text', 'bool']))) : '';
    const total = keys !== null && rng.chance(0.6);
    const orderType = rng.pick(['int', 'int', 'text', 'date', 'numeric', 'timestamp', 'float', 'bigint']);
    const direction = rng.pick(['', '', ' DESC', ' NULLS FIRST', ' DESC NULLS LAST']);
    // A constant orders nothing: only columns and what is computed from them.
    const by = column(rng, scope, orderType) ?? node(orderType, '(', e(orderType), ')');
    const order = node(undefined, ' ORDER BY ', by, direction, total ? `, ${keys.join(', ')}` : '');
    const type = rng.pick(['int', 'text', 'numeric', 'bigint']);
    if (!total) {
      const frame = rng.pick([
        '',
        '',
        ' RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING',
        ' GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING',
        ' GROUPS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING EXCLUDE GROUP',
        ' RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW EXCLUDE TIES',
        ' RANGE CURRENT ROW',
        ' GROUPS BETWEEN 2 PRECEDING AND 1 PRECEDING',
        ' GROUPS BETWEEN 1 FOLLOWING AND 2 FOLLOWING EXCLUDE CURRENT ROW',
        orderType in OFFSETS
          ? ` RANGE BETWEEN ${OFFSETS[orderType]} PRECEDING AND ${OFFSETS[orderType]} FOLLOWING`
          : '',
        orderType in OFFSETS
          ? ` RANGE BETWEEN UNBOUNDED PRECEDING AND ${OFFSETS[orderType]} PRECEDING EXCLUDE NO OTHERS`
          : '',
      ]);
      const call = rng.pick([
        () => ({ type: 'bigint', sql: 'rank()' }),
        () => ({ type: 'bigint', sql: 'dense_rank()' }),
        () => ({ type: 'float', sql: 'cume_dist()' }),
        () => ({ type, sql: this.aggregate(scope, type, 1) }),
        () => ({ type, sql: this.aggregate(scope, type, 1) }),
        () => ({ type, sql: this.aggregate(scope, type, 1) }),
      ])();
      // DISTINCT, ORDER BY and WITHIN GROUP are not for windows.
      if (/DISTINCT|ORDER BY|WITHIN/.test(print(call.sql)))
        call.sql = node(call.type, 'max(', e(type === 'bigint' ? 'bigint' : type), ')');
      const ordered = rng.chance(0.8) || frame.includes('GROUPS') || frame.includes('RANGE');
      return {
        type: call.type,
        sql: node(call.type, call.sql, ' OVER (', partition, ordered ? order : '', ordered ? frame : '', ')'),
      };
    }
    const frame = rng.pick([
      '',
      '',
      ' ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING',
      ' ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW EXCLUDE CURRENT ROW',
      ' ROWS BETWEEN CURRENT ROW AND 2 FOLLOWING',
      ' ROWS BETWEEN 2 PRECEDING AND 1 PRECEDING',
      ' ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING',
      ' ROWS BETWEEN 1 PRECEDING AND 2 FOLLOWING EXCLUDE GROUP',
      ' ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING EXCLUDE TIES',
    ]);
    const call = rng.pick([
      () => ({ type: 'bigint', sql: 'row_number()' }),
      () => ({ type: 'int', sql: `ntile(${rng.int(1, 4)})` }),
      () => ({ type, sql: node(type, rng.pick(['lag(', 'lead(']), e(type), rng.pick(['', ', 1', ', 2']), ')') }),
      () => ({ type, sql: node(type, 'lag(', e(type), ', 1, ', e(type), ')') }),
      () => ({ type, sql: node(type, rng.pick(['first_value(', 'last_value(']), e(type), ')') }),
      () => ({ type, sql: node(type, 'nth_value(', e(type), ', 2)') }),
      () => ({ type: 'bigint', sql: node('bigint', 'sum(', e('int'), ')') }),
    ])();
    return { type: call.type, sql: node(call.type, call.sql, ' OVER (', partition, order, frame, ')') };
  }

  // ---- SELECT ----------------------------------------------------------------------------------------------

  /** A query: {tree, columns}. `types` demands its columns' types. */
  select(outer, types) {
    const { rng } = this;
    const kind = rng.weighted([
      [8, 'plain'],
      [4, 'grouped'],
      [types === undefined ? 2 : 0, 'windowed'],
      [outer.depth > 0 ? 2 : 0, 'setop'],
    ]);
    switch (kind) {
      case 'grouped':
        return this.grouped(outer, types);
      case 'windowed':
        return this.windowed(outer);
      case 'setop':
        return this.setOperation(outer, types);
      default:
        return this.plain(outer, types);
    }
  }

  #wanted(types) {
    return types ?? Array.from({ length: this.rng.int(1, 3) }, () => this.rng.pick(COMMON));
  }

  #columns(types) {
    return types.map((type, i) => ({ name: `c${i + 1}`, type }));
  }

  /** ORDER BY of all columns, and perhaps LIMIT. */
  #order(types, always = false) {
    const { rng } = this;
    if (!always && rng.chance(0.6)) return '';
    const all = types.map((_, i) => `${i + 1}${rng.pick(['', '', ' DESC', ' NULLS FIRST', ' DESC NULLS LAST'])}`);
    // Without all of them LIMIT may take any of those that are equal.
    const by = all.length > 1 && rng.chance(0.15) ? [rng.pick(all)] : all;
    const limit =
      by.length === all.length && rng.chance(0.4)
        ? optional(` LIMIT ${rng.int(0, 6)}${rng.chance(0.3) ? ` OFFSET ${rng.int(0, 3)}` : ''}`)
        : '';
    if (limit === '' && rng.chance(0.15))
      return optional(` ORDER BY ${by.join(', ')}`, ` FETCH FIRST ${rng.int(1, 4)} ROWS WITH TIES`);
    return optional(` ORDER BY ${by.join(', ')}`, limit);
  }

  plain(outer, types) {
    const { rng } = this;
    const { from, where, scope } = this.fromAndWhere(outer, 4);
    const wanted = this.#wanted(types);
    const items = wanted.map((type, i) => node(undefined, expression(rng, scope, type, 2), ` AS c${i + 1}`));
    const columns = this.#columns(wanted);
    if (rng.chance(0.08)) {
      const inner = node(undefined, 'SELECT ', list(items, ', ', 1), ' FROM ', from, where);
      const names = columns.map(c => c.name).join(', ');
      return {
        tree: node(
          undefined,
          `SELECT DISTINCT ON (c1) ${names} FROM (`,
          inner,
          `) AS ${this.name('q')} ORDER BY ${names}`,
        ),
        columns,
      };
    }
    const distinct = rng.chance(0.2) ? optional('DISTINCT ') : '';
    const set = rng.chance(0.06) ? wanted.findIndex(type => type === 'int' || type === 'text') : -1;
    if (set >= 0) items[set] = node(undefined, setReturning(rng, wanted[set], scope), ` AS c${set + 1}`);
    return {
      tree: node(undefined, 'SELECT ', distinct, list(items, ', ', 1), ' FROM ', from, where, this.#order(wanted)),
      columns,
    };
  }

  grouped(outer, types) {
    const { rng } = this;
    const { from, where, scope } = this.fromAndWhere(outer, 3);
    const wanted = this.#wanted(types);
    const own = scope.columns.slice(0, scope.columns.length - outer.columns.length);
    const groups = [];
    while (groups.length < 2 && rng.chance(0.65)) {
      const c = rng.pick(own);
      const sql = rng.chance(0.25) && c.type === 'int' ? `(${c.sql} % 3)` : c.sql;
      if (!groups.some(g => g.sql === sql)) groups.push({ sql, type: c.type });
    }
    const over = this.scope([...groups, ...outer.columns], Math.min(outer.depth, 1));
    const items = wanted.map((type, i) => {
      const aggregate = rng.chance(0.75) || groups.length === 0 ? this.aggregate(scope, type, 1) : undefined;
      const grouping =
        type === 'int' && groups.length > 0 && rng.chance(0.2)
          ? node('int', `GROUPING(${groups.map(g => g.sql).join(', ')})`)
          : undefined;
      const overGroups = type === 'bigint' && rng.chance(0.3) ? this.windowOverGroups(scope, groups) : undefined;
      const value = overGroups ?? grouping ?? aggregate ?? expression(rng, over, type, 1);
      return node(undefined, value, ` AS c${i + 1}`);
    });
    const having = rng.chance(0.3)
      ? optional(
          ' HAVING ',
          rng.chance(0.7)
            ? node(
                'bool',
                '(',
                this.aggregate(scope, 'bigint', 1),
                ` ${rng.pick(['>', '<=', '<>'])} `,
                literal(rng, 'int'),
                ')',
              )
            : comparison(rng, t => expression(rng, { ...over, depth: 0 }, t, 1)),
        )
      : '';
    let by = '';
    if (groups.length > 0) {
      const names = groups.map(g => g.sql).join(', ');
      by = ` GROUP BY ${rng.weighted([
        [9, names],
        [1, `ROLLUP (${names})`],
        [1, `CUBE (${names})`],
        [1, `GROUPING SETS ((${names}), ())`],
        [1, `GROUPING SETS (${groups.map(g => `(${g.sql})`).join(', ')})`],
        [1, `GROUPING SETS (ROLLUP (${names}), ${groups[0].sql}, ())`],
        [1, `${groups[0].sql}, ROLLUP (${names})`],
        [1, `ROLLUP (${names}), CUBE (${groups[0].sql})`],
      ])}`;
    }
    return {
      tree: node(undefined, 'SELECT ', list(items, ', ', 1), ' FROM ', from, where, by, having, this.#order(wanted)),
      columns: this.#columns(wanted),
    };
  }

  /** A window over the groups: what it is ordered by decides, equals are peers. */
  windowOverGroups(scope, groups) {
    const { rng } = this;
    const sum = () => this.aggregate(scope, 'bigint', 1);
    const partition = groups.length > 1 && rng.chance(0.5) ? `PARTITION BY ${groups[1].sql} ` : '';
    const call = rng.pick([
      () => 'rank()',
      () => 'dense_rank()',
      () => node(undefined, 'sum(', sum(), ')'),
      () => node(undefined, 'max(', sum(), ')'),
    ])();
    return node(
      'bigint',
      call,
      ` OVER (${partition}ORDER BY `,
      sum(),
      rng.pick(['', ' DESC']),
      ')',
      call === 'rank()' || call === 'dense_rank()' ? '' : '::bigint',
    );
  }

  windowed(outer) {
    const { rng } = this;
    const { from, where, scope, keys } = this.fromAndWhere(outer, 2);
    const items = [];
    const types = [];
    const add = (sql, type) => {
      types.push(type);
      items.push(node(undefined, sql, ` AS c${types.length}`));
    };
    const type = rng.pick(COMMON);
    add(expression(rng, scope, type, 1), type);
    for (let i = 0; i < rng.int(1, 2); i++) {
      const call = this.windowFunction(scope, keys);
      add(call.sql, call.type);
    }
    return {
      tree: node(undefined, 'SELECT ', list(items, ', ', 1), ' FROM ', from, where, this.#order(types)),
      columns: this.#columns(types),
    };
  }

  setOperation(outer, types) {
    const { rng } = this;
    const wanted = this.#wanted(types);
    const inner = { ...outer, depth: outer.depth - 1 };
    const side = () =>
      rng.chance(0.08)
        ? node(
            undefined,
            '(VALUES (',
            list(
              wanted.map(type => expression(rng, { ...outer, depth: 0 }, type, 1)),
              ', ',
              wanted.length,
            ),
            '))',
          )
        : node(undefined, '(', this.select(inner, wanted).tree, ')');
    const operator = rng.pick([
      ' UNION ',
      ' UNION ALL ',
      ' UNION ALL ',
      ' INTERSECT ',
      ' EXCEPT ',
      ' INTERSECT ALL ',
      ' EXCEPT ALL ',
    ]);
    const more = rng.chance(0.2)
      ? optional(rng.pick([' UNION ', ' UNION ALL ', ' EXCEPT ', ' INTERSECT ALL ']), side())
      : '';
    return {
      tree: node(undefined, side(), operator, side(), more, this.#order(wanted)),
      columns: this.#columns(wanted),
    };
  }

  /** A whole statement: perhaps with WITH. */
  query(depth = 2) {
    const { rng } = this;
    const parts = [];
    if (rng.chance(0.15)) {
      const recursive = rng.chance(0.3);
      if (recursive) {
        const name = this.name('w');
        parts.push(
          node(
            undefined,
            `${name}(c1, c2) AS (SELECT 1, 'a'::text UNION ${rng.pick(['', 'ALL '])}SELECT c1 + 1, `,
            expression(
              rng,
              {
                columns: [
                  { sql: `${name}.c1`, type: 'int' },
                  { sql: `${name}.c2`, type: 'text' },
                ],
                depth: 0,
              },
              'int',
              1,
            ),
            `::text FROM ${name} WHERE c1 < ${rng.int(2, 6)})`,
          ),
        );
        this.ctes.push({ name, columns: this.#columns(['int', 'text']) });
      }
      while (parts.length === 0 || rng.chance(0.3)) {
        const name = this.name('w');
        const query = this.select({ columns: [], depth: depth - 1 });
        parts.push(
          node(undefined, `${name} AS ${rng.pick(['', '', 'MATERIALIZED ', 'NOT MATERIALIZED '])}(`, query.tree, ')'),
        );
        this.ctes.push({ name, columns: query.columns });
      }
      const body = this.select({ columns: [], depth });
      return {
        tree: node(undefined, optional(`WITH ${recursive ? 'RECURSIVE ' : ''}`, list(parts, ', ', 1), ' '), body.tree),
        columns: body.columns,
      };
    }
    return this.select({ columns: [], depth });
  }
}
