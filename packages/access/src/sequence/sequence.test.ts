import { expect, test } from 'vitest';
import { pageGetLSN } from '@pgtroupe/storage/page/bufpage';
import { MISS } from '@pgtroupe/storage/buffer/pages';
import { retry, SoloPages } from '@pgtroupe/testkit/access/solo-pages';
import { SoloTransactions } from '@pgtroupe/testkit/access/solo-xact';
import {
  type Drawn,
  seqInit,
  seqNextval,
  seqRead,
  seqRmgr,
  type SequenceContext,
  type SequenceRules,
  seqSet,
} from './sequence.ts';

const RULES: SequenceRules = {
  name: 's',
  increment: 1n,
  min: 1n,
  max: 5n,
  cycle: false,
  cache: 1n,
};

function setUp(misses = false): {
  solo: SoloPages;
  context: SequenceContext;
  next: (rules?: Partial<SequenceRules>) => Drawn;
} {
  const solo = new SoloPages({ pages: 8, misses });
  const context = { pages: solo, wal: solo.wal, xact: new SoloTransactions(solo).begin() };
  const rel = solo.relation(20000);
  retry(solo, () => seqInit(context, rel, { lastValue: 1n, isCalled: false }));
  const next = (rules: Partial<SequenceRules> = {}): Drawn => {
    let drawn: Drawn | -1 = MISS;
    retry(solo, () => ((drawn = seqNextval(context, rel, { ...RULES, ...rules })) === MISS ? MISS : 0));
    return drawn as unknown as Drawn;
  };
  return { solo, context, next };
}

test.each([false, true])('values come one after the other up to the limit (pages lacking: %s)', misses => {
  const { next } = setUp(misses);
  expect([1, 2, 3, 4, 5].map(() => next().first)).toEqual([1n, 2n, 3n, 4n, 5n]);
  expect(() => next()).toThrow('nextval: reached maximum value of sequence "s" (5)');
});

test('cycling, counting down, drawing several', () => {
  const { next, solo, context } = setUp();
  const rel = solo.relation(20000);
  expect(next({ cache: 3n })).toEqual({ first: 1n, last: 3n });
  expect(next({ cache: 3n })).toEqual({ first: 4n, last: 5n });
  expect(next({ cache: 3n, cycle: true })).toEqual({ first: 1n, last: 3n });
  seqSet(context, rel, { lastValue: 3n, isCalled: false });
  expect([next({ increment: -1n }), next({ increment: -1n }), next({ increment: -1n })].map(d => d.first)).toEqual([
    3n,
    2n,
    1n,
  ]);
  expect(() => next({ increment: -1n })).toThrow('nextval: reached minimum value of sequence "s" (1)');
  expect(seqRead(solo, rel)).toEqual({ lastValue: 1n, isCalled: true });
});

test('int8 limits do not wrap around', () => {
  const { next, solo, context } = setUp();
  const max = 9223372036854775807n;
  seqSet(context, solo.relation(20000), { lastValue: max - 1n, isCalled: true });
  expect(next({ max }).first).toBe(max);
  expect(() => next({ max })).toThrow('reached maximum value');
});

test('replay makes the same page, whatever was there', () => {
  const solo = new SoloPages({ pages: 8 });
  const image = solo.takeImage();
  const context = { pages: solo, wal: solo.wal, xact: new SoloTransactions(solo).begin() };
  const rel = solo.relation(20000);
  seqInit(context, rel, { lastValue: 1n, isCalled: false });
  seqNextval(context, rel, RULES);
  seqSet(context, rel, { lastValue: 4n, isCalled: true });
  for (const record of solo.records) image.apply(record, seqRmgr);
  const page = image.page(rel.rnode, 0, 0);
  expect(image.mem.u8.subarray(page, page + 8192)).toEqual(solo.mem.u8.subarray(0, 8192));
  expect(pageGetLSN(image.mem, page)).toBe(solo.records.at(-1)!.endLsn);
  expect(seqRmgr.desc(solo.records[0]!)).toBe('rel 1663/5/20000');
});
