/**
 * What plan nodes hand each other: up to 256 rows as lanes.
 *
 *   TupleLane   row i is a tuple at memory offset ptrs[i]: on a page or copied into the arena
 *   ValueLane   row i is a computed Datum
 *
 * A batch's columns say which lane (and which attribute of it) each output column is. Batches, lanes and
 * columns are made once per plan; expressions are compiled against them and see them refilled.
 *
 * RULE: tuple pointers into pages are good until control returns to the session driver, or a page
 * is modified. Before either, `PlanState.suspend` has every node that still needs its input `hold`
 * it: the tuples are copied into the arena. Nothing is copied when nothing suspends.
 */
import type { TupleDesc } from '@pgtroupe/access/common/tupdesc';
import { assert } from '@pgtroupe/common/assert';
import type { Datum } from '@pgtroupe/common/datum';
import { BLCKSZ, maxAlign } from '@pgtroupe/common/ids';
import type { Arena } from '@pgtroupe/storage/arena';
import type { Memory } from '@pgtroupe/storage/buffer/pages';
import { attrReader, type AttrReader } from './heapattr.ts';

export type RowReader = (row: number) => Datum;

/** A tid as one number: block * 65536 + offset. */
export const TID_BLOCK = 65536;

export class TupleLane {
  readonly kind = 'tuple';
  readonly desc: TupleDesc;
  /** Relation the tuples come from, 0 for none. */
  readonly tableOid: number;
  readonly ptrs: Int32Array;
  /** Filled when `wantTids`: where the tuple is stored. */
  readonly tids: Float64Array;
  wantTids = false;

  constructor(desc: TupleDesc, tableOid: number, ptrs = new Int32Array(SCAN_ROWS)) {
    this.desc = desc;
    this.tableOid = tableOid;
    this.ptrs = ptrs;
    this.tids = new Float64Array(tableOid === 0 ? 0 : SCAN_ROWS);
  }
}

export class ValueLane {
  readonly kind = 'value';
  readonly values: Datum[];

  constructor(rows = SCAN_ROWS) {
    this.values = new Array<Datum>(rows).fill(null);
  }
}

export interface ColumnType {
  readonly typid: number;
  readonly typmod: number;
  readonly collation: number;
}

/** Attribute `attnum` of a tuple lane; below zero a system column, 0 the whole row. */
export interface AttrColumn {
  readonly kind: 'attr';
  readonly type: ColumnType;
  readonly lane: TupleLane;
  readonly attnum: number;
}

export interface ValueColumn {
  readonly kind: 'value';
  readonly type: ColumnType;
  readonly lane: ValueLane;
}

/** The same value in every row, known when the plan starts. */
export interface ConstColumn {
  readonly kind: 'const';
  readonly type: ColumnType;
  readonly value: () => Datum;
}

/** Made from other lanes whenever it is read: whole rows. */
export interface ComputedColumn {
  readonly kind: 'computed';
  readonly type: ColumnType;
  readonly read: RowReader;
}

export type Column = AttrColumn | ValueColumn | ConstColumn | ComputedColumn;

/** Rows that a scan's lanes take: all tuples of a heap page. */
export const SCAN_ROWS = 292;

export class Batch {
  n = 0;
  readonly capacity = SCAN_ROWS;
  readonly columns: Column[] = [];
  readonly tuples: TupleLane[] = [];
  readonly values: ValueLane[] = [];
  /** Large values were put into its lanes. */
  large = false;
  #hold: Hold | undefined;

  addTupleLane(lane: TupleLane): TupleLane {
    if (!this.tuples.includes(lane)) this.tuples.push(lane);
    return lane;
  }

  addValueLane(lane: ValueLane): ValueLane {
    if (!this.values.includes(lane)) this.values.push(lane);
    return lane;
  }

  addColumn(column: Column): void {
    if (column.kind === 'attr') this.addTupleLane(column.lane);
    else if (column.kind === 'value') this.addValueLane(column.lane);
    this.columns.push(column);
  }

  /** Row `from` becomes row `to` (to <= from): how filters keep rows. */
  move(from: number, to: number): void {
    if (from === to) return;
    for (const lane of this.tuples) {
      lane.ptrs[to] = lane.ptrs[from]!;
      if (lane.wantTids) lane.tids[to] = lane.tids[from]!;
    }
    for (const lane of this.values) lane.values[to] = lane.values[from]!;
  }

  /** Rows [from, to) become the first: how nodes go on that delivered only some of what they collected. */
  shift(from: number, to: number): void {
    for (let row = from; row < to; row++) this.move(row, row - from);
  }

  /** Rows [from, to) are read no more, nor held: since an earlier suspension their pointers may lead anywhere. */
  forget(from: number, to: number): void {
    for (const lane of this.tuples) lane.ptrs.fill(0, from, to);
    for (const lane of this.values) lane.values.fill(null, from, to);
  }

  /** Makes rows [from, n) independent of pages; see the rule above. */
  hold(from: number, arena: Arena): void {
    if (this.n <= from) return;
    this.#hold ??= new Hold(arena);
    this.#hold.fill(this, from);
  }

  /** Holds the first `n` rows, of a batch that is being filled. */
  holdFirst(n: number, arena: Arena): void {
    if (n === 0) return;
    this.n = n;
    this.hold(0, arena);
  }

  /** Gives back what `hold` took. */
  release(): void {
    this.#hold?.free();
    this.#hold = undefined;
    // A plan's state is kept for its next run; large values need not wait for that.
    for (const { values } of this.values) {
      const first = values[0];
      if (this.large || (first instanceof Uint8Array && first.length >= LARGE_VALUE)) values.fill(null);
    }
    this.large = false;
  }
}

/** Arena space behind one held batch; each hold replaces the one before. */
class Hold {
  readonly #arena: Arena;
  #at = 0;
  #size = 0;

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  fill(batch: Batch, from: number): void {
    const arena = this.#arena;
    let need = 0;
    for (const lane of batch.tuples) {
      for (let row = from; row < batch.n; row++) {
        if (lane.ptrs[row] !== 0) need += STORED_PREFIX + maxAlign(tupleLength(arena, lane.ptrs[row]!));
      }
    }
    const old = this.#at;
    const oldSize = this.#size;
    if (need > 0) this.#at = arena.alloc(need);
    this.#size = need;
    if (need > 0) {
      let at = this.#at;
      for (const lane of batch.tuples) {
        for (let row = from; row < batch.n; row++) {
          if (lane.ptrs[row] === 0) continue;
          const ptr = copyTuple(arena, lane.ptrs[row]!, at);
          at = ptr + maxAlign(arena.mem.i32[(ptr - 4) >> 2]!);
          lane.ptrs[row] = ptr;
        }
      }
    }
    if (oldSize > 0) arena.free(old, oldSize);
    for (const lane of batch.values) {
      for (let row = from; row < batch.n; row++) lane.values[row] = detach(lane.values[row]!);
    }
  }

  free(): void {
    if (this.#size > 0) this.#arena.free(this.#at, this.#size);
    this.#size = 0;
  }
}

/** Larger than any page, and worth some care. */
export const LARGE_VALUE = 1 << 16;

/** A value that may be a view of page memory, made independent. (`slice` of a Buffer would be a view.) */
export function detach(value: Datum): Datum {
  if (!(value instanceof Uint8Array)) return value;
  // A large value with memory of its own is independent already, and nobody changes it.
  if (value.length >= LARGE_VALUE && value.length === value.buffer.byteLength) return value;
  return new Uint8Array(value);
}

/**
 * Before every stored tuple: its owner's words (hash chain, hash value, a mark) and its length.
 *
 *   -16 next   -12 hash   -8 mark   -4 length
 */
export const STORED_PREFIX = 16;

/** Copies the tuple at `from` to `at + STORED_PREFIX`; answers its new place. */
export function copyTuple(arena: Arena, from: number, at: number): number {
  const { mem } = arena;
  const length = tupleLength(arena, from);
  const to = at + STORED_PREFIX;
  mem.i32[at >> 2] = 0;
  mem.i32[(at >> 2) + 1] = 0;
  mem.i32[(at >> 2) + 2] = 0;
  mem.i32[(to - 4) >> 2] = length;
  mem.u8.copyWithin(to, from, from + length);
  return to;
}

const SIZE_OF_PAGE_HEADER = 24;
let lengthHint = 0;

/** Bytes of a tuple, header included. On a page only its line pointer knows. */
export function tupleLength(arena: Arena, ptr: number): number {
  const { mem } = arena;
  if (ptr >= arena.start) return mem.i32[(ptr - 4) >> 2]!;
  const page = ptr - (ptr % BLCKSZ);
  const count = (mem.u16[(page >> 1) + 6]! - SIZE_OF_PAGE_HEADER) >> 2;
  const first = (page + SIZE_OF_PAGE_HEADER) >> 2;
  const want = ptr - page;
  // Rows are asked for in page order, so the place after the last hit is the best guess.
  let item = lengthHint < count ? lengthHint : 0;
  for (let tried = 0; tried < count; tried++) {
    const lp = mem.u32[first + item]!;
    if ((lp & 0x7fff) === want && ((lp >>> 15) & 3) === 1) {
      lengthHint = item + 1;
      return lp >>> 17;
    }
    if (++item === count) item = 0;
  }
  assert(false, `no line pointer leads to tuple ${ptr}`);
  return 0;
}

/** Reads a column of row i. */
export function columnReader(mem: Memory, column: Column, systemColumn: (column: AttrColumn) => RowReader): RowReader {
  if (column.kind === 'value') {
    const { values } = column.lane;
    return row => values[row]!;
  }
  if (column.kind === 'const') {
    const { value } = column;
    return () => value();
  }
  if (column.kind === 'computed') return column.read;
  if (column.attnum <= 0) return systemColumn(column);
  const read: AttrReader = attrReader(mem, column.lane.desc, column.attnum);
  const { ptrs } = column.lane;
  return row => {
    const ptr = ptrs[row]!;
    return ptr === 0 ? null : read(ptr);
  };
}
