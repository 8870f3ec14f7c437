/**
 * Comparison of Datums that JavaScript itself orders: all integer types, oid, date, timestamp…
 * Numbers and bigints compare with each other, and an int8 has one representation only, so
 * `===` is equality.
 */
import type { FunctionCall } from './fmgr.ts';

type Scalar = number | bigint;

export const scalarEq = (_fc: FunctionCall, a: Scalar, b: Scalar): boolean => a === b;
export const scalarNe = (_fc: FunctionCall, a: Scalar, b: Scalar): boolean => a !== b;
export const scalarLt = (_fc: FunctionCall, a: Scalar, b: Scalar): boolean => a < b;
export const scalarLe = (_fc: FunctionCall, a: Scalar, b: Scalar): boolean => a <= b;
export const scalarGt = (_fc: FunctionCall, a: Scalar, b: Scalar): boolean => a > b;
export const scalarGe = (_fc: FunctionCall, a: Scalar, b: Scalar): boolean => a >= b;
export const scalarCmp = (_fc: FunctionCall, a: Scalar, b: Scalar): number => (a < b ? -1 : a > b ? 1 : 0);
export const scalarLarger = (_fc: FunctionCall, a: Scalar, b: Scalar): Scalar => (a > b ? a : b);
export const scalarSmaller = (_fc: FunctionCall, a: Scalar, b: Scalar): Scalar => (a < b ? a : b);
