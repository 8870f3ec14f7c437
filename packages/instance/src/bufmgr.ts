/**
 * The page cache of one instance: pages held under tokens of the buffer-manager.
 *
 * A token is kept until it is recalled or its slot is needed. Recalls are honoured between turns of
 * the event loop, never inside a synchronous stretch; a page granted in this very turn is given one
 * turn of use first, so that two instances that want the same page both make progress. Two that want
 * the same two pages: see tug-of-war.ts.
 *
 * States of a slot: free -> shared | exclusive -> free; shared -> exclusive (upgrade);
 * exclusive -> shared (downgrade by recall). `changed` says that a logged change happened under the
 * exclusive token since the image was last sent; only then does an image travel.
 */
import type { Env } from '@pgtroupe/actor/env';
import { assert } from '@pgtroupe/common/assert';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { PgError } from '@pgtroupe/common/ereport';
import { BLCKSZ, type BlockNumber, type ForkNumber, formatRelFileNode } from '@pgtroupe/common/ids';
import { replyError } from './replyerror.ts';
import type { Attachment } from './attachment.ts';
import { ALL_FORKS, type DownOp, TOKEN_EXCLUSIVE, TOKEN_SHARED } from '@pgtroupe/rpc/attach/ops';
import {
  type Memory,
  MISS,
  NO_BLOCK,
  type PageAccess,
  type SmgrRelation,
  type Want,
} from '@pgtroupe/storage/buffer/pages';
import { RelationDirectory, RelationFiles, type RelationFork } from './relation-files.ts';
import { TugOfWar } from './tug-of-war.ts';

const FREE = 0;
const MAX_USAGE = 5;
/** Pages given back in one message. */
const GIVE_BACK_SLICE = 32;
/** A fork's fresh blocks, all of which are granted at once, take this part of the cache at most. */
const FRESH_PART = 16;
const NO_FREE_PAGE = 0xffffffff;
const EMPTY = new Uint8Array(0);

interface PendingRead {
  readonly fork: RelationFork;
  readonly blk: BlockNumber;
  mode: number;
  /** Requests without an answer. Until there is none the page stays: an upgrade's grant has no image. */
  asked: number;
  readonly waiters: { readonly mode: number; resolve(): void; reject(error: Error): void }[];
}

export class PageCache implements PageAccess {
  readonly mem: Memory;
  readonly relations = new RelationDirectory();
  want: Want = { kind: 'none' };

  readonly #env: Env;
  readonly #attachment: Attachment;
  readonly #slotCount: number;
  readonly #state: Uint8Array;
  readonly #generation: Uint32Array;
  readonly #usage: Uint8Array;
  readonly #changed: Uint8Array;
  readonly #block: Uint32Array;
  readonly #fork: (RelationFork | undefined)[];
  /** Turn in which the slot was granted, for the one turn of use. */
  readonly #grantedTurn: Uint32Array;
  #turn = 1;
  #turnEnds = false;
  /** Checkpoint number whose redo point this page's last full image follows. */
  readonly fpiNumber: Uint32Array;
  readonly #freeSlots: number[] = [];
  #hand = 0;
  readonly #reads = new Map<RelationFork, Map<BlockNumber, PendingRead>>();
  readonly #calls = new Map<string, Promise<void>>();
  readonly #tugOfWar: TugOfWar;
  /** Recalls put off until the next turn. */
  #deferred: Extract<DownOp, { op: 'recallBuffer' }>[] = [];

  /** Pages that were asked for and given; that were changed for the first time since their image was sent. */
  fetched = 0;
  dirtied = 0;
  /** Number of the checkpoint that full-page images must follow, and whether its window is open. */
  checkpointNumber = 0;
  forceFpi = false;
  #redo = 0;

  constructor(env: Env, attachment: Attachment, mem: Memory, slots: number) {
    this.#env = env;
    this.#attachment = attachment;
    this.mem = mem;
    this.#slotCount = slots;
    this.#tugOfWar = new TugOfWar(env);
    this.#state = new Uint8Array(slots);
    this.#generation = new Uint32Array(slots);
    this.#usage = new Uint8Array(slots);
    this.#changed = new Uint8Array(slots);
    this.#block = new Uint32Array(slots);
    this.#fork = new Array<RelationFork | undefined>(slots);
    this.#grantedTurn = new Uint32Array(slots);
    this.fpiNumber = new Uint32Array(slots);
    for (let slot = slots - 1; slot >= 0; slot--) this.#freeSlots.push(slot);
    attachment.on('grantBuffer', op => this.#granted(op));
    attachment.on('readFailed', op => this.#readFailed(op));
    attachment.on('recallBuffer', op => this.#recalled(op));
    attachment.on('writeback', op => this.#writeback(op));
    attachment.on('dropRelationBuffers', op => this.#dropped(op));
    // Here and not where it is awaited: its recall may come in the same batch, and is right behind it.
    attachment.on('nblocks', op => {
      const files = this.relations.find(op.rel);
      if (files !== undefined) files.forks[op.fork]!.blocks = op.blocks;
      attachment.answer(op.reqId, op);
    });
    attachment.on('recallNblocks', op => {
      const files = this.relations.find(op.rel);
      if (files !== undefined) files.forks[op.fork]!.blocks = -1;
      attachment.putUnawaited({ op: 'nblocksAck', rel: op.rel, fork: op.fork });
    });
    attachment.on('extended', op => this.#extended(op));
    attachment.on('forceFpi', op => {
      this.forceFpi = true;
      attachment.putUnawaited({ op: 'forceFpiAck', n: op.n });
    });
    attachment.on('redoRecPtr', op => {
      this.forceFpi = false;
      this.checkpointNumber = op.n;
      this.#redo = op.lsn;
    });
  }

  /** A new life of the buffer-manager; everything from the old one was forgotten by `reset`. */
  attach(welcome: { readonly fpiN: number; readonly fpiOpen: boolean; readonly redo: number }): void {
    this.checkpointNumber = welcome.fpiN;
    this.forceFpi = welcome.fpiOpen;
    this.#redo = welcome.redo;
    // What was asked for while there was nobody to ask is asked now.
    for (const [fork, byBlock] of this.#reads) {
      for (const read of byBlock.values()) {
        read.asked = 1;
        this.#attachment.put({
          op: 'readBuffer',
          rel: fork.files.rnode,
          fork: fork.fork,
          blk: read.blk,
          mode: read.mode,
        });
      }
    }
  }

  /** All tokens are void. */
  reset(error: () => Error): void {
    this.relations.forgetAll();
    this.#state.fill(FREE);
    this.#changed.fill(0);
    this.#fork.fill(undefined);
    this.#deferred = [];
    this.#freeSlots.length = 0;
    for (let slot = this.#slotCount - 1; slot >= 0; slot--) this.#freeSlots.push(slot);
    const reads = [...this.#reads.values()].flatMap(byBlock => [...byBlock.values()]);
    this.#reads.clear();
    for (const read of reads) for (const waiter of read.waiters) waiter.reject(error());
  }

  // ---- PageAccess ----------------------------------------------------------------------------

  share(rel: SmgrRelation, fork: ForkNumber, blk: BlockNumber): number {
    const files = rel as RelationFiles;
    const slots = files.forks[fork]!.slots;
    const slot = blk < slots.length ? slots[blk]! : -1;
    if (slot >= 0) {
      files.fetched++;
      this.fetched++;
      if (this.#usage[slot]! < MAX_USAGE) this.#usage[slot]!++;
      return slot * BLCKSZ;
    }
    this.want = { kind: 'page', rel, fork, blk, exclusive: false };
    return MISS;
  }

  exclusive(rel: SmgrRelation, fork: ForkNumber, blk: BlockNumber): number {
    const files = rel as RelationFiles;
    const slots = files.forks[fork]!.slots;
    const slot = blk < slots.length ? slots[blk]! : -1;
    if (slot >= 0 && this.#state[slot] === TOKEN_EXCLUSIVE) {
      files.fetched++;
      this.fetched++;
      if (this.#usage[slot]! < MAX_USAGE) this.#usage[slot]!++;
      return slot * BLCKSZ;
    }
    this.want = { kind: 'page', rel, fork, blk, exclusive: true };
    return MISS;
  }

  nblocks(rel: SmgrRelation, fork: ForkNumber): number {
    const blocks = (rel as RelationFiles).forks[fork]!.blocks;
    if (blocks >= 0) return blocks;
    this.want = { kind: 'nblocks', rel, fork };
    return MISS;
  }

  newBlock(rel: SmgrRelation, forkNumber: ForkNumber, nth = 0): number {
    const fork = (rel as RelationFiles).forks[forkNumber]!;
    const blk = fork.fresh[nth];
    if (blk === undefined) {
      this.want = { kind: 'extend', rel, fork: forkNumber };
      return MISS;
    }
    return this.exclusive(rel, forkNumber, blk) === MISS ? MISS : blk;
  }

  useNewBlock(rel: SmgrRelation, forkNumber: ForkNumber, blk: BlockNumber): void {
    const fork = (rel as RelationFiles).forks[forkNumber]!;
    assert(fork.fresh[0] === blk, `block ${blk} is not the next fresh one`);
    fork.fresh.shift();
    // An extension that fails is asked for again, and then heard of, by who runs out of fresh blocks.
    if (fork.runsLow(this.#freshMost) && !this.#calls.has(`e${fork.key}`)) this.extendRelation(fork).catch(() => {});
  }

  freePage(rel: SmgrRelation, need: number): number {
    const files = rel as RelationFiles;
    const answer = files.freePageAnswer;
    if (answer !== undefined && answer.need === need) {
      files.freePageAnswer = undefined;
      return answer.blk === NO_FREE_PAGE ? NO_BLOCK : answer.blk;
    }
    this.want = { kind: 'freePage', rel, need };
    return MISS;
  }

  recordFreeSpace(rel: SmgrRelation, blk: BlockNumber, availBytes: number): void {
    this.#attachment.putLazily({ op: 'recordFreeSpace', rel: rel.rnode, blk, avail: availBytes });
  }

  // ---- for the WAL inserter --------------------------------------------------------------------

  /** Whose page is at this offset. */
  forkAt(page: number): RelationFork {
    const fork = this.#fork[page / BLCKSZ];
    assert(fork !== undefined, `no page at offset ${page}`);
    return fork;
  }

  blockAt(page: number): BlockNumber {
    return this.#block[page / BLCKSZ] as BlockNumber;
  }

  /** A logged change was made to the page at this offset. */
  markChanged(page: number): void {
    const slot = page / BLCKSZ;
    assert(this.#state[slot] === TOKEN_EXCLUSIVE, 'changed a page without its exclusive token');
    if (this.#changed[slot] === 0) this.dirtied++;
    this.#changed[slot] = 1;
  }

  // ---- obtaining what a MISS lacked ------------------------------------------------------------

  /** Obtains the page, its token and a slot. */
  readBuffer(fork: RelationFork, blk: BlockNumber, exclusive: boolean): Promise<void> {
    if (fork.files.gone) return Promise.reject(dropped(fork));
    const mode = exclusive ? TOKEN_EXCLUSIVE : TOKEN_SHARED;
    let byBlock = this.#reads.get(fork);
    if (byBlock === undefined) this.#reads.set(fork, (byBlock = new Map()));
    let read = byBlock.get(blk);
    if (read === undefined) {
      byBlock.set(blk, (read = { fork, blk, mode: 0, asked: 0, waiters: [] }));
      // Who has the page shared only wants more of it.
      if (fork.slotOf(blk) < 0) fork.files.read++;
    }
    const pending = read;
    const done = new Promise<void>((resolve, reject) => pending.waiters.push({ mode, resolve, reject }));
    if (pending.mode < mode) {
      pending.mode = mode;
      pending.asked++;
      this.#attachment.put({ op: 'readBuffer', rel: fork.files.rnode, fork: fork.fork, blk, mode });
    }
    return done;
  }

  /** Learns a fork's length. */
  fetchNblocks(fork: RelationFork): Promise<void> {
    return this.#once(`n${fork.key}`, async () => {
      const op = await this.#attachment.request(reqId => ({
        op: 'nblocks',
        reqId,
        rel: fork.files.rnode,
        fork: fork.fork,
      }));
      if (op.op === 'reply') throw replyError(op);
      assert(op.op === 'nblocks', `answer ${op.op} to nblocks`);
    });
  }

  get #freshMost(): number {
    return Math.ceil(this.#slotCount / FRESH_PART);
  }

  /** Asks for fresh blocks at the end of a fork. */
  extendRelation(fork: RelationFork): Promise<void> {
    return this.#once(`e${fork.key}`, async () => {
      const op = await this.#attachment.request(reqId => ({
        op: 'extend',
        reqId,
        rel: fork.files.rnode,
        fork: fork.fork,
        count: Math.min(fork.extendBy, this.#freshMost),
      }));
      fork.extendMore();
      if (op.op === 'reply') throw replyError(op);
    });
  }

  async fetchFreePage(files: RelationFiles, need: number): Promise<void> {
    const op = await this.#attachment.request(reqId => ({ op: 'getFreePage', reqId, rel: files.rnode, need }));
    if (op.op === 'reply') throw replyError(op);
    assert(op.op === 'freePage', `answer ${op.op} to getFreePage`);
    files.freePageAnswer = { need, blk: op.blk };
  }

  /** Sessions that lack the same thing share one request. */
  #once(key: string, run: () => Promise<void>): Promise<void> {
    const running = this.#calls.get(key);
    if (running !== undefined) return running;
    const promise = run().finally(() => this.#calls.delete(key));
    this.#calls.set(key, promise);
    return promise;
  }

  /** Sends every page that was changed here home: after an orderly end nothing must be rebuilt from WAL. */
  async giveBack(): Promise<void> {
    let sent = 0;
    for (let slot = 0; slot < this.#slotCount; slot++) {
      if (this.#state[slot] !== TOKEN_EXCLUSIVE || this.#changed[slot] === 0) continue;
      this.#release(slot, 0);
      if (++sent % GIVE_BACK_SLICE === 0) await new Promise<void>(resolve => this.#env.timers.soon(resolve));
    }
  }

  // ---- operations of the buffer-manager ------------------------------------------------------

  #granted(op: Extract<DownOp, { op: 'grantBuffer' }>): void {
    const fork = this.relations.smgropen(op.rel).forks[op.fork]!;
    const blk = op.blk as BlockNumber;
    let slot = fork.slotOf(blk);
    if (slot < 0) {
      assert(op.image.length === BLCKSZ, `grant of ${blk} without an image`);
      slot = this.#install(fork, blk);
    }
    if (op.image.length > 0) {
      this.mem.u8.set(op.image, slot * BLCKSZ);
      this.#changed[slot] = 0;
      this.#noteImageAge(slot);
    }
    this.#state[slot] = op.mode;
    this.#generation[slot] = op.gen;
    this.#markGranted(slot);
    const byBlock = this.#reads.get(fork);
    const read = byBlock?.get(blk);
    if (read === undefined) return;
    for (const waiter of read.waiters.splice(0)) {
      if (waiter.mode <= op.mode) waiter.resolve();
      else read.waiters.push(waiter);
    }
    this.#answered(byBlock!, read);
  }

  /** One of the page's requests has its answer. */
  #answered(byBlock: Map<BlockNumber, PendingRead>, read: PendingRead): void {
    if (--read.asked > 0) return;
    assert(read.waiters.length === 0, 'every waiter has its request');
    byBlock.delete(read.blk);
    if (byBlock.size === 0) this.#reads.delete(read.fork);
  }

  /** A page whose LSN lies behind the redo point already has its image in the WAL. */
  #noteImageAge(slot: number): void {
    const at = (slot * BLCKSZ) >> 2;
    const lsn = this.mem.u32[at]! * 0x100000000 + this.mem.u32[at + 1]!;
    this.fpiNumber[slot] = lsn > this.#redo ? this.checkpointNumber : this.checkpointNumber - 1;
  }

  #markGranted(slot: number): void {
    if (this.#usage[slot] === 0) this.#usage[slot] = 1;
    this.#grantedTurn[slot] = this.#turn;
    if (!this.#turnEnds) {
      this.#turnEnds = true;
      this.#env.timers.soon(() => this.#endTurn());
    }
  }

  #endTurn(): void {
    this.#turnEnds = false;
    this.#turn++;
    const deferred = this.#deferred;
    if (deferred.length === 0) return;
    this.#deferred = [];
    for (const op of deferred) this.#recalled(op);
  }

  #readFailed(op: Extract<DownOp, { op: 'readFailed' }>): void {
    const fork = this.relations.smgropen(op.rel).forks[op.fork]!;
    const byBlock = this.#reads.get(fork);
    const read = byBlock?.get(op.blk as BlockNumber);
    if (read === undefined) return;
    const error = replyError(op);
    for (const waiter of read.waiters.splice(0)) waiter.reject(error);
    this.#answered(byBlock!, read);
  }

  #recalled(op: Extract<DownOp, { op: 'recallBuffer' }>): void {
    const fork = this.relations.find(op.rel)?.forks[op.fork];
    if (fork === undefined) return;
    const slot = fork.slotOf(op.blk as BlockNumber);
    if (slot < 0 || this.#generation[slot] !== op.gen) return;
    if (this.#grantedTurn[slot] === this.#turn) {
      this.#deferred.push(op);
      return;
    }
    const holdBackMs = this.#holdBackMs(fork, op.blk as BlockNumber);
    if (holdBackMs === 0) return this.#release(slot, op.to);
    this.#env.timers.after(holdBackMs, () => {
      const later = fork.slotOf(op.blk as BlockNumber);
      if (later >= 0 && this.#generation[later] === op.gen) this.#release(later, op.to);
    });
  }

  /** How long the page is kept in spite of its recall: somebody here may need it together with one
   *  that is on its way. */
  #holdBackMs(fork: RelationFork, blk: BlockNumber): number {
    const others = this.#reads.size - (this.#reads.get(fork)?.size === 1 && this.#reads.get(fork)!.has(blk) ? 1 : 0);
    if (others === 0) return 0;
    return this.#tugOfWar.holdBackMs(`${fork.key}/${blk}`);
  }

  /** exclusive | shared -> free, or exclusive -> shared */
  #release(slot: number, to: number): void {
    const fork = this.#fork[slot]!;
    const blk = this.#block[slot]! as BlockNumber;
    this.#attachment.putUnawaited({
      op: 'releaseBuffer',
      rel: fork.files.rnode,
      fork: fork.fork,
      blk,
      gen: this.#generation[slot]!,
      to,
      image: this.#changed[slot] === 1 ? this.#image(slot) : EMPTY,
    });
    this.#changed[slot] = 0;
    if (to === TOKEN_SHARED) this.#state[slot] = TOKEN_SHARED;
    else this.#free(slot);
  }

  #writeback(op: Extract<DownOp, { op: 'writeback' }>): void {
    const fork = this.relations.find(op.rel)?.forks[op.fork];
    if (fork === undefined) return;
    const slot = fork.slotOf(op.blk as BlockNumber);
    if (slot < 0 || this.#generation[slot] !== op.gen || this.#state[slot] !== TOKEN_EXCLUSIVE) return;
    this.#attachment.putUnawaited({
      op: 'bufferImage',
      rel: op.rel,
      fork: op.fork,
      blk: op.blk,
      gen: op.gen,
      image: this.#image(slot),
    });
    this.#changed[slot] = 0;
  }

  #image(slot: number): Uint8Array {
    return this.mem.u8.subarray(slot * BLCKSZ, (slot + 1) * BLCKSZ);
  }

  #dropped(op: Extract<DownOp, { op: 'dropRelationBuffers' }>): void {
    const files = this.relations.find(op.rel);
    if (files === undefined) return;
    for (const fork of files.forks) {
      if (op.fork !== ALL_FORKS && op.fork !== fork.fork) continue;
      for (let blk = op.from; blk < fork.slots.length; blk++) {
        const slot = fork.slots[blk]!;
        if (slot >= 0) this.#free(slot);
      }
      fork.fresh = fork.fresh.filter(blk => blk < op.from);
      fork.blocks = -1;
      fork.extendBy = 1;
    }
    files.freePageAnswer = undefined;
    files.targetBlock = -1;
    // Whoever still waits for one of its pages is told that there is none, by its files.
    if (op.fork === ALL_FORKS && files.forks.every(fork => !this.#reads.has(fork))) this.relations.remove(files);
  }

  #extended(op: Extract<DownOp, { op: 'extended' }>): void {
    const fork = this.relations.smgropen(op.rel).forks[op.fork]!;
    for (let i = 0; i < op.count; i++) {
      const blk = (op.first + i) as BlockNumber;
      const slot = this.#install(fork, blk);
      this.mem.u8.fill(0, slot * BLCKSZ, (slot + 1) * BLCKSZ);
      this.#changed[slot] = 0;
      this.fpiNumber[slot] = this.checkpointNumber - 1;
      this.#state[slot] = TOKEN_EXCLUSIVE;
      this.#generation[slot] = op.gen;
      this.#markGranted(slot);
      fork.fresh.push(blk);
    }
    if (fork.blocks >= 0) fork.blocks = Math.max(fork.blocks, op.first + op.count);
    this.#attachment.answer(op.reqId, op);
  }

  // ---- slots -----------------------------------------------------------------------------------

  #install(fork: RelationFork, blk: BlockNumber): number {
    const slot = this.#freeSlots.pop() ?? this.#evict();
    this.#fork[slot] = fork;
    this.#block[slot] = blk;
    fork.setSlot(blk, slot);
    return slot;
  }

  #free(slot: number): void {
    const fork = this.#fork[slot]!;
    fork.setSlot(this.#block[slot]! as BlockNumber, -1);
    this.#fork[slot] = undefined;
    this.#state[slot] = FREE;
    this.#changed[slot] = 0;
    this.#freeSlots.push(slot);
  }

  /** Clock sweep. Pages granted in this turn are passed over: their waiter has not run yet. */
  #evict(): number {
    for (let tries = 0; tries < this.#slotCount * (MAX_USAGE + 2); tries++) {
      const slot = this.#hand;
      this.#hand = (slot + 1) % this.#slotCount;
      if (this.#state[slot] === FREE || this.#grantedTurn[slot] === this.#turn) continue;
      if (this.#pendingUpgrade(slot)) continue;
      if (this.#usage[slot]! > 0) {
        this.#usage[slot]!--;
        continue;
      }
      this.#release(slot, 0);
      const freed = this.#freeSlots.pop();
      assert(freed !== undefined, 'a released slot is free');
      return freed;
    }
    throw new PgError(ERRCODE.INSUFFICIENT_RESOURCES, 'no unpinned buffers available', {
      hint: 'Raise instance_buffers.',
    });
  }

  /** A shared page whose exclusive token is on its way must stay: the grant carries no image. */
  #pendingUpgrade(slot: number): boolean {
    return this.#reads.get(this.#fork[slot]!)?.has(this.#block[slot]! as BlockNumber) === true;
  }
}

/** Whoever kept the files of a relation for longer than its lock. */
function dropped({ files }: RelationFork): PgError {
  return new PgError(
    ERRCODE.UNDEFINED_FILE,
    `could not read from relation ${formatRelFileNode(files.rnode)}: it was dropped`,
  );
}
