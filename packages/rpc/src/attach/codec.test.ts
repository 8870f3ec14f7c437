import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { Traffic } from '@pgtroupe/actor/traffic';
import type { UpOp } from './ops.ts';
import { DOWN, UP, type FieldType, type OpTable } from './ops.ts';
import { FrameError, OpReader, OpWriter, upReader, upWriter } from './codec.ts';

const rel = fc.record({
  spcNode: fc.nat(0xffffffff),
  dbNode: fc.nat(0xffffffff),
  relNode: fc.nat(0xffffffff),
});
const arbitraries: Record<FieldType, fc.Arbitrary<unknown>> = {
  u8: fc.nat(255),
  u16: fc.nat(65535),
  u32: fc.nat(0xffffffff),
  u64: fc.nat(Number.MAX_SAFE_INTEGER),
  bool: fc.boolean(),
  str: fc.string({ unit: 'grapheme' }),
  bytes: fc.uint8Array({ maxLength: 9000 }).map(b => Buffer.from(b)),
  page: fc.oneof(
    fc.constant(Buffer.alloc(0)),
    fc.uint8Array({ minLength: 8192, maxLength: 8192 }).map(b => Buffer.from(b)),
  ),
  rel,
  u32s: fc.array(fc.nat(0xffffffff)),
  u64s: fc.array(fc.nat(Number.MAX_SAFE_INTEGER)),
  rels: fc.array(rel),
};
const anyOp = (table: OpTable): fc.Arbitrary<{ op: string }> =>
  fc.oneof(
    ...Object.entries(table).map(([op, fields]) =>
      fc.record({
        op: fc.constant(op),
        ...Object.fromEntries(Object.entries(fields).map(([n, t]) => [n, arbitraries[t]])),
      }),
    ),
  ) as fc.Arbitrary<{ op: string }>;

describe('attach codec', () => {
  it.each([
    ['up', UP],
    ['down', DOWN],
  ] as const)('%s: what was put comes out, in order', (_, table) => {
    fc.assert(
      fc.property(fc.array(anyOp(table), { maxLength: 20 }), ops => {
        const traffic = new Traffic();
        const writer = new OpWriter(table, traffic);
        for (const op of ops) writer.put(op);
        const seen: unknown[] = [];
        new OpReader(table, traffic).read(writer.take(), op => seen.push(op));
        expect(seen).toEqual(ops);
        const images = ops.filter(({ op, ...fields }) => {
          const { image } = fields as { readonly image?: Uint8Array };
          return ['grantBuffer', 'releaseBuffer', 'bufferImage'].includes(op) && image!.length > 0;
        });
        expect(traffic.operations).toEqual({ sent: ops.length, received: ops.length });
        expect(traffic.pageImages).toEqual({ sent: images.length, received: images.length });
      }),
      { numRuns: 100 },
    );
  });

  it('refuses truncated and unknown input instead of inventing operations', () => {
    const writer = upWriter();
    const op: UpOp = { op: 'xlogInsert', seq: 7, record: Buffer.alloc(40, 1) };
    writer.put(op);
    const whole = writer.take();
    for (let cut = 1; cut < whole.length; cut++) {
      expect(() => upReader().read(whole.subarray(0, cut), () => {})).toThrow(FrameError);
    }
    expect(() => upReader().read(Buffer.from([255]), () => {})).toThrow(FrameError);
    expect(() => upReader().read(Buffer.from([0]), () => {})).toThrow(FrameError);
  });
});
