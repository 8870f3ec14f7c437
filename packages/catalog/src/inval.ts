/**
 * Invalidation messages: what a committed transaction tells every instance about the catalogs. The
 * bytes travel opaquely through the buffer-manager, inside `commit` and `snapshot`.
 *
 * A message names what changed exactly, by key rather than by hash, so that nothing else is dropped:
 *
 *   u8 kind, u32 database (0: a shared catalog, everyone's), then
 *   1 ROW       u32 index oid, u16 length, key parts in UTF-8 joined by zero bytes
 *   2 RELATION  u32 relation oid: its relcache entry, whatever the rows say
 *   3 CATALOG   u32 catalog oid: every row of it
 *   4 ALL       everything
 *   5 RELMAP    the relation map file
 */
import type { Oid } from '@pgtroupe/common/ids';
import { assert } from '@pgtroupe/common/assert';
import type { Catalog, CatalogRow } from './catalog.ts';
import { sysCachesOf } from './syscache.ts';

export type InvalMessage =
  | { readonly kind: 'row'; readonly db: Oid; readonly index: Oid; readonly key: string }
  | { readonly kind: 'relation'; readonly db: Oid; readonly relid: Oid }
  | { readonly kind: 'catalog'; readonly db: Oid; readonly catalog: Oid }
  | { readonly kind: 'all'; readonly db: Oid }
  | { readonly kind: 'relmap'; readonly db: Oid };

const KINDS = ['', 'row', 'relation', 'catalog', 'all', 'relmap'] as const;

export const KEY_SEPARATOR = '\0';
export type KeyPart = string | number | boolean | readonly number[];

function partText(part: KeyPart): string {
  return typeof part === 'string' ? part : Array.isArray(part) ? part.join(' ') : String(part);
}

/** The text that stands for a key or a prefix of one. */
export function keyText(parts: readonly KeyPart[]): string {
  return parts.length === 1 ? partText(parts[0]!) : parts.map(partText).join(KEY_SEPARATOR);
}

export function rowKeyText(columns: readonly string[], row: CatalogRow): string {
  const fields = row as unknown as Readonly<Record<string, KeyPart>>;
  return keyText(columns.map(column => fields[column] as KeyPart));
}

/** Messages for a changed row: `before` undefined for an insert, `after` for a delete. */
export function rowMessages<Row extends CatalogRow>(
  db: Oid,
  catalog: Catalog<Row>,
  before: Row | undefined,
  after: Row | undefined,
): InvalMessage[] {
  const messages: InvalMessage[] = [];
  for (const cache of sysCachesOf(catalog as Catalog)) {
    const keys = new Set([before, after].flatMap(row => (row === undefined ? [] : [rowKeyText(cache.key, row)])));
    for (const key of keys)
      messages.push({
        kind: 'row',
        db: catalog.shared ? (0 as Oid) : db,
        index: cache.index.oid,
        key,
      });
  }
  return messages;
}

export function encodeInvals(messages: readonly InvalMessage[]): Uint8Array {
  const texts = messages.map(m => (m.kind === 'row' ? Buffer.from(m.key, 'utf8') : undefined));
  const size = messages.reduce(
    (sum, m, i) =>
      sum + 5 + (m.kind === 'row' ? 6 + texts[i]!.length : m.kind === 'relation' || m.kind === 'catalog' ? 4 : 0),
    0,
  );
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  let at = 0;
  messages.forEach((message, i) => {
    view.setUint8(at, KINDS.indexOf(message.kind));
    view.setUint32(at + 1, message.db, true);
    at += 5;
    switch (message.kind) {
      case 'row':
        view.setUint32(at, message.index, true);
        view.setUint16(at + 4, texts[i]!.length, true);
        bytes.set(texts[i]!, at + 6);
        at += 6 + texts[i]!.length;
        break;
      case 'relation':
        view.setUint32(at, message.relid, true);
        at += 4;
        break;
      case 'catalog':
        view.setUint32(at, message.catalog, true);
        at += 4;
        break;
      case 'all':
      case 'relmap':
        break;
    }
  });
  return bytes;
}

export function decodeInvals(bytes: Uint8Array): InvalMessage[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const messages: InvalMessage[] = [];
  let at = 0;
  while (at < bytes.length) {
    const kind = KINDS[view.getUint8(at)];
    const db = view.getUint32(at + 1, true) as Oid;
    at += 5;
    switch (kind) {
      case 'row': {
        const length = view.getUint16(at + 4, true);
        const key = Buffer.from(bytes.buffer, bytes.byteOffset + at + 6, length).toString('utf8');
        messages.push({ kind, db, index: view.getUint32(at, true) as Oid, key });
        at += 6 + length;
        break;
      }
      case 'relation':
        messages.push({ kind, db, relid: view.getUint32(at, true) as Oid });
        at += 4;
        break;
      case 'catalog':
        messages.push({ kind, db, catalog: view.getUint32(at, true) as Oid });
        at += 4;
        break;
      case 'all':
      case 'relmap':
        messages.push({ kind, db });
        break;
      default:
        assert(false, `invalidation message of kind ${view.getUint8(at - 5)}`);
    }
  }
  return messages;
}
