/**
 * The reg* types: OIDs that read and print as the names of what they stand for. Names are looked
 * up by the search path; a name that its unqualified form would not find prints qualified.
 * A dash is 0, and a number is taken as it is.
 */
import {
  RELNAMENSP,
  NAMESPACEOID,
  RELOID,
  TYPENAMENSP,
  PROCOID,
  OPEROID,
  AUTHNAME,
  AUTHOID,
} from '@pgtroupe/catalog/syscache';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import { builtinTypes } from './cache/builtin_types.ts';
import type { FunctionCall, FunctionTable } from './fmgr.ts';
import { stringToText, textToString } from './mb/mbutils.ts';
import { clipName } from './name.ts';
import { formatType } from './format_type.ts';
import {
  cachesOf,
  catalogOf,
  findInPath,
  isVisible,
  lookupExplicitNamespace,
  lookupNamespace,
  namedObject,
  namedOidIn,
  visibleOperators,
  visibleProcs,
} from './namespace.ts';
import { parseOid } from './oid.ts';
import { recvUint32, sendInt32 } from './pqwire.ts';
import { isNeverType, quoteIdentifier } from './quote.ts';

type Bytes = Uint8Array;

const quote = (fc: FunctionCall, name: string): string => quoteIdentifier(name, fc.settings.quoteAllIdentifiers);

/** A name as it would be stored. */
const clipped = (name: string): string => textToString(clipName(stringToText(name)));

/** Splits a possibly qualified name; unquoted parts fold to lower case. */
function splitQualifiedName(text: string): string[] {
  const invalid = (): PgError => ereport(ERRCODE.INVALID_NAME, 'invalid name syntax');
  const parts: string[] = [];
  let rest = text.trim();
  if (rest === '') throw invalid();
  for (;;) {
    const m = /^(?:"((?:[^"]|"")+)"|([^\s".]+))\s*(\.)?\s*/.exec(rest);
    if (!m) throw invalid();
    parts.push(clipped(m[1] !== undefined ? m[1].replaceAll('""', '"') : m[2].replace(/[A-Z]/g, c => c.toLowerCase())));
    rest = rest.slice(m[0].length);
    if (!m[3]) break;
    if (rest === '') throw invalid();
  }
  if (rest !== '') throw invalid();
  return parts;
}

interface QualifiedName {
  readonly schema: string | undefined;
  readonly name: string;
}

/** schema.name or database.schema.name, the database being this one. */
function deconstruct(fc: FunctionCall, parts: readonly string[], relation = false): QualifiedName {
  if (parts.length === 1) return { schema: undefined, name: parts[0] };
  if (parts.length === 2) return { schema: parts[0], name: parts[1] };
  if (parts.length === 3) {
    if (parts[0] !== fc.settings.databaseName) {
      throw ereport(
        ERRCODE.FEATURE_NOT_SUPPORTED,
        `cross-database references are not implemented: ${relation ? `"${parts.join('.')}"` : parts.join('.')}`,
      );
    }
    return { schema: parts[1], name: parts[2] };
  }
  throw ereport(
    ERRCODE.SYNTAX_ERROR,
    `improper ${relation ? 'relation' : 'qualified'} name (too many dotted names): ${parts.join('.')}`,
  );
}

/** 0 for a dash, a number for digits; undefined when it is a name. */
function numeric(text: string): number | undefined {
  if (text === '-') return 0;
  return /^\d+$/.test(text) ? parseOid(stringToText(text)) : undefined;
}

/** Errors of lookups that to_reg*() answers with null. */
function missingIsNull<T>(look: () => T): T | null {
  try {
    return look();
  } catch (e) {
    const state = (e as { sqlstate?: string }).sqlstate;
    if (
      state === ERRCODE.UNDEFINED_TABLE ||
      state === ERRCODE.UNDEFINED_FUNCTION ||
      state === ERRCODE.AMBIGUOUS_FUNCTION ||
      state === ERRCODE.UNDEFINED_OBJECT ||
      state === ERRCODE.UNDEFINED_SCHEMA
    )
      return null;
    throw e;
  }
}

export function regclassOid(fc: FunctionCall, text: string): Oid {
  const { schema, name } = deconstruct(fc, splitQualifiedName(text), true);
  if (schema !== undefined) {
    const oid = cachesOf(fc).search(RELNAMENSP, name, lookupExplicitNamespace(fc, schema))?.oid;
    if (oid === undefined) throw ereport(ERRCODE.UNDEFINED_TABLE, `relation "${schema}.${name}" does not exist`);
    return oid;
  }
  const oid = findInPath(fc, 'relation', name);
  if (oid === undefined) throw ereport(ERRCODE.UNDEFINED_TABLE, `relation "${name}" does not exist`);
  return oid;
}

function qualified(fc: FunctionCall, namespace: Oid, name: string, visible: boolean): string {
  if (visible) return quote(fc, name);
  return `${quote(fc, cachesOf(fc).search(NAMESPACEOID, namespace)?.nspname ?? '')}.${quote(fc, name)}`;
}

function regclassName(fc: FunctionCall, oid: Oid): string {
  if (oid === 0) return '-';
  const rel = cachesOf(fc).search(RELOID, oid);
  if (!rel) return String(oid);
  return qualified(fc, rel.relnamespace, rel.relname, isVisible(fc, 'relation', rel.relname, rel.relnamespace, oid));
}

const SQL_TYPES: Readonly<Record<string, string>> = {
  int: 'int4',
  integer: 'int4',
  smallint: 'int2',
  bigint: 'int8',
  real: 'float4',
  'double precision': 'float8',
  float: 'float8',
  boolean: 'bool',
  decimal: 'numeric',
  dec: 'numeric',
  'character varying': 'varchar',
  character: 'bpchar',
  char: 'bpchar',
  nchar: 'bpchar',
  'national character': 'bpchar',
  'char varying': 'varchar',
  'national character varying': 'varchar',
  'bit varying': 'varbit',
  time: 'time',
  'time without time zone': 'time',
  'time with time zone': 'timetz',
  timestamp: 'timestamp',
  'timestamp without time zone': 'timestamp',
  'timestamp with time zone': 'timestamptz',
};

/** A type's name as SQL writes it, brackets for arrays, a modifier skipped. */
export function regtypeOid(fc: FunctionCall, text: string): Oid {
  let body = text.trim();
  const setof = /^setof\s+/i.exec(body);
  if (body === '' || setof) throw ereport(ERRCODE.SYNTAX_ERROR, `invalid type name "${text}"`);
  // What the grammar refuses at once.
  const first = /^(?:\w+|[^\s"])/.exec(body)?.[0];
  if (first !== undefined && (/^[^\w\x80-\uffff]/.test(first) || isNeverType(first.toLowerCase())))
    throw ereport(ERRCODE.SYNTAX_ERROR, `syntax error at or near "${first}"`);
  let array = false;
  for (let m = /\s*\[\s*\d*\s*\]$/.exec(body); m; m = /\s*\[\s*\d*\s*\]$/.exec(body)) {
    array = true;
    body = body.slice(0, m.index);
  }
  const suffix = /\s+array$/i.exec(body);
  if (suffix && !body.startsWith('"')) {
    array = true;
    body = body.slice(0, suffix.index);
  }
  body = body.replace(/\s*\(\s*-?\d+\s*(?:,\s*-?\d+\s*)?\)/, '');
  const words = body.toLowerCase().replace(/\s+/g, ' ');
  const interval = /^interval(?: (?:year|month|day|hour|minute|second)(?: to (?:month|hour|minute|second))?)?$/.test(
    words,
  );
  const sqlName = interval ? 'interval' : SQL_TYPES[words];
  let oid: Oid | undefined;
  if (sqlName !== undefined) oid = [...builtinTypes().values()].find(t => t.typname === sqlName)?.oid;
  else {
    if (/["\w]\s+["\w]/.test(body.replace(/"(?:[^"]|"")*"/g, '"q"')))
      throw ereport(ERRCODE.SYNTAX_ERROR, `syntax error at or near "${body.trim().split(/\s+/)[1]}"`);
    const { schema, name } = deconstruct(fc, splitQualifiedName(body));
    if (schema !== undefined) oid = cachesOf(fc).search(TYPENAMENSP, name, lookupNamespace(fc, schema))?.oid;
    else oid = findInPath(fc, 'type', name);
  }
  if (oid !== undefined && array) {
    const element = builtinTypes().get(oid) ?? catalogOf(fc).type(oid);
    oid = element && element.typarray !== 0 ? element.typarray : undefined;
  }
  if (oid === undefined) throw ereport(ERRCODE.UNDEFINED_OBJECT, `type "${sqlTypeShown(text)}" does not exist`);
  return oid;
}

const sqlTypeShown = (text: string): string => text.trim().replace(/[A-Z]/g, c => c.toLowerCase());

function regprocOid(fc: FunctionCall, text: string): Oid {
  const { schema, name } = deconstruct(fc, splitQualifiedName(text));
  const found = visibleProcs(fc, schema, name);
  if (found.length === 0) throw ereport(ERRCODE.UNDEFINED_FUNCTION, `function "${text}" does not exist`);
  if (found.length > 1) throw ereport(ERRCODE.AMBIGUOUS_FUNCTION, `more than one function named "${text}"`);
  return found[0].oid;
}

function regprocName(fc: FunctionCall, oid: Oid): string {
  if (oid === 0) return '-';
  const proc = cachesOf(fc).search(PROCOID, oid);
  if (!proc) return String(oid);
  const candidates = visibleProcs(fc, undefined, proc.proname);
  return qualified(fc, proc.pronamespace, proc.proname, candidates.length === 1 && candidates[0].oid === oid);
}

/** name(type, type): argument texts split at commas outside quotes and parentheses. */
function splitArguments(text: string): { name: string; args: string[] } {
  const open = text.search(/\((?=(?:[^"]*"[^"]*")*[^"]*$)/);
  if (open < 0) throw ereport(ERRCODE.INVALID_TEXT_REPRESENTATION, 'expected a left parenthesis');
  splitQualifiedName(text.slice(0, open));
  const rest = text.slice(open + 1).trimEnd();
  if (!rest.endsWith(')')) throw ereport(ERRCODE.INVALID_TEXT_REPRESENTATION, 'expected a right parenthesis');
  const body = rest.slice(0, -1);
  if (body.trim() === '') return { name: text.slice(0, open), args: [] };
  const args: string[] = [];
  let depth = 0;
  let quoted = false;
  let current = '';
  for (const c of body) {
    if (c === '"') quoted = !quoted;
    if (!quoted && c === ',' && depth === 0) {
      args.push(current);
      current = '';
      continue;
    }
    if (!quoted && (c === '(' || c === '[')) depth++;
    if (!quoted && (c === ')' || c === ']')) depth--;
    current += c;
  }
  args.push(current);
  if (args.some(a => a.trim() === '')) throw ereport(ERRCODE.INVALID_TEXT_REPRESENTATION, 'expected a type name');
  return { name: text.slice(0, open), args };
}

export function regprocedureOidOf(fc: FunctionCall, text: string): Oid {
  const { name, args } = splitArguments(text);
  const types = args.map(a => regtypeOid(fc, a));
  const parts = deconstruct(fc, splitQualifiedName(name));
  const found = visibleProcs(fc, parts.schema, parts.name).find(
    p => p.proargtypes.length === types.length && p.proargtypes.every((t, i) => t === types[i]),
  );
  if (!found) throw ereport(ERRCODE.UNDEFINED_FUNCTION, `function "${text}" does not exist`);
  return found.oid;
}

function regprocedureName(fc: FunctionCall, oid: Oid): string {
  if (oid === 0) return '-';
  const proc = cachesOf(fc).search(PROCOID, oid);
  if (!proc) return String(oid);
  const same = visibleProcs(fc, undefined, proc.proname).some(p => p.oid === oid);
  return `${qualified(fc, proc.pronamespace, proc.proname, same)}(${proc.proargtypes.map(t => formatType(fc, t)).join(',')})`;
}

/** Operator names are never quoted; their schemas are. */
function splitOperator(fc: FunctionCall, text: string): QualifiedName {
  const m = /^(.*\.)?([^."a-zA-Z0-9_\s]+)$/.exec(text.trim());
  if (!m) return { schema: undefined, name: text };
  const prefix = m[1] === undefined ? [] : splitQualifiedName(m[1].slice(0, -1));
  return deconstruct(fc, [...prefix, m[2]]);
}

function regoperOid(fc: FunctionCall, text: string): Oid {
  const { schema, name } = splitOperator(fc, text);
  const found = visibleOperators(fc, schema, name);
  if (found.length === 0) throw ereport(ERRCODE.UNDEFINED_FUNCTION, `operator does not exist: ${text}`);
  if (found.length > 1) throw ereport(ERRCODE.AMBIGUOUS_FUNCTION, `more than one operator named ${text}`);
  return found[0].oid;
}

function regoperName(fc: FunctionCall, oid: Oid): string {
  if (oid === 0) return '0';
  const oper = cachesOf(fc).search(OPEROID, oid);
  if (!oper) return String(oid);
  const found = visibleOperators(fc, undefined, oper.oprname);
  if (found.length === 1 && found[0].oid === oid) return oper.oprname;
  return `${quote(fc, cachesOf(fc).search(NAMESPACEOID, oper.oprnamespace)?.nspname ?? '')}.${oper.oprname}`;
}

function regoperatorOid(fc: FunctionCall, text: string): Oid {
  const { name, args } = splitArguments(text);
  if (args.length === 1) {
    throw ereport(ERRCODE.UNDEFINED_PARAMETER, 'missing argument', {
      hint: 'Use NONE to denote the missing argument of a unary operator.',
    });
  }
  if (args.length !== 2)
    throw ereport(ERRCODE.TOO_MANY_ARGUMENTS, 'too many arguments', {
      hint: 'Provide two argument types for operator.',
    });
  const types = args.map(a => (a.trim().toLowerCase() === 'none' ? 0 : regtypeOid(fc, a)));
  const parts = splitOperator(fc, name);
  const found = visibleOperators(fc, parts.schema, parts.name).find(
    o => o.oprleft === types[0] && o.oprright === types[1],
  );
  if (!found) throw ereport(ERRCODE.UNDEFINED_FUNCTION, `operator does not exist: ${text}`);
  return found.oid;
}

function regoperatorName(fc: FunctionCall, oid: Oid): string {
  if (oid === 0) return '0';
  const oper = cachesOf(fc).search(OPEROID, oid);
  if (!oper) return String(oid);
  const visible = visibleOperators(fc, undefined, oper.oprname).some(o => o.oid === oid);
  const schema = visible ? '' : `${quote(fc, cachesOf(fc).search(NAMESPACEOID, oper.oprnamespace)?.nspname ?? '')}.`;
  const type = (t: Oid): string => (t === 0 ? 'NONE' : formatType(fc, t));
  return `${schema}${oper.oprname}(${type(oper.oprleft)},${type(oper.oprright)})`;
}

/** Role and schema names are single identifiers. */
function single(text: string): string {
  const parts = splitQualifiedName(text);
  if (parts.length !== 1) throw ereport(ERRCODE.INVALID_NAME, 'invalid name syntax');
  return parts[0];
}

function regroleOid(fc: FunctionCall, text: string): Oid {
  const name = single(text);
  const oid = cachesOf(fc).search(AUTHNAME, name)?.oid;
  if (oid === undefined) throw ereport(ERRCODE.UNDEFINED_OBJECT, `role "${name}" does not exist`);
  return oid;
}

/** Collations and text search objects, which catalogs know by name and schema only. */
function namedOid(catalogName: string, describe: (name: string) => string): (fc: FunctionCall, text: string) => Oid {
  return (fc, text) => {
    const { schema, name } = deconstruct(fc, splitQualifiedName(text));
    const oid =
      schema === undefined
        ? findInPath(fc, { catalog: catalogName }, name)
        : namedOidIn(fc, catalogName, name, lookupExplicitNamespace(fc, schema));
    if (oid === undefined)
      throw ereport(ERRCODE.UNDEFINED_OBJECT, describe(schema === undefined ? name : `${schema}.${name}`));
    return oid;
  };
}

function namedName(catalogName: string): (fc: FunctionCall, oid: Oid) => string {
  return (fc, oid) => {
    if (oid === 0) return '-';
    const found = namedObject(fc, catalogName, oid);
    if (!found) return String(oid);
    return qualified(
      fc,
      found.namespace,
      found.name,
      isVisible(fc, { catalog: catalogName }, found.name, found.namespace, oid),
    );
  };
}

interface RegType {
  readonly prefix: string;
  readonly read: (fc: FunctionCall, text: string) => Oid;
  readonly print: (fc: FunctionCall, oid: Oid) => string;
  /** prosrc of the to_reg*() function. */
  readonly to?: string;
}

const REG_TYPES: readonly RegType[] = [
  { prefix: 'regclass', read: regclassOid, print: regclassName, to: 'to_regclass' },
  {
    prefix: 'regtype',
    read: regtypeOid,
    print: (fc, oid) =>
      oid === 0 ? '-' : (builtinTypes().get(oid) ?? fc.catalog?.type(oid)) ? formatType(fc, oid) : String(oid),
    to: 'to_regtype',
  },
  { prefix: 'regproc', read: regprocOid, print: regprocName, to: 'to_regproc' },
  { prefix: 'regprocedure', read: regprocedureOidOf, print: regprocedureName, to: 'to_regprocedure' },
  { prefix: 'regoper', read: regoperOid, print: regoperName, to: 'to_regoper' },
  { prefix: 'regoperator', read: regoperatorOid, print: regoperatorName, to: 'to_regoperator' },
  {
    prefix: 'regnamespace',
    read: (fc, text) => lookupNamespace(fc, single(text)),
    print: (fc, oid) => (oid === 0 ? '-' : plainName(fc, oid, cachesOf(fc).search(NAMESPACEOID, oid)?.nspname)),
    to: 'to_regnamespace',
  },
  {
    prefix: 'regrole',
    read: regroleOid,
    print: (fc, oid) => (oid === 0 ? '-' : plainName(fc, oid, cachesOf(fc).search(AUTHOID, oid)?.rolname)),
    to: 'to_regrole',
  },
  {
    prefix: 'regcollation',
    read: namedOid('pg_collation', n => `collation "${n}" for encoding "UTF8" does not exist`),
    print: namedName('pg_collation'),
    to: 'to_regcollation',
  },
  {
    prefix: 'regconfig',
    read: namedOid('pg_ts_config', n => `text search configuration "${n}" does not exist`),
    print: namedName('pg_ts_config'),
  },
  {
    prefix: 'regdictionary',
    read: namedOid('pg_ts_dict', n => `text search dictionary "${n}" does not exist`),
    print: namedName('pg_ts_dict'),
  },
];

function plainName(fc: FunctionCall, oid: Oid, name: string | undefined): string {
  return name === undefined ? String(oid) : quote(fc, name);
}

function tables(): FunctionTable {
  const out: Record<string, (fc: FunctionCall, arg: never) => number | Uint8Array | null> = {};
  for (const { prefix, read, print, to } of REG_TYPES) {
    // 0 is what regoper and regoperator print for no operator.
    const isOperator = prefix.startsWith('regoper');
    out[`${prefix}in`] = (fc: FunctionCall, bytes: Bytes) => {
      const text = textToString(bytes);
      return (isOperator && text === '-' ? undefined : numeric(text)) ?? read(fc, text);
    };
    out[`${prefix}out`] = (fc: FunctionCall, oid: Oid) => stringToText(print(fc, oid));
    out[`${prefix}recv`] = (_fc: FunctionCall, bytes: Bytes) => recvUint32(bytes);
    out[`${prefix}send`] = (_fc: FunctionCall, oid: number) => sendInt32(oid);
    if (to) out[to] = (fc: FunctionCall, bytes: Bytes) => missingIsNull(() => read(fc, textToString(bytes)));
  }
  out['text_regclass'] = (fc: FunctionCall, bytes: Bytes) => regclassOid(fc, textToString(bytes));
  return out;
}

export const regFunctions: FunctionTable = tables();

/** pg_*_is_visible(): null when there is no such object. */
const visible =
  (kind: string, nameOf: (fc: FunctionCall, oid: Oid) => { name: string; namespace: Oid } | undefined) =>
  (fc: FunctionCall, oid: Oid): boolean | null => {
    const found = nameOf(fc, oid);
    if (!found) return null;
    return findInPath(fc, kind === 'type' || kind === 'relation' ? kind : { catalog: kind }, found.name) === oid;
  };

const named = (catalog: string): ((fc: FunctionCall, oid: Oid) => boolean | null) =>
  visible(catalog, (fc, oid) => namedObject(fc, catalog, oid));

export const visibilityFunctions: FunctionTable = {
  pg_table_is_visible: visible('relation', (fc, oid) => {
    const rel = cachesOf(fc).search(RELOID, oid);
    return rel === null ? undefined : { name: rel.relname, namespace: rel.relnamespace };
  }),
  pg_type_is_visible: visible('type', (fc, oid) => {
    const type = catalogOf(fc).type(oid) ?? builtinTypes().get(oid);
    return type && { name: type.typname, namespace: type.typnamespace };
  }),
  pg_function_is_visible: (fc: FunctionCall, oid: Oid) => {
    const proc = cachesOf(fc).search(PROCOID, oid);
    return proc ? visibleProcs(fc, undefined, proc.proname).some(p => p.oid === oid) : null;
  },
  pg_operator_is_visible: (fc: FunctionCall, oid: Oid) => {
    const oper = cachesOf(fc).search(OPEROID, oid);
    return oper ? visibleOperators(fc, undefined, oper.oprname).some(o => o.oid === oid) : null;
  },
  pg_opclass_is_visible: named('pg_opclass'),
  pg_opfamily_is_visible: named('pg_opfamily'),
  pg_collation_is_visible: named('pg_collation'),
  pg_conversion_is_visible: named('pg_conversion'),
  pg_statistics_obj_is_visible: named('pg_statistic_ext'),
  pg_ts_parser_is_visible: named('pg_ts_parser'),
  pg_ts_dict_is_visible: named('pg_ts_dict'),
  pg_ts_template_is_visible: named('pg_ts_template'),
  pg_ts_config_is_visible: named('pg_ts_config'),
};
