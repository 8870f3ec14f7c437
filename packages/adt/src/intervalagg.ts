/**
 * sum and avg of intervals. Their state is an interval[2]: the sum and, as the time of the second, the count.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { FunctionCall, FunctionTable } from './fmgr.ts';
import { builtinTypes } from './cache/builtin_types.ts';
import { buildArray, deconstructArray } from './arrayutils.ts';
import { addIntervals, makeInterval, readInterval, scaleInterval } from './interval.ts';

const INTERVAL_TYPE = 1186;

function aggregateState(state: Uint8Array): [Uint8Array, Uint8Array] {
  const values = deconstructArray(state, builtinTypes().get(INTERVAL_TYPE)!);
  if (values.includes(null))
    throw ereport(ERRCODE.NULL_VALUE_NOT_ALLOWED, 'null array element not allowed in this context');
  if (values.length !== 2) throw ereport(ERRCODE.INTERNAL_ERROR, 'expected 2-element interval array');
  return values as [Uint8Array, Uint8Array];
}

const accumulate =
  (sign: 1 | -1) =>
  (_fc: FunctionCall, state: Uint8Array, value: Uint8Array): Uint8Array => {
    const [sum, count] = aggregateState(state);
    const n = readInterval(count);
    return buildArray(
      [addIntervals(sum, value, sign), makeInterval(n.months, n.days, n.time + BigInt(sign))],
      builtinTypes().get(INTERVAL_TYPE)!,
    );
  };

export const intervalAggFunctions: FunctionTable = {
  interval_accum: accumulate(1),
  interval_accum_inv: accumulate(-1),
  interval_avg: (_fc: FunctionCall, state: Uint8Array) => {
    const [sum, count] = aggregateState(state);
    const n = readInterval(count).time;
    return n === 0n ? null : scaleInterval(sum, x => x / Number(n));
  },
  interval_combine: (_fc: FunctionCall, a: Uint8Array, b: Uint8Array) => {
    const [sum, count] = aggregateState(a);
    const [sum2, count2] = aggregateState(b);
    return buildArray([addIntervals(sum, sum2, 1), addIntervals(count, count2, 1)], builtinTypes().get(INTERVAL_TYPE)!);
  },
};
