/** Row types of anonymous records are told apart by names and types, whatever the names contain, and are their session's. */
import type { Attribute } from '@pgtroupe/access/common/tupdesc';
import { INT4OID, TEXTOID } from '@pgtroupe/common/oids';
import { expect, test } from 'vitest';
import { RecordTypes } from './recordtypes.ts';

const column = (name: string, typid: number = INT4OID) => ({ name, typid, typmod: -1 }) as Attribute;
const desc = (...attrs: Attribute[]) => ({ attrs });

test('equal shapes share a number, others do not', () => {
  const types = new RecordTypes();
  const number = types.assign(desc(column('a'), column('b')));
  expect(types.assign(desc(column('a'), column('b')))).toBe(number);
  expect(types.assign(desc(column('a'), column('c')))).not.toBe(number);
  expect(types.assign(desc(column('a'), column('b', TEXTOID)))).not.toBe(number);
});

test('a name that reads like two columns is one column', () => {
  const types = new RecordTypes();
  const two = types.assign(desc(column('a'), column('b')));
  for (const name of [`a:${INT4OID}:-1,b`, `a ${INT4OID} -1,1 b`]) {
    const one = types.assign(desc(column(name)));
    expect(one).not.toBe(two);
    expect(types.columns(one)!.map(c => c.attname)).toEqual([name]);
  }
});

test('a session knows nothing of the types of another', () => {
  const types = new RecordTypes();
  types.assign(desc(column('a')));
  expect(new RecordTypes().desc(0)).toBeUndefined();
});
