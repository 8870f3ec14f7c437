/** All forks that anybody has touched, and their pages. */
import type { BlockNumber, ForkNumber, RelFileNode } from '@pgtroupe/common/ids';
import { ForkEntry, PageEntry } from './page-directory.ts';

const FORKS = 4;

export class RelationDirectory {
  /** relNode, then the few file sets that share it (databases, tablespaces). */
  readonly #byNode = new Map<number, ForkEntry[][]>();

  fork(spcNode: number, dbNode: number, relNode: number, fork: number): ForkEntry {
    let list = this.#byNode.get(relNode);
    if (list === undefined) this.#byNode.set(relNode, (list = []));
    for (const forks of list) {
      const { rnode } = forks[0]!;
      if (rnode.dbNode === dbNode && rnode.spcNode === spcNode) return forks[fork]!;
    }
    const rnode = { spcNode, dbNode, relNode } as RelFileNode;
    const forks = Array.from({ length: FORKS }, (_, n) => new ForkEntry(rnode, n as ForkNumber));
    list.push(forks);
    return forks[fork]!;
  }

  forkOf(rel: RelFileNode, fork: number): ForkEntry {
    return this.fork(rel.spcNode, rel.dbNode, rel.relNode, fork);
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
    const rest = list.filter(forks => forks[0]!.rnode.dbNode !== rel.dbNode || forks[0]!.rnode.spcNode !== rel.spcNode);
    if (rest.length === 0) this.#byNode.delete(rel.relNode);
    else this.#byNode.set(rel.relNode, rest);
  }

  *forks(): IterableIterator<ForkEntry> {
    for (const list of this.#byNode.values()) for (const forks of list) yield* forks;
  }
}
