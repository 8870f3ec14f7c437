/**
 * Quoting: identifiers (only where needed, keywords included), literals.
 */
import type { FunctionCall, FunctionTable } from './fmgr.ts';
import { stringToText, textToString } from './mb/mbutils.ts';

/**
 * Keywords of PostgreSQL 15 that cannot stand as identifiers everywhere: what quote_identifier must
 * quote. Unreserved keywords are not listed. Taken from PostgreSQL's kwlist.h.
 */
const RESERVED =
  'all analyse analyze and any array as asc asymmetric both case cast check collate column constraint ' +
  'create current_catalog current_date current_role current_time current_timestamp current_user default ' +
  'deferrable desc distinct do else end except false fetch for foreign from grant group having in ' +
  'initially intersect into lateral leading limit localtime localtimestamp not null offset on only or ' +
  'order placing primary references returning select session_user some symmetric table then to trailing ' +
  'true union unique user using variadic when where window with ';
const TYPE_FUNC_NAME =
  'authorization binary collation concurrently cross current_schema freeze full ilike inner is isnull ' +
  'join left like natural notnull outer overlaps right similar tablesample verbose ';
const COL_NAME =
  'between bigint bit boolean char character coalesce dec decimal exists extract float greatest ' +
  'grouping inout int integer interval least national nchar none normalize nullif numeric out overlay ' +
  'position precision real row setof smallint substring time timestamp treat trim values varchar ' +
  'xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot ' +
  'xmlserialize xmltable ';

const NEVER_TYPES: ReadonlySet<string> = new Set(`${RESERVED}${COL_NAME}`.trim().split(' '));
/** Key words that are types, or begin the name of one. */
const TYPES: ReadonlySet<string> = new Set(
  'bigint bit boolean char character dec decimal float int integer interval national nchar numeric precision real smallint time timestamp varchar setof'.split(
    ' ',
  ),
);

/** A key word that cannot begin a type's name. */
export const isNeverType = (word: string): boolean => NEVER_TYPES.has(word) && !TYPES.has(word);

const QUOTED: ReadonlySet<string> = new Set(`${RESERVED}${TYPE_FUNC_NAME}${COL_NAME}`.trim().split(' '));

const SAFE = /^[a-z_][a-z0-9_]*$/;

/** The identifier as it must be written in SQL: in double quotes unless it is safe without. */
export function quoteIdentifier(name: string, always = false): string {
  return !always && SAFE.test(name) && !QUOTED.has(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

/** schema.name, each quoted as needed; null schema: the name alone. */
export function quoteQualifiedIdentifier(schema: string | null, name: string): string {
  return schema === null ? quoteIdentifier(name) : `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`;
}

/** With a backslash in it, a literal takes the E'' form. */
export function quoteLiteral(value: string): string {
  const quoted = value.replaceAll("'", "''");
  return value.includes('\\') ? `E'${quoted.replaceAll('\\', '\\\\')}'` : `'${quoted}'`;
}

export const quoteFunctions: FunctionTable = {
  quote_ident: (fc: FunctionCall, text: Uint8Array) =>
    stringToText(quoteIdentifier(textToString(text), fc.settings.quoteAllIdentifiers)),
  quote_literal: (_fc: FunctionCall, text: Uint8Array) => stringToText(quoteLiteral(textToString(text))),
  quote_nullable: (_fc: FunctionCall, text: Uint8Array | null) =>
    stringToText(text === null ? 'NULL' : quoteLiteral(textToString(text))),
};
