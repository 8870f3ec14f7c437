/** The short way must form the very tuple that the long way forms, or decline. */
import { heapComputeTupleSize, heapFormTuple, tupleLayout } from '@pgtroupe/access/common/heaptuple';
import { tupleMemory } from '@pgtroupe/access/common/htup';
import type { Attribute } from '@pgtroupe/access/common/tupdesc';
import type { Datum } from '@pgtroupe/common/datum';
import { copyOptions } from './copyoptions.ts';
import { CopyFromParser } from './copyfromparse.ts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CopyTupleFormer, NOT_PLAIN } from './copytuple.ts';

const column = (typid: number, len: number, align: string, more: Partial<Attribute> = {}): Attribute =>
  ({
    name: 'c',
    typid,
    typmod: -1,
    len,
    byval: len > 0,
    align,
    storage: len < 0 ? 'x' : 'p',
    notNull: false,
    dropped: false,
    ...more,
  }) as Attribute;

const INT4 = column(23, 4, 'i');
const ATTRS = [
  INT4,
  column(25, -1, 'i'),
  column(1042, -1, 'i', { typmod: 4 + 10 }),
  { ...INT4, notNull: true },
  column(1043, -1, 'i', { typmod: 4 + 3 }),
  column(1042, -1, 'i', { typmod: 4 + 140 }),
];
const AT = 8192;
const LIMIT = 8160;

function form(fields: readonly (string | null)[]): { readonly length: number; readonly bytes: Buffer } {
  const mem = tupleMemory(new Uint8Array(4 * 8192).fill(0xaa));
  const former = new CopyTupleFormer(
    { attrs: ATTRS } as never,
    ATTRS.map((_, n) => n),
    () => {
      throw new Error('no type here needs its input function');
    },
  );
  const parser = new CopyFromParser(copyOptions([]));
  parser.push(Buffer.from(`${fields.map(field => field ?? '\\N').join('\t')}\n`));
  expect(parser.nextRow()).toBe(true);
  const length = former.form(parser, mem, AT, LIMIT);
  return { length, bytes: Buffer.from(mem.u8.subarray(AT, AT + Math.max(0, length))) };
}

function formLongWay(fields: readonly (string | null)[]): Buffer {
  const mem = tupleMemory(new Uint8Array(4 * 8192).fill(0x55));
  const values = fields.map((field, n): Datum => {
    const { typid, typmod } = ATTRS[n]!;
    if (field === null) return null;
    if ((typid as number) === 23) return Number(field);
    return Buffer.from((typid as number) === 1042 ? field.padEnd(typmod - 4) : field);
  });
  const layout = tupleLayout({ attrs: ATTRS } as never);
  const length = heapComputeTupleSize(layout, values);
  heapFormTuple(layout, values, mem, AT);
  return Buffer.from(mem.u8.subarray(AT, AT + length));
}

const text = (maxLength: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom(...'abcXYZ 019,.;'), maxLength });
const orNull = <T>(some: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(some, { nil: null, freq: 4 });
const int = fc.nat(999_999_999).map(String);

describe('CopyTupleFormer', () => {
  it('forms what heapFormTuple forms', () => {
    const row = fc.tuple(orNull(int), orNull(text(300)), orNull(text(10)), int, orNull(text(3)), orNull(text(140)));
    fc.assert(
      fc.property(row, fields => {
        const { length, bytes } = form(fields);
        expect(length).not.toBe(NOT_PLAIN);
        expect(bytes).toEqual(formLongWay(fields));
      }),
    );
  });

  it.each([
    ['a field too few', ['1', 'a', 'b', '2', 'c']],
    ['a field too many', ['1', 'a', 'b', '2', 'c', 'd', 'e']],
    ['null where none may be', ['1', 'a', 'b', null, 'c', 'd']],
    ['a sign', ['-1', 'a', 'b', '2', 'c', 'd']],
    ['no number', ['1x', 'a', 'b', '2', 'c', 'd']],
    ['too large a number', ['3000000000', 'a', 'b', '2', 'c', 'd']],
    ['more than ASCII', ['1', 'ä', 'b', '2', 'c', 'd']],
    ['too long a string', ['1', 'a', 'b', '2', 'cccc', 'd']],
    ['a row too long for a page', ['1', 'x'.repeat(9000), 'b', '2', 'c', 'd']],
  ])('leaves to the long way: %s', (_, fields) => {
    expect(form(fields).length).toBe(NOT_PLAIN);
  });
});
