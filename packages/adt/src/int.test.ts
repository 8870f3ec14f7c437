/** Integer types and booleans against PostgreSQL. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { combine, each, Oracle, pairs } from '@pgtroupe/testkit/sql/adt-oracle';

const INT2 = ['0', '1', '-1', '7', '-32768', '32767', ' 12 ', '+5', '99999', '', 'x', '1.5', '12x', '-', '0x10', '  '];
const INT4 = [
  '0',
  '1',
  '-1',
  '3',
  '-7',
  '100',
  '-2147483648',
  '2147483647',
  '2147483648',
  '-2147483649',
  '46341',
  '-46341',
  '12a',
  ' 7\t',
  '1e3',
  '99999999999999999999',
];
const INT8 = [
  '0',
  '1',
  '-1',
  '9007199254740991',
  '9007199254740992',
  '-9007199254740993',
  '9223372036854775807',
  '-9223372036854775808',
  '9223372036854775808',
  '3037000500',
  '-3037000500',
  '4294967296',
  '12',
  'abc',
  '123456789012345678901234567890',
];
const OIDS = [
  '0',
  '1',
  '4294967295',
  '4294967296',
  '-1',
  '-2147483648',
  '-2147483649',
  ' 16384 ',
  'abc',
  '1x',
  '',
  '99999999999999999999999',
];
const ARITH = ['pl', 'mi', 'mul', 'div'];
const CMP = ['eq', 'ne', 'lt', 'le', 'gt', 'ge'];

let oracle: Oracle | undefined;
beforeAll(async () => {
  oracle = await Oracle.connect();
});
afterAll(async () => oracle?.close());

describe('integers as PostgreSQL computes them', () => {
  const check = (name: string, cases: () => ReturnType<typeof combine>): void => {
    it(name, async ctx => {
      if (!oracle) return ctx.skip('no PostgreSQL to compare with');
      expect(await oracle.compare(cases())).toEqual([]);
    });
  };
  check('int2', () => [
    ...pairs(
      [...ARITH, ...CMP].map(f => `int2${f}`),
      'int2',
      INT2,
    ),
    ...pairs(['int2mod', 'int2and', 'int2or', 'int2xor', 'btint2cmp', 'int2larger', 'int2smaller'], 'int2', INT2),
    ...each(['int2um', 'int2abs', 'int2up', 'int2not', 'float8', 'int4', 'int8'], 'int2', INT2),
    ...combine('int2shl', ['int2', 'int4'], INT2, ['0', '1', '15', '16', '33']),
    ...combine('int2shr', ['int2', 'int4'], INT2, ['0', '1', '15', '16', '33']),
  ]);
  check('int4', () => [
    ...pairs(
      [...ARITH, ...CMP].map(f => `int4${f}`),
      'int4',
      INT4,
    ),
    ...pairs(
      [
        'int4mod',
        'int4and',
        'int4or',
        'int4xor',
        'btint4cmp',
        'int4larger',
        'int4smaller',
        'gcd',
        'lcm',
        'int4shl',
        'int4shr',
      ],
      'int4',
      INT4,
    ),
    ...each(
      [
        'int4um',
        'int4abs',
        'int4up',
        'int4not',
        'int4inc',
        'int2',
        'int8',
        'float4',
        'float8',
        'bool',
        'char',
        'to_hex',
      ],
      'int4',
      INT4.slice(0, 8).concat('65', '-128', '127'),
    ),
    ...ARITH.flatMap(f => combine(`int24${f}`, ['int2', 'int4'], INT2.slice(0, 6), INT4)),
    ...ARITH.flatMap(f => combine(`int42${f}`, ['int4', 'int2'], INT4, INT2.slice(0, 6))),
  ]);
  check('int8', () => [
    ...pairs(
      [...ARITH, ...CMP].map(f => `int8${f}`),
      'int8',
      INT8,
    ),
    ...pairs(
      ['int8mod', 'int8and', 'int8or', 'int8xor', 'btint8cmp', 'int8larger', 'int8smaller', 'gcd', 'lcm'],
      'int8',
      INT8,
    ),
    ...each(
      [
        'int8um',
        'int8abs',
        'int8up',
        'int8not',
        'int8inc',
        'int8dec',
        'int4',
        'int2',
        'float8',
        'float4',
        'oid',
        'to_hex',
      ],
      'int8',
      INT8,
    ),
    ...combine('int8shl', ['int8', 'int4'], INT8, ['0', '1', '63', '64', '-1']),
    ...combine('int8shr', ['int8', 'int4'], INT8, ['0', '1', '63', '64', '-1']),
    ...ARITH.flatMap(f => combine(`int84${f}`, ['int8', 'int4'], INT8, INT4)),
    ...CMP.flatMap(f => combine(`int48${f}`, ['int4', 'int8'], INT4.slice(0, 8), INT8)),
  ]);
  check('generate_series', () => [
    ...combine('generate_series', ['int4', 'int4'], ['1', '5', '-3'], ['5', '0', '1']),
    ...combine('generate_series', ['int4', 'int4', 'int4'], ['1', '5', '-3'], ['5', '1', '-9'], ['1', '-2', '0', '3']),
    ...combine('generate_series', ['int4', 'int4', 'int4'], ['2147483640'], ['2147483647'], ['1', '-2', '3']),
    ...combine(
      'generate_series',
      ['int8', 'int8', 'int8'],
      ['1', '9223372036854775800', '-9223372036854775800'],
      ['5', '9223372036854775807', '-9223372036854775808'],
      ['-2', '0', '3', '9223372036854775807'],
    )
      .filter(c => c.args[2] !== '3' || BigInt(c.args[1] ?? 0) - BigInt(c.args[0] ?? 0) < 100n)
      .filter(c => c.args[2] !== '-2' || BigInt(c.args[0] ?? 0) - BigInt(c.args[1] ?? 0) < 100n),
  ]);
  check('bool', () => [
    ...pairs([...CMP.map(f => `bool${f}`), 'btboolcmp'], 'bool', [
      't',
      'f',
      'true',
      'FALSE',
      ' yes ',
      'no',
      'on',
      'off',
      'of',
      'o',
      '1',
      '0',
      'y',
      'n',
      'tru',
      'truex',
      '',
      '2',
    ]),
    ...each(['int4'], 'bool', ['t', 'f']),
  ]);
  check('oid and friends', () => [
    ...pairs(['oideq', 'oidlt', 'oidge', 'btoidcmp', 'oidlarger', 'oidsmaller'], 'oid', OIDS),
    ...each(['int8'], 'oid', OIDS),
    ...each(['int8'], 'oid', OIDS),
    ...pairs(['xideq', 'xidneq'], 'xid', ['0', '3', '4294967295', '0x10', '010', 'abc', '-1', '99999999999']),
    ...pairs(['xid8eq', 'xid8lt', 'xid8cmp'], 'xid8', ['0', '3', '4294967295', '123456789012']),
    ...pairs(['tideq', 'tidlt', 'tidge', 'bttidcmp', 'tidlarger', 'tidsmaller'], 'tid', [
      '(0,1)',
      '(4294967295,65535)',
      '(1,2)',
      ' ( 3,4)',
      '(1,70000)',
      'x',
      '(1)',
      '(-1,0)',
    ]),
    ...pairs(['oidvectoreq', 'oidvectorlt', 'btoidvectorcmp'], 'oidvector', [
      '',
      '1',
      '1 2 3',
      '1 2 4',
      ' 7  8 ',
      '4294967295',
      'a',
      '1 b',
    ]),
  ]);
  check('"char"', () => [
    ...pairs(['chareq', 'charlt', 'charge', 'btcharcmp'], '"char"', ['a', 'b', '', '\\101', '\\377', 'é', 'abc']),
    ...each(['int4', 'text'], '"char"', ['a', '', '\\377', '\\101']),
    ...each(['char'], 'text', ['a', '', 'abc', '\\377']),
  ]);
});
