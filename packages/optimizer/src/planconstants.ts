/**
 * Constant expressions that can fail. PostgreSQL computes them while it plans, whether rows need them or not: `SELECT 1 / 0
 * FROM empty` fails. Here literals are parameters, so that texts share a plan; what may fail of them is noted with the plan,
 * to be computed when an execution begins. Most plans have none.
 */
import { RECORDOID } from '@pgtroupe/common/oids';
import { exprType, walkChildren } from '@pgtroupe/nodes/nodefuncs';
import { PARAM_EXTERN } from '@pgtroupe/nodes/nodes';
import type { Node, Query } from '@pgtroupe/nodes/parsenodes';
import type { Expr } from '@pgtroupe/nodes/primnodes';
import { containMutableFunctions } from './clauses.ts';
import { evalConstExpressions } from './constfold.ts';
import { getOperator, getProc, getType } from './lsyscache.ts';
import type { PlannerEnv } from './pathnodes.ts';
import { walkExpr } from './var.ts';

export type PlanConstant =
  /** Computed whatever the parameters are. `firstParam`: the lowest of its parameters. */
  | { readonly kind: 'value'; readonly expr: Expr; readonly firstParam: number }
  /**
   * Folded again with the parameters' values, which decide what is computed and which of its subqueries are planned:
   * those have constants of their own.
   */
  | { readonly kind: 'folded'; readonly expr: Expr; readonly sublinks: ReadonlyMap<Query, readonly PlanConstant[]> };

type Constness = 'always' | 'maybe' | 'never';

interface Found {
  readonly constness: Constness;
  /** Of an expression that is always constant: may computing it fail? */
  readonly fails: boolean;
  /** Constants in one that is not, in the order they are computed in. */
  readonly values: readonly Expr[];
  /** Something in it is computed or not, as parameters will. */
  readonly depends: boolean;
  /** Something in it is looked at or not, as parameters will. */
  readonly skips: boolean;
}

/** Functions that answer for any input, by prosrc: the ones that conditions and assignments are full of. */
const NEVER_FAILS = [
  /^(?:bool|char|name|int[248]|int24|int42|int28|int82|int48|int84|oid|float[48]|float48|float84)(?:eq|ne|lt|le|gt|ge)$/,
  /^(?:date|time|timestamp|timestamptz|interval|numeric|uuid|text)_(?:eq|ne|lt|le|gt|ge)$/,
  /^(?:text|bpchar|bytea)(?:eq|ne|lt|le|gt|ge)$/,
  /^(?:i2toi4|int28|int48|i2tod|i4tod|int[248]_numeric|textcat|textlen)$/,
];

/** What has to be computed of `expr` when an execution begins. `sublinks`: constants of the subqueries planned for it. */
export function planConstants(
  env: PlannerEnv,
  expr: Expr,
  sublinks: ReadonlyMap<Query, readonly PlanConstant[]>,
): readonly PlanConstant[] {
  const found = find(env, expr);
  if (found.depends || (found.skips && sublinks.size > 0)) return [{ kind: 'folded', expr, sublinks }];
  const values = found.constness === 'always' && found.fails ? [expr] : found.values;
  return [...values.map(value => valueOf(env, value)), ...[...sublinks.values()].flat()];
}

/** Is it a constant to PostgreSQL once the parameters are known, whatever they are? */
export function isPlanConstant(env: PlannerEnv, expr: Expr): boolean {
  return find(env, expr).constness === 'always';
}

function valueOf(env: PlannerEnv, expr: Expr): PlanConstant {
  let firstParam = Infinity;
  walkExpr(expr as Node, n => {
    if (n.type === 'Param') firstParam = Math.min(firstParam, n.paramid);
    return undefined;
  });
  return { kind: 'value', expr: evalConstExpressions(env, expr), firstParam };
}

const PLAIN: Found = { constness: 'always', fails: false, values: [], depends: false, skips: false };

function find(env: PlannerEnv, expr: Expr): Found {
  switch (expr.type) {
    case 'Const':
      return PLAIN;
    case 'Param':
      return expr.paramkind === PARAM_EXTERN ? PLAIN : { ...PLAIN, constness: 'never' };
    case 'CaseTestExpr':
      return { ...PLAIN, constness: 'maybe' };
    case 'BoolExpr':
      return expr.boolop === 'not' ? call(env, expr) : choice(env, expr, () => true);
    case 'CoalesceExpr':
      return choice(env, expr, () => true);
    case 'CaseExpr': {
      const decides = new Set<Expr | null>([expr.arg, ...expr.args.map(when => when.expr)]);
      return choice(env, expr, child => decides.has(child));
    }
    default:
      return call(env, expr);
  }
}

/** What computes all of its inputs. */
function call(env: PlannerEnv, expr: Expr): Found {
  const inputs = childrenOf(expr).map(child => ({ child, found: find(env, child) }));
  const foldable = isFoldable(env, expr);
  const failsItself = foldable && mayFail(env, expr);
  if (foldable && inputs.every(({ found }) => found.constness === 'always'))
    return { ...PLAIN, fails: failsItself || inputs.some(({ found }) => found.fails) };
  const maybe = foldable && inputs.every(({ found }) => found.constness !== 'never');
  return {
    constness: maybe ? 'maybe' : 'never',
    fails: false,
    values: inputs.flatMap(constantsOf),
    depends: (maybe && failsItself) || inputs.some(({ found }) => found.depends),
    skips: inputs.some(({ found }) => found.skips),
  };
}

/** What stops at an input that decides. */
function choice(env: PlannerEnv, expr: Expr, decides: (child: Expr) => boolean): Found {
  const inputs = childrenOf(expr).map(child => ({ child, found: find(env, child) }));
  if (inputs.every(({ found }) => found.constness === 'always'))
    return { ...PLAIN, fails: inputs.some(({ found }) => found.fails) };
  const first = inputs.findIndex(({ child, found }) => decides(child) && found.constness !== 'never');
  const after = first < 0 ? [] : inputs.slice(first + 1);
  return {
    constness: inputs.some(({ found }) => found.constness !== 'never') ? 'maybe' : 'never',
    fails: false,
    values: inputs.flatMap(constantsOf),
    depends:
      after.some(({ found }) => found.fails || found.values.length > 0) || inputs.some(({ found }) => found.depends),
    skips: after.length > 0 || inputs.some(({ found }) => found.skips),
  };
}

function constantsOf({ child, found }: { readonly child: Expr; readonly found: Found }): readonly Expr[] {
  return found.constness === 'always' && found.fails ? [child] : found.values;
}

/** In the order they are computed in; a subquery's own are planned by themselves. */
function childrenOf(expr: Expr): readonly Expr[] {
  switch (expr.type) {
    case 'CaseExpr':
      return [expr.arg, ...expr.args.flatMap(when => [when.expr, when.result]), expr.defresult].filter(e => e !== null);
    case 'ArrayCoerceExpr':
      return [expr.arg];
    default: {
      const children: Expr[] = [];
      walkChildren(expr as Node, child => {
        if (child.type !== 'Query') children.push(child as Expr);
        return false;
      });
      return children;
    }
  }
}

/** Is it computed while planning once its inputs are constants? */
function isFoldable(env: PlannerEnv, expr: Expr): boolean {
  const immutable = (oid: number): boolean => getProc(env.rows, oid).provolatile === 'i';
  switch (expr.type) {
    case 'FuncExpr':
      return !expr.funcretset && exprType(expr) !== RECORDOID && immutable(expr.funcid);
    case 'OpExpr':
      return !expr.opretset && exprType(expr) !== RECORDOID && immutable(functionOf(env, expr));
    case 'DistinctExpr':
    case 'NullIfExpr':
    case 'ScalarArrayOpExpr':
      return immutable(functionOf(env, expr));
    case 'CoerceViaIO':
      return (
        immutable(getType(env.rows, expr.resulttype).typinput) &&
        immutable(getType(env.rows, exprType(expr.arg)).typoutput)
      );
    case 'ArrayCoerceExpr':
      return !containMutableFunctions(env, expr.elemexpr as Node);
    case 'SubscriptingRef':
      return expr.refassgnexpr === null;
    case 'BoolExpr':
    case 'MinMaxExpr':
    case 'ArrayExpr':
    case 'RowExpr':
    case 'RelabelType':
    case 'CollateExpr':
    case 'NamedArgExpr':
    case 'BooleanTest':
      return true;
    case 'NullTest':
      return !expr.argisrow;
    default:
      return false;
  }
}

function mayFail(env: PlannerEnv, expr: Expr): boolean {
  switch (expr.type) {
    case 'FuncExpr':
    case 'OpExpr':
    case 'DistinctExpr':
    case 'NullIfExpr':
    case 'ScalarArrayOpExpr': {
      const { prosrc } = getProc(env.rows, expr.type === 'FuncExpr' ? expr.funcid : functionOf(env, expr));
      return !NEVER_FAILS.some(names => names.test(prosrc));
    }
    case 'ArrayExpr':
      return expr.multidims;
    case 'CoerceViaIO':
    case 'ArrayCoerceExpr':
      return true;
    default:
      return false;
  }
}

function functionOf(env: PlannerEnv, { opfuncid, opno }: { readonly opfuncid: number; readonly opno: number }): number {
  return opfuncid || getOperator(env.rows, opno).oprcode;
}
