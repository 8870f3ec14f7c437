/**
 * Rows that found no room in a hash table, on tapes by the next bits of their hashes: what belongs together meets again, with
 * a table of its own. Parts that are still too large are divided again, by further bits.
 */
import { tupleLength } from './batch.ts';
import { type ExecEnv } from './estate.ts';
import { Tape, tapeBlockBytes, TapeSet } from './logtape.ts';
import { RowStore, type RowWriter } from './rowstore.ts';

const BITS = 4;
export const PARTS = 1 << BITS;
/** Hashes have no more bits: what is together now stays so. */
export const LAST_LEVEL = 32 / BITS - 1;

/** Which part a hash belongs to, of those that one part of the level before is divided into. */
export function partOf(hash: number, level: number): number {
  return (hash >>> (32 - BITS * (level + 1))) & (PARTS - 1);
}

/** The file of one node's parts. */
export class SpillFile {
  readonly env: ExecEnv;
  readonly set: TapeSet;
  /** Rows are formed here on their way to a tape. */
  readonly #scratch: RowStore;

  constructor(env: ExecEnv, memoryBytes: number) {
    this.env = env;
    this.set = new TapeSet(env, tapeBlockBytes(memoryBytes));
    this.#scratch = new RowStore(env.arena);
  }

  get bytes(): number {
    return this.set.bytes;
  }

  tapes(): Tape[] {
    return Array.from({ length: PARTS }, () => new Tape(this.set));
  }

  /** A row of a writer's batch. */
  write(tape: Tape, writer: RowWriter, row: number, hash: number): void {
    const tuple = writer.wholeTuple(row);
    if (tuple !== 0) tape.write(tuple, tupleLength(this.env.arena, tuple), hash);
    else this.#formed(tape, writer.write(this.#scratch, row), hash);
  }

  writeValues(tape: Tape, writer: RowWriter, values: Parameters<RowWriter['writeValues']>[1], hash: number): void {
    this.#formed(tape, writer.writeValues(this.#scratch, values), hash);
  }

  #formed(tape: Tape, ptr: number, hash: number): void {
    this.copy(tape, ptr, hash);
    this.#scratch.clear();
  }

  /** A stored row, or one of another tape. */
  copy(tape: Tape, ptr: number, hash: number): void {
    tape.write(ptr, this.env.mem.i32[(ptr - 4) >> 2]!, hash);
  }

  close(): void {
    this.#scratch.free();
    this.set.close();
  }
}
