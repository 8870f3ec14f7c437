/** Where in COPY FROM's data an error happened, for its CONTEXT (CopyFromErrorCallback). */
import type { CopyFromParser } from './copyfromparse.ts';

/** Longer data are cut. */
const MAX_COPY_DATA_DISPLAY = 100;

export type CopyPlace =
  /** In the parser's current line, as far as it was read. */
  | { readonly kind: 'line' }
  | { readonly kind: 'field'; readonly name: string; readonly field: number }
  /** In a row that was taken earlier, or in bytes that are no text. */
  | { readonly kind: 'number'; readonly line: number };

export function copyContext(relation: string, parser: CopyFromParser, place: CopyPlace): string {
  const at = (line: number): string => `COPY ${relation}, line ${line}`;
  switch (place.kind) {
    case 'number':
      return at(place.line);
    case 'field': {
      const { field, name } = place;
      const value =
        parser.isNull[field] === 1 ? 'null input' : shown(parser.data.subarray(parser.start[field], parser.end[field]));
      return `${at(parser.lineNumber)}, column ${name}: ${value}`;
    }
    case 'line': {
      const line = parser.rawLine;
      return line === undefined ? at(parser.lineNumber) : `${at(parser.lineNumber)}: ${shown(line)}`;
    }
  }
}

function shown(bytes: Uint8Array): string {
  let end = bytes.length;
  if (end > MAX_COPY_DATA_DISPLAY) {
    end = MAX_COPY_DATA_DISPLAY;
    while (end > 0 && (bytes[end]! & 0xc0) === 0x80) end--;
  }
  return `"${Buffer.from(bytes.subarray(0, end)).toString()}${end < bytes.length ? '...' : ''}"`;
}
