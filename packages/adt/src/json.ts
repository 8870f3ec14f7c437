/**
 * Type json, and to_json() & co: making JSON of SQL values. json keeps its text as it was given.
 */
import { JSONBOID, JSONOID, RECORDOID } from '@pgtroupe/common/oids';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import { type Datum, Internal } from '@pgtroupe/common/datum';
import type { Oid } from '@pgtroupe/common/ids';
import { builtinTypes } from './cache/builtin_types.ts';
import { baseType, outputFunction, typeFacts } from './cache/typcache.ts';
import type { FunctionCall, FunctionTable, SetFunctionTable, SlicedFunctionTable } from './fmgr.ts';
import { ByteBuilder } from './mb/bytebuilder.ts';
import { stringToText, textToString } from './mb/mbutils.ts';
import { arrayHeader, arrayElemType, deconstructArray } from './arrayutils.ts';
import { escapeJson, type JsonNode, parseJson } from './jsonapi.ts';
import type { Timestamp } from './calendar.ts';
import { formatDate } from './date.ts';
import { recordFields } from './rowtypes.ts';
import { formatTimestamp, formatTimestampTz } from './timestamp.ts';
import { recvText } from './varlena.ts';

type Bytes = Uint8Array;

/** JSON text of a SQL value; composites and arrays nest. */
export function datumToJson(fc: FunctionCall, value: Datum, typeOid: Oid, pretty = false): string {
  if (value === null) return 'null';
  const type = baseType(fc, typeOid);
  switch (type.oid as number) {
    case 16:
      return value ? 'true' : 'false';
    case 20:
    case 21:
    case 23:
    case 700:
    case 701:
    case 1700: {
      const text = textToString(outputFunction(fc, type.oid)(value));
      // NaN and infinities are no JSON numbers.
      return /^-?\d/.test(text) ? text : escapeJson(text);
    }
    case JSONOID:
    case JSONBOID:
      return textToString(outputFunction(fc, type.oid)(value));
    default:
      break;
  }
  const time = dateTimeText(fc, value, type.oid);
  if (time !== undefined) return escapeJson(time);
  if (type.isArray) return arrayToJson(fc, value as Bytes, pretty);
  if (type.typtype === 'c' || (type.oid as number) === RECORDOID) return recordToJson(fc, value as Bytes, pretty);
  return escapeJson(textToString(outputFunction(fc, type.oid)(value)));
}

/** ISO 8601 in the XML Schema form: a T between date and time. */
const xsdDateTime = (iso: string): string => iso.replace(' ', 'T');

/** Dates and timestamps, as values and as keys, do not depend on DateStyle; undefined for other types. */
function dateTimeText(fc: FunctionCall, value: Datum, type: Oid): string | undefined {
  switch (type as number) {
    case 1082:
      return formatDate(fc.settings, value as number, 'ISO');
    case 1114:
      return xsdDateTime(formatTimestamp(fc.settings, value as Timestamp, 'ISO'));
    case 1184:
      // Minutes are always there in the offset.
      return xsdDateTime(formatTimestampTz(fc.settings, value as Timestamp, 'ISO')).replace(
        /([+-]\d\d)( BC)?$/,
        '$1:00$2',
      );
    default:
      return undefined;
  }
}

function arrayToJson(fc: FunctionCall, array: Bytes, pretty: boolean): string {
  const header = arrayHeader(array);
  if (header.nitems === 0) return '[]';
  const elem = arrayElemType(array);
  const values = deconstructArray(array, typeFacts(fc, elem), header);
  let next = 0;
  const level = (depth: number): string => {
    const parts: string[] = [];
    for (let i = 0; i < header.dims[depth]; i++)
      parts.push(depth + 1 < header.ndim ? level(depth + 1) : datumToJson(fc, values[next++], elem));
    return `[${parts.join(pretty && depth === 0 ? ',\n ' : ',')}]`;
  };
  return level(0);
}

function recordToJson(fc: FunctionCall, record: Bytes, pretty: boolean): string {
  const parts = recordFields(fc, record).map(f => `${escapeJson(f.name)}:${datumToJson(fc, f.value, f.type)}`);
  return `{${parts.join(pretty ? ',\n ' : ',')}}`;
}

/** An object's key: any scalar, never null. */
export function jsonKey(fc: FunctionCall, value: Datum, type: Oid, position?: number): string {
  if (value === null) {
    if (position === undefined) throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, 'field name must not be null');
    throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `argument ${position} cannot be null`, {
      hint: 'Object keys should be text.',
    });
  }
  const facts = baseType(fc, type);
  if (facts.isArray || facts.typtype === 'c' || [JSONOID, JSONBOID, RECORDOID].includes(facts.oid)) {
    throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, 'key value must be scalar, not array, composite, or json');
  }
  if ((facts.oid as number) === 16) return value ? 'true' : 'false';
  return dateTimeText(fc, value, facts.oid) ?? textToString(outputFunction(fc, facts.oid)(value));
}

/** Arguments of a VARIADIC "any" function, with their types. */
export function anyArguments(fc: FunctionCall, args: readonly Datum[]): { value: Datum; type: Oid }[] | null {
  if (!fc.variadic) return args.map((value, i) => ({ value, type: fc.argTypes[i] }));
  if (args[0] === null) return null;
  const array = args[0] as Bytes;
  const elem = arrayElemType(array);
  return deconstructArray(array, typeFacts(fc, elem)).map(value => ({ value, type: elem }));
}

function buildObject(fc: FunctionCall, ...args: Datum[]): Bytes | null {
  const list = anyArguments(fc, args);
  if (list === null) return null;
  if (list.length % 2 !== 0) {
    throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, 'argument list must have even number of elements', {
      hint: 'The arguments of json_build_object() must consist of alternating keys and values.',
    });
  }
  const parts: string[] = [];
  for (let i = 0; i < list.length; i += 2) {
    parts.push(
      `${escapeJson(jsonKey(fc, list[i].value, list[i].type, i + 1))} : ${datumToJson(fc, list[i + 1].value, list[i + 1].type)}`,
    );
  }
  return stringToText(`{${parts.join(', ')}}`);
}

function buildArrayText(fc: FunctionCall, ...args: Datum[]): Bytes | null {
  const list = anyArguments(fc, args);
  return list === null ? null : stringToText(`[${list.map(a => datumToJson(fc, a.value, a.type)).join(', ')}]`);
}

/** Keys and values of json_object(): one array of both in turn, or of pairs; or an array of each. */
export function textPairs(keys: Bytes, values?: Bytes): [string, string | null][] {
  const subscript = (message: string): Error => ereport(ERRCODE.ARRAY_SUBSCRIPT_ERROR, message);
  const header = arrayHeader(keys);
  const list = pathSteps(keys);
  if (values !== undefined) {
    const other = pathSteps(values);
    if (header.ndim > 1 || arrayHeader(values).ndim !== header.ndim)
      throw subscript('wrong number of array subscripts');
    if (list.length !== other.length) throw subscript('mismatched array dimensions');
    return list.map((key, i) => [notNull(key), other[i]]);
  }
  if (header.ndim === 1 && list.length % 2 !== 0) throw subscript('array must have even number of elements');
  if (header.ndim === 2 && header.dims[1] !== 2) throw subscript('array must have two columns');
  if (header.ndim > 2) throw subscript('wrong number of array subscripts');
  return list.filter((_, i) => i % 2 === 0).map((key, i) => [notNull(key), list[i * 2 + 1]]);
}

function notNull(key: string | null): string {
  if (key === null) throw ereport(ERRCODE.NULL_VALUE_NOT_ALLOWED, 'null value not allowed for object key');
  return key;
}

const objectText = (members: readonly [string, string | null][]): string =>
  `{${members.map(([key, value]) => `${escapeJson(key)} : ${value === null ? 'null' : escapeJson(value)}`).join(', ')}}`;

/** json_agg and json_object_agg: the text grows. */
class JsonAggState extends Internal {
  readonly text = new ByteBuilder();
  #empty = true;

  constructor(opening: string) {
    super();
    this.text.append(stringToText(opening));
  }

  get empty(): boolean {
    return this.#empty;
  }

  add(part: string): void {
    this.text.append(stringToText(this.#empty ? part : `, ${part}`));
    this.#empty = false;
  }
}

const CLOSING_BRACKET = stringToText(']');
const CLOSING_BRACE = stringToText(' }');

export const jsonSlicedFunctions: SlicedFunctionTable = {
  json_agg_finalfn: (_fc: FunctionCall, state: JsonAggState | null) => state?.text.toLargeBytes(CLOSING_BRACKET),
  json_object_agg_finalfn: (_fc: FunctionCall, state: JsonAggState | null) => state?.text.toLargeBytes(CLOSING_BRACE),
};

const parse = (bytes: Bytes, decode = true): JsonNode => parseJson(textToString(bytes), decode);

/** The text a node stood in. */
const sliceOf = (source: string, node: JsonNode): Bytes => stringToText(source.slice(node.start, node.end));

/** As ->> shows it: strings bare, null as SQL null. */
function asText(source: string, node: JsonNode): Bytes | null {
  if (node.type === 'null') return null;
  return node.type === 'string' ? stringToText(node.value) : sliceOf(source, node);
}

function field(node: JsonNode, key: string): JsonNode | undefined {
  if (node.type !== 'object') return undefined;
  // Of equal keys the last counts.
  for (let i = node.members.length - 1; i >= 0; i--) if (node.members[i].key === key) return node.members[i].value;
  return undefined;
}

function element(node: JsonNode, index: number): JsonNode | undefined {
  return node.type === 'array' ? node.items[index < 0 ? node.items.length + index : index] : undefined;
}

/** Integer subscript of a path step; undefined when it is none. */
export function pathIndex(step: string): number | undefined {
  return /^\s*[+-]?\d+$/.test(step) && Math.abs(Number(step)) <= 0x7fffffff ? Number(step) : undefined;
}

export function pathSteps(path: Bytes): (string | null)[] {
  return deconstructArray(path, builtinTypes().get(25)!).map(s => (s === null ? null : textToString(s as Bytes)));
}

function atPath(node: JsonNode, path: Bytes): JsonNode | undefined {
  let at: JsonNode | undefined = node;
  for (const step of pathSteps(path)) {
    if (step === null || at === undefined) return undefined;
    if (at.type === 'object') at = field(at, step);
    else {
      const index = pathIndex(step);
      at = index === undefined ? undefined : element(at, index);
    }
  }
  return at;
}

type Finder<A> = (node: JsonNode, arg: A) => JsonNode | undefined;

const getJson =
  <A>(find: Finder<A>) =>
  (_fc: FunctionCall, json: Bytes, arg: A): Bytes | null => {
    const source = textToString(json);
    const node = find(parseJson(source, true), arg);
    return node ? sliceOf(source, node) : null;
  };

const getText =
  <A>(find: Finder<A>) =>
  (_fc: FunctionCall, json: Bytes, arg: A): Bytes | null => {
    const source = textToString(json);
    const node = find(parseJson(source, true), arg);
    return node ? asText(source, node) : null;
  };

const byKey: Finder<Bytes> = (node, key) => field(node, textToString(key));

const wrongType = (message: string): Error => ereport(ERRCODE.INVALID_PARAMETER_VALUE, message);

function stripNulls(source: string, node: JsonNode): string {
  if (node.type === 'object') {
    return `{${node.members
      .filter(m => m.value.type !== 'null')
      .map(m => `${escapeJson(m.key)}:${stripNulls(source, m.value)}`)
      .join(',')}}`;
  }
  if (node.type === 'array') return `[${node.items.map(i => stripNulls(source, i)).join(',')}]`;
  return node.type === 'string' ? escapeJson(node.value) : source.slice(node.start, node.end);
}

export const jsonFunctions: FunctionTable = {
  json_in: (_fc: FunctionCall, text: Bytes) => {
    parseJson(textToString(text), false);
    return text;
  },
  json_out: (_fc: FunctionCall, json: Bytes) => json,
  json_recv: (_fc: FunctionCall, bytes: Bytes) => {
    parseJson(textToString(recvText(bytes)), false);
    return bytes;
  },
  json_send: (_fc: FunctionCall, json: Bytes) => json,
  json_object_field: getJson(byKey),
  json_object_field_text: getText(byKey),
  json_array_element: getJson<number>(element),
  json_array_element_text: getText<number>(element),
  json_extract_path: getJson<Bytes>(atPath),
  json_extract_path_text: getText<Bytes>(atPath),
  json_typeof: (_fc: FunctionCall, json: Bytes) => stringToText(parse(json, false).type),
  json_array_length: (_fc: FunctionCall, json: Bytes) => {
    const node = parse(json, false);
    if (node.type === 'array') return node.items.length;
    throw wrongType(`cannot get array length of a ${node.type === 'object' ? 'non-array' : 'scalar'}`);
  },
  json_strip_nulls: (_fc: FunctionCall, json: Bytes) => stringToText(stripNulls(textToString(json), parse(json))),
  to_json: (fc: FunctionCall, value: Datum) => stringToText(datumToJson(fc, value, fc.argTypes[0])),
  array_to_json: (fc: FunctionCall, array: Bytes) => stringToText(arrayToJson(fc, array, false)),
  array_to_json_pretty: (fc: FunctionCall, array: Bytes, pretty: boolean) =>
    stringToText(arrayToJson(fc, array, pretty)),
  row_to_json: (fc: FunctionCall, record: Bytes) => stringToText(recordToJson(fc, record, false)),
  row_to_json_pretty: (fc: FunctionCall, record: Bytes, pretty: boolean) =>
    stringToText(recordToJson(fc, record, pretty)),
  json_build_object: buildObject,
  json_build_object_noargs: () => stringToText('{}'),
  json_build_array: buildArrayText,
  json_object: (_fc: FunctionCall, array: Bytes) => stringToText(objectText(textPairs(array))),
  json_object_two_arg: (_fc: FunctionCall, keys: Bytes, values: Bytes) =>
    stringToText(objectText(textPairs(keys, values))),
  json_build_array_noargs: () => stringToText('[]'),
  json_agg_transfn: (fc: FunctionCall, state: JsonAggState | null, value: Datum) => {
    state ??= new JsonAggState('[');
    // Composites and arrays begin a line of their own.
    const type = baseType(fc, fc.argTypes[1]);
    const json = datumToJson(fc, value, fc.argTypes[1]);
    const own =
      !state.empty && value !== null && (type.isArray || type.typtype === 'c' || (type.oid as number) === RECORDOID);
    state.add(own ? `\n ${json}` : json);
    return state;
  },
  json_agg_finalfn: (_fc: FunctionCall, state: JsonAggState | null) => state?.text.toBytes(CLOSING_BRACKET) ?? null,
  json_object_agg_transfn: (fc: FunctionCall, state: JsonAggState | null, key: Datum, value: Datum) => {
    state ??= new JsonAggState('{ ');
    state.add(`${escapeJson(jsonKey(fc, key, fc.argTypes[1]))} : ${datumToJson(fc, value, fc.argTypes[2])}`);
    return state;
  },
  json_object_agg_finalfn: (_fc: FunctionCall, state: JsonAggState | null) =>
    state?.text.toBytes(CLOSING_BRACE) ?? null,
};

function* each(json: Bytes, text: boolean): Generator<Datum[]> {
  const source = textToString(json);
  const node = parseJson(source, true);
  if (node.type !== 'object')
    throw wrongType(node.type === 'array' ? `cannot deconstruct an array as an object` : `cannot deconstruct a scalar`);
  for (const m of node.members) yield [stringToText(m.key), text ? asText(source, m.value) : sliceOf(source, m.value)];
}

function* elements(json: Bytes, text: boolean, name: string): Generator<Datum> {
  const source = textToString(json);
  const node = parseJson(source, text);
  if (node.type !== 'array')
    throw wrongType(node.type === 'object' ? `cannot call ${name} on a non-array` : `cannot call ${name} on a scalar`);
  for (const item of node.items) yield text ? asText(source, item) : sliceOf(source, item);
}

export const jsonSetFunctions: SetFunctionTable = {
  json_each: (_fc: FunctionCall, json: Bytes) => each(json, false),
  json_each_text: (_fc: FunctionCall, json: Bytes) => each(json, true),
  json_array_elements: (_fc: FunctionCall, json: Bytes) => elements(json, false, 'json_array_elements'),
  json_array_elements_text: (_fc: FunctionCall, json: Bytes) => elements(json, true, 'json_array_elements_text'),
  json_object_keys: (_fc: FunctionCall, json: Bytes) => {
    const node = parse(json);
    if (node.type !== 'object')
      throw wrongType(`cannot call json_object_keys on ${node.type === 'array' ? 'an array' : 'a scalar'}`);
    return node.members.map(m => stringToText(m.key));
  },
};
