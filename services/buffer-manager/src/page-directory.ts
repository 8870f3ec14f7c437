/**
 * The page token directory: who may read or change which page. Pure step functions over plain
 * state (no I/O, no clock); model-checked in page-directory.test.ts.
 *
 * One X or many S per page. Requests queue FIFO per page; the head's conflicting holders are recalled
 * once and answer by releasing. Per page the directory knows the *base image* (pool or disk), the
 * records sequenced since (`chain`: their start LSNs), and so can rebuild what a dead holder had:
 * base + chain (invariant 5).
 *
 *   home      no X token out: base + nothing is the page
 *   X out     the holder's copy is base + chain + what is on its way
 *   rebuild   the X holder died with a non-empty chain: the page is base + chain, applied on demand
 *
 * Who asks for S gets X while it is the only instance (`alone`): the change that may follow needs no second
 * request. A hint, not a rule: when another one comes, tokens are recalled as ever.
 *
 * Dirtiness: recLSN is the first record not contained in the image on disk; writingRecLSN the same
 * for an image whose write is under way.
 */
import { assert } from '@pgtroupe/common/assert';
import type { BlockNumber, ForkNumber, RelFileNode } from '@pgtroupe/common/ids';
import { TOKEN_EXCLUSIVE, TOKEN_SHARED } from '@pgtroupe/rpc/attach/ops';

/** Records since the base image after which the holder is asked for a fresh one. */
export const MAX_CHAIN = 64;
const NO_SLOT = -1;

/** Who can hold tokens. `pages`: every page it holds a token on or asks for. */
export interface TokenHolder {
  readonly id: number;
  readonly pages: Set<PageEntry>;
}

interface Holding {
  readonly holder: TokenHolder;
  mode: number;
  gen: number;
  /** What it was asked to go down to; -1 not recalled, 0 nothing, 1 shared. */
  recalledTo: number;
}

interface Request {
  readonly holder: TokenHolder;
  readonly mode: number;
}

export class PageEntry {
  readonly fork: ForkEntry;
  readonly blk: BlockNumber;
  /** Slot of the base image in the pool, or -1: on disk. */
  slot = NO_SLOT;
  readonly holdings: Holding[] = [];
  readonly queue: Request[] = [];
  /** The image in the slot is not on disk. A page can be dirty without: its base is on disk, and the
   *  changes since are with the holder of its exclusive token. */
  imageDirty = false;
  /** Start LSNs of records since the base image. */
  chain: number[] = [];
  /** A record of the chain restores the page without looking at the base. */
  chainStandsAlone = false;
  /** End of the last record that touched the page, 0 when none since it was loaded. */
  lastLSN = 0;
  recLSN = 0;
  writingRecLSN = 0;
  /** WAL up to here must be durable before the base image may be written. */
  flushBefore = 0;
  /** A disk read or a rebuild is under way. */
  loading = false;
  rebuild = false;
  writebackAsked = false;
  /** The page no longer exists (truncated, dropped). */
  dropped = false;

  constructor(fork: ForkEntry, blk: BlockNumber) {
    this.fork = fork;
    this.blk = blk;
  }

  get dirty(): boolean {
    return this.recLSN !== 0;
  }

  get exclusiveHolder(): TokenHolder | undefined {
    const first = this.holdings[0];
    return first !== undefined && first.mode === TOKEN_EXCLUSIVE ? first.holder : undefined;
  }

  holdingOf(holder: TokenHolder): Holding | undefined {
    for (const holding of this.holdings) if (holding.holder === holder) return holding;
    return undefined;
  }

  /** Nothing about this page needs to be remembered. */
  get forgettable(): boolean {
    return (
      this.slot === NO_SLOT &&
      this.holdings.length === 0 &&
      this.queue.length === 0 &&
      this.recLSN === 0 &&
      this.writingRecLSN === 0 &&
      !this.loading &&
      !this.rebuild
    );
  }
}

/** One fork of one relation. */
export class ForkEntry {
  readonly rnode: RelFileNode;
  readonly fork: ForkNumber;
  readonly pages = new Map<BlockNumber, PageEntry>();
  /** Length in blocks; -1 until it was looked up. */
  blocks = -1;
  /** Who remembers the length. */
  readonly lengthHolders = new Set<TokenHolder>();

  constructor(rnode: RelFileNode, fork: ForkNumber) {
    this.rnode = rnode;
    this.fork = fork;
  }
}

/** What the directory wants done. */
export interface DirectoryEffects {
  /** `withImage`: the holder has no copy, send the base image. */
  grant(holder: TokenHolder, page: PageEntry, mode: number, gen: number, withImage: boolean): void;
  recall(holder: TokenHolder, page: PageEntry, gen: number, to: number): void;
  writeback(holder: TokenHolder, page: PageEntry, gen: number): void;
  /** Bring the current image into the pool (read it, or rebuild it), then call `loaded`. */
  load(page: PageEntry): void;
}

export class PageDirectory {
  readonly #effects: DirectoryEffects;
  #gen = 0;
  readonly dirty = new Set<PageEntry>();
  /** There is one holder, and nobody it could take pages from. */
  alone = false;
  /** Planted bugs for the model's own test. */
  readonly #bugs: { readonly grantBeforeAllAcks?: boolean; readonly forgetChain?: boolean };

  constructor(
    effects: DirectoryEffects,
    bugs: { readonly grantBeforeAllAcks?: boolean; readonly forgetChain?: boolean } = {},
  ) {
    this.#effects = effects;
    this.#bugs = bugs;
  }

  request(holder: TokenHolder, page: PageEntry, mode: number): void {
    page.queue.push({ holder, mode });
    holder.pages.add(page);
    this.pump(page);
  }

  /** Pages just appended: exclusive, all zeros on disk. Returns their generation. */
  grantFresh(holder: TokenHolder, pages: readonly PageEntry[]): number {
    const gen = this.#nextGen();
    for (const page of pages) {
      assert(page.holdings.length === 0 && page.queue.length === 0, 'a fresh page is free');
      this.#hold(page, { holder, mode: TOKEN_EXCLUSIVE, gen, recalledTo: -1 });
    }
    return gen;
  }

  /** The holder gives up (`to` 0) or goes down to shared. `image`: store(page) was called, the pool
   *  holds the page as of everything received from this holder. False: not its token any more. */
  release(holder: TokenHolder, page: PageEntry, gen: number, to: number, hasImage: boolean): boolean {
    const holding = page.holdingOf(holder);
    if (holding === undefined || holding.gen !== gen) return false;
    if (holding.mode === TOKEN_EXCLUSIVE) {
      if (hasImage) this.#newBase(page);
      else if (page.chain.length > 0) page.rebuild = true;
      page.writebackAsked = false;
    }
    if (to === TOKEN_SHARED) {
      holding.mode = TOKEN_SHARED;
      holding.recalledTo = -1;
    } else this.#letGo(page, holding);
    this.pump(page);
    return true;
  }

  /** Does `holder` hold `page` exclusively under `gen`? Then a copy it sends is the new base. */
  ownsExclusively(holder: TokenHolder, page: PageEntry, gen: number): boolean {
    const holding = page.holdings[0];
    return (
      holding !== undefined && holding.holder === holder && holding.mode === TOKEN_EXCLUSIVE && holding.gen === gen
    );
  }

  /** The holder sent a copy and keeps its token; the pool holds it. */
  imageReceived(page: PageEntry): void {
    this.#newBase(page);
    page.writebackAsked = false;
  }

  /** A record that changes the page was sequenced. */
  recordSequenced(page: PageEntry, start: number, end: number, standsAlone: boolean): void {
    if (standsAlone) {
      page.chain.length = 0;
      page.chainStandsAlone = true;
      // Replay that begins here or earlier needs nothing of what came before, on disk or in WAL.
      if (page.recLSN !== 0) page.recLSN = start;
    }
    page.chain.push(start);
    assert(end > page.lastLSN, 'pd_lsn only rises');
    page.lastLSN = end;
    if (page.recLSN === 0) {
      page.recLSN = start;
      this.dirty.add(page);
    }
    if (page.chain.length >= MAX_CHAIN) this.askWriteback(page);
  }

  /** Asks the exclusive holder for a copy, once. */
  askWriteback(page: PageEntry): void {
    const holding = page.holdings[0];
    if (page.writebackAsked || holding === undefined || holding.mode !== TOKEN_EXCLUSIVE) return;
    page.writebackAsked = true;
    this.#effects.writeback(holding.holder, page, holding.gen);
  }

  /** The base image is being written to disk; what it lacks is the chain. */
  writeStarted(page: PageEntry): void {
    assert(page.writingRecLSN === 0 && page.recLSN !== 0, 'one write at a time, of a dirty page');
    page.writingRecLSN = page.recLSN;
    page.recLSN = page.chain.length > 0 ? page.chain[0]! : 0;
    if (page.recLSN === 0) this.dirty.delete(page);
  }

  writeEnded(page: PageEntry, ok: boolean): void {
    if (!ok && !page.dropped) {
      page.recLSN = page.writingRecLSN;
      this.dirty.add(page);
    }
    page.writingRecLSN = 0;
  }

  /** The pool holds the current image. */
  loaded(page: PageEntry): void {
    page.loading = false;
    this.pump(page);
  }

  /** base + chain is in the pool now. */
  rebuilt(page: PageEntry): void {
    page.rebuild = false;
    this.#newBase(page);
  }

  /** The image cannot be had: everybody who waits is told by the caller. */
  loadFailed(page: PageEntry): TokenHolder[] {
    page.loading = false;
    return this.#dismiss(page);
  }

  /** The holder is dead and fenced: nothing more comes from it. */
  fence(holder: TokenHolder): void {
    const pages = [...holder.pages];
    holder.pages.clear();
    for (const page of pages) {
      for (let n = page.queue.length - 1; n >= 0; n--) if (page.queue[n]!.holder === holder) page.queue.splice(n, 1);
      const holding = page.holdingOf(holder);
      if (holding === undefined) continue;
      if (holding.mode === TOKEN_EXCLUSIVE) {
        if (page.chain.length > 0 && this.#bugs.forgetChain !== true) page.rebuild = true;
        page.writebackAsked = false;
      }
      page.holdings.splice(page.holdings.indexOf(holding), 1);
    }
    for (const page of pages) this.pump(page);
  }

  /** The page is gone for everybody. Returns who waited for it. */
  drop(page: PageEntry): TokenHolder[] {
    page.dropped = true;
    for (const holding of page.holdings) holding.holder.pages.delete(page);
    page.holdings.length = 0;
    page.chain.length = 0;
    page.recLSN = 0;
    page.imageDirty = false;
    page.rebuild = false;
    this.dirty.delete(page);
    return this.#dismiss(page);
  }

  /** Empties the queue; returns who waited. */
  #dismiss(page: PageEntry): TokenHolder[] {
    const waiting = page.queue.splice(0).map(request => request.holder);
    for (const holder of waiting) if (page.holdingOf(holder) === undefined) holder.pages.delete(page);
    return waiting;
  }

  /** Grants what can be granted, recalls what stands in the way. */
  pump(page: PageEntry): void {
    for (;;) {
      const head = page.queue[0];
      if (head === undefined) return;
      if (this.#recallConflicts(page, head)) return;
      const own = page.holdingOf(head.holder);
      // Its answer to the recall of its older token is on the way; the grant must carry data then.
      if (own !== undefined && own.recalledTo >= 0) return;
      if (own === undefined && (page.slot === NO_SLOT || page.rebuild)) {
        if (!page.loading) {
          page.loading = true;
          this.#effects.load(page);
        }
        return;
      }
      page.queue.shift();
      const gen = this.#nextGen();
      const mode = this.alone && page.holdings.length === 0 ? TOKEN_EXCLUSIVE : head.mode;
      if (own !== undefined) {
        if (own.mode < mode) own.mode = mode;
        own.gen = gen;
      } else this.#hold(page, { holder: head.holder, mode, gen, recalledTo: -1 });
      this.#effects.grant(head.holder, page, own === undefined ? mode : own.mode, gen, own === undefined);
    }
  }

  /** True while some holder stands in the way of `request`. */
  #recallConflicts(page: PageEntry, request: Request): boolean {
    let conflicts = false;
    for (const holding of page.holdings) {
      if (holding.holder === request.holder) continue;
      if (request.mode !== TOKEN_EXCLUSIVE && holding.mode !== TOKEN_EXCLUSIVE) continue;
      conflicts = true;
      const to = request.mode === TOKEN_EXCLUSIVE ? 0 : TOKEN_SHARED;
      if (holding.recalledTo >= 0) continue;
      holding.recalledTo = to;
      this.#effects.recall(holding.holder, page, holding.gen, to);
    }
    if (this.#bugs.grantBeforeAllAcks === true && conflicts && request.mode === TOKEN_EXCLUSIVE) {
      return page.holdings.some(h => h.holder !== request.holder && h.mode === TOKEN_EXCLUSIVE);
    }
    return conflicts;
  }

  #hold(page: PageEntry, holding: Holding): void {
    if (holding.mode === TOKEN_EXCLUSIVE) page.holdings.unshift(holding);
    else page.holdings.push(holding);
    holding.holder.pages.add(page);
  }

  #letGo(page: PageEntry, holding: Holding): void {
    page.holdings.splice(page.holdings.indexOf(holding), 1);
    if (!page.queue.some(request => request.holder === holding.holder)) holding.holder.pages.delete(page);
  }

  #newBase(page: PageEntry): void {
    page.chain.length = 0;
    page.chainStandsAlone = false;
  }

  #nextGen(): number {
    this.#gen = (this.#gen % 0xffffffff) + 1;
    return this.#gen;
  }
}
