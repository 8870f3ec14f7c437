/**
 * CREATE SEQUENCE, ALTER SEQUENCE, and the sequences behind serial and identity columns.
 */
import { BOOLOID, INT8OID } from '@pgtroupe/common/oids';
import { DependReferenceIndexId, pgDepend } from '@pgtroupe/catalog/catalogs/pg_depend';
import { DependDependerIndexId } from '@pgtroupe/catalog/catalogs/pg_depend';
import {
  pgClass,
  RELKIND_SEQUENCE,
  RelationRelationId,
  RELPERSISTENCE_PERMANENT,
} from '@pgtroupe/catalog/catalogs/pg_class';
import { pgSequence } from '@pgtroupe/catalog/catalogs/pg_sequence';
import { heapCreateWithCatalog, type NewColumn, createStorage } from '@pgtroupe/catalog/heap';
import { objectAddress } from '@pgtroupe/catalog/objectaddress';
import { chooseRelationName } from '@pgtroupe/catalog/pg_constraint';
import { DEPENDENCY_AUTO, DEPENDENCY_INTERNAL, recordDependencyOn } from '@pgtroupe/catalog/pg_depend';
import type { RelationDesc } from '@pgtroupe/catalog/relcache';
import { RELNAMENSP, RELOID, SEQRELID } from '@pgtroupe/catalog/syscache';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import { ACCESS_SHARE_LOCK, SHARE_ROW_EXCLUSIVE_LOCK } from '@pgtroupe/storage/lmgr/locktag';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { type CommandContext, rangeVarOfNames } from './command-context.ts';
import { rawStrings } from '@pgtroupe/parser/parse_node';
import { planSequence, type SequencePlan } from './sequence-options.ts';
import type { SequenceIo } from './sequence-io.ts';

const COLUMNS: readonly NewColumn[] = (
  [
    ['last_value', INT8OID],
    ['log_cnt', INT8OID],
    ['is_called', BOOLOID],
  ] as const
).map(([name, typid]) => ({
  name,
  typid,
  typmod: -1,
  collation: 0 as Oid,
  notNull: true,
  ndims: 0,
}));

function io(context: CommandContext): SequenceIo {
  const { sequences } = context.session;
  if (sequences === undefined) throw notSupported('a sequence here');
  return sequences;
}

/** CREATE SEQUENCE. Returns its oid; 0 when IF NOT EXISTS found one. */
export async function defineSequence(context: CommandContext, stmt: RawNode): Promise<Oid> {
  const { w } = context;
  if (stmt.sequence.relpersistence !== undefined && stmt.sequence.relpersistence !== 'p')
    throw notSupported('temporary and unlogged sequences');
  const name: string = stmt.sequence.relname;
  const namespace = await context.creationNamespace(stmt.sequence);
  if (stmt.if_not_exists && (await w.search(RELNAMENSP, name, namespace)) !== null) {
    context.notice(`relation "${name}" already exists, skipping`, ERRCODE.DUPLICATE_TABLE);
    return 0 as Oid;
  }
  const plan = await w.read(() => planSequence(context, stmt.options ?? [], undefined));
  const oid = await createSequence(context, name, namespace, plan);
  if (plan.ownedBy !== undefined) await setOwnedBy(context, oid, plan.ownedBy);
  return oid;
}

async function createSequence(context: CommandContext, name: string, namespace: Oid, plan: SequencePlan): Promise<Oid> {
  const { w } = context;
  const oid = await heapCreateWithCatalog(w, {
    name,
    namespace,
    owner: context.session.userId,
    relkind: RELKIND_SEQUENCE,
    persistence: RELPERSISTENCE_PERMANENT,
    columns: COLUMNS,
    reloptions: null,
    tablespace: 0 as Oid,
  });
  await io(context).init(await w.relation(oid), plan.row);
  await w.insert(pgSequence, { ...plan.form, seqrelid: oid });
  w.commandCounterIncrement();
  return oid;
}

/** The sequence of a new serial or identity column, owned by it. */
export async function createColumnSequence(
  context: CommandContext,
  table: RelationDesc,
  attnum: number,
  kind: 'serial' | 'identity',
  options: readonly RawNode[],
): Promise<Oid> {
  const { w } = context;
  const { attname, atttypid } = table.attributes[attnum - 1]!;
  // Only here may the options say what the sequence is called.
  const named = options.filter(option => option.defname === 'sequence_name');
  if (named.length > 1) throw context.error(ERRCODE.SYNTAX_ERROR, 'conflicting or redundant options', named[1]!);
  const others = options.filter(option => option.defname !== 'sequence_name');
  let namespace = table.rel.relnamespace;
  let name: string;
  if (named.length === 0) name = await chooseRelationName(w, table.name, attname, 'seq', namespace);
  else {
    const rangeVar = rangeVarOfNames(rawStrings(named[0]!.arg.items));
    name = rangeVar.relname;
    if (rangeVar.schemaname !== '') namespace = await context.creationNamespace(rangeVar);
    if ((await w.search(RELNAMENSP, name, namespace)) !== null)
      throw ereport(ERRCODE.DUPLICATE_TABLE, `relation "${name}" already exists`);
  }
  const plan = await w.read(() => planSequence(context, others, undefined, atttypid));
  const oid = await createSequence(context, name, namespace, plan);
  await ownSequence(context, oid, table.oid, attnum, kind);
  return oid;
}

async function ownSequence(
  context: CommandContext,
  sequence: Oid,
  table: Oid,
  attnum: number,
  kind: 'serial' | 'identity',
): Promise<void> {
  const { w } = context;
  const deptype = kind === 'identity' ? DEPENDENCY_INTERNAL : DEPENDENCY_AUTO;
  await recordDependencyOn(
    w,
    objectAddress(RelationRelationId, sequence),
    objectAddress(RelationRelationId, table, attnum),
    deptype,
  );
  w.commandCounterIncrement();
}

/** OWNED BY table.column, or NONE. */
async function setOwnedBy(context: CommandContext, sequence: Oid, names: readonly string[]): Promise<void> {
  const { w } = context;
  for (const row of await w.scan(pgDepend, DependDependerIndexId, RelationRelationId, sequence)) {
    if (row.refclassid !== RelationRelationId || row.refobjsubid === 0) continue;
    if (row.deptype === DEPENDENCY_INTERNAL) {
      const [own, table] = [await w.relation(sequence), await w.relation(row.refobjid)];
      throw ereport(ERRCODE.FEATURE_NOT_SUPPORTED, 'cannot change ownership of identity sequence', {
        detail: `Sequence "${own.name}" is linked to table "${table.name}".`,
      });
    }
    if (row.deptype === DEPENDENCY_AUTO) await w.delete(pgDepend, row);
  }
  w.commandCounterIncrement();
  if (names.length === 1) {
    if (names[0] === 'none') return;
    throw ereport(ERRCODE.SYNTAX_ERROR, 'invalid OWNED BY option', {
      hint: 'Specify OWNED BY table.column or OWNED BY NONE.',
    });
  }
  const table = await context.openRelation(rangeVarOfNames(names.slice(0, -1)), ACCESS_SHARE_LOCK);
  if (!'rfvp'.includes(table.rel.relkind)) {
    throw ereport(ERRCODE.WRONG_OBJECT_TYPE, `sequence cannot be owned by relation "${table.name}"`);
  }
  const own = await w.relation(sequence);
  if (own.rel.relowner !== table.rel.relowner) {
    throw ereport(ERRCODE.OBJECT_NOT_IN_PREREQUISITE_STATE, 'sequence must have same owner as table it is linked to');
  }
  if (own.rel.relnamespace !== table.rel.relnamespace) {
    throw ereport(ERRCODE.OBJECT_NOT_IN_PREREQUISITE_STATE, 'sequence must be in same schema as table it is linked to');
  }
  const column = table.attributes.find(a => a.attname === names.at(-1) && !a.attisdropped);
  if (column === undefined)
    throw ereport(ERRCODE.UNDEFINED_COLUMN, `column "${names.at(-1)!}" of relation "${table.name}" does not exist`);
  await ownSequence(context, sequence, table.oid, column.attnum, 'serial');
}

/** ALTER SEQUENCE. A new row goes to a new file, so that a rollback brings the old one back. */
export async function alterSequence(context: CommandContext, stmt: RawNode): Promise<void> {
  const { w } = context;
  const rel = await context.tryOpenRelation(stmt.sequence, SHARE_ROW_EXCLUSIVE_LOCK, each => context.checkOwner(each));
  if (rel === null) {
    const message = `relation "${stmt.sequence.relname}" does not exist`;
    if (!stmt.missing_ok) throw ereport(ERRCODE.UNDEFINED_TABLE, message);
    context.notice(`${message}, skipping`);
    return;
  }
  if (rel.rel.relkind !== RELKIND_SEQUENCE) throw ereport(ERRCODE.WRONG_OBJECT_TYPE, `"${rel.name}" is not a sequence`);
  const form = (await w.search(SEQRELID, rel.oid))!;
  const row = await io(context).read(rel);
  const plan = await w.read(() => planSequence(context, stmt.options ?? [], { form, row }));
  await w.update(pgSequence, form, plan.form);
  w.commandCounterIncrement();
  if (plan.rewrite) await replaceRow(context, rel.oid, plan);
  if (plan.ownedBy !== undefined) await setOwnedBy(context, rel.oid, plan.ownedBy);
}

async function replaceRow(context: CommandContext, oid: Oid, plan: Pick<SequencePlan, 'row'>): Promise<void> {
  const { w } = context;
  const rel = await w.relation(oid);
  const filenode = await createStorage(w, rel.rel.reltablespace, await w.newOid(RELOID));
  w.store.dropStorage(rel.rnode);
  await w.update(pgClass, rel.rel, { relfilenode: filenode });
  w.commandCounterIncrement();
  await io(context).init(await w.relation(oid), plan.row);
}

/** TRUNCATE ... RESTART IDENTITY: sequences owned by the table's columns start anew. */
export async function restartOwnedSequences(context: CommandContext, table: Oid): Promise<void> {
  const { w } = context;
  for (const row of await w.scan(pgDepend, DependReferenceIndexId, RelationRelationId, table)) {
    if (row.classid !== RelationRelationId || row.refobjsubid === 0) continue;
    if (row.deptype !== DEPENDENCY_AUTO && row.deptype !== DEPENDENCY_INTERNAL) continue;
    const form = await w.search(SEQRELID, row.objid);
    if (form !== null)
      await replaceRow(context, row.objid, {
        row: { lastValue: BigInt(form.seqstart), isCalled: false },
      });
  }
}
