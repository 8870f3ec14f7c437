/**
 * The free space map, in memory: per heap block one byte, free bytes / 32 as in PostgreSQL's FSM, and
 * the best value of every 256 blocks so that a search skips what is full. Advisory: a wrong answer
 * costs a retry. Filled from the FSM fork when a relation is first asked about, written back at
 * checkpoints (fsm-fork.ts).
 */
import type { RelFileNode } from '@pgtroupe/common/ids';
import { formatRelFileNode } from '@pgtroupe/common/ids';

export const FSM_CAT_STEP = 32;
const GROUP = 256;
const NONE = 0xffffffff;

export class RelationFreeSpace {
  readonly rel: RelFileNode;
  cats = new Uint8Array(GROUP);
  #best = new Uint8Array(1);
  blocks = 0;
  #next = 0;
  /** Differs from the fork on disk. */
  changed = false;
  /** The fork on disk was read. */
  loaded: Promise<void> | undefined;

  constructor(rel: RelFileNode) {
    this.rel = rel;
  }

  set(blk: number, cat: number): void {
    if (blk >= this.cats.length) {
      const grown = new Uint8Array(Math.ceil(Math.max(blk + 1, 2 * this.cats.length) / GROUP) * GROUP);
      grown.set(this.cats);
      this.cats = grown;
      const best = new Uint8Array(grown.length / GROUP);
      best.set(this.#best);
      this.#best = best;
    }
    if (this.cats[blk] === cat) return;
    this.cats[blk] = cat;
    this.changed = true;
    if (blk >= this.blocks) this.blocks = blk + 1;
    const group = Math.floor(blk / GROUP);
    let best = 0;
    for (let n = group * GROUP; n < (group + 1) * GROUP; n++) if (this.cats[n]! > best) best = this.cats[n]!;
    this.#best[group] = best;
  }

  /** A block with at least this category, searching on from the last answer; NONE if there is none. */
  find(cat: number): number {
    const groups = Math.ceil(this.blocks / GROUP);
    const start = Math.floor(this.#next / GROUP);
    for (let n = 0; n <= groups; n++) {
      const group = (start + n) % Math.max(groups, 1);
      if ((this.#best[group] ?? 0) < cat) continue;
      const from = n === 0 ? this.#next : group * GROUP;
      for (let blk = from; blk < (group + 1) * GROUP && blk < this.blocks; blk++) {
        if (this.cats[blk]! >= cat) {
          this.#next = blk;
          return blk;
        }
      }
    }
    return NONE;
  }

  truncate(blocks: number): void {
    for (let blk = blocks; blk < this.blocks; blk++) this.set(blk, 0);
    this.blocks = Math.min(this.blocks, blocks);
    this.#next = Math.min(this.#next, blocks);
  }
}

export class FreeSpaceMap {
  readonly #relations = new Map<string, RelationFreeSpace>();

  of(rel: RelFileNode): RelationFreeSpace {
    const key = formatRelFileNode(rel);
    let space = this.#relations.get(key);
    if (space === undefined) this.#relations.set(key, (space = new RelationFreeSpace(rel)));
    return space;
  }

  record(rel: RelFileNode, blk: number, avail: number): void {
    this.of(rel).set(blk, Math.min(255, Math.floor(avail / FSM_CAT_STEP)));
  }

  /** A block that had `need` free bytes when last heard of, or 0xffffffff. */
  find(rel: RelFileNode, need: number): number {
    return this.of(rel).find(Math.min(255, Math.ceil(need / FSM_CAT_STEP)));
  }

  truncate(rel: RelFileNode, blocks: number): void {
    this.#relations.get(formatRelFileNode(rel))?.truncate(blocks);
  }

  forget(rel: RelFileNode): void {
    this.#relations.delete(formatRelFileNode(rel));
  }

  *changedRelations(): IterableIterator<RelationFreeSpace> {
    for (const space of this.#relations.values()) if (space.changed) yield space;
  }
}
