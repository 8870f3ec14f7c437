/**
 * PostgreSQL's hash of bytes (Bob Jenkins' lookup3, little-endian), 32 and 64 bits wide. The values
 * are visible: hash indexes, hash partitions and hashtext() depend on them.
 */

let a = 0;
let b = 0;
let c = 0;

const rot = (x: number, k: number): number => (x << k) | (x >>> (32 - k));

function mix(): void {
  a = (a - c) ^ rot(c, 4);
  c = (c + b) | 0;
  b = (b - a) ^ rot(a, 6);
  a = (a + c) | 0;
  c = (c - b) ^ rot(b, 8);
  b = (b + a) | 0;
  a = (a - c) ^ rot(c, 16);
  c = (c + b) | 0;
  b = (b - a) ^ rot(a, 19);
  a = (a + c) | 0;
  c = (c - b) ^ rot(b, 4);
  b = (b + a) | 0;
}

function final(): void {
  c = ((c ^ b) - rot(b, 14)) | 0;
  a = ((a ^ c) - rot(c, 11)) | 0;
  b = ((b ^ a) - rot(a, 25)) | 0;
  c = ((c ^ b) - rot(b, 16)) | 0;
  a = ((a ^ c) - rot(c, 4)) | 0;
  b = ((b ^ a) - rot(a, 14)) | 0;
  c = ((c ^ b) - rot(b, 24)) | 0;
}

/** Leaves the result in b and c. */
function run(bytes: Uint8Array, seed: bigint): void {
  let length = bytes.length;
  a = b = c = (0x9e3779b9 + length + 3923095) | 0;
  if (seed !== 0n) {
    a = (a + Number(seed >> 32n)) | 0;
    b = (b + Number(seed & 0xffffffffn)) | 0;
    mix();
  }
  let i = 0;
  while (length >= 12) {
    a = (a + (bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24))) | 0;
    b = (b + (bytes[i + 4] | (bytes[i + 5] << 8) | (bytes[i + 6] << 16) | (bytes[i + 7] << 24))) | 0;
    c = (c + (bytes[i + 8] | (bytes[i + 9] << 8) | (bytes[i + 10] << 16) | (bytes[i + 11] << 24))) | 0;
    mix();
    i += 12;
    length -= 12;
  }
  // The last eleven bytes; the lowest byte of c is for the length.
  for (let k = length - 1; k >= 0; k--) {
    const v = bytes[i + k];
    if (k >= 8) c = (c + (v << ((k - 7) * 8))) | 0;
    else if (k >= 4) b = (b + (v << ((k - 4) * 8))) | 0;
    else a = (a + (v << (k * 8))) | 0;
  }
  final();
}

/** hash_any(): a signed int4, as SQL shows it. */
export function hashBytes(bytes: Uint8Array): number {
  run(bytes, 0n);
  return c;
}

export function hashBytesExtended(bytes: Uint8Array, seed: bigint): bigint {
  run(bytes, BigInt.asUintN(64, seed));
  return BigInt.asIntN(64, (BigInt(b >>> 0) << 32n) | BigInt(c >>> 0));
}

function runUint32(k: number, seed: bigint): void {
  a = b = c = (0x9e3779b9 + 4 + 3923095) | 0;
  if (seed !== 0n) {
    a = (a + Number(seed >> 32n)) | 0;
    b = (b + Number(seed & 0xffffffffn)) | 0;
    mix();
  }
  a = (a + k) | 0;
  final();
}

/** hash_uint32(). */
export function hashUint32(k: number): number {
  runUint32(k, 0n);
  return c;
}

export function hashUint32Extended(k: number, seed: bigint): bigint {
  runUint32(k, BigInt.asUintN(64, seed));
  return BigInt.asIntN(64, (BigInt(b >>> 0) << 32n) | BigInt(c >>> 0));
}

/** 64 bits folded so that int8 values within int4 hash as int4 does. */
export function foldInt8(v: number | bigint): number {
  if (typeof v === 'number' && v >= -0x80000000 && v <= 0x7fffffff) return v;
  const n = BigInt.asIntN(64, BigInt(v));
  const low = Number(n & 0xffffffffn) | 0;
  const high = Number(n >> 32n) | 0;
  return low ^ (n >= 0n ? high : ~high);
}
