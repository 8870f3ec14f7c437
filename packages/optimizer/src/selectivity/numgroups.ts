/**
 * How many groups there will be (estimate_num_groups, utils/adt/selfuncs.c).
 */
import { BOOLOID } from '@pgtroupe/common/oids';
import { equalNodes, exprType } from '@pgtroupe/nodes/nodefuncs';
import type { Node } from '@pgtroupe/nodes/parsenodes';
import type { Expr } from '@pgtroupe/nodes/primnodes';
import { containVolatileFunctions } from '../clauses.ts';
import type { PlannerInfo, RelOptInfo } from '../pathnodes.ts';
import { pullVars } from '../var.ts';
import { clauselistSelectivity } from './clausesel.ts';
import { clampRows, examineVariable, numDistinct, type VariableStats } from './variable.ts';

interface GroupVariable {
  readonly expr: Expr;
  readonly rel: RelOptInfo | undefined;
  readonly distinct: number;
}

export function estimateNumGroups(root: PlannerInfo, exprs: readonly Expr[], inputRows: number): number {
  const most = clampRows(inputRows);
  if (exprs.length === 0) return 1;
  let groups = 1;
  const variables: GroupVariable[] = [];
  for (const expr of exprs) {
    if ((exprType(expr) as number) === BOOLOID) {
      groups *= 2;
      continue;
    }
    const variable = examineVariable(root, expr, 0);
    if (variable.statistics !== undefined || variable.unique) {
      addUnique(root, variables, expr, variable);
      continue;
    }
    // What it is computed from has as many values, or more.
    const vars = pullVars(expr as Node);
    if (vars.length === 0 && containVolatileFunctions(root.env, expr as Node)) return most;
    for (const v of vars) addUnique(root, variables, v, examineVariable(root, v, 0));
  }
  for (let rest = variables; rest.length > 0; ) {
    const { rel } = rest[0]!;
    groups *= groupsOfRelation(
      rel,
      rest.filter(v => v.rel === rel).map(v => v.distinct),
    );
    rest = rest.filter(v => v.rel !== rel);
  }
  return Math.max(1, Math.min(Math.ceil(groups), most));
}

/** The same variable, or one that is equal to it by a condition, counts once: the one with fewer values. */
function addUnique(root: PlannerInfo, variables: GroupVariable[], expr: Expr, variable: VariableStats): void {
  const { distinct } = numDistinct(variable);
  for (let i = 0; i < variables.length; i++) {
    const known = variables[i]!;
    if (equalNodes(expr, known.expr)) return;
    if (known.rel === variable.rel || !knownEqual(root, expr, known.expr)) continue;
    if (known.distinct <= distinct) return;
    variables.splice(i--, 1);
  }
  variables.push({ expr, rel: variable.rel, distinct });
}

function knownEqual(root: PlannerInfo, a: Expr, b: Expr): boolean {
  return root.eqClasses.some(
    ec =>
      ec.merged === null &&
      !ec.hasVolatile &&
      ec.members.some(m => equalNodes(m.expr, a)) &&
      ec.members.some(m => equalNodes(m.expr, b)),
  );
}

function groupsOfRelation(rel: RelOptInfo | undefined, distincts: readonly number[]): number {
  let groups = distincts.reduce((product, n) => product * n, 1);
  if (rel === undefined || rel.tuples <= 0) return rel === undefined ? groups : 1;
  const { tuples, rows } = rel;
  // Columns of one table depend on each other more often than not.
  let most = tuples;
  if (distincts.length > 1) most = Math.min(tuples, Math.max(0.1 * tuples, ...distincts));
  groups = Math.min(groups, most);
  // Of so many values so many are left when rows are taken at random.
  if (groups > 0 && rows < tuples) groups *= 1 - ((tuples - rows) / tuples) ** (tuples / groups);
  return clampRows(groups);
}

/** How many of them HAVING leaves. */
export function groupsLeft(root: PlannerInfo, groups: number, having: readonly Expr[]): number {
  return clampRows(groups * clauselistSelectivity(root, having));
}
