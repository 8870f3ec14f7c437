/** Arrays against PostgreSQL: literals, comparison, building, searching; and round trips by property. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Oid } from '@pgtroupe/common/ids';
import { combine, comparison, each, pairs } from '@pgtroupe/testkit/sql/adt-oracle';
import { builtinTypes } from './cache/builtin_types.ts';
import '@pgtroupe/commands/fmgrtab';
import { DEFAULT_SETTINGS, type FunctionCall, lookupBuiltin } from './fmgr.ts';
import { stringToText, textToString } from './mb/mbutils.ts';
import { arrayHeader, buildTextArray, deconstructArray } from './arrayutils.ts';
import { arrayGetElement, arrayGetSlice, arraySetElement, arraySetSlice } from './arraysubs.ts';
import { formatArray, parseArray } from './arrayfuncs.ts';

const INTS = [
  '{}',
  '{1}',
  '{1,2,3}',
  '{1,NULL,3}',
  '{{1,2},{3,4}}',
  '[0:2]={5,6,7}',
  '[2:3][-1:0]={{1,2},{3,4}}',
  '{3,2,1}',
  '{null}',
  '{{{1}}}',
  ' { 1 , 2 } ',
  '{1,2,3,4}',
];
const BROKEN = [
  '',
  'x',
  '{',
  '}',
  '{1',
  '{1,}',
  '{,1}',
  '{1}}',
  '{1} x',
  '{{1},{2,3}}',
  '{{1},2}',
  '{1,{2}}',
  '[1:2]={1}',
  '[2:1]={1}',
  '[1]={1}',
  '[1:1={1}',
  '{a}',
  '{1 2}',
  '{"1"}',
  '{"}',
  '{{{{{{{1}}}}}}}',
  '{{},{}}',
  '{{}}',
  '[1:0]={}',
];
const TEXTS = [
  '{}',
  '{a}',
  '{a,b}',
  '{"a b","c,d"}',
  '{"",NULL,"NULL",null}',
  '{"\\"q\\"","\\\\"}',
  '{ a b , c }',
  '{a\\,b}',
  '{é,日本}',
  '{{a,b},{c,d}}',
  '{"{x}"}',
];

const { server, check } = comparison({ beforeAll, afterAll, it, expect });

describe('arrays as PostgreSQL treats them', () => {
  const compare = [
    'array_eq',
    'array_ne',
    'array_lt',
    'array_ge',
    'btarraycmp',
    'array_larger',
    'array_smaller',
    'arrayoverlap',
    'arraycontains',
    'arraycontained',
    'array_cat',
  ];
  check('literals', () => [
    ...combine('array_append', ['int4[]', 'int4'], [...INTS, ...BROKEN], ['9', null]),
    ...combine('array_prepend', ['text', 'text[]'], ['z', null], TEXTS),
  ]);
  check('comparison, containment, concatenation', () => [
    ...pairs(compare, 'int4[]', INTS),
    ...pairs(compare, 'text[]', TEXTS),
    ...pairs(['array_eq', 'array_lt'], 'numeric[]', ['{1.0}', '{1}', '{NaN}', '{-1.5,2}']),
    ...pairs(['array_eq', 'btarraycmp'], 'bool[]', ['{t}', '{f}', '{t,f}']),
  ]);
  check('dimensions', () => [
    ...each(['array_ndims', 'array_dims', 'cardinality', 'unnest'], 'int4[]', INTS),
    ...['array_lower', 'array_upper', 'array_length', 'generate_subscripts'].flatMap(f =>
      combine(f, ['int4[]', 'int4'], INTS, ['0', '1', '2', '3', '-1']),
    ),
    ...combine('trim_array', ['int4[]', 'int4'], INTS, ['0', '1', '-1', '9']),
  ]);
  check('search, remove, replace', () => [
    ...['array_remove', 'array_position', 'array_positions'].flatMap(f =>
      combine(f, ['int4[]', 'int4'], [...INTS, null], ['1', '3', '9', null]),
    ),
    ...combine('array_replace', ['int4[]', 'int4', 'int4'], INTS, ['1', null], ['7', null]),
    ...combine('array_position', ['int4[]', 'int4', 'int4'], INTS, ['3', null], ['2', '0', null]),
  ]);
  check('fill', () => [
    ...combine(
      'array_fill',
      ['int4', 'int4[]'],
      ['7', null],
      ['{2}', '{2,3}', '{}', '{0}', '{-1}', '{NULL}', '{{1}}', null],
    ),
    ...combine('array_fill', ['text', 'int4[]', 'int4[]'], ['x'], ['{2}', '{2,2}'], ['{5}', '{0,-1}', '{1,2,3}', null]),
  ]);
  check('array_to_string', () => [
    ...combine('array_to_string', ['int4[]', 'text'], INTS, [',', '', '--']),
    ...combine('array_to_string', ['text[]', 'text', 'text'], TEXTS, [',', null], ['*', null]),
  ]);
  check('other element types', () =>
    [
      'int2',
      'int8',
      'float4',
      'float8',
      'numeric',
      'bool',
      'name',
      '"char"',
      'oid',
      'bpchar',
      'varchar',
      'bytea',
      'tid',
      'int2vector',
      'oidvector',
    ].flatMap(t =>
      combine(
        'array_cat',
        [`${t}[]`, `${t}[]`],
        ['{}', '{1}', '{1,NULL,0}', '{"1","0","1"}', '{x}', '{"(1,2)"}'],
        ['{1}', '{0,1}'],
      ),
    ),
  );
  check('width_bucket', () =>
    combine('width_bucket', ['int4', 'int4[]'], ['0', '1', '5', '99'], ['{1,3,5,7}', '{}', '{1,NULL}', '{{1,2}}']),
  );

  it('subscripts', async ctx => {
    const oracle = server();
    if (!oracle) return ctx.skip('no PostgreSQL to compare with');
    const int4 = builtinTypes().get(23)!;
    const call = oracle.call([], 0 as Oid);
    const read = (text: string): Uint8Array => parseArray(call, stringToText(text), 23 as Oid, -1);
    for (const text of INTS) {
      for (const [i, j] of [
        [1, 1],
        [0, 2],
        [2, 0],
        [3, 9],
        [-1, 2],
      ] as const) {
        const { rows } = await oracle.client.query(
          `SELECT ($1::int4[])[${i}]::text AS one, ($1::int4[])[${i}][${j}]::text AS two, ($1::int4[])[${i}:${j}]::text AS slice, ($1::int4[])[:${j}]::text AS head`,
          [text],
        );
        const array = read(text);
        const shown = (bytes: Uint8Array): string => textToString(formatArray(call, bytes));
        const one = arrayGetElement(array, int4, [i]);
        const two = arrayGetElement(array, int4, [i, j]);
        expect({
          text,
          i,
          j,
          one: one === null ? null : String(one),
          two: two === null ? null : String(two),
          slice: shown(arrayGetSlice(array, int4, { lower: [i], upper: [j] })),
          head: shown(arrayGetSlice(array, int4, { lower: [undefined], upper: [j] })),
        }).toEqual({ text, i, j, ...rows[0] });
      }
    }
    await oracle.client.query('CREATE TEMP TABLE subs (a int4[])');
    for (const [start, set, ours] of [
      ['{1,2}', 'a[4] = 9', (a: Uint8Array) => arraySetElement(a, int4, [4], 9)],
      ['{1,2}', 'a[-1] = 9', (a: Uint8Array) => arraySetElement(a, int4, [-1], 9)],
      ['{}', 'a[3] = 9', (a: Uint8Array) => arraySetElement(a, int4, [3], 9)],
      ['{{1,2},{3,4}}', 'a[2][1] = NULL', (a: Uint8Array) => arraySetElement(a, int4, [2, 1], null)],
      [
        '{1,2,3}',
        "a[2:4] = '{7,8,9}'",
        (a: Uint8Array) => arraySetSlice(a, int4, { lower: [2], upper: [4] }, read('{7,8,9}')),
      ],
      [
        '{1,2,3}',
        "a[6:7] = '{7,8}'",
        (a: Uint8Array) => arraySetSlice(a, int4, { lower: [6], upper: [7] }, read('{7,8}')),
      ],
    ] as const) {
      const { rows } = await oracle.client
        .query(`WITH d AS (DELETE FROM subs) INSERT INTO subs VALUES ('${start}')`)
        .then(() => oracle.client.query(`UPDATE subs SET ${set} RETURNING a::text`));
      await oracle.client.query('TRUNCATE subs');
      expect(`${set}: ${textToString(formatArray(call, ours(read(start))))}`).toBe(`${set}: ${rows[0].a}`);
    }
  });
});

describe('array payloads', () => {
  const call: FunctionCall = {
    settings: DEFAULT_SETTINGS,
    collation: 100 as Oid,
    argTypes: [],
    resultType: 1009 as Oid,
    extra: undefined,
  };
  it('text arrays survive printing, reading, sending and receiving', () => {
    fc.assert(
      fc.property(
        fc.array(fc.option(fc.string({ unit: 'grapheme' }).filter(s => !s.includes('\0'))), { maxLength: 12 }),
        words => {
          const array = buildTextArray(words.map(w => (w === null ? null : stringToText(w))));
          const printed = formatArray(call, array);
          const again = parseArray(call, printed, 25 as Oid, -1);
          const sent = lookupBuiltin('array_send')!(call, again) as Uint8Array;
          const received = lookupBuiltin('array_recv')!({ ...call, extra: undefined }, sent, 25, -1) as Uint8Array;
          const text = builtinTypes().get(25)!;
          const back = deconstructArray(received, text).map(v => (v === null ? null : textToString(v as Uint8Array)));
          return JSON.stringify(back) === JSON.stringify(words) && arrayHeader(received).nitems === words.length;
        },
      ),
    );
  });
});
