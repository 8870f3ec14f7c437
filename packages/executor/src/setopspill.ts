/**
 * What a SetOp does with distinct rows that found no room: they go to tapes by their hashes, those of either side of the
 * operation to tapes of their own, and each pair of tapes is the input of a later pass.
 */
import type { ExecEnv } from './estate.ts';
import { type Tape, TAPE_WORD, TapeReader } from './logtape.ts';
import { LAST_LEVEL, partOf, SpillFile } from './partitions.ts';
import type { RowWriter } from './rowstore.ts';
import type { MISS } from './status.ts';

/** Tapes of the side that comes first and of the other. */
type Sides = readonly [readonly Tape[], readonly Tape[]];

interface Part {
  readonly tapes: readonly [Tape, Tape];
  readonly level: number;
}

export class SetOpSpill {
  readonly #file: SpillFile;
  readonly #parts: Part[] = [];
  /** What this pass could not keep. */
  #tapes: Sides | undefined;
  #part: Part | undefined;
  #reader: TapeReader | undefined;
  /** Of the rows that are read: 0 those that come first, 1 the others. */
  side = 0;

  constructor(env: ExecEnv, memoryBytes: number) {
    this.#file = new SpillFile(env, memoryBytes);
  }

  /** This pass takes no more distinct rows. */
  get passFull(): boolean {
    return this.#tapes !== undefined;
  }

  /** So much is on its way that who goes on waits first. */
  get full(): boolean {
    return this.#file.set.full;
  }

  wait(): typeof MISS {
    return this.#file.set.wait();
  }

  #tape(side: number, hash: number): Tape {
    this.#tapes ??= [this.#file.tapes(), this.#file.tapes()];
    return this.#tapes[side]![partOf(hash, Math.min(this.#level, LAST_LEVEL))]!;
  }

  get #level(): number {
    return this.#part === undefined ? 0 : this.#part.level + 1;
  }

  /** A row of the input. */
  write(side: number, writer: RowWriter, row: number, hash: number): void {
    this.#file.write(this.#tape(side, hash), writer, row, hash);
  }

  /** The row that `next` answered, once more. */
  writeAgain(ptr: number, hash: number): void {
    this.#file.copy(this.#tape(this.side, hash), ptr, hash);
  }

  /** Begins the next pass; false: there is none. */
  begin(): boolean {
    this.#reader?.close();
    const level = this.#level;
    const [first, second] = this.#tapes ?? [[], []];
    for (let i = 0; i < first.length; i++) {
      const tapes = [first[i]!, second[i]!] as const;
      for (const tape of tapes) tape.flush();
      if (tapes[0].rows + tapes[1].rows > 0) this.#parts.push({ tapes, level });
    }
    this.#tapes = undefined;
    this.#part = this.#parts.pop();
    if (this.#part === undefined) return false;
    this.side = 0;
    this.#reader = new TapeReader(this.#part.tapes[0], true);
    return true;
  }

  /** The next row of this pass; 0, or MISS. */
  next(): number {
    for (;;) {
      this.#reader!.forget();
      const ptr = this.#reader!.next();
      if (ptr !== 0 || this.side === 1) return ptr;
      this.#reader!.close();
      this.side = 1;
      this.#reader = new TapeReader(this.#part!.tapes[1], true);
    }
  }

  hash(ptr: number): number {
    return this.#file.env.mem.i32[(ptr + TAPE_WORD) >> 2]!;
  }

  close(): void {
    this.#reader?.close();
    this.#file.close();
  }
}
