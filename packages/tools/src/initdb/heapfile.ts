/**
 * A heap's file built in memory: rows of the bootstrap transaction, frozen, page after page.
 *
 * Rows too long for TOAST_TUPLE_THRESHOLD have their largest values moved to the TOAST heap,
 * uncompressed, as toast_insert does with incompressible ones.
 */
import {
  heapComputeTupleSize,
  heapFormTuple,
  tupleLayout,
} from '@pgtroupe/access/common/heaptuple';
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

/** A tuple longer than this is toasted, so that four fit on a page. */
const TOAST_TUPLE_THRESHOLD = 2032;
export const TOAST_MAX_CHUNK_SIZE = 1996;

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
    assert(
      pageAddItem(page, 0, scratch.u8, 0, size, 0, PAI_IS_HEAP) === off,
      'initdb adds items at the end',
    );
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

  /** The row's values with the longest ones moved out until it fits. */
  #fit(row: readonly Datum[]): readonly Datum[] {
    if (
      this.#toast === undefined ||
      heapComputeTupleSize(this.#layout, row) <= TOAST_TUPLE_THRESHOLD
    )
      return row;
    const values = row.slice();
    do {
      let longest = -1;
      let length = 0;
      values.forEach((value, i) => {
        const movable = this.#attrs[i]!.len === -1 && 'xe'.includes(this.#attrs[i]!.storage);
        if (!movable || !(value instanceof Uint8Array) || value.length <= length) return;
        longest = i;
        length = value.length;
      });
      assert(longest >= 0, 'a row that cannot be toasted is too long');
      values[longest] = this.#moveOut(this.#toast, values[longest] as Uint8Array);
    } while (heapComputeTupleSize(this.#layout, values) > TOAST_TUPLE_THRESHOLD);
    return values;
  }

  #moveOut(toast: Toast, value: Uint8Array): VarlenaImage {
    const id = toast.nextValueId();
    for (let from = 0, seq = 0; from < value.length; from += TOAST_MAX_CHUNK_SIZE, seq++) {
      toast.heap.insertChunk(id, seq, value.subarray(from, from + TOAST_MAX_CHUNK_SIZE));
    }
    const pointer = new Uint8Array(18);
    const view = new DataView(pointer.buffer);
    pointer[0] = 1;
    pointer[1] = VARTAG_ONDISK;
    view.setInt32(2, value.length + 4, true);
    view.setUint32(6, (value.length | (TOAST_PGLZ_COMPRESSION << 30)) >>> 0, true);
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
