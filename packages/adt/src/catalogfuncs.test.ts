/** Access lists and hash functions against PostgreSQL. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { combine, comparison, each } from '@pgtroupe/testkit/sql/adt-oracle';

const { check } = comparison({ beforeAll, afterAll, it, expect });

describe('access lists', () => {
  const items = [
    'postgres=arwdDxt/postgres',
    '=r/postgres',
    'postgres=r*w/postgres',
    'pg_monitor=X/postgres',
    'user postgres=U/postgres',
    'nobody=r/postgres',
    'postgres=z/postgres',
    'postgres',
    'postgres=r/',
    'x y=r/postgres',
    '=/postgres',
  ];
  check('aclitem', () => [
    ...combine('array_append', ['aclitem[]', 'aclitem'], ['{}'], items),
    ...combine('aclitemeq', ['aclitem', 'aclitem'], items.slice(0, 5), items.slice(0, 5)),
    ...combine('aclcontains', ['aclitem[]', 'aclitem'], ['{postgres=arwd/postgres,=r/postgres}'], items.slice(0, 5)),
    ...combine('acldefault', ['"char"', 'oid'], ['r', 's', 'd', 'f', 'l', 'n', 'T', 't', 'c', 'z'], ['10']),
    ...combine(
      'makeaclitem',
      ['oid', 'oid', 'text', 'bool'],
      ['10', '0'],
      ['10'],
      ['SELECT', 'select, INSERT', 'bogus', 'TEMP'],
      ['t', 'f'],
    ),
    ...combine('aclinsert', ['aclitem[]', 'aclitem'], ['{}'], ['=r/postgres']),
  ]);
});

describe('hash functions', () => {
  check('integers and friends', () => [
    ...each(['hashint2'], 'int2', ['0', '-1', '32767']),
    ...each(['hashint4'], 'int4', ['0', '1', '-1', '2147483647']),
    ...each(['hashint8'], 'int8', ['0', '1', '-1', '4294967296', '-9223372036854775808', '9007199254740993']),
    ...each(['hashoid'], 'oid', ['0', '4294967295']),
    ...each(['hashchar'], '"char"', ['a', '', '\\377']),
    ...each(['hashoidvector'], 'oidvector', ['', '1 2 3']),
    ...combine('hashint4extended', ['int4', 'int8'], ['0', '-5', '7'], ['0', '1', '-1', '9223372036854775807']),
    ...combine('hashint8extended', ['int8', 'int8'], ['-5', '9007199254740993'], ['0', '42']),
  ]);
  check('documents', () =>
    each(['jsonb_hash'], 'jsonb', [
      'null',
      '1',
      '1.50',
      '"a"',
      'true',
      'false',
      '[]',
      '{}',
      '[1, [2, "x"], null]',
      '{"b": {"c": [1]}, "a": false}',
    ]),
  );
  check('text and bytes', () => [
    ...each(['hashtext'], 'text', ['', 'a', 'hello', 'hello world!', 'hello world!!', 'a'.repeat(100), 'é日本']),
    ...each(['hashname'], 'name', ['', 'pg_class']),
    ...each(['hashbpchar'], 'bpchar', ['a  ', 'a']),
    ...combine('hashtextextended', ['text', 'int8'], ['', 'hello', 'a'.repeat(30)], ['0', '99', '-7']),
  ]);
  check('numbers', () => [
    ...each(['hash_numeric'], 'numeric', [
      '0',
      '1',
      '1.0',
      '-1',
      '123456.789',
      '1e100',
      'NaN',
      '0.0001',
      '10000',
      '-inf',
    ]),
    ...each(['hashfloat8'], 'float8', ['0', '-0', '1.5', 'NaN', 'inf']),
    ...each(['hashfloat4'], 'float4', ['0', '1.5', 'nan']),
    ...combine('hash_numeric_extended', ['numeric', 'int8'], ['0', '1.50', 'NaN'], ['0', '5']),
  ]);
  check('times, uuid, arrays', () => [
    ...each(['timestamp_hash'], 'timestamp', ['2024-01-01 12:00', 'infinity']),
    ...each(['time_hash'], 'time', ['12:00']),
    ...each(['timetz_hash'], 'timetz', ['12:00+02']),
    ...each(['interval_hash'], 'interval', ['1 day', '24:00', '-1 mon']),
    ...each(['uuid_hash'], 'uuid', ['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11']),
    ...each(['hash_array'], 'int4[]', ['{}', '{1,2,3}', '{1,NULL}']),
    ...each(['hash_array'], 'text[]', ['{a,b}']),
    ...each(['pg_lsn_hash'], 'pg_lsn', ['16/B374D848']),
  ]);
});
