/**
 * CRC-32C (Castagnoli), as WAL records, pg_control and relation maps carry it.
 *
 * The register form lets a CRC be continued by somebody else: an instance runs it over a record's
 * body, the buffer-manager over the header. Start with CRC32C_INIT, finish with `crc32cFinish`.
 * Short runs go through slicing-by-8 in JavaScript, long ones through native code (faster from
 * about 350 bytes on, measured).
 */
import { crc32c as native } from '@node-rs/crc32';

export const CRC32C_INIT = 0xffffffff;
const POLYNOMIAL = 0x82f63b78;
const NATIVE_FROM_BYTES = 352;

/** Eight tables of 256, flat: TABLE[256 * k + b] is the effect of byte b, k bytes before the end. */
const TABLE = (() => {
  const table = new Int32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) !== 0 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    table[byte] = crc;
  }
  for (let k = 1; k < 8; k++) {
    for (let byte = 0; byte < 256; byte++) {
      const previous = table[256 * (k - 1) + byte]!;
      table[256 * k + byte] = (previous >>> 8) ^ table[previous & 255]!;
    }
  }
  return table;
})();

/** Runs the register over bytes [from, to). */
export function crc32cUpdate(register: number, bytes: Uint8Array, from: number, to: number): number {
  if (to - from >= NATIVE_FROM_BYTES) {
    // The native function takes and gives finished values, the register inverted.
    return ~native(bytes.subarray(from, to), ~register >>> 0) >>> 0;
  }
  const t = TABLE;
  let crc = register | 0;
  let at = from;
  for (; at + 8 <= to; at += 8) {
    const x = crc ^ (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24));
    crc =
      t[1792 + (x & 255)]! ^
      t[1536 + ((x >>> 8) & 255)]! ^
      t[1280 + ((x >>> 16) & 255)]! ^
      t[1024 + (x >>> 24)]! ^
      t[768 + bytes[at + 4]!]! ^
      t[512 + bytes[at + 5]!]! ^
      t[256 + bytes[at + 6]!]! ^
      t[bytes[at + 7]!]!;
  }
  for (; at < to; at++) crc = (crc >>> 8) ^ t[(crc ^ bytes[at]!) & 255]!;
  return crc >>> 0;
}

export function crc32cFinish(register: number): number {
  return ~register >>> 0;
}

/** The finished CRC of bytes [from, to). */
export function crc32c(bytes: Uint8Array, from = 0, to = bytes.length): number {
  return crc32cFinish(crc32cUpdate(CRC32C_INIT, bytes, from, to));
}
