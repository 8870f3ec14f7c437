/**
 * Between the pool and the files: loading pages for those who wait, rebuilding pages of dead
 * instances, writing dirty ones. Asynchronous; the token directory decides what is wanted.
 *
 * Rules: an image is written only when WAL is durable up to its pd_lsn and to every asynchronous
 * commit its hint bits may show (invariants 4 and 8); its checksum is set on the copy that is
 * written; a page read must have a valid checksum.
 */
import { DiskError, isMissing } from '@pgtroupe/actor/env';
import { assert } from '@pgtroupe/common/assert';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { BLCKSZ, formatLsn, type XLogRecPtr } from '@pgtroupe/common/ids';
import { pageGetChecksum, pageGetLSN, pageSetLSN } from '@pgtroupe/storage/page/bufpage';
import { pgChecksumPage } from '@pgtroupe/storage/page/checksum';
import type { Log } from '@pgtroupe/actor/env';
import type { XLogStream } from '@pgtroupe/transam/xlogpage';
import type { XLogRecord } from '@pgtroupe/transam/xlogrecord';
import type { BufferPool } from './buffer-pool.ts';
import type { ForkEntry, PageDirectory, PageEntry, TokenHolder } from './page-directory.ts';
import type { RedoApplier } from './redo-applier.ts';
import type { RelationDirectory } from './relation-directory.ts';
import { relationPath, type StorageManager } from './smgr.ts';
import type { WalClient } from './wal-client.ts';

class PageReadError extends Error {
  override readonly name = 'PageReadError';
  readonly sqlstate: string;
  constructor(sqlstate: string, message: string) {
    super(message);
    this.sqlstate = sqlstate;
  }
}

const STAGING_BUFFERS = 32;

export class PageIO {
  readonly #pool: BufferPool;
  readonly #smgr: StorageManager;
  readonly #directory: PageDirectory;
  readonly #relations: RelationDirectory;
  readonly #wal: WalClient;
  readonly #log: Log;
  readonly #stream: XLogStream;
  readonly #panic: (message: string) => never;
  /** Replays single records onto a page. Set once recovery knows how. */
  applier: RedoApplier | undefined;
  /** Hint bits may show commits up to here that are not durable yet. */
  asyncCommitLSN = 0;
  readonly #writes = new Map<PageEntry, Promise<void>>();
  readonly #imageWaiters = new Map<PageEntry, (() => void)[]>();
  readonly #staging: Uint8Array[] = [];
  /** Pages could not be written, and this was said. */
  #writesFail = false;
  /** The page cannot be had. */
  onReadFailed: (holder: TokenHolder, page: PageEntry, error: PageReadError) => void = () => {};
  /** The pool has room again. */
  onRelieved: () => void = () => {};
  /** Something was put out for instances outside of their own messages. */
  onProgress: () => void = () => {};

  constructor(parts: {
    readonly pool: BufferPool;
    readonly smgr: StorageManager;
    readonly directory: PageDirectory;
    readonly relations: RelationDirectory;
    readonly wal: WalClient;
    readonly log: Log;
    readonly stream: XLogStream;
    /** Ends the process. */
    readonly panic: (message: string) => never;
  }) {
    this.#pool = parts.pool;
    this.#smgr = parts.smgr;
    this.#directory = parts.directory;
    this.#relations = parts.relations;
    this.#wal = parts.wal;
    this.#log = parts.log;
    this.#stream = parts.stream;
    this.#panic = parts.panic;
  }

  // ---- loading -----------------------------------------------------------------------------------

  /** DirectoryEffects.load */
  load(page: PageEntry): void {
    this.#bring(page).then(
      () => {
        this.#directory.loaded(page);
        this.imageSettled(page);
        this.onProgress();
      },
      (error: unknown) => {
        const failure = toReadError(error, page);
        for (const holder of this.#directory.loadFailed(page)) this.onReadFailed(holder, page, failure);
        this.imageSettled(page);
        this.#relations.tidy(page);
        this.onProgress();
      },
    );
  }

  async #bring(page: PageEntry): Promise<void> {
    if (page.rebuild) await this.rebuild(page);
    else if (page.slot < 0) await this.#readInto(page);
  }

  /** Reads the page's image on disk into a slot of its own. */
  async #readInto(page: PageEntry): Promise<void> {
    const { rnode, fork } = page.fork;
    if (page.fork.blocks < 0) {
      const blocks = await this.#smgr.nblocks(rnode, fork);
      // Whoever learned it meanwhile may have changed it since.
      if (page.fork.blocks < 0 && blocks !== undefined) page.fork.blocks = blocks;
    }
    if (page.dropped) throw droppedMeanwhile();
    if (page.fork.blocks < 0) throw noFile(relationPath(rnode, fork));
    if (page.blk >= page.fork.blocks) {
      throw new PageReadError(
        ERRCODE.DATA_CORRUPTED,
        `could not read block ${page.blk} in file "${relationPath(rnode, fork)}": read only 0 of ${BLCKSZ} bytes`,
      );
    }
    const image = this.#stagingBuffer();
    const got = await this.#smgr.read(rnode, fork, page.blk, image);
    if (got < BLCKSZ) image.fill(0, got);
    if (page.dropped) throw droppedMeanwhile();
    const slot = this.slotFor(page);
    const at = this.#pool.offset(slot);
    this.#pool.mem.u8.set(image, at);
    this.#staging.push(image);
    if (!this.#checksumValid(at, page.blk)) {
      this.#pool.release(page);
      throw new PageReadError(
        ERRCODE.DATA_CORRUPTED,
        `invalid page in block ${page.blk} of relation ${relationPath(rnode, fork)}`,
      );
    }
    page.lastLSN = 0;
  }

  #checksumValid(at: number, blk: number): boolean {
    const { mem } = this.#pool;
    const upper = mem.u16[(at + 14) >>> 1]!;
    if (upper === 0) {
      // Never initialised: must be all zeros, and carries no checksum.
      const words = at >>> 2;
      for (let n = 0; n < BLCKSZ / 4; n++) if (mem.u32[words + n] !== 0) return false;
      return true;
    }
    return pgChecksumPage(mem.u32, at, blk) === pageGetChecksum(mem, at);
  }

  /** The page's slot, allocated if need be. */
  slotFor(page: PageEntry): number {
    if (page.slot >= 0) return page.slot;
    return this.#pool.allocate(page, evicted => this.#relations.tidy(evicted));
  }

  /** Puts base + chain into the pool (invariant 5). The page may be dropped at every wait: its slot is gone
   *  then, and the relation's file may be too. */
  async rebuild(page: PageEntry): Promise<void> {
    const chain = page.chain.slice();
    await this.#wal.flush(page.lastLSN);
    if (page.dropped) throw droppedMeanwhile();
    if (page.slot < 0) {
      if (page.chainStandsAlone) this.#pool.image(this.slotFor(page)).fill(0);
      else {
        const lastLSN = page.lastLSN;
        await this.#readInto(page);
        page.lastLSN = lastLSN;
      }
    }
    const { slot } = page;
    this.#pool.pin(slot);
    try {
      for (const lsn of chain) {
        const record = await this.#wal.readRecord(this.#stream, lsn as XLogRecPtr);
        if (page.dropped) throw droppedMeanwhile();
        this.#redo(page, lsn as XLogRecPtr, record);
      }
    } finally {
      this.#pool.unpin(slot);
    }
    page.flushBefore = page.lastLSN;
    page.imageDirty = true;
    this.#directory.rebuilt(page);
  }

  /** What was logged must be doable again: if it is not, shared memory is not what WAL says it is. */
  #redo(page: PageEntry, lsn: XLogRecPtr, record: XLogRecord): void {
    try {
      this.applier!.applyTo(page, record);
    } catch (error) {
      const what = `block ${page.blk} of relation ${relationPath(page.fork.rnode, page.fork.fork)}`;
      this.#panic(`WAL redo at ${formatLsn(lsn)} for ${what} failed: ${(error as Error).message}`);
    }
  }

  /** Waits until nobody is loading the page, and rebuilds it if it is in pieces. */
  async settle(page: PageEntry): Promise<void> {
    if (!page.rebuild || page.loading) return;
    page.loading = true;
    try {
      await this.rebuild(page);
    } catch (error) {
      if (!page.dropped) throw error;
    } finally {
      this.#directory.loaded(page);
      this.imageSettled(page);
      this.onProgress();
    }
  }

  // ---- images from instances -----------------------------------------------------------------------

  /** Stores an image an instance sent; it contains everything sequenced so far. */
  store(page: PageEntry, image: Uint8Array): void {
    const at = this.#pool.offset(this.slotFor(page));
    const { mem } = this.#pool;
    mem.u8.set(image, at);
    page.imageDirty = true;
    if (page.lastLSN > 0) pageSetLSN(mem, at, page.lastLSN as XLogRecPtr);
    page.flushBefore = Math.max(page.flushBefore, page.lastLSN);
    if (this.asyncCommitLSN > this.#wal.flushed) page.flushBefore = Math.max(page.flushBefore, this.asyncCommitLSN);
  }

  /** A token or image of this page came back, or it went away: whoever waited looks again. */
  imageSettled(page: PageEntry): void {
    const waiters = this.#imageWaiters.get(page);
    if (waiters === undefined) return;
    this.#imageWaiters.delete(page);
    for (const wake of waiters) wake();
  }

  /** An instance died: images that were awaited from it do not come. */
  wakeAll(): void {
    for (const page of [...this.#imageWaiters.keys()]) this.imageSettled(page);
  }

  #awaitImage(page: PageEntry): Promise<void> {
    return new Promise(resolve => {
      const waiters = this.#imageWaiters.get(page);
      if (waiters === undefined) this.#imageWaiters.set(page, [resolve]);
      else waiters.push(resolve);
    });
  }

  // ---- writing -------------------------------------------------------------------------------------

  /** Makes the disk contain everything the WAL before `redo` did to the page (not synced yet). */
  async writeUpTo(page: PageEntry, redo: number): Promise<void> {
    for (;;) {
      const lacks =
        (page.recLSN !== 0 && page.recLSN < redo) || (page.writingRecLSN !== 0 && page.writingRecLSN < redo);
      if (page.dropped || !lacks) return;
      const writing = this.#writes.get(page);
      if (writing !== undefined) await writing;
      else if (page.rebuild) await (page.loading ? this.#awaitImage(page) : this.settle(page));
      else if (page.chain.length > 0 && page.chain[0]! < redo) {
        const image = this.#awaitImage(page);
        this.#directory.askWriteback(page);
        this.onProgress();
        await image;
      } else {
        assert(page.imageDirty, 'what a checkpoint lacks is in the image, in the chain, or being written');
        await this.write(page);
      }
    }
  }

  /** Writes the base image. */
  write(page: PageEntry): Promise<void> {
    const running = this.#writes.get(page);
    if (running !== undefined) return running;
    const work = this.#write(page).finally(() => this.#writes.delete(page));
    this.#writes.set(page, work);
    return work;
  }

  /** As `write`, for who cannot do anything about a failure but try again: a full disk is not told of every page,
   *  only when it begins. */
  async tryWrite(page: PageEntry): Promise<boolean> {
    try {
      // What a dead instance left in pieces is put together first.
      if (page.rebuild) await this.settle(page);
      await this.write(page);
      this.#writesFail = false;
      return true;
    } catch (error) {
      const { rnode, fork } = page.fork;
      const message = `could not write block ${page.blk} of ${relationPath(rnode, fork)}: ${(error as Error).message}`;
      if (!this.#writesFail) this.#log.write('WARNING', message);
      this.#writesFail = true;
      return false;
    }
  }

  async #write(page: PageEntry): Promise<void> {
    while (page.flushBefore > this.#wal.flushed) await this.#wal.flush(page.flushBefore);
    if (page.dropped || !page.imageDirty || page.slot < 0 || page.rebuild) return;
    if (!page.dirty) {
      // No record describes what is new (an image sent twice): nothing that must reach the disk.
      page.imageDirty = false;
      return;
    }
    const image = this.#stagingBuffer();
    const at = this.#pool.offset(page.slot);
    image.set(this.#pool.mem.u8.subarray(at, at + BLCKSZ));
    setChecksum(image, page.blk);
    this.#directory.writeStarted(page);
    page.imageDirty = false;
    let ok = false;
    try {
      await this.#smgr.write(page.fork.rnode, page.fork.fork, page.blk, image);
      ok = true;
    } catch (error) {
      if (!page.dropped) throw error;
    } finally {
      this.#directory.writeEnded(page, ok);
      if (!ok && !page.dropped) page.imageDirty = true;
      this.#staging.push(image);
    }
  }

  /** Resolves when no page of the fork from block `from` on is being written any more: what is written late would make
   *  a file long again that was cut off there. */
  async writesBehind(fork: ForkEntry, from: number): Promise<void> {
    const running = [...this.#writes].filter(([page]) => page.fork === fork && page.blk >= from);
    await Promise.allSettled(running.map(([, work]) => work));
  }

  /** Pages whose write is under way. */
  beingWritten(): Iterable<PageEntry> {
    return this.#writes.keys();
  }

  /** Pages that `relieve` has written; whoever counts them takes them away. */
  madeRoom = 0;

  /** Writes dirty pages and evicts clean ones until the pool is within its limit again. False: a page
   *  could not be written, try again later. */
  async relieve(): Promise<boolean> {
    let ok = true;
    while (ok && this.#pool.overfull) {
      this.#pool.shrink(evicted => this.#relations.tidy(evicted));
      if (!this.#pool.overfull) break;
      const pages = this.#pool.dirtyPages(STAGING_BUFFERS);
      if (pages.length === 0) return false;
      const written = await Promise.all(pages.map(page => this.tryWrite(page)));
      ok = !written.includes(false);
      this.madeRoom += written.filter(each => each).length;
      // Without progress there must be a pause, or nothing else would ever run.
      if (pages.every(page => page.imageDirty)) return false;
      this.#pool.shrink(evicted => this.#relations.tidy(evicted));
      this.onRelieved();
    }
    return ok;
  }

  #stagingBuffer(): Uint8Array {
    const spare = this.#staging.pop();
    if (spare !== undefined && this.#staging.length < STAGING_BUFFERS) return spare;
    return new Uint8Array(BLCKSZ);
  }

  /** pd_lsn of the image in the pool. */
  lsnOf(page: PageEntry): XLogRecPtr {
    return pageGetLSN(this.#pool.mem, this.#pool.offset(page.slot));
  }
}

function droppedMeanwhile(): PageReadError {
  return new PageReadError(ERRCODE.DATA_CORRUPTED, 'the relation was dropped');
}

function setChecksum(image: Uint8Array, blk: number): void {
  if (image[14] === 0 && image[15] === 0) return; // pd_upper 0: a new page has none
  const u32 = new Uint32Array(image.buffer, image.byteOffset, BLCKSZ / 4);
  const checksum = pgChecksumPage(u32, 0, blk);
  image[8] = checksum;
  image[9] = checksum >>> 8;
}

function noFile(path: string): PageReadError {
  return new PageReadError(ERRCODE.UNDEFINED_FILE, `could not open file "${path}": No such file or directory`);
}

function toReadError(error: unknown, page: PageEntry): PageReadError {
  if (error instanceof PageReadError) return error;
  const path = relationPath(page.fork.rnode, page.fork.fork);
  if (isMissing(error)) return noFile(path);
  if (error instanceof DiskError) {
    return new PageReadError(ERRCODE.IO_ERROR, `could not read block ${page.blk} in file "${path}": ${error.message}`);
  }
  throw error;
}
