/**
 * Names of catalog objects as a deparsed text must spell them: qualified when the plain name would not
 * find the object in the session's search path.
 */
import type { Oid } from '@pgtroupe/common/ids';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';
import { AMOID } from '@pgtroupe/catalog/syscache';
import { formatType } from '@pgtroupe/parser/format_type';
import { quoteIdentifier, quoteQualifiedIdentifier } from '@pgtroupe/adt/quote';
import { funcGetDetail } from '@pgtroupe/parser/parse_func';
import { leftOperOrNull, operOrNull } from '@pgtroupe/parser/parse_oper';
import type { DeparseEnvironment } from './context.ts';
import type { DeparseNamespace } from './namespace.ts';

export function lookupFailed(what: string, oid: Oid): PgError {
  return ereport(ERRCODE.INTERNAL_ERROR, `cache lookup failed for ${what} ${oid}`);
}

/** A temporary table's schema goes by its alias. */
export function schemaName({ catalog }: DeparseEnvironment, namespace: Oid): string {
  if (namespace !== 0 && namespace === catalog.tempNamespace) return 'pg_temp';
  const name = catalog.namespaceName(namespace);
  if (name === null) throw lookupFailed('namespace', namespace);
  return name;
}

export function relationName(
  env: DeparseEnvironment,
  relid: Oid,
  namespaces: readonly DeparseNamespace[] = [],
): string {
  const rel = env.catalog.relationOrNull(relid);
  if (rel === null) throw lookupFailed('relation', relid);
  const hidden =
    namespaces.some(dpns => dpns.ctes.some(cte => cte.ctename === rel.relname)) || !env.catalog.relationIsVisible(rel);
  return quoteQualifiedIdentifier(hidden ? schemaName(env, rel.relnamespace) : null, rel.relname);
}

export function qualifiedRelationName(env: DeparseEnvironment, relid: Oid): string {
  const rel = env.catalog.relationOrNull(relid);
  if (rel === null) throw lookupFailed('relation', relid);
  return quoteQualifiedIdentifier(schemaName(env, rel.relnamespace), rel.relname);
}

export function attributeName(env: DeparseEnvironment, relid: Oid, attnum: number): string {
  const attr = env.catalog.attribute(relid, attnum);
  if (attr === null)
    throw ereport(ERRCODE.INTERNAL_ERROR, `cache lookup failed for attribute ${attnum} of relation ${relid}`);
  return attr.attname;
}

export function typeName(env: DeparseEnvironment, type: Oid, typmod: number): string {
  return formatType(env.catalog, type, { typmod });
}

export interface Call {
  readonly argnames: readonly string[];
  readonly argtypes: readonly Oid[];
  readonly variadic: boolean;
  /** cube and rollup mean something else here. */
  readonly inGroupBy: boolean;
}

export const NO_ARGUMENTS: Call = { argnames: [], argtypes: [], variadic: false, inGroupBy: false };

export function functionName(env: DeparseEnvironment, funcid: Oid, call: Call): string {
  const proc = env.catalog.procOrNull(funcid);
  if (proc === null) throw lookupFailed('function', funcid);
  const isKeyword = call.inGroupBy && (proc.proname === 'cube' || proc.proname === 'rollup');
  const visible = !isKeyword && functionIsFound(env, funcid, proc.proname, call);
  return quoteQualifiedIdentifier(visible ? null : schemaName(env, proc.pronamespace), proc.proname);
}

function functionIsFound(env: DeparseEnvironment, funcid: Oid, name: string, call: Call): boolean {
  const found = funcGetDetail(env.pstate, [name], [], call.argtypes, {
    argnames: call.argnames,
    expandVariadic: !call.variadic,
    expandDefaults: true,
    includeOut: false,
  });
  return (found.kind === 'normal' || found.kind === 'aggregate' || found.kind === 'window') && found.funcid === funcid;
}

export function operatorName(env: DeparseEnvironment, opno: Oid, left: Oid, right: Oid): string {
  const row = env.catalog.operOrNull(opno);
  if (row === null) throw lookupFailed('operator', opno);
  const names = [row.oprname];
  const found =
    row.oprkind === 'l' ? leftOperOrNull(env.pstate, names, right) : operOrNull(env.pstate, names, left, right);
  if (found !== null && found.oid === opno) return row.oprname;
  return `OPERATOR(${quoteIdentifier(schemaName(env, row.oprnamespace))}.${row.oprname})`;
}

function collationName(env: DeparseEnvironment, oid: Oid): string {
  const row = env.catalog.collation(oid);
  if (row === null) throw lookupFailed('collation', oid);
  const visible = env.catalog.collationOnPath(row.collname) === oid;
  return quoteQualifiedIdentifier(visible ? null : schemaName(env, row.collnamespace), row.collname);
}

/** ` name`, or nothing if it is the default class for that type (0: always named). */
export function opclassSuffix(env: DeparseEnvironment, opclass: Oid, type: Oid): string {
  const row = env.catalog.opclass(opclass);
  if (row === null) throw lookupFailed('opclass', opclass);
  if (type !== 0 && env.catalog.defaultOpclass(type, row.opcmethod)?.oid === opclass) return '';
  const visible = env.catalog.opclassOnPath(row.opcmethod, row.opcname) === opclass;
  return ` ${quoteQualifiedIdentifier(visible ? null : schemaName(env, row.opcnamespace), row.opcname)}`;
}

export function collateSuffix(env: DeparseEnvironment, oid: Oid): string {
  return ` COLLATE ${collationName(env, oid)}`;
}

export function accessMethodName(env: DeparseEnvironment, oid: Oid): string {
  const row = env.catalog.caches.search(AMOID, oid);
  if (row === null) throw lookupFailed('access method', oid);
  return row.amname;
}

/** A string as a literal; backslashes are doubled where they would escape. */
export function simpleQuoteLiteral(env: DeparseEnvironment, value: string): string {
  const doubled = value.replaceAll("'", "''");
  const standard = env.fc.settings.getConfigOption('standard_conforming_strings') !== 'off';
  return `'${standard ? doubled : doubled.replaceAll('\\', '\\\\')}'`;
}

/** name=value, ... of storage parameters. */
export function relOptions(env: DeparseEnvironment, options: readonly string[]): string {
  return options
    .map(option => {
      const at = option.indexOf('=');
      const name = at < 0 ? option : option.slice(0, at);
      const value = at < 0 ? '' : option.slice(at + 1);
      return `${quoteIdentifier(name)}=${quoteIdentifier(value) === value ? value : simpleQuoteLiteral(env, value)}`;
    })
    .join(', ');
}
