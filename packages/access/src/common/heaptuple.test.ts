import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Datum } from '@pgtroupe/common/datum';
import { oracleMissing, psql } from '@pgtroupe/testkit/oracle';
import { attributeOf, describeRow, TYPE_NAMES } from '@pgtroupe/testkit/access/attributes';
import {
  attOffset,
  ATT_MISSING,
  ATT_NULL,
  heapComputeTupleSize,
  heapDeformTuple,
  heapFormTuple,
  heapGetAttr,
  tupleLayout,
} from './heaptuple.ts';
import { getHoff, getInfomask, getNatts, HEAP_HASNULL, HEAP_HASVARWIDTH, tupleMemory } from './htup.ts';
import { pglzDecompress } from './pg-lzcompress.ts';

const bytes = (min: number, max: number) => fc.uint8Array({ minLength: min, maxLength: max });
/** A number while safe, a bigint beyond: never a bigint that would fit. */
const normal = (value: bigint): Datum => (Number.isSafeInteger(Number(value)) ? Number(value) : value);
const word8 = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.bigInt({ min: -(2n ** 54n), max: 2n ** 54n }),
  fc.bigInt({ min: -9n, max: 9n }),
);

function valueOf(typeName: string): fc.Arbitrary<Datum> {
  switch (typeName) {
    case 'bool':
      return fc.boolean();
    case 'char':
      return fc.integer({ min: 0, max: 255 });
    case 'int2':
      return fc.integer({ min: -32768, max: 32767 });
    case 'int4':
      return fc.integer();
    case 'oid':
      return fc.integer({ min: 0, max: 0xffffffff });
    case 'int8':
    case 'timestamptz':
      return word8.map(normal);
    case 'pg_lsn':
      return fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(normal);
    case 'float4':
      return fc.float();
    case 'float8':
      return fc.double();
    case 'name':
      return fc.uint8Array({ maxLength: 63, min: 1 });
    case 'cstring':
      return fc.uint8Array({ maxLength: 40, min: 1 });
    case 'tid':
      return bytes(6, 6);
    case 'uuid':
      return bytes(16, 16);
    default:
      return fc.oneof(bytes(0, 12), bytes(120, 135), bytes(0, 700));
  }
}

const row = fc
  .array(fc.constantFrom(...TYPE_NAMES), { minLength: 1, maxLength: 14 })
  .chain(types => fc.tuple(fc.constant(types), fc.tuple(...types.map(type => fc.option(valueOf(type), { freq: 4 })))));

const AT = 64;

test('what is formed reads back, attribute by attribute and as a whole', () => {
  fc.assert(
    fc.property(row, ([types, values]) => {
      const layout = tupleLayout(describeRow(...types));
      const mem = tupleMemory(new Uint8Array(16384).fill(0xa5));
      const size = heapFormTuple(layout, values, mem, AT);
      expect(size).toBe(heapComputeTupleSize(layout, values));
      expect(mem.u8[AT + size]).toBe(0xa5);
      expect(mem.u8[AT - 1]).toBe(0xa5);
      expect(getNatts(mem, AT)).toBe(types.length);
      expect(getHoff(mem, AT) % 8).toBe(0);
      expect((getInfomask(mem, AT) & HEAP_HASNULL) !== 0).toBe(values.includes(null));
      const out: Datum[] = [];
      heapDeformTuple(layout, mem, AT, types.length, out);
      expect(out).toEqual(values);
      // Any order: nothing may depend on what was read before.
      for (let i = types.length - 1; i >= 0; i--) {
        expect(heapGetAttr(layout, mem, AT, i)).toEqual(values[i]);
        expect(attOffset(layout, mem, AT, i) === ATT_NULL).toBe(values[i] === null);
      }
    }),
    { numRuns: 400 },
  );
});

test('a tuple older than a column yields its missing value', () => {
  const old = tupleLayout(describeRow('int4', 'text'));
  const now = tupleLayout({
    attrs: [...describeRow('int4', 'text').attrs, { ...attributeOf('int4'), missing: 42 }, attributeOf('text')],
  });
  const mem = tupleMemory(new Uint8Array(256));
  heapFormTuple(old, [7, Uint8Array.of(65)], mem, AT);
  const out: Datum[] = [];
  heapDeformTuple(now, mem, AT, 4, out);
  expect(out).toEqual([7, Uint8Array.of(65), 42, null]);
  expect(heapGetAttr(now, mem, AT, 2)).toBe(42);
  expect(attOffset(now, mem, AT, 3)).toBe(ATT_MISSING);
});

test('a domain is represented as the type beneath it', () => {
  const desc = { attrs: [{ ...attributeOf('float8'), typid: 20000 as never, baseTypid: 701 as never }] };
  const mem = tupleMemory(new Uint8Array(256));
  heapFormTuple(tupleLayout(desc), [0.5], mem, AT);
  expect(heapGetAttr(tupleLayout(desc), mem, AT, 0)).toBe(0.5);
});

test('damaged compressed data is refused, not overrun', () => {
  const out = new Uint8Array(10);
  expect(pglzDecompress(Uint8Array.of(1, 0x0f, 0xff, 0xff), 0, 4, out)).toBe(-1);
  expect(pglzDecompress(Uint8Array.of(0, 1, 2), 0, 3, out)).toBe(-1);
});

// ---- against PostgreSQL --------------------------------------------------------------------------

const missing = oracleMissing();

describe.skipIf(missing !== undefined)(
  `PostgreSQL 15 forms the same bytes${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    const text = (s: string): Uint8Array => Buffer.from(s);
    const cases: readonly { readonly types: string[]; readonly sql: string[]; readonly values: Datum[] }[] = [
      { types: ['int4', 'text', 'int8'], sql: ['7', "'abc'", '-5'], values: [7, text('abc'), -5] },
      {
        types: ['bool', 'int8', 'int2', 'text', 'int4'],
        sql: ['true', 'null', '-2', "repeat('x', 126)", '9'],
        values: [true, null, -2, text('x'.repeat(126)), 9],
      },
      {
        types: ['bool', 'text', 'text', 'float8'],
        sql: ['false', "repeat('y', 127)", "''", "'-1.5e300'"],
        values: [false, text('y'.repeat(127)), text(''), -1.5e300],
      },
      {
        types: ['char', 'name', 'oid', 'float4', 'uuid'],
        sql: ["'q'", "'a name'", '4294967295', '0.25', "'00010203-0405-0607-0809-0a0b0c0d0e0f'"],
        values: [113, text('a name'), 4294967295, 0.25, Uint8Array.from({ length: 16 }, (_, i) => i)],
      },
      {
        types: Array.from({ length: 9 }, () => 'int8'),
        sql: ['9223372036854775807', ...Array.from({ length: 7 }, () => 'null'), '-9007199254740993'],
        values: [9223372036854775807n, null, null, null, null, null, null, null, -9007199254740993n],
      },
    ];

    for (const [n, { types, sql, values }] of cases.entries()) {
      test(`${types.join(', ')}`, () => {
        const columns = types.map((type, i) => `c${i} ${type === 'char' ? '"char"' : type}`).join(', ');
        const relation = `heaptuple_${process.pid}_${n}`;
        const hex = psql(`begin; create extension if not exists pageinspect; create table ${relation} (${columns});
        insert into ${relation} values (${sql.join(', ')});
        select t_infomask2, t_infomask & 7, t_hoff, coalesce(t_bits, ''), encode(t_data, 'hex') from heap_page_items(get_raw_page('${relation}', 0)); rollback`);
        const layout = tupleLayout(describeRow(...types));
        const mem = tupleMemory(new Uint8Array(4096));
        const size = heapFormTuple(layout, values, mem, AT);
        const hoff = getHoff(mem, AT);
        let bits = '';
        if (values.includes(null))
          for (let i = 0; i < ((types.length + 7) & ~7); i++) bits += (mem.u8[AT + 23 + (i >> 3)]! >> (i & 7)) & 1;
        const mine = [
          getNatts(mem, AT),
          getInfomask(mem, AT),
          hoff,
          bits,
          Buffer.from(mem.u8.subarray(AT + hoff, AT + size)).toString('hex'),
        ].join('|');
        expect(mine).toBe(hex);
      });
    }

    test('compressed inline values read back', () => {
      const relation = `heaptuple_${process.pid}_z`;
      const hex = psql(`begin; create extension if not exists pageinspect; create table ${relation} (c text);
      insert into ${relation} select string_agg(md5((i % 7)::text), '') from generate_series(1, 200) i;
      select encode(t_data, 'hex') from heap_page_items(get_raw_page('${relation}', 0)); select c from ${relation}; rollback`).split(
        '\n',
      );
      const data = Buffer.from(hex[0]!, 'hex');
      expect(data[0]! & 3).toBe(2);
      const layout = tupleLayout(describeRow('text'));
      const mem = tupleMemory(new Uint8Array(8192));
      heapFormTuple(layout, [text('')], mem, AT);
      mem.u8.set(data, AT + 24);
      expect(getInfomask(mem, AT)).toBe(HEAP_HASVARWIDTH);
      expect(Buffer.from(heapGetAttr(layout, mem, AT, 0) as Uint8Array).toString()).toBe(hex[1]);
    });
  },
);
