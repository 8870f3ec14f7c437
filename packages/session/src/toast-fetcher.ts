/**
 * Values stored out of line: their chunks, read from the TOAST table through its index.
 *
 * A chunk never changes once written, so any version of it serves (SnapshotToast). A value that was
 * fetched is kept for a while: the attempt that lacked it runs again from its start.
 */
import {
  isCompressed,
  plainValue,
  registerToastFetcher,
  type ToastFetcher,
  type ToastPointer,
} from '@pgtroupe/access/common/detoast';
import type { Oid } from '@pgtroupe/common/ids';
import type { Memory, PageAccess } from '@pgtroupe/storage/buffer/pages';
import type { OffLoop } from './offloop/offloop.ts';

const KEEP_VALUES = 256;
/** Of larger values only as many as one row may need at once. */
const KEEP_BYTES = 64 << 20;
const KEEP_LARGE = 16;
/** Larger ones are decompressed beside the main loop. */
const LARGE_BYTES = 1 << 18;

/** Whose turn it is. TOAST tables are what they are in the eyes of its transaction: TRUNCATE and what writes a table anew give them other files. */
export interface ToastReader {
  readonly databaseOid: Oid;
  /** The stored bytes of an external value: its chunks in order. */
  toastValue(pointer: ToastPointer): Promise<Uint8Array>;
}

export class InstanceToast implements ToastFetcher {
  readonly #pages: PageAccess;
  readonly #offLoop: OffLoop | undefined;
  readonly #values = new Map<string, Uint8Array>();
  #bytes = 0;
  /** Set before every attempt. */
  reader: ToastReader | undefined;

  constructor(mem: Memory, pages: PageAccess, offLoop: OffLoop | undefined) {
    this.#pages = pages;
    this.#offLoop = offLoop;
    registerToastFetcher(mem, this);
  }

  fetch(pointer: ToastPointer): Uint8Array | undefined {
    const { reader } = this;
    const key = `${reader?.databaseOid}/${pointer.toastRelId}/${pointer.valueId}`;
    const value = this.#values.get(key);
    if (value !== undefined) return value;
    this.#pages.want = {
      kind: 'await',
      run: async () => {
        this.#keep(key, await this.#plain(pointer, await reader!.toastValue(pointer)));
      },
    };
    return undefined;
  }

  async #plain(pointer: ToastPointer, stored: Uint8Array): Promise<Uint8Array> {
    if (this.#offLoop === undefined || pointer.rawSize < LARGE_BYTES || !isCompressed(pointer)) {
      return plainValue(pointer, stored);
    }
    const job = this.#offLoop.start({ task: 'decompress', pointer, args: [stored] });
    await job.settled;
    return job.result() as Uint8Array;
  }

  /** A statement is over: nothing needs more than it would have kept anyway. */
  trim(): void {
    if (this.#bytes > KEEP_BYTES) this.#forgetOldest(KEEP_BYTES);
  }

  #forgetOldest(bytes: number): void {
    for (const [oldest, { length }] of this.#values) {
      if (this.#bytes <= bytes) return;
      this.#values.delete(oldest);
      this.#bytes -= length;
    }
  }

  #keep(key: string, value: Uint8Array): void {
    for (const [oldest, { length }] of this.#values) {
      const many = this.#values.size >= KEEP_VALUES;
      if (!many && (this.#bytes + value.length <= KEEP_BYTES || this.#values.size < KEEP_LARGE)) break;
      this.#values.delete(oldest);
      this.#bytes -= length;
    }
    this.#bytes += value.length - (this.#values.get(key)?.length ?? 0);
    this.#values.set(key, value);
  }
}
