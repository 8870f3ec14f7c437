/**
 * Reads the fact files (see facts/README.md) and turns their text into Datums.
 *
 * The facts belong to the program, like its code: they are read from beside the module, not through
 * Env, which is the world of one cluster.
 */
import { BOOTSTRAP_SUPERUSERID } from '@pgtroupe/common/oids';
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { assert } from '@pgtroupe/common/assert';
import type { Datum } from '@pgtroupe/common/datum';
import type { Oid } from '@pgtroupe/common/ids';
import { CHAR_ELEMENT, encodeArray, encodeTextArray, FLOAT4_ELEMENT, INT2_ELEMENT, OID_ELEMENT } from './arrays.ts';
import { encodeAcl, parseAclItem } from './acl.ts';
import type { Catalog, CatalogRow } from './catalog.ts';
import { decodeRow } from './rowcodec.ts';

/** Stored compressed, being large. */
const COMPRESSED: ReadonlySet<string> = new Set(['pg_rewrite']);

export interface FactTable {
  readonly columns: readonly string[];
  /** Text per column; null is SQL null. */
  readonly rows: readonly (readonly (string | null)[])[];
}

export function readFacts(table: string): FactTable {
  const compressed = COMPRESSED.has(table);
  const raw = readFileSync(new URL(`../facts/${table}.tsv${compressed ? '.gz' : ''}`, import.meta.url));
  const lines = (compressed ? gunzipSync(raw) : raw).toString('utf8').split('\n');
  lines.pop();
  const [head, ...rows] = lines.map(line => line.split('\t'));
  assert(head !== undefined, `facts of ${table} have a head line`);
  return { columns: head, rows: rows.map(row => row.map(unescape)) };
}

const ESCAPES: Readonly<Record<string, string>> = {
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

function unescape(field: string): string | null {
  if (field === '\\N') return null;
  return field.includes('\\') ? field.replace(/\\(.)/g, (_, c: string) => ESCAPES[c] ?? c) : field;
}

/** Elements of a one-dimensional array literal. */
function arrayElements(literal: string): string[] {
  if (literal === '{}') return [];
  return Array.from(literal.slice(1, -1).matchAll(/"((?:[^"\\]|\\.)*)"|([^,]+)/gs), m =>
    m[1] === undefined ? m[2]! : m[1].replace(/\\(.)/gs, '$1'),
  );
}

function numbers(vector: string): number[] {
  return vector === '' ? [] : vector.split(' ').map(Number);
}

/** Roles that own or were granted something by initdb, by name; filled from pg_authid's facts. */
let roles: ReadonlyMap<string, Oid> | undefined;

function roleOid(name: string): Oid {
  roles ??= new Map(readFacts('pg_authid').rows.map(row => [row[1]!, Number(row[0]) as Oid]));
  const oid = name === 'postgres' ? BOOTSTRAP_SUPERUSERID : roles.get(name);
  assert(oid !== undefined, `role ${name} in an access list`);
  return oid;
}

/** Datum of a fact, by the name of its type (a domain's base type). */
export function factDatum(type: string, text: string | null): Datum {
  if (text === null) return null;
  switch (type) {
    case 'oid':
    case 'regproc':
    case 'xid':
    case 'int2':
    case 'int4':
    case 'int8':
    case 'float4':
      return Number(text);
    case 'bool':
      return text === 't';
    case 'char':
      return charCode(text);
    case 'name':
    case 'text':
    case 'varchar':
    case 'pg_node_tree':
      return Buffer.from(text, 'utf8');
    case 'bytea':
      return Buffer.from(text.slice(2), 'hex');
    case 'int2vector':
      return encodeArray(INT2_ELEMENT, numbers(text), 0);
    case 'oidvector':
      return encodeArray(OID_ELEMENT, numbers(text), 0);
    case '_int2':
      return encodeArray(INT2_ELEMENT, arrayElements(text).map(Number), 1);
    case '_oid':
      return encodeArray(OID_ELEMENT, arrayElements(text).map(Number), 1);
    case '_float4':
      return encodeArray(FLOAT4_ELEMENT, arrayElements(text).map(Number), 1);
    case '_char':
      return encodeArray(CHAR_ELEMENT, arrayElements(text), 1);
    case '_text':
      return encodeTextArray(arrayElements(text));
    case '_aclitem':
      return encodeAcl(arrayElements(text).map(item => parseAclItem(item, roleOid)));
    default:
      throw new Error(`no fact has values of type ${type}`);
  }
}

/** "char": one byte, written `\ooo` when it is not ASCII; empty is zero. */
function charCode(text: string): number {
  if (text === '') return 0;
  const code = text.length === 4 && text.startsWith('\\') ? Number.parseInt(text.slice(1), 8) : text.charCodeAt(0);
  return (code << 24) >> 24;
}

/** The facts of one system catalog as Datums, in the order of its columns. */
export function factDatums(catalog: Catalog): Datum[][] {
  const { columns } = catalog;
  return readFacts(catalog.name).rows.map(row => row.map((text, n) => factDatum(columns[n]!.type, text)));
}

/** The facts of one system catalog as decoded rows. */
export function factRows<Row extends CatalogRow>(catalog: Catalog<Row>): Row[] {
  return factDatums(catalog).map(values => decodeRow(catalog, values));
}
