/**
 * Values that are stored compressed, or outside of their row in the relation's TOAST table.
 *
 * An external value is a 2-byte header (0x01, tag) and for tag 18 (on disk) a varatt_external:
 *
 *      0  va_rawsize     i32   length of the plain value, its 4-byte header included
 *      4  va_extinfo     u32   bytes stored (30 bits) and compression method (2 bits)
 *      8  va_valueid     u32   chunk_id in the TOAST table
 *     12  va_toastrelid  u32   OID of the TOAST table
 *
 * Reading the TOAST table needs pages and catalogs, which access/common knows nothing of: whoever
 * owns the memory registers a ToastFetcher for it. What the fetcher lacks is recorded as `want` as
 * everywhere, and travels up as the thrown DETOAST_MISS, because values are read deep in expressions:
 * the caller catches it, returns MISS and repeats the row.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported } from '@pgtroupe/common/ereport';
import { MISS } from '@pgtroupe/storage/buffer/pages';
import type { TupleMemory } from './htup.ts';
import { pglzDecompress } from './pg-lzcompress.ts';

export const VARTAG_ONDISK = 18;
const SIZEOF_VARATT_EXTERNAL = 16;
export const TOAST_PGLZ_COMPRESSION = 0;
export const TOAST_LZ4_COMPRESSION = 1;

export interface ToastPointer {
  /** Length of the plain value without header. */
  readonly rawSize: number;
  /** Bytes stored in the TOAST table; less than rawSize when compressed. */
  readonly extSize: number;
  readonly method: number;
  readonly valueId: number;
  readonly toastRelId: number;
}

export interface ToastFetcher {
  /** The plain value (`plainValue` makes it of its chunks), or undefined when something is lacking (MISS). */
  fetch(pointer: ToastPointer): Uint8Array | undefined;
}

/** Not an error: "come again once `want` is satisfied". One object, so that throwing costs little. */
class DetoastMiss extends Error {
  override readonly name = 'DetoastMiss';
}
export const DETOAST_MISS = new DetoastMiss('a value from the TOAST table is not here yet');

/** An attempt that reads values deep down: MISS where one must be fetched first. */
export function orDetoastMiss<T>(work: () => T): T | typeof MISS {
  try {
    return work();
  } catch (thrown) {
    if (thrown === DETOAST_MISS) return MISS;
    throw thrown;
  }
}

const fetchers = new WeakMap<Uint8Array, ToastFetcher>();

/** Values pointed to from `mem` are fetched by `fetcher` from now on. */
export function registerToastFetcher(mem: TupleMemory, fetcher: ToastFetcher): void {
  fetchers.set(mem.u8, fetcher);
}

/** Bytes behind the 2-byte header of an external value. */
export function VARTAG_SIZE(tag: number): number {
  if (tag !== VARTAG_ONDISK) throw ereport(ERRCODE.DATA_CORRUPTED, `unexpected varlena tag ${tag}`);
  return SIZEOF_VARATT_EXTERNAL;
}

export function readToastPointer(u8: Uint8Array, at: number): ToastPointer {
  VARTAG_SIZE(u8[at + 1]!);
  const extInfo = readU32(u8, at + 6);
  return {
    rawSize: readU32(u8, at + 2) - 4,
    extSize: extInfo & 0x3fffffff,
    method: extInfo >>> 30,
    valueId: readU32(u8, at + 10),
    toastRelId: readU32(u8, at + 14),
  };
}

export function detoastExternal(mem: TupleMemory, at: number): Uint8Array {
  const pointer = readToastPointer(mem.u8, at);
  const fetcher = fetchers.get(mem.u8);
  if (fetcher === undefined) throw notSupported('reading a value from a TOAST table here');
  const value = fetcher.fetch(pointer);
  if (value === undefined) throw DETOAST_MISS;
  return value;
}

/** Of all chunks of a value in order. */
export function plainValue(pointer: ToastPointer, stored: Uint8Array): Uint8Array {
  if (stored.length !== pointer.extSize) {
    throw ereport(
      ERRCODE.DATA_CORRUPTED,
      `missing chunk number 0 for toast value ${pointer.valueId} in pg_toast_${pointer.toastRelId}`,
    );
  }
  // A compressed external value keeps the word with raw length and method in front.
  return isCompressed(pointer) ? decompress(stored, 4, stored.length, pointer.rawSize, pointer.method) : stored;
}

export function isCompressed({ extSize, rawSize }: ToastPointer): boolean {
  return extSize < rawSize;
}

/** The value at `at` has a 4-byte header with the compressed bit. */
export function detoastCompressed(u8: Uint8Array, at: number): Uint8Array {
  const end = at + (readU32(u8, at) >>> 2);
  const info = readU32(u8, at + 4);
  return decompress(u8, at + 8, end, info & 0x3fffffff, info >>> 30);
}

function decompress(source: Uint8Array, from: number, to: number, rawSize: number, method: number): Uint8Array {
  if (method !== TOAST_PGLZ_COMPRESSION) throw notSupported('lz4 compression of column values');
  const plain = new Uint8Array(rawSize);
  if (pglzDecompress(source, from, to, plain) !== rawSize) {
    throw ereport(ERRCODE.DATA_CORRUPTED, 'compressed pglz data is corrupt');
  }
  return plain;
}

function readU32(u8: Uint8Array, at: number): number {
  return (u8[at]! | (u8[at + 1]! << 8) | (u8[at + 2]! << 16) | (u8[at + 3]! << 24)) >>> 0;
}
