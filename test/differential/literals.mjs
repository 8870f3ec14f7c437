/**
 * Types the generator knows and literals of them: few values, so that comparisons are of equals as often as not; now and then
 * one at the end of its type (NaN, infinity, the largest).
 */
import { node } from './tree.mjs';

export const TYPES = [
  'int',
  'bigint',
  'numeric',
  'float',
  'text',
  'bool',
  'date',
  'timestamp',
  'interval',
  'ints',
  'texts',
  'jsonb',
  'small',
  'real',
  'tz',
  'time',
  'json',
  'bytea',
  'uuid',
  'char',
  'mood',
];
export const COMMON = [
  'int',
  'int',
  'int',
  'text',
  'text',
  'bool',
  'numeric',
  'bigint',
  'date',
  'timestamp',
  'float',
  'ints',
  'texts',
  'jsonb',
  'interval',
  'tz',
  'small',
  'char',
];
/** Types whose values are compared with their own only, and have no makers but functions.mjs's. */
export const RARE = ['real', 'time', 'bytea', 'uuid', 'mood'];

/** As SQL spells them. */
export const SQL_TYPE = {
  int: 'int',
  bigint: 'bigint',
  numeric: 'numeric',
  float: 'float8',
  text: 'text',
  bool: 'bool',
  date: 'date',
  timestamp: 'timestamp',
  interval: 'interval',
  ints: 'int[]',
  texts: 'text[]',
  jsonb: 'jsonb',
  jsonb_object: 'jsonb',
  small: 'smallint',
  real: 'real',
  tz: 'timestamptz',
  time: 'time',
  json: 'json',
  bytea: 'bytea',
  uuid: 'uuid',
  char: 'char(3)',
  mood: 'mood',
};

/** Rare: most arithmetic on them fails. */
const EXTREMES = {
  numeric: ["'NaN'::numeric", "'Infinity'::numeric", "'-Infinity'::numeric", '1e-20', '12345678901234567890.5'],
  float: ["'NaN'::float8", "'Infinity'::float8", "'-Infinity'::float8", "'-0'::float8", '1e300::float8'],
  date: ["date 'infinity'", "date '-infinity'", "date '0044-03-15 BC'"],
  timestamp: ["timestamp 'infinity'", "timestamp '-infinity'", "timestamp '0044-03-15 12:00 BC'"],
  interval: ["interval '0'", "interval '-1 mon +30 days'", "interval '30 days'"],
  jsonb: ["'{}'::jsonb", "'[]'::jsonb", "'1.0'::jsonb", "'1'::jsonb"],
};

/** Conditions without a column. Those with types become parameters where statements are prepared. */
const PSEUDO_CONSTANT = [
  '1 = 0',
  '1 = 1',
  "'a' = 'b'",
  'NULL::bool',
  '(NULL = 1)',
  '1::bigint = 2',
  '2::bigint = 2',
  "'x'::text = 'x'::text",
  "'x'::text <> 'x'::text",
  "date '2020-01-01' = date '2020-01-02'",
  "current_user = 'nobody'",
  "current_user <> 'nobody'",
  'current_user = session_user',
  '(SELECT false)',
  '(SELECT count(*) FROM e0) = 1',
  'EXISTS (SELECT FROM e0)',
];

export function pseudoConstant(rng) {
  return node('bool', '(', rng.pick(PSEUDO_CONSTANT), ')');
}

export function literal(rng, type) {
  if (rng.chance(0.07)) return node(type, `NULL::${SQL_TYPE[type]}`);
  if (type in EXTREMES && rng.chance(0.03)) return node(type, rng.pick(EXTREMES[type]));
  switch (type) {
    case 'int':
      return node(type, String(rng.pick([0, 1, 2, 3, 4, 5, 7, 10, 20, -1, -2])).replace(/^-.*/, '($&)'));
    case 'bigint':
      return node(type, `${rng.pick(['0', '1', '3', '6', '12', '4000000000', '(-5)'])}::bigint`);
    case 'numeric':
      return node(type, rng.pick(['0.0', '1.25', '2.5', '3.75', '10.00', '(-1.5)', '0.333']));
    case 'float':
      return node(type, rng.pick(['0::float8', '0.5::float8', '1.5::float8', '(-2.5)::float8', '1e10::float8']));
    case 'text':
      return node(type, rng.pick(["''", "'a'", "'b'", "'cc'", "'d'", "'row 3'", "'Ab'", "'é'", "'a b'"]));
    case 'bool':
      return node(type, rng.pick(['true', 'false']));
    case 'date':
      return node(type, `date '${rng.pick(['2020-01-01', '2020-02-29', '2020-03-01', '1999-12-31'])}'`);
    case 'timestamp':
      return node(
        type,
        `timestamp '${rng.pick(['2020-02-28 12:00:00', '2020-03-01 00:00:00', '2001-01-01 01:02:03.5'])}'`,
      );
    case 'interval':
      return node(type, `interval '${rng.pick(['1 day', '1 mon', '-2 hours', '36 hours', '1 year 2 mons 3 days'])}'`);
    case 'ints':
      return node(type, rng.pick(["'{}'::int[]", "'{1,2}'::int[]", "'{0,1,NULL}'::int[]", 'array[3,1,2]']));
    case 'texts':
      return node(type, rng.pick(["'{}'::text[]", "'{a,z}'::text[]", "array['b','x']"]));
    case 'small':
      return node(type, `${rng.pick(['0', '1', '2', '7', '100', '(-3)'])}::smallint`);
    case 'real':
      return node(type, `${rng.pick(['0', '0.5', '1.1', '(-2.25)', '1e10'])}::real`);
    case 'tz':
      return node(
        type,
        `timestamptz '${rng.pick(['2020-02-28 12:00+00', '2020-03-29 02:30+01', '1999-12-31 23:59:59.25+00'])}'`,
      );
    case 'time':
      return node(type, `time '${rng.pick(['00:00', '12:00', '23:59:59.5', '05:30'])}'`);
    case 'json':
      return node(type, rng.pick([`'{"a": 1, "a":  2}'::json`, `'[1, "x"]'::json`, `'"s"'::json`, `'null'::json`]));
    case 'bytea':
      return node(type, rng.pick([`'\\x'::bytea`, `'\\x00ff'::bytea`, `'ab'::bytea`, `'\\x610062'::bytea`]));
    case 'uuid':
      return node(
        type,
        `'${rng.pick(['0cc175b9-c0f1-b6a8-31c3-99e269772661', '00000000-0000-0000-0000-000000000000'])}'::uuid`,
      );
    case 'char':
      return node(type, `${rng.pick(["'a'", "'ab'", "'  b'", "''", "'abc'"])}::char(3)`);
    case 'mood':
      return node(type, `${rng.pick(["'sad'", "'ok'", "'happy'"])}::mood`);
    case 'jsonb_object':
      return node(type, rng.pick([`'{"a": 1}'::jsonb`, `'{"a": 2, "b": [1, 2]}'::jsonb`, `'{}'::jsonb`]));
    default:
      return node(
        type,
        rng.pick([
          `'{"a": 1}'::jsonb`,
          `'[1, "x", null]'::jsonb`,
          `'{"a": 2, "b": [1, 2]}'::jsonb`,
          `'"s"'::jsonb`,
          `'null'::jsonb`,
        ]),
      );
  }
}
