/**
 * Properties and normal forms of expressions (optimizer/util/clauses.c): AND lists, volatility, strictness.
 */
import { makeBoolConst } from '@pgtroupe/nodes/makefuncs';
import { exprType, walkChildren } from '@pgtroupe/nodes/nodefuncs';
import * as N from '@pgtroupe/nodes/nodes';
import type { Node } from '@pgtroupe/nodes/parsenodes';
import type { BoolExpr, Expr, OpExpr } from '@pgtroupe/nodes/primnodes';
import { getOperator, getProc, getType } from './lsyscache.ts';
import type { PlannerEnv } from './pathnodes.ts';
import { walkExpr } from './var.ts';

// ---- AND lists ----------------------------------------------------------------------------------

/** The conjuncts of a condition, AND flattened; TRUE is no conjunct. */
export function makeAndsImplicit(expr: Expr | null): Expr[] {
  if (expr === null) return [];
  if (expr.type === 'BoolExpr' && expr.boolop === 'and') return expr.args.flatMap(makeAndsImplicit);
  if (expr.type === 'Const' && expr.constvalue === true) return [];
  return [expr];
}

export function makeAndsExplicit(clauses: readonly Expr[]): Expr | null {
  if (clauses.length === 0) return null;
  if (clauses.length === 1) return clauses[0]!;
  return { type: 'BoolExpr', boolop: 'and', args: clauses, location: -1 };
}

// ---- volatility and the like ----------------------------------------------------------------------

type Volatility = 'i' | 's' | 'v';

/** Worst volatility of the functions in an expression (not looking into SubPlans' plans). */
function contain(env: PlannerEnv, node: Node | readonly Node[], worse: (v: Volatility) => boolean): boolean {
  const check = (oid: number): boolean => worse(getProc(env.rows, oid).provolatile as Volatility);
  const visit = (n: Node): boolean => {
    switch (n.type) {
      case 'FuncExpr':
        if (check(n.funcid)) return true;
        break;
      case 'OpExpr':
      case 'DistinctExpr':
      case 'NullIfExpr':
      case 'ScalarArrayOpExpr':
        if (check(n.opfuncid || getOperator(env.rows, n.opno).oprcode)) return true;
        break;
      case 'Aggref':
        if (check(n.aggfnoid)) return true;
        break;
      case 'WindowFunc':
        if (check(n.winfnoid)) return true;
        break;
      case 'CoerceViaIO': {
        if (check(getType(env.rows, n.resulttype).typinput) || check(getType(env.rows, exprType(n.arg)).typoutput))
          return true;
        break;
      }
      case 'SQLValueFunction':
        if (worse('s')) return true;
        break;
      case 'NextValueExpr':
        if (worse('v')) return true;
        break;
      default:
    }
    return walkChildren(n, visit);
  };
  return Array.isArray(node) ? (node as readonly Node[]).some(visit) : visit(node as Node);
}

export function containVolatileFunctions(env: PlannerEnv, node: Node | readonly Node[]): boolean {
  return contain(env, node, v => v === 'v');
}

export function containMutableFunctions(env: PlannerEnv, node: Node | readonly Node[]): boolean {
  return contain(env, node, v => v !== 'i');
}

export function containSubplans(node: Node): boolean {
  return walkExpr(node, n => (n.type === 'SubPlan' || n.type === 'SubLink' ? true : undefined));
}

export function containAggs(node: Node | readonly Node[]): boolean {
  const visit = (n: Node): boolean | undefined =>
    n.type === 'Aggref' || n.type === 'GroupingFunc' ? true : n.type === 'Query' ? false : undefined;
  return Array.isArray(node) ? (node as readonly Node[]).some(n => walkExpr(n, visit)) : walkExpr(node as Node, visit);
}

export function containWindowFuncs(node: Node | readonly Node[]): boolean {
  const visit = (n: Node): boolean | undefined =>
    n.type === 'WindowFunc' ? true : n.type === 'Query' ? false : undefined;
  return Array.isArray(node) ? (node as readonly Node[]).some(n => walkExpr(n, visit)) : walkExpr(node as Node, visit);
}

/** Could the expression be non-null though its inputs are null? */
export function containNonstrictFunctions(env: PlannerEnv, node: Expr): boolean {
  return walkExpr(node, n => {
    switch (n.type) {
      case 'FuncExpr':
        return getProc(env.rows, n.funcid).proisstrict ? undefined : true;
      case 'OpExpr':
        return getProc(env.rows, n.opfuncid).proisstrict ? undefined : true;
      case 'BoolExpr':
        return n.boolop === 'not' ? undefined : true;
      case 'Var':
      case 'Const':
      case 'Param':
      case 'RelabelType':
      case 'CollateExpr':
      case 'CoerceViaIO':
        return undefined;
      default:
        return true;
    }
  });
}

/**
 * Range table indexes of relations for which a null row makes the clause (as a whole) not true, or,
 * at the top of an expression that is compared strictly, null.
 */
export function findNonnullableRels(
  env: PlannerEnv,
  node: Expr | readonly Expr[] | null,
  topLevel = true,
): Set<number> {
  const result = new Set<number>();
  if (node === null) return result;
  if (Array.isArray(node)) {
    for (const clause of node as readonly Expr[])
      for (const rel of findNonnullableRels(env, clause, topLevel)) result.add(rel);
    return result;
  }
  const expr = node as Expr;
  const addArgs = (args: readonly Expr[]): void => {
    for (const arg of args) for (const rel of findNonnullableRels(env, arg, false)) result.add(rel);
  };
  switch (expr.type) {
    case 'Var':
      if (expr.varlevelsup === 0) result.add(expr.varno);
      break;
    case 'FuncExpr':
      if (getProc(env.rows, expr.funcid).proisstrict) addArgs(expr.args);
      break;
    case 'OpExpr':
      if (getProc(env.rows, expr.opfuncid).proisstrict) addArgs(expr.args);
      break;
    case 'ScalarArrayOpExpr':
      if (expr.useOr && topLevel && getProc(env.rows, expr.opfuncid).proisstrict) addArgs(expr.args.slice(0, 1));
      break;
    case 'BoolExpr':
      if (expr.boolop === 'not') addArgs(expr.args);
      else if (expr.boolop === 'and' && topLevel)
        for (const arg of expr.args) for (const rel of findNonnullableRels(env, arg, true)) result.add(rel);
      else {
        // Every branch must force it.
        const sets = expr.args.map(arg => findNonnullableRels(env, arg, topLevel));
        for (const rel of sets[0] ?? []) if (sets.every(s => s.has(rel))) result.add(rel);
      }
      break;
    case 'RelabelType':
    case 'CoerceViaIO':
    case 'CollateExpr':
      return findNonnullableRels(env, expr.arg, topLevel);
    case 'NullTest':
      if (topLevel && expr.nulltesttype === N.IS_NOT_NULL && !expr.argisrow)
        return findNonnullableRels(env, expr.arg, false);
      break;
    case 'BooleanTest':
      if (
        topLevel &&
        (expr.booltesttype === N.IS_TRUE || expr.booltesttype === N.IS_FALSE || expr.booltesttype === N.IS_NOT_UNKNOWN)
      ) {
        return findNonnullableRels(env, expr.arg, false);
      }
      break;
    default:
  }
  return result;
}

/** `left op right` turned around, null when the operator has no commutator. */
export function commuted(env: PlannerEnv, expr: OpExpr): OpExpr | null {
  const { oprcom } = getOperator(env.rows, expr.opno);
  if ((oprcom as number) === 0) return null;
  const com = getOperator(env.rows, oprcom);
  return { ...expr, opno: oprcom, opfuncid: com.oprcode, args: [expr.args[1]!, expr.args[0]!] };
}

/** NOT clause, with the negator where there is one. */
function negateClause(env: PlannerEnv, clause: Expr): Expr {
  if (clause.type === 'OpExpr') {
    const { oprnegate } = getOperator(env.rows, clause.opno);
    if ((oprnegate as number) !== 0)
      return { ...clause, opno: oprnegate, opfuncid: getOperator(env.rows, oprnegate).oprcode };
  }
  if (clause.type === 'BoolExpr') {
    if (clause.boolop === 'not') return clause.args[0]!;
    // De Morgan.
    return {
      ...clause,
      boolop: clause.boolop === 'and' ? 'or' : 'and',
      args: clause.args.map(arg => negateClause(env, arg)),
    };
  }
  if (clause.type === 'NullTest' && !clause.argisrow) {
    return { ...clause, nulltesttype: clause.nulltesttype === N.IS_NULL ? N.IS_NOT_NULL : N.IS_NULL };
  }
  return { type: 'BoolExpr', boolop: 'not', args: [clause], location: -1 };
}

/** Normal form of a condition: NOTs pushed down, AND and OR flattened, common parts of ORs taken out. */
export function canonicalizeQual(env: PlannerEnv, qual: Expr): Expr {
  const visit = (e: Expr): Expr => {
    if (e.type !== 'BoolExpr') return e;
    if (e.boolop === 'not') {
      const inner = e.args[0]!;
      if (
        inner.type === 'BoolExpr' ||
        (inner.type === 'OpExpr' && (getOperator(env.rows, inner.opno).oprnegate as number) !== 0) ||
        // NOT (row IS NULL) is true of a row that is partly NULL, row IS NOT NULL is not.
        (inner.type === 'NullTest' && !inner.argisrow)
      ) {
        return visit(negateClause(env, inner));
      }
      return e;
    }
    const args = e.args
      .map(visit)
      .flatMap(arg => (arg.type === 'BoolExpr' && arg.boolop === e.boolop ? arg.args : [arg]));
    return withoutUnknown({ ...e, args });
  };
  return visit(qual);
}

/** A condition takes NULL for false: one makes an AND false, an OR does without. */
function withoutUnknown(expr: BoolExpr): Expr {
  const never = (arg: Expr): boolean => arg.type === 'Const' && arg.constvalue !== true;
  if (!expr.args.some(never)) return expr;
  if (expr.boolop === 'and') return makeBoolConst(false);
  const args = expr.args.filter(arg => !never(arg));
  if (args.length === 0) return makeBoolConst(false);
  return args.length === 1 ? args[0]! : { ...expr, args };
}
