/**
 * Properties and simplification of expressions (optimizer/util/clauses.c): constant folding, AND
 * lists, volatility, strictness.
 */
import { RECORDOID, SQLlanguageId } from '@pgtroupe/common/oids';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { Datum } from '@pgtroupe/common/datum';
import { makeBoolConst, makeConst } from '@pgtroupe/nodes/makefuncs';
import { exprCollation, exprType, exprTypmod, mutateChildren, walkChildren } from '@pgtroupe/nodes/nodefuncs';
import * as N from '@pgtroupe/nodes/nodes';
import type { Node, Query } from '@pgtroupe/nodes/parsenodes';
import type { BoolExpr, CaseExpr, CaseWhen, Const, Expr, FuncExpr, OpExpr } from '@pgtroupe/nodes/primnodes';
import { getOperator, getProc, getType } from './lsyscache.ts';
import type { PlannerEnv } from './pathnodes.ts';
import { incrementVarSublevelsUp, mutateExpr, walkExpr } from './var.ts';

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
function containNonstrictFunctions(env: PlannerEnv, node: Expr): boolean {
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

// ---- constant folding -----------------------------------------------------------------------------

/** eval_const_expressions: computes what can be computed now. Subqueries are left alone. */
export function evalConstExpressions<E extends Expr>(env: PlannerEnv, expr: E, caseValue?: Const): Expr {
  const fold = (n: Node): Node => {
    if (n.type === 'Query') return n;
    return foldNode(env, n as Expr, fold, caseValue);
  };
  return fold(expr) as Expr;
}

function isConst(expr: Expr): expr is Const {
  return expr.type === 'Const';
}

function constOf(env: PlannerEnv, like: Expr, value: Datum): Const {
  const type = exprType(like);
  const facts = getType(env.rows, type);
  return makeConst(type, exprTypmod(like), exprCollation(like), facts.typlen, facts.typbyval, value);
}

export function nullOf(env: PlannerEnv, like: Expr): Const {
  return constOf(env, like, null);
}

/** Evaluates a node whose inputs are all constants. */
function evaluated<E extends Expr>(env: PlannerEnv, expr: E): Expr {
  const result = env.evaluate(expr);
  return result === undefined ? expr : constOf(env, expr, result.value);
}

function foldNode(env: PlannerEnv, node: Expr, fold: (n: Node) => Node, caseValue: Const | undefined): Node {
  switch (node.type) {
    case 'SubLink': {
      // The subquery is simplified when it is planned.
      return node.testexpr === null ? node : { ...node, testexpr: fold(node.testexpr) as Expr };
    }
    case 'FuncExpr':
      return foldFuncExpr(env, node, fold);
    case 'OpExpr': {
      const expr = mutateChildren(node, fold);
      const opfuncid = expr.opfuncid || getOperator(env.rows, expr.opno).oprcode;
      const call = expr.opfuncid === opfuncid ? expr : { ...expr, opfuncid };
      const folded = foldStrictCall(env, call, opfuncid, expr.opretset);
      if (folded !== call) return folded;
      const inlined = inlineFunction(env, opfuncid, call.args, call.opresulttype);
      return inlined === undefined ? call : fold(inlined);
    }
    case 'DistinctExpr': {
      const expr = mutateChildren(node, fold);
      const [a, b] = expr.args as [Expr, Expr];
      if (isConst(a) && isConst(b)) {
        if (a.constisnull || b.constisnull) return makeBoolConst(a.constisnull !== b.constisnull);
        return containMutableFunctions(env, expr) ? expr : evaluated(env, expr);
      }
      return expr;
    }
    case 'NullIfExpr':
    case 'ScalarArrayOpExpr':
    case 'ArrayCoerceExpr':
    case 'MinMaxExpr':
    case 'ArrayExpr':
    case 'RowExpr':
    case 'SubscriptingRef':
    case 'CoerceViaIO': {
      const expr = mutateChildren(node, fold) as Expr;
      let constant = true;
      walkChildren(expr, child => {
        if ((child as Expr).type !== 'Const' && !isElementExpr(expr, child)) constant = false;
        return false;
      });
      if (!constant || containMutableFunctions(env, expr)) return expr;
      if (expr.type === 'ScalarArrayOpExpr' && expr.opfuncid === 0) return expr;
      return evaluated(env, expr);
    }
    case 'BoolExpr':
      return foldBool(mutateChildren(node, fold));
    case 'CaseExpr':
      return foldCase(env, node, fold);
    case 'CaseTestExpr':
      return caseValue ?? node;
    case 'CoalesceExpr': {
      const args: Expr[] = [];
      for (const arg of node.args) {
        const folded = fold(arg) as Expr;
        if (isConst(folded)) {
          if (folded.constisnull) continue;
          args.push(folded);
          break;
        }
        args.push(folded);
      }
      if (args.length === 0) return nullOf(env, node);
      return args.length === 1 ? args[0]! : { ...node, args };
    }
    case 'NullTest': {
      const arg = fold(node.arg) as Expr;
      if (isConst(arg) && !node.argisrow) return makeBoolConst(arg.constisnull === (node.nulltesttype === N.IS_NULL));
      return arg === node.arg ? node : { ...node, arg };
    }
    case 'BooleanTest': {
      const arg = fold(node.arg) as Expr;
      const next = arg === node.arg ? node : { ...node, arg };
      return isConst(arg) ? evaluated(env, next) : next;
    }
    case 'RelabelType': {
      const arg = fold(node.arg) as Expr;
      if (isConst(arg)) {
        return { ...arg, consttype: node.resulttype, consttypmod: node.resulttypmod, constcollid: node.resultcollid };
      }
      if (arg.type === 'RelabelType') return { ...node, arg: arg.arg };
      return arg === node.arg ? node : { ...node, arg };
    }
    case 'CollateExpr': {
      // A collation is a property of the operator above from here on.
      const arg = fold(node.arg) as Expr;
      if (isConst(arg)) return { ...arg, constcollid: node.collOid };
      return {
        type: 'RelabelType',
        arg,
        resulttype: exprType(arg),
        resulttypmod: exprTypmod(arg),
        resultcollid: node.collOid,
        relabelformat: N.COERCE_IMPLICIT_CAST,
        location: -1,
      };
    }
    case 'FieldSelect': {
      const arg = fold(node.arg) as Expr;
      if (arg.type === 'Var' && arg.varattno === 0 && arg.varlevelsup === 0) {
        return {
          ...arg,
          varattno: node.fieldnum,
          vartype: node.resulttype,
          vartypmod: node.resulttypmod,
          varcollid: node.resultcollid,
          varattnosyn: node.fieldnum,
        };
      }
      if (arg.type === 'RowExpr' && node.fieldnum <= arg.args.length) return arg.args[node.fieldnum - 1]!;
      return arg === node.arg ? node : { ...node, arg };
    }
    default:
      return mutateChildren(node as Node, fold);
  }
}

function isElementExpr(expr: Expr, child: Node): boolean {
  return expr.type === 'ArrayCoerceExpr' && child === expr.elemexpr;
}

function foldStrictCall(env: PlannerEnv, expr: OpExpr | FuncExpr, funcid: number, returnsSet: boolean): Expr {
  if (returnsSet) return expr;
  const proc = getProc(env.rows, funcid);
  if (proc.proisstrict && expr.args.some(arg => isConst(arg) && arg.constisnull)) return nullOf(env, expr);
  if (proc.provolatile !== 'i' || !expr.args.every(isConst)) return expr;
  if (exprType(expr) === RECORDOID) return expr;
  return evaluated(env, expr);
}

function foldFuncExpr(env: PlannerEnv, node: FuncExpr, fold: (n: Node) => Node): Node {
  const complete = expandFunctionArguments(env, node);
  const expr = mutateChildren(complete, fold);
  const folded = foldStrictCall(env, expr, expr.funcid, expr.funcretset);
  if (folded !== expr) return folded;
  const inlined = inlineFunction(env, expr.funcid, expr.args, expr.funcresulttype);
  return inlined === undefined ? expr : fold(inlined);
}

/** Puts named arguments into their places and adds defaults of those left out. */
function expandFunctionArguments(env: PlannerEnv, expr: FuncExpr): FuncExpr {
  const named = expr.args.some(arg => arg.type === 'NamedArgExpr');
  const proc = getProc(env.rows, expr.funcid);
  if (!named && expr.args.length >= proc.pronargs) return expr;
  const args = new Array<Expr | undefined>(proc.pronargs).fill(undefined);
  expr.args.forEach((arg, i) => {
    if (arg.type === 'NamedArgExpr') args[arg.argnumber] = arg.arg;
    else args[i] = arg;
  });
  if (args.some(arg => arg === undefined)) {
    const defaults = env.stringToExpr(proc.proargdefaults ?? '') as readonly Expr[];
    const first = proc.pronargs - defaults.length;
    for (let i = 0; i < args.length; i++) {
      if (args[i] !== undefined) continue;
      const value = defaults[i - first];
      if (value === undefined)
        throw ereport(ERRCODE.INTERNAL_ERROR, `not enough default arguments for function ${proc.proname}`);
      args[i] = value;
    }
  }
  return { ...expr, args: args as Expr[] };
}

/** A scalar SQL function that is one simple SELECT becomes its expression (inline_function). */
function inlineFunction(env: PlannerEnv, funcid: number, args: readonly Expr[], resultType: number): Expr | undefined {
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
    if (uses[i] !== 1 && !isConst(arg) && containVolatileFunctions(env, arg)) return undefined;
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
  resultType: number,
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
    query.limitCount === null ? { ...query, limitCount: makeConst(20, -1, 0, 8, true, 1) } : query,
    0,
  ) as Query;
  const sublink: Expr = {
    type: 'SubLink',
    subLinkType: N.EXPR_SUBLINK,
    subLinkId: 0,
    testexpr: null,
    operName: [],
    subselect,
    arraytype: 0,
    location: -1,
  };
  const nullable = args.filter(arg => !isConst(arg));
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

function foldBool(expr: BoolExpr): Expr {
  if (expr.boolop === 'not') {
    const arg = expr.args[0]!;
    if (isConst(arg)) return makeBoolConst(arg.constisnull ? null : arg.constvalue !== true);
    if (arg.type === 'BoolExpr' && arg.boolop === 'not') return arg.args[0]!;
    return expr;
  }
  const absorbing = expr.boolop === 'or';
  const args: Expr[] = [];
  let sawNull = false;
  for (const arg of expr.args) {
    if (isConst(arg)) {
      if (arg.constvalue === absorbing) return makeBoolConst(absorbing);
      if (arg.constisnull) sawNull = true;
      continue;
    }
    if (arg.type === 'BoolExpr' && arg.boolop === expr.boolop) args.push(...arg.args);
    else args.push(arg);
  }
  if (sawNull) args.push(makeBoolConst(null));
  if (args.length === 0) return makeBoolConst(!absorbing);
  if (args.length === 1) return args[0]!;
  return { ...expr, args };
}

function foldCase(env: PlannerEnv, node: CaseExpr, fold: (n: Node) => Node): Expr {
  let arg = node.arg === null ? null : (fold(node.arg) as Expr);
  const known = arg !== null && isConst(arg) ? arg : undefined;
  const inner = known === undefined ? fold : (n: Node): Node => evalConstExpressions(env, n as Expr, known);
  if (known !== undefined) arg = null;
  const whens: CaseWhen[] = [];
  let defresult: Expr | null = node.defresult === null ? null : (fold(node.defresult) as Expr);
  for (const when of node.args) {
    const condition = inner(when.expr) as Expr;
    if (isConst(condition)) {
      if (condition.constvalue !== true) continue;
      defresult = fold(when.result) as Expr;
      if (whens.length === 0) return defresult;
      break;
    }
    whens.push({ ...when, expr: condition, result: fold(when.result) as Expr });
  }
  if (whens.length === 0) return defresult ?? nullOf(env, node);
  return { ...node, arg, args: whens, defresult };
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
        inner.type === 'NullTest'
      ) {
        return visit(negateClause(env, inner));
      }
      return e;
    }
    const args = e.args
      .map(visit)
      .flatMap(arg => (arg.type === 'BoolExpr' && arg.boolop === e.boolop ? arg.args : [arg]));
    return { ...e, args };
  };
  return visit(qual);
}
