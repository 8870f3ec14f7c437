/**
 * Functions in SQL whose body is put in their place (inline_function).
 */
import { type Oid, INVALID_OID } from '@pgtroupe/common/ids';
import { SQLlanguageId, INT8OID } from '@pgtroupe/common/oids';
import { makeConst } from '@pgtroupe/nodes/makefuncs';
import { exprCollation, exprType, mutateChildren } from '@pgtroupe/nodes/nodefuncs';
import * as N from '@pgtroupe/nodes/nodes';
import type { Node, Query } from '@pgtroupe/nodes/parsenodes';
import type { Expr } from '@pgtroupe/nodes/primnodes';
import {
  containAggs,
  containNonstrictFunctions,
  containSubplans,
  containVolatileFunctions,
  makeAndsExplicit,
} from './clauses.ts';
import { getProc } from './lsyscache.ts';
import type { PlannerEnv } from './pathnodes.ts';
import { incrementVarSublevelsUp, mutateExpr, walkExpr } from './var.ts';

/** A scalar SQL function that is one simple SELECT becomes its expression; undefined: it stays a call. */
export function inlineFunction(env: PlannerEnv, funcid: Oid, args: readonly Expr[], resultType: Oid): Expr | undefined {
  const proc = getProc(env.rows, funcid);
  if (
    (proc.prolang as number) !== SQLlanguageId ||
    proc.prokind !== 'f' ||
    proc.proretset ||
    proc.prosecdef ||
    proc.proconfig !== null
  )
    return undefined;
  const query =
    proc.prosqlbody === null
      ? (env.sqlFunctionBody?.(funcid, args.map(exprType)) ?? null)
      : parsedBody(env, proc.prosqlbody);
  if (query === null) return undefined;
  if (!isSimpleExpressionQuery(query)) return asSubquery(env, query, args, resultType, proc.proisstrict);
  const body = query.targetList[0]!.expr;
  if (exprType(body) !== resultType) return undefined;
  const uses = new Array<number>(args.length).fill(0);
  walkExpr(body, n => {
    if (n.type === 'Param' && n.paramkind === N.PARAM_EXTERN) uses[n.paramid - 1]!++;
    return undefined;
  });
  // A volatile argument must be evaluated once, a costly one not twice.
  for (let i = 0; i < uses.length; i++) {
    const arg = args[i]!;
    if (uses[i] !== 1 && arg.type !== 'Const' && containVolatileFunctions(env, arg)) return undefined;
    if (uses[i]! > 1 && containSubplans(arg)) return undefined;
  }
  // A strict function is null for a null argument; its body must be too.
  if (proc.proisstrict && (uses.includes(0) || containNonstrictFunctions(env, body))) return undefined;
  return mutateExpr(body as Node, n =>
    n.type === 'Param' && n.paramkind === N.PARAM_EXTERN ? args[n.paramid - 1]! : undefined,
  ) as Expr;
}

/**
 * A function whose body is any other SELECT is a scalar subquery over its arguments: its first row counts.
 */
function asSubquery(
  env: PlannerEnv,
  query: Query,
  args: readonly Expr[],
  resultType: Oid,
  strict: boolean,
): Expr | undefined {
  const visible = query.targetList.filter(tle => !tle.resjunk);
  if (
    query.commandType !== N.CMD_SELECT ||
    query.hasModifyingCTE ||
    visible.length !== 1 ||
    exprType(visible[0]!.expr) !== resultType
  )
    return undefined;
  if (containVolatileFunctions(env, args) || args.some(arg => containSubplans(arg) || containAggs(arg)))
    return undefined;
  const change = (n: Node, depth: number): Node => {
    if (n.type === 'Param' && n.paramkind === N.PARAM_EXTERN)
      return incrementVarSublevelsUp(args[n.paramid - 1]!, depth, 0);
    return mutateChildren(n, child => change(child, n.type === 'Query' ? depth + 1 : depth));
  };
  const subselect = change(
    query.limitCount === null ? { ...query, limitCount: makeConst(INT8OID, -1, INVALID_OID, 8, true, 1) } : query,
    0,
  ) as Query;
  const sublink: Expr = {
    type: 'SubLink',
    subLinkType: N.EXPR_SUBLINK,
    subLinkId: 0,
    testexpr: null,
    operName: [],
    subselect,
    arraytype: INVALID_OID,
    location: -1,
  };
  const nullable = args.filter(arg => arg.type !== 'Const');
  if (!strict || nullable.length === 0) return sublink;
  const tests = nullable.map(
    (arg): Expr => ({ type: 'NullTest', arg, nulltesttype: N.IS_NOT_NULL, argisrow: false, location: -1 }),
  );
  const expr = makeAndsExplicit(tests)!;
  return {
    type: 'CaseExpr',
    casetype: resultType,
    casecollid: exprCollation(sublink),
    arg: null,
    defresult: null,
    location: -1,
    args: [{ type: 'CaseWhen', expr, result: sublink, location: -1 }],
  };
}

/** A body in SQL-standard form is stored analyzed: RETURN is one query, BEGIN ATOMIC a list of lists. */
function parsedBody(env: PlannerEnv, text: string): Query | null {
  const body = ([env.stringToExpr(text)] as unknown[]).flat(3);
  return body.length === 1 ? (body[0] as Query) : null;
}

function isSimpleExpressionQuery(query: Query): boolean {
  return (
    query.commandType === N.CMD_SELECT &&
    !query.hasAggs &&
    !query.hasWindowFuncs &&
    !query.hasTargetSRFs &&
    !query.hasSubLinks &&
    query.cteList.length === 0 &&
    query.rtable.length === 0 &&
    (query.jointree === null || (query.jointree.fromlist.length === 0 && query.jointree.quals === null)) &&
    query.groupClause.length === 0 &&
    query.groupingSets.length === 0 &&
    query.havingQual === null &&
    query.windowClause.length === 0 &&
    query.distinctClause.length === 0 &&
    query.sortClause.length === 0 &&
    query.limitOffset === null &&
    query.limitCount === null &&
    query.setOperations === null &&
    query.targetList.length === 1
  );
}
