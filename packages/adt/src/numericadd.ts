/**
 * Sums and differences of finite numerics by their digits, for values too large for numbers: linear, where a detour by
 * way of bigints costs the change of base.
 */
import { digitsAt, dscaleOf, isNegative, packDigits, weightOf } from './numericvar.ts';

/** A magnitude's base-10000 digits, the first counting 10000^top, with room for a carry and for all places of both. */
function spread(p: Uint8Array, top: number, length: number): Int16Array {
  const out = new Int16Array(length);
  for (let i = digitsAt(p), to = top - weightOf(p); i < p.length; i += 2, to++) out[to] = p[i] | (p[i + 1] << 8);
  return out;
}

function compareDigits(a: Int16Array, b: Int16Array): number {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return a[i] - b[i];
  return 0;
}

/** `a` becomes a + sign * b, which must not be negative. */
function accumulate(a: Int16Array, b: Int16Array, sign: 1 | -1): void {
  let carry = 0;
  for (let i = a.length - 1; i >= 0; i--) {
    let digit = a[i] + sign * b[i] + carry;
    carry = 0;
    if (digit >= 10000) {
      digit -= 10000;
      carry = 1;
    } else if (digit < 0) {
      digit += 10000;
      carry = -1;
    }
    a[i] = digit;
  }
}

/** Payload of a + b, or of a - b. Finite values only; 22003 where the result has no room. */
export function addDigits(a: Uint8Array, b: Uint8Array, subtract: boolean): Uint8Array {
  const count = (p: Uint8Array): number => (p.length - digitsAt(p)) >> 1;
  const top = Math.max(weightOf(a), weightOf(b)) + 1;
  const bottom = Math.min(weightOf(a) - count(a), weightOf(b) - count(b)) + 1;
  const x = spread(a, top, top - bottom + 1);
  const y = spread(b, top, top - bottom + 1);
  const scale = Math.max(dscaleOf(a), dscaleOf(b));
  const bNegative = isNegative(b) !== subtract;
  if (isNegative(a) === bNegative) {
    accumulate(x, y, 1);
    return packDigits(isNegative(a), top, scale, x);
  }
  const order = compareDigits(x, y);
  if (order >= 0) {
    accumulate(x, y, -1);
    return packDigits(isNegative(a), top, scale, x);
  }
  accumulate(y, x, -1);
  return packDigits(bNegative, top, scale, y);
}
