/**
 * Which parameters each plan node depends on (SS_finalize_plan): a node that keeps its result keeps it
 * over rescans that change none of them.
 */
import type { Node } from '@pgtroupe/nodes/parsenodes';
import type { Expr } from '@pgtroupe/nodes/primnodes';
import { walkExpr } from './var.ts';
import type { Plan, PlannedSubquery } from './plannodes.ts';

export function finalizeParams(plan: Plan, subplans: readonly PlannedSubquery[]): void {
  const done = new Set<Plan>();
  const visit = (node: Plan): ReadonlySet<number> => {
    if (done.has(node)) return node.allParam;
    done.add(node);
    const own = new Set<number>();
    const addAll = (more: ReadonlySet<number>): void => {
      for (const id of more) own.add(id);
    };
    const addExpr = (expr: Expr | null | undefined, params: Set<number> = own): void => {
      if (expr === null || expr === undefined) return;
      walkExpr(expr as Node, n => {
        if (n.type === 'Param' && n.paramkind === 1) params.add(n.paramid);
        if (n.type === 'SubPlan') {
          const inner = visit(subplans[n.plan_id - 1]!.plan);
          const given = new Set([...n.parParam, ...n.paramIds]);
          for (const id of inner) if (!given.has(id)) params.add(id);
        }
        return undefined;
      });
    };
    for (const init of node.initPlan) {
      const inner = visit(subplans[init.plan_id - 1]!.plan);
      addAll(inner);
      // Whoever reads an init plan's result depends on what it depends on.
    }
    for (const tle of node.targetlist) addExpr(tle.expr);
    for (const qual of node.qual) addExpr(qual);
    for (const expr of nodeExpressions(node)) addExpr(expr);
    if (node.type === 'CteScan') {
      own.add(node.cteParam);
      addAll(visit(subplans[node.ctePlanId - 1]!.plan));
    }
    if (node.type === 'WorkTableScan') own.add(node.wtParam);
    for (const child of planInputs(node)) {
      const inner = visit(child);
      for (const id of inner) {
        if (node.type === 'NestLoop' && child === node.righttree && node.nestParams.some(p => p.paramno === id))
          continue;
        if (node.type === 'RecursiveUnion' && id === node.wtParam) continue;
        own.add(id);
      }
    }
    if (node.type === 'HashJoin') {
      const table = new Set(visit(node.righttree!));
      for (const key of node.innerhashkeys) addExpr(key, table);
      node.tableParam = table;
    }
    node.allParam = own;
    return own;
  };
  for (const { plan: sub } of subplans) visit(sub);
  visit(plan);
}

/** The plans whose rows a node reads, subqueries of its expressions apart. */
export function planInputs(node: Plan): Plan[] {
  const children: Plan[] = [];
  if (node.lefttree !== null) children.push(node.lefttree);
  if (node.righttree !== null) children.push(node.righttree);
  if (node.type === 'Append') children.push(...node.appendplans);
  if (node.type === 'SubqueryScan') children.push(node.subplan);
  return children;
}

/** Expressions beside target list and qual. */
function nodeExpressions(node: Plan): (Expr | null)[] {
  switch (node.type) {
    case 'Result':
      return [...node.resconstantqual];
    case 'IndexScan':
      return node.indexqual.map(q => q.value);
    case 'TidScan':
      return [...node.tidquals];
    case 'FunctionScan':
      return node.functions.map(f => f.funcexpr);
    case 'ValuesScan':
      return node.values_lists.flat();
    case 'NestLoop':
      return [...node.joinqual];
    case 'HashJoin':
      return [...node.joinqual, ...node.hashkeys, ...node.innerhashkeys];
    case 'WindowAgg':
      return [node.startOffset, node.endOffset];
    case 'Limit':
      return [node.limitOffset, node.limitCount];
    case 'ModifyTable':
      return [...node.returningList.map(t => t.expr), ...node.onConflictSet.map(t => t.expr), node.onConflictWhere];
    default:
      return [];
  }
}
