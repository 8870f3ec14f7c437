/**
 * Plans are shared by texts that differ in their literals, and by executions with other parameters. Where statistics tell
 * that values matter (a common value, the end of a range) a plan notes how to estimate again: whoever runs it with other
 * values asks for another plan when the estimate is of another order of magnitude.
 */
import { PARAM_EXTERN, RTE_RELATION } from '@pgtroupe/nodes/nodes';
import type { Node } from '@pgtroupe/nodes/parsenodes';
import type { Expr } from '@pgtroupe/nodes/primnodes';
import type { PlannerInfo, RelOptInfo, ValueEstimate } from '../pathnodes.ts';
import type { PlannerEnv } from '../pathnodes.ts';
import { walkExpr } from '../var.ts';
import { examineVariable } from './variable.ts';

/** More are not told apart: a plan is looked up at each execution. */
const MAX_ESTIMATES = 8;
/** Estimates that differ by less make no other plan. */
const MAGNITUDE = Math.log(4);
const LEAST = 1e-6;

export function noteValueEstimate(
  root: PlannerInfo,
  args: readonly Expr[],
  varRelid: number,
  kind: string,
  estimate: (root: PlannerInfo) => number,
): void {
  const { valueEstimates } = root.glob;
  if (valueEstimates.length >= MAX_ESTIMATES || !args.some(hasParameter)) return;
  if (valueEstimates.some(known => known.args.every((arg, i) => arg === args[i]))) return;
  const variable = args.map(arg => examineVariable(root, arg, varRelid)).find(v => v.statistics !== undefined);
  const rel = variable?.rel;
  if (variable === undefined || rel?.rte?.rtekind !== RTE_RELATION || variable.unique) return;
  // Without common values all are taken to be alike.
  if ((kind === 'eqsel' || kind === 'neqsel') && variable.statistics!.mcv === undefined) return;
  const part = partOf(root, rel);
  valueEstimates.push({ args, estimate: env => estimate({ ...part, env } as PlannerInfo) });
}

function hasParameter(expr: Expr): boolean {
  return walkExpr(expr as Node, n => (n.type === 'Param' && n.paramkind === PARAM_EXTERN ? true : undefined));
}

/** What estimates look at: no more of the planner's work, and nothing of its session, is kept with the plan. */
function partOf(root: PlannerInfo, rel: RelOptInfo): Partial<PlannerInfo> {
  const { relids, rtindex, rte, tuples, rows, pages, indexes } = rel;
  const rels: (RelOptInfo | undefined)[] = [];
  rels[rtindex] = { relids, rtindex, rte, tuples, rows, pages, indexes, subroot: null } as unknown as RelOptInfo;
  return { rels, bitOf: [...root.bitOf], joinRels: new Map(), eqClasses: [] };
}

/** Executions with the same answer share a plan. May throw CatalogMiss. */
export function magnitudes(estimates: readonly ValueEstimate[], env: PlannerEnv): string {
  return estimates.map(({ estimate }) => Math.round(Math.log(Math.max(estimate(env), LEAST)) / MAGNITUDE)).join();
}
