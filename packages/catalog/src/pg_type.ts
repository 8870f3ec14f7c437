/**
 * Creating types. Each comes with an array type over it; each table and view has a composite type of
 * its own.
 */
import {
  DEFAULT_COLLATION_OID,
  F_ARRAY_IN,
  F_ARRAY_OUT,
  F_ARRAY_RECV,
  F_ARRAY_SEND,
  F_ARRAY_SUBSCRIPT_HANDLER,
  F_ARRAY_TYPANALYZE,
  F_RECORD_IN,
  F_RECORD_OUT,
  F_RECORD_RECV,
  F_RECORD_SEND,
} from '@pgtroupe/common/oids';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import { RELKIND_COMPOSITE_TYPE, RelationRelationId } from './catalogs/pg_class.ts';
import { CollationRelationId } from './catalogs/pg_collation.ts';
import { NamespaceRelationId } from './catalogs/pg_namespace.ts';
import {
  pgType,
  TYPALIGN_DOUBLE,
  TYPALIGN_INT,
  TYPCATEGORY_ARRAY,
  TYPCATEGORY_COMPOSITE,
  TypeRelationId,
  TYPTYPE_BASE,
  TYPTYPE_COMPOSITE,
} from './catalogs/pg_type.ts';
import type { Form_pg_type } from './catalogs/pg_type.ts';
import type { CatalogWriter } from './catalogwriter.ts';
import { truncateIdentifier } from './names.ts';
import { objectAddress } from './objectaddress.ts';
import { DEPENDENCY_INTERNAL, DEPENDENCY_NORMAL, recordDependencyOn, recordDependencyOnOwner } from './pg_depend.ts';
import { TYPENAMENSP, TYPEOID } from './syscache.ts';

/** pg_proc oids of the functions all composite and all array types share. */
const NONE = 0 as Oid;

/** Values that most new types have. */
const PLAIN = {
  typispreferred: false,
  typisdefined: true,
  typdelim: ',',
  typrelid: NONE,
  typsubscript: NONE,
  typelem: NONE,
  typmodin: NONE,
  typmodout: NONE,
  typanalyze: NONE,
  typnotnull: false,
  typbasetype: NONE,
  typtypmod: -1,
  typndims: 0,
  typcollation: NONE,
  typdefaultbin: null,
  typdefault: null,
  typacl: null,
};

/** What a new type must say of itself; the rest is as in most. */
export type NewType = Omit<Form_pg_type, keyof typeof PLAIN | 'ctid' | 'xmin' | 'oid' | 'typarray'> &
  Partial<Form_pg_type>;

interface RowTypeOf {
  readonly relid: Oid;
  readonly name: string;
  readonly namespace: Oid;
  readonly owner: Oid;
  readonly relkind: string;
}

/** Creates the composite type and its array type; returns the composite type's oid. */
export async function createRowType(w: CatalogWriter, rel: RowTypeOf): Promise<Oid> {
  await makeRoomForTypeName(w, rel.name, rel.namespace, RELATION_TYPE_HINT);
  return createTypeWithArray(
    w,
    {
      typname: rel.name,
      typnamespace: rel.namespace,
      typowner: rel.owner,
      typlen: -1,
      typbyval: false,
      typtype: TYPTYPE_COMPOSITE,
      typcategory: TYPCATEGORY_COMPOSITE,
      typrelid: rel.relid,
      typinput: F_RECORD_IN,
      typoutput: F_RECORD_OUT,
      typreceive: F_RECORD_RECV,
      typsend: F_RECORD_SEND,
      typalign: TYPALIGN_DOUBLE,
      typstorage: 'x',
    },
    rel.relkind,
  );
}

/** Creates a type and the array type over it; returns the type's oid. */
export async function createTypeWithArray(w: CatalogWriter, type: NewType, relkind?: string): Promise<Oid> {
  const arrayOid = await w.newOid(TYPEOID);
  const oid = await w.newOid(TYPEOID);
  await w.insert<Form_pg_type>(pgType, { ...PLAIN, ...type, oid, typarray: arrayOid });
  await w.insert<Form_pg_type>(pgType, {
    ...PLAIN,
    oid: arrayOid,
    typname: await makeArrayTypeName(w, type.typname, type.typnamespace),
    typnamespace: type.typnamespace,
    typowner: type.typowner,
    typlen: -1,
    typbyval: false,
    typtype: TYPTYPE_BASE,
    typcategory: TYPCATEGORY_ARRAY,
    typdelim: type.typdelim ?? ',',
    typsubscript: F_ARRAY_SUBSCRIPT_HANDLER,
    typelem: oid,
    typarray: NONE,
    typinput: F_ARRAY_IN,
    typoutput: F_ARRAY_OUT,
    typreceive: F_ARRAY_RECV,
    typsend: F_ARRAY_SEND,
    typanalyze: F_ARRAY_TYPANALYZE,
    typalign: type.typalign === TYPALIGN_DOUBLE ? TYPALIGN_DOUBLE : TYPALIGN_INT,
    typstorage: 'x',
    typcollation: type.typcollation ?? NONE,
  });
  await recordTypeDependencies(w, oid, type, relkind);
  await recordDependencyOn(
    w,
    objectAddress(TypeRelationId, arrayOid),
    objectAddress(TypeRelationId, oid),
    DEPENDENCY_INTERNAL,
  );
  w.commandCounterIncrement();
  return oid;
}

/** A relation's row type is part of the relation; other types stand by themselves. */
async function recordTypeDependencies(
  w: CatalogWriter,
  oid: Oid,
  type: NewType,
  relkind: string | undefined,
): Promise<void> {
  const self = objectAddress(TypeRelationId, oid);
  const rel = objectAddress(RelationRelationId, type.typrelid ?? NONE);
  if (relkind !== undefined && relkind !== RELKIND_COMPOSITE_TYPE) {
    await recordDependencyOn(w, self, rel, DEPENDENCY_INTERNAL);
    return;
  }
  if (relkind !== undefined) await recordDependencyOn(w, rel, self, DEPENDENCY_INTERNAL);
  await recordDependencyOn(w, self, objectAddress(NamespaceRelationId, type.typnamespace), DEPENDENCY_NORMAL);
  await recordDependencyOnOwner(w, TypeRelationId, oid, type.typowner);
  if (type.typbasetype)
    await recordDependencyOn(w, self, objectAddress(TypeRelationId, type.typbasetype), DEPENDENCY_NORMAL);
  if (type.typcollation && type.typcollation !== DEFAULT_COLLATION_OID) {
    await recordDependencyOn(w, self, objectAddress(CollationRelationId, type.typcollation), DEPENDENCY_NORMAL);
  }
}

/** Underscores before the element type's name until it is free. */
export async function makeArrayTypeName(w: CatalogWriter, elementName: string, namespace: Oid): Promise<string> {
  for (let underscores = 1; ; underscores++) {
    const name = truncateIdentifier('_'.repeat(underscores) + elementName);
    if ((await w.search(TYPENAMENSP, name, namespace)) === null) return name;
  }
}

/** What a relation's name means for its type. */
const RELATION_TYPE_HINT =
  "A relation has an associated type of the same name, so you must use a name that doesn't conflict with any existing type.";

/**
 * A type of that name is in the way, unless it is an array type, which moves aside: answers which one did.
 */
export async function makeRoomForTypeName(
  w: CatalogWriter,
  name: string,
  namespace: Oid,
  hint?: string,
): Promise<Oid | null> {
  const old = await w.search(TYPENAMENSP, name, namespace);
  if (old === null) return null;
  const element = old.typelem === 0 ? null : await w.search(TYPEOID, old.typelem);
  if (element === null || element.typarray !== old.oid) {
    throw ereport(ERRCODE.DUPLICATE_OBJECT, `type "${name}" already exists`, hint === undefined ? {} : { hint });
  }
  await w.update(pgType, old, { typname: await makeArrayTypeName(w, name, namespace) });
  w.commandCounterIncrement();
  return old.oid;
}
