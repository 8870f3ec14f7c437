/**
 * ALTER TABLE … OWNER TO, and what goes along with a relation: its row type, its columns' access lists, its indexes, its
 * TOAST table and the sequences that belong to its columns (ATExecChangeOwner).
 */
import { ACL_CREATE } from '@pgtroupe/catalog/acl';
import type { AclItem } from '@pgtroupe/catalog/catalog';
import { pgAttribute } from '@pgtroupe/catalog/catalogs/pg_attribute';
import { pgClass, RelationRelationId } from '@pgtroupe/catalog/catalogs/pg_class';
import { DependReferenceIndexId, DependDependerIndexId, pgDepend } from '@pgtroupe/catalog/catalogs/pg_depend';
import { pgType } from '@pgtroupe/catalog/catalogs/pg_type';
import { changeDependencyOnOwner, DEPENDENCY_AUTO, DEPENDENCY_INTERNAL } from '@pgtroupe/catalog/pg_depend';
import type { RelationDesc } from '@pgtroupe/catalog/relcache';
import { NAMESPACEOID, TYPEOID } from '@pgtroupe/catalog/syscache';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import { ACCESS_EXCLUSIVE_LOCK } from '@pgtroupe/storage/lmgr/locktag';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import type { CommandContext } from './command-context.ts';
import { resolveRole } from './schemacmds.ts';

const RELKIND_SEQUENCE = 'S';
/** Those whose owner pg_shdepend knows; of what belongs to another relation it does not. */
const HAS_OWNER_ENTRY = 'rvmSfp';

export async function changeRelationOwner(context: CommandContext, rel: RelationDesc, role: RawNode): Promise<void> {
  const owner = await resolveRole(context, role);
  if (rel.rel.relowner === owner.oid) return;
  if (rel.rel.relkind === 'i') {
    context.w.store.notice(`cannot change owner of index "${rel.name}"`, {
      severity: 'WARNING',
      sqlstate: ERRCODE.WRONG_OBJECT_TYPE,
      hint: "Change the ownership of the index's table, instead.",
    });
    return;
  }
  if (rel.rel.relkind === RELKIND_SEQUENCE) await refuseLinked(context, rel);
  await mayGive(context, rel, owner);
  await give(context, rel.oid, owner.oid);
}

async function refuseLinked(context: CommandContext, sequence: RelationDesc): Promise<void> {
  const { w } = context;
  for (const row of await w.scan(pgDepend, DependDependerIndexId, RelationRelationId, sequence.oid)) {
    if (row.refclassid !== RelationRelationId || !isLink(row.deptype)) continue;
    const table = await w.relation(row.refobjid);
    throw ereport(ERRCODE.FEATURE_NOT_SUPPORTED, `cannot change owner of sequence "${sequence.name}"`, {
      detail: `Sequence "${sequence.name}" is linked to table "${table.name}".`,
    });
  }
}

function isLink(deptype: string): boolean {
  return deptype === DEPENDENCY_AUTO || deptype === DEPENDENCY_INTERNAL;
}

/** Who is no superuser gives only to a role that he is a member of, and that might have made it there. */
async function mayGive(
  context: CommandContext,
  { rel }: RelationDesc,
  owner: { readonly oid: Oid; readonly name: string },
): Promise<void> {
  const { w } = context;
  const verdict = await context.judge((acl, userId) => {
    if (acl.isSuperuser(userId)) return 'may';
    if (!acl.isMemberOfRole(userId, owner.oid)) return 'no member';
    return acl.objectCheck('schema', rel.relnamespace, owner.oid, ACL_CREATE) ? 'may' : 'no right';
  });
  if (verdict === 'no member') throw ereport(ERRCODE.INSUFFICIENT_PRIVILEGE, `must be member of role "${owner.name}"`);
  if (verdict === 'no right') {
    const { nspname } = (await w.search(NAMESPACEOID, rel.relnamespace))!;
    throw ereport(ERRCODE.INSUFFICIENT_PRIVILEGE, `permission denied for schema ${nspname}`);
  }
}

async function give(context: CommandContext, oid: Oid, owner: Oid): Promise<void> {
  const { w } = context;
  const desc = await w.relation(oid);
  const { rel } = desc;
  if (rel.relowner === owner) return;
  const indexes = await w.read(() => desc.indexes);
  await w.update(pgClass, rel, { relowner: owner, relacl: aclNewOwner(rel.relacl, rel.relowner, owner) });
  for (const attribute of desc.attributes)
    if (attribute.attacl !== null)
      await w.update(pgAttribute, attribute, { attacl: aclNewOwner(attribute.attacl, rel.relowner, owner) });
  if (HAS_OWNER_ENTRY.includes(rel.relkind)) await changeDependencyOnOwner(w, RelationRelationId, oid, owner);
  if (rel.reltype !== 0) await giveType(context, rel.reltype, owner);
  w.commandCounterIncrement();
  for (const index of indexes) await give(context, index.rel.oid, owner);
  if (rel.reltoastrelid !== 0) await give(context, rel.reltoastrelid, owner);
  if (rel.relkind !== 'r') return;
  for (const row of await w.scan(pgDepend, DependReferenceIndexId, RelationRelationId, oid)) {
    if (row.classid !== RelationRelationId || row.refobjsubid === 0 || !isLink(row.deptype)) continue;
    await w.store.lockObject({ classId: RelationRelationId, objectId: row.objid }, ACCESS_EXCLUSIVE_LOCK);
    const { rel: linked } = await w.relation(row.objid);
    if (linked.relkind === RELKIND_SEQUENCE) await give(context, row.objid, owner);
  }
}

/** A row type, and the type of its arrays. */
async function giveType(context: CommandContext, oid: Oid, owner: Oid): Promise<void> {
  const { w } = context;
  const type = (await w.search(TYPEOID, oid))!;
  await w.update(pgType, type, { typowner: owner, typacl: aclNewOwner(type.typacl, type.typowner, owner) });
  if (type.typarray !== 0) await giveType(context, type.typarray, owner);
}

/** What was the old owner's is the new one's (aclnewowner); what he had by another's grant joins it. */
function aclNewOwner(acl: readonly AclItem[] | null, old: Oid, owner: Oid): readonly AclItem[] | null {
  if (acl === null) return null;
  const heir = (role: Oid): Oid => (role === old ? owner : role);
  const given = acl.map(item => ({ ...item, grantor: heir(item.grantor), grantee: heir(item.grantee) }));
  if (!acl.some(item => item.grantor === owner || item.grantee === owner)) return given;
  const merged = new Map<string, AclItem>();
  for (const item of given) {
    if (item.privs === 0) continue;
    const key = `${item.grantee} ${item.grantor}`;
    merged.set(key, { ...item, privs: ((merged.get(key)?.privs ?? 0) | item.privs) >>> 0 });
  }
  return [...merged.values()];
}
