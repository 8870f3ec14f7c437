/**
 * Expressions hold queries and queries hold expressions: whoever meets one inside the other analyzes it through this
 * file. What knows every kind of expression (parse_expr.ts) and of statement (analyze.ts) comes with the ParseContext.
 */
import { ParseState, type ParseExprKind } from './parse_node.ts';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import type { Expr } from '@pgtroupe/nodes/primnodes';
import type { CommonTableExpr, Query } from '@pgtroupe/nodes/parsenodes';

/** Analyzes an expression as part of the given clause. */
export function transformExpr(pstate: ParseState, raw: RawNode, kind: ParseExprKind): Expr {
  const saved = pstate.expr_kind;
  pstate.expr_kind = kind;
  const result = pstate.context.grammar.expr(pstate, raw);
  pstate.expr_kind = saved;
  return result;
}

export function parseSubAnalyze(
  parent: ParseState,
  raw: RawNode,
  parentCTE: CommonTableExpr | null,
  lockedFromParent: boolean,
  resolveUnknowns: boolean,
): Query {
  const pstate = new ParseState(parent, parent.context);
  pstate.parent_cte = parentCTE;
  pstate.locked_from_parent = lockedFromParent;
  pstate.resolve_unknowns = resolveUnknowns;
  return pstate.context.grammar.stmt(pstate, raw);
}
