/** Comparison of Datums that are ordered byte by byte: bytea, name, and text in the C collation. */
import type { FunctionCall } from './fmgr.ts';
import { compareBytes, equalBytes } from './mb/mbutils.ts';

type Bytes = Uint8Array;

export const bytesEq = (_fc: FunctionCall, a: Bytes, b: Bytes): boolean => equalBytes(a, b);
export const bytesNe = (_fc: FunctionCall, a: Bytes, b: Bytes): boolean => !equalBytes(a, b);
export const bytesLt = (_fc: FunctionCall, a: Bytes, b: Bytes): boolean => compareBytes(a, b) < 0;
export const bytesLe = (_fc: FunctionCall, a: Bytes, b: Bytes): boolean => compareBytes(a, b) <= 0;
export const bytesGt = (_fc: FunctionCall, a: Bytes, b: Bytes): boolean => compareBytes(a, b) > 0;
export const bytesGe = (_fc: FunctionCall, a: Bytes, b: Bytes): boolean => compareBytes(a, b) >= 0;
export const bytesCmp = (_fc: FunctionCall, a: Bytes, b: Bytes): number => compareBytes(a, b);
