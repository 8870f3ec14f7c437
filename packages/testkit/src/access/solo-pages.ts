/**
 * Shared memory for one: a PageAccess whose pages all live in one slab, a WAL inserter that keeps the
 * records, and a redo context over page images. For tests of access methods.
 *
 *   const solo = new SoloPages({ pages: 64 });
 *   const rel = solo.relation(16384);
 *   retry(solo, () => heapInsert(...));          // obtains what was missing and tries again
 *   solo.records                                 // everything logged so far, decoded
 *   replay(solo.takeImage(), solo.records, ...)  // see SoloRedo
 *
 * With `misses`, every page, length, new block and free page is at first lacking and comes with
 * `satisfy`, as tokens do; `recallAll` takes them away again.
 */
import { assert } from '@pgtroupe/common/assert';
import type { BlockNumber, ForkNumber, Oid, RelFileNode, XLogRecPtr } from '@pgtroupe/common/ids';
import { BLCKSZ, formatRelFileNode, maxAlign } from '@pgtroupe/common/ids';
import type { Attachment } from '@pgtroupe/instance/attachment';
import type { UpOp } from '@pgtroupe/rpc/attach/ops';
import type { PageCache } from '@pgtroupe/instance/bufmgr';
import {
  type Memory,
  MISS,
  NO_BLOCK,
  type PageAccess,
  type SmgrRelation,
  type Want,
} from '@pgtroupe/storage/buffer/pages';
export type { RelationFiles } from '@pgtroupe/instance/relation-files';
import { RelationDirectory, type RelationFiles, type RelationFork } from '@pgtroupe/instance/relation-files';
import { createMemory } from '@pgtroupe/storage/memory';
import { pageGetLSN, pageSetLSN } from '@pgtroupe/storage/page/bufpage';
import { XLogRecordBuilder } from '@pgtroupe/instance/xlogrecord-builder';
import { BKPBLOCK_WILL_INIT, decodeXLogRecord, restoreBlockImage, type XLogRecord } from '@pgtroupe/transam/xlogrecord';
import { BLK_SKIP, type BlockRef, type RedoContext, type RmgrRoutine } from '@pgtroupe/access/common/xlogutils';

export interface SoloOptions {
  readonly pages: number;
  /** Bytes behind the pages, for tuples under construction. */
  readonly arena?: number;
  /** Everything is lacking until it is asked for. */
  readonly misses?: boolean;
  /** Full-page images in every record (a force-FPI window) instead of none. */
  readonly images?: boolean;
}

const FIRST_LSN = 0x1000028;

export class SoloPages implements PageAccess {
  readonly mem: Memory;
  readonly wal: XLogRecordBuilder;
  readonly records: XLogRecord[] = [];
  readonly relations = new RelationDirectory();
  /** Where `arena` begins in `mem`. */
  readonly arenaStart: number;
  /** Free bytes by block, as vacuum and inserts recorded them. */
  readonly freeSpace = new Map<string, number>();
  want: Want = { kind: 'none' };
  /** Called with each record as it is logged, pages already stamped with its LSN. */
  onRecord: (record: XLogRecord) => void = () => {};

  readonly #slots: number;
  readonly #misses: boolean;
  readonly #fork: RelationFork[] = [];
  readonly #block: number[] = [];
  readonly #granted = new Set<string>();
  #changed: number[] = [];
  #lsn = FIRST_LSN;
  #freeAnswer: { readonly rel: SmgrRelation; readonly need: number; readonly blk: number } | undefined;

  constructor(options: SoloOptions) {
    this.#slots = options.pages;
    this.#misses = options.misses === true;
    this.arenaStart = options.pages * BLCKSZ;
    const arena = options.arena ?? 4 * BLCKSZ;
    this.mem = createMemory(Math.ceil((this.arenaStart + arena) / BLCKSZ) * BLCKSZ);
    // The real record builder over what it needs of an instance.
    const cache = {
      mem: this.mem,
      fpiNumber: new Uint32Array(options.pages),
      checkpointNumber: 0,
      forceFpi: options.images === true,
      forkAt: (page: number) => this.#fork[page / BLCKSZ]!,
      blockAt: (page: number) => this.#block[page / BLCKSZ]!,
      markChanged: (page: number) => {
        assert(
          !this.#misses || this.#granted.has(pageKey(this.#fork[page / BLCKSZ]!, this.#block[page / BLCKSZ]!, true)),
          'changed a page that is not held exclusively',
        );
        this.#changed.push(page);
      },
    };
    const attachment = { putLazily: (op: UpOp) => this.#logged(op) };
    this.wal = new XLogRecordBuilder(cache as unknown as PageCache, attachment as unknown as Attachment);
  }

  relation(relNode: number): RelationFiles {
    const rel = this.relations.smgropen({ spcNode: 1663 as Oid, dbNode: 5 as Oid, relNode: relNode as Oid });
    for (const fork of rel.forks) if (fork.blocks < 0) fork.blocks = 0;
    return rel;
  }

  /** Appends a zero page to a fork and returns its offset. */
  addPage(rel: RelationFiles, fork: ForkNumber): number {
    const file = rel.forks[fork]!;
    const slot = this.#fork.length;
    assert(slot < this.#slots, `all ${this.#slots} pages are in use`);
    this.#fork.push(file);
    this.#block.push(file.blocks);
    file.setSlot(file.blocks as BlockNumber, slot);
    file.blocks++;
    return slot * BLCKSZ;
  }

  // ---- PageAccess ------------------------------------------------------------------------------

  share(rel: SmgrRelation, fork: ForkNumber, blk: BlockNumber): number {
    return this.#page(rel, fork, blk, false);
  }

  exclusive(rel: SmgrRelation, fork: ForkNumber, blk: BlockNumber): number {
    return this.#page(rel, fork, blk, true);
  }

  #page(rel: SmgrRelation, fork: ForkNumber, blk: BlockNumber, exclusive: boolean): number {
    const file = (rel as RelationFiles).forks[fork]!;
    const slot = file.slotOf(blk);
    assert(slot >= 0, `no block ${blk} in fork ${fork} of ${formatRelFileNode(rel.rnode)}`);
    if (this.#misses && !this.#held(file, blk, exclusive)) {
      this.want = { kind: 'page', rel, fork, blk, exclusive };
      return MISS;
    }
    return slot * BLCKSZ;
  }

  #held(file: RelationFork, blk: number, exclusive: boolean): boolean {
    return this.#granted.has(pageKey(file, blk, true)) || (!exclusive && this.#granted.has(pageKey(file, blk, false)));
  }

  nblocks(rel: SmgrRelation, fork: ForkNumber): number {
    if (this.#misses && !this.#granted.has(`n${formatRelFileNode(rel.rnode)}/${fork}`)) {
      this.want = { kind: 'nblocks', rel, fork };
      return MISS;
    }
    return (rel as RelationFiles).forks[fork]!.blocks;
  }

  newBlock(rel: SmgrRelation, fork: ForkNumber, nth = 0): number {
    const file = (rel as RelationFiles).forks[fork]!;
    while (file.fresh.length <= nth) {
      if (this.#misses) {
        this.want = { kind: 'extend', rel, fork };
        return MISS;
      }
      this.#extend(rel as RelationFiles, fork);
    }
    const blk = file.fresh[nth]!;
    return this.exclusive(rel, fork, blk) === MISS ? MISS : blk;
  }

  #extend(rel: RelationFiles, fork: ForkNumber): void {
    const file = rel.forks[fork]!;
    file.fresh.push(file.blocks as BlockNumber);
    this.#granted.add(pageKey(file, file.blocks, true));
    this.addPage(rel, fork);
  }

  useNewBlock(rel: SmgrRelation, fork: ForkNumber, blk: BlockNumber): void {
    const used = (rel as RelationFiles).forks[fork]!.fresh.shift();
    assert(used === blk, `block ${blk} is not the next fresh one`);
  }

  freePage(rel: SmgrRelation, need: number): number {
    const answer = this.#freeAnswer;
    if (this.#misses && (answer === undefined || answer.rel !== rel || answer.need !== need)) {
      this.want = { kind: 'freePage', rel, need };
      return MISS;
    }
    this.#freeAnswer = undefined;
    return this.#searchFreePage(rel, need);
  }

  #searchFreePage(rel: SmgrRelation, need: number): number {
    for (let blk = 0; blk < (rel as RelationFiles).forks[0]!.blocks; blk++) {
      if ((this.freeSpace.get(`${formatRelFileNode(rel.rnode)}/${blk}`) ?? 0) >= need) return blk;
    }
    return NO_BLOCK;
  }

  recordFreeSpace(rel: SmgrRelation, blk: BlockNumber, availBytes: number): void {
    this.freeSpace.set(`${formatRelFileNode(rel.rnode)}/${blk}`, availBytes);
  }

  // ---- what a driver does with a MISS ------------------------------------------------------------

  satisfy(want: Want): void {
    switch (want.kind) {
      case 'page':
        this.#granted.add(pageKey((want.rel as RelationFiles).forks[want.fork]!, want.blk, want.exclusive));
        break;
      case 'nblocks':
        this.#granted.add(`n${formatRelFileNode(want.rel.rnode)}/${want.fork}`);
        break;
      case 'extend':
        this.#extend(want.rel as RelationFiles, want.fork);
        break;
      case 'freePage':
        this.#freeAnswer = { rel: want.rel, need: want.need, blk: this.#searchFreePage(want.rel, want.need) };
        break;
      default:
        assert(false, `nobody here can satisfy ${want.kind}`);
    }
  }

  /** Every token goes to somebody else. */
  recallAll(): void {
    this.#granted.clear();
  }

  /** Every page goes to another place in memory, as pages do that are evicted and read again. */
  movePages(): void {
    const { u8 } = this.mem;
    for (let slot = 0; slot + 1 < this.#fork.length; slot += 2) {
      const [here, there] = [slot * BLCKSZ, (slot + 1) * BLCKSZ];
      const bytes = u8.slice(here, here + BLCKSZ);
      u8.copyWithin(here, there, there + BLCKSZ);
      u8.set(bytes, there);
      for (const list of [this.#fork, this.#block] as unknown[][])
        [list[slot], list[slot + 1]] = [list[slot + 1], list[slot]];
      for (const moved of [slot, slot + 1]) this.#fork[moved]!.setSlot(this.#block[moved] as BlockNumber, moved);
    }
  }

  // ---- WAL -----------------------------------------------------------------------------------------

  #logged(op: UpOp): void {
    if (op.op !== 'xlogInsert') return;
    // A copy: the builder reuses its buffer (and `slice` of a Buffer is a view).
    const bytes = new Uint8Array(op.record);
    const end = (this.#lsn + maxAlign(bytes.length)) as XLogRecPtr;
    const record = decodeXLogRecord(bytes, this.#lsn as XLogRecPtr, end);
    this.#lsn = end;
    for (const page of this.#changed) pageSetLSN(this.mem, page, end);
    this.#changed = [];
    this.records.push(record);
    this.onRecord(record);
  }

  /** Where the next record will start. */
  get insertLsn(): XLogRecPtr {
    return this.#lsn as XLogRecPtr;
  }

  /** Copies of all pages, to replay records onto. */
  takeImage(): SoloRedo {
    const image = new SoloRedo(this.mem.u8.length);
    image.mem.u8.set(this.mem.u8);
    this.#fork.forEach((file, slot) => image.know(file.files.rnode, file.fork, this.#block[slot]!, slot * BLCKSZ));
    return image;
  }
}

/** Runs `attempt` until it no longer misses. */
export function retry(solo: SoloPages, attempt: () => number): number {
  for (let tries = 0; tries < 1000; tries++) {
    const result = attempt();
    if (result !== MISS) return result;
    const { want } = solo;
    solo.want = { kind: 'none' };
    solo.satisfy(want);
  }
  throw new Error('still missing after 1000 attempts');
}

function pageKey(file: RelationFork, blk: number, exclusive: boolean): string {
  return `${formatRelFileNode(file.files.rnode)}/${file.fork}/${blk}/${exclusive ? 'X' : 'S'}`;
}

/** Page images of some moment, and the records since replayed onto them. Blocks that did not exist
 *  then are added as zeros. */
export class SoloRedo implements RedoContext {
  readonly mem: Memory;
  readonly #pages = new Map<string, number>();
  #next = 0;
  #handedOut: number[] = [];
  /** Only this block is wanted, as in rebuilding the page of a dead instance. */
  only: BlockRef | undefined;

  constructor(bytes: number) {
    this.mem = createMemory(bytes);
  }

  know(rnode: RelFileNode, fork: ForkNumber, blkno: number, page: number): void {
    this.#pages.set(`${formatRelFileNode(rnode)}/${fork}/${blkno}`, page);
    this.#next = Math.max(this.#next, page + BLCKSZ);
  }

  page(rnode: RelFileNode, fork: ForkNumber, blkno: number): number {
    const key = `${formatRelFileNode(rnode)}/${fork}/${blkno}`;
    let page = this.#pages.get(key);
    if (page === undefined) this.know(rnode, fork, blkno, (page = this.#next));
    return page;
  }

  apply(record: XLogRecord, rmgr: RmgrRoutine): void {
    this.#handedOut = [];
    // Images of blocks that redo functions never look at, such as those kept for our own tracking.
    for (const block of record.blocks) if (block?.applyImage === true) this.readBufferForRedo(record, block.id);
    this.#handedOut = [];
    rmgr.redo(record, this);
    for (const page of this.#handedOut) pageSetLSN(this.mem, page, record.endLsn);
  }

  readBufferForRedo(record: XLogRecord, blockId: number): number {
    const block = record.blocks[blockId];
    if (block === undefined || !this.#wanted(block)) return BLK_SKIP;
    const page = this.page(block.rnode, block.fork, block.blkno);
    if (pageGetLSN(this.mem, page) >= record.endLsn) return BLK_SKIP;
    if (block.applyImage) {
      restoreBlockImage(record, block, this.mem.u8, page);
      pageSetLSN(this.mem, page, record.endLsn);
      return BLK_SKIP;
    }
    this.#handedOut.push(page);
    return page;
  }

  initBufferForRedo(record: XLogRecord, blockId: number): number {
    const block = record.blocks[blockId]!;
    assert((block.flags & BKPBLOCK_WILL_INIT) !== 0, `block ${blockId} is not to be initialised`);
    return this.readBufferForRedo(record, blockId);
  }

  extraBuffer(block: BlockRef): number {
    return this.#wanted(block) ? this.page(block.rnode, block.fork, block.blkno) : BLK_SKIP;
  }

  #wanted(block: BlockRef): boolean {
    const { only } = this;
    return (
      only === undefined ||
      (only.fork === block.fork && only.blkno === block.blkno && only.rnode.relNode === block.rnode.relNode)
    );
  }
}
