/**
 * Reads values back from a TOAST table without a server, for tests.
 */
import type { Oid } from '@pgtroupe/common/ids';
import { MISS } from '@pgtroupe/storage/buffer/pages';
import { plainValue, type ToastFetcher, type ToastPointer } from '@pgtroupe/access/common/detoast';
import { heapGetAttr } from '@pgtroupe/access/common/heaptuple';
import { getInfomask, HEAP_XMIN_FROZEN, HEAP_XMIN_INVALID } from '@pgtroupe/access/common/htup';
import type { HeapContext } from '@pgtroupe/access/heap/heapam-context';
import { heapTupleAt, NOT_FOUND } from '@pgtroupe/access/heap/heapam-scan';
import { TOAST_CHUNK_KEYS, TOAST_LAYOUT, TOAST_MAX_CHUNK_SIZE, type ToastTable } from '@pgtroupe/access/heap/heaptoast';
import { BTScan } from '@pgtroupe/access/nbtree/nbtscan';

/** A value being put together: chunks are fetched once, however often the reader has to come again. */
interface Partial {
  readonly bytes: Uint8Array;
  chunk: number;
  done: boolean;
}

/** Values kept for the repeated attempts of a row, and for rows that point to the same one. */
const KEPT_VALUES = 16;

/**
 * Reads values from TOAST tables for everything in one memory: `registerToastFetcher(pages.mem, reader)`.
 * `lookup` finds a TOAST table by OID; undefined is a MISS, with `want` set.
 */
export class ToastReader implements ToastFetcher {
  readonly #ctx: HeapContext;
  readonly #lookup: (toastRelId: Oid) => ToastTable | undefined;
  readonly #kept = new Map<string, Partial>();

  constructor(ctx: HeapContext, lookup: (toastRelId: Oid) => ToastTable | undefined) {
    this.#ctx = ctx;
    this.#lookup = lookup;
  }

  fetch(pointer: ToastPointer): Uint8Array | undefined {
    const stored = this.#fetchChunks(pointer);
    return stored === undefined ? undefined : plainValue(pointer, stored);
  }

  #fetchChunks(pointer: ToastPointer): Uint8Array | undefined {
    const key = `${pointer.toastRelId}/${pointer.valueId}`;
    let value = this.#kept.get(key);
    if (value?.done === true) return value.bytes;
    const table = this.#lookup(pointer.toastRelId as Oid);
    if (table === undefined) return undefined;
    if (value === undefined) {
      this.#forgetOldest();
      this.#kept.set(key, (value = { bytes: new Uint8Array(pointer.extSize), chunk: 0, done: false }));
    }
    if (!this.#gather(table, pointer, value)) return undefined;
    value.done = value.chunk * TOAST_MAX_CHUNK_SIZE >= value.bytes.length;
    if (value.done) return value.bytes;
    this.#kept.delete(key);
    return value.bytes.subarray(0, value.chunk * TOAST_MAX_CHUNK_SIZE);
  }

  #gather(table: ToastTable, pointer: ToastPointer, value: Partial): boolean {
    const { pages } = this.#ctx;
    const scan = new BTScan(table.index, pages, TOAST_CHUNK_KEYS);
    scan.rescan([pointer.valueId, value.chunk], true);
    for (;;) {
      const n = scan.nextBatch();
      if (n === MISS) return false;
      if (n === 0) return true;
      for (let i = 0; i < n; i++) {
        const tup = heapTupleAt(this.#ctx, table.heap, scan.tids[2 * i]!, scan.tids[2 * i + 1]!);
        if (tup === MISS) return false;
        // Chunks of an insertion that failed; whoever points to a chunk sees it.
        if (tup === NOT_FOUND || (getInfomask(pages.mem, tup) & HEAP_XMIN_FROZEN) === HEAP_XMIN_INVALID) continue;
        if (heapGetAttr(TOAST_LAYOUT, pages.mem, tup, 1) !== value.chunk) continue;
        value.bytes.set(heapGetAttr(TOAST_LAYOUT, pages.mem, tup, 2) as Uint8Array, value.chunk * TOAST_MAX_CHUNK_SIZE);
        value.chunk++;
      }
    }
  }

  #forgetOldest(): void {
    if (this.#kept.size < KEPT_VALUES) return;
    const oldest = this.#kept.keys().next().value;
    if (oldest !== undefined) this.#kept.delete(oldest);
  }
}
