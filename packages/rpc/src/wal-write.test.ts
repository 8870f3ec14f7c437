import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { WalOrder, WalReport } from './generated/walwriter.ts';
import { WAL_WRITE } from './wal-write.ts';

const bytes = fc.uint8Array({ maxLength: 300 }).map(b => Buffer.from(b));
const lsn = fc.oneof(fc.nat(1000), fc.maxSafeNat());

const orders: fc.Arbitrary<WalOrder> = fc.oneof(
  fc
    .record({ pos: lsn, data: bytes, sync: fc.boolean() })
    .map(value => ({ order: { $case: 'append' as const, value } })),
  fc.record({ pos: lsn }).map(value => ({ order: { $case: 'room' as const, value } })),
);
const reports: fc.Arbitrary<WalReport> = fc.oneof(
  fc
    .record({ reqId: fc.nat(0xffffffff), pos: lsn, data: bytes, last: fc.boolean() })
    .map(value => ({ report: { $case: 'chunk' as const, value } })),
  fc.record({ lsn }).map(value => ({ report: { $case: 'flushed' as const, value } })),
);

describe('WalWriter/Write by hand', () => {
  it('writes the bytes of the generated codec and reads them', () => {
    fc.assert(
      fc.property(orders, order => {
        const wire = WAL_WRITE.up.encode(order);
        expect(Buffer.from(wire)).toEqual(Buffer.from(WalOrder.encode(order).finish()));
        expect(WAL_WRITE.up.decode(wire)).toEqual(order);
      }),
    );
    fc.assert(
      fc.property(reports, report => {
        const wire = WAL_WRITE.down.encode(report);
        expect(Buffer.from(wire)).toEqual(Buffer.from(WalReport.encode(report).finish()));
        expect(WAL_WRITE.down.decode(wire)).toEqual(report);
      }),
    );
  });

  it('leaves what it does not know to the generated codec', () => {
    // An append with a field of a later version (number 9) behind the known ones.
    const inner = Buffer.from([0x08, 5, 0x12, 2, 7, 8, 0x48, 1]);
    const wire = Buffer.concat([Buffer.from([0x12, inner.length]), inner]);
    expect(WAL_WRITE.up.decode(wire)).toEqual({
      order: { $case: 'append', value: { pos: 5, data: Buffer.from([7, 8]), sync: false } },
    });
    expect(() => WAL_WRITE.up.decode(wire.subarray(0, 5))).toThrow();
  });
});
