import fc from 'fast-check';
import { expect, test } from 'vitest';
import { pgQsort } from './pg-qsort.ts';

test('sorts anything', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 30 }), { maxLength: 200 }), items => {
      const sorted = [...items];
      pgQsort(sorted, (a, b) => a - b);
      expect(sorted).toEqual([...items].sort((a, b) => a - b));
    }),
  );
});
