import { crc32c as native } from '@node-rs/crc32';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { crc32c, CRC32C_INIT, crc32cFinish, crc32cUpdate } from './crc32c.ts';

it('agrees with the known answer and with native code at every length and cut', () => {
  expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 1500 }), fc.nat(1500), (bytes, cut) => {
      const middle = Math.min(cut, bytes.length);
      const first = crc32cUpdate(CRC32C_INIT, bytes, 0, middle);
      expect(crc32cFinish(crc32cUpdate(first, bytes, middle, bytes.length))).toBe(native(Buffer.from(bytes)));
    }),
  );
});
