/**
 * Constant expressions at the time PostgreSQL computes them: before the first row (optimizer/planconstants.ts). Only their
 * errors count; where a value is needed it is computed again.
 */
import type { Slices } from '@pgtroupe/common/slices';
import type { Datum } from '@pgtroupe/common/datum';
import { isNotSupported } from '@pgtroupe/common/ereport';
import type { Node, Query } from '@pgtroupe/nodes/parsenodes';
import type { Expr } from '@pgtroupe/nodes/primnodes';
import type { KnownParam } from '@pgtroupe/optimizer/constfold';
import type { PlanConstant } from '@pgtroupe/optimizer/planconstants';
import { walkExpr } from '@pgtroupe/optimizer/var';
import type { Snapshot } from '@pgtroupe/transam/xactview';
import { detach, type RowReader } from './batch.ts';
import { EState, type ExecEnv } from './estate.ts';
import { compileExpr } from './execExpr.ts';
import { makeScope } from './scope.ts';
import { SUSPEND } from './status.ts';

/** Folds an expression in which some parameters are known. */
export type Fold = (expr: Expr, known: KnownParam) => Expr;

export const NO_SNAPSHOT = { csn: 0, xmin: 0, xmax: 0, xip: [], curcid: 0 } as unknown as Snapshot;

const MAX_FOLDED_BYTES = 1 << 16;

function withoutRows(env: ExecEnv): EState {
  const est = new EState(env, 0);
  est.snapshot = NO_SNAPSHOT;
  return est;
}

/** The value of an expression without Vars; undefined when it cannot be had now. */
export function evaluateConstant(env: ExecEnv, expr: Expr): { readonly value: Datum } | undefined {
  return unlessLater(() => {
    const value = compileConstant(expr, withoutRows(env))(0);
    // Plans are kept: a large value is computed again rather than remembered.
    return value instanceof Uint8Array && value.length > MAX_FOLDED_BYTES ? undefined : { value: detach(value) };
  });
}

/** What can be had at once of an expression without Vars. */
function compileConstant(expr: Expr, est: EState): RowReader {
  const subplan = (): never => {
    throw SUSPEND;
  };
  return compileExpr(expr, makeScope(est, { subplan, heavyCalls: 'refuse' }, {}));
}

/** undefined when it needs to wait, or what pgtroupe does not have: whoever uses the value will wait, or say so. */
function unlessLater<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (error === SUSPEND || isNotSupported(error)) return undefined;
    throw error;
  }
}

export class PlanConstants {
  readonly #est: EState;
  readonly #constants: readonly PlanConstant[];
  readonly #readers = new Map<PlanConstant, RowReader | undefined>();

  constructor(env: ExecEnv, constants: readonly PlanConstant[]) {
    this.#est = withoutRows(env);
    this.#constants = constants;
  }

  /** Throws what one of them throws. The first `unknown` parameters are not looked at: the plan is good for any values. */
  *compute(params: readonly Datum[], unknown: number, fold: Fold): Slices<void> {
    this.#est.params = params;
    yield* this.#compute(this.#constants, unknown, fold);
  }

  *#compute(constants: readonly PlanConstant[], unknown: number, fold: Fold): Slices<void> {
    for (const constant of constants) {
      yield;
      if (constant.kind === 'value') {
        if (constant.firstParam > unknown) unlessLater(() => this.#reader(constant, constant.expr)?.(0));
        continue;
      }
      const known: KnownParam = ({ paramid }) =>
        paramid > unknown ? { value: this.#est.params[paramid - 1] ?? null } : undefined;
      const left = fold(constant.expr, known);
      if (constant.sublinks.size === 0) continue;
      const queries = new Set<Query>();
      walkExpr(left as Node, n => {
        if (n.type === 'SubLink') queries.add(n.subselect);
        return n.type === 'Query' ? false : undefined;
      });
      for (const [query, inner] of constant.sublinks)
        if (queries.has(query)) yield* this.#compute(inner, unknown, fold);
    }
  }

  #reader(constant: PlanConstant, expr: Expr): RowReader | undefined {
    if (!this.#readers.has(constant)) {
      this.#readers.set(
        constant,
        unlessLater(() => compileConstant(expr, this.#est)),
      );
    }
    return this.#readers.get(constant);
  }
}
