/**
 * What a GRANT or REVOKE is about: tables, columns, sequences, schemas, databases, types, functions, languages, and
 * all tables, sequences or functions of a schema.
 */
import { ACL_USAGE } from '@pgtroupe/catalog/acl';
import { ACL_ALL_RIGHTS_COLUMN, type AclObject } from '@pgtroupe/catalog/aclchk';
import type { AclItem, Catalog, CatalogRow } from '@pgtroupe/catalog/catalog';
import { pgAttribute } from '@pgtroupe/catalog/catalogs/pg_attribute';
import { pgClass, RelationRelationId } from '@pgtroupe/catalog/catalogs/pg_class';
import { type Form_pg_database, pgDatabase } from '@pgtroupe/catalog/catalogs/pg_database';
import { type Form_pg_language, pgLanguage } from '@pgtroupe/catalog/catalogs/pg_language';
import { type Form_pg_namespace, pgNamespace } from '@pgtroupe/catalog/catalogs/pg_namespace';
import { type Form_pg_proc, pgProc } from '@pgtroupe/catalog/catalogs/pg_proc';
import { type Form_pg_type, pgType } from '@pgtroupe/catalog/catalogs/pg_type';
import type { RelationDesc } from '@pgtroupe/catalog/relcache';
import { DATABASENAME, LANGNAME, NAMESPACENAME, PROCNAMEARGSNSP, RELNAMENSP } from '@pgtroupe/catalog/syscache';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import { ACCESS_SHARE_LOCK } from '@pgtroupe/storage/lmgr/locktag';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { typenameType } from '@pgtroupe/parser/parse_type';
import type { CommandContext } from './command-context.ts';
import { lookupFunction } from './missingobject.ts';

/** An object whose list is to be changed. */
export interface Target {
  readonly kind: AclObject;
  readonly word: string;
  readonly name: string;
  /** As warnings name it. */
  readonly quoted: string;
  readonly classId: Oid;
  readonly oid: Oid;
  readonly subId: number;
  readonly owner: Oid;
  readonly acl: readonly AclItem[] | null;
  write(acl: readonly AclItem[]): Promise<unknown>;
}

export interface Wanted {
  /** -1: ALL. */
  readonly privileges: number;
  readonly columns: readonly { readonly privileges: number; readonly names: readonly string[] }[];
}

/** One after the other: who is named twice is read again behind what was done to it. */
export async function* grantTargets(
  context: CommandContext,
  stmt: RawNode,
  wanted: Wanted,
): AsyncGenerator<{ target: Target; privileges: number }> {
  const all = { privileges: wanted.privileges };
  if (stmt.targtype === 'ACL_TARGET_ALL_IN_SCHEMA') {
    for (const target of await targetsInSchemas(context, stmt)) yield { target, ...all };
    return;
  }
  for (const object of stmt.objects as RawNode[]) {
    switch (stmt.objtype) {
      case 'OBJECT_TABLE':
      case 'OBJECT_SEQUENCE': {
        const rel = await context.openRelation(object, ACCESS_SHARE_LOCK);
        if ('iI'.includes(rel.rel.relkind)) throw ereport(ERRCODE.WRONG_OBJECT_TYPE, `"${rel.name}" is an index`);
        if (rel.rel.relkind === 'c') throw ereport(ERRCODE.WRONG_OBJECT_TYPE, `"${rel.name}" is a composite type`);
        if (stmt.objtype === 'OBJECT_SEQUENCE' && rel.rel.relkind !== 'S')
          throw ereport(ERRCODE.WRONG_OBJECT_TYPE, `"${rel.name}" is not a sequence`);
        if (wanted.privileges !== 0) yield { target: relationTarget(context, rel), ...all };
        for (const [name, privileges] of wantedOfColumns(rel, wanted, stmt.is_grant === true))
          yield { target: columnTarget(context, rel, name), privileges };
        break;
      }
      case 'OBJECT_SCHEMA': {
        const row = await schemaNamed(context, object.sval);
        yield {
          target: rowTarget(context, pgNamespace, row, {
            kind: 'schema',
            oid: row.oid,
            name: row.nspname,
            owner: row.nspowner,
            acl: 'nspacl',
          }),
          ...all,
        };
        break;
      }
      case 'OBJECT_DATABASE': {
        const row = await databaseNamed(context, object.sval);
        yield {
          target: rowTarget(context, pgDatabase, row, {
            kind: 'database',
            oid: row.oid,
            name: row.datname,
            owner: row.datdba,
            acl: 'datacl',
          }),
          ...all,
        };
        break;
      }
      case 'OBJECT_TYPE':
      case 'OBJECT_DOMAIN': {
        const type = await typeNamed(context, object);
        yield {
          target: rowTarget(context, pgType, type, {
            kind: 'type',
            oid: type.oid,
            name: type.typname,
            owner: type.typowner,
            acl: 'typacl',
          }),
          ...all,
        };
        break;
      }
      case 'OBJECT_FUNCTION':
      case 'OBJECT_PROCEDURE':
      case 'OBJECT_ROUTINE': {
        const proc = await functionNamed(context, stmt.objtype, object);
        yield { target: functionTarget(context, proc), ...all };
        break;
      }
      case 'OBJECT_LANGUAGE': {
        const row = await languageNamed(context, object.sval);
        if (!row.lanpltrusted) {
          throw ereport(ERRCODE.WRONG_OBJECT_TYPE, `language "${row.lanname}" is not trusted`, {
            detail:
              'GRANT and REVOKE are not allowed on untrusted languages, because only superusers can use untrusted languages.',
          });
        }
        yield {
          target: rowTarget(context, pgLanguage, row, {
            kind: 'language',
            oid: row.oid,
            name: row.lanname,
            owner: row.lanowner,
            acl: 'lanacl',
          }),
          ...all,
        };
        break;
      }
      default:
        throw notSupported(`GRANT ON ${String(stmt.objtype).replace('OBJECT_', '').replaceAll('_', ' ')}`);
    }
  }
}

/** All that is named is there: asked before who is to have rights, and which. */
export async function checkObjectsExist(
  context: CommandContext,
  { targtype, objtype, objects }: RawNode,
): Promise<void> {
  const inSchemas = targtype === 'ACL_TARGET_ALL_IN_SCHEMA';
  for (const object of objects as RawNode[]) {
    if (inSchemas || objtype === 'OBJECT_SCHEMA') await schemaNamed(context, object.sval);
    else if (objtype === 'OBJECT_TABLE' || objtype === 'OBJECT_SEQUENCE')
      await context.openRelation(object, ACCESS_SHARE_LOCK);
    else if (objtype === 'OBJECT_DATABASE') await databaseNamed(context, object.sval);
    else if (objtype === 'OBJECT_TYPE' || objtype === 'OBJECT_DOMAIN') await typeNamed(context, object);
    else if (objtype === 'OBJECT_LANGUAGE') await languageNamed(context, object.sval);
    else if (/FUNCTION|PROCEDURE|ROUTINE/.test(objtype)) await functionNamed(context, objtype, object);
  }
}

async function schemaNamed({ w }: CommandContext, name: string): Promise<Form_pg_namespace> {
  const row = await w.search(NAMESPACENAME, name);
  if (row === null) throw ereport(ERRCODE.UNDEFINED_SCHEMA, `schema "${name}" does not exist`);
  return row;
}

async function databaseNamed({ w }: CommandContext, name: string): Promise<Form_pg_database> {
  const row = await w.search(DATABASENAME, name);
  if (row === null) throw ereport(ERRCODE.UNDEFINED_DATABASE, `database "${name}" does not exist`);
  return row;
}

async function languageNamed({ w }: CommandContext, name: string): Promise<Form_pg_language> {
  const row = await w.search(LANGNAME, name);
  if (row === null) throw ereport(ERRCODE.UNDEFINED_OBJECT, `language "${name}" does not exist`);
  return row;
}

async function typeNamed(context: CommandContext, object: RawNode): Promise<Form_pg_type> {
  const name = { type: 'TypeName', names: object.items, typemod: -1, location: -1 };
  return (await context.w.read(() => typenameType(context.parseState(), name))).type;
}

async function functionNamed(context: CommandContext, objtype: string, object: RawNode): Promise<Form_pg_proc> {
  const proc = await lookupFunction(context, objtype, object);
  if ('message' in proc) throw ereport(proc.sqlstate, proc.message);
  return proc;
}

/** By column what is said of it; what is taken from the table is taken from its columns, too. */
function wantedOfColumns(rel: RelationDesc, { privileges, columns }: Wanted, grants: boolean): Map<string, number> {
  const byName = new Map<string, number>();
  const want = (name: string, rights: number): void => void byName.set(name, (byName.get(name) ?? 0) | rights);
  const taken = privileges === -1 ? ACL_ALL_RIGHTS_COLUMN : privileges & ACL_ALL_RIGHTS_COLUMN;
  if (!grants && taken !== 0)
    for (const { attacl, attisdropped, attname } of rel.attributes)
      if (attacl !== null && !attisdropped) want(attname, taken);
  for (const { names, privileges: rights } of columns) for (const name of names) want(name, rights);
  return byName;
}

/** An object that is a row of its own; `acl` is the column that says who may do what. */
function rowTarget<Row extends CatalogRow>(
  context: CommandContext,
  catalog: Catalog<Row>,
  row: Row,
  object: Pick<Target, 'kind' | 'oid' | 'name' | 'owner'> & { readonly acl: keyof Row },
): Target {
  const { kind, oid, name, owner, acl } = object;
  return {
    kind,
    word: kind,
    name,
    quoted: `"${name}"`,
    classId: catalog.oid,
    oid,
    subId: 0,
    owner,
    acl: row[acl] as readonly AclItem[] | null,
    write: value => context.w.update(catalog, row, { [acl]: value } as unknown as Partial<Row>),
  };
}

function relationTarget(context: CommandContext, { rel }: RelationDesc): Target {
  const kind = rel.relkind === 'S' ? 'sequence' : 'relation';
  const word = { S: 'sequence', v: 'view', m: 'materialized view' }[rel.relkind] ?? 'table';
  return {
    ...rowTarget(context, pgClass, rel, { kind, oid: rel.oid, name: rel.relname, owner: rel.relowner, acl: 'relacl' }),
    word,
  };
}

function columnTarget(context: CommandContext, rel: RelationDesc, name: string): Target {
  const attribute = rel.attributes.find(a => a.attname === name && !a.attisdropped);
  if (attribute === undefined)
    throw ereport(ERRCODE.UNDEFINED_COLUMN, `column "${name}" of relation "${rel.name}" does not exist`);
  return {
    ...rowTarget(context, pgAttribute, attribute, {
      kind: 'column',
      oid: rel.oid,
      name,
      owner: rel.rel.relowner,
      acl: 'attacl',
    }),
    classId: RelationRelationId,
    subId: attribute.attnum,
    quoted: `column "${name}" of relation "${rel.name}"`,
    // A column whose last right was taken away is as one that never had a list.
    write: acl => context.w.update(pgAttribute, attribute, { attacl: acl.length > 0 ? acl : null }),
  };
}

function functionTarget(context: CommandContext, proc: Form_pg_proc): Target {
  const { oid, proname, proowner } = proc;
  const target = rowTarget(context, pgProc, proc, {
    kind: 'function',
    oid,
    name: proname,
    owner: proowner,
    acl: 'proacl',
  });
  return { ...target, word: proc.prokind === 'p' ? 'procedure' : 'function' };
}

const RELKINDS: Readonly<Record<string, string>> = { OBJECT_TABLE: 'rvmfp', OBJECT_SEQUENCE: 'S' };

/** What is in the schemas now; what is made later is ALTER DEFAULT PRIVILEGES's. */
async function targetsInSchemas(context: CommandContext, stmt: RawNode): Promise<Target[]> {
  const { w } = context;
  const found: Target[] = [];
  for (const { sval } of stmt.objects as RawNode[]) {
    const schema = await schemaNamed(context, sval);
    await context.checkRight('schema', schema.oid, ACL_USAGE, sval);
    const relkinds = RELKINDS[stmt.objtype as string];
    if (relkinds === undefined) {
      const procs = (await w.searchList(PROCNAMEARGSNSP)).filter(proc => proc.pronamespace === schema.oid);
      const isWanted = (proc: Form_pg_proc): boolean =>
        stmt.objtype === 'OBJECT_ROUTINE' || (proc.prokind === 'p') === (stmt.objtype === 'OBJECT_PROCEDURE');
      found.push(...procs.filter(isWanted).map(proc => functionTarget(context, proc)));
    } else {
      const relations = (await w.searchList(RELNAMENSP)).filter(
        rel => rel.relnamespace === schema.oid && relkinds.includes(rel.relkind),
      );
      for (const { oid } of relations) found.push(relationTarget(context, await w.relation(oid)));
    }
  }
  return found;
}
