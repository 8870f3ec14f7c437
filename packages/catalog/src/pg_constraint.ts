/**
 * Constraints: rows of pg_constraint and what they depend on.
 */
import type { Oid } from '@pgtroupe/common/ids';
import { RelationRelationId } from './catalogs/pg_class.ts';
import { ConstraintRelationId, pgConstraint } from './catalogs/pg_constraint.ts';
import type { Form_pg_constraint } from './catalogs/pg_constraint.ts';
import { TypeRelationId } from './catalogs/pg_type.ts';
import type { CatalogWriter } from './catalogwriter.ts';
import { chooseName } from './names.ts';
import { objectAddress } from './objectaddress.ts';
import type { ObjectAddress } from './objectaddress.ts';
import { DEPENDENCY_AUTO, DEPENDENCY_NORMAL, recordDependenciesOn } from './pg_depend.ts';
import { CONRELID, CONSTROID, RELNAMENSP } from './syscache.ts';

const NONE = 0 as Oid;

/** A constraint to be made; what is left out has its usual value. */
export interface NewConstraint {
  readonly name: string;
  readonly namespace: Oid;
  /** CONSTRAINT_*. */
  readonly contype: string;
  /** 0 for a domain's. */
  readonly relid: Oid;
  readonly typid?: Oid;
  readonly keys: readonly number[] | null;
  readonly indexOid?: Oid;
  readonly deferrable?: boolean;
  readonly initiallyDeferred?: boolean;
  readonly validated?: boolean;
  readonly noInherit?: boolean;
  /** CHECK: the expression as pg_node_tree, and what it uses besides the columns in `keys`. */
  readonly conbin?: string;
  readonly references?: readonly ObjectAddress[];
  readonly foreign?: {
    readonly relid: Oid;
    readonly keys: readonly number[];
    readonly indexOid: Oid;
    readonly updateAction: string;
    readonly deleteAction: string;
    readonly match: string;
    /** Equality operators: primary = foreign, primary = primary, foreign = foreign. */
    readonly pfeqop: readonly Oid[];
    readonly ppeqop: readonly Oid[];
    readonly ffeqop: readonly Oid[];
    readonly deleteSetColumns: readonly number[] | null;
  };
}

export async function createConstraintEntry(w: CatalogWriter, con: NewConstraint): Promise<Oid> {
  const oid = await w.newOid(CONSTROID);
  const { foreign } = con;
  await w.insert<Form_pg_constraint>(pgConstraint, {
    oid,
    conname: con.name,
    connamespace: con.namespace,
    contype: con.contype,
    condeferrable: con.deferrable ?? false,
    condeferred: con.initiallyDeferred ?? false,
    convalidated: con.validated ?? true,
    conrelid: con.relid,
    contypid: con.typid ?? NONE,
    conindid: foreign?.indexOid ?? con.indexOid ?? NONE,
    conparentid: NONE,
    confrelid: foreign?.relid ?? NONE,
    confupdtype: foreign?.updateAction ?? ' ',
    confdeltype: foreign?.deleteAction ?? ' ',
    confmatchtype: foreign?.match ?? ' ',
    conislocal: true,
    coninhcount: 0,
    connoinherit: con.noInherit ?? false,
    conkey: con.keys,
    confkey: foreign?.keys ?? null,
    conpfeqop: foreign?.pfeqop ?? null,
    conppeqop: foreign?.ppeqop ?? null,
    conffeqop: foreign?.ffeqop ?? null,
    confdelsetcols: foreign?.deleteSetColumns ?? null,
    conexclop: null,
    conbin: con.conbin ?? null,
  });
  const self = objectAddress(ConstraintRelationId, oid);
  const columns = constrained(con);
  await recordDependenciesOn(w, self, columns, DEPENDENCY_AUTO);
  if (foreign !== undefined) {
    const referenced = foreign.keys.map(attnum => objectAddress(RelationRelationId, foreign.relid, attnum));
    await recordDependenciesOn(
      w,
      self,
      [...referenced, objectAddress(RelationRelationId, foreign.indexOid)],
      DEPENDENCY_NORMAL,
    );
  }
  await recordDependenciesOn(w, self, con.references ?? [], DEPENDENCY_NORMAL);
  return oid;
}

/** What the constraint goes with: columns, their whole table, or a domain. */
function constrained(con: NewConstraint): ObjectAddress[] {
  if (con.typid !== undefined) return [objectAddress(TypeRelationId, con.typid)];
  if (con.keys === null || con.keys.length === 0) return [objectAddress(RelationRelationId, con.relid)];
  return con.keys.map(attnum => objectAddress(RelationRelationId, con.relid, attnum));
}

/** A free constraint name of the form table_column_label. Index constraints need a free relation name too. */
export async function chooseConstraintName(
  w: CatalogWriter,
  table: { readonly oid: Oid; readonly name: string; readonly namespace: Oid },
  column: string,
  label: string,
  others: readonly string[],
): Promise<string> {
  const existing = table.oid === 0 ? [] : await w.searchList(CONRELID, table.oid);
  return chooseName(
    table.name,
    column,
    label,
    async name => others.includes(name) || existing.some(c => c.conname === name),
  );
}

/** A free relation name of the form table_column_label. */
export async function chooseRelationName(
  w: CatalogWriter,
  name1: string,
  name2: string,
  label: string,
  namespace: Oid,
  others: readonly string[] = [],
): Promise<string> {
  return chooseName(
    name1,
    name2,
    label,
    async name => others.includes(name) || (await w.search(RELNAMENSP, name, namespace)) !== null,
  );
}
