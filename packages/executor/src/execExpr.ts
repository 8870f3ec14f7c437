/**
 * Expressions compiled to closures: `compileExpr` turns an expression tree into `(row) => Datum` over the
 * batches its node reads. Constants, parameters and columns are captured, so nothing is looked up per
 * row.
 *
 * Null is null; booleans are three-valued. Strict functions never see null: that is decided here.
 * A value that cannot be had yet throws SUSPEND, and the operator repeats the row; calls that must not
 * be repeated (volatile ones, subplans) remember their value for that row.
 */
import { ClanguageId, INTERNALlanguageId, VOIDOID } from '@pgtroupe/common/oids';
import { PROCOID } from '@pgtroupe/catalog/syscache';
import type { Form_pg_proc } from '@pgtroupe/catalog/catalogs/pg_proc';
import type { Datum } from '@pgtroupe/common/datum';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import { exprCollation, exprType } from '@pgtroupe/nodes/nodefuncs';
import * as N from '@pgtroupe/nodes/nodes';
import type { Aggref, Expr, FuncExpr, GroupingFunc, OpExpr, SubPlan, Var, WindowFunc } from '@pgtroupe/nodes/primnodes';
import { type FunctionCall, lookupBuiltin, type PGFunction } from '@pgtroupe/adt/fmgr';
import { type Column, columnReader, detach, type RowReader } from './batch.ts';
import { type EState, evaluationKey, ExprContext } from './estate.ts';
import { compileArrayExpr, compileArrayCoerce, compileScalarArrayOp, compileSubscriptingRef } from './execExprArray.ts';
import { compileDomainCoercion } from './execExprDomain.ts';
import { compileInlined } from './execExprInline.ts';
import { heavinessOf } from './heavy.ts';
import {
  compileFieldSelect,
  compileFieldStore,
  compileRow,
  compileRowCompare,
  compileRowNullTest,
} from './execExprRow.ts';
import { type HeavyCalls, heavyCall } from './execOffLoop.ts';
import { compileSqlValueFunction } from './execExprSqlValue.ts';
import { compileRowFunction } from './srf.ts';
import { systemColumnReader } from './systemcolumns.ts';

/** Where an expression stands: what its Vars, aggregates and subplans mean. */
export interface ExprScope {
  readonly est: EState;
  readonly ec: ExprContext;
  column(v: Var): Column;
  aggref?(node: Aggref): RowReader;
  grouping?(node: GroupingFunc): RowReader;
  windowFunc?(node: WindowFunc): RowReader;
  subplan(node: SubPlan): RowReader;
  /** The value a CaseTestExpr stands for. */
  caseTest?: { value: Datum };
  /** The value a CoerceToDomainValue stands for. */
  domainValue?: { value: Datum };
  /** What becomes of calls that take long; see execOffLoop.ts. */
  readonly heavyCalls?: HeavyCalls | undefined;
  /** Set when the expression has calls that differ from row to row without input. */
  volatile?: boolean;
}

export function compileExpr(expr: Expr, scope: ExprScope): RowReader {
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
    case 'RelabelType':
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

/** A qualification: true only if every clause is. */
export function compileQual(quals: readonly Expr[], scope: ExprScope): ((row: number) => boolean) | null {
  if (quals.length === 0) return null;
  const clauses = quals.map(qual => compileExpr(qual, scope));
  if (clauses.length === 1) {
    const only = clauses[0]!;
    return row => only(row) === true;
  }
  if (clauses.length === 2) {
    const [first, second] = clauses as [RowReader, RowReader];
    return row => first(row) === true && second(row) === true;
  }
  return row => {
    for (let i = 0; i < clauses.length; i++) if (clauses[i]!(row) !== true) return false;
    return true;
  };
}

export function readColumn(scope: ExprScope, column: Column): RowReader {
  return columnReader(scope.est.env.mem, column, attr => systemColumnReader(scope.est, attr));
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

/**
 * Remembers the value for the row, so that repeating the row after a suspension repeats neither
 * side effects nor work.
 */
function once(scope: ExprScope, read: RowReader): RowReader {
  scope.volatile = true;
  const { ec } = scope;
  let key = -1;
  let value: Datum = null;
  return row => {
    const now = evaluationKey(ec, row);
    if (key === now) return value;
    value = detach(read(row));
    key = now;
    return value;
  };
}

// ---- calls -----------------------------------------------------------------------------------------

export function procRow(est: EState, oid: number): Form_pg_proc {
  const proc = est.env.rows.search(PROCOID, oid);
  if (proc === null) throw ereport(ERRCODE.INTERNAL_ERROR, `cache lookup failed for function ${oid}`);
  return proc;
}

/** The implementation of a pg_proc row. One that does not exist yet says so when it is called, not before. */
export function procFunction(proc: Form_pg_proc): PGFunction {
  const language = proc.prolang as number;
  const fn = language === INTERNALlanguageId || language === ClanguageId ? lookupBuiltin(proc.prosrc) : undefined;
  // void is not null: a function of that type that has run answers the empty value.
  if (fn !== undefined) return (proc.prorettype as number) === VOIDOID ? (fc, ...args) => fn(fc, ...args) ?? 0 : fn;
  return () => {
    throw notSupported(`function ${proc.proname}`);
  };
}

export function makeCall(
  est: EState,
  argTypes: readonly number[],
  resultType: number,
  collation: number,
  variadic = false,
): FunctionCall {
  return {
    settings: est.env.settings,
    catalog: est.env.lookup,
    argTypes: argTypes as readonly Oid[],
    resultType: resultType as Oid,
    collation: collation as Oid,
    variadic,
    extra: undefined,
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
  const fn = procFunction(proc);
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
  const inlined = compileInlined(proc.prosrc, args, expr.args);
  if (inlined !== undefined) return inlined;
  const rowFunction = compileRowFunction(expr, scope);
  if (rowFunction !== undefined) return proc.provolatile === 'v' ? once(scope, rowFunction) : rowFunction;
  const fn = procFunction(proc);
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

/** fn over compiled arguments, by number of arguments and strictness. */
export function applyFunction(
  fn: PGFunction,
  fc: FunctionCall,
  args: readonly RowReader[],
  strict: boolean,
): RowReader {
  const [a, b, c] = args as [RowReader, RowReader, RowReader];
  switch (args.length) {
    case 0:
      return () => fn(fc);
    case 1:
      if (!strict) return row => fn(fc, a(row));
      return row => {
        const x = a(row);
        return x === null ? null : fn(fc, x);
      };
    case 2:
      if (!strict) return row => fn(fc, a(row), b(row));
      return row => {
        const x = a(row);
        if (x === null) return null;
        const y = b(row);
        return y === null ? null : fn(fc, x, y);
      };
    case 3:
      if (!strict) return row => fn(fc, a(row), b(row), c(row));
      return row => {
        const x = a(row);
        if (x === null) return null;
        const y = b(row);
        if (y === null) return null;
        const z = c(row);
        return z === null ? null : fn(fc, x, y, z);
      };
    default:
      return row => {
        const values = new Array<Datum>(args.length);
        for (let i = 0; i < args.length; i++) {
          const value = args[i]!(row);
          if (value === null && strict) return null;
          values[i] = value;
        }
        return fn(fc, ...values);
      };
  }
}

/** A two-argument function by pg_proc oid, applied to values; null when an argument is. */
export function binaryFunction(
  est: EState,
  procOid: number,
  types: readonly number[],
  result: number,
  collation: number,
): (a: Datum, b: Datum) => Datum {
  const proc = procRow(est, procOid);
  const fn = procFunction(proc);
  const fc = makeCall(est, types, result, collation);
  if (!proc.proisstrict) return (a, b) => fn(fc, a, b);
  return (a, b) => (a === null || b === null ? null : fn(fc, a, b));
}

// ---- booleans --------------------------------------------------------------------------------------

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

/** The same surroundings with something more known. */
export function innerScope(scope: ExprScope, more: Partial<ExprScope>): ExprScope {
  return Object.assign(Object.create(scope) as ExprScope, more);
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

/** Default btree order of a type on non-null values. */
export function typeComparator(est: EState, type: number, collation: number): (a: Datum, b: Datum) => number {
  let facts = est.env.lookup.type(type as Oid);
  while (facts !== undefined && facts.typtype === 'd') facts = est.env.lookup.type(facts.typbasetype);
  const fn = facts === undefined || facts.cmp === '' ? undefined : lookupBuiltin(facts.cmp);
  if (fn === undefined) {
    throw ereport(
      ERRCODE.UNDEFINED_FUNCTION,
      `could not identify a comparison function for type ${facts?.typname ?? type}`,
    );
  }
  const fc = makeCall(est, [facts!.oid, facts!.oid], 23, collation);
  return (a, b) => fn(fc, a, b) as number;
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
