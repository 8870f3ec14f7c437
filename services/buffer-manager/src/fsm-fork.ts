/**
 * The free space map's fork on disk (storage/freespace): pages that are binary trees of maxima. A
 * page holds 4069 leaves; with three levels of pages, the leaves of level 0 are heap blocks, those of
 * level 1 and 2 are the roots of the pages below.
 *
 *   page: 24-byte header, i32 fp_next_slot, u8 fp_nodes[8164]
 *   fp_nodes: 4095 inner nodes, then the leaves; node n has children 2n+1 and 2n+2
 *   physical order: each upper page directly before the first page below it
 *
 * Not logged, as in PostgreSQL: a stale or torn map costs time, never correctness.
 */
import { BLCKSZ, FSM_FORKNUM, type RelFileNode } from '@pgtroupe/common/ids';
import { pgChecksumPage } from '@pgtroupe/storage/page/checksum';
import type { RelationFreeSpace } from './free-space-map.ts';
import type { StorageManager } from './smgr.ts';

const HEADER_BYTES = 24;
const NODES_AT = HEADER_BYTES + 4;
const NODES = BLCKSZ - NODES_AT;
const INNER = BLCKSZ / 2 - 1;
const LEAVES = NODES - INNER;
const PAGE_VERSION = 0x2004;

/** Physical block of the level-0 page that has heap blocks [n * LEAVES, …). */
function leafPage(n: number): number {
  // Before it: all earlier leaf pages, the root, and one level-1 page per started group of LEAVES.
  return n + 1 + (Math.floor(n / LEAVES) + 1);
}

function upperPage(group: number): number {
  return group * (LEAVES + 1) + 1;
}

export async function readFsmFork(smgr: StorageManager, space: RelationFreeSpace, heapBlocks: number): Promise<void> {
  const { rel } = space;
  const blocks = (await smgr.nblocks(rel, FSM_FORKNUM)) ?? 0;
  const page = new Uint8Array(BLCKSZ);
  for (let n = 0; n * LEAVES < heapBlocks && leafPage(n) < blocks; n++) {
    await smgr.read(rel, FSM_FORKNUM, leafPage(n), page);
    if (!valid(page, leafPage(n))) continue;
    for (let leaf = 0; leaf < LEAVES && n * LEAVES + leaf < heapBlocks; leaf++) {
      const cat = page[NODES_AT + INNER + leaf]!;
      if (cat > 0 && (space.cats[n * LEAVES + leaf] ?? 0) === 0) space.set(n * LEAVES + leaf, cat);
    }
  }
}

/** Writes the whole map of one relation. */
export async function writeFsmFork(smgr: StorageManager, space: RelationFreeSpace): Promise<void> {
  const { rel } = space;
  await smgr.create(rel, FSM_FORKNUM);
  const leafPages = Math.max(1, Math.ceil(space.blocks / LEAVES));
  const groupBest: number[] = [];
  for (let group = 0; group * LEAVES < leafPages; group++) {
    const upper = newPage();
    for (let n = group * LEAVES; n < Math.min(leafPages, (group + 1) * LEAVES); n++) {
      const page = newPage();
      page.set(space.cats.subarray(n * LEAVES, Math.min(space.blocks, (n + 1) * LEAVES)), NODES_AT + INNER);
      upper[NODES_AT + INNER + (n % LEAVES)] = fillInner(page);
      await writePage(smgr, rel, leafPage(n), page);
    }
    groupBest.push(fillInner(upper));
    await writePage(smgr, rel, upperPage(group), upper);
  }
  const root = newPage();
  groupBest.forEach((best, group) => {
    root[NODES_AT + INNER + group] = best;
  });
  fillInner(root);
  await writePage(smgr, rel, 0, root);
}

function newPage(): Uint8Array {
  const page = new Uint8Array(BLCKSZ);
  const view = new DataView(page.buffer);
  view.setUint16(12, HEADER_BYTES, true);
  view.setUint16(14, BLCKSZ, true);
  view.setUint16(16, BLCKSZ, true);
  view.setUint16(18, PAGE_VERSION, true);
  return page;
}

/** Inner nodes from the leaves; returns the root's value. */
function fillInner(page: Uint8Array): number {
  for (let node = INNER - 1; node >= 0; node--) {
    const left = 2 * node + 1;
    const a = left < NODES ? page[NODES_AT + left]! : 0;
    const b = left + 1 < NODES ? page[NODES_AT + left + 1]! : 0;
    page[NODES_AT + node] = Math.max(a, b);
  }
  return page[NODES_AT]!;
}

async function writePage(smgr: StorageManager, rel: RelFileNode, blk: number, page: Uint8Array): Promise<void> {
  new DataView(page.buffer).setUint16(8, pgChecksumPage(new Uint32Array(page.buffer), 0, blk), true);
  await smgr.write(rel, FSM_FORKNUM, blk, page);
}

function valid(page: Uint8Array, blk: number): boolean {
  const view = new DataView(page.buffer);
  return (
    view.getUint16(14, true) !== 0 && view.getUint16(8, true) === pgChecksumPage(new Uint32Array(page.buffer), 0, blk)
  );
}
