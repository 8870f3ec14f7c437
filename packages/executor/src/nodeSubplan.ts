/**
 * Subqueries in expressions. An InitPlan runs once, when its parameter is first asked for; a SubPlan runs for
 * each row with values of that row as parameters, or is a hash table for uncorrelated IN.
 *
 * A subquery that must wait throws SUSPEND through the expression around it; asked again for the same row it
 * goes on where it stood.
 */
import type { Datum } from '@pgtroupe/common/datum';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import { exprType } from '@pgtroupe/nodes/nodefuncs';
import * as N from '@pgtroupe/nodes/nodes';
import type { OpExpr, SubPlan } from '@pgtroupe/nodes/primnodes';
import { makeAndsImplicit } from '@pgtroupe/optimizer/clauses';
import { buildArray, arrayHeader, constructArray, deconstructArray } from '@pgtroupe/adt/arrayutils';
import { typeFactsOf } from './arrays.ts';
import { detach, type RowReader } from './batch.ts';
import {
  type ChangedParams,
  type EState,
  evaluationKey,
  type InitPlanState,
  type ParamSetter,
  type PlanState,
} from './estate.ts';
import { compileExpr, type ExprScope, readColumn } from './execExpr.ts';
import { type Equal, equalityOf, type Hash, hashesOf } from './keys.ts';
import { RowHash } from './rowhash.ts';
import { RowStore, RowWriter, StorePosition } from './rowstore.ts';
import { columnReaders } from './scope.ts';
import { END, ROW, SUSPEND } from './status.ts';

/** Next batch of a subquery: true for rows, false at the end. */
function pull(est: EState, state: PlanState, max: number): boolean {
  const status = state.next(max);
  if (status === ROW) return true;
  if (status === END) return false;
  est.suspended = status;
  throw SUSPEND;
}

function moreThanOneRow(): Error {
  return ereport(ERRCODE.CARDINALITY_VIOLATION, 'more than one row returned by a subquery used as an expression');
}

/**
 * Notices when parameters that a subquery takes from further out have changed: the subquery hangs in an
 * expression, where no rescan reaches it.
 */
class ParamWatch {
  readonly #est: EState;
  readonly #ids: readonly number[];
  readonly #seen: Datum[];

  constructor(est: EState, state: PlanState, except: readonly number[]) {
    this.#est = est;
    this.#ids = [...state.plan.allParam].filter(id => !except.includes(id));
    this.#seen = this.#ids.map(() => null);
  }

  /** Ids of those that differ from the last time. */
  changed(): ReadonlySet<number> {
    const result = new Set<number>();
    const { execParams, execPlans } = this.#est;
    this.#ids.forEach((id, i) => {
      const value = execParams[id] ?? null;
      if (!execPlans[id] && this.#seen[i] === value) return;
      result.add(id);
      this.#seen[i] = value;
    });
    return result;
  }
}

/** Collects a subquery's first column as an array. */
class ArrayCollector {
  readonly #est: EState;
  readonly #elementType: number;
  readonly #nested: boolean;
  #values: Datum[] = [];

  constructor(est: EState, arrayType: number, columnType: number) {
    this.#est = est;
    this.#nested = arrayType === columnType;
    this.#elementType = typeFactsOf(est, arrayType).typelem;
  }

  clear(): void {
    this.#values = [];
  }

  add(value: Datum): void {
    this.#values.push(detach(value));
  }

  result(): Datum {
    const elem = typeFactsOf(this.#est, this.#elementType);
    if (!this.#nested || this.#values.length === 0) return buildArray(this.#values, elem);
    const parts = this.#values as Uint8Array[];
    const { dims, lbounds } = arrayHeader(parts[0]!);
    const all = parts.flatMap(part => {
      if (arrayHeader(part).dims.join() !== dims.join())
        throw ereport(ERRCODE.ARRAY_SUBSCRIPT_ERROR, 'cannot accumulate arrays of different dimensionality');
      return deconstructArray(part, elem);
    });
    return constructArray(all, elem, [parts.length, ...dims], [1, ...lbounds]);
  }
}

export class InitPlanSetter implements ParamSetter, InitPlanState {
  readonly setParams: readonly number[];
  readonly #est: EState;
  readonly #node: SubPlan;
  readonly #state: PlanState;
  readonly #columns: readonly RowReader[];
  readonly #array: ArrayCollector | null;
  #rows = 0;
  #values: Datum[] = [];

  constructor(est: EState, node: SubPlan, state: PlanState, scope: ExprScope) {
    this.#est = est;
    this.#node = node;
    this.#state = state;
    this.setParams = node.setParam;
    const visible = state.plan.targetlist.filter(tle => !tle.resjunk);
    this.#columns = visible.map(tle => readColumn(scope, state.out.columns[tle.resno - 1]!));
    this.#array =
      node.subLinkType === N.ARRAY_SUBLINK
        ? new ArrayCollector(est, node.firstColType, exprType(visible[0]!.expr))
        : null;
    for (const id of this.setParams) est.execPlans[id] = this;
  }

  setParam(): void {
    const { execParams, execPlans } = this.#est;
    const values = this.#run();
    this.setParams.forEach((id, i) => {
      execParams[id] = values[i] ?? null;
      execPlans[id] = null;
    });
  }

  #run(): Datum[] {
    const state = this.#state;
    if (this.#node.subLinkType === N.EXISTS_SUBLINK) return [pull(this.#est, state, 1)];
    while (pull(this.#est, state, this.#array === null ? 2 : this.#est.pace.take())) {
      for (let row = 0; row < state.out.n; row++) {
        if (this.#array !== null) this.#array.add(this.#columns[0]!(row));
        else {
          if (this.#rows++ > 0) throw moreThanOneRow();
          this.#values = this.#columns.map(read => detach(read(row)));
        }
      }
    }
    return this.#array !== null ? [this.#array.result()] : this.#values;
  }

  reset(changed: ChangedParams): boolean {
    if (!this.#state.dependsOn(changed)) return false;
    for (const id of this.setParams) this.#est.execPlans[id] = this;
    this.#rows = 0;
    this.#values = [];
    this.#array?.clear();
    this.#state.rescan(changed);
    return true;
  }
}

/** A SubPlan as an expression. */
export function compileSubPlan(est: EState, node: SubPlan, state: PlanState, scope: ExprScope): RowReader {
  if (node.useHashTable) return new HashedSubPlan(est, node, state, scope).reader();
  const args = node.args.map(arg => compileExpr(arg, scope));
  const own: ReadonlySet<number> = new Set(node.parParam);
  const watch = new ParamWatch(est, state, node.parParam);
  const visible = state.plan.targetlist.filter(tle => !tle.resjunk);
  const columns = visible.map(tle => readColumn(scope, state.out.columns[tle.resno - 1]!));
  const test = node.testexpr === null ? null : compileExpr(node.testexpr, scope);
  const array =
    node.subLinkType === N.ARRAY_SUBLINK
      ? new ArrayCollector(est, node.firstColType, exprType(visible[0]!.expr))
      : null;
  const { execParams } = est;
  let running = false;
  /** The row the subquery is evaluated for: testexpr reads its columns. */
  let current = 0;
  // State of an evaluation that may be interrupted.
  let inner = 0;
  let found = false;
  let unknown = false;
  let first: Datum = null;
  let generation = -1;
  /** The evaluation that is interrupted: another one does not go on with it. */
  let evaluation = -1;
  const begin = (row: number): void => {
    for (let i = 0; i < args.length; i++) execParams[node.parParam[i]!] = detach(args[i]!(row));
    const others = watch.changed();
    state.rescan(others.size === 0 ? own : new Set([...own, ...others]));
    state.out.n = 0;
    inner = 0;
    found = false;
    unknown = false;
    first = null;
    array?.clear();
    generation = est.generation;
    evaluation = evaluationKey(scope.ec, row);
    running = true;
  };
  const body = (): Datum => {
    switch (node.subLinkType) {
      case N.EXISTS_SUBLINK:
        return pull(est, state, 1);
      case N.EXPR_SUBLINK:
      case N.ARRAY_SUBLINK:
        while (pull(est, state, array === null ? 2 : est.pace.take())) {
          for (let row = 0; row < state.out.n; row++) {
            if (array !== null) array.add(columns[0]!(row));
            else {
              if (found) throw moreThanOneRow();
              found = true;
              first = detach(columns[0]!(row));
            }
          }
        }
        return array !== null ? array.result() : first;
      case N.MULTIEXPR_SUBLINK:
        while (pull(est, state, 2)) {
          if (found || state.out.n > 1) throw moreThanOneRow();
          found = true;
          for (let c = 0; c < columns.length; c++) execParams[node.setParam[c]!] = detach(columns[c]!(0));
        }
        if (!found) for (const id of node.setParam) execParams[id] = null;
        return null;
      case N.ROWCOMPARE_SUBLINK:
      case N.ANY_SUBLINK:
      case N.ALL_SUBLINK: {
        const stopAt = node.subLinkType !== N.ALL_SUBLINK;
        for (;;) {
          if (inner >= state.out.n) {
            if (!pull(est, state, est.pace.take())) {
              if (node.subLinkType === N.ROWCOMPARE_SUBLINK) return first;
              return unknown ? null : !stopAt;
            }
            inner = 0;
          }
          for (; inner < state.out.n; inner++) {
            for (let c = 0; c < columns.length; c++) execParams[node.paramIds[c]!] = columns[c]!(inner);
            const result = test!(current);
            if (node.subLinkType === N.ROWCOMPARE_SUBLINK) {
              if (found) throw moreThanOneRow();
              found = true;
              first = result;
            } else if (result === stopAt) return stopAt;
            else if (result === null) unknown = true;
          }
        }
      }
      default:
        throw ereport(ERRCODE.INTERNAL_ERROR, `unrecognized subLinkType ${node.subLinkType}`);
    }
  };
  return row => {
    current = row;
    if (!running || generation !== est.generation || evaluation !== evaluationKey(scope.ec, row)) begin(row);
    const value = body();
    running = false;
    return value;
  };
}

/** value IN (SELECT ...) that does not depend on the row: the subquery's rows in a hash table. */
class HashedSubPlan {
  readonly #est: EState;
  readonly #state: PlanState;
  readonly #node: SubPlan;
  readonly #left: readonly RowReader[];
  readonly #right: readonly RowReader[];
  readonly #leftHash: readonly Hash[];
  readonly #rightHash: readonly Hash[];
  readonly #equal: readonly Equal[];
  readonly #store: RowStore;
  readonly #table: RowHash;
  readonly #writer: RowWriter;
  readonly #stored: readonly RowReader[];
  readonly #lanePtrs: Int32Array;
  readonly #watch: ParamWatch;
  /** Rows with a null somewhere. */
  #withNulls: number[] = [];
  /** Generation that the table is for; that it is being filled for, -1 none. */
  #built = -1;
  #building = -1;

  constructor(est: EState, node: SubPlan, state: PlanState, scope: ExprScope) {
    this.#est = est;
    this.#node = node;
    this.#state = state;
    this.#watch = new ParamWatch(est, state, []);
    const clauses = makeAndsImplicit(node.testexpr) as OpExpr[];
    this.#left = clauses.map(c => compileExpr(c.args[0]!, scope));
    const visible = state.plan.targetlist.filter(tle => !tle.resjunk);
    const columns = clauses.map(c => {
      const right = c.args[1]!;
      const position = right.type === 'Param' ? node.paramIds.indexOf(right.paramid) : -1;
      return state.out.columns[visible[position]!.resno - 1]!;
    });
    this.#right = columnReaders(scope, columns);
    const hashes = clauses.map(c => hashesOf(est, c.opno, [exprType(c.args[0]!), exprType(c.args[1]!)], c.inputcollid));
    this.#leftHash = hashes.map(h => h[0]);
    this.#rightHash = hashes.map(h => h[1]);
    this.#equal = clauses.map(c => equalityOf(est, c.opno, c.inputcollid));
    this.#store = new RowStore(est.env.arena);
    est.stores.push(this.#store);
    this.#table = new RowHash(this.#store);
    this.#writer = new RowWriter(est, columns, column => readColumn(scope, column));
    const lane = this.#writer.newLane();
    this.#lanePtrs = lane.ptrs;
    this.#stored = columnReaders(scope, this.#writer.columns(lane));
  }

  reader(): RowReader {
    return row => {
      if (this.#building < 0) {
        const changed = this.#watch.changed();
        if (this.#built !== this.#est.generation) this.#begin(null);
        else if (changed.size > 0) this.#begin(changed);
      }
      if (this.#building >= 0) this.#build();
      return this.#lookup(row);
    };
  }

  #begin(changed: ChangedParams): void {
    this.#building = this.#est.generation;
    this.#store.clear();
    this.#table.clear();
    this.#withNulls = [];
    this.#state.rescan(changed);
  }

  #build(): void {
    if (this.#building !== this.#est.generation) this.#begin(null);
    while (pull(this.#est, this.#state, this.#est.pace.take())) {
      for (let row = 0; row < this.#state.out.n; row++) {
        let h = 0;
        let hasNull = false;
        for (let i = 0; i < this.#right.length; i++) {
          const value = this.#right[i]!(row);
          if (value === null) hasNull = true;
          else h = (Math.imul(h, 31) + this.#rightHash[i]!(value)) | 0;
        }
        const ptr = this.#writer.write(this.#store, row);
        if (hasNull) this.#withNulls.push(ptr);
        else this.#table.add(ptr, h);
      }
    }
    this.#built = this.#est.generation;
    this.#building = -1;
  }

  #lookup(row: number): Datum {
    if (this.#store.count === 0) return false;
    const values = this.#left.map(read => read(row));
    const unknownAs = this.#node.unknownEqFalse ? false : null;
    if (!values.includes(null)) {
      let h = 0;
      for (let i = 0; i < values.length; i++) h = (Math.imul(h, 31) + this.#leftHash[i]!(values[i]!)) | 0;
      for (let ptr = this.#table.first(h); ptr !== 0; ptr = this.#table.next(ptr)) {
        if (this.#table.hashAt(ptr) === h && this.#matches(values, ptr, false)) return true;
      }
      if (unknownAs === null && this.#withNulls.some(ptr => this.#matches(values, ptr, true))) return null;
      return false;
    }
    if (unknownAs === false) return false;
    // Null on the left: unknown if any row could be equal in the other columns.
    const where = new StorePosition();
    for (let ptr = this.#store.next(where); ptr !== 0; ptr = this.#store.next(where))
      if (this.#matches(values, ptr, true)) return null;
    return false;
  }

  /** Equal in all columns; with `partial`, in all where both are known. */
  #matches(values: readonly Datum[], ptr: number, partial: boolean): boolean {
    this.#lanePtrs[0] = ptr;
    for (let i = 0; i < values.length; i++) {
      const stored = this.#stored[i]!(0);
      const value = values[i]!;
      if (stored === null || value === null) {
        if (!partial) return false;
      } else if (!this.#equal[i]!(value, stored)) return false;
    }
    return true;
  }
}
