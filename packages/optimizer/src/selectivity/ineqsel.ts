/**
 * Selectivity of `variable < value` and its kin by the histogram (scalarineqsel, utils/adt/selfuncs.c).
 */
import { BTREE_AM_OID } from '@pgtroupe/common/oids';
import { AMOPOPID } from '@pgtroupe/catalog/syscache';
import type { Datum } from '@pgtroupe/common/datum';
import type { PlannerEnv } from '../pathnodes.ts';
import { convertToScalar } from './scalar.ts';
import { mcvSelectivity } from './eqsel.ts';
import { clampProbability, numDistinct, type VariableStats } from './variable.ts';

export const DEFAULT_INEQ_SEL = 0.3333333333333333;

/** `operator` with the variable on its left: greater or less, with or without equality. */
export interface Inequality {
  readonly operator: number;
  readonly isGreater: boolean;
  readonly orEqual: boolean;
  readonly collation: number;
}

export function scalarIneqSel(
  env: PlannerEnv,
  variable: VariableStats,
  inequality: Inequality,
  value: Datum,
  valueType: number,
): number {
  const { statistics } = variable;
  const call = env.statisticValues.operator(inequality.operator);
  if (statistics === undefined || call === undefined) return DEFAULT_INEQ_SEL;
  const common = mcvSelectivity(variable, mcv => call(mcv, value) === true);
  const others = ineqHistogramSelectivity(env, variable, inequality, value, valueType);
  const selectivity = (1 - statistics.nullFraction - common.all) * (others >= 0 ? others : 0.5) + common.selectivity;
  return clampProbability(selectivity);
}

/** Of the values that the histogram stands for; -1: there is none. */
export function ineqHistogramSelectivity(
  env: PlannerEnv,
  variable: VariableStats,
  { operator, isGreater, orEqual, collation }: Inequality,
  value: Datum,
  valueType: number,
): number {
  const slot = variable.statistics?.histogram;
  const call = env.statisticValues.operator(operator);
  if (slot === undefined || slot.values.length < 2 || call === undefined) return -1;
  const values = [...slot.values];
  const last = values.length - 1;
  const least = 0.01 / (values.length - 1);
  const within = (s: number): number => Math.min(Math.max(s, least), 1 - least);
  if (slot.collation !== collation || !areComparable(env, slot.op, operator)) {
    // Its order means nothing to this operator, but its bounds are a sample.
    return within(values.filter(bound => call(bound, value) === true).length / values.length);
  }
  let low = 0;
  let high = values.length;
  let endIsKnown = false;
  while (low < high) {
    const probe = Math.floor((low + high) / 2);
    // Where an index tells the least and the greatest value, nothing lies beyond them.
    if ((probe === 0 || probe === last) && leadsIndex(variable)) {
      endIsKnown = true;
      values[probe] = extreme(env, variable, probe === 0);
    }
    const below = (call(values[probe]!, value) === true) !== isGreater;
    if (below) low = probe + 1;
    else high = probe;
  }
  let fraction: number;
  if (low === 0) fraction = 0;
  else if (low >= values.length) fraction = 1;
  else {
    const equal = low === 1 || isGreater === orEqual ? equalShare(variable) : 0;
    const place = placeInBin(env, variable, values[low - 1]!, values[low]!, value, valueType);
    fraction = (low - 1 + place) / (values.length - 1);
    // The first bound is a value like any other, though nothing lies before it.
    if (low === 1) fraction += equal * (1 - place);
    if (isGreater === orEqual) fraction -= equal;
  }
  const selectivity = isGreater ? 1 - fraction : fraction;
  return endIsKnown ? clampProbability(selectivity) : within(selectivity);
}

function leadsIndex({ expr, rel }: VariableStats): boolean {
  return (
    expr.type === 'Var' &&
    (rel?.indexes.some(i => i.desc.keys[0]!.attnum === expr.varattno && i.predicate.length === 0) ?? false)
  );
}

/** The least or greatest value there was, common ones included: PostgreSQL asks the index (get_actual_variable_range). */
function extreme(env: PlannerEnv, { statistics }: VariableStats, least: boolean): Datum {
  const { values, op } = statistics!.histogram!;
  const precedes = env.statisticValues.operator(op);
  let found: Datum = least ? values[0]! : values.at(-1)!;
  for (const value of statistics!.mcv?.values ?? [])
    if ((least ? precedes?.(value, found) : precedes?.(found, value)) === true) found = value;
  return found;
}

/** Share of one value among those of the histogram. */
function equalShare(variable: VariableStats): number {
  const others = numDistinct(variable).distinct - (variable.statistics?.mcv?.numbers.length ?? 0);
  return others > 1 ? 1 / others : 0;
}

/** Where between two bounds the value lies, taken as numbers. */
function placeInBin(
  env: PlannerEnv,
  variable: VariableStats,
  from: Datum,
  to: Datum,
  value: Datum,
  valueType: number,
): number {
  const scalars = convertToScalar(env, value, valueType, from, to, variable.type);
  if (scalars === undefined) return 0.5;
  const { value: at, low, high } = scalars;
  if (high <= low) return 0.5;
  if (at <= low) return 0;
  if (at >= high) return 1;
  const place = (at - low) / (high - low);
  return place >= 0 && place <= 1 ? place : 0.5;
}

/** Do both belong to one order? (comparison_ops_are_compatible) */
function areComparable(env: PlannerEnv, a: number, b: number): boolean {
  if (a === b) return true;
  const families = (opno: number): number[] =>
    env.rows
      .searchList(AMOPOPID, opno)
      .filter(amop => (amop.amopmethod as number) === BTREE_AM_OID)
      .map(amop => amop.amopfamily);
  const ofB = families(b);
  return families(a).some(family => ofB.includes(family));
}
