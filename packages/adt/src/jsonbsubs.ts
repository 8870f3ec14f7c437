/**
 * jsonb subscripts: `j['a'][0]` read, and assigned. Assigning makes what the path lacks: objects for names, arrays for
 * numbers, nulls before a new element.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';
import { pathIndex } from './json.ts';
import { type Jsonb, JSONB_NULL, makeObject, packJsonb, unpackJsonb } from './jsonb_util.ts';

type Bytes = Uint8Array;

/** What PostgreSQL has room for, and what is made here at once. */
const MAX_ELEMENTS = 44_739_242;
const MAX_NEW_ELEMENTS = 5_000_000;

export function jsonbGetElement(json: Bytes, path: readonly string[]): Bytes | null {
  let at: Jsonb | undefined = unpackJsonb(json);
  for (const step of path) {
    if (at?.type === 'object') at = memberOf(at.members, step);
    else if (at?.type === 'array') at = elementOf(at.items, pathIndex(step));
    else return null;
  }
  return at === undefined ? null : packJsonb(at);
}

/** `json` null: an array is made where the first subscript is a number, else an object. */
export function jsonbSetElement(
  json: Bytes | null,
  path: readonly string[],
  expectArray: boolean,
  value: Bytes | null,
): Bytes {
  const empty: Jsonb = expectArray ? { type: 'array', items: [] } : { type: 'object', members: [] };
  const root = json === null ? empty : unpackJsonb(json);
  return packJsonb(setAt(root, path, 0, value === null ? JSONB_NULL : unpackJsonb(value)));
}

const memberOf = (members: readonly { key: string; value: Jsonb }[], key: string): Jsonb | undefined =>
  members.find(m => m.key === key)?.value;

const elementOf = (items: readonly Jsonb[], index: number | undefined): Jsonb | undefined =>
  index === undefined ? undefined : items[index < 0 ? items.length + index : index];

function setAt(v: Jsonb, path: readonly string[], level: number, value: Jsonb): Jsonb {
  if (level === path.length) return value;
  const step = path[level]!;
  if (v.type === 'object') {
    const own = memberOf(v.members, step);
    const next = own === undefined ? made(path, level + 1, value) : setAt(own, path, level + 1, value);
    return makeObject([...v.members.filter(m => m.key !== step), { key: step, value: next }]);
  }
  if (v.type === 'array') {
    const index = pathIndex(step);
    if (index === undefined)
      throw ereport(
        ERRCODE.INVALID_TEXT_REPRESENTATION,
        `path element at position ${level + 1} is not an integer: "${step}"`,
      );
    if (-index > v.items.length)
      throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `path element at position ${level + 1} is out of range: ${index}`);
    const at = index < 0 ? v.items.length + index : index;
    const items = [...v.items, ...nulls(at - v.items.length)];
    items[at] = at < v.items.length ? setAt(items[at]!, path, level + 1, value) : made(path, level + 1, value);
    return { type: 'array', items };
  }
  throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, 'cannot replace existing key', {
    detail: 'The path assumes key is a composite object, but it is a scalar value.',
  });
}

/** The rest of a path of which there is nothing yet. */
function made(path: readonly string[], level: number, value: Jsonb): Jsonb {
  let whole = value;
  for (let i = path.length - 1; i >= level; i--) {
    const index = pathIndex(path[i]!);
    whole =
      index === undefined
        ? { type: 'object', members: [{ key: path[i]!, value: whole }] }
        : { type: 'array', items: [...nulls(index), whole] };
  }
  return whole;
}

function nulls(count: number): Jsonb[] {
  if (count >= MAX_ELEMENTS) throw tooManyElements();
  if (count > MAX_NEW_ELEMENTS) throw ereport(ERRCODE.OUT_OF_MEMORY, 'out of memory');
  return new Array<Jsonb>(Math.max(0, count)).fill(JSONB_NULL);
}

const tooManyElements = (): PgError =>
  ereport(
    ERRCODE.PROGRAM_LIMIT_EXCEEDED,
    `number of jsonb array elements exceeds the maximum allowed (${MAX_ELEMENTS})`,
  );
