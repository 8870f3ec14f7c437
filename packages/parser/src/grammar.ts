/**
 * Expressions hold queries and queries hold expressions: whoever meets one inside the other analyzes it through this
 * file. What knows every kind of expression (parse_expr.ts) and of statement (analyze.ts) comes with the ParseContext.
 */
import type { Slices } from '@pgtroupe/common/slices';
import { ParseState, type ParseExprKind } from './parse_node.ts';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import type { Expr } from '@pgtroupe/nodes/primnodes';
import type { CommonTableExpr, Query } from '@pgtroupe/nodes/parsenodes';

/** The most columns that a row can have (htup_details.h). */
export const MAX_TUPLE_ATTRIBUTE_NUMBER = 1664;

/** Analyzes an expression as part of the given clause. */
export function transformExpr(pstate: ParseState, raw: RawNode, kind: ParseExprKind): Expr {
  const saved = pstate.expr_kind;
  pstate.expr_kind = kind;
  const result = pstate.context.grammar.expr(pstate, raw);
  pstate.expr_kind = saved;
  return result;
}

/** Bit by bit, where a list may be long. */
export function* transformExprInSlices(pstate: ParseState, raw: RawNode, kind: ParseExprKind): Slices<Expr> {
  const saved = pstate.expr_kind;
  pstate.expr_kind = kind;
  const result = yield* pstate.context.grammar.exprInSlices(pstate, raw);
  pstate.expr_kind = saved;
  return result;
}

export function parseSubAnalyze(
  parent: ParseState,
  raw: RawNode,
  parentCTE: CommonTableExpr | null,
  lockedFromParent: boolean,
  resolveUnknowns: boolean,
): Slices<Query> {
  const pstate = new ParseState(parent, parent.context);
  pstate.parent_cte = parentCTE;
  pstate.locked_from_parent = lockedFromParent;
  pstate.resolve_unknowns = resolveUnknowns;
  return stmtOf(pstate, raw);
}

/** The statement that `pstate` is for; its columns are counted when all of it is known (free_parsestate). */
export function* stmtOf(pstate: ParseState, raw: RawNode): Slices<Query> {
  const query = yield* pstate.context.grammar.stmt(pstate, raw);
  if (pstate.next_resno - 1 > MAX_TUPLE_ATTRIBUTE_NUMBER) {
    const most = `target lists can have at most ${MAX_TUPLE_ATTRIBUTE_NUMBER} entries`;
    throw pstate.error(ERRCODE.TOO_MANY_COLUMNS, most, -1);
  }
  return query;
}
