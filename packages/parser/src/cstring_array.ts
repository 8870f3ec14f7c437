/**
 * cstring[] is what typmodin functions take. Layout of a one-dimensional array without nulls, after
 * the varlena header: ndim int4 = 1, dataoffset int4 = 0, elemtype int4, dim int4, lower bound int4 = 1,
 * then the elements, each terminated by zero (cstring aligns to one byte).
 */
import { CSTRINGOID } from '@pgtroupe/common/oids';

const HEADER = 20;

export function encodeCStringArray(words: readonly string[]): Uint8Array {
  const elements = words.map(word => new TextEncoder().encode(word));
  const size = elements.reduce((sum, bytes) => sum + bytes.length + 1, HEADER);
  const out = new Uint8Array(size);
  const view = new DataView(out.buffer);
  view.setInt32(0, 1, true);
  view.setInt32(4, 0, true);
  view.setInt32(8, CSTRINGOID, true);
  view.setInt32(12, words.length, true);
  view.setInt32(16, 1, true);
  let pos = HEADER;
  for (const bytes of elements) {
    out.set(bytes, pos);
    pos += bytes.length + 1;
  }
  return out;
}
