/**
 * Calling set-returning functions: one value (or row) at a time, and again from where it stood when a call
 * had to wait for something.
 */
import { indeterminateCollation } from '@pgtroupe/adt/pg_locale';
import { RECORDOID } from '@pgtroupe/common/oids';
import type { Datum } from '@pgtroupe/common/datum';
import { notSupported } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import type { Attribute, TupleDesc } from '@pgtroupe/access/common/tupdesc';
import { exprType } from '@pgtroupe/nodes/nodefuncs';
import type { Expr, FuncExpr, OpExpr } from '@pgtroupe/nodes/primnodes';
import { type FunctionCall, lookupSetFunction, type PGSetFunction, type SetValue } from '@pgtroupe/adt/fmgr';
import { baseTypeFacts } from './arrays.ts';
import { detach, type RowReader } from './batch.ts';
import type { EState } from './estate.ts';
import { compileExpr, type ExprScope, makeCall, procRow } from './execExpr.ts';
import { attributeFor } from './rowstore.ts';
import { compositeDesc, formRecord } from './records.ts';

export type SetCall = FuncExpr | OpExpr;

export function isSetCall(expr: Expr): expr is SetCall {
  return (expr.type === 'FuncExpr' && expr.funcretset) || (expr.type === 'OpExpr' && expr.opretset);
}

/** Fails when it is called, not before. */
function missing(name: string): PGSetFunction {
  return () => {
    throw notSupported(`function ${name}`);
  };
}

/** The row type of a call that yields rows: a composite type's columns, or the function's OUT parameters. */
function resultRowDesc(est: EState, expr: SetCall): TupleDesc {
  const typid = exprType(expr);
  if (typid !== RECORDOID) return compositeDesc(est, typid);
  const proc = procRow(est, expr.type === 'FuncExpr' ? expr.funcid : expr.opfuncid);
  const attrs: Attribute[] = [];
  proc.proallargtypes?.forEach((declared, i) => {
    if (!'obt'.includes(proc.proargmodes?.[i] ?? 'i')) return;
    const type = actualType(est, declared, proc.proargtypes, expr.args.map(exprType));
    const name = proc.proargnames?.[i] || `column${attrs.length + 1}`;
    attrs.push(
      attributeFor(est, { typid: type, typmod: -1, collation: est.env.lookup.type(type)?.typcollation ?? 0 }, name),
    );
  });
  return { attrs };
}

const ANYARRAY = new Set([2277, 5078]);
const ANYELEMENT = new Set([2283, 2776, 3500, 5077, 5079]);

/** A polymorphic OUT parameter's type, from the argument that decides it. */
function actualType(est: EState, declared: Oid, params: readonly Oid[], actual: readonly number[]): Oid {
  const wantsArray = ANYARRAY.has(declared);
  if (!wantsArray && !ANYELEMENT.has(declared)) return declared;
  for (let i = 0; i < params.length && i < actual.length; i++) {
    const isArray = ANYARRAY.has(params[i]!);
    if (!isArray && !ANYELEMENT.has(params[i]!)) continue;
    const facts = baseTypeFacts(est, actual[i]!);
    if (isArray === wantsArray) return facts.oid;
    return isArray ? facts.typelem : facts.typarray;
  }
  return declared;
}

/** Rows as composite values; anything else as it is. */
export function rowToDatum(est: EState, expr: SetCall): (value: SetValue) => Datum {
  const typid = exprType(expr);
  let desc: TupleDesc | undefined;
  let typmod = -1;
  return value => {
    if (!Array.isArray(value)) return value;
    if (desc === undefined) {
      desc = resultRowDesc(est, expr);
      if (typid === RECORDOID) typmod = est.env.lookup.recordTypes.assign(desc);
    }
    return formRecord(desc, value, typid, typmod);
  };
}

/** A function that returns one row and is registered with the sets; undefined for others. */
export function compileRowFunction(expr: SetCall, scope: ExprScope): RowReader | undefined {
  const proc = procRow(scope.est, expr.type === 'FuncExpr' ? expr.funcid : expr.opfuncid);
  if (lookupSetFunction(proc.prosrc) === undefined) return undefined;
  const call = new SetFunctionCall(expr, scope);
  const toDatum = rowToDatum(scope.est, expr);
  return row => {
    call.start(row);
    return call.next() ? toDatum(call.value) : null;
  };
}

/** One call site of a set-returning function. */
export class SetFunctionCall {
  readonly #open: (row: number) => Iterator<SetValue>;
  #row = 0;
  #iterator: Iterator<SetValue> | null = null;
  #delivered = 0;
  value: SetValue = null;
  done = true;

  /** @param columns what the query says of a function's records */
  constructor(expr: SetCall | FuncExpr, scope: ExprScope, columns?: FunctionCall['columns']) {
    const { est } = scope;
    const proc = procRow(est, expr.type === 'FuncExpr' ? expr.funcid : expr.opfuncid);
    const fn =
      indeterminateCollation(proc.prosrc, expr.inputcollid) ?? lookupSetFunction(proc.prosrc) ?? missing(proc.proname);
    const call = makeCall(
      est,
      expr.args.map(exprType),
      expr.type === 'FuncExpr' ? expr.funcresulttype : expr.opresulttype,
      expr.inputcollid,
      expr.type === 'FuncExpr' && expr.funcvariadic,
    );
    const fc = columns === undefined ? call : { ...call, columns };
    const args: readonly RowReader[] = expr.args.map(arg => compileExpr(arg, scope));
    this.#open = row => {
      const values = args.map(read => detach(read(row)));
      if (proc.proisstrict && values.includes(null)) return [][Symbol.iterator]();
      return fn(fc, ...values)[Symbol.iterator]();
    };
  }

  start(row: number): void {
    this.#row = row;
    this.#iterator = null;
    this.#delivered = 0;
    this.done = false;
  }

  /** Moves to the next value; false at the end. */
  next(): boolean {
    if (this.done) return false;
    try {
      if (this.#iterator === null) {
        this.#iterator = this.#open(this.#row);
        for (let i = 0; i < this.#delivered; i++) this.#iterator.next();
      }
      const step = this.#iterator.next();
      if (step.done === true) {
        this.done = true;
        this.value = null;
        return false;
      }
      this.value = step.value;
      this.#delivered++;
      return true;
    } catch (interrupted) {
      // A generator that threw is over: the next attempt opens a new one.
      this.#iterator = null;
      throw interrupted;
    }
  }
}
