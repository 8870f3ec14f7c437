/**
 * Constant folding (eval_const_expressions of optimizer/util/clauses.c). What AND, OR, CASE and COALESCE pass over is not
 * computed: whether `1 / 0` fails depends on where it stands.
 */
import { RECORDARRAYOID, RECORDOID } from '@pgtroupe/common/oids';
import type { Datum } from '@pgtroupe/common/datum';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import { makeBoolConst, makeConst } from '@pgtroupe/nodes/makefuncs';
import { exprCollation, exprType, exprTypmod, mutateChildren, walkChildren } from '@pgtroupe/nodes/nodefuncs';
import { changeOfSign } from '@pgtroupe/nodes/relabel';
import * as N from '@pgtroupe/nodes/nodes';
import type { Node } from '@pgtroupe/nodes/parsenodes';
import type { BoolExpr, CaseExpr, CaseWhen, Const, Expr, FuncExpr, OpExpr, Param } from '@pgtroupe/nodes/primnodes';
import { containMutableFunctions } from './clauses.ts';
import { inlineFunction } from './inlining.ts';
import { getOperator, getProc, getType } from './lsyscache.ts';
import type { PlannerEnv } from './pathnodes.ts';

/** The value of a parameter that is known now; undefined: not now. */
export type KnownParam = (param: Param) => { readonly value: Datum } | undefined;

interface Folding {
  readonly env: PlannerEnv;
  readonly known: KnownParam | undefined;
  /** What CaseTestExpr stands for, where that is a constant. */
  readonly caseValue: Const | undefined;
}

/** Computes what can be computed now. Subqueries are left alone. */
export function evalConstExpressions(env: PlannerEnv, expr: Expr, known?: KnownParam): Expr {
  return foldIn({ env, known, caseValue: undefined }, expr) as Expr;
}

function foldIn(folding: Folding, node: Node): Node {
  const fold = (n: Node): Node => (n.type === 'Query' ? n : foldNode(folding, n as Expr, fold));
  return fold(node);
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

/** The value carries the number of an anonymous row type, which means something in one session; plans are shared. */
function isOfOneSession(type: number): boolean {
  return type === RECORDOID || type === RECORDARRAYOID;
}

/** Evaluates a node whose inputs are all constants. */
function evaluated<E extends Expr>(env: PlannerEnv, expr: E): Expr {
  if (isOfOneSession(exprType(expr))) return expr;
  const result = env.evaluate(expr);
  return result === undefined ? expr : constOf(env, expr, result.value);
}

function foldNode(folding: Folding, node: Expr, fold: (n: Node) => Node): Node {
  const { env } = folding;
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
    case 'NullIfExpr': {
      const expr = mutateChildren(node, fold);
      if (expr.args.some(arg => isConst(arg) && arg.constisnull)) return expr.args[0]!;
      return expr.args.every(isConst) && !containMutableFunctions(env, expr) ? evaluated(env, expr) : expr;
    }
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
      return foldBool(node, fold);
    case 'CaseExpr':
      return foldCase(folding, node, fold);
    case 'CaseTestExpr':
      return folding.caseValue ?? node;
    case 'Param': {
      const known = node.paramkind === N.PARAM_EXTERN ? folding.known?.(node) : undefined;
      return known === undefined ? node : constOf(env, node, known.value);
    }
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
      if (args.length === 0) return { ...nullOf(env, node), consttypmod: -1 };
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
        const type = { consttype: node.resulttype, consttypmod: node.resulttypmod, constcollid: node.resultcollid };
        const change = changeOfSign(arg.consttype, node.resulttype);
        return { ...arg, ...type, constvalue: change === undefined ? arg.constvalue : change(arg.constvalue) };
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

function foldBool(expr: BoolExpr, fold: (n: Node) => Node): Expr {
  if (expr.boolop === 'not') {
    const arg = fold(expr.args[0]!) as Expr;
    if (isConst(arg)) return makeBoolConst(arg.constisnull ? null : arg.constvalue !== true);
    if (arg.type === 'BoolExpr' && arg.boolop === 'not') return arg.args[0]!;
    return arg === expr.args[0] ? expr : { ...expr, args: [arg] };
  }
  const absorbing = expr.boolop === 'or';
  const args: Expr[] = [];
  let sawNull = false;
  const rest = expr.args.toReversed();
  for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
    if (next.type === 'BoolExpr' && next.boolop === expr.boolop) {
      rest.push(...next.args.toReversed());
      continue;
    }
    const arg = fold(next) as Expr;
    if (arg.type === 'BoolExpr' && arg.boolop === expr.boolop) args.push(...arg.args);
    else if (!isConst(arg)) args.push(arg);
    else if (arg.constisnull) sawNull = true;
    // What follows is not looked at.
    else if (arg.constvalue === absorbing) return makeBoolConst(absorbing);
  }
  if (sawNull) args.push(makeBoolConst(null));
  if (args.length === 0) return makeBoolConst(!absorbing);
  if (args.length === 1) return args[0]!;
  return args.length === expr.args.length && args.every((arg, i) => arg === expr.args[i]) ? expr : { ...expr, args };
}

function foldCase(folding: Folding, node: CaseExpr, fold: (n: Node) => Node): Expr {
  const arg = node.arg === null ? null : (fold(node.arg) as Expr);
  const known = arg !== null && isConst(arg) ? arg : undefined;
  const inner = { ...folding, caseValue: known };
  const whens: CaseWhen[] = [];
  let defresult: Expr | null | undefined;
  for (const when of node.args) {
    const condition = foldIn(inner, when.expr) as Expr;
    if (isConst(condition)) {
      if (condition.constvalue !== true) continue;
      defresult = fold(when.result) as Expr;
      break;
    }
    whens.push({ ...when, expr: condition, result: fold(when.result) as Expr });
  }
  // Unless a condition that is always true stands before it.
  if (defresult === undefined) defresult = node.defresult === null ? null : (fold(node.defresult) as Expr);
  if (whens.length === 0) return defresult ?? nullOf(folding.env, node);
  return { ...node, arg: known === undefined ? arg : null, args: whens, defresult };
}
