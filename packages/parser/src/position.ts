/**
 * Parse locations are byte offsets into the UTF-8 query text; what a client is told is a 1-based
 * character index. Query texts are JavaScript strings here, so both need counting.
 */

const LONG_TEXT = 1 << 16;

/** 1-based character index for a byte offset; undefined when the offset is unknown (negative). */
export function errorPosition(text: string, byteOffset: number): number | undefined {
  if (byteOffset < 0 || text === '') return undefined;
  // A long text of ASCII needs no counting.
  if (text.length >= LONG_TEXT && Buffer.byteLength(text) === text.length) return Math.min(byteOffset, text.length) + 1;
  let bytes = 0;
  let chars = 0;
  for (let i = 0; i < text.length && bytes < byteOffset; chars++) {
    const code = text.codePointAt(i) as number;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    i += code > 0xffff ? 2 : 1;
  }
  return chars + 1;
}
