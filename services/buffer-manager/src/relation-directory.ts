/** All forks that anybody has touched, and their pages. */
import type { BlockNumber, ForkNumber, RelFileNode } from '@pgtroupe/common/ids';
import { ForkEntry, PageEntry } from './page-directory.ts';

/** The files of one relation; of its forks those that somebody asked for, by number. */
interface RelationEntry {
  readonly rnode: RelFileNode;
  readonly forks: (ForkEntry | undefined)[];
}

export class RelationDirectory {
  /** relNode, then the few file sets that share it (databases, tablespaces). */
  readonly #byNode = new Map<number, RelationEntry[]>();

  fork(spcNode: number, dbNode: number, relNode: number, fork: number): ForkEntry {
    let list = this.#byNode.get(relNode);
    if (list === undefined) this.#byNode.set(relNode, (list = []));
    let entry = entryOf(list, spcNode, dbNode);
    if (entry === undefined) list.push((entry = { rnode: { spcNode, dbNode, relNode } as RelFileNode, forks: [] }));
    return (entry.forks[fork] ??= new ForkEntry(entry.rnode, fork as ForkNumber));
  }

  forkOf(rel: RelFileNode, fork: number): ForkEntry {
    return this.fork(rel.spcNode, rel.dbNode, rel.relNode, fork);
  }

  /** The fork if there is anything to know about it: for who comes late and wants nothing made for his sake. */
  knownFork(rel: RelFileNode, fork: number): ForkEntry | undefined {
    return entryOf(this.#byNode.get(rel.relNode) ?? [], rel.spcNode, rel.dbNode)?.forks[fork];
  }

  page(fork: ForkEntry, blk: number): PageEntry {
    let page = fork.pages.get(blk as BlockNumber);
    if (page === undefined) fork.pages.set(blk as BlockNumber, (page = new PageEntry(fork, blk as BlockNumber)));
    return page;
  }

  /** Forgets an entry about which there is nothing to know. */
  tidy(page: PageEntry): void {
    if (page.forgettable) page.fork.pages.delete(page.blk);
  }

  /** Forgets a relation whose files are gone. */
  forget(rel: RelFileNode): void {
    const list = this.#byNode.get(rel.relNode);
    if (list === undefined) return;
    const rest = list.filter(({ rnode }) => rnode.dbNode !== rel.dbNode || rnode.spcNode !== rel.spcNode);
    if (rest.length === 0) this.#byNode.delete(rel.relNode);
    else this.#byNode.set(rel.relNode, rest);
  }

  *forks(): IterableIterator<ForkEntry> {
    for (const list of this.#byNode.values())
      for (const { forks } of list) for (const fork of forks) if (fork !== undefined) yield fork;
  }
}

function entryOf(list: readonly RelationEntry[], spcNode: number, dbNode: number): RelationEntry | undefined {
  for (const entry of list) if (entry.rnode.dbNode === dbNode && entry.rnode.spcNode === spcNode) return entry;
  return undefined;
}
