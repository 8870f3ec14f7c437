/** WHERE, HAVING, ON and FILTER: conditions. */
import type { Slices } from '@pgtroupe/common/slices';
import type { Expr } from '@pgtroupe/nodes/primnodes';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { transformExprInSlices } from './grammar.ts';
import { coerceToBoolean } from './parse_coerce.ts';
import type { ParseExprKind, ParseState } from './parse_node.ts';

export function* transformWhereClause(
  pstate: ParseState,
  raw: RawNode,
  kind: ParseExprKind,
  construct: string,
): Slices<Expr> {
  return coerceToBoolean(pstate, yield* transformExprInSlices(pstate, raw, kind), construct);
}
