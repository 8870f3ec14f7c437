import fc from 'fast-check';
import { OutBuffer } from '@pgtroupe/libpq/pqformat';
import { describe, expect, it } from 'vitest';
import { fieldEncoder, TEXT_FORMAT } from './field-encoder.ts';

function encode(typid: number, value: number | bigint): string {
  const out = new OutBuffer();
  fieldEncoder(typid, TEXT_FORMAT, () => {
    throw new Error('no shortcut');
  })(out, value);
  const bytes = Buffer.concat(out.take());
  expect(bytes.readInt32BE(0)).toBe(bytes.length - 4);
  return bytes.toString('latin1', 4);
}

describe('field encoders', () => {
  it('write integers as String does', () => {
    fc.assert(fc.property(fc.maxSafeInteger(), n => void expect(encode(20, n)).toBe(String(n))));
    fc.assert(fc.property(fc.integer(), n => void expect(encode(23, n)).toBe(String(n))));
    for (const n of [0, 9, 10, -1, 2147483647, -2147483648, 4294967295, 1e15]) expect(encode(20, n)).toBe(String(n));
    expect(encode(20, 9223372036854775807n)).toBe('9223372036854775807');
  });
});
