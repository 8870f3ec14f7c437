/**
 * Objects that a command names and that are not there: the complaint, or with IF EXISTS the notice, in PostgreSQL's words.
 * Also for kinds of objects that cannot be made yet, so that a script which drops what may be there goes on.
 */
import type { Form_pg_proc } from '@pgtroupe/catalog/catalogs/pg_proc';
import { NAMESPACENAME, PROCNAMEARGSNSP } from '@pgtroupe/catalog/syscache';
import { ERRCODE, type Sqlstate } from '@pgtroupe/common/errcodes';
import { ereport, notSupported } from '@pgtroupe/common/ereport';
import { ACCESS_SHARE_LOCK } from '@pgtroupe/storage/lmgr/locktag';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { rawStrings } from '@pgtroupe/parser/parse_node';
import { rawParse } from '@pgtroupe/parser/parser';
import { lookupTypeName, typenameType, typeNameToString } from '@pgtroupe/parser/parse_type';
import { type CommandContext, rangeVarOfNames } from './command-context.ts';

interface ObjectKind {
  readonly word: string;
  readonly catalog: string;
  readonly column: string;
}

/** Kinds whose name alone finds them. */
const BY_NAME: Readonly<Record<string, ObjectKind>> = {
  OBJECT_ACCESS_METHOD: { word: 'access method', catalog: 'pg_am', column: 'amname' },
  OBJECT_COLLATION: { word: 'collation', catalog: 'pg_collation', column: 'collname' },
  OBJECT_CONVERSION: { word: 'conversion', catalog: 'pg_conversion', column: 'conname' },
  OBJECT_EVENT_TRIGGER: { word: 'event trigger', catalog: 'pg_event_trigger', column: 'evtname' },
  OBJECT_EXTENSION: { word: 'extension', catalog: 'pg_extension', column: 'extname' },
  OBJECT_FDW: { word: 'foreign-data wrapper', catalog: 'pg_foreign_data_wrapper', column: 'fdwname' },
  OBJECT_FOREIGN_SERVER: { word: 'server', catalog: 'pg_foreign_server', column: 'srvname' },
  OBJECT_LANGUAGE: { word: 'language', catalog: 'pg_language', column: 'lanname' },
  OBJECT_OPCLASS: { word: 'operator class', catalog: 'pg_opclass', column: 'opcname' },
  OBJECT_OPFAMILY: { word: 'operator family', catalog: 'pg_opfamily', column: 'opfname' },
  OBJECT_PUBLICATION: { word: 'publication', catalog: 'pg_publication', column: 'pubname' },
  OBJECT_STATISTIC_EXT: { word: 'statistics object', catalog: 'pg_statistic_ext', column: 'stxname' },
  OBJECT_SUBSCRIPTION: { word: 'subscription', catalog: 'pg_subscription', column: 'subname' },
  OBJECT_TABLESPACE: { word: 'tablespace', catalog: 'pg_tablespace', column: 'spcname' },
  OBJECT_TSCONFIGURATION: { word: 'text search configuration', catalog: 'pg_ts_config', column: 'cfgname' },
  OBJECT_TSDICTIONARY: { word: 'text search dictionary', catalog: 'pg_ts_dict', column: 'dictname' },
  OBJECT_TSPARSER: { word: 'text search parser', catalog: 'pg_ts_parser', column: 'prsname' },
  OBJECT_TSTEMPLATE: { word: 'text search template', catalog: 'pg_ts_template', column: 'tmplname' },
};

/** Kinds that belong to a table: object is the table's name with the object's behind it. */
const OF_TABLE: Readonly<Record<string, { readonly kind: ObjectKind; readonly of: string; readonly table: string }>> = {
  OBJECT_TRIGGER: {
    kind: { word: 'trigger', catalog: 'pg_trigger', column: 'tgname' },
    of: 'table',
    table: 'tgrelid',
  },
  OBJECT_RULE: { kind: { word: 'rule', catalog: 'pg_rewrite', column: 'rulename' }, of: 'relation', table: 'ev_class' },
  OBJECT_POLICY: { kind: { word: 'policy', catalog: 'pg_policy', column: 'polname' }, of: 'table', table: 'polrelid' },
};

const FUNCTIONS = new Set(['OBJECT_FUNCTION', 'OBJECT_PROCEDURE', 'OBJECT_ROUTINE', 'OBJECT_AGGREGATE']);

/** What is said of something that is not there. */
export interface Missing {
  readonly sqlstate: Sqlstate;
  readonly message: string;
  /** With IF EXISTS, where it differs. */
  readonly skipping?: string;
}

/** The complaint about an object of a kind that is not built, undefined if it does exist. */
export async function missingObject(
  context: CommandContext,
  kind: string,
  object: RawNode,
): Promise<Missing | undefined> {
  if (FUNCTIONS.has(kind)) return missingFunction(context, kind, object);
  const names = object.sval === undefined ? rawStrings(object.items ?? []) : [object.sval as string];
  const ofTable = OF_TABLE[kind];
  if (ofTable !== undefined) return missingOfTable(context, ofTable, names);
  const known = BY_NAME[kind];
  if (known === undefined) throw notSupported(kind.replace('OBJECT_', '').replaceAll('_', ' ').toLowerCase());
  if (await exists(context, known, names.at(-1)!)) return undefined;
  const perMethod = kind === 'OBJECT_OPCLASS' || kind === 'OBJECT_OPFAMILY';
  const name = (perMethod ? names.slice(1) : names).join('.');
  const tail = perMethod ? ` for access method "${names[0]!}"` : '';
  const encoding = kind === 'OBJECT_COLLATION' ? ' for encoding "UTF8"' : '';
  return {
    sqlstate: ERRCODE.UNDEFINED_OBJECT,
    message: `${known.word} "${name}"${encoding} does not exist${tail}`,
    skipping: `${known.word} "${name}" does not exist${tail}, skipping`,
  };
}

/** Nothing of the kind can be changed yet: says that it is missing or that this is not built. */
export async function refuseObject(
  context: CommandContext,
  kind: string,
  object: RawNode,
  what: string,
): Promise<never> {
  const missing = await missingObject(context, kind, object);
  if (missing !== undefined) throw ereport(missing.sqlstate, missing.message);
  throw notSupported(what);
}

async function missingOfTable(
  context: CommandContext,
  { kind, of, table }: { readonly kind: ObjectKind; readonly of: string; readonly table: string },
  names: readonly string[],
): Promise<Missing | undefined> {
  const relation = rangeVarOfNames(names.slice(0, -1));
  const rel = await context.tryOpenRelation(relation, ACCESS_SHARE_LOCK);
  const tableName = names.slice(0, -1).join('.');
  if (rel === null) {
    const message = `relation "${tableName}" does not exist`;
    return { sqlstate: ERRCODE.UNDEFINED_TABLE, message, skipping: `${message}, skipping` };
  }
  const name = names.at(-1)!;
  if (await exists(context, kind, name, `${table} = ${rel.oid}`)) return undefined;
  const message = `${kind.word} "${name}" for ${of} "${rel.name}" does not exist`;
  return {
    sqlstate: ERRCODE.UNDEFINED_OBJECT,
    message,
    skipping: `${kind.word} "${name}" for relation "${tableName}" does not exist, skipping`,
  };
}

async function exists(context: CommandContext, kind: ObjectKind, name: string, also?: string): Promise<boolean> {
  const { select } = context.session;
  if (select === undefined) throw notSupported(`looking for a ${kind.word}`);
  const literal = name.replaceAll("'", "''");
  const text = `select 1 from pg_catalog.${kind.catalog} where ${kind.column} = '${literal}'${also === undefined ? '' : ` and ${also}`} limit 1`;
  return (await select(rawParse(text)[0]!.stmt)).length > 0;
}

const FUNCTION_WORDS: Readonly<Record<string, readonly [article: string, word: string]>> = {
  OBJECT_PROCEDURE: ['a procedure', 'procedure'],
  OBJECT_AGGREGATE: ['an aggregate', 'aggregate'],
};

async function missingFunction(context: CommandContext, kind: string, object: RawNode): Promise<Missing | undefined> {
  const found = await lookupFunction(context, kind, object);
  return 'message' in found ? found : undefined;
}

/** The function, procedure or aggregate that is meant, or what is said of one that is not there. */
export async function lookupFunction(
  context: CommandContext,
  kind: string,
  object: RawNode,
): Promise<Form_pg_proc | Missing> {
  const names = rawStrings(object.objname);
  const name = names.join('.');
  const [article, word] = FUNCTION_WORDS[kind] ?? ['a function', 'function'];
  const all = await visibleFunctions(context, names);
  const isWanted = ({ prokind }: Form_pg_proc): boolean =>
    kind === 'OBJECT_PROCEDURE' ? prokind === 'p' : kind !== 'OBJECT_FUNCTION' || prokind !== 'p';
  const wanted = all.filter(isWanted);
  if (object.args_unspecified) {
    if (wanted.length === 1) return wanted[0]!;
    if (wanted.length > 1) {
      throw ereport(ERRCODE.AMBIGUOUS_FUNCTION, `${word} name "${name}" is not unique`, {
        hint: `Specify the argument list to select the ${word} unambiguously.`,
      });
    }
    const message = `could not find ${article} named "${name}"`;
    return { sqlstate: ERRCODE.UNDEFINED_FUNCTION, message, skipping: `${word} ${name}() does not exist, skipping` };
  }
  const args = (object.objargs ?? []) as RawNode[];
  const written = args.map(arg => typeNameToString(arg)).join(',');
  const skipping = `${word} ${name}(${written}) does not exist, skipping`;
  for (const arg of args) {
    const found = await context.w.read(() => lookupTypeName(context.parseState(), arg));
    if (found !== null) continue;
    const type = typeNameToString(arg);
    return {
      sqlstate: ERRCODE.UNDEFINED_OBJECT,
      message: `type "${type}" does not exist`,
      skipping: `type "${type}" does not exist, skipping`,
    };
  }
  const types = await context.w.read(() => args.map(arg => typenameType(context.parseState(), arg).type));
  const found = all.find(
    proc => proc.proargtypes.length === types.length && types.every((type, i) => proc.proargtypes[i] === type.oid),
  );
  if (found !== undefined && isWanted(found)) return found;
  const shown = await context.w.read(() => types.map(type => context.parseState().typeName(type.oid)).join(', '));
  if (found !== undefined) throw ereport(ERRCODE.WRONG_OBJECT_TYPE, `${name}(${shown}) is not ${article}`);
  const list = kind === 'OBJECT_AGGREGATE' && types.length === 0 ? '*' : shown;
  return { sqlstate: ERRCODE.UNDEFINED_FUNCTION, message: `${word} ${name}(${list}) does not exist`, skipping };
}

/** Of the schema that is named, or of those of the search path, in its order. */
async function visibleFunctions(context: CommandContext, names: readonly string[]): Promise<Form_pg_proc[]> {
  const { w, lookup } = context;
  const all = await w.searchList(PROCNAMEARGSNSP, names.at(-1)!);
  const schema = names.at(-2);
  if (schema !== undefined) {
    const namespace = await w.search(NAMESPACENAME, schema);
    if (namespace === null) throw ereport(ERRCODE.UNDEFINED_SCHEMA, `schema "${schema}" does not exist`);
    return all.filter(proc => proc.pronamespace === namespace.oid);
  }
  const { searchPath } = lookup;
  return all
    .filter(proc => searchPath.includes(proc.pronamespace))
    .sort((a, b) => searchPath.indexOf(a.pronamespace) - searchPath.indexOf(b.pronamespace));
}
