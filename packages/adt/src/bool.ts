/**
 * Type boolean: input of its many spellings, comparison, casts, and the and/or aggregates.
 */
import { Internal } from '@pgtroupe/common/datum';
import type { FunctionCall, FunctionTable } from './fmgr.ts';
import { latin1ToString, stringToText } from './mb/mbutils.ts';
import { invalidSyntax, isSpace } from './numutils.ts';
import { recvByte } from './pqwire.ts';
import { scalarCmp } from './scalarcompare.ts';

const T = stringToText('t');
const F = stringToText('f');
const TRUE = stringToText('true');
const FALSE = stringToText('false');

/** Unique prefixes of true, yes, on, 1 and their opposites, any case; undefined for anything else. */
function parseBool(text: Uint8Array): boolean | undefined {
  let start = 0;
  let end = text.length;
  while (start < end && isSpace(text[start])) start++;
  while (end > start && isSpace(text[end - 1])) end--;
  if (end - start === 0 || end - start > 5) return undefined;
  const word = latin1ToString(text, start, end).toLowerCase();
  if (word === '1' || word === 'on' || 'true'.startsWith(word) || 'yes'.startsWith(word)) return true;
  if (word === '0' || (word.length > 1 && 'off'.startsWith(word)) || 'false'.startsWith(word) || 'no'.startsWith(word))
    return false;
  return undefined;
}

/** State of every() and its moving variant: how many values, how many true. */
class BoolAggState extends Internal {
  aggcount = 0;
  aggtrue = 0;
}

export const boolFunctions: FunctionTable = {
  boolin: (_fc: FunctionCall, text: Uint8Array) => {
    const value = parseBool(text);
    if (value === undefined) throw invalidSyntax('boolean', text);
    return value;
  },
  boolout: (_fc: FunctionCall, value: boolean) => (value ? T : F),
  boolrecv: (_fc: FunctionCall, bytes: Uint8Array) => recvByte(bytes) !== 0,
  boolsend: (_fc: FunctionCall, value: boolean) => Uint8Array.of(value ? 1 : 0),
  booltext: (_fc: FunctionCall, value: boolean) => (value ? TRUE : FALSE),
  booleq: (_fc: FunctionCall, a: boolean, b: boolean) => a === b,
  boolne: (_fc: FunctionCall, a: boolean, b: boolean) => a !== b,
  boollt: (_fc: FunctionCall, a: boolean, b: boolean) => a < b,
  boolle: (_fc: FunctionCall, a: boolean, b: boolean) => a <= b,
  boolgt: (_fc: FunctionCall, a: boolean, b: boolean) => a > b,
  boolge: (_fc: FunctionCall, a: boolean, b: boolean) => a >= b,
  btboolcmp: (fc: FunctionCall, a: boolean, b: boolean) => scalarCmp(fc, Number(a), Number(b)),
  int4_bool: (_fc: FunctionCall, value: number) => value !== 0,
  bool_int4: (_fc: FunctionCall, value: boolean) => (value ? 1 : 0),
  booland_statefunc: (_fc: FunctionCall, a: boolean, b: boolean) => a && b,
  boolor_statefunc: (_fc: FunctionCall, a: boolean, b: boolean) => a || b,
  bool_accum: (_fc: FunctionCall, state: BoolAggState | null, value: boolean | null) => {
    state ??= new BoolAggState();
    if (value !== null) {
      state.aggcount++;
      if (value) state.aggtrue++;
    }
    return state;
  },
  bool_accum_inv: (_fc: FunctionCall, state: BoolAggState, value: boolean | null) => {
    if (value !== null) {
      state.aggcount--;
      if (value) state.aggtrue--;
    }
    return state;
  },
  bool_alltrue: (_fc: FunctionCall, state: BoolAggState | null) =>
    state === null || state.aggcount === 0 ? null : state.aggtrue === state.aggcount,
  bool_anytrue: (_fc: FunctionCall, state: BoolAggState | null) =>
    state === null || state.aggcount === 0 ? null : state.aggtrue > 0,
};
