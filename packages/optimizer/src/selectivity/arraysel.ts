/**
 * Selectivity of `x = ANY (array)` and of arrays that contain or overlap others (scalararraysel, utils/adt/selfuncs.c;
 * utils/adt/array_selfuncs.c).
 */
import { OPEROID } from '@pgtroupe/catalog/syscache';
import type { Datum } from '@pgtroupe/common/datum';
import { exprType } from '@pgtroupe/nodes/nodefuncs';
import type { Expr, ScalarArrayOpExpr } from '@pgtroupe/nodes/primnodes';
import { getType } from '../lsyscache.ts';
import type { PlannerInfo } from '../pathnodes.ts';
import {
  constLike,
  clampProbability,
  estimateExpressionValue,
  examineVariable,
  restrictionVariable,
} from './variable.ts';
import type { VariableStats } from './variable.ts';

const ARRAY_OVERLAP_OP = 2750;
const ARRAY_CONTAINS_OP = 2751;
const ARRAY_CONTAINED_OP = 2752;
const DEFAULT_OVERLAP_SEL = 0.01;
const DEFAULT_CONTAIN_SEL = 0.005;
/** Elements of an array of which nothing is known. */
const UNKNOWN_LENGTH = 10;

/** `estimate`: that of the operator with its two arguments; `kind`: what the operator's estimator says it is. */
export function scalarArraySel(
  root: PlannerInfo,
  clause: ScalarArrayOpExpr,
  varRelid: number,
  kind: 'equality' | 'inequality' | 'other' | 'none',
  estimate: (args: readonly Expr[]) => number,
): number {
  const left = estimateExpressionValue(root, clause.args[0]!);
  const right = stripArrayCoercion(estimateExpressionValue(root, clause.args[1]!));
  const { useOr } = clause;
  if (kind === 'equality' && useOr) {
    const contained = elementSel(root, left, right, varRelid);
    if (contained !== undefined) return contained;
  }
  if (kind === 'none') return 0.5;
  let elements: readonly Expr[] | undefined;
  if (right.type === 'Const') {
    if (right.constvalue === null) return 0;
    const like = elementLike(root, exprType(right) as number, left);
    const values = root.env.statisticValues.elements(right.constvalue as Uint8Array);
    elements = values.map(value => ({ ...constLike(root, like, value), consttype: like.consttype }));
  } else if (right.type === 'ArrayExpr' && !right.multidims) elements = right.elements as readonly Expr[];
  if (elements === undefined) {
    const one = estimate([left, unknownElement(root, right, left)]);
    return clampProbability(useOr ? 1 - (1 - one) ** UNKNOWN_LENGTH : one ** UNKNOWN_LENGTH);
  }
  let together = useOr ? 0 : 1;
  // If they are all different, no row counts twice.
  let apart = together;
  for (const element of elements) {
    const one = estimate([left, element]);
    if (useOr) {
      together = together + one - together * one;
      apart += one;
    } else {
      together *= one;
      apart += one - 1;
    }
  }
  const exclusive = useOr ? kind === 'equality' : kind === 'inequality';
  return clampProbability(exclusive && apart >= 0 && apart <= 1 ? apart : together);
}

function stripArrayCoercion(expr: Expr): Expr {
  for (let e = expr; ; ) {
    if (e.type === 'RelabelType') e = e.arg;
    else if (
      e.type === 'ArrayCoerceExpr' &&
      e.elemexpr.type === 'RelabelType' &&
      e.elemexpr.arg.type === 'CaseTestExpr'
    )
      e = e.arg;
    else return e;
  }
}

/** A constant of the array's element type. */
function elementLike(root: PlannerInfo, arrayType: number, like: Expr): ReturnType<typeof constLike> {
  const { typelem, typbasetype } = getType(root.env.rows, arrayType);
  const elementType = typelem !== 0 ? typelem : getType(root.env.rows, typbasetype).typelem;
  return { ...constLike(root, like, null), consttype: elementType };
}

/** Stands for any element. */
function unknownElement(root: PlannerInfo, array: Expr, like: Expr): Expr {
  const { consttype } = elementLike(root, exprType(array) as number, like);
  return { type: 'CaseTestExpr', typeId: consttype, typeMod: -1, collation: 0 } as unknown as Expr;
}

/** `constant = ANY (column)`: as column @> ARRAY[constant]. Undefined: it is something else. */
function elementSel(root: PlannerInfo, left: Expr, right: Expr, varRelid: number): number | undefined {
  if (right.type === 'Const' || right.type === 'ArrayExpr') return undefined;
  const variable = examineVariable(root, right, varRelid);
  if (variable.rel === undefined || left.type !== 'Const') return undefined;
  if (left.constvalue === null) return 0;
  return containSel(root, variable, [left.constvalue as Datum], ARRAY_CONTAINS_OP);
}

/** column @> constant and the like. */
export function arrayContSel(root: PlannerInfo, operator: number, args: readonly Expr[], varRelid: number): number {
  const unknown = operator === ARRAY_OVERLAP_OP ? DEFAULT_OVERLAP_SEL : DEFAULT_CONTAIN_SEL;
  const restricted = restrictionVariable(root, args, varRelid);
  if (restricted === undefined || restricted.other.type !== 'Const') return unknown;
  const { variable, other, onLeft } = restricted;
  if (other.constvalue === null) return 0;
  const turned: Readonly<Record<number, number>> = {
    [ARRAY_CONTAINS_OP]: ARRAY_CONTAINED_OP,
    [ARRAY_CONTAINED_OP]: ARRAY_CONTAINS_OP,
  };
  const op = onLeft ? operator : (turned[operator] ?? operator);
  // What a column's arrays are contained in: how long they are would have to be known as well.
  if (op === ARRAY_CONTAINED_OP) return unknown;
  const values = root.env.statisticValues.elements(other.constvalue as Uint8Array);
  return containSel(root, variable, values, op);
}

function containSel(
  root: PlannerInfo,
  { statistics }: VariableStats,
  values: readonly Datum[],
  operator: number,
): number {
  const contains = operator === ARRAY_CONTAINS_OP;
  // No array contains null.
  if (contains && values.includes(null)) return 0;
  const slot = statistics?.elements;
  const equal = slot === undefined ? undefined : root.env.statisticValues.operator(slot.op);
  const least = slot?.numbers[slot.values.length];
  const rare = least === undefined ? DEFAULT_CONTAIN_SEL : Math.min(DEFAULT_CONTAIN_SEL, least / 2);
  const seen: Datum[] = [];
  let selectivity = contains ? 1 : 0;
  for (const value of values) {
    if (value === null || seen.some(other => equal?.(other, value) === true)) continue;
    seen.push(value);
    const at = slot?.values.findIndex(element => equal?.(element, value) === true) ?? -1;
    const one = at < 0 ? rare : slot!.numbers[at]!;
    selectivity = contains ? selectivity * one : selectivity + one - selectivity * one;
  }
  return clampProbability(clampProbability(selectivity) * (1 - (statistics?.nullFraction ?? 0)));
}

/** The equality or inequality that an operator is, by its estimator. */
export function comparisonKind(
  root: PlannerInfo,
  operator: number,
  estimator: string,
): Parameters<typeof scalarArraySel>[3] {
  if (root.env.rows.search(OPEROID, operator) === null || estimator === '') return 'none';
  if (estimator === 'eqsel') return 'equality';
  return estimator === 'neqsel' ? 'inequality' : 'other';
}
