/**
 * What a hashed Agg does with rows of groups that found no room (nodeAgg.c): they go to tapes, and each tape is the input of
 * a later pass. A row is written as its group would keep it, and behind it what the aggregates' arguments were: they are
 * evaluated once.
 */
import { BOOLOID } from '@pgtroupe/common/oids';
import { attrReader, type AttrReader } from './heapattr.ts';
import type { AggTrans } from './aggtrans.ts';
import type { Column, ColumnType } from './batch.ts';
import type { Datum } from '@pgtroupe/common/datum';
import type { EState, ExecEnv } from './estate.ts';
import { readColumn } from './execExpr.ts';
import { type Tape, TAPE_WORD, TapeReader } from './logtape.ts';
import { LAST_LEVEL, partOf, SpillFile } from './partitions.ts';
import { RowWriter } from './rowstore.ts';
import { makeScope, type SubPlanFactory } from './scope.ts';
import { MISS } from './status.ts';

interface Part {
  readonly tape: Tape;
  /** Grouping set. */
  readonly set: number;
  readonly level: number;
}

const BOOL: ColumnType = { typid: BOOLOID, typmod: -1, collation: 0 };

/** Forms what `giveArgs` of these aggregates gives. */
export function argsWriter(est: EState, factory: SubPlanFactory, aggs: readonly AggTrans[]): RowWriter {
  const scope = makeScope(est, factory, {});
  const types = aggs.flatMap(agg => [BOOL, ...agg.argTypes]);
  const columns = types.map((type): Column => ({ kind: 'const', type, value: () => null }));
  return new RowWriter(est, columns, column => readColumn(scope, column));
}

export class AggSpill {
  readonly #file: SpillFile;
  readonly #aggs: readonly AggTrans[];
  /** Of arguments, and whether the row counts: those of one aggregate after those of another. */
  readonly #args: RowWriter;
  readonly #readers: readonly AttrReader[];
  readonly #values: Datum[] = [];
  #parts: Part[] = [];
  /** What this pass could not keep, by grouping set. */
  #tapes: (Tape[] | undefined)[] = [];
  #reader: TapeReader | undefined;
  #part: Part | undefined;
  /** The row of which the arguments are still to be read, 0 none. */
  #row = 0;
  passes = 1;
  /** This pass takes no more groups. */
  passFull = false;

  constructor(env: ExecEnv, aggs: readonly AggTrans[], args: RowWriter, memoryBytes: number) {
    this.#file = new SpillFile(env, memoryBytes);
    this.#aggs = aggs;
    this.#args = args;
    this.#readers = args.attnums.map(attnum => attrReader(env.mem, args.desc, attnum));
  }

  get bytes(): number {
    return this.#file.bytes;
  }

  /** So much is on its way that who goes on waits first. */
  get full(): boolean {
    return this.#file.set.full;
  }

  wait(): typeof MISS {
    return this.#file.set.wait();
  }

  #tape(set: number, hash: number): Tape {
    const level = this.#part === undefined ? 0 : this.#part.level + 1;
    const tapes = (this.#tapes[set] ??= this.#file.tapes());
    return tapes[partOf(hash, Math.min(level, LAST_LEVEL))]!;
  }

  /** A row of the input. */
  write(set: number, writer: RowWriter, row: number, hash: number): void {
    const tape = this.#tape(set, hash);
    this.#file.write(tape, writer, row, hash);
    this.#writeArgs(tape);
  }

  /** One that is made for a grouping set. */
  writeValues(set: number, writer: RowWriter, values: readonly Datum[], hash: number): void {
    const tape = this.#tape(set, hash);
    this.#file.writeValues(tape, writer, values, hash);
    this.#writeArgs(tape);
  }

  /** The row that `next` answered, once more. */
  writeAgain(ptr: number, hash: number): void {
    const tape = this.#tape(this.#part!.set, hash);
    this.#file.copy(tape, ptr, hash);
    this.#writeArgs(tape);
  }

  #writeArgs(tape: Tape): void {
    if (this.#aggs.length === 0) return;
    const values = this.#values;
    let n = 0;
    for (const agg of this.#aggs) n = agg.giveArgs(values, n);
    this.#file.writeValues(tape, this.#args, values, 0);
  }

  /** Begins the next pass: the grouping set whose rows it has; -1: there is none. */
  begin(): number {
    this.#reader?.close();
    const level = this.#part === undefined ? 0 : this.#part.level + 1;
    for (const [set, tapes] of this.#tapes.entries()) {
      for (const tape of tapes ?? []) {
        tape.flush();
        if (tape.rows > 0) this.#parts.push({ tape, set, level });
      }
    }
    this.#tapes = [];
    this.#part = this.#parts.pop();
    if (this.#part === undefined) return -1;
    this.passes++;
    this.passFull = false;
    this.#reader = new TapeReader(this.#part.tape, true);
    return this.#part.set;
  }

  /** The next row of this pass, with the aggregates' arguments as they were; 0, or MISS. */
  next(): number {
    const reader = this.#reader!;
    if (this.#row === 0) {
      reader.forget();
      const row = reader.next();
      if (row <= 0 || this.#aggs.length === 0) return row;
      this.#row = row;
    }
    const args = reader.next();
    if (args === MISS) return MISS;
    let n = 0;
    for (const agg of this.#aggs) n = agg.takeArgs(this.#readers, args, n);
    const row = this.#row;
    this.#row = 0;
    return row;
  }

  hash(ptr: number): number {
    return this.#file.env.mem.i32[(ptr + TAPE_WORD) >> 2]!;
  }

  close(): void {
    this.#reader?.close();
    this.#file.close();
  }
}
