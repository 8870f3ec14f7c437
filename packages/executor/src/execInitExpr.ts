/**
 * Expressions compiled to closures: `execInitExpr` turns an expression tree into `(row) => Datum` over the
 * batches its node reads. Constants, parameters and columns are captured, so nothing is looked up per
 * row.
 */
import * as N from '@pgtroupe/nodes/nodes';
import type { Expr, FuncExpr, OpExpr } from '@pgtroupe/nodes/primnodes';
import {
  applyFunction,
  compileExpr,
  innerScope,
  makeCall,
  once,
  procFunction,
  procRow,
  readColumn,
  type ExprScope,
  typeComparator,
} from './execExpr.ts';
import type { RowReader } from './batch.ts';
import {
  compileFieldSelect,
  compileFieldStore,
  compileRow,
  compileRowCompare,
  compileRowNullTest,
} from './execExprRow.ts';
import { ereport, notSupported } from '@pgtroupe/common/ereport';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { compileDomainCoercion } from './execExprDomain.ts';
import { compileSqlValueFunction } from './execExprSqlValue.ts';
import { compileArrayCoerce, compileArrayExpr, compileScalarArrayOp, compileSubscriptingRef } from './execExprArray.ts';
import type { EState } from './estate.ts';
import type { Form_pg_proc } from '@pgtroupe/catalog/catalogs/pg_proc';
import type { Datum } from '@pgtroupe/common/datum';
import { lookupBuiltin, type FunctionCall, type PGFunction } from '@pgtroupe/adt/fmgr';
import { indeterminateCollation } from '@pgtroupe/adt/pg_locale';
import { exprCollation, exprType } from '@pgtroupe/nodes/nodefuncs';
import { changeOfSign } from '@pgtroupe/nodes/relabel';
import { compileInlined } from './execExprInline.ts';
import { compileRowFunction } from './srf.ts';
import { heavinessOf } from './heavy.ts';
import { heavyCall } from './execOffLoop.ts';
import type { Oid } from '@pgtroupe/common/ids';

export function execInitExpr(expr: Expr, scope: ExprScope): RowReader {
  const { est } = scope;
  switch (expr.type) {
    case 'Var':
      return readColumn(scope, scope.column(expr));
    case 'Const': {
      const { constvalue } = expr;
      return () => constvalue;
    }
    case 'Param':
      return compileParam(est, expr.paramkind, expr.paramid);
    case 'FuncExpr':
    case 'OpExpr':
      return compileCall(expr, scope);
    case 'DistinctExpr': {
      const equal = compileCallOn({ ...expr, type: 'OpExpr' }, scope);
      return row => {
        const a = equal.args[0]!(row);
        const b = equal.args[1]!(row);
        if (a === null || b === null) return a !== b;
        return equal.call(a, b) !== true;
      };
    }
    case 'NullIfExpr': {
      const equal = compileCallOn({ ...expr, type: 'OpExpr' }, scope);
      return row => {
        const a = equal.args[0]!(row);
        const b = equal.args[1]!(row);
        if (a === null || b === null) return a;
        return equal.call(a, b) === true ? null : a;
      };
    }
    case 'BoolExpr':
      return compileBool(
        expr.boolop,
        expr.args.map(arg => compileExpr(arg, scope)),
      );
    case 'NullTest': {
      if (expr.argisrow) return compileRowNullTest(expr, scope);
      const arg = compileExpr(expr.arg, scope);
      return expr.nulltesttype === N.IS_NULL ? row => arg(row) === null : row => arg(row) !== null;
    }
    case 'BooleanTest':
      return compileBooleanTest(expr.booltesttype, compileExpr(expr.arg, scope));
    case 'RelabelType': {
      const arg = compileExpr(expr.arg, scope);
      const change = changeOfSign(exprType(expr.arg), expr.resulttype);
      return change === undefined ? arg : row => change(arg(row));
    }
    case 'CollateExpr':
      return compileExpr(expr.arg, scope);
    case 'NamedArgExpr':
      return compileExpr(expr.arg, scope);
    case 'CaseExpr':
      return compileCase(expr, scope);
    case 'CaseTestExpr': {
      const cell = scope.caseTest;
      if (cell === undefined) throw ereport(ERRCODE.INTERNAL_ERROR, 'CaseTestExpr outside of its node');
      return () => cell.value;
    }
    case 'CoerceToDomain':
      return compileDomainCoercion(expr, scope);
    case 'CoerceToDomainValue': {
      const cell = scope.domainValue;
      if (cell === undefined) throw ereport(ERRCODE.INTERNAL_ERROR, 'CoerceToDomainValue outside of its node');
      return () => cell.value;
    }
    case 'CoalesceExpr': {
      const args = expr.args.map(arg => compileExpr(arg, scope));
      return row => {
        for (let i = 0; i < args.length; i++) {
          const value = args[i]!(row);
          if (value !== null) return value;
        }
        return null;
      };
    }
    case 'MinMaxExpr':
      return compileMinMax(expr, scope);
    case 'CoerceViaIO':
      return compileCoerceViaIO(expr, scope);
    case 'SQLValueFunction':
      return compileSqlValueFunction(expr, scope);
    case 'ArrayExpr':
      return compileArrayExpr(expr, scope);
    case 'ScalarArrayOpExpr':
      return compileScalarArrayOp(expr, scope);
    case 'ArrayCoerceExpr':
      return compileArrayCoerce(expr, scope);
    case 'SubscriptingRef':
      return compileSubscriptingRef(expr, scope);
    case 'RowExpr':
      return compileRow(expr, scope);
    case 'RowCompareExpr':
      return compileRowCompare(expr, scope);
    case 'FieldSelect':
      return compileFieldSelect(expr, scope);
    case 'FieldStore':
      return compileFieldStore(expr, scope);
    case 'Aggref':
      if (scope.aggref === undefined) throw ereport(ERRCODE.INTERNAL_ERROR, 'Aggref found in non-Agg plan node');
      return scope.aggref(expr);
    case 'GroupingFunc':
      if (scope.grouping === undefined)
        throw ereport(ERRCODE.INTERNAL_ERROR, 'GroupingFunc found in non-Agg plan node');
      return scope.grouping(expr);
    case 'WindowFunc':
      if (scope.windowFunc === undefined)
        throw ereport(ERRCODE.INTERNAL_ERROR, 'WindowFunc found in non-WindowAgg plan node');
      return scope.windowFunc(expr);
    case 'SubPlan':
      return once(scope, scope.subplan(expr));
    case 'NextValueExpr':
      return compileNextValue(expr.seqid, expr.typeId, scope);
    default:
      throw notSupported(`expression ${expr.type}`);
  }
}

function compileParam(est: EState, kind: number, id: number): RowReader {
  if (kind === N.PARAM_EXTERN) return () => est.params[id - 1] ?? null;
  if (kind !== N.PARAM_EXEC) throw notSupported('multiple-column assignment from a subquery');
  const { execParams, execPlans } = est;
  return () => {
    const plan = execPlans[id];
    if (plan) plan.setParam();
    return execParams[id]!;
  };
}

interface CompiledCall {
  readonly args: readonly RowReader[];
  readonly proc: Form_pg_proc;
  call(a: Datum, b: Datum): Datum;
}

function calledProc(expr: FuncExpr | OpExpr): number {
  return expr.type === 'FuncExpr' ? expr.funcid : expr.opfuncid;
}

function callSite(expr: FuncExpr | OpExpr, est: EState): FunctionCall {
  const result = expr.type === 'FuncExpr' ? expr.funcresulttype : expr.opresulttype;
  return makeCall(
    est,
    expr.args.map(exprType),
    result,
    expr.inputcollid,
    expr.type === 'FuncExpr' && expr.funcvariadic,
  );
}

/** For nodes that treat nulls themselves. */
function compileCallOn(expr: OpExpr, scope: ExprScope): CompiledCall {
  const proc = procRow(scope.est, expr.opfuncid);
  const fn = procFunction(proc, expr.inputcollid);
  const fc = callSite(expr, scope.est);
  return { proc, args: expr.args.map(arg => compileExpr(arg, scope)), call: (a, b) => fn(fc, a, b) };
}

function compileCall(expr: FuncExpr | OpExpr, scope: ExprScope): RowReader {
  const { est } = scope;
  const proc = procRow(est, calledProc(expr));
  if (expr.type === 'FuncExpr' ? expr.funcretset : expr.opretset) {
    throw ereport(ERRCODE.FEATURE_NOT_SUPPORTED, 'set-valued function called in context that cannot accept a set');
  }
  const args = expr.args.map(arg => compileExpr(arg, scope));
  const inlined =
    indeterminateCollation(proc.prosrc, expr.inputcollid) === undefined
      ? compileInlined(proc.prosrc, args, expr.args)
      : undefined;
  if (inlined !== undefined) return inlined;
  const rowFunction = compileRowFunction(expr, scope);
  if (rowFunction !== undefined) return proc.provolatile === 'v' ? once(scope, rowFunction) : rowFunction;
  const fn = procFunction(proc, expr.inputcollid);
  const fc = callSite(expr, est);
  const read = heavyOrNot(proc.prosrc, fn, fc, args, scope, proc.proisstrict);
  return proc.provolatile === 'v' ? once(scope, read) : read;
}

/** fn over compiled arguments, beside the main loop where that may be necessary. */
function heavyOrNot(
  prosrc: string,
  fn: PGFunction,
  fc: FunctionCall,
  args: readonly RowReader[],
  scope: ExprScope,
  strict = true,
): RowReader {
  const isHeavy = scope.heavyCalls === undefined ? undefined : heavinessOf(prosrc);
  return isHeavy === undefined
    ? applyFunction(fn, fc, args, strict)
    : heavyCall(prosrc, isHeavy, fn, fc, args, strict, scope);
}

function compileBool(op: 'and' | 'or' | 'not', args: readonly RowReader[]): RowReader {
  if (op === 'not') {
    const arg = args[0]!;
    return row => {
      const value = arg(row);
      return value === null ? null : value !== true;
    };
  }
  const stop = op === 'or';
  return row => {
    let unknown = false;
    for (let i = 0; i < args.length; i++) {
      const value = args[i]!(row);
      if (value === stop) return stop;
      if (value === null) unknown = true;
    }
    return unknown ? null : !stop;
  };
}

function compileBooleanTest(test: number, arg: RowReader): RowReader {
  switch (test) {
    case N.IS_TRUE:
      return row => arg(row) === true;
    case N.IS_NOT_TRUE:
      return row => arg(row) !== true;
    case N.IS_FALSE:
      return row => arg(row) === false;
    case N.IS_NOT_FALSE:
      return row => arg(row) !== false;
    case N.IS_UNKNOWN:
      return row => arg(row) === null;
    default:
      return row => arg(row) !== null;
  }
}

function compileCase(expr: Extract<Expr, { type: 'CaseExpr' }>, scope: ExprScope): RowReader {
  const cell: { value: Datum } = { value: null };
  const test = expr.arg === null ? null : compileExpr(expr.arg, scope);
  const inner = innerScope(scope, test === null ? {} : { caseTest: cell });
  const conditions = expr.args.map(when => compileExpr(when.expr, inner));
  const results = expr.args.map(when => compileExpr(when.result, scope));
  const otherwise = expr.defresult === null ? null : compileExpr(expr.defresult, scope);
  if (inner.volatile) scope.volatile = true;
  return row => {
    if (test !== null) cell.value = test(row);
    for (let i = 0; i < conditions.length; i++) {
      if (conditions[i]!(row) === true) return results[i]!(row);
    }
    return otherwise === null ? null : otherwise(row);
  };
}

function compileMinMax(expr: Extract<Expr, { type: 'MinMaxExpr' }>, scope: ExprScope): RowReader {
  const args = expr.args.map(arg => compileExpr(arg, scope));
  const compare = typeComparator(scope.est, expr.minmaxtype, expr.inputcollid);
  const sign = expr.op === N.IS_GREATEST ? 1 : -1;
  return row => {
    let best: Datum = null;
    for (let i = 0; i < args.length; i++) {
      const value = args[i]!(row);
      if (value !== null && (best === null || compare(value, best) * sign > 0)) best = value;
    }
    return best;
  };
}

function compileCoerceViaIO(expr: Extract<Expr, { type: 'CoerceViaIO' }>, scope: ExprScope): RowReader {
  const { est } = scope;
  const source = exprType(expr.arg);
  const from = est.env.lookup.type(source as Oid);
  const to = est.env.lookup.type(expr.resulttype as Oid);
  const output = from && lookupBuiltin(from.typoutput);
  const input = to && lookupBuiltin(to.typinput);
  if (!output || !input)
    throw notSupported(`conversion from ${from?.typname ?? source} to ${to?.typname ?? expr.resulttype}`);
  const outCall = makeCall(est, [source], 2275, exprCollation(expr.arg));
  const inCall = makeCall(est, [2275, 26, 23], expr.resulttype, expr.resultcollid);
  const ioParam = to.typelem !== 0 ? to.typelem : to.oid;
  const arg = compileExpr(expr.arg, scope);
  const text = heavyOrNot(from.typoutput, output, outCall, [arg], scope);
  return heavyOrNot(to.typinput, input, inCall, [text, () => ioParam, () => -1], scope);
}

function compileNextValue(sequence: number, type: number, scope: ExprScope): RowReader {
  const fn = lookupBuiltin('nextval_oid');
  if (fn === undefined) throw notSupported('identity columns');
  const fc = makeCall(scope.est, [2205], type, 0);
  return once(scope, () => fn(fc, sequence));
}
