/**
 * Rows kept beyond their batch: tuples copied or formed in the arena, one after another in chunks.
 * What sorts, hash tables, materialised subplans and CTEs consist of. Only ever grows, until `clear`.
 */
import { heapComputeTupleSize, heapFormTuple, type TupleLayout, tupleLayout } from '@pgtroupe/access/common/heaptuple';
import type { Attribute, TupleDesc } from '@pgtroupe/access/common/tupdesc';
import type { Datum } from '@pgtroupe/common/datum';
import { maxAlign, type Oid } from '@pgtroupe/common/ids';
import { Arena } from '@pgtroupe/storage/arena';
import {
  type AttrColumn,
  type Batch,
  type Column,
  type ColumnType,
  copyTuple,
  type RowReader,
  STORED_PREFIX,
  tupleLength,
  TupleLane,
} from './batch.ts';
import type { EState } from './estate.ts';

const FIRST_CHUNK = 8192;
const LARGEST_CHUNK = 1 << 20;

interface Chunk {
  readonly at: number;
  readonly size: number;
  /** End of what is used. */
  end: number;
}

/** Where a reader of a RowStore stands. */
export class StorePosition {
  chunk = 0;
  /** Offset of the next row's prefix; -1 before the chunk's first. */
  at = -1;
}

export class RowStore {
  readonly arena: Arena;
  readonly #chunks: Chunk[] = [];
  /** Rows in it. */
  count = 0;
  bytes = 0;
  /** The session's part of the arena is nearly used up. */
  cramped = false;

  constructor(arena: Arena) {
    this.arena = arena;
  }

  /** Room for a row of `length` bytes: offset of its prefix, length already noted. */
  reserve(length: number): number {
    const need = STORED_PREFIX + maxAlign(length);
    let chunk = this.#chunks[this.#chunks.length - 1];
    if (chunk === undefined || chunk.end + need > chunk.at + chunk.size) chunk = this.#grow(need);
    const at = chunk.end;
    chunk.end += need;
    this.count++;
    this.bytes += need;
    const word = at >> 2;
    const { i32 } = this.arena.mem;
    i32[word] = 0;
    i32[word + 1] = 0;
    i32[word + 2] = 0;
    i32[word + 3] = length;
    return at;
  }

  /** Copies a tuple; answers where it is now. */
  copy(ptr: number): number {
    const length = tupleLength(this.arena, ptr);
    return copyTuple(this.arena, ptr, this.reserve(length));
  }

  #grow(need: number): Chunk {
    const last = this.#chunks[this.#chunks.length - 1];
    const wanted = Math.max(need, last === undefined ? FIRST_CHUNK : Math.min(LARGEST_CHUNK, last.size * 2));
    const size = Arena.chunkSize(wanted);
    const at = this.arena.alloc(size);
    const chunk: Chunk = { at, size, end: at };
    this.#chunks.push(chunk);
    this.cramped = this.arena.cramped;
    return chunk;
  }

  /** The next row after the position, 0 at the end (for now: rows may be added). */
  next(where: StorePosition): number {
    for (;;) {
      const chunk = this.#chunks[where.chunk];
      if (chunk === undefined) return 0;
      if (where.at < 0) where.at = chunk.at;
      if (where.at < chunk.end) {
        const ptr = where.at + STORED_PREFIX;
        where.at = ptr + maxAlign(this.arena.mem.i32[(ptr - 4) >> 2]!);
        return ptr;
      }
      if (where.chunk + 1 >= this.#chunks.length) return 0;
      where.chunk++;
      where.at = -1;
    }
  }

  /** Forgets all rows; the first chunk stays for the next ones. */
  clear(): void {
    while (this.#chunks.length > 1) {
      const chunk = this.#chunks.pop()!;
      this.arena.free(chunk.at, chunk.size);
    }
    const first = this.#chunks[0];
    if (first !== undefined) first.end = first.at;
    this.count = 0;
    this.bytes = 0;
    this.cramped = false;
  }

  free(): void {
    for (const chunk of this.#chunks) this.arena.free(chunk.at, chunk.size);
    this.#chunks.length = 0;
    this.count = 0;
    this.bytes = 0;
    this.cramped = false;
  }
}

/** Attribute description for a computed column. */
export function attributeFor(est: EState, type: ColumnType, name = ''): Attribute {
  const facts = est.env.lookup.type(type.typid as Oid);
  let base = facts;
  while (base !== undefined && base.typtype === 'd') base = est.env.lookup.type(base.typbasetype);
  return {
    name,
    typid: type.typid as Oid,
    baseTypid: base?.oid ?? (type.typid as Oid),
    typmod: type.typmod,
    len: facts?.typlen ?? -1,
    byval: facts?.typbyval ?? false,
    align: facts?.typalign ?? 'i',
    storage: facts !== undefined && facts.typlen !== -1 ? 'p' : 'x',
    notNull: false,
    dropped: false,
    collation: type.collation as Oid,
    hasDefault: false,
  };
}

function descFor(est: EState, types: readonly ColumnType[]): TupleDesc {
  return { attrs: types.map(type => attributeFor(est, type)) };
}

/** A table whose tuples have this many times more columns than are wanted is not copied whole. */
const WIDE = 4;

/**
 * Puts rows of a batch into stores. When all columns come from one tuple lane the tuple is copied as it is,
 * else a new one is formed. `desc` and `attnums` say how to read the stored columns.
 */
export class RowWriter {
  readonly desc: TupleDesc;
  /** Attribute number of each column in the stored tuple. */
  readonly attnums: readonly number[];
  readonly #types: readonly ColumnType[];
  readonly #lane: TupleLane | null;
  readonly #readers: readonly RowReader[];
  readonly #values: Datum[];
  readonly #layout: TupleLayout;

  constructor(est: EState, columns: readonly Column[], read: (column: Column) => RowReader) {
    this.#types = columns.map(c => c.type);
    const first = columns[0];
    const lane = first !== undefined && first.kind === 'attr' ? first.lane : null;
    const whole =
      lane !== null &&
      columns.every(c => c.kind === 'attr' && c.lane === lane && c.attnum > 0) &&
      lane.desc.attrs.length <= WIDE * columns.length;
    if (whole) {
      this.#lane = lane;
      this.desc = lane.desc;
      this.attnums = columns.map(c => (c as AttrColumn).attnum);
      this.#readers = [];
    } else {
      this.#lane = null;
      this.desc = descFor(est, this.#types);
      this.attnums = columns.map((_, i) => i + 1);
      this.#readers = columns.map(read);
    }
    this.#layout = tupleLayout(this.desc);
    this.#values = new Array<Datum>(columns.length).fill(null);
  }

  write(store: RowStore, row: number): number {
    if (this.#lane !== null && this.#lane.ptrs[row] !== 0) return store.copy(this.#lane.ptrs[row]!);
    const values = this.#values;
    for (let i = 0; i < values.length; i++) values[i] = this.#lane === null ? this.#readers[i]!(row) : null;
    return this.writeValues(store, this.#lane === null ? values : new Array<Datum>(this.#layout.natts).fill(null));
  }

  /** The tuple that a row is a copy of as it is, 0: it has to be formed. */
  wholeTuple(row: number): number {
    return this.#lane === null ? 0 : this.#lane.ptrs[row]!;
  }

  writeValues(store: RowStore, values: readonly Datum[]): number {
    const at = store.reserve(heapComputeTupleSize(this.#layout, values));
    heapFormTuple(this.#layout, values, store.arena.mem, at + STORED_PREFIX);
    return at + STORED_PREFIX;
  }

  /** Columns over a lane of stored tuples. */
  columns(lane: TupleLane): AttrColumn[] {
    return this.attnums.map((attnum, i) => ({ kind: 'attr', type: this.#types[i]!, lane, attnum }));
  }

  newLane(): TupleLane {
    return new TupleLane(this.desc, 0);
  }
}

/** Adds a stored lane's columns to a batch; answers the lane. */
export function addStoredColumns(out: Batch, writer: RowWriter): TupleLane {
  const lane = writer.newLane();
  for (const column of writer.columns(lane)) out.addColumn(column);
  return lane;
}
