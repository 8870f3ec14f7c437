/** Abbreviations whose meaning depends on the date. */
import { expect, test } from 'vitest';
import { findZone, offsetOfAbbreviation } from './pgtz.ts';

const seconds = (iso: string): number => Date.parse(iso) / 1000;
const moscow = findZone('Europe/Moscow')!;

test.each([
  ['2005-01-01T00:00Z', 3],
  // Summer time, called MSD: MSK is the winter's before.
  ['2005-07-01T00:00Z', 3],
  ['2011-03-26T22:59:59Z', 3],
  ['2011-03-26T23:00:00Z', 4],
  ['2012-07-01T00:00Z', 4],
  ['2014-10-25T22:00:00Z', 3],
])('MSK at %s', (at, hours) => {
  expect(offsetOfAbbreviation(moscow, 'MSK', seconds(at))).toBe(hours * 3600);
});

test('an abbreviation that the zone does not use any more', () => {
  expect(offsetOfAbbreviation(findZone('America/Caracas')!, 'VET', seconds('2010-01-01T00:00Z'))).toBeUndefined();
});
