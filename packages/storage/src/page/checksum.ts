/**
 * PostgreSQL's data checksum: 32 interleaved FNV-1a-like sums over the page's 2048 words, folded by
 * xor, mixed with the block number and reduced to 1..65535. pd_checksum itself counts as zero.
 *
 * Pure; `page` is the index of the page's first 32-bit word.
 */
import { BLCKSZ } from '@pgtroupe/common/ids';

const N_SUMS = 32;
const FNV_PRIME = 16777619;
const ROWS = BLCKSZ / (4 * N_SUMS);
/** Word holding pd_checksum in its low half (and pd_flags in its high half). */
const CHECKSUM_WORD = 2;

/** Distinct starting states of the 32 sums. */
const BASE_OFFSETS = Int32Array.from([
  0x5b1f36e9, 0xb8525960, 0x02ab50aa, 0x1de66d2a, 0x79ff467a, 0x9bb9f8a3, 0x217e7cd2, 0x83e13d2c, 0xf8d4474f,
  0xe39eb970, 0x42c6ae16, 0x993216fa, 0x7b093b5d, 0x98daff3c, 0xf718902a, 0x0b1c9cdb, 0xe58f764b, 0x187636bc,
  0x5d7b3bb1, 0xe73de7de, 0x92bec979, 0xcca6c0b2, 0x304a0979, 0x85aa43d4, 0x783125bb, 0x6ca8eaa2, 0xe407eac6,
  0x4b5cfc3e, 0x9fbf8c76, 0x15ca20be, 0xf2ca9fd3, 0x959bd756,
]);

/** What pd_checksum of the page must be. `u32` is any 32-bit view; `page` a byte offset divisible by 4. */
export function pgChecksumPage(u32: Int32Array | Uint32Array, page: number, blkno: number): number {
  const first = page >>> 2;
  let result = 0;
  for (let lane = 0; lane < N_SUMS; lane++) {
    let sum = BASE_OFFSETS[lane]!;
    let word = first + lane;
    for (let row = 0; row < ROWS; row++) {
      let value = u32[word]!;
      if (lane === CHECKSUM_WORD && row === 0) value &= ~0xffff;
      const mixed = sum ^ value;
      sum = Math.imul(mixed, FNV_PRIME) ^ (mixed >>> 17);
      word += N_SUMS;
    }
    // Two more rounds, of zeros.
    sum = Math.imul(sum, FNV_PRIME) ^ (sum >>> 17);
    sum = Math.imul(sum, FNV_PRIME) ^ (sum >>> 17);
    result ^= sum;
  }
  return (((result ^ blkno) >>> 0) % 65535) + 1;
}
