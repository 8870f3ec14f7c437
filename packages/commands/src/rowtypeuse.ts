/**
 * Who stores rows of a table's type: the columns of that type, also within domains, arrays and other row types, that
 * stand in the way when the table's rows would have to be written anew.
 */
import { ConstraintTypidIndexId, pgConstraint } from '@pgtroupe/catalog/catalogs/pg_constraint';
import { RelationRelationId } from '@pgtroupe/catalog/catalogs/pg_class';
import { DependReferenceIndexId, pgDepend } from '@pgtroupe/catalog/catalogs/pg_depend';
import { TypeRelationId } from '@pgtroupe/catalog/catalogs/pg_type';
import type { RelationDesc } from '@pgtroupe/catalog/relcache';
import { TYPEOID } from '@pgtroupe/catalog/syscache';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import type { CommandContext } from './command-context.ts';

const WITH_STORAGE = 'rimtSp';

export async function refuseStoredRowType(
  context: CommandContext,
  altered: RelationDesc,
  type = altered.rel.reltype,
): Promise<void> {
  const { w } = context;
  for (const { classid, objid, objsubid } of await w.scan(pgDepend, DependReferenceIndexId, TypeRelationId, type)) {
    if (classid === TypeRelationId) await refuseStoredRowType(context, altered, objid);
    if (classid !== RelationRelationId) continue;
    const user = await w.relation(objid);
    const attribute = user.attributes.find(a =>
      objsubid > 0 ? a.attnum === objsubid : a.atttypid === type && !a.attisdropped,
    );
    if (attribute === undefined) continue;
    if (WITH_STORAGE.includes(user.rel.relkind)) {
      const [what, uses] = altered.rel.relkind === 'c' ? ['type', 'it'] : ['table', 'its row type'];
      throw ereport(
        ERRCODE.FEATURE_NOT_SUPPORTED,
        `cannot alter ${what} "${altered.name}" because column "${user.name}.${attribute.attname}" uses ${uses}`,
      );
    }
    if (user.rel.reltype !== 0) await refuseStoredRowType(context, altered, user.rel.reltype);
  }
}

/** Whether the new column has a value in the rows that are there: rows elsewhere cannot be given one. */
export async function addedColumnHasValue(
  context: CommandContext,
  rel: RelationDesc,
  attnum: number,
): Promise<boolean> {
  const { atthasdef, attidentity, atttypid } = rel.attributes[attnum - 1]!;
  return atthasdef || attidentity !== '' || (await domainSaysSomething(context, atttypid));
}

/** A default, or a constraint that null must pass. */
async function domainSaysSomething(context: CommandContext, typid: Oid): Promise<boolean> {
  const type = (await context.w.search(TYPEOID, typid))!;
  if (type.typdefault !== null || type.typdefaultbin !== null) return true;
  if (type.typtype !== 'd') return false;
  if (type.typnotnull || (await context.w.scan(pgConstraint, ConstraintTypidIndexId, typid)).length > 0) return true;
  return domainSaysSomething(context, type.typbasetype);
}
