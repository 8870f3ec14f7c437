/**
 * Selectivity of `variable = value` and of comparisons in general by lists of most common values (utils/adt/selfuncs.c).
 */
import type { Datum } from '@pgtroupe/common/datum';
import type { PlannerEnv } from '../pathnodes.ts';
import { clampProbability, numDistinct, type VariableStats } from './variable.ts';

/** `operator` is equality with the variable on its left unless `onLeft` is false. */
export function varEqConst(
  env: PlannerEnv,
  variable: VariableStats,
  operator: number,
  value: Datum,
  onLeft: boolean,
  negate: boolean,
): number {
  if (value === null) return 0;
  const { statistics } = variable;
  const nullFraction = statistics?.nullFraction ?? 0;
  const call = env.statisticValues.operator(operator);
  let selectivity: number;
  if (isUniqueInRows(variable)) selectivity = 1 / variable.rel!.tuples;
  else if (statistics !== undefined && call !== undefined) {
    const numbers = statistics.mcv?.numbers ?? [];
    const match =
      statistics.mcv?.values.findIndex(mcv => (onLeft ? call(mcv, value) : call(value, mcv)) === true) ?? -1;
    if (match >= 0) selectivity = numbers[match]!;
    else {
      // All others are taken to be as common as each other, and no more common than any in the list.
      const common = numbers.reduce((sum, n) => sum + n, 0);
      selectivity = clampProbability(1 - common - nullFraction);
      const others = numDistinct(variable).distinct - numbers.length;
      if (others > 1) selectivity /= others;
      if (numbers.length > 0) selectivity = Math.min(selectivity, numbers.at(-1)!);
    }
  } else selectivity = 1 / numDistinct(variable).distinct;
  return clampProbability(negate ? 1 - selectivity - nullFraction : selectivity);
}

/** The value is not known. */
export function varEqNonConst(variable: VariableStats, negate: boolean): number {
  const { statistics } = variable;
  const nullFraction = statistics?.nullFraction ?? 0;
  const { distinct } = numDistinct(variable);
  let selectivity: number;
  if (isUniqueInRows(variable)) selectivity = 1 / variable.rel!.tuples;
  else if (statistics !== undefined) {
    selectivity = 1 - nullFraction;
    if (distinct > 1) selectivity /= distinct;
    const most = statistics.mcv?.numbers[0];
    if (most !== undefined) selectivity = Math.min(selectivity, most);
  } else selectivity = 1 / distinct;
  return clampProbability(negate ? 1 - selectivity - nullFraction : selectivity);
}

function isUniqueInRows({ unique, rel }: VariableStats): boolean {
  return unique && rel !== undefined && rel.tuples >= 1;
}

type Condition = (value: Datum) => boolean;

/** Of the most common values, those for which the condition holds, and all. */
export function mcvSelectivity(
  { statistics }: VariableStats,
  holds: Condition,
): { readonly selectivity: number; readonly all: number } {
  let selectivity = 0;
  let all = 0;
  const { mcv } = statistics ?? {};
  mcv?.values.forEach((value, i) => {
    if (holds(value)) selectivity += mcv.numbers[i]!;
    all += mcv.numbers[i]!;
  });
  return { selectivity, all };
}

/** Of the histogram's bounds without `skip` at each end; -1: there are fewer than `least`. */
export function histogramSelectivity(
  { statistics }: VariableStats,
  holds: Condition,
  least: number,
  skip: number,
): { readonly selectivity: number; readonly size: number } {
  const values = statistics?.histogram?.values ?? [];
  if (values.length < least) return { selectivity: -1, size: values.length };
  const inner = values.slice(skip, values.length - skip);
  return { selectivity: inner.filter(holds).length / inner.length, size: values.length };
}
