/** TOAST tables as a session's transaction sees them: those of tables through the relation cache, which follows their files. */
import type { ToastPointer } from '@pgtroupe/access/common/detoast';
import { withCatalog } from '@pgtroupe/catalog/catalogmiss';
import { btIndexOf, heapOf } from '@pgtroupe/catalog/relaccess';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import type { Analysis } from './analysis.ts';
import { catalogOfToast, type KernelCatalogSource, type ToastFiles } from './catalog-source.ts';
import type { ToastReader } from './toast-fetcher.ts';

export class SessionToast implements ToastReader {
  readonly databaseOid: Oid;
  readonly #source: KernelCatalogSource;
  readonly #analysis: Analysis;

  constructor(source: KernelCatalogSource, analysis: Analysis) {
    this.databaseOid = source.databaseOid;
    this.#source = source;
    this.#analysis = analysis;
  }

  async toastValue(pointer: ToastPointer): Promise<Uint8Array> {
    if (catalogOfToast(pointer.toastRelId) !== undefined) return this.#source.toastValue(pointer);
    const files = await withCatalog(() => this.#filesOf(pointer.toastRelId as Oid));
    return this.#source.toastChunks(files, pointer.valueId);
  }

  #filesOf(toastRelId: Oid): ToastFiles {
    const { catalog } = this.#analysis;
    const table = catalog.relation(toastRelId);
    if (table === null) {
      throw ereport(ERRCODE.UNDEFINED_TABLE, `could not open relation with OID ${toastRelId}`);
    }
    return { heap: heapOf(table), index: btIndexOf(catalog, table.indexes[0]!, table) };
  }
}
