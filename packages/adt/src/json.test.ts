/** json and jsonb against PostgreSQL; and that jsonb's bytes are PostgreSQL's. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringToText } from './mb/mbutils.ts';
import { parseJson } from './jsonapi.ts';
import { formatJsonb, fromJson, packJsonb, unpackJsonb } from './jsonb_util.ts';
import { combine, comparison, each, pairs } from '@pgtroupe/testkit/sql/adt-oracle';

const DOCS = [
  'null',
  'true',
  '1.50',
  '"a\\u00e9\\n"',
  '[]',
  '{}',
  '[1, "a", null, [2, {"x": 3}]]',
  '{"a": 1, "b": [1,2,3], "c": {"d": null}, "a": 2}',
  '{"bb": 1, "a": 2, "": 3}',
  '[1,2]',
  '[2]',
  '"a"',
  '{"a": {"b": [10, {"c": "deep"}]}}',
  '-0',
  '1e3',
  '[null, true]',
];
const BROKEN = [
  '',
  '{',
  '[1,]',
  '{"a"}',
  '{"a":1,}',
  'nul',
  '01',
  '1.',
  '"\\x"',
  '"\n"',
  '{a:1}',
  '[1 2]',
  '"\\u12"',
  '1 2',
  '"\\ud800"',
  '"\\u0000"',
  "'a'",
  '+1',
  '.5',
  '[1}',
];
const KEYS = ['a', 'b', '', 'x', 'bb'];
const INDEXES = ['0', '1', '-1', '9'];
const PATHS = ['{}', '{a}', '{b,1}', '{a,b,1,c}', '{0}', '{3,1,x}', '{-1}', '{a,NULL}', '{x,y}'];

const { server, check } = comparison({ beforeAll, afterAll, it, expect });

describe('JSON as PostgreSQL treats it', () => {
  for (const t of ['json', 'jsonb'] as const) {
    check(`${t}: reading and access`, () => [
      ...each(
        [
          `${t}_typeof`,
          `${t}_array_length`,
          `${t}_strip_nulls`,
          `${t}_array_elements`,
          `${t}_array_elements_text`,
          `${t}_object_keys`,
        ],
        t,
        [...DOCS, ...BROKEN],
      ),
      ...[`${t}_object_field`, `${t}_object_field_text`].flatMap(f => combine(f, [t, 'text'], DOCS, KEYS)),
      ...[`${t}_array_element`, `${t}_array_element_text`].flatMap(f => combine(f, [t, 'int4'], DOCS, INDEXES)),
    ]);
    check(`${t}: making`, () => [
      ...[
        'int4',
        'text',
        'bool',
        'numeric',
        'float8',
        'int4[]',
        'text[]',
        'date',
        'timestamp',
        'timestamptz',
        'json',
        'jsonb',
        'interval',
        'bytea',
      ].flatMap(type =>
        combine(
          `to_${t}`,
          [type],
          ['1', '{1,2}', 't', '2024-01-01', 'NaN', '{a,NULL,"q\\"x"}', '{{1,2},{3,4}}', '1 day', 'infinity'],
        ),
      ),
    ]);
  }
  check('jsonb: comparison and containment', () =>
    pairs(['jsonb_eq', 'jsonb_lt', 'jsonb_ge', 'jsonb_contains', 'jsonb_contained', 'jsonb_concat'], 'jsonb', DOCS),
  );
  check('jsonb: changes', () => [
    ...combine('jsonb_delete', ['jsonb', 'text'], DOCS, KEYS),
    ...combine('jsonb_delete', ['jsonb', 'int4'], DOCS, INDEXES),
    ...combine('jsonb_delete_path', ['jsonb', 'text[]'], DOCS, PATHS),
    ...combine('jsonb_set', ['jsonb', 'text[]', 'jsonb', 'bool'], DOCS, PATHS, ['99'], ['t', 'f']),
    ...combine('jsonb_insert', ['jsonb', 'text[]', 'jsonb', 'bool'], DOCS, PATHS, ['99'], ['t', 'f']),
    ...combine('jsonb_exists', ['jsonb', 'text'], DOCS, KEYS),
    ...combine('jsonb_exists_any', ['jsonb', 'text[]'], DOCS, ['{a,x}', '{}']),
    ...combine('jsonb_exists_all', ['jsonb', 'text[]'], DOCS, ['{a,b}', '{}']),
    ...each(['jsonb_pretty', 'bool', 'numeric'], 'jsonb', DOCS),
  ]);
  check('building', () => [
    ...combine('json_build_object', ['text', 'int4', 'text', 'numeric[]'], ['k', null], ['1', null], ['k'], ['{1.5}']),
    ...combine('jsonb_build_object', ['text', 'int4', 'text', 'int4[]'], ['k', 'zz'], ['1', null], ['k'], ['{1}']),
    ...combine('json_build_array', ['text', 'int4'], ['a"b', null], ['1']),
    ...combine('jsonb_build_array', ['text', 'bool'], ['a"b', null], ['t']),
    ...combine('json_build_object', ['text'], ['k']),
    ...['json_object', 'jsonb_object'].flatMap(f => [
      ...combine(f, ['text[]'], ['{a,1,b,NULL}', '{{a,1},{b,2}}', '{a}', '{NULL,1}', '{}', '{{a,b,c}}']),
      ...combine(f, ['text[]', 'text[]'], ['{a,b}', '{}'], ['{1,NULL}', '{1}']),
    ]),
    ...each(['int2', 'int4', 'int8', 'float4', 'float8'], 'jsonb', DOCS),
  ]);
  it('stores jsonb as PostgreSQL does', async ctx => {
    const oracle = server();
    if (!oracle) return ctx.skip('no PostgreSQL to compare with');
    const big = JSON.stringify(
      Object.fromEntries(
        Array.from({ length: 70 }, (_, i) => [
          `key${i}`,
          i % 3 === 0 ? i : i % 3 === 1 ? `v${i}` : [i, null, { a: true }],
        ]),
      ),
    );
    for (const doc of [...DOCS, big]) {
      const packed = packJsonb(fromJson(parseJson(doc, true)));
      // Same length as on PostgreSQL's disk, header included, and the same value back.
      const { rows } = await oracle.client.query(
        'SELECT pg_column_size($1::jsonb) AS size, $1::jsonb::text AS text, octet_length(jsonb_send($1::jsonb)) AS sent',
        [doc],
      );
      expect([doc, packed.length + 4, formatJsonb(unpackJsonb(packed))]).toEqual([doc, rows[0].size, rows[0].text]);
      expect(stringToText(rows[0].text).length + 1).toBe(rows[0].sent);
    }
  });
});
