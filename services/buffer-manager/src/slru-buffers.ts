/**
 * Pages of one SLRU (access/transam/slru.c): a log of 8 kB pages in segment files of 32. Changed in memory,
 * written at checkpoints; what is clean and not needed at once may be forgotten and read again.
 */
import { type Disk, DiskError } from '@pgtroupe/actor/env';
import { assert } from '@pgtroupe/common/assert';
import { slruFile, SLRU_PAGES_PER_SEGMENT } from '@pgtroupe/transam/clog';
import { writeSlruPages } from './slru-files.ts';

const PAGE_BYTES = 8192;

interface SlruPage {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Changes since the last one that reached the disk; 0 clean. */
  changes: number;
}

export class SlruBuffers {
  readonly #folder: string;
  readonly #disk: Disk;
  /** How many pages stay in memory when they are clean. */
  readonly #keep: number;
  /** The least recently used first. */
  readonly #pages = new Map<number, SlruPage>();
  readonly #loading = new Map<number, Promise<DataView>>();
  /** All names are durable. Not known at first: a predecessor may have died before it synced. */
  #folderSynced = false;

  constructor(disk: Disk, folder: string, keep: number) {
    this.#disk = disk;
    this.#folder = folder;
    this.#keep = keep;
  }

  /** The page, which is in memory, for changing. */
  change(number: number): DataView {
    const page = this.#pages.get(number);
    assert(page !== undefined, `page ${number} of ${this.#folder} is not in memory`);
    page.changes++;
    return page.view;
  }

  /** A page of zeros; replaces what was there. */
  zero(number: number): void {
    this.#put(number, new Uint8Array(PAGE_BYTES)).changes = 1;
  }

  /** The page, brought into memory if need be, for reading. What the file does not have is zeros. */
  bring(number: number): Promise<DataView> {
    const page = this.#pages.get(number);
    if (page !== undefined) {
      this.#pages.delete(number);
      this.#pages.set(number, page);
      return Promise.resolve(page.view);
    }
    let loading = this.#loading.get(number);
    if (loading === undefined) {
      loading = this.#read(number).finally(() => this.#loading.delete(number));
      this.#loading.set(number, loading);
    }
    return loading;
  }

  async #read(number: number): Promise<DataView> {
    const { path, positionBytes } = slruFile(this.#folder, number);
    const bytes = new Uint8Array(PAGE_BYTES);
    if ((await this.#disk.stat(path)) !== undefined) {
      const file = await this.#disk.open(path, 'read');
      try {
        await file.read(bytes, positionBytes);
      } finally {
        await file.close();
      }
    }
    return (this.#pages.get(number) ?? this.#put(number, bytes)).view;
  }

  #put(number: number, bytes: Uint8Array): SlruPage {
    const page = { bytes, view: new DataView(bytes.buffer), changes: 0 };
    this.#pages.delete(number);
    this.#pages.set(number, page);
    return page;
  }

  /** Forgets clean pages beyond the bound, but not these. */
  shrink(...needed: readonly number[]): void {
    for (const [number, page] of this.#pages) {
      if (this.#pages.size <= this.#keep) return;
      if (page.changes === 0 && !needed.includes(number)) this.#pages.delete(number);
    }
  }

  /** Writes and syncs what changed. A page stays dirty until all of it has succeeded. */
  async write(): Promise<void> {
    const dirty = [...this.#pages]
      .filter(([, page]) => page.changes > 0)
      .map(([number, page]) => ({ number, page, bytes: page.bytes.slice(), changes: page.changes }))
      .sort((a, b) => a.number - b.number);
    await writeSlruPages(this.#disk, this.#folder, dirty, () => {
      this.#folderSynced = false;
    });
    if (dirty.length > 0 && !this.#folderSynced) {
      await this.#disk.syncDir(this.#folder);
      this.#folderSynced = true;
    }
    for (const { page, changes } of dirty) page.changes -= changes;
  }

  /** Forgets and removes the segments from that of page `first` up to, not including, that of page `end`;
   *  `pages`: how many there are before the numbers begin anew. */
  async truncate(first: number, end: number, pages: number): Promise<void> {
    const segments = Math.ceil(pages / SLRU_PAGES_PER_SEGMENT);
    const last = Math.floor(end / SLRU_PAGES_PER_SEGMENT);
    for (let n = Math.floor(first / SLRU_PAGES_PER_SEGMENT); n !== last; n = (n + 1) % segments) {
      for (let i = 0; i < SLRU_PAGES_PER_SEGMENT; i++) this.#pages.delete(n * SLRU_PAGES_PER_SEGMENT + i);
      try {
        await this.#disk.unlink(slruFile(this.#folder, n * SLRU_PAGES_PER_SEGMENT).path);
      } catch (error) {
        if (!(error instanceof DiskError) || error.code !== 'ENOENT') throw error;
      }
    }
  }
}
