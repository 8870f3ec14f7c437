import { expect, test } from 'vitest';
import { pgAm } from './catalogs/pg_am.ts';
import { StoredRow } from './storedrow.ts';

test('a row that is asked for again and again is taken apart once', () => {
  let asked = 0;
  const row = new StoredRow(pgAm, {
    get values() {
      asked++;
      return pgAm.columns.map(() => null);
    },
    ctid: { block: 0, offset: 1 } as never,
    xmin: 3 as never,
  });
  expect(row.row).toBe(row.row);
  expect(asked).toBe(1);
});
