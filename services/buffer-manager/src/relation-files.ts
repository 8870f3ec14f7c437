/**
 * Creating, extending, truncating and dropping relation files, and how long they are. Work on one
 * fork is done in order of arrival; on different forks it overlaps.
 *
 * - A fork's length may be remembered by instances; it is taken back from all others before the
 *   fork grows or shrinks (invariant 6).
 * - A file that a transaction creates goes away unless it commits; a file it drops goes away when its
 *   commit is visible. A dropped file's name stays until the next checkpoint, empty, so that its
 *   number cannot be given out while old WAL still speaks of it.
 */
import { DiskError, isMissing } from '@pgtroupe/actor/env';
import type { Log } from '@pgtroupe/actor/env';
import type { Failpoint } from '@pgtroupe/actor/failpoint';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import {
  BLCKSZ,
  type ForkNumber,
  formatRelFileNode,
  FSM_FORKNUM,
  type FullTransactionId,
  MAIN_FORKNUM,
  type RelFileNode,
  type TransactionId,
  VISIBILITYMAP_FORKNUM,
  xidFromFull,
} from '@pgtroupe/common/ids';
import { ALL_FORKS, type UpOp } from '@pgtroupe/rpc/attach/ops';
import { RM_SMGR_ID } from '@pgtroupe/transam/rmgr';
import {
  encodeSmgrCreate,
  encodeSmgrTruncate,
  SMGR_TRUNCATE_ALL,
  XLOG_SMGR_CREATE,
  XLOG_SMGR_TRUNCATE,
} from '@pgtroupe/transam/xlogrmgr';
import { XLR_SPECIAL_REL_UPDATE } from '@pgtroupe/transam/xlogrecord';
import type { BufferPool } from './buffer-pool.ts';
import type { FreeSpaceMap, RelationFreeSpace } from './free-space-map.ts';
import { writeFsmFork } from './fsm-fork.ts';
import type { Instance } from './instance.ts';
import type { ForkEntry, PageDirectory, PageEntry, TokenHolder } from './page-directory.ts';
import type { PageIO } from './page-io.ts';
import type { RelationDirectory } from './relation-directory.ts';
import { relationPath, type StorageManager } from './smgr.ts';
import type { FileFate } from './transactions.ts';
import type { WalClient } from './wal-client.ts';
import type { WalInsert } from './wal-insert.ts';

type Up<K extends UpOp['op']> = Extract<UpOp, { op: K }>;

const FORKS = 4;
const MAX_EXTEND = 512;
const MAX_BLOCKS = 0xfffffffe;

export class RelationFileService implements FileFate {
  readonly #smgr: StorageManager;
  readonly #relations: RelationDirectory;
  readonly #directory: PageDirectory;
  readonly #pool: BufferPool;
  readonly #io: PageIO;
  readonly #insert: WalInsert;
  readonly #wal: WalClient;
  readonly #fsm: FreeSpaceMap;
  readonly #instances: ReadonlySet<Instance>;
  readonly #log: Log;
  readonly #failpoint: Failpoint;
  readonly #onProgress: () => void;
  readonly #panic: (message: string) => never;
  /** The last piece of work on each fork. */
  readonly #work = new Map<ForkEntry, Promise<void>>();
  readonly #lengthWaiters = new Map<ForkEntry, (() => void)[]>();
  readonly #created = new Map<number, RelFileNode[]>();
  /** Truncations whose record is in WAL and whose file is not short yet. */
  readonly #truncations = new Set<Promise<void>>();
  /** Empty files to unlink after the next checkpoint; the running one must not take later ones. */
  #unlinkLater: RelFileNode[] = [];

  constructor(parts: {
    readonly smgr: StorageManager;
    readonly relations: RelationDirectory;
    readonly directory: PageDirectory;
    readonly pool: BufferPool;
    readonly io: PageIO;
    readonly insert: WalInsert;
    readonly wal: WalClient;
    readonly fsm: FreeSpaceMap;
    readonly instances: ReadonlySet<Instance>;
    readonly log: Log;
    readonly failpoint: Failpoint;
    readonly onProgress: () => void;
    readonly panic: (message: string) => never;
  }) {
    this.#smgr = parts.smgr;
    this.#relations = parts.relations;
    this.#directory = parts.directory;
    this.#pool = parts.pool;
    this.#io = parts.io;
    this.#insert = parts.insert;
    this.#wal = parts.wal;
    this.#fsm = parts.fsm;
    this.#instances = parts.instances;
    this.#log = parts.log;
    this.#failpoint = parts.failpoint;
    this.#onProgress = parts.onProgress;
    this.#panic = parts.panic;
  }

  /** Runs work on a fork behind what is already under way on it; errors become replies. */
  #enqueue(fork: ForkEntry, instance: Instance, reqId: number, run: () => Promise<void>): void {
    const answered = (): Promise<void> =>
      run().catch((error: unknown) => {
        const { sqlstate, message } = describe(error, fork);
        instance.reply(reqId, sqlstate, message);
      });
    void this.#after(fork, answered).then(this.#onProgress);
  }

  /** Runs work on a fork behind what is already under way on it. */
  #after(fork: ForkEntry, run: () => Promise<void>): Promise<void> {
    const work = (this.#work.get(fork) ?? Promise.resolve()).then(run);
    // Its failure is told to who asked for it; who comes behind it only waits for its end.
    const over = work
      .catch(() => {})
      .finally(() => {
        if (this.#work.get(fork) === over) this.#work.delete(fork);
      });
    this.#work.set(fork, over);
    return work;
  }

  async #knowLength(fork: ForkEntry): Promise<number> {
    if (fork.blocks >= 0) return fork.blocks;
    const blocks = await this.#smgr.nblocks(fork.rnode, fork.fork);
    // Dropped meanwhile, it is empty.
    if (fork.blocks >= 0) return fork.blocks;
    // A map may be missing; a table without its file is not an empty one.
    if (blocks === undefined && fork.fork === MAIN_FORKNUM)
      throw new RequestError(ERRCODE.UNDEFINED_FILE, noFile(fork));
    fork.blocks = blocks ?? 0;
    return fork.blocks;
  }

  nblocks(instance: Instance, op: Up<'nblocks'>): void {
    const fork = this.#relations.forkOf(op.rel, op.fork);
    if (fork.blocks >= 0 && !this.#work.has(fork)) return this.#tellLength(instance, op.reqId, fork);
    this.#enqueue(fork, instance, op.reqId, async () => {
      await this.#knowLength(fork);
      this.#tellLength(instance, op.reqId, fork);
    });
  }

  #tellLength(instance: Instance, reqId: number, fork: ForkEntry): void {
    if (instance.dead) return;
    fork.lengthHolders.add(instance);
    instance.put({ op: 'nblocks', reqId, rel: fork.rnode, fork: fork.fork, blocks: fork.blocks });
  }

  /** An instance forgot the length, or is dead. */
  lengthForgotten(holder: TokenHolder, fork: ForkEntry | undefined): void {
    if (fork === undefined || !fork.lengthHolders.delete(holder)) return;
    const waiters = this.#lengthWaiters.get(fork);
    if (waiters === undefined) return;
    this.#lengthWaiters.delete(fork);
    for (const wake of waiters) wake();
  }

  /** Nobody but `except` remembers the length any more. */
  async #takeLengthBack(fork: ForkEntry, except: Instance | undefined): Promise<void> {
    const asked = new Set<TokenHolder>();
    for (;;) {
      let others = false;
      for (const holder of fork.lengthHolders) {
        if (holder === except) continue;
        others = true;
        if (asked.has(holder)) continue;
        asked.add(holder);
        (holder as Instance).put({ op: 'recallNblocks', rel: fork.rnode, fork: fork.fork });
      }
      if (!others) return;
      this.#onProgress();
      await new Promise<void>(resolve => {
        const waiters = this.#lengthWaiters.get(fork);
        if (waiters === undefined) this.#lengthWaiters.set(fork, [resolve]);
        else waiters.push(resolve);
      });
    }
  }

  extend(instance: Instance, op: Up<'extend'>): void {
    const fork = this.#relations.forkOf(op.rel, op.fork);
    const count = Math.max(1, Math.min(op.count, MAX_EXTEND));
    this.#enqueue(fork, instance, op.reqId, async () => {
      const first = await this.#knowLength(fork);
      if (first + count > MAX_BLOCKS)
        throw new RequestError(
          ERRCODE.PROGRAM_LIMIT_EXCEEDED,
          `cannot extend file "${relationPath(fork.rnode, fork.fork)}" beyond ${MAX_BLOCKS} blocks`,
        );
      if (first === 0 && !(await this.#smgr.exists(fork.rnode, fork.fork))) {
        if (fork.fork === MAIN_FORKNUM) throw new RequestError(ERRCODE.UNDEFINED_FILE, noFile(fork));
        await this.#smgr.create(fork.rnode, fork.fork);
      }
      await this.#takeLengthBack(fork, instance);
      await this.#smgr.extend(fork.rnode, fork.fork, first, first + count);
      fork.blocks = first + count;
      if (instance.dead) return;
      const pages: PageEntry[] = [];
      for (let blk = first; blk < first + count; blk++) pages.push(this.#relations.page(fork, blk));
      const gen = this.#directory.grantFresh(instance, pages);
      instance.put({ op: 'extended', reqId: op.reqId, rel: op.rel, fork: op.fork, first, count, gen });
    });
  }

  create(instance: Instance, op: Up<'smgrCreate'>): void {
    const fork = this.#relations.forkOf(op.rel, op.fork);
    this.#enqueue(fork, instance, op.reqId, async () => {
      if (op.fork === 0 && (await this.#smgr.exists(op.rel, 0))) {
        throw new RequestError(
          ERRCODE.DUPLICATE_FILE,
          `could not create file "${relationPath(op.rel, 0)}": File exists`,
        );
      }
      await this.#failpoint('create-before-file');
      await this.#smgr.create(op.rel, op.fork as ForkNumber);
      await this.#failpoint('create-before-record');
      fork.blocks = 0;
      // Its transaction may have ended meanwhile: from here on, in one step, it is known whose file it is.
      if (instance.dead || (op.fxid !== 0 && !instance.undecided(op.fxid))) {
        await this.#smgr.unlink(op.rel, op.fork as ForkNumber, false);
        throw new RequestError(
          ERRCODE.IN_FAILED_SQL_TRANSACTION,
          `file "${relationPath(op.rel, op.fork as ForkNumber)}" was created by a transaction that is over`,
        );
      }
      if (op.fork === 0 && op.fxid !== 0) {
        const list = this.#created.get(op.fxid);
        if (list === undefined) this.#created.set(op.fxid, [op.rel]);
        else list.push(op.rel);
      }
      if (op.logged) {
        this.#insert.own(
          RM_SMGR_ID,
          XLOG_SMGR_CREATE | XLR_SPECIAL_REL_UPDATE,
          xidFromFull(op.fxid as FullTransactionId),
          encodeSmgrCreate(op.rel, op.fork as ForkNumber),
        );
      }
      instance.reply(op.reqId);
    });
  }

  truncate(instance: Instance, op: Up<'smgrTruncate'>): void {
    const fork = this.#relations.forkOf(op.rel, op.fork);
    this.#enqueue(fork, instance, op.reqId, async () => {
      if (op.fork !== 0) throw new RequestError(ERRCODE.FEATURE_NOT_SUPPORTED, 'only main forks are truncated');
      const blocks = await this.#knowLength(fork);
      if (op.blocks < blocks) {
        await this.#takeLengthBack(fork, undefined);
        await this.#failpoint('truncate-before-record');
        // Its lock died with it: by now somebody may have written to what was to go.
        if (instance.dead) return;
        this.#dropPages(fork, op.blocks);
        // The record must be durable before the file shrinks: otherwise a crash could leave pages
        // that later WAL (of a transaction that survives) believes are gone.
        const lsn = this.#insert.own(
          RM_SMGR_ID,
          XLOG_SMGR_TRUNCATE | XLR_SPECIAL_REL_UPDATE,
          0 as TransactionId,
          encodeSmgrTruncate(op.rel, op.blocks, SMGR_TRUNCATE_ALL),
        );
        const work = this.#truncateFiles(fork, op.blocks, lsn);
        this.#truncations.add(work);
        await work.finally(() => this.#truncations.delete(work));
      }
      instance.reply(op.reqId);
    });
  }

  /** Resolves when the truncations that are under way now are done. */
  truncations(): Promise<unknown> {
    return Promise.all(this.#truncations);
  }

  /** The copies of the pages are gone and WAL says that the files are short. If one cannot be made short, older
   *  versions of its pages would be found there: only replaying the record can help. */
  async #truncateFiles(fork: ForkEntry, blocks: number, lsn: number): Promise<void> {
    await this.#wal.flush(lsn);
    await this.#failpoint('truncate-before-file');
    try {
      await this.#io.writesBehind(fork, blocks);
      await this.#smgr.truncate(fork.rnode, 0, blocks);
      await this.#failpoint('truncate-after-file');
      fork.blocks = blocks;
      await this.#truncateMaps(fork.rnode, blocks);
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      this.#panic(`could not truncate file "${error.path}" to ${blocks} blocks: ${error.message}`);
    }
  }

  /** No map may speak of blocks that are gone: a block that comes back later is not all-visible. The
   *  map page of which only a part remains was seen to by who asks (visibilitymapPrepareTruncate). */
  async #truncateMaps(rel: RelFileNode, blocks: number): Promise<void> {
    const vm = this.#relations.forkOf(rel, VISIBILITYMAP_FORKNUM);
    const keep = mapPagesBefore(blocks);
    if ((await this.#knowLength(vm)) > keep) {
      await this.#takeLengthBack(vm, undefined);
      this.#dropPages(vm, keep);
      await this.#io.writesBehind(vm, keep);
      await this.#smgr.truncate(rel, VISIBILITYMAP_FORKNUM, keep);
      vm.blocks = keep;
    }
    this.#fsm.truncate(rel, blocks);
    await this.#smgr.unlink(rel, FSM_FORKNUM, false);
  }

  /** Behind whatever else happens to the fork: a map of a relation that was dropped is not written. */
  async writeFreeSpaceMap(space: RelationFreeSpace): Promise<void> {
    const fork = this.#relations.forkOf(space.rel, FSM_FORKNUM);
    await this.#after(fork, async () => {
      if (!space.changed || this.#relations.forkOf(space.rel, 0).blocks === 0) return;
      space.changed = false;
      try {
        await writeFsmFork(this.#smgr, space);
      } catch (error) {
        space.changed = true;
        throw error;
      }
    });
  }

  /** Voids every copy of the fork's pages from `from` on. */
  #dropPages(fork: ForkEntry, from: number): void {
    for (const instance of this.#instances) {
      instance.put({ op: 'dropRelationBuffers', rel: fork.rnode, fork: fork.fork, from });
    }
    this.dropEntries(fork, from);
  }

  dropEntries(fork: ForkEntry, from: number): void {
    for (const page of [...fork.pages.values()]) {
      if (page.blk < from) continue;
      for (const holder of this.#directory.drop(page)) {
        (holder as Instance).put({
          op: 'readFailed',
          rel: fork.rnode,
          fork: fork.fork,
          blk: page.blk,
          sqlstate: ERRCODE.DATA_CORRUPTED,
          message: `could not read block ${page.blk} in file "${relationPath(fork.rnode, fork.fork)}": the relation was truncated`,
        });
      }
      this.#pool.release(page);
      fork.pages.delete(page.blk);
      this.#io.imageSettled(page);
    }
  }

  // ---- what becomes of files at the end of a transaction -------------------------------------------

  get createdCount(): number {
    return this.#created.size;
  }

  keepCreated(fxid: number): void {
    this.#created.delete(fxid);
  }

  dropCreated(fxid: number): void {
    const rels = this.#created.get(fxid);
    if (rels === undefined) return;
    this.#created.delete(fxid);
    this.drop(rels);
  }

  drop(rels: readonly RelFileNode[]): void {
    for (const rel of rels) {
      for (const instance of this.#instances)
        instance.put({ op: 'dropRelationBuffers', rel, fork: ALL_FORKS, from: 0 });
      for (let n = 0; n < FORKS; n++) {
        const fork = this.#relations.forkOf(rel, n);
        this.dropEntries(fork, 0);
        fork.blocks = 0;
        fork.lengthHolders.clear();
        void this.#after(fork, async () => {
          await this.#failpoint('drop-before-unlink');
          await this.#unlink(rel, n as ForkNumber, n === 0);
        });
      }
      this.#fsm.forget(rel);
      this.#unlinkLater.push(rel);
    }
  }

  /** At a checkpoint's redo point: what is to be unlinked when it is complete. */
  takeUnlinks(): readonly RelFileNode[] {
    const rels = this.#unlinkLater;
    this.#unlinkLater = [];
    return rels;
  }

  /** All forks, also those that could not be removed when the relation was dropped; the main fork last, for as long
   *  as there is one the number is not given out. What cannot be removed now is for the next checkpoint. */
  async unlinkNow(rels: readonly RelFileNode[]): Promise<void> {
    for (const rel of rels) {
      let gone = true;
      for (let n = FORKS - 1; n >= 0 && gone; n--) {
        await this.#work.get(this.#relations.forkOf(rel, n));
        gone = await this.#unlink(rel, n as ForkNumber, false);
      }
      if (gone) this.#relations.forget(rel);
      else this.#unlinkLater.push(rel);
    }
  }

  async #unlink(rel: RelFileNode, fork: ForkNumber, keepFirst: boolean): Promise<boolean> {
    try {
      await this.#smgr.unlink(rel, fork, keepFirst);
      return true;
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      this.#log.write('WARNING', `could not remove file "${error.path}": ${error.message}`);
      return false;
    }
  }

  /** The checkpoint failed: the next one unlinks them. */
  unlinkAgain(rels: readonly RelFileNode[]): void {
    this.#unlinkLater.unshift(...rels);
  }

  instanceDied(instance: Instance): void {
    for (const fork of this.#relations.forks()) this.lengthForgotten(instance, fork);
  }
}

const HEAPBLOCKS_PER_VM_PAGE = (BLCKSZ - 24) * 4;

/** Visibility map pages that have bits of heap blocks before `blocks`. */
export function mapPagesBefore(blocks: number): number {
  return Math.ceil(blocks / HEAPBLOCKS_PER_VM_PAGE);
}

function noFile({ rnode, fork }: ForkEntry): string {
  return `could not open file "${relationPath(rnode, fork)}": No such file or directory`;
}

class RequestError extends Error {
  override readonly name = 'RequestError';
  readonly sqlstate: string;
  constructor(sqlstate: string, message: string) {
    super(message);
    this.sqlstate = sqlstate;
  }
}

function describe(error: unknown, fork: ForkEntry): { readonly sqlstate: string; readonly message: string } {
  if (error instanceof RequestError) return { sqlstate: error.sqlstate, message: error.message };
  if (isMissing(error)) return { sqlstate: ERRCODE.UNDEFINED_FILE, message: noFile(fork) };
  if (error instanceof DiskError) {
    // Only what makes a file longer, or a new one, needs room.
    if (error.code === 'ENOSPC')
      return {
        sqlstate: ERRCODE.DISK_FULL,
        message: `could not extend file "${error.path}": No space left on device`,
      };
    return { sqlstate: ERRCODE.IO_ERROR, message: `could not access file "${error.path}": ${error.message}` };
  }
  throw new Error(`work on ${formatRelFileNode(fork.rnode)} failed`, { cause: error });
}
