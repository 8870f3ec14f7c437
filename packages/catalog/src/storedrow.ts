/**
 * A row of a catalog that was read whole. It is decoded when somebody asks for it: of the thousands that an instance
 * reads when it starts, its sessions ask for some hundred.
 */
import type { Catalog, CatalogRow } from './catalog.ts';
import type { ScannedRow } from './catalogsource.ts';
import { type KeyPart, keyText } from './inval.ts';
import { decodeField, decodeRow } from './rowcodec.ts';
import type { SysCache } from './syscache.ts';

export class StoredRow {
  readonly #catalog: Catalog;
  readonly #scanned: ScannedRow;
  #row: CatalogRow | undefined;

  constructor(catalog: Catalog, scanned: ScannedRow) {
    this.#catalog = catalog;
    this.#scanned = scanned;
  }

  /** The same object every time. */
  get row(): CatalogRow {
    return (this.#row ??= this.#decode());
  }

  /** Once: to ask for its values takes the tuple apart. */
  #decode(): CatalogRow {
    const { values, ctid, xmin } = this.#scanned;
    return decodeRow(this.#catalog, values, ctid, xmin);
  }

  /** The text of the first `length` columns of an index' key, as `rowKeyText` has it. */
  keyText({ index }: SysCache, length: number): string {
    const { values } = this.#scanned;
    const { columns } = this.#catalog;
    const part = (attnum: number): KeyPart =>
      decodeField(columns[attnum - 1]!.type, values[attnum - 1] ?? null) as KeyPart;
    return keyText(index.keys.slice(0, length).map(part));
  }
}
