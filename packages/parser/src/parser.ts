/**
 * Raw parsing: PostgreSQL's own grammar (libpg-query, WebAssembly) turns a query string into raw parse
 * trees. loadParser() must have resolved once per process; parsing itself is synchronous.
 *
 * The library's grammar is PostgreSQL 18's. What that accepts and 15 does not is a syntax error here: pg15grammar.ts, pg15check.ts.
 */
import { loadModule, parseSync, SqlError } from 'libpg-query';
import { checkGrammar } from './pg15check.ts';
import { hideLaterSyntax, parameterJunk, shownIdentifier, shownMessage, shownPosition } from './pg15grammar.ts';
import { ereport, type PgError } from '@pgtroupe/common/ereport';
import { ERRCODE, type Sqlstate } from '@pgtroupe/common/errcodes';
import type { RawNode, RawStmt } from '@pgtroupe/nodes/rawnodes';

/** Loads the grammar; call once at start. */
export function loadParser(): Promise<void> {
  return loadModule();
}

/** The statements of a query string; none for a string of blanks, comments and semicolons. */
export function rawParse(text: string): RawStmt[] {
  // The library refuses an empty string, PostgreSQL answers EmptyQueryResponse.
  return text === '' ? [] : statementsOf(parse(text));
}

/** For another thread: the tree as `statementsOfJson` reads it. */
export function parseToJson(text: string): string {
  return JSON.stringify(parse(text));
}

export async function statementsOfJson(json: string, breathe: () => Promise<void>): Promise<RawStmt[]> {
  const tree = JSON.parse(json) as RawTree;
  await breathe();
  return statementsOf(tree);
}

interface RawTree {
  readonly stmts?: readonly unknown[];
}

function parse(text: string): RawTree {
  let tree: RawTree;
  const asked = hideLaterSyntax(text);
  try {
    tree = parseSync(asked) as RawTree;
  } catch (error) {
    if (error instanceof SqlError) throw syntaxError(error, text);
    throw error;
  }
  const junk = parameterJunk(text);
  if (junk !== undefined) throw ereport(ERRCODE.SYNTAX_ERROR, junk.message, { position: junk.at + 1 });
  checkGrammar(text, tree);
  if (asked !== text) showIdentifiers(tree);
  return tree;
}

function statementsOf(tree: RawTree): RawStmt[] {
  return (tree.stmts ?? []).map(wrapped => {
    const raw = wrapped as { stmt: unknown; stmt_location?: number; stmt_len?: number };
    return {
      type: 'RawStmt',
      stmt: unwrap(raw.stmt) as RawNode,
      stmt_location: raw.stmt_location ?? 0,
      stmt_len: raw.stmt_len ?? 0,
    };
  });
}

/** Gives hidden words back, in place. */
function showIdentifiers(node: unknown): void {
  if (typeof node !== 'object' || node === null) return;
  const fields = node as Record<string, unknown>;
  for (const key in fields) {
    const value = fields[key];
    if (typeof value === 'string') fields[key] = shownIdentifier(value);
    else showIdentifiers(value);
  }
}

/**
 * Fields whose value is always of one node type come without a `{ Type: … }` wrapper; these are the
 * ones the analyzer reads by type.
 */
const TYPE_OF_FIELD: Readonly<Record<string, string>> = {
  alias: 'Alias',
  argType: 'TypeName',
  collClause: 'CollateClause',
  cycle_clause: 'CTECycleClause',
  infer: 'InferClause',
  into: 'IntoClause',
  intoClause: 'IntoClause',
  join_using_alias: 'Alias',
  larg: 'SelectStmt',
  onConflictClause: 'OnConflictClause',
  ofTypename: 'TypeName',
  over: 'WindowDef',
  owner: 'RoleSpec',
  partbound: 'PartitionBoundSpec',
  partspec: 'PartitionSpec',
  pktable: 'RangeVar',
  rarg: 'SelectStmt',
  rel: 'RangeVar',
  relation: 'RangeVar',
  returnType: 'TypeName',
  returningClause: 'ReturningClause',
  search_clause: 'CTESearchClause',
  sequence: 'RangeVar',
  setstmt: 'VariableSetStmt',
  typeName: 'TypeName',
  typevar: 'RangeVar',
  view: 'RangeVar',
  viewQuery: 'Query',
  withClause: 'WithClause',
};

/** Turns `{ Type: { … } }` into `{ type: 'Type', … }`, in place, through the whole tree. */
function unwrap(value: unknown): unknown {
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) value[i] = unwrap(value[i]);
    return value;
  }
  if (typeof value !== 'object' || value === null) return value;
  const fields = value as Record<string, unknown>;
  let inner = fields;
  let type: string | undefined;
  let count = 0;
  for (const key in fields) {
    type = key;
    if (++count > 1) break;
  }
  // An absent list element (a NULL pointer) arrives as {}.
  if (count === 0) return null;
  if (count === 1) {
    const c = (type as string).charCodeAt(0);
    if (c >= 65 && c <= 90) {
      inner = fields[type as string] as Record<string, unknown>;
      unwrapFields(inner);
      inner['type'] = type;
      return inner;
    }
  }
  unwrapFields(inner);
  return inner;
}

function unwrapFields(fields: Record<string, unknown>): void {
  for (const key in fields) {
    const value = fields[key];
    if (typeof value !== 'object' || value === null) continue;
    const child = unwrap(value);
    if (child === null) {
      fields[key] = unwrapEmpty(key);
      continue;
    }
    if (!Array.isArray(child) && (child as Record<string, unknown>)['type'] === undefined) {
      (child as Record<string, unknown>)['type'] = TYPE_OF_FIELD[key] ?? '';
    }
    fields[key] = child;
  }
}

/** A node all of whose fields are zero: `"ival": {}` is the integer 0, `"over": {}` is OVER (). */
function unwrapEmpty(key: string): Record<string, unknown> {
  return { type: TYPE_OF_FIELD[key] ?? '' };
}

/** Messages of the grammar that are not syntax errors proper, with the SQLSTATE PostgreSQL gives them. */
const OTHER_CODES: readonly (readonly [RegExp, Sqlstate])[] = [
  [/^unsafe use of \\'/, ERRCODE.NONSTANDARD_USE_OF_ESCAPE_CHARACTER],
  [/^invalid value for encoding|^invalid byte sequence/, ERRCODE.CHARACTER_NOT_IN_REPERTOIRE],
  [/^LIMIT #,# syntax/, ERRCODE.SYNTAX_ERROR],
  [/not (yet )?(supported|implemented)|cannot be marked|^UNENCRYPTED PASSWORD/, ERRCODE.FEATURE_NOT_SUPPORTED],
  [/^unsafe use of string constant/, ERRCODE.FEATURE_NOT_SUPPORTED],
  [/^precision for type float|^value of .* must/, ERRCODE.INVALID_PARAMETER_VALUE],
  [/^role name .* is reserved/, ERRCODE.RESERVED_NAME],
  [/frame (start|starting|end|ending)/, ERRCODE.WINDOWING_ERROR],
];

function syntaxError(error: SqlError, text: string): PgError {
  const details = error.sqlDetails;
  // The library reports 0 both for "unknown" and for the first character; an unknown position is rare.
  const { message, at } = shownMessage(error.message, details?.cursorPosition ?? 0, text);
  const place = details ? shownPosition(message, at, text) : undefined;
  const position = place === undefined ? undefined : place + 1;
  if (message === 'invalid Unicode escape') return unicodeEscape(text, at);
  const code = OTHER_CODES.find(([pattern]) => pattern.test(message))?.[1] ?? ERRCODE.SYNTAX_ERROR;
  // What is wrong with bytes of an E'' string is found when it has been read: nothing to point at.
  if (code === ERRCODE.CHARACTER_NOT_IN_REPERTOIRE) return ereport(code, message);
  const hint = HINTS.find(([pattern]) => pattern.test(message))?.[1];
  return ereport(code, message, { position, hint });
}

const HINTS: readonly (readonly [RegExp, string])[] = [
  [/^LIMIT #,# syntax/, 'Use separate LIMIT and OFFSET clauses.'],
  [
    /^unsafe use of \\' in a string literal/,
    "Use '' to write quotes in strings. \\' is insecure in client-only encodings.",
  ],
  [
    /^unsafe use of string constant with Unicode escapes/,
    'String constants with Unicode escapes cannot be used when standard_conforming_strings is off.',
  ],
];

/** E'' strings and U&'' ones differ in SQLSTATE and hint. */
function unicodeEscape(text: string, at: number): PgError {
  const opening = /(U&|E)["'](?:[^"']|''|"")*$/i.exec(text.slice(0, at))?.[1] ?? 'E';
  const escapes = opening.length === 2 ? '\\XXXX or \\+XXXXXX' : '\\uXXXX or \\UXXXXXXXX';
  const code = opening.length === 2 ? ERRCODE.SYNTAX_ERROR : ERRCODE.INVALID_ESCAPE_SEQUENCE;
  return ereport(code, 'invalid Unicode escape', { position: at + 1, hint: `Unicode escapes must be ${escapes}.` });
}
