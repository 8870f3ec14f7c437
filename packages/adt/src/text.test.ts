/** Character types and string functions against PostgreSQL. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Case, combine, comparison, each, pairs } from '@pgtroupe/testkit/sql/adt-oracle';

const TEXT = [
  '',
  'a',
  'abc',
  'ABC',
  'Hello, World',
  'héllo wörld',
  'ß straße',
  '日本語テキスト',
  '  padded  ',
  'a,b,,c',
  'x\ty\n',
  '😀 emoji',
  "don't \\ escape",
  'The Quick-brown fox_1',
  'İstanbul ǅ ᾳ ŉ',
];
const SHORT = ['', 'a', ',', 'b', ' ', 'é', '日本', 'ab'];
const CMP = ['eq', 'ne'];
const ORD = ['text_lt', 'text_le', 'text_gt', 'text_ge', 'bttextcmp'];
const NUMS = ['0', '1', '2', '3', '-1', '-2', '5', '100', '-100', '2147483647', '-2147483648'];

const { check } = comparison({ beforeAll, afterAll, it, expect });

/** Comparison functions of PostgreSQL answer any number of the right sign. */
const signless = (cases: Case[]): Case[] => cases.filter(c => !c.fn.endsWith('cmp'));

describe('strings as PostgreSQL treats them', () => {
  check('text comparison', () =>
    signless(
      pairs(
        [...CMP.map(c => `text${c}`), ...ORD, 'text_larger', 'text_smaller', 'textcat', 'starts_with'],
        'text',
        TEXT,
      ),
    ),
  );
  check('length, case, reverse, hashes', () =>
    each(
      [
        'length',
        'octet_length',
        'upper',
        'lower',
        'initcap',
        'reverse',
        'md5',
        'ascii',
        'btrim',
        'ltrim',
        'rtrim',
        'quote_ident',
        'quote_literal',
        'quote_nullable',
        'name',
      ],
      'text',
      [...TEXT, 'select', 'abort', 'foo_bar1', 'Foo', '1abc', 'a"b'],
    ),
  );
  check('substring', () => [
    ...combine('substr', ['text', 'int4'], TEXT, NUMS),
    ...combine('substr', ['text', 'int4', 'int4'], ['abcdef', 'héllo', ''], NUMS, NUMS),
    ...combine('left', ['text', 'int4'], TEXT, NUMS),
    ...combine('right', ['text', 'int4'], TEXT, NUMS),
    ...combine(
      'overlay',
      ['text', 'text', 'int4', 'int4'],
      ['abcdef', 'é日本'],
      ['XY', ''],
      ['1', '3', '0', '9'],
      ['0', '2', '-1', '9'],
    ),
  ]);
  check('pad, trim, translate, repeat', () => [
    ...combine('lpad', ['text', 'int4', 'text'], TEXT, ['0', '3', '15', '-1'], SHORT),
    ...combine('rpad', ['text', 'int4', 'text'], TEXT, ['0', '3', '15', '-1'], SHORT),
    ...['btrim', 'ltrim', 'rtrim'].flatMap(f => combine(f, ['text', 'text'], TEXT, SHORT)),
    ...combine('translate', ['text', 'text', 'text'], TEXT, ['abc', 'é日', ''], ['xy', '', 'é本z']),
    ...combine('repeat', ['text', 'int4'], SHORT, ['0', '1', '3', '-1']),
    ...combine('repeat', ['text', 'int4'], ['a', 'é'], ['2147483647']),
  ]);
  check('search, replace, split', () => [
    ...combine('strpos', ['text', 'text'], TEXT, SHORT),
    ...combine('position', ['text', 'text'], TEXT, SHORT),
    ...combine('replace', ['text', 'text', 'text'], TEXT, SHORT, ['X', '', 'é']),
    ...combine('split_part', ['text', 'text', 'int4'], TEXT, SHORT, ['0', '1', '2', '-1', '-2', '9']),
    ...combine('string_to_array', ['text', 'text'], [...TEXT, null], [...SHORT, null]),
    ...combine('string_to_array', ['text', 'text', 'text'], TEXT, [...SHORT, null], ['', 'a', null]),
    ...combine('string_to_table', ['text', 'text'], TEXT, [...SHORT, null]),
  ]);
  check('chr', () => each(['chr'], 'int4', ['0', '1', '65', '233', '55296', '1114111', '1114112', '-1', '128512']));
  check('format and concat', () => [
    ...combine(
      'format',
      ['text', 'text', 'int4'],
      [
        '%s %s',
        '%2$s %1$s',
        '%I %L',
        '%10s|',
        '%-10s|%s',
        '%*s',
        '%%',
        '%',
        '%z',
        '%1$',
        '%0$s',
        '%5$s',
        '%-*2$s|',
        '%1$*2$s|',
        '%日',
        'plain',
      ],
      ['abc', 'select', "O'Reilly", 'a\\b', null],
      ['5', '-7', null],
    ),
    ...combine('concat', ['text', 'int4', 'bool'], ['a', null], ['1', null], ['t', null]),
    ...combine('concat_ws', ['text', 'text', 'int4'], [',', '', null], ['a', null], ['1', null]),
  ]);
  check('identifiers and Unicode', () => [
    ...combine(
      'parse_ident',
      ['text', 'bool'],
      ['a.b', '"A".b', 'Foo . Bar', 'a.', '.a', '"a', '""', 'a b', '1a', 'É.x', 'a""b', '"a""b".c'],
      ['t', 'f'],
    ),
    ...combine('normalize', ['text', 'text'], ['é', 'ﬁ', 'e\u0301'], ['NFC', 'nfd', 'NFKC', 'x']),
    ...each(['unistr'], 'text', [
      '\\0441\\+01F600 x',
      '\\u00e9',
      '\\U0001F600',
      '\\\\',
      '\\d83d\\de00',
      '\\d83d',
      'a\\zz',
      '\\0000',
    ]),
  ]);
  check('name and bpchar', () => [
    ...signless(pairs(['nameeq', 'namelt', 'namege'], 'name', ['a', 'b', 'A', '', 'x'.repeat(70), 'é'.repeat(40)])),
    ...combine('nameconcatoid', ['name', 'oid'], ['abc', 'x'.repeat(63)], ['1', '4294967295']),
    ...pairs(['bpchareq', 'bpcharne', 'bpcharlt', 'bpcharge', 'bpchar_larger', 'bpchar_smaller'], 'bpchar', [
      'a',
      'a  ',
      'ab',
      '',
      '  ',
      'é ',
    ]),
    ...each(['length', 'octet_length', 'text', 'name'], 'bpchar', ['a', 'a  ', '', '  ', 'é ']),
    ...combine('bpchar', ['bpchar', 'int4', 'bool'], ['abc', 'ab  ', 'é日本', ''], ['5', '7', '10', '-1'], ['t', 'f']),
    ...combine(
      'varchar',
      ['varchar', 'int4', 'bool'],
      ['abc', 'ab  ', 'é日本', ''],
      ['5', '7', '10', '-1'],
      ['t', 'f'],
    ),
  ]);
  check('bytea', () => [
    ...signless(
      pairs(['byteaeq', 'bytealt', 'byteage', 'byteacat'], 'bytea', [
        '',
        'abc',
        '\\x00ff',
        '\\x',
        '\\\\',
        '\\377',
        '\\x0',
        '\\xzz',
        '\\x 61 62',
        '\\9',
        'é',
      ]),
    ),
    ...each(['length', 'md5', 'sha256', 'sha224', 'bit_count'], 'bytea', ['', 'abc', '\\x00ff']),
    ...combine(
      'encode',
      ['bytea', 'text'],
      ['', 'abc', '\\x00ff5c61', '\\x' + 'ab'.repeat(60), '\\x' + 'ab'.repeat(57)],
      ['hex', 'base64', 'escape', 'BASE64', 'foo'],
    ),
    ...combine(
      'decode',
      ['text', 'text'],
      ['', '616', '6162', '6 1', 'YWJj', 'YWI=', 'YW', 'Y===', 'Y!', 'é', 'a\\000b', 'a\\b'],
      ['hex', 'base64', 'escape'],
    ),
    ...combine('get_byte', ['bytea', 'int4'], ['abc'], ['0', '2', '3', '-1']),
    ...combine('get_bit', ['bytea', 'int8'], ['abc'], ['0', '9', '23', '24', '-1']),
    ...combine('set_bit', ['bytea', 'int8', 'int4'], ['abc'], ['0', '9', '24'], ['0', '1', '2']),
    ...combine('set_byte', ['bytea', 'int4', 'int4'], ['abc'], ['0', '3'], ['65', '300']),
    ...combine('substr', ['bytea', 'int4', 'int4'], ['abcdef'], NUMS, ['0', '2', '-1']),
    ...combine('position', ['bytea', 'bytea'], ['abcabc'], ['b', 'z', '', 'ca']),
    ...combine('btrim', ['bytea', 'bytea'], ['abcba'], ['ab', '', 'c']),
  ]);
});
