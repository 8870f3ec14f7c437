/**
 * Selectivity of LIKE, ILIKE, regular expressions and ^@ (utils/adt/like_support.c): by the histogram's bounds if there are
 * enough of them, else by the text that all matches begin with and how much the rest of the pattern leaves open.
 */
import { BPCHAROID, BYTEAOID, NAMEOID, TEXTOID } from '@pgtroupe/common/oids';
import { exprType } from '@pgtroupe/nodes/nodefuncs';
import type { Datum } from '@pgtroupe/common/datum';
import type { Expr } from '@pgtroupe/nodes/primnodes';
import type { PlannerInfo } from '../pathnodes.ts';
import { histogramSelectivity, mcvSelectivity, varEqConst } from './eqsel.ts';
import { ineqHistogramSelectivity } from './ineqsel.ts';
import { type FixedPrefix, likePrefix, type PatternType, regexPrefix } from './patternprefix.ts';
import { clampProbability, restrictionVariable, type VariableStats } from './variable.ts';

const DEFAULT_MATCH_SEL = 0.005;
const C_COLLATION = 950;

/** Operators =, <, >= of the type with text, and the type of what is compared. */
const OPERATORS: Readonly<Record<number, readonly [eq: number, lt: number, ge: number, type: number]>> = {
  [TEXTOID]: [98, 664, 667, TEXTOID],
  [NAMEOID]: [254, 255, 257, TEXTOID],
  [BPCHAROID]: [1054, 1058, 1061, BPCHAROID],
  [BYTEAOID]: [1955, 1957, 1960, BYTEAOID],
};

/** `operator`: the one that matches, whose negator the clause may have. */
export function patternSel(
  root: PlannerInfo,
  operator: number,
  args: readonly Expr[],
  varRelid: number,
  collation: number,
  pattern: PatternType,
  negate: boolean,
): number {
  const unknown = negate ? 1 - DEFAULT_MATCH_SEL : DEFAULT_MATCH_SEL;
  const restricted = restrictionVariable(root, args, varRelid);
  if (restricted === undefined || !restricted.onLeft || restricted.other.type !== 'Const') return unknown;
  const { variable, other } = restricted;
  const value = other.constvalue as Datum;
  if (value === null) return 0;
  const operators = OPERATORS[variable.type];
  const patternType = exprType(other) as number;
  if (operators === undefined || (patternType !== TEXTOID && patternType !== BYTEAOID)) return unknown;
  const prefix = pattern.startsWith('regex')
    ? regexPrefix(value as Uint8Array, pattern === 'regex ignoring case')
    : likePrefix(value as Uint8Array, pattern);
  const nullFraction = variable.statistics?.nullFraction ?? 0;
  let selectivity: number;
  if (prefix.exact) selectivity = varEqConst(root.env, variable, operators[0], prefix.bytes, true, false);
  else selectivity = inexact(root, operator, operators, variable, value, prefix, collation);
  return clampProbability(negate ? 1 - selectivity - nullFraction : selectivity);
}

function inexact(
  root: PlannerInfo,
  operator: number,
  operators: readonly [number, number, number, number],
  variable: VariableStats,
  value: Datum,
  prefix: FixedPrefix,
  collation: number,
): number {
  const matches = root.env.statisticValues.operator(operator);
  const holds = (candidate: Datum): boolean => matches?.(candidate, value) === true;
  const histogram = histogramSelectivity(variable, holds, 10, 1);
  let selectivity = histogram.selectivity;
  if (histogram.size < 100) {
    const begins = prefix.bytes.length > 0 ? prefixSel(root, operators, variable, prefix.bytes, collation) : 1;
    const guess = begins * prefix.rest;
    const weight = histogram.size / 100;
    selectivity = selectivity < 0 ? guess : selectivity * weight + guess * (1 - weight);
  }
  selectivity = Math.min(Math.max(selectivity, 0.0001), 0.9999);
  const common = mcvSelectivity(variable, holds);
  return selectivity * (1 - (variable.statistics?.nullFraction ?? 0) - common.all) + common.selectivity;
}

/** Of the histogram's values, those from the prefix up to the next text that does not begin with it. */
function prefixSel(
  root: PlannerInfo,
  [eq, lt, ge, type]: readonly [number, number, number, number],
  variable: VariableStats,
  prefix: Uint8Array,
  collation: number,
): number {
  const { env } = root;
  const from = { operator: ge, isGreater: true, orEqual: true, collation };
  let selectivity = ineqHistogramSelectivity(env, variable, from, prefix, type);
  if (selectivity < 0) return DEFAULT_MATCH_SEL;
  const next = greaterString(prefix, type, collation, env.statisticValues.operator(lt));
  if (next !== undefined) {
    const to = { operator: lt, isGreater: false, orEqual: false, collation };
    selectivity += ineqHistogramSelectivity(env, variable, to, next, type) - 1;
  }
  return Math.max(selectivity, varEqConst(env, variable, eq, prefix, true, false));
}

/** A text that comes after all that begin with this one (make_greater_string). */
function greaterString(
  prefix: Uint8Array,
  type: number,
  collation: number,
  less: ((a: Datum, b: Datum) => Datum) | undefined,
): Uint8Array | undefined {
  if (type === BYTEAOID || collation === C_COLLATION) return incremented(prefix, prefix, type, less);
  // Another collation may put what begins with it behind: a late letter is added.
  return incremented(prefix, Buffer.concat([prefix, Buffer.from('z')]), type, less);
}

function incremented(
  prefix: Uint8Array,
  beyond: Uint8Array,
  type: number,
  less: ((a: Datum, b: Datum) => Datum) | undefined,
): Uint8Array | undefined {
  for (let length = prefix.length; length > 0; ) {
    let start = length - 1;
    if (type !== BYTEAOID) while (start > 0 && (prefix[start]! & 0xc0) === 0x80) start--;
    // Of ASCII the last character's successors; of longer characters the last byte's.
    const work = prefix.slice(0, length);
    const most = type === BYTEAOID ? 0xff : start === length - 1 ? 0x7f : 0xbf;
    while (work[length - 1]! < most) {
      work[length - 1]!++;
      if (less?.(beyond, work) === true) return work;
    }
    length = start;
  }
  return undefined;
}
