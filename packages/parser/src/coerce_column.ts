/** Values on their way into columns. */
import type { Oid } from '@pgtroupe/common/ids';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { exprLocation, exprType } from '@pgtroupe/nodes/nodefuncs';
import { COERCE_IMPLICIT_CAST, COERCION_ASSIGNMENT } from '@pgtroupe/nodes/nodes';
import type { Expr } from '@pgtroupe/nodes/primnodes';
import { coerceToTargetType } from './parse_coerce.ts';
import type { ParseState } from './parse_node.ts';

/** For a column: what is assigned to it, or computed for it when nothing is. */
export function coerceForColumn(
  pstate: ParseState,
  expr: Expr,
  column: { readonly name: string; readonly typid: Oid; readonly typmod: number },
  what: 'expression' | 'default expression',
): Expr {
  const type = exprType(expr);
  const { name, typid, typmod } = column;
  const form = COERCE_IMPLICIT_CAST;
  const coerced = coerceToTargetType(pstate, expr, type, typid, typmod, COERCION_ASSIGNMENT, form, -1);
  if (coerced !== null) return coerced;
  throw pstate.error(
    ERRCODE.DATATYPE_MISMATCH,
    `column "${name}" is of type ${pstate.typeName(typid)} but ${what} is of type ${pstate.typeName(type)}`,
    what === 'expression' ? exprLocation(expr) : -1,
    { hint: 'You will need to rewrite or cast the expression.' },
  );
}
