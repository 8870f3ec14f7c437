/**
 * pg_xact in memory (access/transam/clog.c): all pages from the oldest xid to the next one, so that
 * setting and reading an outcome is synchronous. Pages are written at checkpoints, after the WAL of
 * every commit on them is durable; those that could not be written are dirty still.
 */
import type { Disk } from '@pgtroupe/actor/env';
import { assert } from '@pgtroupe/common/assert';
import type { TransactionId } from '@pgtroupe/common/ids';
import {
  CLOG_XACTS_PER_PAGE,
  getStatusBits,
  setStatusBits,
  SLRU_PAGES_PER_SEGMENT,
  transactionIdToPage,
} from '@pgtroupe/transam/clog';
import { writeSlruPages } from './slru-files.ts';

const PAGE_BYTES = 8192;
const FOLDER = 'pg_xact';
/** In the circle of 2^32 ids. */
const SEGMENTS = 2 ** 32 / CLOG_XACTS_PER_PAGE / SLRU_PAGES_PER_SEGMENT;
const SEGMENT_NAME = /^[0-9A-F]{4}$/;
const NO_PAGE = new Uint8Array(PAGE_BYTES);

export class ClogBuffers {
  readonly #pages = new Map<number, Uint8Array>();
  readonly #dirty = new Set<number>();
  /** WAL that must be durable before the dirty pages may be written. */
  #flushBefore = 0;
  /** All names are durable. Not known at first: a predecessor may have died before it synced. */
  #folderSynced = false;
  #work: Promise<void> = Promise.resolve();

  /** Reads the pages [first, last] as far as there are any, a segment at a time: two thousand million ids ago is not
   *  unusual, and that is 65,536 pages. */
  async load(disk: Disk, first: number, last: number): Promise<void> {
    for (const name of await disk.readdir(FOLDER)) {
      if (!SEGMENT_NAME.test(name)) continue;
      const segment = Number.parseInt(name, 16);
      if (segment < segmentOf(first) || segment > segmentOf(last)) continue;
      const bytes = await disk.readFile(`${FOLDER}/${name}`);
      for (let at = 0; at + PAGE_BYTES <= bytes.length; at += PAGE_BYTES) {
        const page = segment * SLRU_PAGES_PER_SEGMENT + at / PAGE_BYTES;
        if (page >= first && page <= last) this.#pages.set(page, bytes.subarray(at, at + PAGE_BYTES));
      }
    }
  }

  has(page: number): boolean {
    return this.#pages.has(page);
  }

  /** A page of zeros; replaces what was there (redo). */
  zero(page: number): void {
    this.#pages.set(page, new Uint8Array(PAGE_BYTES));
    this.#dirty.add(page);
  }

  setStatus(xid: TransactionId, status: number, lsn: number): void {
    const number = transactionIdToPage(xid);
    const page = this.#pages.get(number);
    assert(page !== undefined, `pg_xact has no page for transaction ${xid}`);
    setStatusBits(page, xid, status);
    this.#dirty.add(number);
    if (lsn > this.#flushBefore) this.#flushBefore = lsn;
  }

  status(xid: TransactionId): number {
    const page = this.#pages.get(transactionIdToPage(xid));
    return page === undefined ? 0 : getStatusBits(page, xid);
  }

  /** All zeros for a page that is not there. */
  image(page: number): Uint8Array {
    return this.#pages.get(page) ?? NO_PAGE;
  }

  /** Writes and syncs the dirty pages. `flushed` makes the WAL before an LSN durable. */
  write(disk: Disk, flush: (lsn: number) => Promise<void>): Promise<void> {
    return this.#exclusively(() => this.#write(disk, flush));
  }

  async #write(disk: Disk, flush: (lsn: number) => Promise<void>): Promise<void> {
    if (this.#dirty.size === 0 && this.#folderSynced) return;
    const pages = [...this.#dirty]
      .sort((a, b) => a - b)
      .map(number => ({ number, bytes: this.#pages.get(number)!.slice() }));
    // Now, and not afterwards: what changes meanwhile is for the next time.
    this.#dirty.clear();
    try {
      await flush(this.#flushBefore);
      await writeSlruPages(disk, FOLDER, pages, () => {
        this.#folderSynced = false;
      });
    } catch (error) {
      for (const { number } of pages) if (this.#pages.has(number)) this.#dirty.add(number);
      throw error;
    }
    if (!this.#folderSynced) await disk.syncDir(FOLDER);
    this.#folderSynced = true;
  }

  /** Forgets and removes the segments that hold no page of [first, last]; in the circle of ids `last` may be below. */
  async truncate(disk: Disk, first: number, last: number): Promise<void> {
    const from = segmentOf(first);
    const kept = (segmentOf(last) - from + SEGMENTS) % SEGMENTS;
    const isKept = (segment: number): boolean => (segment - from + SEGMENTS) % SEGMENTS <= kept;
    for (const page of [...this.#pages.keys()]) {
      if (isKept(segmentOf(page))) continue;
      this.#pages.delete(page);
      this.#dirty.delete(page);
    }
    // Not while a checkpoint has its files open.
    await this.#exclusively(async () => {
      for (const name of await disk.readdir(FOLDER)) {
        if (!SEGMENT_NAME.test(name) || isKept(Number.parseInt(name, 16))) continue;
        this.#folderSynced = false;
        await disk.unlink(`${FOLDER}/${name}`);
      }
    });
  }

  /** One after the other. */
  #exclusively(run: () => Promise<void>): Promise<void> {
    const work = this.#work.then(run);
    this.#work = work.catch(() => {});
    return work;
  }
}

function segmentOf(page: number): number {
  return Math.floor(page / SLRU_PAGES_PER_SEGMENT);
}
