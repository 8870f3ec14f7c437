import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  INVALID_OFFSET_NUMBER,
  pageAddItem,
  pageGetFreeSpace,
  pageGetHeapFreeSpace,
  pageGetItem,
  pageGetItemId,
  pageGetLSN,
  pageGetLower,
  pageGetMaxOffsetNumber,
  pageGetUpper,
  pageHasFreeLinePointers,
  pageInit,
  pageIsNew,
  pageIsVerified,
  pageMemory,
  pageSetChecksum,
  pageSetItemId,
  pageSetLSN,
} from './bufpage.ts';
import type { PageMemory } from './bufpage.ts';
import {
  pageIndexMultiDelete,
  pageIndexTupleDelete,
  pageIndexTupleOverwrite,
  pageRepairFragmentation,
} from './bufpage-compact.ts';
import { pgChecksumPage } from './checksum.ts';
import { itemIdGetLength, itemIdIsNormal, itemIdIsUsed } from './itemid.ts';
import type { XLogRecPtr } from '@pgtroupe/common/ids';

const PAGE = 8192;

function twoPages(): PageMemory {
  return pageMemory(new Uint8Array(2 * PAGE));
}

function item(size: number, seed: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => (i * 7 + seed) & 255);
}

function read(mem: PageMemory, page: number, off: number): Uint8Array {
  const at = pageGetItem(mem, page, off);
  return mem.u8.slice(at, at + itemIdGetLength(pageGetItemId(mem, page, off)));
}

/** The page whose checksums PostgreSQL's pageinspect gave for the golden numbers below. */
function goldenPage(): PageMemory {
  const mem = twoPages();
  pageInit(mem, PAGE, 16);
  for (const size of [40, 33, 100]) pageAddItem(mem, PAGE, item(size, size), 0, size, 0);
  pageSetLSN(mem, PAGE, 0x1_6b374d848 as XLogRecPtr);
  return mem;
}

test('a fresh page has the layout of PageInit', () => {
  const mem = twoPages();
  expect(pageIsNew(mem, PAGE)).toBe(true);
  pageInit(mem, PAGE, 16);
  expect(Buffer.from(mem.u8.subarray(PAGE, PAGE + 24)).toString('hex')).toBe(
    '0000000000000000' + '00000000' + '1800' + 'f01f' + 'f01f' + '0420' + '00000000',
  );
  expect(pageGetFreeSpace(mem, PAGE)).toBe(8192 - 16 - 24 - 4);
});

test('checksums are those of pageinspect.page_checksum', () => {
  const mem = goldenPage();
  expect(pageGetLSN(mem, PAGE)).toBe(0x1_6b374d848);
  expect(pgChecksumPage(mem.u32, PAGE, 0)).toBe(16643);
  expect(pgChecksumPage(mem.u32, PAGE, 131073)).toBe(16644);
  pageSetChecksum(mem, PAGE, 131073);
  expect(pageIsVerified(mem, PAGE, 131073)).toBe(true);
  expect(pageIsVerified(mem, PAGE, 131072)).toBe(false);
  mem.u8[PAGE + 5000]! ^= 1;
  expect(pageIsVerified(mem, PAGE, 131073)).toBe(false);
});

test('insertion at an offset shifts the later line pointers', () => {
  const mem = twoPages();
  pageInit(mem, PAGE, 0);
  for (const n of [1, 2, 3]) expect(pageAddItem(mem, PAGE, item(20, n), 0, 20, n)).toBe(n);
  expect(pageAddItem(mem, PAGE, item(20, 9), 0, 20, 2)).toBe(2);
  expect([1, 2, 3, 4].map(off => read(mem, PAGE, off)[0])).toEqual([1, 9, 2, 3]);
});

test('a full page refuses and stays as it was', () => {
  const mem = twoPages();
  pageInit(mem, PAGE, 0);
  while (pageAddItem(mem, PAGE, item(100, 1), 0, 100, 0) !== INVALID_OFFSET_NUMBER);
  const before = mem.u8.slice();
  expect(pageAddItem(mem, PAGE, item(100, 2), 0, 100, 0)).toBe(INVALID_OFFSET_NUMBER);
  expect(mem.u8).toEqual(before);
  expect(pageGetHeapFreeSpace(mem, PAGE)).toBeLessThan(104);
});

test('defragmentation frees unused line pointers and keeps the others’ items and numbers', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 24, max: 200 }), fc.boolean()), {
        minLength: 1,
        maxLength: 38,
      }),
      items => {
        const mem = twoPages();
        pageInit(mem, PAGE, 0);
        items.forEach(([size], n) => pageAddItem(mem, PAGE, item(size, n), 0, size, 0));
        items.forEach(([, keep], n) => !keep && pageSetItemId(mem, PAGE, n + 1, 0));
        pageRepairFragmentation(mem, PAGE);
        const last = items.findLastIndex(([, keep]) => keep) + 1;
        expect(pageGetMaxOffsetNumber(mem, PAGE)).toBe(last);
        let bytes = 0;
        items.slice(0, last).forEach(([size, keep], n) => {
          expect(itemIdIsUsed(pageGetItemId(mem, PAGE, n + 1))).toBe(keep);
          if (!keep) return;
          bytes += (size + 7) & ~7;
          expect(read(mem, PAGE, n + 1)).toEqual(item(size, n));
        });
        expect(pageGetUpper(mem, PAGE)).toBe(PAGE - bytes);
        expect(pageHasFreeLinePointers(mem, PAGE)).toBe(items.slice(0, last).some(([, keep]) => !keep));
      },
    ),
  );
});

test('index deletions, one by one or together, leave the same page', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 8, max: 200 }), fc.boolean()), {
        minLength: 1,
        maxLength: 38,
      }),
      items => {
        const one = twoPages();
        const many = twoPages();
        for (const mem of [one, many]) {
          pageInit(mem, PAGE, 16);
          items.forEach(([size], n) => pageAddItem(mem, PAGE, item(size, n), 0, size, 1));
        }
        const dead = items.flatMap(([, keep], n) => (keep ? [] : [n + 1]));
        for (const off of [...dead].reverse()) pageIndexTupleDelete(one, PAGE, off);
        pageIndexMultiDelete(many, PAGE, dead);
        const left = items.length - dead.length;
        expect(pageGetLower(one, PAGE)).toBe(pageGetLower(many, PAGE));
        expect(pageGetUpper(one, PAGE)).toBe(pageGetUpper(many, PAGE));
        for (let off = 1; off <= left; off++) expect(read(one, PAGE, off)).toEqual(read(many, PAGE, off));
      },
    ),
  );
});

test('overwriting keeps neighbours whatever the new size', () => {
  const mem = twoPages();
  pageInit(mem, PAGE, 16);
  for (let n = 1; n <= 5; n++) pageAddItem(mem, PAGE, item(50, n), 0, 50, n);
  for (const size of [50, 90, 8, 200]) {
    expect(pageIndexTupleOverwrite(mem, PAGE, 3, item(size, 77), 0, size)).toBe(true);
    expect(read(mem, PAGE, 3)).toEqual(item(size, 77));
    for (const n of [1, 2, 4, 5]) expect(read(mem, PAGE, n)).toEqual(item(50, n));
    expect(itemIdIsNormal(pageGetItemId(mem, PAGE, 3))).toBe(true);
  }
  expect(pageIndexTupleOverwrite(mem, PAGE, 3, item(8100, 1), 0, 8100)).toBe(false);
});

test('a damaged line pointer is reported and nothing moves', () => {
  const mem = twoPages();
  pageInit(mem, PAGE, 16);
  for (let n = 1; n <= 5; n++) pageAddItem(mem, PAGE, item(50, n), 0, 50, n);
  pageSetItemId(mem, PAGE, 4, (60 | (1 << 15) | (50 << 17)) >>> 0);
  const before = mem.u8.slice();
  expect(() => pageIndexMultiDelete(mem, PAGE, [1, 2, 3])).toThrow('corrupted line pointer: offset = 60, size = 50');
  expect(() => pageRepairFragmentation(mem, PAGE)).toThrow('corrupted line pointer');
  expect(mem.u8).toEqual(before);
});
