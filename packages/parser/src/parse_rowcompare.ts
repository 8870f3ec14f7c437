/**
 * Operators between rows: (a, b) < (c, d) and IS DISTINCT FROM, over operands that are analyzed already.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import type { Oid } from '@pgtroupe/common/ids';
import { BOOLOID, BTREE_AM_OID } from '@pgtroupe/common/oids';
import { makeBoolConst, makeBoolExpr } from '@pgtroupe/nodes/makefuncs';
import { expressionReturnsSet } from '@pgtroupe/nodes/nodefuncs';
import { ROWCOMPARE_EQ, ROWCOMPARE_NE, type RowCompareType } from '@pgtroupe/nodes/nodes';
import type { DistinctExpr, Expr, OpExpr, RowExpr } from '@pgtroupe/nodes/primnodes';
import type { ParseState } from './parse_node.ts';
import { makeOp } from './parse_oper.ts';

/** Btree strategies an operator implements: family and strategy; <> through its negator. */
function opBtreeInterpretations(pstate: ParseState, opno: Oid): { family: Oid; strategy: number }[] {
  const { catalog } = pstate;
  const result = catalog
    .amopsOfOperator(opno)
    .filter(amop => amop.amopmethod === BTREE_AM_OID && amop.amoppurpose === 's')
    .map(amop => ({ family: amop.amopfamily, strategy: amop.amopstrategy }));
  if (result.length > 0) return result;
  const negator = catalog.oper(opno).oprnegate;
  if (negator === 0) return [];
  return catalog
    .amopsOfOperator(negator)
    .filter(amop => amop.amopmethod === BTREE_AM_OID && amop.amoppurpose === 's' && amop.amopstrategy === ROWCOMPARE_EQ)
    .map(amop => ({ family: amop.amopfamily, strategy: ROWCOMPARE_NE }));
}

/** (a, b) op (c, d) */
export function makeRowComparisonOp(
  pstate: ParseState,
  names: readonly string[],
  largs: readonly Expr[],
  rargs: readonly Expr[],
  location: number,
): Expr {
  if (largs.length !== rargs.length) {
    throw pstate.error(ERRCODE.SYNTAX_ERROR, 'unequal number of entries in row expressions', location);
  }
  if (largs.length === 0)
    throw pstate.error(ERRCODE.FEATURE_NOT_SUPPORTED, 'cannot compare rows of zero length', location);
  const ops = largs.map((larg, i): OpExpr => {
    const op = makeOp(pstate, names, larg, rargs[i] as Expr, pstate.last_srf, location);
    if (op.opresulttype !== BOOLOID) {
      throw pstate.error(
        ERRCODE.DATATYPE_MISMATCH,
        `row comparison operator must yield type boolean, not type ${pstate.typeName(op.opresulttype)}`,
        location,
      );
    }
    if (expressionReturnsSet(op))
      throw pstate.error(ERRCODE.DATATYPE_MISMATCH, 'row comparison operator must not return a set', location);
    return op;
  });
  if (ops.length === 1) return ops[0] as OpExpr;
  const interpretations = ops.map(op => opBtreeInterpretations(pstate, op.opno));
  const strategies = [1, 2, 3, 4, 5, 6].filter(s => interpretations.every(list => list.some(i => i.strategy === s)));
  const undetermined = `could not determine interpretation of row comparison operator ${names[names.length - 1]}`;
  if (strategies.length === 0) {
    throw pstate.error(ERRCODE.FEATURE_NOT_SUPPORTED, undetermined, location, {
      hint: 'Row comparison operators must be associated with btree operator families.',
    });
  }
  const rctype = strategies[0] as RowCompareType;
  if (rctype === ROWCOMPARE_EQ) return makeBoolExpr('and', ops, location);
  if (rctype === ROWCOMPARE_NE) return makeBoolExpr('or', ops, location);
  return {
    type: 'RowCompareExpr',
    rctype,
    opnos: ops.map(op => op.opno),
    opfamilies: interpretations.map(list => (list.find(i => i.strategy === rctype) as { family: Oid }).family),
    inputcollids: [],
    largs: ops.map(op => op.args[0] as Expr),
    rargs: ops.map(op => op.args[1] as Expr),
  };
}

export function makeRowDistinctOp(
  pstate: ParseState,
  names: readonly string[],
  left: RowExpr,
  right: RowExpr,
  location: number,
): Expr {
  if (left.args.length !== right.args.length) {
    throw pstate.error(ERRCODE.SYNTAX_ERROR, 'unequal number of entries in row expressions', location);
  }
  let result: Expr | null = null;
  left.args.forEach((larg, i) => {
    const cmp = makeDistinctOp(pstate, names, larg, right.args[i] as Expr, location);
    result = result === null ? cmp : makeBoolExpr('or', [result, cmp], location);
  });
  return result ?? makeBoolConst(false);
}

export function makeDistinctOp(
  pstate: ParseState,
  names: readonly string[],
  left: Expr,
  right: Expr,
  location: number,
): DistinctExpr {
  const op = makeOp(pstate, names, left, right, pstate.last_srf, location);
  if (op.opresulttype !== BOOLOID) {
    throw pstate.error(ERRCODE.DATATYPE_MISMATCH, 'IS DISTINCT FROM requires = operator to yield boolean', location);
  }
  if (op.opretset) throw pstate.error(ERRCODE.DATATYPE_MISMATCH, 'IS DISTINCT FROM must not return a set', location);
  return { ...op, type: 'DistinctExpr' };
}
