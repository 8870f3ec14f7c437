/**
 * Tapes: rows on disk, written once from front to end and read from there, many of them in one temporary file (logtape.c).
 *
 * A tape is a list of extents of whole rows. What it is filled into and read into is memory outside of the arena, so that
 * I/O that is under way when its statement ends meets nobody else's rows. Writing never waits: who writes asks `full` now
 * and then, and waits with `wait` (MISS). Space of what was read for the last time is used again.
 *
 * A row on tape, multiples of 8 bytes:
 *
 *   0  a word of its writer's (a hash value)   4  length   8  the tuple
 *
 * Read, it is a stored tuple in the arena: its length before it, the writer's word before that.
 */
import { assert } from '@pgtroupe/common/assert';
import { maxAlign } from '@pgtroupe/common/ids';
import { Arena } from '@pgtroupe/storage/arena';
import type { Memory } from '@pgtroupe/storage/buffer/pages';
import type { ExecEnv } from './estate.ts';
import { MISS } from './status.ts';
import type { TempFile } from './tempfile.ts';

const ROW_PREFIX = 8;
/** Longer tuples are copied by native code. */
const FEW_BYTES = 256;
/** On their way to the disk, at most. */
const MANY_BYTES = 1 << 20;

interface Block {
  readonly u8: Uint8Array;
  readonly i32: Int32Array;
}

export interface Extent {
  readonly at: number;
  readonly length: number;
  /** Number of its first row among those of the tape. */
  readonly firstRow: number;
  /** While it is being written. */
  block: Block | undefined;
  /** It is not read again; its space is free when it is written. */
  given: boolean;
}

/** Word of a row that was read, as its writer gave it. */
export const TAPE_WORD = -8;

/** The tuple of the row that begins here, in the arena. */
export function rowOnTape(at: number): number {
  return at + ROW_PREFIX;
}

/** Where the row behind that tuple begins. */
export function behindRowOnTape(mem: Memory, ptr: number): number {
  return ptr + maxAlign(mem.i32[(ptr - 4) >> 2]!);
}

export class TapeSet {
  readonly env: ExecEnv;
  readonly blockBytes: number;
  #file: TempFile | undefined;
  #end = 0;
  readonly #free: number[] = [];
  readonly #pool: Block[] = [];
  #writing = 0;
  #failure: unknown;
  #wake: (() => void) | undefined;

  constructor(env: ExecEnv, blockBytes: number) {
    this.env = env;
    this.blockBytes = blockBytes;
  }

  /** Of the file, at its largest. */
  get bytes(): number {
    return this.#end;
  }

  /** So much is on its way that who writes on waits first; or it went wrong. */
  get full(): boolean {
    return this.#writing > Math.max(MANY_BYTES, 4 * this.blockBytes) || this.#failure !== undefined;
  }

  /** Waits until more can be written: MISS. */
  wait(): typeof MISS {
    return this.awaits('IO/BufFileWrite', async () => {
      while (this.full) {
        if (this.#failure !== undefined) throw this.#failure;
        await new Promise<void>(resolve => (this.#wake = resolve));
      }
    });
  }

  /** MISS, and what for. */
  awaits(waitEvent: `IO/${string}`, run: () => Promise<void>): typeof MISS {
    this.env.pages.want = { kind: 'await', run, waitEvent };
    return MISS;
  }

  block(atLeast: number): Block {
    if (atLeast <= this.blockBytes) {
      const pooled = this.#pool.pop();
      if (pooled !== undefined) return pooled;
    }
    const u8 = new Uint8Array(Math.max(atLeast, this.blockBytes));
    return { u8, i32: new Int32Array(u8.buffer) };
  }

  write(block: Block, length: number, firstRow: number): Extent {
    if (this.#failure !== undefined) throw this.#failure;
    this.#file ??= this.env.temp!.create();
    const file = this.#file;
    const at = this.#allocate(file, length);
    const extent: Extent = { at, length, firstRow, block, given: false };
    this.#writing += length;
    const settled = (): void => {
      this.#writing -= length;
      extent.block = undefined;
      if (extent.given) this.give(extent);
      const wake = this.#wake;
      this.#wake = undefined;
      wake?.();
    };
    file.write(block.u8.subarray(0, length), at).then(
      () => {
        settled();
        if (block.u8.length === this.blockBytes) this.#pool.push(block);
      },
      (error: unknown) => {
        this.#failure ??= error;
        settled();
      },
    );
    return extent;
  }

  #allocate(file: TempFile, length: number): number {
    if (length <= this.blockBytes) {
      const free = this.#free.pop();
      if (free !== undefined) return free;
    }
    const at = this.#end;
    const end = at + this.#rounded(length);
    file.extend(end);
    this.#end = end;
    return at;
  }

  #rounded(length: number): number {
    return Math.ceil(length / this.blockBytes) * this.blockBytes;
  }

  /** The extent is not read again. */
  give(extent: Extent): void {
    const { at, length } = extent;
    extent.given = true;
    if (extent.block !== undefined) return;
    for (let from = at; from < at + this.#rounded(length); from += this.blockBytes) this.#free.push(from);
  }

  read({ at, length }: Extent): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    return this.#file!.read(bytes, at).then(() => bytes);
  }

  /** The file goes, with all tapes; nothing is written or read any more. */
  close(): void {
    this.#file?.close();
  }
}

export class Tape {
  readonly set: TapeSet;
  readonly extents: Extent[] = [];
  /** What is being filled, and how far. */
  #block: Block | undefined;
  #used = 0;
  /** Of what is being filled. */
  #firstRow = 0;
  rows = 0;
  /** Of its rows, with what stands before each. */
  bytes = 0;

  constructor(set: TapeSet) {
    this.set = set;
  }

  /** Appends a stored tuple, or one on a page: `length` bytes. */
  write(ptr: number, length: number, word: number): void {
    const need = ROW_PREFIX + maxAlign(length);
    if (this.#block === undefined || this.#used + need > this.#block.u8.length) this.#next(need);
    const { i32, u8 } = this.#block!;
    const at = this.#used;
    this.#used += need;
    this.bytes += need;
    this.rows++;
    i32[at >> 2] = word;
    i32[(at >> 2) + 1] = length;
    const { mem } = this.set.env;
    if (length > FEW_BYTES) {
      u8.set(mem.u8.subarray(ptr, ptr + length), at + ROW_PREFIX);
      return;
    }
    const from = ptr >> 2;
    const to = (at + ROW_PREFIX) >> 2;
    const words = (length + 3) >> 2;
    for (let i = 0; i < words; i++) i32[to + i] = mem.i32[from + i]!;
  }

  #next(need: number): void {
    this.flush();
    this.#block = this.set.block(need);
    this.#firstRow = this.rows;
  }

  /** What was written goes to the disk: there will be no more soon. */
  flush(): void {
    if (this.#block === undefined || this.#used === 0) return;
    this.extents.push(this.set.write(this.#block, this.#used, this.#firstRow));
    this.#block = undefined;
    this.#used = 0;
  }

  /** Bytes in memory of what would be extent `n`; undefined: only the disk has it. */
  inMemory(n: number): Uint8Array | undefined {
    const extent = this.extents[n];
    if (extent !== undefined) return extent.block?.u8.subarray(0, extent.length);
    return n === this.extents.length && this.#block !== undefined ? this.#block.u8.subarray(0, this.#used) : undefined;
  }
}

interface Chunk {
  readonly at: number;
  readonly size: number;
}

/** An extent on its way from the disk. */
export class ExtentRead {
  readonly extent: Extent;
  readonly #set: TapeSet;
  #bytes: Uint8Array | undefined;
  #failure: unknown;
  readonly #done: Promise<void>;

  constructor(set: TapeSet, extent: Extent) {
    this.#set = set;
    this.extent = extent;
    this.#done = set.read(extent).then(
      bytes => void (this.#bytes = bytes),
      (error: unknown) => void (this.#failure = error ?? new Error('read')),
    );
  }

  /** Undefined: they are waited for. */
  bytes(): Uint8Array | undefined {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#bytes === undefined) this.#set.awaits('IO/BufFileRead', () => this.#done);
    return this.#bytes;
  }
}

/** Reads a tape from its beginning. Rows are good until `forget`. */
export class TapeReader {
  readonly #tape: Tape;
  /** Its extents are given back when they were read. */
  readonly #last: boolean;
  #extent = 0;
  /** Bytes of that extent that were read. */
  #offset = 0;
  #at = 0;
  #end = 0;
  #chunk: Chunk | undefined;
  readonly #retired: Chunk[] = [];
  #ahead: ExtentRead | undefined;

  constructor(tape: Tape, last: boolean) {
    this.#tape = tape;
    this.#last = last;
  }

  /** The next row; 0 at the end, for now; MISS. */
  next(): number {
    if (this.#at >= this.#end) {
      const status = this.#load();
      if (status <= 0) return status;
    }
    const ptr = rowOnTape(this.#at);
    this.#at = behindRowOnTape(this.#tape.set.env.mem, ptr);
    return ptr;
  }

  /** Rows handed out before are not read any more. */
  forget(): void {
    const { arena } = this.#tape.set.env;
    for (const { at, size } of this.#retired) arena.free(at, size);
    this.#retired.length = 0;
  }

  close(): void {
    this.#retire();
    this.forget();
    this.#ahead = undefined;
    this.#at = 0;
    this.#end = 0;
  }

  #retire(): void {
    if (this.#chunk !== undefined) this.#retired.push(this.#chunk);
    this.#chunk = undefined;
  }

  /** 1: there are rows. */
  #load(): number {
    const tape = this.#tape;
    for (;;) {
      const extent = tape.extents[this.#extent];
      if (extent !== undefined && this.#offset >= extent.length) {
        if (this.#last) tape.set.give(extent);
        this.#extent++;
        this.#offset = 0;
        continue;
      }
      const bytes = tape.inMemory(this.#extent) ?? (extent === undefined ? undefined : this.#fromDisk(extent));
      if (bytes === undefined) return extent === undefined ? 0 : MISS;
      if (bytes.length <= this.#offset) return 0;
      this.#take(bytes);
      if (extent !== undefined) this.#readAhead();
      return 1;
    }
  }

  #take(bytes: Uint8Array): void {
    this.#retire();
    const { arena, mem } = this.#tape.set.env;
    const length = bytes.length - this.#offset;
    const size = Arena.chunkSize(length);
    this.#chunk = { at: arena.alloc(size), size };
    mem.u8.set(this.#offset === 0 ? bytes : bytes.subarray(this.#offset), this.#chunk.at);
    this.#at = this.#chunk.at;
    this.#end = this.#at + length;
    this.#offset = bytes.length;
  }

  #fromDisk(extent: Extent): Uint8Array | undefined {
    const { set } = this.#tape;
    if (this.#ahead?.extent !== extent) this.#ahead = new ExtentRead(set, extent);
    const bytes = this.#ahead.bytes();
    if (bytes !== undefined) this.#ahead = undefined;
    return bytes;
  }

  #readAhead(): void {
    const next = this.#tape.extents[this.#extent + 1];
    if (next !== undefined && next.block === undefined) this.#ahead = new ExtentRead(this.#tape.set, next);
  }
}

/** Tapes of a merge or a join are filled and read by as much as fits into memory so many times. */
const BLOCKS_IN_MEMORY = 32;
const LEAST_BLOCK = 8192;
const LARGEST_BLOCK = 1 << 18;

export function tapeBlockBytes(memoryBytes: number): number {
  let bytes = LEAST_BLOCK;
  while (bytes < LARGEST_BLOCK && 2 * bytes * BLOCKS_IN_MEMORY <= memoryBytes) bytes *= 2;
  assert(bytes % LEAST_BLOCK === 0, 'blocks are multiples of 8 KB');
  return bytes;
}
