/** Expressions with long lists, bit by bit: a list of conditions or of values takes longer than neighbours should wait. */
import type { Slices } from '@pgtroupe/common/slices';
import { makeBoolExpr } from '@pgtroupe/nodes/makefuncs';
import type { Expr } from '@pgtroupe/nodes/primnodes';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { coerceToBoolean } from './parse_coerce.ts';
import { BOOL_OPS, transformExprRecurse } from './parse_expr.ts';
import { makeIn } from './parse_in.ts';
import type { ParseState } from './parse_node.ts';

/** Long lists, as far as they are not arguments of something else, bit by bit. */
export function* transformExprRecurseInSlices(pstate: ParseState, raw: RawNode): Slices<Expr> {
  switch (raw.type) {
    case 'BoolExpr': {
      const op = BOOL_OPS[raw.boolop as keyof typeof BOOL_OPS];
      const args: Expr[] = [];
      for (const arg of raw.args as RawNode[]) {
        args.push(coerceToBoolean(pstate, yield* transformExprRecurseInSlices(pstate, arg), op.toUpperCase()));
        yield;
      }
      return makeBoolExpr(op, args, raw.location ?? 0);
    }
    case 'A_Expr': {
      if (raw.kind !== 'AEXPR_IN') return transformExprRecurse(pstate, raw);
      const left = transformExprRecurse(pstate, raw.lexpr);
      const all: Expr[] = [];
      for (const item of (raw.rexpr.items ?? []) as RawNode[]) {
        all.push(transformExprRecurse(pstate, item));
        yield;
      }
      return makeIn(pstate, raw, left, all);
    }
    default:
      return transformExprRecurse(pstate, raw);
  }
}
