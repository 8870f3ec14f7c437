/** The keys of a hash join: how they are read on both sides, hashed and compared. */
import type { Datum } from '@pgtroupe/common/datum';
import { exprType } from '@pgtroupe/nodes/nodefuncs';
import type { HashJoin } from '@pgtroupe/optimizer/plannodes';
import type { RowReader } from './batch.ts';
import type { EState } from './estate.ts';
import { compileExpr, type ExprScope } from './execExpr.ts';
import { type Equal, equalityOf, type Hash, hashesOf } from './keys.ts';

export class HashJoinKeys {
  readonly #plan: HashJoin;
  readonly #scope: ExprScope;
  readonly #outer: readonly RowReader[];
  readonly #outerHash: readonly Hash[];
  readonly #inner: readonly RowReader[];
  readonly #innerHash: readonly Hash[];
  /** Inner keys over stored rows, read through the combined batch's inner lane. */
  readonly #stored: readonly RowReader[];
  readonly #equal: readonly Equal[];
  /** Outer keys over combined rows: made when needed. */
  #restored: readonly RowReader[] = [];
  /** Of the outer row being joined. */
  readonly #probe: Datum[];
  /** Of the row that was looked at last, if none of its keys is null. */
  hash = 0;

  /** `scope` is of combined rows. */
  constructor(est: EState, plan: HashJoin, outerScope: ExprScope, innerScope: ExprScope, scope: ExprScope) {
    this.#plan = plan;
    this.#scope = scope;
    this.#outer = plan.hashkeys.map(e => compileExpr(e, outerScope));
    this.#inner = plan.innerhashkeys.map(e => compileExpr(e, innerScope));
    this.#stored = plan.innerhashkeys.map(e => compileExpr(e, scope));
    const hashes = plan.hashoperators.map((op, i) =>
      hashesOf(est, op, [exprType(plan.hashkeys[i]!), exprType(plan.innerhashkeys[i]!)], plan.hashcollations[i]!),
    );
    this.#outerHash = hashes.map(h => h[0]);
    this.#innerHash = hashes.map(h => h[1]);
    this.#equal = plan.hashoperators.map((op, i) => equalityOf(est, op, plan.hashcollations[i]!));
    this.#probe = new Array<Datum>(plan.hashkeys.length).fill(null);
  }

  /** Of an inner row; false: one of them is null. */
  hashInner(row: number): boolean {
    let hash = 0;
    for (let i = 0; i < this.#inner.length; i++) {
      const value = this.#inner[i]!(row);
      if (value === null) return false;
      hash = (Math.imul(hash, 31) + this.#innerHash[i]!(value)) | 0;
    }
    this.hash = hash;
    return true;
  }

  /** Of an outer row; false: one of them is null. */
  hashOuter(row: number): boolean {
    const probe = this.#probe;
    let hash = 0;
    for (let i = 0; i < probe.length; i++) {
      const value = this.#outer[i]!(row);
      probe[i] = value;
      if (value === null) return false;
      hash = (Math.imul(hash, 31) + this.#outerHash[i]!(value)) | 0;
    }
    this.hash = hash;
    return true;
  }

  /** The outer row's keys once more, after something was waited for. */
  readOuter(row: number): void {
    for (let i = 0; i < this.#probe.length; i++) this.#probe[i] = this.#outer[i]!(row);
  }

  /** From here on outer rows may come from tapes. */
  prepareRestored(): void {
    this.#restored = this.#plan.hashkeys.map(e => compileExpr(e, this.#scope));
  }

  /** Of an outer row that is part of combined row `k`; false: one of them is null. */
  readRestored(k: number): boolean {
    for (let i = 0; i < this.#probe.length; i++) {
      const value = this.#restored[i]!(k);
      this.#probe[i] = value;
      if (value === null) return false;
    }
    return true;
  }

  /** Are those of the stored row in combined row `k` the outer row's? */
  match(k: number): boolean {
    for (let i = 0; i < this.#probe.length; i++) {
      const stored = this.#stored[i]!(k);
      if (stored === null || !this.#equal[i]!(this.#probe[i]!, stored)) return false;
    }
    return true;
  }

  /** One of the keys of the stored row in combined row `k` is null. */
  storedHasNull(k: number): boolean {
    return this.#stored.some(read => read(k) === null);
  }
}
