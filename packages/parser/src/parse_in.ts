/** `a IN (…)` and NOT IN over lists: what can become one array, and a comparison for each of the rest (transformAExprIn). */
import { assert } from '@pgtroupe/common/assert';
import { INVALID_OID } from '@pgtroupe/common/ids';
import { RECORDOID } from '@pgtroupe/common/oids';
import { makeBoolExpr } from '@pgtroupe/nodes/makefuncs';
import { copyNode } from '@pgtroupe/nodes/nodefuncs';
import type { Expr } from '@pgtroupe/nodes/primnodes';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { containVarsOfLevel } from '@pgtroupe/nodes/vars';
import { coerceToBoolean, coerceToCommonType, selectCommonType, verifyCommonType } from './parse_coerce.ts';
import { rawStrings, type ParseState } from './parse_node.ts';
import { makeOp, makeScalarArrayOp } from './parse_oper.ts';
import { makeRowComparisonOp } from './parse_rowcompare.ts';

export function makeIn(pstate: ParseState, raw: RawNode, left: Expr, all: readonly Expr[]): Expr {
  const names = rawStrings(raw.name);
  const location: number = raw.location ?? 0;
  const useOr = names[0] !== '<>';
  const withVars: Expr[] = [];
  const withoutVars: Expr[] = [];
  for (const expr of all) (containVarsOfLevel(expr, 0) ? withVars : withoutVars).push(expr);
  let rest = all;
  let result: Expr | null = null;
  if (withoutVars.length > 1) {
    const exprs = [left, ...withoutVars];
    let scalar = selectCommonType(pstate, exprs, null).type;
    if (scalar !== 0 && !verifyCommonType(pstate, scalar, exprs)) scalar = INVALID_OID;
    const array = scalar !== 0 && scalar !== RECORDOID ? pstate.catalog.arrayType(scalar) : 0;
    if (array !== 0) {
      const elements = withoutVars.map(expr => coerceToCommonType(pstate, expr, scalar, 'IN'));
      const arrayExpr: Expr = {
        type: 'ArrayExpr',
        array_typeid: array,
        array_collid: INVALID_OID,
        element_typeid: scalar,
        elements,
        multidims: false,
        location: -1,
      };
      result = makeScalarArrayOp(pstate, names, useOr, left, arrayExpr, location);
      rest = withVars;
    }
  }
  for (const item of rest) {
    let cmp: Expr;
    if (left.type === 'RowExpr' && item.type === 'RowExpr') {
      cmp = makeRowComparisonOp(pstate, names, left.args.map(copyNode), item.args, location);
    } else cmp = makeOp(pstate, names, copyNode(left), item, pstate.last_srf, location);
    cmp = coerceToBoolean(pstate, cmp, 'IN');
    result = result === null ? cmp : makeBoolExpr(useOr ? 'or' : 'and', [result, cmp], location);
  }
  assert(result !== null, 'IN has a non-empty list');
  return result;
}
