/**
 * Work that must be done before a statement has its first row, bit by bit: a plan that joins hundreds of tables takes longer to make
 * than its neighbours should wait. What was begun is void when what it is made of (its basis: catalogs, snapshot, values) is
 * another in a later turn. Who had to begin anew too often does it in one piece: sessions that change catalogs all the time must
 * not keep it from ever ending.
 */
import { finish, type Slices } from '@pgtroupe/common/slices';

const MAX_BEGUN = 3;

export class StatementWork<Result> {
  #work: Slices<Result> | undefined;
  #basis: readonly unknown[] = [];
  #begun = 0;

  /** Was something begun, and not ended? */
  get underWay(): boolean {
    return this.#work !== undefined;
  }

  /** The result; undefined: the slice is used up, and it goes on in a later turn. What `begin` throws (CatalogMiss) comes
   *  out of here; then it begins anew the next time. */
  run(
    basis: readonly unknown[],
    begin: () => Slices<Result>,
    slice: { beginSlice(): void; shouldYield(): boolean },
  ): Result | undefined {
    const same = basis.length === this.#basis.length && basis.every((part, n) => part === this.#basis[n]);
    if (this.#work === undefined || !same) {
      if (!same) this.#begun++;
      this.#basis = basis;
      this.#work = begin();
    }
    const work = this.#work;
    this.#work = undefined;
    if (this.#begun > MAX_BEGUN) return finish(work);
    slice.beginSlice();
    for (;;) {
      const step = work.next();
      if (step.done === true) return step.value;
      if (!slice.shouldYield()) continue;
      this.#work = work;
      return undefined;
    }
  }
}
