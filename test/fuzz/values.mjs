/**
 * Odd values of each type, as SQL: nothing, extremes, empty, huge, infinite, not a number, of other shapes. What has no list here
 * is written as texts that its input function may or may not take.
 */
const numbers = ['0', '1', '-1', '2', '7', '32767', '-32768', '2147483647', '-2147483648'];
const big = ['9223372036854775807', '-9223372036854775808', '2147483648', '4294967295'];
const floats = [
  '0',
  '-0',
  '1.5',
  '-1',
  '1e308',
  '-1e308',
  '5e-324',
  'NaN',
  'Infinity',
  '-Infinity',
  '0.5',
  '1e15',
  '2147483647.5',
  '9.3e18',
];
const numerics = [
  ...['0', '1', '-1', '0.00000000000000000000000001', '99999999999999999999.99', 'NaN', 'Infinity', '-Infinity'],
  ...['1e200', '-1e-200', '0.5', '-2.50', '2147483648', '9223372036854775808', '123456789.000'],
];
const texts = [
  ...[
    '',
    'a',
    'A b',
    ' ',
    'aé😀',
    '%',
    '_',
    '\\',
    '(',
    '[a',
    'a*?',
    '(a)(b)?',
    '$',
    '^',
    '.*',
    "it''s",
    'x,y',
    '1',
    '-1',
    'NULL',
  ],
  ...[
    '{}',
    '{"a": 1}',
    'UTF8',
    'LATIN1',
    'hex',
    'base64',
    'escape',
    'YYYY-MM-DD',
    'FM999.99',
    'HH24:MI',
    'day',
    'epoch',
    'UTC',
  ],
  ...[
    'public',
    'pg_class',
    'postgres',
    'select',
    'SELECT WITH GRANT OPTION',
    'no such',
    'i',
    'g',
    'int4',
    'x'.repeat(70),
  ],
];
const dates = [
  '2000-01-01',
  'infinity',
  '-infinity',
  '4713-01-01 BC',
  '5874897-12-31',
  '2024-02-29',
  '0001-01-01',
  '1970-01-01',
];
const stamps = [
  ...['2000-01-01 00:00', 'infinity', '-infinity', '4713-01-01 00:00 BC', '294276-12-31 23:59:59.999999'],
  ...['2024-02-29 12:34:56.789', '1999-12-31 23:59:60', '0001-01-01'],
];
const intervals = [
  ...[
    '0',
    '1 day',
    '-1 mon',
    '178000000 years',
    '-178000000 years',
    '2147483647 days',
    '-2147483648 days',
    '1 mon -1 day 00:00:01',
  ],
  ...['2562047788:00:54.775807', '00:00:00.000001', '-00:00:01', '30 days', '1 year 2 mons'],
];
const jsons = [
  ...['null', '1', '-0', '1e400', '"a"', '""', 'true', '[]', '{}', '[1, null, "x"]', '{"a": {"b": [1, 2]}, "c": null}'],
  ...[
    '[[1], {"a": "é"}]',
    '{"a": 1, "a": 2}',
    '[1, 2',
    '"\\\\u0000"',
    '"\\\\ud800"',
    '{"": 1}',
    '[{"a": 1}, {"a": null, "b": "x"}]',
  ],
];
const oids = ['0', '1', '10', '16', '23', '1259', '1262', '2249', '4294967295', '999999'];
const bits = ['', '0', '1', '101', '11111111', '0'.repeat(33), '1'.repeat(64)];
const bytes = ['', '\\\\x00', '\\\\xff', '\\\\x616263', '\\\\xc3a9', '\\\\xff00ff', 'abc'];

const LISTS = {
  bool: ['t', 'f'],
  int2: numbers.slice(0, 7),
  int4: numbers,
  int8: [...numbers, ...big],
  float4: floats.filter(f => !/e(?:308|-324)/.test(f)),
  float8: floats,
  numeric: numerics,
  text: texts,
  varchar: texts,
  bpchar: [...texts, 'ab   '],
  name: texts,
  cstring: texts,
  unknown: texts,
  char: ['', 'a', '\\\\377', '1', 'é'],
  bytea: bytes,
  bit: bits,
  varbit: bits,
  date: dates,
  timestamp: stamps,
  timestamptz: [...stamps, '2020-01-01 00:00 America/New_York'],
  time: ['00:00', '24:00:00', '12:34:56.789', '23:59:59.999999'],
  timetz: ['00:00+00', '24:00:00-15:59', '12:34:56.789+05:30', '23:59:59.999999+15:59:59'],
  interval: intervals,
  json: jsons,
  jsonb: jsons,
  jsonpath: ['$', '$.a', '$[*]', 'strict $.a.b', '$ ? (@ > 1)'],
  oid: oids,
  xid: ['0', '1', '3', '4294967295'],
  xid8: ['0', '3', '18446744073709551615'],
  cid: ['0', '4294967295'],
  tid: ['(0,0)', '(0,1)', '(4294967295,65535)'],
  uuid: ['00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff'],
  inet: [
    '0.0.0.0/0',
    '255.255.255.255',
    '10.1.2.3/8',
    '::',
    '::1/128',
    'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
    '::ffff:1.2.3.4/96',
  ],
  cidr: ['0.0.0.0/0', '10.0.0.0/8', '::/0', '192.168.1.1/32'],
  pg_lsn: ['0/0', 'FFFFFFFF/FFFFFFFF', '16/B374D848'],
  pg_snapshot: ['1:1:', '10:20:10,14,15', '1:9223372036854775807:'],
  txid_snapshot: ['1:1:', '10:20:10,14,15'],
  regclass: ['pg_class', '0', '4294967295', 'no_such'],
  regtype: ['int4', '0', '4294967295', 'record', 'int4[]'],
  regproc: ['now', '0', '4294967295', 'no_such'],
  regprocedure: ['now()', '0', '4294967295'],
  regoper: ['0', '4294967295'],
  regoperator: ['+(int4,int4)', '0', '4294967295'],
  regrole: ['postgres', '0', '4294967295'],
  regnamespace: ['pg_catalog', '0', '4294967295'],
  regcollation: ['"C"', '0', '4294967295'],
  aclitem: ['=r/postgres', 'postgres=arwdDxt/postgres', 'postgres=r*/postgres'],
  int2vector: ['', '1', '1 2 3'],
  oidvector: ['', '23', '23 25 1700'],
  refcursor: ['', 'c'],
  point: ['(0,0)', '(NaN,Infinity)'],
  internal: ['0'],
};

/** What a polymorphic or "any" argument may be. */
const CONCRETE = [
  ...[
    'int4',
    'int8',
    'numeric',
    'text',
    'float8',
    'bool',
    'date',
    'timestamptz',
    'interval',
    'jsonb',
    'json',
    'bytea',
    'oid',
  ],
  ...['varchar', 'bpchar', 'name', 'uuid', 'inet', 'bit', 'time', 'char', 'regclass', 'timestamp'],
];
const ROWS = [
  'row()',
  'row(1)',
  "row(1, null, 'x')",
  'null::record',
  'row(row(1, 2), array[1])',
  '(select c from pg_class c where oid = 1259)',
];

const quoted = name => (name === 'char' ? '"char"' : name);
const literal = (name, text) => `${/\\/.test(text) ? 'e' : ''}'${text}'::${quoted(name)}`;

/** @param random of tree.mjs, @param type a type's name as pg_type has it */
export function value(random, type) {
  if (random.chance(0.12)) return nothing(type);
  if (type.startsWith('_')) return array(random, type.slice(1));
  switch (type) {
    case 'any':
    case 'anyelement':
    case 'anynonarray':
    case 'anycompatible':
    case 'anycompatiblenonarray':
      if (random.chance(0.1)) return random.pick(ROWS);
      if (random.chance(0.15)) return array(random, random.pick(CONCRETE));
      if (random.chance(0.1)) return `'${random.pick(texts)}'`;
      return value(random, random.pick(CONCRETE));
    case 'anyarray':
    case 'anycompatiblearray':
      return array(random, random.pick(CONCRETE));
    case 'anyenum':
      return random.pick(["'a'", 'null', value(random, 'int4')]);
    case 'anyrange':
    case 'anycompatiblerange':
    case 'anymultirange':
    case 'anycompatiblemultirange':
      return random.pick(["'empty'::int4range", "'[1,2)'::int4range", "'{}'::int4multirange"]);
    case 'record':
      return random.pick(ROWS);
    case '_record':
      return random.pick(['array[row(1, 2)]', 'null::record[]']);
    default:
  }
  const list = LISTS[type] ?? ['', '0', 'a', '{}', '(0,0)'];
  const text = random.pick(list);
  // Now and then what lost its type on the way, is huge, or comes from somewhere else.
  if (random.chance(0.05)) return `'${text.replaceAll('\\\\', '\\')}'`;
  if (type === 'text' && random.chance(0.03))
    return `repeat('${random.pick(['x', 'é', 'ab'])}', ${random.pick([1000, 10000])})`;
  return literal(type, text);
}

function nothing(type) {
  return /^any|^internal$/.test(type)
    ? 'null'
    : `null::${type.startsWith('_') ? `${quoted(type.slice(1))}[]` : quoted(type)}`;
}

function array(random, element) {
  if (element === 'record')
    return random.pick(['array[row(1, 2)]', 'null::record[]', "array[row(1, 'a'), row(null, 'b')]"]);
  const type = `${quoted(element)}[]`;
  const one = () => (random.chance(0.2) ? 'null' : value(random, element));
  return random.weighted([
    [2, () => `'{}'::${type}`],
    [2, () => `'{NULL}'::${type}`],
    [1, () => `array[null, null]::${type}`],
    [4, () => `array[${one()}, ${one()}]::${type}`],
    [1, () => `array[[${one()}, ${one()}], [${one()}, ${one()}]]::${type}`],
    [1, () => `'[2147483646:2147483646]={NULL}'::${type}`],
    [1, () => `'[-5:-4]={NULL,NULL}'::${type}`],
    [1, () => `'[0:0][3:3]={{NULL}}'::${type}`],
  ])();
}

/** Texts that are given to every type's input function. */
export const inputText = (random, type) =>
  random.chance(0.6)
    ? random.pick(LISTS[type] ?? texts)
    : random.pick([...texts, ...numbers, ...floats, ...stamps, ...jsons, ...intervals]);
