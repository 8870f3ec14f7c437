/** LIKE, regular expressions, SIMILAR TO, and names of catalog objects against PostgreSQL. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Case, combine, each, Oracle } from '@pgtroupe/testkit/sql/adt-oracle';
import { defaultFlags } from './regex/regcomp.ts';
import { Regex } from './regex/regexec.ts';

const TEXTS = [
  '',
  'a',
  'ab',
  'abc',
  'aab',
  'foobar',
  'foo.bar',
  'Hello World',
  'x%y_z',
  'a\nb',
  'line1\nline2\n',
  'aaa bbb ccc',
  '2024-02-29',
  'héé',
  'pg_class',
  'a\\b',
  'AbC',
  'xyzzy',
  '  x  ',
  '123',
  'foo,bar,,baz',
];
const LIKES = [
  '',
  '%',
  '_',
  'a%',
  '%b',
  '%a%b%',
  'a_c',
  'x\\%y\\_z',
  'h_é',
  '%\\',
  'A%',
  '%é%',
  'foo.bar',
  '%%',
  '__%',
];
const PATTERNS = [
  '',
  'a',
  '^a',
  'a$',
  '^(foo)$',
  '^(pg_class)$',
  'a*',
  'a+b',
  'a?b',
  '(a|b)+',
  '(a|ab)(c|bcd)?',
  '[a-c]+',
  '[^a-c]+',
  '\\d+',
  '\\w+',
  '\\s',
  '\\d{4}-\\d{2}',
  '(\\d+)-(\\d+)-(\\d+)',
  'o{2}',
  'o{1,}',
  '.',
  '.*',
  '.*?',
  '(.*?)b',
  '(.*)b',
  'a.*?c',
  '(foo)(bar)',
  '(?:foo)(bar)',
  '\\yfoo',
  'foo\\y',
  '\\mfoo\\M',
  '[[:alpha:]]+',
  '[[:digit:]]',
  '[[:<:]]foo',
  '(?i)HELLO',
  '(?n)^line2$',
  '(?n).*',
  'a|',
  '|a',
  '()',
  '(a*)*',
  '(a*)+',
  '(a|b)*?c',
  '^$',
  '$^',
  'é+',
  '[é]',
  '\\u00e9',
  'x(?=y)',
  'x(?!y)',
  '(?<=o)b',
  '(?<!o)b',
  '***=a.b',
  '***:a.b',
  '(?x) a b # c',
  'z{0}',
  'z{2}',
  '[]a]',
  '[^]a]',
  '[a-]',
  'a\\.b',
  'o\\.',
  ',',
  '(,)',
  '[ab]{1,2}?',
  '(aa?)(a?)',
  '(a+)(b+)?',
  '(?:(a)|b)*',
  'a{2,3}',
  '\\Aa',
  'b\\Z',
  '\\Da',
  '\\x41',
];
const BROKEN = [
  '(',
  ')',
  '[',
  'a**',
  '*a',
  '+',
  'a{2,1}',
  'a{999}',
  '[z-a]',
  '\\',
  '[[:foo:]]',
  '(?z)a',
  'a{1',
  '\\q',
  '(?',
  '[[.ab.]]',
  'x{1,2,3}',
  '^*',
];

let oracle: Oracle | undefined;
beforeAll(async () => {
  oracle = await Oracle.connect();
});
afterAll(async () => oracle?.close());

const check = (name: string, cases: () => Case[]): void => {
  it(name, async ctx => {
    if (!oracle) return ctx.skip('no PostgreSQL to compare with');
    expect(await oracle.compare(cases())).toEqual([]);
  });
};

describe('patterns as PostgreSQL matches them', () => {
  check('LIKE', () => [
    ...['textlike', 'textnlike', 'texticlike'].flatMap(f => combine(f, ['text', 'text'], TEXTS, LIKES)),
    ...combine('namelike', ['name', 'text'], TEXTS, LIKES),
    ...combine('bytealike', ['bytea', 'bytea'], ['abc', 'héé', ''], ['%b%', 'h_\\\\251%', '_', 'h__%']),
    ...combine('like_escape', ['text', 'text'], ['a%b', 'a#%b', 'a\\b', '##', '#'], ['#', '', '\\', 'ab']),
  ]);
  check('matching', () => [
    ...combine('textregexeq', ['text', 'text'], TEXTS, PATTERNS),
    ...combine('texticregexeq', ['text', 'text'], TEXTS, PATTERNS),
    ...combine('nameregexne', ['name', 'text'], TEXTS.slice(0, 8), PATTERNS),
  ]);
  check('broken patterns', () => combine('textregexeq', ['text', 'text'], ['abc'], BROKEN));
  check('what is matched', () => [
    ...combine('regexp_match', ['text', 'text'], TEXTS, PATTERNS),
    ...combine('substring', ['text', 'text'], TEXTS, PATTERNS),
    ...combine('regexp_matches', ['text', 'text', 'text'], TEXTS, PATTERNS, ['g', 'gi', 'gn']),
  ]);
  check('replacing', () => [
    ...combine('regexp_replace', ['text', 'text', 'text'], TEXTS, PATTERNS, ['X', '[\\1]', '<\\&>', '\\\\x\\y\\']),
    ...combine('regexp_replace', ['text', 'text', 'text', 'text'], TEXTS, PATTERNS, ['<\\&>'], ['g', 'gi', '1', 'z']),
    ...combine(
      'regexp_replace',
      ['text', 'text', 'text', 'int4', 'int4'],
      ['foobar', 'aaa'],
      ['[ao]', 'o*'],
      ['X'],
      ['1', '3', '0', '9'],
      ['0', '1', '2', '-1'],
    ),
  ]);
  check('splitting', () =>
    ['regexp_split_to_array', 'regexp_split_to_table']
      .flatMap(f => combine(f, ['text', 'text'], TEXTS, PATTERNS))
      .concat(combine('regexp_split_to_array', ['text', 'text', 'text'], TEXTS, ['A', ','], ['i', 'g'])),
  );
  check('counting and finding', () => [
    ...combine('regexp_count', ['text', 'text'], TEXTS, PATTERNS),
    ...combine('regexp_count', ['text', 'text', 'int4', 'text'], TEXTS, ['a', 'O', ''], ['1', '3', '0'], ['i', 'g']),
    ...combine('regexp_like', ['text', 'text', 'text'], TEXTS, ['A', '^l.*2$'], ['i', 'n', 'g']),
    ...combine(
      'regexp_instr',
      ['text', 'text', 'int4', 'int4', 'int4', 'text', 'int4'],
      ['foobar', 'abcabc'],
      ['(o)(b)', '(b)(c)'],
      ['1', '3'],
      ['1', '2', '0'],
      ['0', '1', '2'],
      ['i'],
      ['0', '2', '3', '-1'],
    ),
    ...combine(
      'regexp_substr',
      ['text', 'text', 'int4', 'int4', 'text', 'int4'],
      ['foobar', 'abcabc'],
      ['(o)(b)', '(b)(c)'],
      ['1', '3'],
      ['1', '2'],
      ['i'],
      ['0', '2', '3'],
    ),
  ]);
  check('SIMILAR TO', () =>
    combine(
      'similar_to_escape',
      ['text', 'text'],
      ['a%b', '(a|b)_', '[a\\]^b]%', 'a#%b', 'x#"y#"z', '#"#"#"', 'a.b$^\\'],
      ['#', '', '\\', 'ab'],
    ).concat(each(['similar_to_escape'], 'text', ['a%', '\\%', '[^]a]'])),
  );
  it('takes linear time where backtracking would not end', () => {
    const text = new Uint8Array(3000).fill(97);
    expect(new Regex('^(a+)+$', defaultFlags()).test(text)).toBe(true);
    expect(new Regex('^(a|aa|aaa)*b$', defaultFlags()).test(text)).toBe(false);
    expect(new Regex('(x+x+)+y', defaultFlags()).test(text)).toBe(false);
  });
  it('finds literal text where JavaScript finds it', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[ab]{0,12}$/), fc.stringMatching(/^[ab]{1,3}$/), (text, word) => {
        const m = new Regex(word, defaultFlags()).exec(new TextEncoder().encode(text), 0);
        return (m ? m[0] : -1) === text.indexOf(word);
      }),
    );
  });
});

describe('names of catalog objects', () => {
  const array = (type: string, texts: readonly string[]): Case[] =>
    combine('array_append', [`${type}[]`, type], ['{}'], texts);
  check('reg* types', () => [
    ...array('regclass', [
      'pg_class',
      'pg_catalog.pg_class',
      '"pg_class"',
      'PG_CLASS',
      '1259',
      '-',
      '0',
      '999999',
      'nope',
      'pg_catalog.nope',
      'nope.nope',
      'information_schema.tables',
      'a.b.c.d',
      '',
      'postgres.pg_catalog.pg_class',
      'x.pg_catalog.pg_class',
      '"a',
      'pg class',
    ]),
    ...array('regtype', [
      'int4',
      'integer',
      'int',
      'text',
      'text[]',
      'pg_catalog.int4',
      'character varying',
      'varchar(10)',
      'timestamp with time zone',
      'timestamptz',
      'double precision',
      '"char"',
      'char',
      'bpchar',
      '25',
      '-',
      'nope',
      'interval day to second',
      'information_schema.sql_identifier',
      'integer[]',
      '_int4',
      'numeric(10,2)',
      'regclass',
    ]),
    ...array('regproc', ['now', 'pg_catalog.now', 'int4in', 'abs', 'nope', '1299', '-', '0']),
    ...array('regprocedure', [
      'abs(int4)',
      'abs(integer)',
      'pg_catalog.abs(double precision)',
      'now()',
      'nope(int4)',
      'abs',
      'abs(int4',
      '0',
      'format(text,"any")',
    ]),
    ...array('regoper', ['||/', '+', '~~*', 'nope', '@@@', '0', 'pg_catalog.||/', '551']),
    ...array('regoperator', [
      '+(int4,int4)',
      '-(NONE,int4)',
      '+(int4)',
      'pg_catalog.+(int4,int8)',
      '~(text,text)',
      '??(int4,int4)',
    ]),
    ...array('regnamespace', ['pg_catalog', 'public', 'nope', '11', '"public"', 'a.b']),
    ...array('regrole', ['postgres', 'nope', '10', 'pg_monitor', '0']),
    ...array('regcollation', ['"C"', 'pg_catalog."POSIX"', 'nope', '100', '"default"']),
    ...each(['to_regclass'], 'text', ['pg_class', 'nope', 'nope.nope', '1259', 'a b', 'a.b.c']),
    ...each(['to_regtype'], 'text', ['int4', 'nope', 'text[]', 'nope.x']),
    ...each(['to_regproc'], 'text', ['now', 'nope', 'abs']),
    ...each(['to_regnamespace'], 'text', ['public', 'nope']),
  ]);
  check('format_type and visibility', () => [
    ...combine(
      'format_type',
      ['oid', 'int4'],
      [
        '16',
        '18',
        '19',
        '20',
        '23',
        '25',
        '700',
        '701',
        '1007',
        '1015',
        '1042',
        '1043',
        '1083',
        '1114',
        '1184',
        '1186',
        '1266',
        '1560',
        '1562',
        '1700',
        '2205',
        '22',
        '30',
        '1009',
        '0',
        '999999',
        '2276',
        '13000',
      ],
      ['-1', '5', '8', '655366', null],
    ),
    ...each(['oidvectortypes'], 'oidvector', ['23 25', '', '1007 2205']),
    ...each(
      [
        'pg_table_is_visible',
        'pg_type_is_visible',
        'pg_function_is_visible',
        'pg_operator_is_visible',
        'pg_collation_is_visible',
        'pg_get_userbyid',
      ],
      'oid',
      ['1259', '23', '1299', '96', '100', '10', '0', '999999'],
    ),
  ]);
  check('sizes and encodings', () => [
    ...each(['pg_size_pretty'], 'int8', [
      '0',
      '1',
      '10239',
      '10240',
      '10241',
      '1048576',
      '20971519',
      '123456789',
      '-10240',
      '9223372036854775807',
      '-9223372036854775808',
      '1099511627776',
    ]),
    ...each(['pg_size_pretty'], 'numeric', ['0', '10239.5', '10240', '1e20', '-123456789', 'NaN']),
    ...each(['pg_size_bytes'], 'text', [
      '1',
      '10 kB',
      '1.5 MB',
      ' 2GB ',
      '-1 tb',
      '1e3',
      '12 foo',
      '',
      'x',
      '.5 kb',
      '9e30',
      '1 PB',
      '10 bytes',
    ]),
    ...each(['pg_encoding_to_char'], 'int4', ['0', '6', '8', '41', '99', '-1']),
    ...each(['pg_char_to_encoding'], 'name', ['UTF8', 'utf-8', 'unicode', 'latin1', 'nope']),
  ]);
  check('uuid and pg_lsn', () => [
    ...combine(
      'uuid_cmp',
      ['uuid', 'uuid'],
      [
        'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
        '{A0EEBC999C0B4EF8BB6D6BB9BD380A11}',
        'a0eebc99',
        '',
        'a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11',
        '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
        'zzeebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
      ],
      ['00000000-0000-0000-0000-000000000000'],
    ),
    ...combine('array_append', ['uuid[]', 'uuid'], ['{}'], ['{A0EEBC999C0B4EF8BB6D6BB9BD380A11}']),
    ...combine(
      'pg_lsn_mi',
      ['pg_lsn', 'pg_lsn'],
      ['0/0', '16/B374D848', 'FFFFFFFF/FFFFFFFF', 'x', '1', '0/123456789'],
      ['0/1', 'FFFFFFFF/FFFFFFFF'],
    ),
    ...combine('pg_lsn_pli', ['pg_lsn', 'numeric'], ['16/B374D848'], ['16', '-1e30', 'NaN', '0.5']),
  ]);
});
