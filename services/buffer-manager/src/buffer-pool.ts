/**
 * The page pool (shared_buffers): base images in one slab, found through PageEntry.slot, replaced by
 * clock sweep (storage/buffer/freelist.c). Pure memory; who reads and writes files is page-io.ts.
 *
 * `limit` slots are the rule. Images that instances return must be taken in whatever happens, so
 * the slab has as many again for the time until dirty pages are written; untouched memory costs nothing.
 */
import { assert } from '@pgtroupe/common/assert';
import { BLCKSZ } from '@pgtroupe/common/ids';
import { createMemory } from '@pgtroupe/storage/memory';
import type { Memory } from '@pgtroupe/storage/buffer/pages';
import type { PageEntry } from './page-directory.ts';

const MAX_USAGE = 5;
const MAX_LIMIT = 2 ** 31 / BLCKSZ / 2 - 1;
/** Room for what is rebuilt and written at once, however small the pool. */
const MIN_SPARE = 128;

export class BufferPool {
  readonly mem: Memory;
  readonly limit: number;
  readonly #capacity: number;
  readonly #usage: Uint8Array;
  readonly #pins: Uint16Array;
  readonly #pages: (PageEntry | undefined)[];
  readonly #free: number[] = [];
  #fresh = 0;
  #hand = 0;
  #used = 0;
  /** Slots taken since the bgwriter asked last. */
  allocations = 0;
  #onAllocation: (() => void) | undefined;

  constructor(limit: number) {
    this.limit = Math.max(16, Math.min(limit, MAX_LIMIT));
    this.#capacity = this.limit + Math.max(this.limit, MIN_SPARE);
    this.mem = createMemory(this.#capacity * BLCKSZ);
    this.#usage = new Uint8Array(this.#capacity);
    this.#pins = new Uint16Array(this.#capacity);
    this.#pages = new Array<PageEntry | undefined>(this.#capacity);
  }

  get used(): number {
    return this.#used;
  }

  /** More slots are taken than there should be. */
  get overfull(): boolean {
    return this.#used > this.limit;
  }

  offset(slot: number): number {
    return slot * BLCKSZ;
  }

  image(slot: number): Uint8Array {
    return this.mem.u8.subarray(slot * BLCKSZ, (slot + 1) * BLCKSZ);
  }

  touch(slot: number): void {
    if (this.#usage[slot]! < MAX_USAGE) this.#usage[slot]!++;
  }

  pin(slot: number): void {
    this.#pins[slot]!++;
  }

  unpin(slot: number): void {
    assert(this.#pins[slot]! > 0, 'unpin of a slot that is not pinned');
    this.#pins[slot]!--;
    if (this.#pins[slot] === 0 && this.#pages[slot] === undefined) this.#free.push(slot);
  }

  /** Slots that somebody works on. */
  get pinned(): number {
    let pinned = 0;
    for (let slot = 0; slot < this.#fresh; slot++) if (this.#pins[slot]! > 0) pinned++;
    return pinned;
  }

  /** Gives the page a slot, evicting a clean page when the pool is full. */
  allocate(page: PageEntry, forget: (evicted: PageEntry) => void): number {
    assert(page.slot < 0, 'a page has one slot');
    this.allocations++;
    if (this.#onAllocation !== undefined) this.#tellAllocation();
    if (this.#used >= this.limit) this.#evict(forget);
    const slot = this.#free.pop() ?? (this.#fresh < this.#capacity ? this.#fresh++ : -1);
    assert(slot >= 0, 'the page pool is exhausted: dirty pages cannot be written');
    this.#used++;
    this.#pages[slot] = page;
    this.#usage[slot] = 1;
    page.slot = slot;
    return slot;
  }

  /** The page has no slot any more; who has pinned the slot has it to himself until he is done. */
  release(page: PageEntry): void {
    if (page.slot < 0) return;
    this.#pages[page.slot] = undefined;
    if (this.#pins[page.slot] === 0) this.#free.push(page.slot);
    this.#used--;
    page.slot = -1;
  }

  /** How many more images could be taken in. */
  get spare(): number {
    return this.#capacity - this.#used;
  }

  /** Evicts clean pages until the pool is within its limit, or none is left. */
  shrink(forget: (evicted: PageEntry) => void): void {
    while (this.#used > this.limit && this.#evict(forget));
  }

  /** Resolves when another slot is taken. */
  nextAllocation(): Promise<void> {
    return new Promise(resolve => {
      this.#onAllocation = resolve;
    });
  }

  #tellAllocation(): void {
    this.#onAllocation?.();
    this.#onAllocation = undefined;
  }

  /** Clock sweep: frees one clean page's slot. False: there is none to be had now. */
  #evict(forget: (evicted: PageEntry) => void): boolean {
    for (let tries = 0; tries < this.#fresh * 2; tries++) {
      const slot = this.#hand;
      this.#hand = (slot + 1) % this.#fresh;
      const page = this.#pages[slot];
      if (page === undefined || this.#pins[slot]! > 0) continue;
      if (this.#usage[slot]! > 0) {
        this.#usage[slot]!--;
        continue;
      }
      if (page.imageDirty || page.writingRecLSN !== 0 || page.loading || page.rebuild) continue;
      this.release(page);
      forget(page);
      return true;
    }
    return false;
  }

  /** Any dirty pages, in the order of the hand, when space is needed whatever they were used for. */
  dirtyPages(count: number): PageEntry[] {
    const found: PageEntry[] = [];
    for (let n = 0; n < this.#fresh && found.length < count; n++) {
      const page = this.#pages[(this.#hand + n) % this.#fresh];
      if (page?.imageDirty === true && page.writingRecLSN === 0 && !page.loading) found.push(page);
    }
    return found;
  }

  /** Dirty pages the hand will come to next, for the bgwriter: at most `count` of the next `scan`. */
  dirtyAhead(count: number, scan: number): PageEntry[] {
    const found: PageEntry[] = [];
    for (let n = 0; n < scan && n < this.#fresh && found.length < count; n++) {
      const slot = (this.#hand + n) % this.#fresh;
      const page = this.#pages[slot];
      if (page === undefined || !page.imageDirty || this.#usage[slot]! > 0) continue;
      found.push(page);
    }
    return found;
  }
}
