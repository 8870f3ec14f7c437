/**
 * Calling set-returning functions: one value (or row) at a time, and again from where it stood when a call
 * had to wait for something.
 */
import type { Datum } from '@pgtroupe/common/datum';
import { notSupported } from '@pgtroupe/common/ereport';
import { exprType } from '../nodes/nodefuncs.ts';
import type { Expr, FuncExpr, OpExpr } from '../nodes/primnodes.ts';
import { lookupSetFunction, type PGSetFunction, type SetValue } from '../utils/fmgr.ts';
import { detach, type RowReader } from './batch.ts';
import { compileExpr, type ExprScope, makeCall, procRow } from './execExpr.ts';

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

/** One call site of a set-returning function. */
export class SetFunctionCall {
  readonly #open: (row: number) => Iterator<SetValue>;
  #row = 0;
  #iterator: Iterator<SetValue> | null = null;
  #delivered = 0;
  value: SetValue = null;
  done = true;

  constructor(expr: SetCall | FuncExpr, scope: ExprScope) {
    const { est } = scope;
    const proc = procRow(est, expr.type === 'FuncExpr' ? expr.funcid : expr.opfuncid);
    const fn = lookupSetFunction(proc.prosrc) ?? missing(proc.proname);
    const fc = makeCall(
      est,
      expr.args.map(exprType),
      expr.type === 'FuncExpr' ? expr.funcresulttype : expr.opresulttype,
      expr.inputcollid,
      expr.type === 'FuncExpr' && expr.funcvariadic,
    );
    const args: readonly RowReader[] = expr.args.map(arg => compileExpr(arg, scope));
    this.#open = row => {
      const values: Datum[] = [];
      for (const read of args) {
        const value = detach(read(row));
        if (value === null && proc.proisstrict) return [][Symbol.iterator]();
        values.push(value);
      }
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
