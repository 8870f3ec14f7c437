/** Network addresses against PostgreSQL. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { combine, each, Oracle, pairs } from '@pgtroupe/testkit/sql/adt-oracle';

const ADDRESSES = [
  '192.168.1.5/24',
  '192.168.1.5',
  '10.0.0.0/8',
  '::1',
  '2001:db8::1/64',
  '::ffff:1.2.3.4',
  '0.0.0.0/0',
  '::/0',
  '2001:db8:0:0:1:0:0:1',
  '10.1',
  '256.1.1.1',
  '1.2.3.4/33',
  'x',
  '',
  ':::',
  '1:2:3:4:5:6:7:8:9',
  '10/8',
  '::1.2.3.4',
];
const NETWORKS = [
  '192.168.1.0/24',
  '10',
  '172.16',
  '10.1.2.3/32',
  '192.168.1.5/24',
  '2001:db8::/32',
  '224.1',
  '10.0.0.0/8',
];
let oracle: Oracle | undefined;
beforeAll(async () => {
  oracle = await Oracle.connect();
});
afterAll(async () => oracle?.close());

it('inet and cidr as PostgreSQL treats them', async ctx => {
  if (!oracle) return ctx.skip('no PostgreSQL to compare with');
  expect(
    await oracle.compare([
      ...each(
        [
          'host',
          'text',
          'masklen',
          'family',
          'network',
          'netmask',
          'hostmask',
          'broadcast',
          'inetnot',
          'cidr',
          'hashinet',
        ],
        'inet',
        ADDRESSES,
      ),
      ...combine('array_append', ['cidr[]', 'cidr'], ['{}'], NETWORKS),
      ...combine('set_masklen', ['inet', 'int4'], ADDRESSES, ['8', '-1', '99']),
      ...combine('set_masklen', ['cidr', 'int4'], NETWORKS, ['8']),
      ...pairs(
        [
          'network_eq',
          'network_lt',
          'network_ge',
          'network_sub',
          'network_subeq',
          'network_sup',
          'network_overlap',
          'inet_same_family',
          'inet_merge',
          'inetand',
          'inetor',
          'inetmi',
          'network_larger',
        ],
        'inet',
        ADDRESSES.slice(0, 9),
      ),
      ...combine('inetpl', ['inet', 'int8'], ADDRESSES.slice(0, 9), ['1', '-300', '9223372036854775807']),
    ]),
  ).toEqual([]);
});
