/**
 * Planning of one statement, bit by bit: a join of hundreds of tables takes longer than its neighbours should wait. What was
 * begun is void when the catalogs or the snapshot are others in a later turn. Who had to begin anew too often plans in one
 * piece: sessions that change catalogs all the time must not keep it from ever ending.
 */
import { finish, type Slices } from '@pgtroupe/common/slices';
import type { Query } from '@pgtroupe/nodes/parsenodes';
import type { PlannedStmt } from '@pgtroupe/optimizer/plannodes';

const MAX_BEGUN = 3;

/** What a plan is made of and for. */
export interface PlanningBasis {
  readonly query: Query;
  /** Names the state of the catalogs. */
  readonly validity: string;
  readonly snapshot: object;
  /** Estimates look at them. */
  readonly params: readonly unknown[];
}

export class StatementPlanning {
  #work: Slices<PlannedStmt> | undefined;
  #basis: PlanningBasis | undefined;
  #begun = 0;

  /** The plan; undefined: the slice is used up, and it goes on in a later turn. What `begin` throws (CatalogMiss) comes
   *  out of here; then it begins anew the next time. */
  run(
    basis: PlanningBasis,
    begin: () => Slices<PlannedStmt>,
    slice: { beginSlice(): void; shouldYield(): boolean },
  ): PlannedStmt | undefined {
    if (this.#work === undefined || !sameBasis(this.#basis, basis)) {
      if (!sameBasis(this.#basis, basis)) this.#begun++;
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

function sameBasis(a: PlanningBasis | undefined, b: PlanningBasis): boolean {
  return (
    a !== undefined &&
    a.query === b.query &&
    a.validity === b.validity &&
    a.snapshot === b.snapshot &&
    a.params === b.params
  );
}
