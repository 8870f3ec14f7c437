/**
 * Row types of relations: each table and view has a composite type of its own and an array over it.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import { RelationRelationId } from './catalogs/pg_class.ts';
import {
  pgType,
  TypeRelationId,
  TYPALIGN_DOUBLE,
  TYPCATEGORY_ARRAY,
  TYPCATEGORY_COMPOSITE,
  TYPTYPE_BASE,
  TYPTYPE_COMPOSITE,
} from './catalogs/pg_type.ts';
import type { Form_pg_type } from './catalogs/pg_type.ts';
import type { CatalogWriter } from './catalogwriter.ts';
import { truncateIdentifier } from './names.ts';
import { objectAddress } from './objectaddress.ts';
import { DEPENDENCY_INTERNAL, recordDependencyOn } from './pg_depend.ts';
import { TYPENAMENSP, TYPEOID } from './syscache.ts';

/** pg_proc oids of the functions all composite and all array types share. */
const F_RECORD_IN = 2290 as Oid;
const F_RECORD_OUT = 2291 as Oid;
const F_RECORD_RECV = 2402 as Oid;
const F_RECORD_SEND = 2403 as Oid;
const F_ARRAY_IN = 750 as Oid;
const F_ARRAY_OUT = 751 as Oid;
const F_ARRAY_RECV = 2400 as Oid;
const F_ARRAY_SEND = 2401 as Oid;
const F_ARRAY_TYPANALYZE = 3816 as Oid;
const F_ARRAY_SUBSCRIPT_HANDLER = 6179 as Oid;
const NONE = 0 as Oid;

/** What the two types have in common. */
const SHAPE = {
  typlen: -1,
  typbyval: false,
  typispreferred: false,
  typisdefined: true,
  typdelim: ',',
  typmodin: NONE,
  typmodout: NONE,
  typalign: TYPALIGN_DOUBLE,
  typstorage: 'x',
  typnotnull: false,
  typbasetype: NONE,
  typtypmod: -1,
  typndims: 0,
  typcollation: NONE,
  typdefaultbin: null,
  typdefault: null,
  typacl: null,
};

interface RowTypeOf {
  readonly relid: Oid;
  readonly name: string;
  readonly namespace: Oid;
  readonly owner: Oid;
}

/** Creates the composite type and its array type; returns the composite type's oid. */
export async function createRowType(w: CatalogWriter, rel: RowTypeOf): Promise<Oid> {
  await makeRoomForTypeName(w, rel.name, rel.namespace);
  const arrayOid = await w.newOid(TYPEOID);
  const oid = await w.newOid(TYPEOID);
  const common = { ...SHAPE, typnamespace: rel.namespace, typowner: rel.owner };
  await w.insert<Form_pg_type>(pgType, {
    ...common,
    oid,
    typname: rel.name,
    typtype: TYPTYPE_COMPOSITE,
    typcategory: TYPCATEGORY_COMPOSITE,
    typrelid: rel.relid,
    typsubscript: NONE,
    typelem: NONE,
    typarray: arrayOid,
    typinput: F_RECORD_IN,
    typoutput: F_RECORD_OUT,
    typreceive: F_RECORD_RECV,
    typsend: F_RECORD_SEND,
    typanalyze: NONE,
  });
  await w.insert<Form_pg_type>(pgType, {
    ...common,
    oid: arrayOid,
    typname: await makeArrayTypeName(w, rel.name, rel.namespace),
    typtype: TYPTYPE_BASE,
    typcategory: TYPCATEGORY_ARRAY,
    typrelid: NONE,
    typsubscript: F_ARRAY_SUBSCRIPT_HANDLER,
    typelem: oid,
    typarray: NONE,
    typinput: F_ARRAY_IN,
    typoutput: F_ARRAY_OUT,
    typreceive: F_ARRAY_RECV,
    typsend: F_ARRAY_SEND,
    typanalyze: F_ARRAY_TYPANALYZE,
  });
  await recordDependencyOn(
    w,
    objectAddress(TypeRelationId, oid),
    objectAddress(RelationRelationId, rel.relid),
    DEPENDENCY_INTERNAL,
  );
  await recordDependencyOn(
    w,
    objectAddress(TypeRelationId, arrayOid),
    objectAddress(TypeRelationId, oid),
    DEPENDENCY_INTERNAL,
  );
  return oid;
}

/** Underscores before the element type's name until it is free. */
export async function makeArrayTypeName(
  w: CatalogWriter,
  elementName: string,
  namespace: Oid,
): Promise<string> {
  for (let underscores = 1; ; underscores++) {
    const name = truncateIdentifier('_'.repeat(underscores) + elementName);
    if ((await w.search(TYPENAMENSP, name, namespace)) === null) return name;
  }
}

/** A type of the relation's name is in the way, unless it is an array type, which moves aside. */
async function makeRoomForTypeName(w: CatalogWriter, name: string, namespace: Oid): Promise<void> {
  const old = await w.search(TYPENAMENSP, name, namespace);
  if (old === null) return;
  const element = old.typelem === 0 ? null : await w.search(TYPEOID, old.typelem);
  if (element === null || element.typarray !== old.oid) {
    throw ereport(ERRCODE.DUPLICATE_OBJECT, `type "${name}" already exists`, {
      hint: "A relation has an associated type of the same name, so you must use a name that doesn't conflict with any existing type.",
    });
  }
  await w.update(pgType, old, { typname: await makeArrayTypeName(w, name, namespace) });
  w.commandCounterIncrement();
}
