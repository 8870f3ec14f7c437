/**
 * UNION, INTERSECT and EXCEPT (prepunion.c): the inputs are planned as subqueries and appended; what
 * removes duplicates stands on top.
 */
import type { Slices } from '@pgtroupe/common/slices';
import { BOOLOID, INT4OID } from '@pgtroupe/common/oids';
import { type Oid, INVALID_OID } from '@pgtroupe/common/ids';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import { CASTSOURCETARGET } from '@pgtroupe/catalog/syscache';
import { makeConst, makeFuncExpr, makeRelabelType, makeTargetEntry, makeVar } from '@pgtroupe/nodes/makefuncs';
import { exprCollation, exprType, exprTypmod } from '@pgtroupe/nodes/nodefuncs';
import * as N from '@pgtroupe/nodes/nodes';
import type { SetOperationNode, SetOperationStmt, SortGroupClause } from '@pgtroupe/nodes/parsenodes';
import type { Expr, TargetEntry } from '@pgtroupe/nodes/primnodes';
import { CPU_OPERATOR_COST, CPU_TUPLE_COST, targetWidth } from './costsize.ts';
import { makeSort, onTopOf, planFields } from './createplan.ts';
import { getProc } from './lsyscache.ts';
import type { PlannerInfo } from './pathnodes.ts';
import type { Agg, Append, Plan, RecursiveUnion, Result, SetOp, SubqueryScan, Unique } from './plannodes.ts';

/** The plan of the level's set operation tree; its target list has the level's own column numbers. */
export function* planSetOperations(root: PlannerInfo): Slices<Plan> {
  const { parse } = root;
  const top = parse.setOperations as SetOperationStmt;
  const plan = yield* root.wtParamId >= 0 ? recursiveUnion(root, top) : buildOperation(root, top);
  // Names and sort references are those of the query's own list; columns are by position.
  plan.targetlist = plan.targetlist.slice(0, parse.targetList.length).map((tle, i) => {
    const own = parse.targetList[i]!;
    return { ...tle, resname: own.resname, ressortgroupref: own.ressortgroupref, resjunk: own.resjunk };
  });
  if (parse.targetList.some(tle => tle.expr.type !== 'Var')) {
    // Resolved column types differ from the first input's: the list has casts over its columns.
    throw ereport(ERRCODE.INTERNAL_ERROR, 'set operation target list is not made of columns');
  }
  return plan;
}

/** The plan of one side, its columns as `op` has them. */
function* build(root: PlannerInfo, node: SetOperationNode, op: SetOperationStmt): Slices<Plan> {
  if (node.type === 'RangeTblRef') return yield* leaf(root, node.rtindex, op, null);
  const plan = yield* buildOperation(root, node);
  if (sameTypes(node, op)) return plan;
  const tlist = plan.targetlist
    .filter(t => !t.resjunk)
    .map((t, i) => ({ ...t, resno: i + 1, expr: coerceTo(root, t.expr, op.colTypes[i]!, op.colCollations[i]!) }));
  const result: Result = {
    ...planFields(root, tlist, onTopOf(plan)),
    type: 'Result',
    lefttree: plan,
    resconstantqual: [],
  };
  return result;
}

function buildOperation(root: PlannerInfo, node: SetOperationStmt): Slices<Plan> {
  return node.op === N.SETOP_UNION ? union(root, node) : intersectOrExcept(root, node);
}

/** One input: a subquery scan whose columns have the operation's types. `flag` is put behind them. */
function* leaf(root: PlannerInfo, rtindex: number, op: SetOperationStmt, flag: number | null): Slices<Plan> {
  const rte = root.rtable[rtindex - 1]!;
  const saved = root.planParams;
  root.planParams = [];
  const { plan: subplan } = yield* root.glob.planSubquery(root, rte.subquery!, false, 0);
  root.planParams = saved;
  const tlist: TargetEntry[] = [];
  for (const tle of subplan.targetlist) {
    if (tle.resjunk) continue;
    const v = makeVar(rtindex, tle.resno, exprType(tle.expr), exprTypmod(tle.expr), exprCollation(tle.expr));
    const column = tlist.length;
    tlist.push(
      makeTargetEntry(
        coerceTo(root, v, op.colTypes[column]!, op.colCollations[column]!),
        column + 1,
        tle.resname,
        false,
      ),
    );
  }
  if (flag !== null)
    tlist.push(makeTargetEntry(makeConst(INT4OID, -1, INVALID_OID, 4, true, flag), tlist.length + 1, 'flag', true));
  const width = targetWidth(
    root,
    tlist.map(t => ({ typid: exprType(t.expr), typmod: exprTypmod(t.expr) })),
  );
  const scan: SubqueryScan = {
    ...planFields(root, tlist, { ...onTopOf(subplan, subplan.plan_rows * CPU_TUPLE_COST), width }),
    type: 'SubqueryScan',
    scanrelid: rtindex,
    subplan,
  };
  return scan;
}

function* withFlag(root: PlannerInfo, node: SetOperationNode, op: SetOperationStmt, flag: number): Slices<Plan> {
  if (node.type === 'RangeTblRef') return yield* leaf(root, node.rtindex, op, flag);
  const plan = yield* build(root, node, op);
  const columns = plan.targetlist.filter(t => !t.resjunk);
  const tlist = [
    ...columns.map((t, i) => ({ ...t, resno: i + 1 })),
    makeTargetEntry(makeConst(INT4OID, -1, INVALID_OID, 4, true, flag), columns.length + 1, 'flag', true),
  ];
  const result: Result = {
    ...planFields(root, tlist, onTopOf(plan)),
    type: 'Result',
    lefttree: plan,
    resconstantqual: [],
  };
  return result;
}

/** Columns as the level above sees them: position with the operation's type. */
function operationTlist(op: SetOperationStmt, like: readonly TargetEntry[], withJunk: boolean): TargetEntry[] {
  const tlist = op.colTypes.map((type, i): TargetEntry => {
    const v = makeVar(0, i + 1, type, op.colTypmods[i]!, op.colCollations[i]!);
    return makeTargetEntry(v, i + 1, like[i]!.resname, false);
  });
  if (withJunk)
    tlist.push(makeTargetEntry(makeVar(0, tlist.length + 1, INT4OID, -1, INVALID_OID), tlist.length + 1, 'flag', true));
  return tlist;
}

function append(root: PlannerInfo, op: SetOperationStmt, children: readonly Plan[], withJunk: boolean): Append {
  const rows = children.reduce((n, c) => n + c.plan_rows, 0);
  const total = children.reduce((n, c) => n + c.total_cost, 0);
  const fields = planFields(root, operationTlist(op, children[0]!.targetlist, withJunk), {
    startup: children[0]!.startup_cost,
    total,
    rows,
    width: children[0]!.plan_width,
  });
  return { ...fields, type: 'Append', appendplans: children };
}

/** Inputs of nested UNIONs that mean the same are appended all at once. */
function unionInputs(top: SetOperationStmt): SetOperationNode[] {
  const inputs: SetOperationNode[] = [];
  const waiting: SetOperationNode[] = [top.rarg, top.larg];
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    if (
      node.type === 'SetOperationStmt' &&
      node.op === N.SETOP_UNION &&
      (node.all || node.all === top.all) &&
      sameTypes(node, top)
    )
      waiting.push(node.rarg, node.larg);
    else inputs.push(node);
  }
  return inputs;
}

function sameTypes(a: SetOperationStmt, b: SetOperationStmt): boolean {
  return a.colTypes.every((t, i) => t === b.colTypes[i]);
}

function* union(root: PlannerInfo, op: SetOperationStmt): Slices<Plan> {
  const inputs: Plan[] = [];
  for (const input of unionInputs(op)) inputs.push(yield* build(root, input, op));
  const plan = append(root, op, inputs, false);
  return op.all ? plan : removeDuplicates(root, op, plan);
}

function removeDuplicates(root: PlannerInfo, op: SetOperationStmt, plan: Plan): Plan {
  const clauses = op.groupClauses;
  const columns = clauses.map((_, i) => i + 1);
  if (clauses.every(c => c.hashable)) {
    const agg: Agg = {
      ...planFields(root, plan.targetlist, {
        startup: plan.total_cost,
        total: plan.total_cost + plan.plan_rows * CPU_OPERATOR_COST * columns.length,
        rows: plan.plan_rows,
        width: plan.plan_width,
      }),
      type: 'Agg',
      lefttree: plan,
      aggstrategy: 'hashed',
      grpColIdx: columns,
      grpOperators: clauses.map(c => c.eqop),
      grpCollations: [...op.colCollations],
      numGroups: plan.plan_rows,
      grpRefs: [],
      groupingSets: null,
    };
    return agg;
  }
  requireSortable(clauses, 'UNION');
  const sorted = makeSort(
    root,
    plan,
    columns,
    clauses.map(c => c.sortop),
    clauses.map(c => c.nulls_first),
  );
  const unique: Unique = {
    ...planFields(root, plan.targetlist, onTopOf(sorted)),
    type: 'Unique',
    lefttree: sorted,
    uniqColIdx: columns,
    uniqOperators: clauses.map(c => c.eqop),
    uniqCollations: [...op.colCollations],
  };
  return unique;
}

function requireSortable(clauses: readonly SortGroupClause[], name: string): void {
  if (clauses.some(c => c.sortop === 0)) {
    throw ereport(ERRCODE.FEATURE_NOT_SUPPORTED, `could not implement ${name}`, {
      detail: 'Some of the datatypes only support hashing, while others only support sorting.',
    });
  }
}

function* intersectOrExcept(root: PlannerInfo, op: SetOperationStmt): Slices<Plan> {
  const name = op.op === N.SETOP_INTERSECT ? 'INTERSECT' : 'EXCEPT';
  if (!op.groupClauses.every(c => c.hashable)) {
    throw ereport(ERRCODE.FEATURE_NOT_SUPPORTED, `could not implement ${name}`, {
      detail: 'All column datatypes must be hashable.',
    });
  }
  const left = yield* withFlag(root, op.larg, op, 0);
  const right = yield* withFlag(root, op.rarg, op, 1);
  const both = append(root, op, [left, right], true);
  const columns = op.groupClauses.map((_, i) => i + 1);
  const tlist = operationTlist(op, left.targetlist, false);
  const node: SetOp = {
    ...planFields(root, tlist, {
      startup: both.total_cost,
      total: both.total_cost + both.plan_rows * CPU_OPERATOR_COST * columns.length,
      rows: Math.max(1, left.plan_rows / 2),
      width: left.plan_width,
    }),
    type: 'SetOp',
    lefttree: both,
    cmd: op.op === N.SETOP_INTERSECT ? (op.all ? 'intersectAll' : 'intersect') : op.all ? 'exceptAll' : 'except',
    dupColIdx: columns,
    dupOperators: op.groupClauses.map(c => c.eqop),
    dupCollations: [...op.colCollations],
    flagColIdx: columns.length + 1,
  };
  return node;
}

function* recursiveUnion(root: PlannerInfo, op: SetOperationStmt): Slices<Plan> {
  const left = yield* build(root, op.larg, op);
  root.nonRecursiveRows = left.plan_rows;
  const right = yield* build(root, op.rarg, op);
  const clauses = op.all ? [] : op.groupClauses;
  if (!clauses.every(c => c.hashable)) {
    throw ereport(ERRCODE.FEATURE_NOT_SUPPORTED, 'could not implement recursive UNION', {
      detail: 'All column datatypes must be hashable.',
    });
  }
  const rows = left.plan_rows + 10 * right.plan_rows;
  const node: RecursiveUnion = {
    ...planFields(root, operationTlist(op, left.targetlist, false), {
      startup: left.startup_cost,
      total: left.total_cost + 10 * right.total_cost,
      rows,
      width: left.plan_width,
    }),
    type: 'RecursiveUnion',
    lefttree: left,
    righttree: right,
    wtParam: root.wtParamId,
    dupColIdx: clauses.map((_, i) => i + 1),
    dupOperators: clauses.map(c => c.eqop),
    dupCollations: clauses.map((_, i) => op.colCollations[i]!),
  };
  return node;
}

/** An input's column as the operation's common type: analysis has made sure that there is an implicit cast. */
function coerceTo(root: PlannerInfo, expr: Expr, type: Oid, collation: Oid): Expr {
  const from = exprType(expr);
  if (from === type) return expr;
  const cast = root.env.rows.search(CASTSOURCETARGET, from, type);
  if (cast !== null && cast.castmethod === 'f') {
    const { pronargs } = getProc(root.env.rows, cast.castfunc);
    const args: Expr[] = [expr];
    if (pronargs > 1) args.push(makeConst(INT4OID, -1, INVALID_OID, 4, true, -1));
    if (pronargs > 2) args.push(makeConst(BOOLOID, -1, INVALID_OID, 1, true, false));
    return makeFuncExpr(cast.castfunc, type, args, collation, INVALID_OID, N.COERCE_IMPLICIT_CAST);
  }
  if (cast !== null && cast.castmethod === 'i') {
    return {
      type: 'CoerceViaIO',
      arg: expr,
      resulttype: type,
      resultcollid: collation,
      coerceformat: N.COERCE_IMPLICIT_CAST,
      location: -1,
    };
  }
  return makeRelabelType(expr, type, -1, collation, N.COERCE_IMPLICIT_CAST);
}
