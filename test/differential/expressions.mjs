/**
 * Typed expressions. `scope` knows the columns in reach (`columns`: {sql, type}), how deep subqueries may go and
 * who makes them. What is generated can hardly fail at run time: which row fails first is the plan's choice, so
 * errors are asked for by themselves (statements.mjs), where there is one row.
 */
import { call, made } from './functions.mjs';
import { literal, pseudoConstant, RARE } from './literals.mjs';
import { list, node } from './tree.mjs';

export function column(rng, scope, type) {
  const fitting = scope.columns.filter(c => c.type === type);
  return fitting.length === 0 ? undefined : node(type, rng.pick(fitting).sql);
}

/** An expression of a type. */
export function expression(rng, scope, type, depth = 3) {
  if (depth <= 0 || rng.chance(0.3)) {
    const own = rng.chance(0.8) ? column(rng, scope, type) : undefined;
    return own ?? literal(rng, type);
  }
  if (scope.scalar !== undefined && scope.depth > 0 && rng.chance(0.06)) return scope.scalar(type);
  const e = (t, d = depth - 1) => expression(rng, scope, t, d);
  if (rng.chance(0.02)) {
    const row = wholeRow(rng, scope, type);
    if (row !== undefined) return row;
  }
  if (rng.chance(0.1)) return conditional(rng, scope, type, e);
  const makers = MAKERS[type];
  if (makers === undefined || (made(type) !== undefined && rng.chance(0.4))) return call(rng, type, e);
  return rng.pick(makers)(e, rng, scope, depth);
}

/** A row of a relation in reach as a value. */
function wholeRow(rng, scope, type) {
  const rows = scope.columns.filter(c => c.row !== undefined);
  if (rows.length === 0) return undefined;
  const { row } = rng.pick(rows);
  if (type === 'text') return node(type, rng.pick([`${row}::text`, `concat(${row})`, `to_json(${row})::text`]));
  if (type === 'jsonb') return node(type, `to_jsonb(${row})`);
  if (type === 'bool')
    return node(type, rng.pick([`(${row} IS NULL)`, `(${row} IS NOT NULL)`, `(${row} IS DISTINCT FROM ${row})`]));
  return type === 'int' ? node(type, `num_nulls(${row})`) : undefined;
}

function conditional(rng, scope, type, e) {
  switch (rng.int(0, 4)) {
    case 0:
      return node(
        type,
        'CASE ',
        list(
          [1, 2].slice(0, rng.int(1, 2)).map(() => node(undefined, 'WHEN ', e('bool'), ' THEN ', e(type))),
          ' ',
          1,
        ),
        ' ELSE ',
        e(type),
        ' END',
      );
    case 1: {
      const on = rng.pick(['int', 'text', 'bool']);
      return node(type, 'CASE ', e(on), ' WHEN ', e(on), ' THEN ', e(type), ' WHEN ', e(on), ' THEN ', e(type), ' END');
    }
    case 2:
      return node(type, 'coalesce(', list([e(type), e(type)], ', ', 1), ')');
    case 3:
      if (type.startsWith('json')) return node(type, 'coalesce(', e(type), ')');
      return node(type, 'nullif(', e(type), ', ', e(type), ')');
    default:
      if (type.startsWith('json') || type === 'bool') return node(type, 'coalesce(', e(type), ', ', e(type), ')');
      return node(type, rng.pick(['greatest(', 'least(']), list([e(type), e(type)], ', ', 1), ')');
  }
}

const COMPARED = [
  'int',
  'int',
  'text',
  'text',
  'numeric',
  'bigint',
  'float',
  'date',
  'timestamp',
  'interval',
  'ints',
  'texts',
  'bool',
  'jsonb',
  'tz',
  'small',
  'char',
];
const OPERATORS = ['=', '=', '=', '<>', '<', '<=', '>', '>='];

/** Comparisons that mix types of one family. */
const CROSS = [
  ['int', 'bigint'],
  ['bigint', 'int'],
  ['int', 'numeric'],
  ['int', 'float'],
  ['numeric', 'bigint'],
  ['numeric', 'float'],
  ['date', 'timestamp'],
  ['timestamp', 'date'],
];

export function comparison(rng, e) {
  if (rng.chance(0.15)) {
    const [a, b] = rng.pick(CROSS);
    return node('bool', '(', e(a), ` ${rng.pick(OPERATORS)} `, e(b), ')');
  }
  const type = rng.pick(rng.chance(0.15) ? RARE : COMPARED);
  return node('bool', '(', e(type), ` ${rng.pick(OPERATORS)} `, e(type), ')');
}

function rowComparison(rng, e) {
  const types = Array.from({ length: rng.int(2, 3) }, () => rng.pick(COMPARED.filter(t => t !== 'jsonb')));
  const row = () =>
    node(undefined, rng.chance(0.2) ? 'ROW(' : '(', ...types.flatMap((t, i) => (i ? [', ', e(t)] : [e(t)])), ')');
  const operator = rng.chance(0.1) ? 'IS DISTINCT FROM' : rng.pick(OPERATORS);
  return node('bool', '(', row(), ` ${operator} `, row(), ')');
}

const MAKERS = {
  int: [
    e => node('int', '(', e('int'), ' + ', e('int'), ')'),
    e => node('int', '(', e('int'), ' - ', e('int'), ')'),
    (e, rng) => node('int', '(', e('int'), ` * ${rng.int(2, 3)} `, ')'),
    e => node('int', '(', e('int'), ' % nullif(', e('int'), ', 0))'),
    e => node('int', '(', e('int'), ' / nullif(', e('int'), ', 0))'),
    e => node('int', 'abs(', e('int'), ')'),
    e => node('int', '(- ', e('int'), ')'),
    e => node('int', 'length(', e('text'), ')'),
    e => node('int', 'cardinality(', e('ints'), ')'),
    e => node('int', 'array_length(', e('texts'), ', 1)'),
    (e, rng) => node('int', '(', e('ints'), `)[${rng.int(0, 3)}]`),
    e => node('int', '(', e('date'), ' - ', e('date'), ')'),
    e => node('int', 'extract(', 'day from ', e('timestamp'), ')::int'),
    e => node('int', '(', e('bool'), ')::int'),
    e => node('int', 'position(', e('text'), ' in ', e('text'), ')'),
    e => node('int', 'ascii(', e('text'), ')'),
    e => node('int', '(', e('int'), ' & ', e('int'), ')'),
    e => node('int', 'sign(', e('numeric'), ')::int'),
    e => node('int', 'array_position(', e('ints'), ', ', e('int'), ')'),
    e => node('int', 'num_nulls(', e('int'), ', ', e('text'), ')'),
  ],
  bigint: [
    e => node('bigint', '(', e('int'), ')::bigint'),
    e => node('bigint', '(', e('bigint'), ' + ', e('int'), ')'),
    e => node('bigint', '(', e('int'), ' - ', e('bigint'), ')'),
    e => node('bigint', '(', e('bigint'), ' % nullif(', e('int'), ', 0))'),
  ],
  numeric: [
    e => node('numeric', '(', e('numeric'), ' + ', e('numeric'), ')'),
    e => node('numeric', '(', e('numeric'), ' * ', e('int'), ')'),
    e => node('numeric', '(', e('int'), ' - ', e('numeric'), ')'),
    e => node('numeric', '(', e('numeric'), ' / nullif(', e('numeric'), ', 0))'),
    (e, rng) => node('numeric', 'round(', e('numeric'), `, ${rng.int(0, 2)})`),
    e => node('numeric', 'trunc(', e('numeric'), ')'),
    e => node('numeric', '(', e('int'), ')::numeric'),
    e => node('numeric', '(', e('int'), ')::numeric(10,2)'),
  ],
  float: [
    e => node('float', '(', e('float'), ' + ', e('float'), ')'),
    e => node('float', '(', e('int'), ')::float8'),
    e => node('float', '(', e('float'), ' * 0.5)'),
    e => node('float', 'floor(', e('float'), ')'),
    e => node('float', '(', e('numeric'), ')::float8'),
  ],
  text: [
    e => node('text', '(', e('text'), ' || ', e('text'), ')'),
    e => node('text', 'upper(', e('text'), ')'),
    (e, rng) => node('text', 'substr(', e('text'), `, ${rng.int(0, 2)}, ${rng.int(0, 3)})`),
    (e, rng) =>
      node(
        'text',
        '(',
        e(
          rng.pick([
            'int',
            'numeric',
            'bool',
            'date',
            'bigint',
            'timestamp',
            'interval',
            'ints',
            'texts',
            'jsonb',
            'float',
          ]),
        ),
        ')::text',
      ),
    e => node('text', 'concat(', e('text'), ', ', e('int'), ')'),
    e => node('text', 'reverse(', e('text'), ')'),
    e => node('text', 'replace(', e('text'), ', ', e('text'), ', ', e('text'), ')'),
    e => node('text', 'array_to_string(', e('texts'), ", ',', '-')"),
    (e, rng) => node('text', '(', e('texts'), `)[${rng.int(0, 2)}]`),
    (e, rng) => node('text', '(', e('jsonb'), ` ->> '${rng.pick(['a', 'b', 'c'])}')`),
    e => node('text', 'to_char(', e('date'), ", 'YYYY-MM-DD Dy')"),
    e => node('text', "concat_ws('/', ", e('text'), ', ', e('text'), ')'),
    (e, rng) => node('text', rng.pick(['left(', 'right(', 'lpad(']), e('text'), `, ${rng.int(0, 3)})`),
    e => node('text', 'split_part(', e('text'), ", ' ', 1)"),
    e => node('text', 'initcap(', e('text'), ')'),
    e => node('text', 'md5(', e('text'), ')'),
    e => node('text', '(', e('text'), ')::varchar(2)::text'),
    e => node('text', 'jsonb_typeof(', e('jsonb'), ')'),
    e => node('text', "format('%s-%L', ", e('int'), ', ', e('text'), ')'),
  ],
  bool: [
    (e, rng) => comparison(rng, e),
    (e, rng) => comparison(rng, e),
    (e, rng) => comparison(rng, e),
    e => node('bool', '(', list([e('bool'), e('bool')], ' AND ', 1), ')'),
    e => node('bool', '(', list([e('bool'), e('bool')], ' OR ', 1), ')'),
    e => node('bool', '(NOT ', e('bool'), ')'),
    (e, rng) =>
      node(
        'bool',
        '(',
        e(rng.pick(['int', 'text', 'date', 'jsonb', 'ints'])),
        rng.pick([' IS NULL)', ' IS NOT NULL)']),
      ),
    (e, rng) => node('bool', '(', e('bool'), rng.pick([' IS TRUE)', ' IS NOT TRUE)', ' IS UNKNOWN)', ' IS FALSE)'])),
    (e, rng) => {
      const type = rng.pick(['int', 'text', 'date', 'numeric']);
      return node(
        'bool',
        '(',
        e(type),
        rng.pick([' IN (', ' NOT IN (']),
        list([e(type), e(type), e(type)], ', ', 1),
        '))',
      );
    },
    (e, rng) => {
      const type = rng.pick(['int', 'numeric', 'text', 'date']);
      return node(
        'bool',
        '(',
        e(type),
        rng.pick([' BETWEEN ', ' NOT BETWEEN ', ' BETWEEN SYMMETRIC ']),
        e(type),
        ' AND ',
        e(type),
        ')',
      );
    },
    (e, rng) =>
      node(
        'bool',
        '(',
        e('text'),
        rng.pick([' LIKE ', ' NOT LIKE ', ' ILIKE ']),
        `'${rng.pick(['a%', '%b', '_', '%', 'row 1%', 'a_%'])}')`,
      ),
    (e, rng) => node('bool', '(', e('text'), ` ~ '${rng.pick(['^a', 'b+', '[cd]$', '.'])}')`),
    (e, rng) => {
      const type = rng.pick(['int', 'text', 'numeric', 'date', 'bigint', 'bool']);
      return node('bool', '(', e(type), rng.pick([' IS DISTINCT FROM ', ' IS NOT DISTINCT FROM ']), e(type), ')');
    },
    (e, rng) => node('bool', '(', e('int'), ` ${rng.pick(OPERATORS)} ${rng.pick(['ANY', 'ALL'])}(`, e('ints'), '))'),
    (e, rng) => node('bool', '(', e('text'), ` = ${rng.pick(['ANY', 'ALL'])}(`, e('texts'), '))'),
    (e, rng) => rowComparison(rng, e),
    (e, rng) => {
      const type = rng.pick(['int', 'text', 'numeric', 'float', 'date', 'timestamp', 'interval', 'bigint']);
      const items = list([e(type), node(type, 'NULL'), e(type)], ', ', 1);
      return node('bool', '(', e(type), rng.pick([' IN (', ' NOT IN (']), items, '))');
    },
    (e, rng) => {
      const [a, b] = [rng.pick(['int', 'text']), rng.pick(['int', 'date', 'numeric'])];
      const row = () => node(undefined, '(', e(a), ', ', e(b), ')');
      return node('bool', '(', row(), rng.pick([' IN (', ' NOT IN (']), list([row(), row()], ', ', 1), '))');
    },
    (e, rng) => pseudoConstant(rng),
    (e, rng) => node('bool', '(', e('ints'), ` ${rng.pick(['@>', '<@', '&&'])} `, e('ints'), ')'),
    (e, rng) => node('bool', '(', e('jsonb'), ` ${rng.pick(['@>', '<@'])} `, e('jsonb'), ')'),
    (e, rng) => node('bool', '(', e('jsonb'), ` ? '${rng.pick(['a', 'b'])}')`),
    (e, rng, scope) => (scope.depth > 0 && scope.exists !== undefined ? scope.exists() : comparison(rng, e)),
    (e, rng, scope) => (scope.depth > 0 && scope.membership !== undefined ? scope.membership() : comparison(rng, e)),
  ],
  date: [
    e => node('date', '(', e('date'), ' + ', e('int'), ')'),
    e => node('date', '(', e('timestamp'), ')::date'),
    e => node('date', '(', e('date'), ' - ', e('int'), ')'),
  ],
  timestamp: [
    e => node('timestamp', '(', e('date'), ')::timestamp'),
    e => node('timestamp', '(', e('timestamp'), ' + ', e('interval'), ')'),
    e => node('timestamp', '(', e('date'), ' - ', e('interval'), ')'),
    (e, rng) => node('timestamp', `date_trunc('${rng.pick(['month', 'day', 'hour', 'week'])}', `, e('timestamp'), ')'),
  ],
  interval: [
    e => node('interval', '(', e('timestamp'), ' - ', e('timestamp'), ')'),
    e => node('interval', '(', e('interval'), ' * ', e('int'), ')'),
    e => node('interval', '(', e('interval'), ' + ', e('interval'), ')'),
    e => node('interval', 'age(', e('timestamp'), ', ', e('timestamp'), ')'),
  ],
  ints: [
    e => node('ints', 'array[', list([e('int'), e('int')], ', ', 1), ']'),
    e => node('ints', '(', e('ints'), ' || ', e('int'), ')'),
    e => node('ints', '(', e('ints'), ' || ', e('ints'), ')'),
    e => node('ints', 'array_remove(', e('ints'), ', ', e('int'), ')'),
    e => node('ints', 'array_append(', e('ints'), ', ', e('int'), ')'),
    (e, rng) => node('ints', '(', e('ints'), `)[${rng.int(0, 2)}:${rng.int(1, 3)}]`),
    (e, rng, scope) =>
      scope.depth > 0 && scope.array !== undefined ? scope.array() : node('ints', 'array[', e('int'), ']'),
  ],
  texts: [
    e => node('texts', 'array[', list([e('text'), e('text')], ', ', 1), ']'),
    e => node('texts', '(', e('texts'), ' || ', e('text'), ')'),
    e => node('texts', 'string_to_array(', e('text'), ", ' ')"),
    e => node('texts', '(', e('ints'), ')::text[]'),
  ],
  jsonb: [
    e => node('jsonb', "jsonb_build_object('k', ", e('int'), ", 'v', ", e('text'), ')'),
    e => node('jsonb', 'jsonb_build_array(', e('bool'), ', ', e('numeric'), ')'),
    (e, rng) => node('jsonb', '(', e('jsonb'), ` -> '${rng.pick(['a', 'b', 'c'])}')`),
    (e, rng) => node('jsonb', '(', e('jsonb'), ` -> ${rng.int(0, 1)})`),
    (e, rng) => node('jsonb', 'to_jsonb(', e(rng.pick(['int', 'text', 'ints', 'bool', 'date'])), ')'),
    e => node('jsonb', '(', e('jsonb'), " #> '{b,0}')"),
  ],
};
