import { expect, test } from 'vitest';
import type { RelFileNode } from '@pgtroupe/common/ids';
import { RelationDirectory } from './relation-files.ts';

const node = (spcNode: number, dbNode: number, relNode: number): RelFileNode =>
  ({ spcNode, dbNode, relNode }) as RelFileNode;

test('a relation that is gone is forgotten, its namesake in another tablespace is not', () => {
  const directory = new RelationDirectory();
  const gone = directory.smgropen(node(1663, 5, 100));
  const other = directory.smgropen(node(1664, 5, 100));
  expect(directory.smgropen(node(1663, 5, 100))).toBe(gone);
  directory.remove(gone);
  expect(directory.find(node(1663, 5, 100))).toBeUndefined();
  expect(directory.find(node(1664, 5, 100))).toBe(other);
  expect(directory.smgropen(node(1663, 5, 100))).not.toBe(gone);
});
