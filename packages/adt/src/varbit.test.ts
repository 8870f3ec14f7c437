/** Bit strings against PostgreSQL. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { combine, each, Oracle, pairs } from '@pgtroupe/testkit/sql/adt-oracle';

const BITS = ['', '0', '1', '0101', '10110011', '101100111', 'x1F', 'B01', 'xg', '012'];
let oracle: Oracle | undefined;
beforeAll(async () => {
  oracle = await Oracle.connect();
});
afterAll(async () => oracle?.close());

it('bit strings as PostgreSQL treats them', async ctx => {
  if (!oracle) return ctx.skip('no PostgreSQL to compare with');
  expect(
    await oracle.compare([
      ...pairs(['biteq', 'bitlt', 'bitge', 'bitand', 'bitor', 'bitxor', 'position'], '"bit"', BITS),
      ...pairs(['bitcat', 'varbiteq'], 'varbit', BITS),
      ...each(['bitnot', 'length', 'octet_length', 'int4', 'int8', 'bit_count'], '"bit"', BITS),
      ...['bitshiftleft', 'bitshiftright'].flatMap(f => combine(f, ['"bit"', 'int4'], BITS, ['0', '1', '-2', '9'])),
      ...combine('substring', ['"bit"', 'int4', 'int4'], BITS, ['1', '-1', '3'], ['0', '2', '-1']),
      ...combine('overlay', ['"bit"', '"bit"', 'int4', 'int4'], ['10110011'], ['00', ''], ['1', '3'], ['0', '2']),
      ...combine('bit', ['"bit"', 'int4', 'bool'], BITS, ['4', '9'], ['t', 'f']),
      ...combine('varbit', ['varbit', 'int4', 'bool'], BITS, ['4', '9'], ['t', 'f']),
      ...combine('bit', ['int4', 'int4'], ['5', '-1'], ['3', '40', '1']),
      ...combine('get_bit', ['"bit"', 'int4'], BITS, ['0', '7', '-1']),
      ...combine('set_bit', ['"bit"', 'int4', 'int4'], BITS, ['0', '7'], ['1', '2']),
    ]),
  ).toEqual([]);
});
