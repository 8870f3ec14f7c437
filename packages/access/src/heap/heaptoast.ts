/**
 * TOAST: values too large for their row are compressed, then moved to the relation's TOAST table in
 * chunks, leaving an 18-byte pointer (common/detoast.ts). Row by row:
 *
 *   toaster.store(values, cid);        // before the row is inserted or updated
 *   toaster.step()                     // until TOAST_DONE; MISS as everywhere
 *   toaster.values                     // to form the tuple from
 *
 *   toaster.remove(old, cid);          // after heapUpdate or heapDelete said TM_OK: `old` is the
 *   toaster.step()                     // version that is gone
 *
 * Storing chunks takes many stretches, so it must be finished before the row itself is written; chunks
 * of a row that then is not written are dead like everything of its transaction. Removing must come
 * after, because only then the row is ours to remove.
 *
 * The columns' storage decides: plain never; main only when the row would not fit on a page otherwise;
 * extended is compressed first; external is moved uncompressed.
 */
import { assert } from '@pgtroupe/common/assert';
import type { Datum } from '@pgtroupe/common/datum';
import type { CommandId, Oid } from '@pgtroupe/common/ids';
import { MISS, type PageAccess } from '@pgtroupe/storage/buffer/pages';
import { readToastPointer, TOAST_PGLZ_COMPRESSION, type ToastPointer, VARTAG_ONDISK } from '../common/detoast.ts';
import { attOffset, heapComputeDataSize, heapFormTuple, type TupleLayout, tupleLayout } from '../common/heaptuple.ts';
import { getInfomask, HEAP_HASEXTERNAL, heapTupleHeaderSize, type TupleMemory } from '../common/htup.ts';
import { toastCompressDatum } from '../common/toast-compression.ts';
import type { Attribute, TupleDesc } from '../common/tupdesc.ts';
import { ATT_VARLENA, VarlenaImage } from '../common/tupmacs.ts';
import type { BTIndex } from '../nbtree/btindex.ts';
import { btInsert } from '../nbtree/nbtinsert.ts';
import { BT_EQUAL, BT_GREATER_EQUAL, BTScan } from '../nbtree/nbtscan.ts';
import { type HeapContext, type HeapRelation, TM_OK } from './heapam-context.ts';
import { heapDelete } from './heapam-delete.ts';
import { heapInsert } from './heapam-insert.ts';

/** Rows larger than this are to be toasted (four rows must fit on a page). */
export const TOAST_TUPLE_THRESHOLD = 2032;
const TOAST_TUPLE_TARGET_MAIN = 8160;
export const TOAST_MAX_CHUNK_SIZE = 1996;
const TOAST_POINTER_SIZE = 18;
/** Smaller values are left alone: MAXALIGN(TOAST_POINTER_SIZE). */
const MIN_TOASTED = 24;

/** Answers of `step`, besides MISS. */
export const TOAST_DONE = 0;
export const TOAST_MORE = 1;

/** pg_toast_N and its index. */
export interface ToastTable {
  readonly oid: Oid;
  readonly heap: HeapRelation;
  readonly index: BTIndex;
}

/** chunk_id oid, chunk_seq int4, chunk_data bytea; nothing in it is ever compressed or moved. */
const TOAST_DESC: TupleDesc = {
  attrs: [chunkAtt('chunk_id', 26, 4), chunkAtt('chunk_seq', 23, 4), chunkAtt('chunk_data', 17, -1)],
};
export const TOAST_LAYOUT = tupleLayout(TOAST_DESC);

function chunkAtt(name: string, typid: number, len: number): Attribute {
  return {
    name,
    typid: typid as Oid,
    typmod: -1,
    len,
    byval: len > 0,
    align: 'i',
    storage: 'p',
    notNull: true,
    dropped: false,
    collation: 0 as Oid,
    hasDefault: false,
  };
}

/** Scan keys of a TOAST index: the chunks of one value from some number on. */
export const TOAST_CHUNK_KEYS = [
  { attno: 1, test: 'compare', strategy: BT_EQUAL },
  { attno: 2, test: 'compare', strategy: BT_GREATER_EQUAL },
] as const;

/** Compresses a value: undefined when that saves nothing, MISS when it is under way elsewhere. Asked again with the same value then. */
export type Compressor = (plain: Uint8Array) => VarlenaImage | undefined | typeof MISS;

/** Bytes on their way to the TOAST table. */
interface Move {
  readonly att: number;
  readonly bytes: Uint8Array;
  readonly rawSize: number;
  valueId: number;
  chunk: number;
  /** The chunk is in the table; its index entry is not. */
  at: { readonly blk: number; readonly offnum: number } | undefined;
}

export class HeapToaster {
  readonly #ctx: HeapContext;
  readonly #attrs: readonly Attribute[];
  readonly #layout: TupleLayout;
  readonly #table: ToastTable | undefined;
  readonly #newValueId: () => number;
  readonly #scratch: number;
  readonly #compressor: Compressor;
  /** Deciding what is compressed or moved, as long as that goes on; it stops where it must wait. */
  #planning: Generator<typeof MISS, void> | undefined;
  /** What to form the row from. */
  values: Datum[] = [];
  #moves: Move[] = [];
  #removals: ToastPointer[] = [];
  #cid = 0 as CommandId;

  /**
   * `table` is undefined for relations without a TOAST table. `newValueId` gives an OID, or MISS. At
   * `scratch` in memory there must be room for a chunk's row (2048 bytes, MAXALIGNed).
   */
  constructor(
    ctx: HeapContext,
    desc: TupleDesc,
    table: ToastTable | undefined,
    newValueId: () => number,
    scratch: number,
    compressor: Compressor = toastCompressDatum,
  ) {
    this.#compressor = compressor;
    this.#ctx = ctx;
    this.#attrs = desc.attrs;
    this.#layout = tupleLayout(desc);
    this.#table = table;
    this.#newValueId = newValueId;
    this.#scratch = scratch;
  }

  /** `step` then decides which values are compressed or moved, and moves them. */
  store(values: readonly Datum[], cid: CommandId): void {
    this.values = [...values];
    this.#cid = cid;
    this.#moves = [];
    this.#planning = this.#plan();
  }

  /** `step` then removes the values that only the tuple at `old` pointed to. */
  remove(old: number, cid: CommandId): void {
    this.#cid = cid;
    this.#removals = externalValues(this.#layout, this.#ctx.pages, old);
  }

  /** One chunk's worth. */
  step(): number {
    if (this.#planning !== undefined) {
      if (this.#planning.next().done !== true) return MISS;
      this.#planning = undefined;
    }
    const move = this.#moves[0];
    if (move !== undefined) return this.#storeChunk(move);
    const pointer = this.#removals[0];
    if (pointer !== undefined) return this.#removeChunk(pointer);
    return TOAST_DONE;
  }

  // ---- what goes where -------------------------------------------------------------------------------

  *#plan(): Generator<typeof MISS, void> {
    const hasNulls = this.values.includes(null);
    const hoff = heapTupleHeaderSize(this.#layout.natts, hasNulls);
    const size = (): number => heapComputeDataSize(this.#layout, this.values);
    const untried = new Set(this.#attrs.keys());
    const target = TOAST_TUPLE_THRESHOLD - hoff;
    while (size() > target) {
      const att = this.#largest('xe', untried);
      if (att < 0) break;
      untried.delete(att);
      if (this.#attrs[att]!.storage === 'x') yield* this.#compress(att);
      if (this.#table !== undefined && this.#sizeOf(att) > target) this.#moveOut(att);
    }
    while (this.#table !== undefined && size() > target) {
      const att = this.#largest('xe', undefined);
      if (att < 0) break;
      this.#moveOut(att);
    }
    while (size() > target) {
      const att = this.#largest('m', untried);
      if (att < 0) break;
      untried.delete(att);
      yield* this.#compress(att);
    }
    while (this.#table !== undefined && size() > TOAST_TUPLE_TARGET_MAIN - hoff) {
      const att = this.#largest('m', undefined);
      if (att < 0) break;
      this.#moveOut(att);
    }
  }

  /** The attribute with the most bytes among those of these storages that are not moved out. */
  #largest(storages: string, among: ReadonlySet<number> | undefined): number {
    let best = -1;
    let bestSize = MIN_TOASTED - 1;
    for (let att = 0; att < this.#attrs.length; att++) {
      if (this.#layout.kind[att] !== ATT_VARLENA || this.values[att] === null) continue;
      if (!storages.includes(this.#attrs[att]!.storage) || among?.has(att) === false) continue;
      const value = this.values[att]!;
      if (value instanceof VarlenaImage && value.bytes[0] === 1) continue;
      const size = this.#sizeOf(att);
      if (size <= bestSize) continue;
      best = att;
      bestSize = size;
    }
    return best;
  }

  #sizeOf(att: number): number {
    const value = this.values[att];
    return value instanceof VarlenaImage ? value.bytes.length : (value as Uint8Array).length + 4;
  }

  *#compress(att: number): Generator<typeof MISS, void> {
    for (;;) {
      const value = this.values[att]!;
      if (value instanceof VarlenaImage) return;
      const image = this.#compressor(value as Uint8Array);
      if (image === MISS) {
        yield MISS;
        continue;
      }
      if (image !== undefined) this.values[att] = image;
      return;
    }
  }

  /** Puts a pointer in the value's place; its value id is filled in when it is known. */
  #moveOut(att: number): void {
    assert(this.#table !== undefined, 'nowhere to move the value to');
    const value = this.values[att]!;
    const compressed = value instanceof VarlenaImage;
    const bytes = compressed ? value.bytes.subarray(4) : (value as Uint8Array).slice();
    const rawSize = compressed
      ? new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true) & 0x3fffffff
      : bytes.length;
    const pointer = new Uint8Array(TOAST_POINTER_SIZE);
    const view = new DataView(pointer.buffer);
    pointer[0] = 1;
    pointer[1] = VARTAG_ONDISK;
    view.setUint32(2, rawSize + 4, true);
    view.setUint32(6, bytes.length | (TOAST_PGLZ_COMPRESSION << 30), true);
    view.setUint32(14, this.#table.oid, true);
    this.values[att] = new VarlenaImage(pointer);
    this.#moves.push({ att, bytes, rawSize, valueId: 0, chunk: 0, at: undefined });
  }

  // ---- carrying it out -------------------------------------------------------------------------------

  #storeChunk(move: Move): number {
    const table = this.#table!;
    const ctx = this.#ctx;
    if (move.valueId === 0) {
      const valueId = this.#newValueId();
      if (valueId === MISS) return MISS;
      move.valueId = valueId;
      const pointer = (this.values[move.att] as VarlenaImage).bytes;
      new DataView(pointer.buffer).setUint32(10, valueId, true);
    }
    if (move.at === undefined) {
      const from = move.chunk * TOAST_MAX_CHUNK_SIZE;
      const chunk = move.bytes.subarray(from, from + TOAST_MAX_CHUNK_SIZE);
      const length = heapFormTuple(TOAST_LAYOUT, [move.valueId, move.chunk, chunk], ctx.pages.mem, this.#scratch);
      if (heapInsert(ctx, table.heap, this.#scratch, length, this.#cid) === MISS) return MISS;
      move.at = { blk: ctx.blk, offnum: ctx.offnum };
    }
    const { blk, offnum } = move.at;
    if (btInsert(table.index, ctx, table.heap, [move.valueId, move.chunk], blk, offnum, 'yes') === MISS) return MISS;
    move.at = undefined;
    move.chunk++;
    if (move.chunk * TOAST_MAX_CHUNK_SIZE >= move.bytes.length) this.#moves.shift();
    return TOAST_MORE;
  }

  /** Deletes one leaf's worth of the chunks of a value that its row no longer points to. */
  #removeChunk(pointer: ToastPointer): number {
    const table = this.#table!;
    const ctx = this.#ctx;
    const scan = new BTScan(table.index, ctx.pages, TOAST_CHUNK_KEYS);
    scan.rescan([pointer.valueId, this.#removed], true);
    for (;;) {
      const n = scan.nextBatch();
      if (n === MISS) return MISS;
      if (n === 0) break;
      for (let i = 0; i < n; i++) {
        const result = heapDelete(ctx, table.heap, scan.tids[2 * i]!, scan.tids[2 * i + 1]!, this.#cid);
        if (result === MISS) return MISS;
        assert(result === TM_OK, 'chunks of a row belong to whoever may delete the row');
        this.#removed++;
      }
    }
    this.#removed = 0;
    this.#removals.shift();
    return TOAST_MORE;
  }

  /** Chunks of the current removal that are gone: where to go on after a MISS. */
  #removed = 0;
}

/** Does a tuple point to values in a TOAST table? */
export function heapTupleHasExternal(mem: TupleMemory, tup: number): boolean {
  return (getInfomask(mem, tup) & HEAP_HASEXTERNAL) !== 0;
}

/** The values of a stored tuple that live in a TOAST table. */
function externalValues(layout: TupleLayout, { mem }: PageAccess, tup: number): ToastPointer[] {
  if (!heapTupleHasExternal(mem, tup)) return [];
  const pointers: ToastPointer[] = [];
  for (let att = 0; att < layout.natts; att++) {
    if (layout.kind[att] !== ATT_VARLENA) continue;
    const at = attOffset(layout, mem, tup, att);
    if (at >= 0 && mem.u8[at] === 1) pointers.push(readToastPointer(mem.u8, at));
  }
  return pointers;
}
