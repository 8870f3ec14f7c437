/**
 * Rows out of JSON: json(b)_to_record(set) by the columns that the query says, json(b)_populate_record(set) by a row type, the fields
 * of a row standing in for keys that are missing. jsonb is read by its text.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported, type PgError } from '@pgtroupe/common/ereport';
import { JSONBOID, JSONOID, RECORDOID } from '@pgtroupe/common/oids';
import type { Datum } from '@pgtroupe/common/datum';
import type { Oid } from '@pgtroupe/common/ids';
import type { FunctionCall, SetFunctionTable, SetValue } from './fmgr.ts';
import { constructArray, emptyArray } from './arrayutils.ts';
import { baseType, inputFunction, typeFacts } from './cache/typcache.ts';
import { type JsonNode, parseJson } from './jsonapi.ts';
import { formatJsonb, unpackJsonb } from './jsonb_util.ts';
import { stringToText, textToString } from './mb/mbutils.ts';
import { formRecord, type RecordColumn, recordColumns, recordFields } from './rowtypes.ts';

type Bytes = Uint8Array;
type Field = Pick<RecordColumn, 'name' | 'type' | 'typmod' | 'dropped'>;

/** A text and one place in it. */
interface Source {
  readonly fc: FunctionCall;
  readonly text: string;
}

/** How the value was reached, for what is told of arrays. */
interface Place {
  readonly key: string;
  readonly subscripts: readonly number[];
}

function readField(source: Source, node: JsonNode, type: Oid, typmod: number, place: Place): Datum {
  const { fc, text } = source;
  const facts = typeFacts(fc, type);
  if (facts.typtype === 'd') throw notSupported('a domain as the type of a value in JSON');
  if (node.type === 'null') return null;
  // A text is read by the type's input function, whatever the type.
  if (node.type !== 'string') {
    if (facts.isArray) return readArray(source, node, facts.typelem, typmod, place);
    if (facts.typtype === 'c') return readRow(source, node, type);
  }
  const own = text.slice(node.start, node.end);
  const isJson = type === JSONOID || type === JSONBOID;
  return inputFunction(fc, type)(stringToText(node.type === 'string' && !isJson ? node.value : own), typmod);
}

function readRow({ fc, text }: Source, node: JsonNode, type: Oid): Bytes {
  const columns = recordColumns(fc, type, -1);
  return formRecord(fc, type, -1, columns, readColumns({ fc, text }, node, columns, 'populate_composite'));
}

/** Values of columns; `base`: what a missing key leaves. */
function readColumns(
  source: Source,
  node: JsonNode,
  columns: readonly Field[],
  name: string,
  base?: ReadonlyMap<string, Datum>,
): Datum[] {
  if (node.type !== 'object')
    throw ereport(
      ERRCODE.INVALID_PARAMETER_VALUE,
      `cannot call ${name} on ${node.type === 'array' ? 'an array' : 'a scalar'}`,
    );
  // Of equal keys the last counts.
  const members = new Map(node.members.map(({ key, value }) => [key, value]));
  return columns.map(column => {
    if (column.dropped) return null;
    const value = members.get(column.name);
    if (value === undefined) return base?.get(column.name) ?? null;
    return readField(source, value, column.type, column.typmod, { key: column.name, subscripts: [] });
  });
}

function expectedArray({ key, subscripts }: Place): PgError {
  const element = subscripts.map(i => `[${i}]`).join('');
  return ereport(ERRCODE.INVALID_TEXT_REPRESENTATION, 'expected JSON array', {
    hint: element === '' ? `See the value of key "${key}".` : `See the array element ${element} of key "${key}".`,
  });
}

/** An array has as many dimensions as its first element is deep. */
function readArray(source: Source, node: JsonNode, elem: Oid, typmod: number, place: Place): Bytes {
  if (node.type !== 'array') throw expectedArray(place);
  const dims: number[] = [];
  for (let at: JsonNode | undefined = node; at?.type === 'array'; at = at.items[0]) dims.push(at.items.length);
  const values: Datum[] = [];
  const read = (part: JsonNode, depth: number, subscripts: readonly number[]): void => {
    if (depth === dims.length) {
      values.push(readField(source, part, elem, typmod, { key: place.key, subscripts }));
      return;
    }
    if (part.type !== 'array') throw expectedArray({ key: place.key, subscripts });
    if (part.items.length !== dims[depth])
      throw ereport(ERRCODE.INVALID_TEXT_REPRESENTATION, 'malformed JSON array', {
        detail: 'Multidimensional arrays must have sub-arrays with matching dimensions.',
      });
    part.items.forEach((item, i) => read(item, depth + 1, [...subscripts, i]));
  };
  read(node, 0, []);
  if (values.length === 0) return emptyArray(elem);
  const lbounds = dims.map(() => 1);
  return constructArray(values, typeFacts(source.fc, elem), dims, lbounds);
}

type Name = `json${'' | 'b'}_${'to' | 'populate'}_record${'' | 'set'}`;

const parse = (fc: FunctionCall, json: Bytes, binary: boolean): { source: Source; node: JsonNode } => {
  const text = binary ? formatJsonb(unpackJsonb(json)) : textToString(json);
  return { source: { fc, text }, node: parseJson(text, true) };
};

/** The columns of the answer and what the given row holds of them. */
function target(fc: FunctionCall, name: Name, row: Datum): { columns: readonly Field[]; base: Map<string, Datum> } {
  const type = baseType(fc, fc.resultType);
  const anonymous = type.oid === RECORDOID;
  if (!anonymous && type.typtype !== 'c') {
    throw ereport(ERRCODE.DATATYPE_MISMATCH, `first argument of ${name} must be a row type`);
  }
  if (type.oid !== fc.resultType) throw notSupported(`${name} for a domain`);
  const fields = row === null ? [] : recordFields(fc, row as Bytes);
  const columns = anonymous ? fc.columns : recordColumns(fc, type.oid, -1);
  if (columns === undefined) {
    if (row !== null) throw notSupported(`${name} for a row without a type`);
    throw ereport(ERRCODE.FEATURE_NOT_SUPPORTED, `could not determine row type for result of ${name}`, {
      hint: 'Provide a non-null record argument, or call the function in the FROM clause using a column definition list.',
    });
  }
  return { columns, base: new Map(fields.map((field, i) => [columns[i]?.name ?? field.name, field.value])) };
}

function toRow(name: Name, fc: FunctionCall, row: Datum, json: Bytes | null): SetValue[] {
  const { columns, base } = target(fc, name, row);
  if (json === null) return [row === null ? null : columns.map(column => base.get(column.name) ?? null)];
  const { source, node } = parse(fc, json, name.startsWith('jsonb'));
  return [readColumns(source, node, columns, 'populate_composite', base)];
}

function* toRows(name: Name, fc: FunctionCall, row: Datum, json: Bytes | null): Generator<Datum[]> {
  const binary = name.startsWith('jsonb');
  const { columns, base } = target(fc, name, row);
  if (json === null) return;
  const { source, node } = parse(fc, json, binary);
  if (node.type !== 'array') {
    const what = binary ? 'a non-array' : node.type === 'object' ? 'an object' : 'a scalar';
    throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `cannot call ${name} on ${what}`);
  }
  for (const item of node.items) {
    if (item.type !== 'object')
      throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `argument of ${name} must be an array of objects`);
    yield readColumns(source, item, columns, name, base);
  }
}

const populating =
  (make: typeof toRow | typeof toRows, name: Name) =>
  (fc: FunctionCall, row: Datum, json: Bytes | null): Iterable<SetValue> =>
    make(name, fc, row, json);
const saying =
  (make: typeof toRow | typeof toRows, name: Name) =>
  (fc: FunctionCall, json: Bytes): Iterable<SetValue> =>
    make(name, fc, null, json);

export const jsonPopulateSetFunctions: SetFunctionTable = {
  json_populate_record: populating(toRow, 'json_populate_record'),
  json_populate_recordset: populating(toRows, 'json_populate_recordset'),
  json_to_record: saying(toRow, 'json_to_record'),
  json_to_recordset: saying(toRows, 'json_to_recordset'),
  jsonb_populate_record: populating(toRow, 'jsonb_populate_record'),
  jsonb_populate_recordset: populating(toRows, 'jsonb_populate_recordset'),
  jsonb_to_record: saying(toRow, 'jsonb_to_record'),
  jsonb_to_recordset: saying(toRows, 'jsonb_to_recordset'),
};
