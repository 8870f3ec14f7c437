/**
 * Builds the tree of plan node states for a plan.
 */
import { assert } from '@pgtroupe/common/assert';
import type { Slices } from '@pgtroupe/common/slices';
import * as N from '@pgtroupe/nodes/nodes';
import type { SubPlan } from '@pgtroupe/nodes/primnodes';
import { planInputs } from '@pgtroupe/optimizer/finalize';
import type { Plan, PlannedStmt } from '@pgtroupe/optimizer/plannodes';
import type { RowReader } from './batch.ts';
import type { ChangedParams, EState, InitPlanState, PlanState } from './estate.ts';
import type { ExprScope } from './execExpr.ts';
import type { HeavyCalls } from './execOffLoop.ts';
import { AggState } from './nodeAgg.ts';
import { AppendState } from './nodeAppend.ts';
import { CteScanState, CteStore, type WorkTable, WorkTableScanState } from './nodeCtescan.ts';
import { FunctionScanState } from './nodeFunctionscan.ts';
import { HashJoinState } from './nodeHashjoin.ts';
import { IndexScanState } from './nodeIndexscan.ts';
import { LimitState } from './nodeLimit.ts';
import { LockRowsState } from './nodeLockRows.ts';
import { MaterialState } from './nodeMaterial.ts';
import { ModifyTableState } from './nodeModifyTable.ts';
import { NestLoopState } from './nodeNestloop.ts';
import { ProjectSetState } from './nodeProjectSet.ts';
import { RecursiveUnionState } from './nodeRecursiveunion.ts';
import { ResultState } from './nodeResult.ts';
import { SeqScanState } from './nodeSeqscan.ts';
import { SetOpState } from './nodeSetOp.ts';
import { SortState } from './nodeSort.ts';
import { compileSubPlan, InitPlanSetter } from './nodeSubplan.ts';
import { SubqueryScanState } from './nodeSubqueryscan.ts';
import { TidScanState } from './nodeTidscan.ts';
import { UniqueState } from './nodeUnique.ts';
import { ValuesScanState } from './nodeValuesscan.ts';
import { WindowAggState } from './nodeWindowAgg.ts';
import { makeScope, type SubPlanFactory } from './scope.ts';

export class PlanBuilder implements SubPlanFactory {
  /** Plan nodes repeat the row whose evaluation was suspended. */
  readonly heavyCalls: HeavyCalls | undefined;
  readonly #est: EState;
  readonly #stmt: PlannedStmt;
  /** CTEs by plan id; made by whichever comes first, their scan or their WITH. */
  readonly #ctes = new Map<number, CteStore>();
  readonly #workTables = new Map<number, WorkTable>();
  /** States that were made before what they belong to asks for them. */
  readonly #built = new Map<Plan, PlanState>();

  constructor(est: EState, stmt: PlannedStmt) {
    this.#est = est;
    this.#stmt = stmt;
    this.heavyCalls = est.env.startHeavyCall === undefined ? undefined : 'wait';
  }

  /** CTEs that change data: they run to their end even if nobody reads them. */
  modifyingCtes(): CteStore[] {
    const result: CteStore[] = [];
    this.#stmt.subplans.forEach(({ plan, cte }, i) => {
      if (cte !== null && plan.type === 'ModifyTable') result.push(this.#cte(i + 1));
    });
    return result;
  }

  build(plan: Plan): PlanState {
    const built = this.#built.get(plan);
    if (built !== undefined) {
      this.#built.delete(plan);
      return built;
    }
    const state = this.#node(plan);
    for (const init of plan.initPlan) state.initPlans.push(this.#initPlan(init));
    return state;
  }

  /** Bit by bit: each node finds its inputs, and each expression its subqueries, made already. */
  *buildInSlices(plan: Plan): Slices<PlanState> {
    for (const { plan: subplan } of this.#stmt.subplans)
      if (!readsOuterWorkTable(subplan)) yield* this.#buildBefore(subplan);
    yield* this.#buildInputs(plan);
    return this.build(plan);
  }

  *#buildInputs(plan: Plan): Slices<void> {
    // What is below the recursive side reads the union's working table, which is not there yet.
    const inputs = plan.type === 'RecursiveUnion' ? [plan.lefttree!] : planInputs(plan);
    for (const input of inputs) yield* this.#buildBefore(input);
  }

  *#buildBefore(plan: Plan): Slices<void> {
    yield* this.#buildInputs(plan);
    yield;
    this.#built.set(plan, this.build(plan));
  }

  #child(plan: Plan | null): PlanState {
    assert(plan !== null, 'plan node has its input');
    return this.build(plan);
  }

  #node(plan: Plan): PlanState {
    const est = this.#est;
    const stmt = this.#stmt;
    switch (plan.type) {
      case 'Result':
        return new ResultState(est, plan, this, plan.lefttree === null ? null : this.build(plan.lefttree));
      case 'ProjectSet':
        return new ProjectSetState(est, plan, this, this.#child(plan.lefttree));
      case 'ModifyTable':
        return new ModifyTableState(est, plan, this, this.#child(plan.lefttree), {
          range: stmt,
          build: (e, p) => new PlanBuilder(e, stmt).build(p),
        });
      case 'Append':
        return new AppendState(
          est,
          plan,
          this,
          plan.appendplans.map(p => this.build(p)),
        );
      case 'RecursiveUnion': {
        const union = new RecursiveUnionState(est, plan, this, this.#child(plan.lefttree));
        this.#workTables.set(plan.wtParam, union.table);
        union.setRecursive(this.#child(plan.righttree));
        return union;
      }
      case 'SeqScan':
        return new SeqScanState(est, plan, this, stmt);
      case 'IndexScan':
        return new IndexScanState(est, plan, this, stmt);
      case 'TidScan':
        return new TidScanState(est, plan, this, stmt);
      case 'SubqueryScan':
        return new SubqueryScanState(
          est,
          plan,
          this,
          this.build(plan.subplan),
          stmt.rtable[plan.scanrelid - 1]!.eref.colnames,
        );
      case 'FunctionScan':
        return new FunctionScanState(est, plan, this, stmt.rtable[plan.scanrelid - 1]!);
      case 'ValuesScan':
        return new ValuesScanState(est, plan, this, stmt.rtable[plan.scanrelid - 1]!);
      case 'CteScan':
        return new CteScanState(
          est,
          plan,
          this,
          this.#cte(plan.ctePlanId),
          stmt.rtable[plan.scanrelid - 1]!.eref.colnames,
        );
      case 'WorkTableScan': {
        const table = this.#workTables.get(plan.wtParam);
        assert(table !== undefined, 'working table scan below its union');
        return new WorkTableScanState(est, plan, this, table, stmt.rtable[plan.scanrelid - 1]!.eref.colnames);
      }
      case 'NestLoop':
        return new NestLoopState(est, plan, this, this.#child(plan.lefttree), this.#child(plan.righttree));
      case 'HashJoin':
        return new HashJoinState(est, plan, this, this.#child(plan.lefttree), this.#child(plan.righttree));
      case 'Material':
        return new MaterialState(est, plan, this, this.#child(plan.lefttree));
      case 'Sort':
        return new SortState(est, plan, this, this.#child(plan.lefttree));
      case 'Agg':
        return new AggState(est, plan, this, this.#child(plan.lefttree));
      case 'WindowAgg':
        return new WindowAggState(est, plan, this, this.#child(plan.lefttree));
      case 'Unique':
        return new UniqueState(est, plan, this, this.#child(plan.lefttree));
      case 'SetOp':
        return new SetOpState(est, plan, this, this.#child(plan.lefttree));
      case 'LockRows':
        return new LockRowsState(est, plan, this, this.#child(plan.lefttree), {
          range: stmt,
          build: (e, p) => new PlanBuilder(e, stmt).build(p),
        });
      case 'Limit': {
        const child = this.#child(plan.lefttree);
        const limit = new LimitState(est, plan, this, child);
        const sort = boundable(child);
        if (sort !== null) sort.bound = () => limit.bound();
        return limit;
      }
    }
  }

  #cte(planId: number): CteStore {
    let cte = this.#ctes.get(planId);
    if (cte === undefined) {
      const child = this.#subplan(planId);
      cte = new CteStore(this.#est, child, this);
      this.#est.stores.push(cte.store);
      this.#ctes.set(planId, cte);
    }
    return cte;
  }

  /** A state of its own for the plan behind a SubPlan. */
  #subplan(planId: number): PlanState {
    const state = this.build(this.#stmt.subplans[planId - 1]!.plan);
    this.#est.subplans.push(state);
    return state;
  }

  #initPlan(node: SubPlan): InitPlanState {
    if (node.subLinkType === N.CTE_SUBLINK) return new CteInit(this.#cte(node.plan_id), node.setParam);
    const state = this.#subplan(node.plan_id);
    const scope = makeScope(this.#est, this, { outer: state.out.columns });
    return new InitPlanSetter(this.#est, node, state, scope);
  }

  subplan(node: SubPlan, scope: ExprScope): RowReader {
    return compileSubPlan(this.#est, node, this.#subplan(node.plan_id), scope);
  }
}

/** Part of a recursive query's own level. */
function readsOuterWorkTable(plan: Plan): boolean {
  const reads = (node: Plan): boolean =>
    (node.type === 'WorkTableScan' && plan.allParam.has(node.wtParam)) || planInputs(node).some(reads);
  return reads(plan);
}

/** A CTE begins anew when something it depends on changes. */
class CteInit implements InitPlanState {
  readonly #cte: CteStore;
  readonly setParams: readonly number[];

  constructor(cte: CteStore, setParams: readonly number[]) {
    this.#cte = cte;
    this.setParams = setParams;
  }

  reset(changed: ChangedParams): boolean {
    if (!this.#cte.child.dependsOn(changed)) return false;
    this.#cte.reset();
    this.#cte.child.rescan(changed);
    return true;
  }
}

/** The sort whose rows a LIMIT above counts one for one. */
function boundable(state: PlanState): SortState | null {
  if (state instanceof SortState) return state;
  if (state instanceof ResultState && state.plan.qual.length === 0 && state.children.length === 1)
    return boundable(state.children[0]!);
  return null;
}
