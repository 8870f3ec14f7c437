/**
 * Values stored out of line: their chunks, read from the TOAST table through its index.
 *
 * A chunk never changes once written, so any version of it serves (SnapshotToast). A value that was
 * fetched is kept for a while: the attempt that lacked it runs again from its start.
 */
import { registerToastFetcher, type ToastFetcher, type ToastPointer } from '@pgtroupe/access/common/detoast';
import type { Memory, PageAccess } from '@pgtroupe/storage/buffer/pages';
import type { KernelCatalogSource } from './catalog-source.ts';

const KEEP_VALUES = 256;

export class InstanceToast implements ToastFetcher {
  readonly #pages: PageAccess;
  readonly #values = new Map<string, Uint8Array>();
  /** Database of the reader whose turn it is; set before every attempt. */
  source: KernelCatalogSource | undefined;

  constructor(mem: Memory, pages: PageAccess) {
    this.#pages = pages;
    registerToastFetcher(mem, this);
  }

  fetchChunks(pointer: ToastPointer): Uint8Array | undefined {
    const { source } = this;
    const key = `${source?.relations.storage.databaseOid}/${pointer.toastRelId}/${pointer.valueId}`;
    const value = this.#values.get(key);
    if (value !== undefined) return value;
    this.#pages.want = {
      kind: 'await',
      run: async () => {
        this.#keep(key, await source!.toastValue(pointer));
      },
    };
    return undefined;
  }

  #keep(key: string, value: Uint8Array): void {
    if (this.#values.size >= KEEP_VALUES) {
      const [oldest] = this.#values.keys();
      this.#values.delete(oldest!);
    }
    this.#values.set(key, value);
  }
}
