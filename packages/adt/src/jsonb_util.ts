/**
 * jsonb's payload and its values in memory.
 *
 *   container  uint32 header: count, JB_FSCALAR 1<<28, JB_FOBJECT 1<<29, JB_FARRAY 1<<30
 *              JEntry per element (objects: all keys, then all values), then their data
 *   JEntry     uint32: bits 0-27 length, or where the data ends when JENTRY_HAS_OFF (1<<31) is set,
 *              as in every 32nd; bits 28-30 type: string 0, numeric 1, false 2, true 3, null 4,
 *              container 5
 * Numerics (with their varlena header) and containers are aligned to four bytes; the padding counts
 * to the entry. A scalar at the top is an array of one with JB_FSCALAR. Object keys are distinct
 * and ordered by length, then bytes.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';
import { type Slices, sortInSlices } from '@pgtroupe/common/slices';
import { compareBytes, stringToText, textToString } from './mb/mbutils.ts';
import { escapeJson, type JsonNode } from './jsonapi.ts';
import { formatNumeric, parseNumeric } from './numericio.ts';
import { compareNumeric } from './numericvar.ts';
import { viewOf } from './pqwire.ts';

export type Jsonb =
  | { readonly type: 'null' }
  | { readonly type: 'boolean'; readonly value: boolean }
  | { readonly type: 'number'; readonly value: Uint8Array }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'array'; readonly items: readonly Jsonb[] }
  | { readonly type: 'object'; readonly members: readonly JsonbMember[] };

export interface JsonbMember {
  readonly key: string;
  readonly value: Jsonb;
}

export const JSONB_NULL: Jsonb = { type: 'null' };

/** A member beside its key as it is stored. */
interface KeyedMember {
  readonly member: JsonbMember;
  readonly key: Uint8Array;
}

function compareKeys(a: Uint8Array, b: Uint8Array): number {
  return a.length !== b.length ? a.length - b.length : compareBytes(a, b);
}

/** Sorted, of equal keys the last. */
export function makeObject(members: readonly JsonbMember[]): Jsonb {
  const last = new Map<string, KeyedMember>(members.map(m => [m.key, { member: m, key: stringToText(m.key) }]));
  const sorted = [...last.values()].sort((a, b) => compareKeys(a.key, b.key));
  return { type: 'object', members: sorted.map(({ member }) => member) };
}

export function fromJson(node: JsonNode): Jsonb {
  switch (node.type) {
    case 'null':
      return JSONB_NULL;
    case 'boolean':
      return { type: 'boolean', value: node.value };
    case 'string':
      return { type: 'string', value: node.value };
    case 'number':
      return { type: 'number', value: parseNumeric(stringToText(node.text), -1) };
    case 'array':
      return { type: 'array', items: node.items.map(fromJson) };
    case 'object':
      return makeObject(node.members.map(m => ({ key: m.key, value: fromJson(m.value) })));
  }
}

const JB_FSCALAR = 0x10000000;
const JB_FOBJECT = 0x20000000;
const JB_FARRAY = 0x40000000;
const JB_CMASK = 0x0fffffff;
const JENTRY_HAS_OFF = 0x80000000;
const JENTRY_OFFLENMASK = 0x0fffffff;
const STRIDE = 32;
const LARGE_JSONB_VALUES = 1000;
const TYPE = { string: 0, numeric: 1, false: 2, true: 3, null: 4, container: 5 } as const;

class Writer {
  private bytes = new Uint8Array(256);
  length = 0;

  private room(n: number): void {
    if (this.length + n <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(this.bytes.length * 2, this.length + n));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }

  reserve(n: number): number {
    this.room(n);
    const at = this.length;
    this.bytes.fill(0, at, at + n);
    this.length += n;
    return at;
  }

  append(part: Uint8Array): void {
    this.room(part.length);
    this.bytes.set(part, this.length);
    this.length += part.length;
  }

  align(): void {
    this.reserve(-this.length & 3);
  }

  setUint32(at: number, value: number): void {
    viewOf(this.bytes).setUint32(at, value >>> 0, true);
  }

  result(): Uint8Array {
    return this.bytes.slice(0, this.length);
  }
}

/** Appends a value's data; answers its entry's type. */
function writeValue(w: Writer, v: Jsonb): number {
  switch (v.type) {
    case 'null':
      return TYPE.null;
    case 'boolean':
      return v.value ? TYPE.true : TYPE.false;
    case 'string': {
      const text = stringToText(v.value);
      if (text.length > JENTRY_OFFLENMASK) throw stringTooLong();
      w.append(text);
      return TYPE.string;
    }
    case 'number': {
      w.align();
      const at = w.reserve(4);
      w.setUint32(at, (v.value.length + 4) << 2);
      w.append(v.value);
      return TYPE.numeric;
    }
    case 'array':
      writeContainer(w, JB_FARRAY | v.items.length, v.items);
      return TYPE.container;
    case 'object':
      writeContainer(w, JB_FOBJECT | v.members.length, [
        ...v.members.map((m): Jsonb => ({ type: 'string', value: m.key })),
        ...v.members.map(m => m.value),
      ]);
      return TYPE.container;
  }
}

/** A container being written: its header and room for its entries are there. */
class ContainerWriter {
  readonly #w: Writer;
  readonly #header: number;
  readonly #values: readonly Jsonb[];
  readonly #entries: number;
  readonly #base: number;

  constructor(w: Writer, header: number, values: readonly Jsonb[]) {
    w.align();
    w.setUint32(w.reserve(4), header);
    this.#w = w;
    this.#header = header;
    this.#values = values;
    this.#entries = w.reserve(values.length * 4);
    this.#base = w.length;
  }

  /** Values from number `from` on. */
  write(from: number, to: number): void {
    const w = this.#w;
    const base = this.#base;
    for (let i = from; i < to; i++) {
      const begin = w.length;
      const type = writeValue(w, this.#values[i]);
      if (w.length - base > JENTRY_OFFLENMASK) throw tooLarge(this.#header);
      const off = i % STRIDE === 0;
      w.setUint32(
        this.#entries + i * 4,
        ((type << 28) | (off ? w.length - base : w.length - begin)) + (off ? JENTRY_HAS_OFF : 0),
      );
    }
  }
}

function stringTooLong(): PgError {
  return ereport(ERRCODE.STRING_DATA_RIGHT_TRUNCATION, 'string too long to represent as jsonb string', {
    detail: `Due to an implementation restriction, jsonb strings cannot exceed ${JENTRY_OFFLENMASK} bytes.`,
  });
}

function tooLarge(header: number): PgError {
  const what = (header & JB_FOBJECT) !== 0 ? 'object' : 'array';
  return ereport(
    ERRCODE.PROGRAM_LIMIT_EXCEEDED,
    `total size of jsonb ${what} elements exceeds the maximum of ${JENTRY_OFFLENMASK} bytes`,
  );
}

function writeContainer(w: Writer, header: number, values: readonly Jsonb[]): void {
  new ContainerWriter(w, header, values).write(0, values.length);
}

const VALUES_A_SLICE = 256;

function* writeLargeContainer(header: number, values: readonly Jsonb[]): Slices<Uint8Array> {
  const w = new Writer();
  const container = new ContainerWriter(w, header, values);
  for (let i = 0; i < values.length; i += VALUES_A_SLICE) {
    container.write(i, Math.min(values.length, i + VALUES_A_SLICE));
    yield;
  }
  return w.result();
}

/** An array, bit by bit. */
export function packLargeArray(items: readonly Jsonb[]): Slices<Uint8Array> {
  return writeLargeContainer(JB_FARRAY | items.length, items);
}

/** An object of these members, bit by bit. */
export function* packLargeObject(members: readonly JsonbMember[]): Slices<Uint8Array> {
  const last = new Map<string, KeyedMember>();
  for (let i = 0; i < members.length; i++) {
    const member = members[i];
    last.set(member.key, { member, key: stringToText(member.key) });
    if (i % VALUES_A_SLICE === 0) yield;
  }
  const keyed = [...last.values()];
  yield* sortInSlices(keyed, (a, b) => compareKeys(a.key, b.key));
  return yield* writeLargeContainer(JB_FOBJECT | keyed.length, [
    ...keyed.map(({ member }): Jsonb => ({ type: 'string', value: member.key })),
    ...keyed.map(({ member }) => member.value),
  ]);
}

/** Does it take long to write this many? */
export function isLargeJsonb(values: number): boolean {
  return values > LARGE_JSONB_VALUES;
}

export function packJsonb(v: Jsonb): Uint8Array {
  const w = new Writer();
  if (v.type === 'array' || v.type === 'object') writeValue(w, v);
  else writeContainer(w, JB_FARRAY | JB_FSCALAR | 1, [v]);
  return w.result();
}

/** The values of a container, one after the other; of an object all keys come first. */
export class ContainerReader {
  readonly isObject: boolean;
  readonly isScalar: boolean;
  /** Items, or members. */
  readonly count: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #at: number;
  readonly #base: number;
  #next = 0;
  #from = 0;

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = bytes;
    this.#view = viewOf(bytes);
    const header = this.#view.getUint32(at, true);
    this.isObject = (header & JB_FOBJECT) !== 0;
    this.isScalar = (header & JB_FSCALAR) !== 0;
    this.count = header & JB_CMASK;
    this.#at = at + 4;
    this.#base = this.#at + (this.isObject ? 2 : 1) * this.count * 4;
  }

  next(): Jsonb {
    const entry = this.#view.getUint32(this.#at + this.#next++ * 4, true);
    const length = entry & JENTRY_OFFLENMASK;
    const from = this.#from;
    this.#from = entry >= JENTRY_HAS_OFF ? length : from + length;
    return readEntry(this.#bytes, (entry >>> 28) & 7, this.#base + from, this.#base + this.#from);
  }

  keys(): string[] {
    return Array.from({ length: this.count }, () => (this.next() as { readonly value: string }).value);
  }
}

function readContainer(bytes: Uint8Array, at: number): Jsonb {
  const reader = new ContainerReader(bytes, at);
  if (reader.isObject) return { type: 'object', members: reader.keys().map(key => ({ key, value: reader.next() })) };
  const items = new Array<Jsonb>(reader.count);
  for (let i = 0; i < items.length; i++) items[i] = reader.next();
  return { type: 'array', items };
}

function readEntry(bytes: Uint8Array, type: number, from: number, to: number): Jsonb {
  switch (type) {
    case TYPE.string:
      return { type: 'string', value: textToString(bytes.subarray(from, to)) };
    case TYPE.numeric: {
      const at = (from + 3) & ~3;
      return { type: 'number', value: bytes.subarray(at + 4, to) };
    }
    case TYPE.false:
      return { type: 'boolean', value: false };
    case TYPE.true:
      return { type: 'boolean', value: true };
    case TYPE.container:
      return readContainer(bytes, (from + 3) & ~3);
    default:
      return JSONB_NULL;
  }
}

export function unpackJsonb(bytes: Uint8Array): Jsonb {
  const root = readContainer(bytes, 0);
  return (viewOf(bytes).getUint32(0, true) & JB_FSCALAR) !== 0 && root.type === 'array' ? root.items[0] : root;
}

export function formatJsonb(v: Jsonb): string {
  switch (v.type) {
    case 'null':
      return 'null';
    case 'boolean':
      return String(v.value);
    case 'number':
      return formatNumeric(v.value);
    case 'string':
      return escapeJson(v.value);
    case 'array':
      return `[${v.items.map(formatJsonb).join(', ')}]`;
    case 'object':
      return `{${v.members.map(m => `${escapeJson(m.key)}: ${formatJsonb(m.value)}`).join(', ')}}`;
  }
}

/** jsonb_pretty(): four blanks a level. */
export function prettyJsonb(v: Jsonb, indent = ''): string {
  const inner = `${indent}    `;
  if (v.type === 'array')
    return `[\n${v.items.map(i => inner + prettyJsonb(i, inner)).join(',\n')}${v.items.length > 0 ? '\n' : ''}${indent}]`;
  if (v.type === 'object') {
    return `{\n${v.members.map(m => `${inner}${escapeJson(m.key)}: ${prettyJsonb(m.value, inner)}`).join(',\n')}${v.members.length > 0 ? '\n' : ''}${indent}}`;
  }
  return formatJsonb(v);
}

const RANK = { null: 0, string: 1, number: 2, boolean: 3, array: 4, object: 5 } as const;

function compareValues(a: Jsonb, b: Jsonb): number {
  if (a.type !== b.type) return Math.sign(RANK[a.type] - RANK[b.type]);
  switch (a.type) {
    case 'null':
      return 0;
    case 'boolean':
      return Number(a.value) - Number((b as typeof a).value);
    case 'string':
      return compareBytes(stringToText(a.value), stringToText((b as typeof a).value));
    case 'number':
      return compareNumeric(a.value, (b as typeof a).value);
    case 'array': {
      const other = (b as typeof a).items;
      if (a.items.length !== other.length) return Math.sign(a.items.length - other.length);
      for (let i = 0; i < other.length; i++) {
        const order = compareValues(a.items[i], other[i]);
        if (order !== 0) return order;
      }
      return 0;
    }
    case 'object': {
      const other = (b as typeof a).members;
      if (a.members.length !== other.length) return Math.sign(a.members.length - other.length);
      for (let i = 0; i < other.length; i++) {
        const order =
          compareBytes(stringToText(a.members[i].key), stringToText(other[i].key)) ||
          compareValues(a.members[i].value, other[i].value);
        if (order !== 0) return order;
      }
      return 0;
    }
  }
}

const isScalar = (v: Jsonb): boolean => v.type !== 'array' && v.type !== 'object';

/** Order of jsonb. An empty array at the top is below everything, for history's sake. */
export function compareJsonb(a: Jsonb, b: Jsonb): number {
  const empty = (v: Jsonb): boolean => v.type === 'array' && v.items.length === 0;
  if (empty(a) !== empty(b)) {
    const other = empty(a) ? b : a;
    if (isScalar(other) || other.type === 'array') return empty(a) ? -1 : 1;
  }
  return compareValues(a, b);
}

/** a @> b. An array contains a scalar that is one of its items. */
export function jsonbContains(a: Jsonb, b: Jsonb, top = true): boolean {
  if (a.type === 'object' && b.type === 'object') {
    return b.members.every(m => {
      const own = a.members.find(x => x.key === m.key);
      return own !== undefined && jsonbContains(own.value, m.value, false);
    });
  }
  if (a.type === 'array' && b.type === 'array') {
    return b.items.every(item =>
      a.items.some(x =>
        isScalar(item)
          ? isScalar(x) && compareValues(x, item) === 0
          : x.type === item.type && jsonbContains(x, item, false),
      ),
    );
  }
  if (top && a.type === 'array' && isScalar(b)) return a.items.some(x => compareValues(x, b) === 0);
  return isScalar(a) && isScalar(b) && compareValues(a, b) === 0;
}
