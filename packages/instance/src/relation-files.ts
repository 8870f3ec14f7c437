/**
 * A relation's files as one instance knows them: which blocks are in the page cache, how long each
 * fork is, which fresh blocks were granted and not used yet. One object per RelFileNode, found
 * through `smgropen`, so that access methods hold it and never look anything up.
 */
import type { BlockNumber, ForkNumber, Oid, RelFileNode } from '@pgtroupe/common/ids';
import type { SmgrRelation } from '@pgtroupe/storage/buffer/pages';

export const FORK_COUNT = 4;
const UNKNOWN = -1;
/** Blocks that an extension asks for: doubles up to this, and a little more for large forks. */
const EXTEND_BY_SMALL = 64;
const MAX_EXTEND_BY = 128;
/** Fresh blocks kept ahead of who fills page after page: what is used while an extension is awaited. An
 *  eighth of the fork at most, for they may never be used. */
const MAX_EXTEND_AHEAD = 256;

export class RelationFork {
  readonly files: RelationFiles;
  readonly fork: ForkNumber;
  /** Block number to cache slot; -1 is absent. Grown on demand. */
  slots = new Int32Array(16).fill(-1);
  /** Blocks, while the right to remember it is held; otherwise -1. */
  blocks = UNKNOWN;
  /** Blocks granted by an extension that nobody initialised yet, oldest first. */
  fresh: BlockNumber[] = [];
  /** How many blocks the next extension asks for; doubles while extensions follow each other. */
  extendBy = 1;

  constructor(files: RelationFiles, fork: ForkNumber) {
    this.files = files;
    this.fork = fork;
  }

  /** For maps: one string per fork of a relation. */
  get key(): string {
    const { spcNode, dbNode, relNode } = this.files.rnode;
    return `${spcNode}/${dbNode}/${relNode}/${this.fork}`;
  }

  /** It should be extended before its fresh blocks are used up. `most`: fresh blocks the cache has room for. */
  runsLow(most: number): boolean {
    return this.fresh.length < Math.min(this.blocks >> 3, MAX_EXTEND_AHEAD, most);
  }

  /** The next extension asks for more than the last. */
  extendMore(): void {
    this.extendBy = Math.min(2 * this.extendBy, Math.max(EXTEND_BY_SMALL, this.blocks >> 4), MAX_EXTEND_BY);
  }

  slotOf(blk: BlockNumber): number {
    return blk < this.slots.length ? this.slots[blk]! : -1;
  }

  setSlot(blk: BlockNumber, slot: number): void {
    if (blk >= this.slots.length) {
      const grown = new Int32Array(Math.max(blk + 1, 2 * this.slots.length)).fill(-1);
      grown.set(this.slots);
      this.slots = grown;
    }
    this.slots[blk] = slot;
  }

  forget(): void {
    this.slots.fill(-1);
    this.blocks = UNKNOWN;
    this.fresh = [];
    this.extendBy = 1;
  }
}

export class RelationFiles implements SmgrRelation {
  readonly rnode: RelFileNode;
  readonly forks: readonly RelationFork[];
  /** The relation was dropped here: what the buffer-manager answers is for other files by now. */
  gone = false;
  /** Answer of the free space map that the retry of `freePage` is about to take. */
  freePageAnswer: { readonly need: number; readonly blk: number } | undefined;
  targetBlock = -1;
  /** Whose files they are, as far as anybody here has said; 0: nobody has. */
  relation = 0 as Oid;
  /** Pages that were asked for and given since that was reported, and those that were not at hand. */
  fetched = 0;
  read = 0;

  constructor(rnode: RelFileNode) {
    this.rnode = rnode;
    this.forks = Array.from({ length: FORK_COUNT }, (_, n) => new RelationFork(this, n as ForkNumber));
  }
}

/** All relations this instance has touched. */
export class RelationDirectory {
  /** dbNode, then relNode; the list tells tablespaces apart and nearly always has one element. */
  readonly #byNode = new Map<number, Map<number, RelationFiles[]>>();

  smgropen(rnode: RelFileNode): RelationFiles {
    let database = this.#byNode.get(rnode.dbNode);
    if (database === undefined) this.#byNode.set(rnode.dbNode, (database = new Map()));
    let list = database.get(rnode.relNode);
    if (list === undefined) database.set(rnode.relNode, (list = []));
    for (const files of list) if (files.rnode.spcNode === rnode.spcNode) return files;
    const files = new RelationFiles(rnode);
    list.push(files);
    return files;
  }

  *all(): IterableIterator<RelationFiles> {
    for (const database of this.#byNode.values()) for (const list of database.values()) yield* list;
  }

  /** The relation's, if anybody here has asked for them. */
  find(rnode: RelFileNode): RelationFiles | undefined {
    const list = this.#byNode.get(rnode.dbNode)?.get(rnode.relNode);
    return list?.find(files => files.rnode.spcNode === rnode.spcNode);
  }

  /** The relation is gone for good: its number is not given out again while anybody can remember it. */
  remove(files: RelationFiles): void {
    const { rnode } = files;
    files.gone = true;
    const database = this.#byNode.get(rnode.dbNode);
    const rest = database?.get(rnode.relNode)?.filter(other => other.rnode.spcNode !== rnode.spcNode);
    if (rest === undefined || rest.length === 0) database?.delete(rnode.relNode);
    else database!.set(rnode.relNode, rest);
  }

  /** Everything remembered about every relation is void (the buffer-manager died). */
  forgetAll(): void {
    for (const files of this.all()) {
      files.freePageAnswer = undefined;
      files.targetBlock = -1;
      for (const fork of files.forks) fork.forget();
    }
  }
}
