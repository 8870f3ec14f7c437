/**
 * What compiled expressions are made with: the scope they stand in, columns, calls. The kinds of expressions have files of
 * their own, which import this one; execInitExpr.ts knows them all and reaches this file by the scope.
 *
 * Null is null; booleans are three-valued. Strict functions never see null: that is decided here.
 * A value that cannot be had yet throws SUSPEND, and the operator repeats the row; calls that must not
 * be repeated (volatile ones, subplans) remember their value for that row.
 */
import { ClanguageId, INTERNALlanguageId, VOIDOID, INT4OID } from '@pgtroupe/common/oids';
import { PROCOID } from '@pgtroupe/catalog/syscache';
import type { Form_pg_proc } from '@pgtroupe/catalog/catalogs/pg_proc';
import type { Datum } from '@pgtroupe/common/datum';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import { exprCollation, exprType, exprTypmod } from '@pgtroupe/nodes/nodefuncs';
import type { Aggref, Expr, GroupingFunc, SubPlan, Var, WindowFunc } from '@pgtroupe/nodes/primnodes';
import { type FunctionCall, lookupBuiltin, type PGFunction } from '@pgtroupe/adt/fmgr';
import { indeterminateCollation } from '@pgtroupe/adt/pg_locale';
import { type Column, columnReader, type ColumnType, detach, type RowReader } from './batch.ts';
import { type EState, evaluationKey, ExprContext } from './estate.ts';
import type { HeavyCalls } from './execOffLoop.ts';
import { SELF_ITEM_POINTER, systemColumnReader, tidNumber } from './systemcolumns.ts';

/** Where an expression stands: what its Vars, aggregates and subplans mean. */
export interface ExprScope {
  readonly est: EState;
  readonly ec: ExprContext;
  /** Knows every kind of expression (execInitExpr); compileExpr calls it. */
  readonly compile: (expr: Expr, scope: ExprScope) => RowReader;
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
  return scope.compile(expr, scope);
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

/** A ctid column as numbers, without a value per row; -1 for null. */
export function tidReader(scope: ExprScope, column: Column): (row: number) => number {
  if (column.kind === 'attr' && column.attnum === SELF_ITEM_POINTER) {
    const { lane } = column;
    lane.wantTids = true;
    return row => (lane.ptrs[row] === 0 ? -1 : lane.tids[row]!);
  }
  const read = readColumn(scope, column);
  return row => {
    const value = read(row);
    return value === null ? -1 : tidNumber(value as Uint8Array);
  };
}

/**
 * Remembers the value for the row, so that repeating the row after a suspension repeats neither
 * side effects nor work.
 */
export function once(scope: ExprScope, read: RowReader): RowReader {
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

export function procRow(est: EState, oid: number): Form_pg_proc {
  const proc = est.env.rows.search(PROCOID, oid);
  if (proc === null) throw ereport(ERRCODE.INTERNAL_ERROR, `cache lookup failed for function ${oid}`);
  return proc;
}

/**
 * The implementation of a pg_proc row. One that does not exist yet, or that needs a collation where there is none,
 * says so when it is called, not before.
 */
export function procFunction(proc: Form_pg_proc, collation: number): PGFunction {
  const refusal = indeterminateCollation(proc.prosrc, collation);
  if (refusal !== undefined) return refusal;
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

/** fn over compiled arguments, by number of arguments and strictness. All of them are computed, a null among them or not. */
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
        const y = b(row);
        return x === null || y === null ? null : fn(fc, x, y);
      };
    case 3:
      if (!strict) return row => fn(fc, a(row), b(row), c(row));
      return row => {
        const x = a(row);
        const y = b(row);
        const z = c(row);
        return x === null || y === null || z === null ? null : fn(fc, x, y, z);
      };
    default:
      return row => {
        const values = args.map(arg => arg(row));
        return strict && values.includes(null) ? null : fn(fc, ...values);
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
  const fn = procFunction(proc, collation);
  const fc = makeCall(est, types, result, collation);
  if (!proc.proisstrict) return (a, b) => fn(fc, a, b);
  return (a, b) => (a === null || b === null ? null : fn(fc, a, b));
}

/** The same surroundings with something more known. */
export function innerScope(scope: ExprScope, more: Partial<ExprScope>): ExprScope {
  return Object.assign(Object.create(scope) as ExprScope, more);
}

/** Default btree order of a type on non-null values. */
export function typeComparator(est: EState, type: number, collation: number): (a: Datum, b: Datum) => number {
  let facts = est.env.lookup.type(type as Oid);
  while (facts !== undefined && facts.typtype === 'd') facts = est.env.lookup.type(facts.typbasetype);
  const prosrc = facts?.cmp ?? '';
  const fn = prosrc === '' ? undefined : (indeterminateCollation(prosrc, collation) ?? lookupBuiltin(prosrc));
  if (fn === undefined) {
    throw ereport(
      ERRCODE.UNDEFINED_FUNCTION,
      `could not identify a comparison function for type ${facts?.typname ?? type}`,
    );
  }
  const fc = makeCall(est, [facts!.oid, facts!.oid], INT4OID, collation);
  return (a, b) => fn(fc, a, b) as number;
}

/** What a value of the expression is. */
export function typeOf(expr: Expr): ColumnType {
  return { typid: exprType(expr), typmod: exprTypmod(expr), collation: exprCollation(expr) };
}
