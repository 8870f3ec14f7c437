/**
 * Type modifiers as *typmodin functions get them: a cstring array of integers.
 */
import { CSTRINGOID } from '@pgtroupe/common/oids';
import { assert } from '@pgtroupe/common/assert';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { FunctionCall } from './fmgr.ts';
import { builtinTypes } from './cache/builtin_types.ts';
import { arrayHeader, deconstructArray } from './arrayutils.ts';
import { outOfRange, parseInteger } from './numutils.ts';

export function parseTypmods(array: Uint8Array): number[] {
  const header = arrayHeader(array);
  if (header.elemType !== CSTRINGOID) throw ereport(ERRCODE.ARRAY_ELEMENT_ERROR, 'typmod array must be type cstring[]');
  if (header.ndim !== 1) throw ereport(ERRCODE.ARRAY_SUBSCRIPT_ERROR, 'typmod array must be one-dimensional');
  if (header.hasNulls) throw ereport(ERRCODE.NULL_VALUE_NOT_ALLOWED, 'typmod array must not contain nulls');
  const cstring = builtinTypes().get(CSTRINGOID);
  assert(cstring !== undefined, 'cstring is built in');
  return deconstructArray(array, cstring, header).map(word => {
    const text = word as Uint8Array;
    const value = parseInteger(text, 'integer');
    if (value > 0x7fffffff || value < -0x80000000) throw outOfRange('integer', text);
    return Number(value);
  });
}

export const MAX_TIME_PRECISION = 6;

/** A precision of fractional seconds; one that is too high is told and lowered. `name` has %d where it goes. */
export function timePrecision(fc: FunctionCall, precision: number, name: string): number {
  const named = name.replace('%d', String(precision));
  if (precision < 0) throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `${named} precision must not be negative`);
  if (precision <= MAX_TIME_PRECISION) return precision;
  fc.warn?.(ERRCODE.INVALID_PARAMETER_VALUE, `${named} precision reduced to maximum allowed, ${MAX_TIME_PRECISION}`);
  return MAX_TIME_PRECISION;
}
