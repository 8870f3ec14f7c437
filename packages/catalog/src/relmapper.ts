/**
 * pg_filenode.map: which file holds each mapped relation, those whose pg_class.relfilenode is 0
 * because they must be found before pg_class can be read. One for the shared catalogs in `global/`,
 * one per database.
 *
 *      0  magic        u32   0x592717
 *      4  num_mappings u32   at most 62
 *      8  mappings           pairs of u32: relation oid, file number
 *    504  crc          u32   CRC-32C of the 504 bytes before
 *    508  pad          u32
 */
import { crc32c } from '@pgtroupe/common/crc32c';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import { assert } from '@pgtroupe/common/assert';
import type { Oid } from '@pgtroupe/common/ids';

export const RELMAPPER_FILENAME = 'pg_filenode.map';
const RELMAPPER_FILEMAGIC = 0x592717;
const MAX_MAPPINGS = 62;
const CRC_AT = 504;
const SIZE = 512;

export type RelationMap = ReadonlyMap<Oid, Oid>;

export function encodeRelationMap(map: RelationMap): Uint8Array {
  assert(map.size <= MAX_MAPPINGS, `relation map of ${map.size} entries`);
  const bytes = new Uint8Array(SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, RELMAPPER_FILEMAGIC, true);
  view.setUint32(4, map.size, true);
  let at = 8;
  for (const [oid, filenode] of map) {
    view.setUint32(at, oid, true);
    view.setUint32(at + 4, filenode, true);
    at += 8;
  }
  view.setUint32(CRC_AT, crc32c(bytes, 0, CRC_AT), true);
  return bytes;
}

/** `path` is for the message only. */
export function decodeRelationMap(bytes: Uint8Array, path: string): RelationMap {
  if (bytes.length < SIZE) {
    throw ereport(ERRCODE.DATA_CORRUPTED, `could not read file "${path}": read ${bytes.length} of ${SIZE}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, SIZE);
  const count = view.getUint32(4, true);
  if (view.getUint32(0, true) !== RELMAPPER_FILEMAGIC || count > MAX_MAPPINGS) {
    throw ereport(ERRCODE.DATA_CORRUPTED, `relation mapping file "${path}" contains invalid data`);
  }
  if (view.getUint32(CRC_AT, true) !== crc32c(bytes, 0, CRC_AT)) {
    throw ereport(ERRCODE.DATA_CORRUPTED, `relation mapping file "${path}" contains incorrect checksum`);
  }
  const map = new Map<Oid, Oid>();
  for (let at = 8; at < 8 + 8 * count; at += 8)
    map.set(view.getUint32(at, true) as Oid, view.getUint32(at + 4, true) as Oid);
  return map;
}
