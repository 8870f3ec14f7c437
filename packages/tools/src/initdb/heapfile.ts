/**
 * A heap's file built in memory: rows of the bootstrap transaction, frozen, page after page.
 *
 * Rows too long for TOAST_TUPLE_THRESHOLD have their largest values compressed and, where that is not
 * enough, moved to the TOAST heap.
 */
import { heapComputeTupleSize, heapFormTuple, tupleLayout } from '@pgtroupe/access/common/heaptuple';
import {
  HEAP_XMAX_INVALID,
  HEAP_XMIN_FROZEN,
  getInfomask,
  setCtid,
  setInfomask,
  setXmin,
  tupleMemory,
} from '@pgtroupe/access/common/htup';
import { TOAST_PGLZ_COMPRESSION, VARTAG_ONDISK } from '@pgtroupe/access/common/detoast';
import { TOAST_MAX_CHUNK_SIZE, TOAST_TUPLE_THRESHOLD } from '@pgtroupe/access/heap/heaptoast';
import { toastCompressDatum } from '@pgtroupe/access/common/toast-compression';
import { VarlenaImage } from '@pgtroupe/access/common/tupmacs';
import type { TupleDesc } from '@pgtroupe/access/common/tupdesc';
import type { ItemPointer } from '@pgtroupe/catalog/catalog';
import { assert } from '@pgtroupe/common/assert';
import type { Datum } from '@pgtroupe/common/datum';
import { BLCKSZ, BOOTSTRAP_TRANSACTION_ID, maxAlign } from '@pgtroupe/common/ids';
import type { Oid } from '@pgtroupe/common/ids';
import {
  PAI_IS_HEAP,
  pageAddItem,
  pageGetHeapFreeSpace,
  pageInit,
  pageMemory,
  pageSetChecksum,
} from '@pgtroupe/storage/page/bufpage';
import type { PageMemory } from '@pgtroupe/storage/page/bufpage';

/** Bytes of a pointer to a value in a TOAST table. */
const POINTER_SIZE = 18;

/** Where values go that are too long for their row. */
export interface Toast {
  readonly oid: Oid;
  readonly heap: HeapFile;
  /** Gives chunk_ids. */
  nextValueId(): Oid;
}

export class HeapFile {
  readonly #layout;
  readonly #attrs;
  readonly #toast: Toast | undefined;
  readonly #pages: PageMemory[] = [];
  readonly #scratch = tupleMemory(new Uint8Array(BLCKSZ));
  tuples = 0;

  constructor(desc: TupleDesc, toast?: Toast) {
    this.#attrs = desc.attrs;
    this.#layout = tupleLayout(desc);
    this.#toast = toast;
  }

  get pages(): number {
    return this.#pages.length;
  }

  /** The file's content, checksums set. */
  bytes(): Uint8Array {
    return pagesToFile(this.#pages);
  }

  insert(row: readonly Datum[]): ItemPointer {
    const values = this.#fit(row);
    const scratch = this.#scratch;
    const size = heapFormTuple(this.#layout, values, scratch, 0);
    const page = this.#pageWith(size);
    const blk = this.#pages.length - 1;
    setXmin(scratch, 0, BOOTSTRAP_TRANSACTION_ID);
    setInfomask(scratch, 0, getInfomask(scratch, 0) | HEAP_XMIN_FROZEN | HEAP_XMAX_INVALID);
    const off = (page.u16[6]! - 24) / 4 + 1;
    setCtid(scratch, 0, blk, off);
    assert(pageAddItem(page, 0, scratch.u8, 0, size, 0, PAI_IS_HEAP) === off, 'initdb adds items at the end');
    this.tuples++;
    return { blk, off };
  }

  #pageWith(size: number): PageMemory {
    const last = this.#pages.at(-1);
    if (last !== undefined && pageGetHeapFreeSpace(last, 0) >= maxAlign(size)) return last;
    const page = newPage(0);
    this.#pages.push(page);
    return page;
  }

  /** The row's values with the longest ones compressed, then moved out, until it fits. */
  #fit(row: readonly Datum[]): readonly Datum[] {
    const fits = (): boolean => heapComputeTupleSize(this.#layout, values) <= TOAST_TUPLE_THRESHOLD;
    const values = row.slice();
    const untried = new Set(values.keys());
    while (!fits()) {
      const att = this.#longest(values, untried);
      if (att < 0) break;
      untried.delete(att);
      const image = toastCompressDatum(values[att] as Uint8Array);
      if (image !== undefined) values[att] = image;
    }
    while (!fits()) {
      const att = this.#longest(values, undefined);
      assert(att >= 0 && this.#toast !== undefined, 'a row that cannot be toasted is too long');
      values[att] = this.#moveOut(this.#toast, values[att] as Uint8Array | VarlenaImage);
    }
    return values;
  }

  /** The longest value that may be toasted and is still in the row; -1 when there is none. */
  #longest(values: readonly Datum[], among: ReadonlySet<number> | undefined): number {
    let longest = -1;
    let length = 0;
    values.forEach((value, i) => {
      const { len, storage } = this.#attrs[i]!;
      if (len !== -1 || storage !== 'x' || among?.has(i) === false) return;
      const bytes = value instanceof VarlenaImage ? value.bytes : value;
      if (!(bytes instanceof Uint8Array) || bytes.length <= Math.max(length, POINTER_SIZE)) return;
      longest = i;
      length = bytes.length;
    });
    return longest;
  }

  #moveOut(toast: Toast, value: Uint8Array | VarlenaImage): VarlenaImage {
    const id = toast.nextValueId();
    const compressed = value instanceof VarlenaImage;
    // A compressed value is stored from its raw size on.
    const stored = compressed ? value.bytes.subarray(4) : value;
    const rawSize = compressed
      ? new DataView(stored.buffer, stored.byteOffset).getUint32(0, true) & 0x3fffffff
      : value.length;
    for (let from = 0, seq = 0; from < stored.length; from += TOAST_MAX_CHUNK_SIZE, seq++) {
      toast.heap.insertChunk(id, seq, stored.subarray(from, from + TOAST_MAX_CHUNK_SIZE));
    }
    const pointer = new Uint8Array(POINTER_SIZE);
    const view = new DataView(pointer.buffer);
    pointer[0] = 1;
    pointer[1] = VARTAG_ONDISK;
    view.setInt32(2, rawSize + 4, true);
    view.setUint32(6, (stored.length | (TOAST_PGLZ_COMPRESSION << 30)) >>> 0, true);
    view.setUint32(10, id, true);
    view.setUint32(14, toast.oid, true);
    return new VarlenaImage(pointer);
  }

  /** In a TOAST heap: chunk_id, chunk_seq and where the chunk is. */
  readonly chunks: { readonly values: readonly Datum[]; readonly tid: ItemPointer }[] = [];

  private insertChunk(id: Oid, seq: number, data: Uint8Array): void {
    const values = [id, seq, data];
    this.chunks.push({ values, tid: this.insert(values) });
  }
}

function newPage(special: number): PageMemory {
  const page = pageMemory(new Uint8Array(BLCKSZ));
  pageInit(page, 0, special);
  return page;
}

function pagesToFile(pages: readonly PageMemory[]): Uint8Array {
  const file = new Uint8Array(BLCKSZ * pages.length);
  pages.forEach((page, blkno) => {
    pageSetChecksum(page, 0, blkno);
    file.set(page.u8, BLCKSZ * blkno);
  });
  return file;
}
