/**
 * pg_attribute.attmissingval: what a column is in rows written before it was added. An array of the
 * column's type (`anyarray`) with one element:
 *
 *      0  ndim i4 = 1 | dataoffset i4 = 0 | elemtype oid | length i4 = 1 | lower bound i4 = 1
 *     20  the element, as arrays store it: with a long header, aligned counting from 4 bytes earlier
 */
import { tupleMemory } from '@pgtroupe/access/common/htup';
import { alignMask, attKind, fetchAtt, storeAtt } from '@pgtroupe/access/common/tupmacs';
import type { Attribute } from '@pgtroupe/access/common/tupdesc';
import type { Datum } from '@pgtroupe/common/datum';
import { maxAlign } from '@pgtroupe/common/ids';
import type { Oid } from '@pgtroupe/common/ids';
import type { Form_pg_attribute } from './catalogs/pg_attribute.ts';

const VARHDRSZ = 4;
const DATA = 24;
/** Room for the header, alignment and any fixed-length type. */
const OVERHEAD = 128;

type Shape = Pick<Form_pg_attribute, 'atttypid' | 'attlen' | 'attbyval' | 'attalign'>;

function kindOf(attribute: Shape, baseTypid: Oid): number {
  return attKind({ typid: baseTypid, len: attribute.attlen, byval: attribute.attbyval });
}

export function decodeMissing(attribute: Shape, baseTypid: Oid, array: Uint8Array): Datum {
  const bytes = new Uint8Array(VARHDRSZ + maxAlign(array.length));
  bytes.set(array, VARHDRSZ);
  return fetchAtt(tupleMemory(bytes), DATA, kindOf(attribute, baseTypid), attribute.attlen);
}

export function encodeMissing(attribute: Shape, baseTypid: Oid, value: Datum): Uint8Array {
  const length = value instanceof Uint8Array ? value.length : 0;
  const mem = tupleMemory(new Uint8Array(maxAlign(OVERHEAD + length)));
  mem.view.setInt32(VARHDRSZ, 1, true);
  mem.view.setUint32(VARHDRSZ + 8, attribute.atttypid, true);
  mem.view.setInt32(VARHDRSZ + 12, 1, true);
  mem.view.setInt32(VARHDRSZ + 16, 1, true);
  const mask = alignMask(attribute.attalign as Attribute['align']);
  const end = storeAtt(mem, DATA, value, kindOf(attribute, baseTypid), attribute.attlen, mask, false);
  // The array's length covers the element's alignment.
  return mem.u8.slice(VARHDRSZ, (end + mask) & ~mask);
}
