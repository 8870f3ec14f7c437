/**
 * The rows of a table that ANALYZE looks at (acquire_sample_rows): all live rows of blocks chosen at random go by, and a
 * reservoir keeps as many as are wanted, each with the same chance.
 *
 * Of a row only the columns to be analyzed are kept. A value wider than WIDTH_THRESHOLD (of arrays, than what is looked into) is
 * neither fetched nor kept: that it is there, and how many bytes of its row it takes, is all that statistics want of it.
 */
import { orDetoastMiss, readToastPointer } from '@pgtroupe/access/common/detoast';
import { ATT_MISSING, ATT_NULL, attOffset, type TupleLayout, tupleLayout } from '@pgtroupe/access/common/heaptuple';
import { getXmin, type TupleMemory } from '@pgtroupe/access/common/htup';
import { ATT_CSTRING, ATT_VARLENA, attAddLength, fetchAtt } from '@pgtroupe/access/common/tupmacs';
import type { HeapContext } from '@pgtroupe/access/heap/heapam-context';
import {
  getUpdateXid,
  HEAPTUPLE_DEAD,
  HEAPTUPLE_DELETE_IN_PROGRESS,
  HEAPTUPLE_INSERT_IN_PROGRESS,
  HEAPTUPLE_LIVE,
  HEAPTUPLE_RECENTLY_DEAD,
  heapTupleSatisfiesVacuum,
} from '@pgtroupe/access/heap/heapam-visibility';
import type { RelationDesc } from '@pgtroupe/catalog/relcache';
import type { Datum } from '@pgtroupe/common/datum';
import { type BlockNumber, MAIN_FORKNUM, xidFromFull } from '@pgtroupe/common/ids';
import { MISS } from '@pgtroupe/storage/buffer/pages';
import {
  MAX_HEAP_TUPLES_PER_PAGE,
  pageGetItem,
  pageGetItemId,
  pageGetMaxOffsetNumber,
} from '@pgtroupe/storage/page/bufpage';
import { itemIdIsDead, itemIdIsNormal } from '@pgtroupe/storage/page/itemid';
import type { BackendSession } from '../command-runner.ts';
import type { VacuumDelay } from '../vacuumdelay.ts';
import { attempt } from '../vacuuminplace.ts';
import { BlockSampler, Reservoir } from './sampling.ts';

const SLICE = 16;
export const VARHDRSZ = 4;
/** Wider values are taken to be distinct and are not looked at. */
export const WIDTH_THRESHOLD = 1024;
/** Of a column whose wider values are kept as well: beyond this much of them they are not. */
const MAX_WIDE_BYTES = 64 << 20;

/** One column of the sampled rows. */
export class SampleColumn {
  readonly attnum: number;
  /** undefined: too wide. */
  values: (Datum | undefined)[] = [];
  /** Bytes that the values take in their rows, headers included, where that differs from value to value. */
  widths: number[] = [];

  readonly #keep: number;
  #wideBytes = 0;

  /** `keep`: up to which width, long header included, values are kept. */
  constructor(attnum: number, keep: number) {
    this.attnum = attnum;
    this.#keep = keep;
  }

  /** The value of the tuple at `tup` becomes that of sampled row `row`. May throw DETOAST_MISS. */
  take(row: number, layout: TupleLayout, mem: TupleMemory, tup: number): void {
    const att = this.attnum - 1;
    const kind = layout.kind[att]!;
    const at = attOffset(layout, mem, tup, att);
    const varlena = kind === ATT_VARLENA;
    let value: Datum | undefined;
    if (at === ATT_NULL) value = null;
    else if (at === ATT_MISSING) {
      value = layout.missing[att]!;
      if (value instanceof Uint8Array) {
        this.widths[row] = value.length + (varlena ? VARHDRSZ : 1);
        if (varlena && !this.#mayKeep(value.length + VARHDRSZ)) value = undefined;
      }
    } else {
      if (varlena) this.widths[row] = attAddLength(mem, at, -1) - at;
      if (varlena && !this.#mayKeep(rawSize(mem, at))) value = undefined;
      else value = own(fetchAtt(mem, at, kind, layout.len[att]!));
      if (kind === ATT_CSTRING) this.widths[row] = (value as Uint8Array).length + 1;
    }
    this.values[row] = value;
  }

  #mayKeep(width: number): boolean {
    if (width <= WIDTH_THRESHOLD) return true;
    if (width > this.#keep || this.#wideBytes + width > MAX_WIDE_BYTES) return false;
    this.#wideBytes += width;
    return true;
  }

  reorder(order: readonly number[]): void {
    const { values, widths } = this;
    this.values = order.map(row => values[row]);
    if (widths.length > 0) this.widths = order.map(row => widths[row]!);
  }
}

/** Bytes of the plain value, a long header included (toast_raw_datum_size). */
function rawSize({ u8, u32 }: TupleMemory, at: number): number {
  const first = u8[at]!;
  if (first === 1) return readToastPointer(u8, at).rawSize + VARHDRSZ;
  if ((first & 1) !== 0) return (first >>> 1) - 1 + VARHDRSZ;
  return (first & 2) !== 0 ? (u32[(at + 4) >>> 2]! & 0x3fffffff) + VARHDRSZ : u32[at >>> 2]! >>> 2;
}

function own(value: Datum): Datum {
  return value instanceof Uint8Array ? value.slice() : value;
}

export interface Sample {
  readonly rows: number;
  readonly blocks: number;
  readonly scannedBlocks: number;
  readonly liveRows: number;
  readonly deadRows: number;
  /** Live rows of the whole table, estimated. */
  readonly totalRows: number;
  /** The same of dead ones. */
  readonly totalDeadRows: number;
}

interface SampleScan {
  readonly delay: VacuumDelay;
  /** Told of how many blocks it is about to look at the next. */
  readonly scanning: (total: number, done: number) => void;
}

/**
 * Reads a sample of `wanted` rows into `columns`. Whoever calls holds a snapshot: a version that was found alive stays on its page until it
 * was copied. `random` answers uniformly in [0, 1).
 */
export async function acquireSampleRows(
  session: BackendSession,
  { delay, scanning }: SampleScan,
  context: HeapContext,
  table: RelationDesc,
  columns: readonly SampleColumn[],
  wanted: number,
  random: () => number,
): Promise<Sample> {
  const { pages } = session.instance.kernel;
  const layout = tupleLayout(table.att);
  const blocks = await attempt(session, () => pages.nblocks(table.smgr, MAIN_FORKNUM));
  const sampler = new BlockSampler(blocks, wanted, random);
  const reservoir = new Reservoir(wanted, random);
  const page = new SampledPage();
  /** Where sampled rows stand, block and line pointer in one number. */
  const places: number[] = [];
  let live = 0;
  let dead = 0;
  let skip = -1;
  while (sampler.hasMore) {
    scanning(Math.min(blocks, wanted), sampler.selected);
    const blk = sampler.next() as BlockNumber;
    if (sampler.selected % SLICE === 0) await session.breathe();
    if (delay.isDue) await delay.pause();
    await delay.attempt(() => {
      const at = pages.share(table.smgr, MAIN_FORKNUM, blk);
      return at === MISS ? MISS : page.judge(context, at);
    });
    // Decided once, whatever must be fetched to copy the rows.
    const picked: { readonly row: number; readonly offnum: number }[] = [];
    for (let i = 0; i < page.live; i++) {
      const offnum = page.offnums[i]!;
      let row = -1;
      if (places.length < wanted) row = places.length;
      else {
        if (skip < 0) skip = reservoir.skip(live);
        if (skip === 0) row = reservoir.slot();
        skip--;
      }
      if (row >= 0) {
        places[row] = blk * MAX_HEAP_TUPLES_PER_PAGE + offnum;
        picked.push({ row, offnum });
      }
      live++;
    }
    dead += page.dead;
    let done = 0;
    await attempt(session, () => {
      const at = pages.share(table.smgr, MAIN_FORKNUM, blk);
      if (at === MISS) return MISS;
      return orDetoastMiss(() => {
        for (; done < picked.length; done++) {
          const { row, offnum } = picked[done]!;
          const tup = pageGetItem(pages.mem, at, offnum);
          for (const column of columns) column.take(row, layout, pages.mem, tup);
        }
        return 0;
      });
    });
  }
  // Replacing has mixed them up: correlation wants them as they stand.
  if (places.length === wanted) {
    const order = places.map((_, row) => row).sort((a, b) => places[a]! - places[b]!);
    for (const column of columns) column.reorder(order);
  }
  const scannedBlocks = sampler.selected;
  const ofAll = (rows: number): number => (scannedBlocks > 0 ? Math.floor((rows / scannedBlocks) * blocks + 0.5) : 0);
  const totalRows = ofAll(live);
  const totalDeadRows = ofAll(dead);
  return { rows: places.length, blocks, scannedBlocks, liveRows: live, deadRows: dead, totalRows, totalDeadRows };
}

/** Which tuples of a page are rows (heapam_scan_analyze_next_tuple). */
class SampledPage {
  readonly offnums = new Uint16Array(MAX_HEAP_TUPLES_PER_PAGE);
  live = 0;
  dead = 0;

  judge(ctx: HeapContext, page: number): 0 | typeof MISS {
    const { mem } = ctx.pages;
    this.live = 0;
    this.dead = 0;
    const oldestXmin = xidFromFull(ctx.xact.oldestXmin);
    const lines = pageGetMaxOffsetNumber(mem, page);
    for (let offnum = 1; offnum <= lines; offnum++) {
      const id = pageGetItemId(mem, page, offnum);
      if (!itemIdIsNormal(id)) {
        if (itemIdIsDead(id)) this.dead++;
        continue;
      }
      const tup = pageGetItem(mem, page, offnum);
      switch (heapTupleSatisfiesVacuum(ctx.xact, oldestXmin, mem, tup)) {
        case MISS:
          return MISS;
        case HEAPTUPLE_LIVE:
          this.offnums[this.live++] = offnum;
          break;
        case HEAPTUPLE_DEAD:
        case HEAPTUPLE_RECENTLY_DEAD:
          this.dead++;
          break;
        case HEAPTUPLE_INSERT_IN_PROGRESS:
          // Others' rows will be counted when they are committed; nobody else could count ours.
          if (ctx.xact.isCurrent(getXmin(mem, tup))) this.offnums[this.live++] = offnum;
          break;
        case HEAPTUPLE_DELETE_IN_PROGRESS: {
          const updater = getUpdateXid(ctx.xact, mem, tup);
          if (updater === MISS) return MISS;
          if (ctx.xact.isCurrent(updater)) this.dead++;
          else this.offnums[this.live++] = offnum;
          break;
        }
        default:
      }
    }
    return 0;
  }
}
