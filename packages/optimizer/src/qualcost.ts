/**
 * What conditions cost, and in which order those of one node are asked: the cheap ones first, as
 * PostgreSQL does (cost_qual_eval, order_qual_clauses). The order is seen where one would fail on a row that
 * another rejects.
 */
import type { Node } from '@pgtroupe/nodes/parsenodes';
import type { Expr } from '@pgtroupe/nodes/primnodes';
import { exprType, walkChildren } from '@pgtroupe/nodes/nodefuncs';
import { CPU_OPERATOR_COST, estimateArrayLength } from './costsize.ts';
import { getOperator, getProc, getType } from './lsyscache.ts';
import type { PlannerInfo, QualCost } from './pathnodes.ts';
import { isPlanConstant } from './planconstants.ts';

export function costQuals(root: PlannerInfo, quals: readonly Expr[]): QualCost {
  const cost: QualCost = { startup: 0, perTuple: 0 };
  for (const qual of quals) {
    const { startup, perTuple } = costOf(root, qual);
    cost.startup += startup;
    cost.perTuple += perTuple;
  }
  return cost;
}

/** Every join that is tried asks again. */
function costOf(root: PlannerInfo, qual: Expr): QualCost {
  const { qualCosts } = root.glob;
  let cost = qualCosts.get(qual);
  if (cost === undefined) {
    cost = { startup: 0, perTuple: 0 };
    addCost(root, qual as Node, cost);
    qualCosts.set(qual, cost);
  }
  return cost;
}

export function orderQuals(root: PlannerInfo, quals: readonly Expr[]): Expr[] {
  if (quals.length < 2) return [...quals];
  return [...quals].sort((a, b) => costOf(root, a).perTuple - costOf(root, b).perTuple);
}

function addCost(root: PlannerInfo, node: Node, cost: QualCost): void {
  const call = (procid: number): number => getProc(root.env.rows, procid).procost * CPU_OPERATOR_COST;
  // Literals are parameters: what PostgreSQL has computed by now costs no row anything.
  if (node.type !== 'Param' && node.type !== 'Const' && isPlanConstant(root.env, node as Expr)) return;
  switch (node.type) {
    case 'FuncExpr':
      cost.perTuple += call(node.funcid);
      break;
    case 'OpExpr':
    case 'DistinctExpr':
    case 'NullIfExpr':
      cost.perTuple += call(node.opfuncid);
      break;
    case 'ScalarArrayOpExpr':
      cost.perTuple += call(node.opfuncid) * estimateArrayLength(node.args[1]!) * 0.5;
      break;
    case 'CoerceViaIO':
      cost.perTuple +=
        call(getType(root.env.rows, node.resulttype).typinput) +
        call(getType(root.env.rows, exprType(node.arg)).typoutput);
      break;
    case 'ArrayCoerceExpr': {
      const element: QualCost = { startup: 0, perTuple: 0 };
      addCost(root, node.elemexpr as Node, element);
      cost.startup += element.startup;
      if (element.perTuple > 0) cost.perTuple += element.perTuple * estimateArrayLength(node.arg);
      break;
    }
    case 'RowCompareExpr':
      for (const opno of node.opnos) cost.perTuple += call(getOperator(root.env.rows, opno).oprcode);
      break;
    case 'GroupingFunc':
    case 'MinMaxExpr':
    case 'SQLValueFunction':
    case 'CoerceToDomain':
      cost.perTuple += CPU_OPERATOR_COST;
      break;
    case 'SubPlan':
      cost.startup += node.startup_cost;
      cost.perTuple += node.per_call_cost;
      return;
    case 'Aggref':
    case 'WindowFunc':
      // Their node pays for them and for their arguments.
      return;
    default:
  }
  walkChildren(node, child => {
    addCost(root, child, cost);
    return false;
  });
}
