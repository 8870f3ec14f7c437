/**
 * Type jsonb: I/O, access, containment, comparison, changes, building and aggregates.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';
import { type Datum, Internal } from '@pgtroupe/common/datum';
import type { Oid } from '@pgtroupe/common/ids';
import { builtin } from './cache/typcache.ts';
import type { FunctionCall, FunctionTable, SetFunctionTable, SlicedFunctionTable } from './fmgr.ts';
import { stringToText, textToString } from './mb/mbutils.ts';
import { anyArguments, datumToJson, jsonKey, pathIndex, pathSteps, textPairs } from './json.ts';
import { parseJson } from './jsonapi.ts';
import {
  compareJsonb,
  ContainerReader,
  formatJsonb,
  fromJson,
  isLargeJsonb,
  type Jsonb,
  JSONB_NULL,
  jsonbContains,
  makeObject,
  packJsonb,
  packLargeArray,
  packLargeObject,
  prettyJsonb,
  unpackJsonb,
} from './jsonb_util.ts';
import { hashBytes } from './hash/hashfn.ts';
import { hashFunctions } from './hashfunc.ts';
import { WireReader } from './pqwire.ts';
import { recvText } from './varlena.ts';

type Bytes = Uint8Array;

const invalidParameter = (message: string): PgError => ereport(ERRCODE.INVALID_PARAMETER_VALUE, message);
const parse = (text: string): Jsonb => fromJson(parseJson(text, true));

/** A SQL value as jsonb. */
function datumToJsonb(fc: FunctionCall, value: Datum, type: Oid): Jsonb {
  return parse(datumToJson(fc, value, type));
}

function asText(v: Jsonb): Bytes | null {
  if (v.type === 'null') return null;
  return stringToText(v.type === 'string' ? v.value : formatJsonb(v));
}

function field(v: Jsonb, key: string): Jsonb | undefined {
  return v.type === 'object' ? v.members.find(m => m.key === key)?.value : undefined;
}

function element(v: Jsonb, index: number): Jsonb | undefined {
  return v.type === 'array' ? v.items[index < 0 ? v.items.length + index : index] : undefined;
}

/** A scalar at the top is stored as an array of one, and that shows. */
function rootElement(v: Jsonb, index: number): Jsonb | undefined {
  return v.type === 'array' || v.type === 'object' ? element(v, index) : index === 0 || index === -1 ? v : undefined;
}

function atPath(v: Jsonb, path: Bytes): Jsonb | undefined {
  let at: Jsonb | undefined = v;
  for (const step of pathSteps(path)) {
    if (step === null || at === undefined) return undefined;
    const index: number | undefined = at.type === 'array' ? pathIndex(step) : undefined;
    at = at.type === 'object' ? field(at, step) : index === undefined ? undefined : element(at, index);
  }
  return at;
}

type Finder<A> = (v: Jsonb, arg: A) => Jsonb | undefined;
const byKey: Finder<Bytes> = (v, key) => field(v, textToString(key));

const get =
  <A>(find: Finder<A>) =>
  (_fc: FunctionCall, json: Bytes, arg: A): Bytes | null => {
    const v = find(unpackJsonb(json), arg);
    return v ? packJsonb(v) : null;
  };

const getText =
  <A>(find: Finder<A>) =>
  (_fc: FunctionCall, json: Bytes, arg: A): Bytes | null => {
    const v = find(unpackJsonb(json), arg);
    return v ? asText(v) : null;
  };

function exists(v: Jsonb, key: string): boolean {
  if (v.type === 'object') return field(v, key) !== undefined;
  if (v.type === 'array') return v.items.some(i => i.type === 'string' && i.value === key);
  return v.type === 'string' && v.value === key;
}

const texts = (array: Bytes): string[] => pathSteps(array).filter(s => s !== null);

function concat(a: Jsonb, b: Jsonb): Jsonb {
  if (a.type === 'object' && b.type === 'object') return makeObject([...a.members, ...b.members]);
  const items = (v: Jsonb): readonly Jsonb[] => (v.type === 'array' ? v.items : [v]);
  return { type: 'array', items: [...items(a), ...items(b)] };
}

function deleteKeys(v: Jsonb, keys: readonly string[]): Jsonb {
  if (v.type === 'object') return { type: 'object', members: v.members.filter(m => !keys.includes(m.key)) };
  if (v.type === 'array')
    return { type: 'array', items: v.items.filter(i => !(i.type === 'string' && keys.includes(i.value))) };
  throw invalidParameter('cannot delete from scalar');
}

function deleteIndex(v: Jsonb, index: number): Jsonb {
  if (v.type === 'object') throw invalidParameter('cannot delete from object using integer index');
  if (v.type !== 'array') throw invalidParameter('cannot delete from scalar');
  const at = index < 0 ? v.items.length + index : index;
  return { type: 'array', items: v.items.filter((_, i) => i !== at) };
}

interface PathChange {
  readonly steps: readonly (string | null)[];
  /** undefined deletes. */
  readonly value: Jsonb | undefined;
  readonly create: boolean;
  /** jsonb_insert: make room beside the place instead of replacing. */
  readonly insert?: 'before' | 'after';
}

function change(v: Jsonb, c: PathChange, depth: number): Jsonb {
  const step = c.steps[depth];
  if (step === null) throw ereport(ERRCODE.NULL_VALUE_NOT_ALLOWED, `path element at position ${depth + 1} is null`);
  const last = depth === c.steps.length - 1;
  if (v.type === 'object') {
    const own = field(v, step);
    if (own === undefined)
      return last && c.create && c.value !== undefined ? makeObject([...v.members, { key: step, value: c.value }]) : v;
    if (last && c.value === undefined) return { type: 'object', members: v.members.filter(m => m.key !== step) };
    if (last && c.insert)
      throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, 'cannot replace existing key', {
        hint: 'Try using the function jsonb_set to replace key value.',
      });
    const next = last ? (c.value as Jsonb) : change(own, c, depth + 1);
    return { type: 'object', members: v.members.map(m => (m.key === step ? { key: step, value: next } : m)) };
  }
  if (v.type !== 'array') return v;
  const index = pathIndex(step);
  if (index === undefined)
    throw ereport(
      ERRCODE.INVALID_TEXT_REPRESENTATION,
      `path element at position ${depth + 1} is not an integer: "${step}"`,
    );
  const at = index < 0 ? v.items.length + index : index;
  const items = [...v.items];
  if (at < 0 || at >= items.length) {
    if (!last || !c.create || c.value === undefined) return v;
    if (at < 0) items.unshift(c.value);
    else items.push(c.value);
  } else if (!last) items[at] = change(items[at], c, depth + 1);
  else if (c.value === undefined) items.splice(at, 1);
  else if (c.insert) items.splice(c.insert === 'after' ? at + 1 : at, 0, c.value);
  else items[at] = c.value;
  return { type: 'array', items };
}

function changePath(json: Bytes, path: Bytes, what: Omit<PathChange, 'steps'>, verb: string): Bytes {
  const v = unpackJsonb(json);
  if (v.type !== 'array' && v.type !== 'object') throw invalidParameter(`cannot ${verb} scalar`);
  const steps = pathSteps(path);
  const empty = (v.type === 'array' ? v.items : v.members).length === 0;
  if (empty && !what.create) return json;
  return steps.length === 0 ? json : packJsonb(change(v, { ...what, steps }, 0));
}

function stripNulls(v: Jsonb): Jsonb {
  if (v.type === 'object')
    return {
      type: 'object',
      members: v.members.filter(m => m.value.type !== 'null').map(m => ({ key: m.key, value: stripNulls(m.value) })),
    };
  return v.type === 'array' ? { type: 'array', items: v.items.map(stripNulls) } : v;
}

const ARTICLES = {
  null: 'jsonb null',
  string: 'jsonb string',
  number: 'jsonb numeric',
  boolean: 'jsonb boolean',
  array: 'jsonb array',
  object: 'jsonb object',
} as const;
const cannotCast = (v: Jsonb, type: string): PgError =>
  invalidParameter(`cannot cast ${ARTICLES[v.type]} to type ${type}`);

const numberCast =
  (type: string, cast: string) =>
  (fc: FunctionCall, json: Bytes): Datum => {
    const v = unpackJsonb(json);
    if (v.type !== 'number') throw cannotCast(v, type);
    return builtin(cast)(fc, v.value);
  };

const objectOf = (members: readonly [string, string | null][]): Jsonb =>
  makeObject(members.map(([key, value]) => ({ key, value: value === null ? JSONB_NULL : { type: 'string', value } })));

class JsonbAggState extends Internal {
  readonly items: Jsonb[] = [];
  readonly members: { key: string; value: Jsonb }[] = [];
}

const hashNumeric = hashFunctions['hash_numeric'] as (fc: FunctionCall, payload: Bytes) => number;

/** A string of a document, or a name in it. */
const hashString = (text: string): number => hashBytes(stringToText(text));

/** Folds a document into a hash in the order its parts are stored (JsonbHashScalarValue, jsonb_hash). */
function hashJsonb(fc: FunctionCall, v: Jsonb, before: number): number {
  const mix = (hash: number, part: number): number => ((hash << 1) | (hash >>> 31)) ^ part;
  switch (v.type) {
    case 'null':
      return mix(before, 1);
    case 'boolean':
      return mix(before, v.value ? 2 : 4);
    case 'number':
      return mix(before, hashNumeric(fc, v.value));
    case 'string':
      return mix(before, hashString(v.value));
    case 'array':
      return v.items.reduce((hash, item) => hashJsonb(fc, item, hash), before ^ JB_FARRAY);
    case 'object':
      return v.members.reduce(
        (hash, member) => hashJsonb(fc, member.value, mix(hash, hashString(member.key))),
        before ^ JB_FOBJECT,
      );
  }
}

const JB_FOBJECT = 1 << 29;
const JB_FARRAY = 1 << 30;

const cmp =
  (test: (order: number) => boolean) =>
  (_fc: FunctionCall, a: Bytes, b: Bytes): boolean =>
    test(compareJsonb(unpackJsonb(a), unpackJsonb(b)));

/** jsonb_set, or what the last argument says of a value that is NULL. */
function setLax(
  _fc: FunctionCall,
  json: Bytes | null,
  path: Bytes | null,
  value: Bytes | null,
  create: boolean | null,
  treatment: Bytes | null,
): Bytes | null {
  if (json === null || path === null || create === null) return null;
  if (treatment === null)
    throw ereport(
      ERRCODE.INVALID_PARAMETER_VALUE,
      'null_value_treatment must be "delete_key", "return_target", "use_json_null", or "raise_exception"',
    );
  if (value !== null) return changePath(json, path, { value: unpackJsonb(value), create }, 'set path in');
  switch (textToString(treatment)) {
    case 'raise_exception':
      throw ereport(ERRCODE.NULL_VALUE_NOT_ALLOWED, 'JSON value must not be null', {
        detail: 'Exception was raised because null_value_treatment is "raise_exception".',
        hint: 'To avoid, either change the null_value_treatment argument or ensure that an SQL NULL is not passed.',
      });
    case 'return_target':
      return json;
    case 'delete_key':
      return changePath(json, path, { value: undefined, create: false }, 'delete path in');
    case 'use_json_null':
      return changePath(json, path, { value: JSONB_NULL, create }, 'set path in');
    default:
      throw ereport(
        ERRCODE.INVALID_PARAMETER_VALUE,
        'null_value_treatment must be "delete_key", "return_target", "use_json_null", or "raise_exception"',
      );
  }
}

export const jsonbFunctions: FunctionTable = {
  jsonb_in: (_fc: FunctionCall, text: Bytes) => packJsonb(parse(textToString(text))),
  jsonb_out: (_fc: FunctionCall, json: Bytes) => stringToText(formatJsonb(unpackJsonb(json))),
  jsonb_recv: (_fc: FunctionCall, bytes: Bytes) => {
    const version = new WireReader(bytes).uint8();
    if (version !== 1) throw ereport(ERRCODE.INTERNAL_ERROR, `unsupported jsonb version number ${version}`);
    return packJsonb(parse(textToString(recvText(bytes.subarray(1)))));
  },
  jsonb_send: (_fc: FunctionCall, json: Bytes) => stringToText(`\x01${formatJsonb(unpackJsonb(json))}`),
  jsonb_object_field: get(byKey),
  jsonb_object_field_text: getText(byKey),
  jsonb_array_element: get<number>(rootElement),
  jsonb_array_element_text: getText<number>(rootElement),
  jsonb_extract_path: get<Bytes>(atPath),
  jsonb_extract_path_text: getText<Bytes>(atPath),
  jsonb_typeof: (_fc: FunctionCall, json: Bytes) => stringToText(unpackJsonb(json).type),
  jsonb_array_length: (_fc: FunctionCall, json: Bytes) => {
    const v = unpackJsonb(json);
    if (v.type === 'array') return v.items.length;
    throw invalidParameter(`cannot get array length of a ${v.type === 'object' ? 'non-array' : 'scalar'}`);
  },
  jsonb_eq: cmp(o => o === 0),
  jsonb_ne: cmp(o => o !== 0),
  jsonb_lt: cmp(o => o < 0),
  jsonb_le: cmp(o => o <= 0),
  jsonb_gt: cmp(o => o > 0),
  jsonb_ge: cmp(o => o >= 0),
  jsonb_cmp: (_fc: FunctionCall, a: Bytes, b: Bytes) => compareJsonb(unpackJsonb(a), unpackJsonb(b)),
  jsonb_hash: (fc: FunctionCall, json: Bytes) => {
    const v = unpackJsonb(json);
    if ((v.type === 'array' && v.items.length === 0) || (v.type === 'object' && v.members.length === 0)) return 0;
    // A scalar at the top is stored in an array of one.
    return v.type === 'array' || v.type === 'object' ? hashJsonb(fc, v, 0) : hashJsonb(fc, v, JB_FARRAY);
  },
  jsonb_contains: (_fc: FunctionCall, a: Bytes, b: Bytes) => jsonbContains(unpackJsonb(a), unpackJsonb(b)),
  jsonb_contained: (_fc: FunctionCall, a: Bytes, b: Bytes) => jsonbContains(unpackJsonb(b), unpackJsonb(a)),
  jsonb_exists: (_fc: FunctionCall, json: Bytes, key: Bytes) => exists(unpackJsonb(json), textToString(key)),
  jsonb_exists_any: (_fc: FunctionCall, json: Bytes, keys: Bytes) =>
    texts(keys).some(k => exists(unpackJsonb(json), k)),
  jsonb_exists_all: (_fc: FunctionCall, json: Bytes, keys: Bytes) =>
    texts(keys).every(k => exists(unpackJsonb(json), k)),
  jsonb_concat: (_fc: FunctionCall, a: Bytes, b: Bytes) => packJsonb(concat(unpackJsonb(a), unpackJsonb(b))),
  jsonb_delete: (_fc: FunctionCall, json: Bytes, key: Bytes) =>
    packJsonb(deleteKeys(unpackJsonb(json), [textToString(key)])),
  jsonb_delete_array: (_fc: FunctionCall, json: Bytes, keys: Bytes) =>
    packJsonb(deleteKeys(unpackJsonb(json), texts(keys))),
  jsonb_delete_idx: (_fc: FunctionCall, json: Bytes, index: number) => packJsonb(deleteIndex(unpackJsonb(json), index)),
  jsonb_delete_path: (_fc: FunctionCall, json: Bytes, path: Bytes) =>
    changePath(json, path, { value: undefined, create: false }, 'delete path in'),
  jsonb_set: (_fc: FunctionCall, json: Bytes, path: Bytes, value: Bytes, create: boolean) =>
    changePath(json, path, { value: unpackJsonb(value), create }, 'set path in'),
  jsonb_set_lax: setLax,
  jsonb_insert: (_fc: FunctionCall, json: Bytes, path: Bytes, value: Bytes, after: boolean) =>
    changePath(
      json,
      path,
      { value: unpackJsonb(value), create: true, insert: after ? 'after' : 'before' },
      'set path in',
    ),
  jsonb_strip_nulls: (_fc: FunctionCall, json: Bytes) => packJsonb(stripNulls(unpackJsonb(json))),
  jsonb_pretty: (_fc: FunctionCall, json: Bytes) => stringToText(prettyJsonb(unpackJsonb(json))),
  to_jsonb: (fc: FunctionCall, value: Datum) => packJsonb(datumToJsonb(fc, value, fc.argTypes[0])),
  jsonb_bool: (_fc: FunctionCall, json: Bytes) => {
    const v = unpackJsonb(json);
    if (v.type !== 'boolean') throw cannotCast(v, 'boolean');
    return v.value;
  },
  jsonb_numeric: (_fc: FunctionCall, json: Bytes) => {
    const v = unpackJsonb(json);
    if (v.type !== 'number') throw cannotCast(v, 'numeric');
    return v.value.slice();
  },
  jsonb_int2: numberCast('smallint', 'numeric_int2'),
  jsonb_int4: numberCast('integer', 'numeric_int4'),
  jsonb_int8: numberCast('bigint', 'numeric_int8'),
  jsonb_float4: numberCast('real', 'numeric_float4'),
  jsonb_float8: numberCast('double precision', 'numeric_float8'),
  jsonb_build_object: (fc: FunctionCall, ...args: Datum[]) => {
    const list = anyArguments(fc, args);
    if (list === null) return null;
    if (list.length % 2 !== 0) {
      throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, 'argument list must have even number of elements', {
        hint: 'The arguments of jsonb_build_object() must consist of alternating keys and values.',
      });
    }
    const members: { key: string; value: Jsonb }[] = [];
    for (let i = 0; i < list.length; i += 2) {
      if (list[i].value === null) throw invalidParameter(`argument ${i + 1}: key must not be null`);
      members.push({
        key: jsonKey(fc, list[i].value, list[i].type, i + 1),
        value: datumToJsonb(fc, list[i + 1].value, list[i + 1].type),
      });
    }
    return packJsonb(makeObject(members));
  },
  jsonb_build_object_noargs: () => packJsonb(makeObject([])),
  jsonb_build_array: (fc: FunctionCall, ...args: Datum[]) => {
    const list = anyArguments(fc, args);
    return list === null ? null : packJsonb({ type: 'array', items: list.map(a => datumToJsonb(fc, a.value, a.type)) });
  },
  jsonb_object: (_fc: FunctionCall, array: Bytes) => packJsonb(objectOf(textPairs(array))),
  jsonb_object_two_arg: (_fc: FunctionCall, keys: Bytes, values: Bytes) => packJsonb(objectOf(textPairs(keys, values))),
  jsonb_build_array_noargs: () => packJsonb({ type: 'array', items: [] }),
  jsonb_agg_transfn: (fc: FunctionCall, state: JsonbAggState | null, value: Datum) => {
    state ??= new JsonbAggState();
    state.items.push(value === null ? JSONB_NULL : datumToJsonb(fc, value, fc.argTypes[1]));
    return state;
  },
  jsonb_agg_finalfn: (_fc: FunctionCall, state: JsonbAggState | null) =>
    state === null ? null : packJsonb({ type: 'array', items: state.items }),
  jsonb_object_agg_transfn: (fc: FunctionCall, state: JsonbAggState | null, key: Datum, value: Datum) => {
    state ??= new JsonbAggState();
    state.members.push({ key: jsonKey(fc, key, fc.argTypes[1]), value: datumToJsonb(fc, value, fc.argTypes[2]) });
    return state;
  },
  jsonb_object_agg_finalfn: (_fc: FunctionCall, state: JsonbAggState | null) =>
    state === null ? null : packJsonb(makeObject(state.members)),
};

export const jsonbSlicedFunctions: SlicedFunctionTable = {
  jsonb_agg_finalfn: (_fc: FunctionCall, state: JsonbAggState | null) =>
    state !== null && isLargeJsonb(state.items.length) ? packLargeArray(state.items) : undefined,
  jsonb_object_agg_finalfn: (_fc: FunctionCall, state: JsonbAggState | null) =>
    state !== null && isLargeJsonb(state.members.length) ? packLargeObject(state.members) : undefined,
};

function* each(json: Bytes, text: boolean, name: string): Generator<Datum[]> {
  const members = new ContainerReader(json);
  if (!members.isObject) throw invalidParameter(`cannot call ${name} on a non-object`);
  for (const key of members.keys()) {
    const value = members.next();
    yield [stringToText(key), text ? asText(value) : packJsonb(value)];
  }
}

function* elements(json: Bytes, text: boolean): Generator<Datum> {
  const items = new ContainerReader(json);
  if (items.isScalar) throw invalidParameter('cannot extract elements from a scalar');
  if (items.isObject) throw invalidParameter('cannot extract elements from an object');
  for (let n = items.count; n > 0; n--) {
    const item = items.next();
    yield text ? asText(item) : packJsonb(item);
  }
}

export const jsonbSetFunctions: SetFunctionTable = {
  jsonb_each: (_fc: FunctionCall, json: Bytes) => each(json, false, 'jsonb_each'),
  jsonb_each_text: (_fc: FunctionCall, json: Bytes) => each(json, true, 'jsonb_each_text'),
  jsonb_array_elements: (_fc: FunctionCall, json: Bytes) => elements(json, false),
  jsonb_array_elements_text: (_fc: FunctionCall, json: Bytes) => elements(json, true),
  jsonb_object_keys: (_fc: FunctionCall, json: Bytes) => {
    const v = unpackJsonb(json);
    if (v.type !== 'object')
      throw invalidParameter(`cannot call jsonb_object_keys on ${v.type === 'array' ? 'an array' : 'a scalar'}`);
    return v.members.map(m => stringToText(m.key));
  },
};
