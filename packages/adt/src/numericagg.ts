/**
 * Sums, averages and variances: the transition and final functions of the aggregates over int2,
 * int4, int8 and numeric, and the float8[] accumulators of float4 and float8.
 *
 * A running sum is kept as a safe number and spills into a bigint before it could lose a digit.
 * States that PostgreSQL keeps in arrays (avg(int4), sum(int2) as moving aggregate, all float
 * ones) are arrays here too, changed in place when the executor says the state is ours.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import { Internal } from '@pgtroupe/common/datum';
import type { FunctionCall, FunctionTable } from './fmgr.ts';
import { overflow } from './float.ts';
import type { Int8 } from './int8.ts';
import { addOrSub, int8ToNumeric, numericDiv } from './numeric.ts';
import { sqrtVar } from './numericmath.ts';
import {
  divide,
  dscaleOf,
  finite,
  isSpecial,
  kindOf,
  NUMERIC_NAN,
  NUMERIC_NINF,
  NUMERIC_PINF,
  type NumericVar,
  packNumeric,
  packSmall,
  pow10,
  rescale,
  selectDivScale,
  smallNumeric,
  unpackNumeric,
} from './numericvar.ts';
import { int8Datum } from './numutils.ts';
import { viewOf } from './pqwire.ts';

const SPILL = 2 ** 52;
const POW10 = Array.from({ length: 16 }, (_, i) => 10 ** i);

/** Exact sum of integers at a decimal scale that only grows. */
class Accumulator {
  scale = 0;
  small = 0;
  big = 0n;

  addNumber(v: number): void {
    const s = this.small + v;
    if (s < SPILL && s > -SPILL) this.small = s;
    else this.addBig(BigInt(v));
  }

  addBig(v: bigint): void {
    this.big += v + BigInt(this.small);
    this.small = 0;
  }

  /** A numeric payload's value, times `sign`. */
  addNumeric(p: Uint8Array, sign: 1 | -1): void {
    const scale = dscaleOf(p);
    const v = smallNumeric(p) * sign;
    if (scale <= this.scale && this.scale - scale < 16) {
      const scaled = v * POW10[this.scale - scale];
      if (scaled < SPILL && scaled > -SPILL) return this.addNumber(scaled);
    }
    this.addVar(unpackNumeric(p), sign);
  }

  addVar(v: NumericVar, sign: 1 | -1): void {
    if (v.scale > this.scale) {
      this.big = (this.big + BigInt(this.small)) * pow10(v.scale - this.scale);
      this.small = 0;
      this.scale = v.scale;
    }
    const n = v.n * pow10(this.scale - v.scale);
    this.addBig(sign > 0 ? n : -n);
  }

  total(): bigint {
    return this.big + BigInt(this.small);
  }

  merge(other: Accumulator): void {
    this.addVar(finite(other.total(), other.scale), 1);
  }
}

/** NumericAggState: finite values summed (squares if asked), the special ones counted. */
class NumericAggState extends Internal {
  readonly squares: boolean;
  count = 0;
  readonly sum = new Accumulator();
  readonly sum2 = new Accumulator();
  nan = 0;
  pinf = 0;
  ninf = 0;
  maxScale = 0;
  maxScaleCount = 0;

  constructor(squares: boolean) {
    super();
    this.squares = squares;
  }

  get total(): number {
    return this.count + this.nan + this.pinf + this.ninf;
  }

  countSpecial(p: Uint8Array, by: 1 | -1): void {
    const kind = kindOf(p);
    if (kind === 'nan') this.nan += by;
    else if (kind === 'pinf') this.pinf += by;
    else this.ninf += by;
  }

  add(p: Uint8Array): void {
    if (isSpecial(p)) return this.countSpecial(p, 1);
    const scale = dscaleOf(p);
    if (scale > this.maxScale) {
      this.maxScale = scale;
      this.maxScaleCount = 1;
    } else if (scale === this.maxScale) this.maxScaleCount++;
    this.count++;
    this.sum.addNumeric(p, 1);
    if (this.squares) this.addSquare(p, 1);
  }

  addSquare(p: Uint8Array, sign: 1 | -1): void {
    const v = unpackNumeric(p);
    this.sum2.addVar(finite(v.n * v.n, v.scale * 2), sign);
  }

  /** False when what remains might need fewer decimal places than are known: recompute then. */
  remove(p: Uint8Array): boolean {
    if (isSpecial(p)) {
      this.countSpecial(p, -1);
      return true;
    }
    if (dscaleOf(p) === this.maxScale) {
      if (this.maxScaleCount > 1 || this.maxScale === 0) this.maxScaleCount--;
      else if (this.count === 1) {
        this.maxScale = 0;
        this.maxScaleCount = 0;
      } else return false;
    }
    this.count--;
    this.sum.addNumeric(p, -1);
    if (this.squares) this.addSquare(p, -1);
    return true;
  }

  addInteger(v: Int8, sign: 1 | -1): void {
    this.count += sign;
    if (typeof v === 'number') this.sum.addNumber(sign * v);
    else this.sum.addBig(sign > 0 ? v : -v);
    if (!this.squares) return;
    const square = typeof v === 'number' ? v * v : Infinity;
    if (square < SPILL) this.sum2.addNumber(sign * square);
    else this.sum2.addBig(BigInt(sign) * BigInt(v) * BigInt(v));
  }

  merge(other: NumericAggState): void {
    this.count += other.count;
    this.nan += other.nan;
    this.pinf += other.pinf;
    this.ninf += other.ninf;
    if (other.maxScale > this.maxScale) {
      this.maxScale = other.maxScale;
      this.maxScaleCount = other.maxScaleCount;
    } else if (other.maxScale === this.maxScale) this.maxScaleCount += other.maxScaleCount;
    this.sum.merge(other.sum);
    this.sum2.merge(other.sum2);
  }

  sumVar(): NumericVar {
    return finite(rescale(this.sum.total(), this.sum.scale, this.maxScale), this.maxScale);
  }
}

type State = NumericAggState | null;

const accumNumeric =
  (squares: boolean) =>
  (_fc: FunctionCall, state: State, value: Uint8Array | null): State => {
    state ??= new NumericAggState(squares);
    if (value !== null) state.add(value);
    return state;
  };

const accumInteger =
  (squares: boolean) =>
  (_fc: FunctionCall, state: State, value: Int8 | null): State => {
    state ??= new NumericAggState(squares);
    if (value !== null) state.addInteger(value, 1);
    return state;
  };

function removeInteger(_fc: FunctionCall, state: State, value: Int8 | null): State {
  if (value !== null) state?.addInteger(value, -1);
  return state;
}

function combine(_fc: FunctionCall, a: State, b: State): State {
  if (b === null) return a;
  if (a === null) {
    a = new NumericAggState(b.squares);
  }
  a.merge(b);
  return a;
}

/** Not-a-number answers, or undefined when only finite values came. */
function specialSum(state: NumericAggState): Uint8Array | undefined {
  if (state.nan > 0 || (state.pinf > 0 && state.ninf > 0)) return NUMERIC_NAN;
  if (state.pinf > 0) return NUMERIC_PINF;
  return state.ninf > 0 ? NUMERIC_NINF : undefined;
}

function sum(_fc: FunctionCall, state: State): Uint8Array | null {
  if (state === null || state.total === 0) return null;
  return specialSum(state) ?? packNumeric(state.sumVar());
}

function average(_fc: FunctionCall, state: State): Uint8Array | null {
  if (state === null || state.total === 0) return null;
  return specialSum(state) ?? numericDiv(packNumeric(state.sumVar()), int8ToNumeric(state.count));
}

function spread(variance: boolean, sample: boolean): (fc: FunctionCall, state: State) => Uint8Array | null {
  return (_fc, state) => {
    if (state === null || state.total === 0 || (sample && state.total <= 1)) return null;
    if (state.nan > 0 || state.pinf > 0 || state.ninf > 0) return NUMERIC_NAN;
    const s = state.sumVar();
    const n = BigInt(state.count);
    const scale = s.scale * 2;
    const squares = rescale(state.sum2.total(), state.sum2.scale, scale);
    const numerator = finite(n * squares - s.n * s.n, scale);
    if (numerator.n <= 0n) return packSmall(0, 0);
    const denominator = finite(sample ? n * (n - 1n) : n * n, 0);
    const places = selectDivScale(numerator, denominator);
    const result = divide(numerator, denominator, places, true);
    return packNumeric(variance ? result : sqrtVar(result, places));
  };
}

/** int8[2] state of avg(int2) and avg(int4): count at 20, sum at 28 of the payload. */
const INT8_PAIR_LENGTH = 36;

/** One dimension of two, neither of them null: that is what has this length and no bitmap of nulls. */
function checkPair(state: Uint8Array): void {
  if (state.length !== INT8_PAIR_LENGTH || viewOf(state).getInt32(4, true) !== 0)
    throw ereport(ERRCODE.INTERNAL_ERROR, 'expected 2-element int8 array');
}

function pairState(fc: FunctionCall, state: Uint8Array): DataView {
  checkPair(state);
  return viewOf(fc.inAggregate ? state : state.slice());
}

const bytesOf = (view: DataView): Uint8Array => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);

const avgAccum =
  (sign: 1 | -1) =>
  (fc: FunctionCall, state: Uint8Array, value: number): Uint8Array => {
    const view = pairState(fc, state);
    addInt64(view, 20, sign);
    addInt64(view, 28, sign * value);
    return bytesOf(view);
  };

/** Adds to a little-endian int64 without a bigint. */
function addInt64(view: DataView, at: number, v: number): void {
  const low = view.getUint32(at, true) + v;
  const carry = Math.floor(low / 0x100000000);
  view.setUint32(at, low - carry * 0x100000000, true);
  if (carry !== 0) view.setInt32(at + 4, view.getInt32(at + 4, true) + carry, true);
}

function pairValues(state: Uint8Array): { count: Int8; total: Int8 } {
  checkPair(state);
  const view = viewOf(state);
  return { count: int8Datum(view.getBigInt64(20, true)), total: int8Datum(view.getBigInt64(28, true)) };
}

function int8Avg(_fc: FunctionCall, state: Uint8Array): Uint8Array | null {
  const { count, total } = pairValues(state);
  return count === 0 ? null : numericDiv(int8ToNumeric(total), int8ToNumeric(count));
}

function avgCombine(fc: FunctionCall, a: Uint8Array, b: Uint8Array): Uint8Array {
  if (fc.inAggregate !== true)
    throw ereport(ERRCODE.INTERNAL_ERROR, 'aggregate function called in non-aggregate context');
  const view = pairState(fc, a);
  const other = viewOf(b);
  view.setBigInt64(20, view.getBigInt64(20, true) + other.getBigInt64(20, true), true);
  view.setBigInt64(28, view.getBigInt64(28, true) + other.getBigInt64(28, true), true);
  return bytesOf(view);
}

/** sum(int2), sum(int4): not strict; the sum so far may be null. */
function intSum(_fc: FunctionCall, total: Int8 | null, value: number | null): Int8 | null {
  if (value === null) return total;
  // Nobody looks whether it fits, as in PostgreSQL.
  return total === null ? value : int8Datum(BigInt.asIntN(64, BigInt(total) + BigInt(value)));
}

/** float8[] states: element i at 20 + 8i of the payload. */
const el = (i: number): number => 20 + 8 * i;

/** A state to read: one dimension of `n` elements, none of them null. Anybody may call these functions with others. */
function floatElements(state: Uint8Array, n: number, caller: string): DataView {
  const view = viewOf(state);
  const fits = state.length === el(n) && view.getInt32(0, true) === 1 && view.getInt32(4, true) === 0;
  if (!fits) throw ereport(ERRCODE.INTERNAL_ERROR, `${caller}: expected ${n}-element float8 array`);
  return view;
}

/** A state to change. */
function floatState(fc: FunctionCall, state: Uint8Array, n: number, caller: string): DataView {
  const view = floatElements(state, n, caller);
  return fc.inAggregate ? view : viewOf(state.slice());
}

const floatAccum = (caller: string) => (fc: FunctionCall, state: Uint8Array, value: number) =>
  accumFloat(floatState(fc, state, 3, caller), value);

/** Youngs-Cramer update of {N, Sx, Sxx}. */
function accumFloat(view: DataView, value: number): Uint8Array {
  const oldN = view.getFloat64(el(0), true);
  const oldSx = view.getFloat64(el(1), true);
  let sxx = view.getFloat64(el(2), true);
  const n = oldN + 1;
  const sx = oldSx + value;
  if (oldN > 0) {
    const tmp = value * n - sx;
    sxx += (tmp * tmp) / (n * oldN);
    if (!Number.isFinite(sx) || !Number.isFinite(sxx)) {
      if (Number.isFinite(oldSx) && Number.isFinite(value)) throw overflow();
      sxx = NaN;
    }
  } else if (!Number.isFinite(value)) sxx = NaN;
  view.setFloat64(el(0), n, true);
  view.setFloat64(el(1), sx, true);
  view.setFloat64(el(2), sxx, true);
  return bytesOf(view);
}

function floatCombine(fc: FunctionCall, a: Uint8Array, b: Uint8Array): Uint8Array {
  const view = floatState(fc, a, 3, 'float8_combine');
  const other = floatElements(b, 3, 'float8_combine');
  const n1 = view.getFloat64(el(0), true);
  const n2 = other.getFloat64(el(0), true);
  if (n2 === 0) return bytesOf(view);
  if (n1 === 0) return b.slice();
  const sx1 = view.getFloat64(el(1), true);
  const sx2 = other.getFloat64(el(1), true);
  const tmp = sx1 / n1 - sx2 / n2;
  view.setFloat64(el(0), n1 + n2, true);
  view.setFloat64(el(1), sx1 + sx2, true);
  view.setFloat64(
    el(2),
    view.getFloat64(el(2), true) + other.getFloat64(el(2), true) + (n1 * n2 * tmp * tmp) / (n1 + n2),
    true,
  );
  return bytesOf(view);
}

function floatFinal(
  caller: string,
  compute: (n: number, sx: number, sxx: number) => number | null,
): (fc: FunctionCall, state: Uint8Array) => number | null {
  return (_fc, state) => {
    const view = floatElements(state, 3, caller);
    const n = view.getFloat64(el(0), true);
    return n === 0 ? null : compute(n, view.getFloat64(el(1), true), view.getFloat64(el(2), true));
  };
}

const isInfinite = (v: number): boolean => v === Infinity || v === -Infinity;

/** {N, Sx, Sxx, Sy, Syy, Sxy}; the first argument is Y. */
function regrAccum(fc: FunctionCall, state: Uint8Array, y: number, x: number): Uint8Array {
  const view = floatState(fc, state, 6, 'float8_regr_accum');
  const get = (i: number): number => view.getFloat64(el(i), true);
  const oldN = get(0);
  const n = oldN + 1;
  const sx = get(1) + x;
  const sy = get(3) + y;
  let [sxx, syy, sxy] = [get(2), get(4), get(5)];
  if (oldN > 0) {
    const tx = x * n - sx;
    const ty = y * n - sy;
    const scale = 1 / (n * oldN);
    sxx += tx * tx * scale;
    syy += ty * ty * scale;
    sxy += tx * ty * scale;
    if (![sx, sxx, sy, syy, sxy].every(Number.isFinite)) {
      // An infinite sum is an overflow only where none of what it was made of was infinite.
      const xInfinite = isInfinite(get(1)) || isInfinite(x);
      const yInfinite = isInfinite(get(3)) || isInfinite(y);
      const overflows =
        ((isInfinite(sx) || isInfinite(sxx)) && !xInfinite) ||
        ((isInfinite(sy) || isInfinite(syy)) && !yInfinite) ||
        (isInfinite(sxy) && !xInfinite && !yInfinite);
      if (overflows) throw overflow();
      if (!Number.isFinite(sxx)) sxx = NaN;
      if (!Number.isFinite(syy)) syy = NaN;
      if (!Number.isFinite(sxy)) sxy = NaN;
    }
  } else {
    if (!Number.isFinite(x)) sxx = sxy = NaN;
    if (!Number.isFinite(y)) syy = sxy = NaN;
  }
  [n, sx, sxx, sy, syy, sxy].forEach((v, i) => view.setFloat64(el(i), v, true));
  return bytesOf(view);
}

interface Regression {
  readonly n: number;
  readonly sx: number;
  readonly sxx: number;
  readonly sy: number;
  readonly syy: number;
  readonly sxy: number;
}

function regrFinal(
  caller: string,
  compute: (r: Regression) => number | null,
  least = 1,
): (fc: FunctionCall, state: Uint8Array) => number | null {
  return (_fc, state) => {
    const view = floatElements(state, 6, caller);
    const [n, sx, sxx, sy, syy, sxy] = [0, 1, 2, 3, 4, 5].map(i => view.getFloat64(el(i), true));
    return n < least ? null : compute({ n, sx, sxx, sy, syy, sxy });
  };
}

export const numericAggFunctions: FunctionTable = {
  numeric_accum: accumNumeric(true),
  numeric_avg_accum: accumNumeric(false),
  numeric_accum_inv: (_fc: FunctionCall, state: State, value: Uint8Array | null) =>
    value === null || state?.remove(value) ? state : null,
  numeric_combine: combine,
  numeric_avg_combine: combine,
  numeric_sum: sum,
  numeric_avg: average,
  numeric_var_pop: spread(true, false),
  numeric_var_samp: spread(true, true),
  numeric_stddev_pop: spread(false, false),
  numeric_stddev_samp: spread(false, true),

  int2_accum: accumInteger(true),
  int4_accum: accumInteger(true),
  int8_accum: accumInteger(true),
  int8_avg_accum: accumInteger(false),
  int2_accum_inv: removeInteger,
  int4_accum_inv: removeInteger,
  int8_accum_inv: removeInteger,
  int8_avg_accum_inv: removeInteger,
  numeric_poly_combine: combine,
  int8_avg_combine: combine,
  numeric_poly_sum: sum,
  numeric_poly_avg: average,
  numeric_poly_var_pop: spread(true, false),
  numeric_poly_var_samp: spread(true, true),
  numeric_poly_stddev_pop: spread(false, false),
  numeric_poly_stddev_samp: spread(false, true),

  int2_sum: intSum,
  int4_sum: intSum,
  int8_sum: (_fc: FunctionCall, total: Uint8Array | null, value: Int8 | null) =>
    value === null ? total : total === null ? int8ToNumeric(value) : addOrSub(total, int8ToNumeric(value), false),
  int2_avg_accum: avgAccum(1),
  int4_avg_accum: avgAccum(1),
  int2_avg_accum_inv: avgAccum(-1),
  int4_avg_accum_inv: avgAccum(-1),
  int4_avg_combine: avgCombine,
  int8_avg: int8Avg,
  int2int4_sum: (_fc: FunctionCall, state: Uint8Array) => {
    const { count, total } = pairValues(state);
    return count === 0 ? null : total;
  },

  float8_accum: floatAccum('float8_accum'),
  float4_accum: floatAccum('float4_accum'),
  float8_combine: floatCombine,
  float8_avg: floatFinal('float8_avg', (n, sx) => sx / n),
  float8_var_pop: floatFinal('float8_var_pop', (n, _sx, sxx) => sxx / n),
  float8_var_samp: floatFinal('float8_var_samp', (n, _sx, sxx) => (n <= 1 ? null : sxx / (n - 1))),
  float8_stddev_pop: floatFinal('float8_stddev_pop', (n, _sx, sxx) => Math.sqrt(sxx / n)),
  float8_stddev_samp: floatFinal('float8_stddev_samp', (n, _sx, sxx) => (n <= 1 ? null : Math.sqrt(sxx / (n - 1)))),
  float8_regr_accum: regrAccum,
  float8_regr_sxx: regrFinal('float8_regr_sxx', r => r.sxx),
  float8_regr_syy: regrFinal('float8_regr_syy', r => r.syy),
  float8_regr_sxy: regrFinal('float8_regr_sxy', r => r.sxy),
  float8_regr_avgx: regrFinal('float8_regr_avgx', r => r.sx / r.n),
  float8_regr_avgy: regrFinal('float8_regr_avgy', r => r.sy / r.n),
  float8_covar_pop: regrFinal('float8_covar_pop', r => r.sxy / r.n),
  float8_covar_samp: regrFinal('float8_covar_samp', r => r.sxy / (r.n - 1), 2),
  float8_corr: regrFinal('float8_corr', r => (r.sxx === 0 || r.syy === 0 ? null : r.sxy / Math.sqrt(r.sxx * r.syy))),
  float8_regr_r2: regrFinal('float8_regr_r2', r =>
    r.sxx === 0 ? null : r.syy === 0 ? 1 : (r.sxy * r.sxy) / (r.sxx * r.syy),
  ),
  float8_regr_slope: regrFinal('float8_regr_slope', r => (r.sxx === 0 ? null : r.sxy / r.sxx)),
  float8_regr_intercept: regrFinal('float8_regr_intercept', r =>
    r.sxx === 0 ? null : (r.sy - (r.sx * r.sxy) / r.sxx) / r.n,
  ),
};
