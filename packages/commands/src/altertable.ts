/**
 * ALTER TABLE (and ALTER INDEX, VIEW, ... as far as they share it), one subcommand after the other.
 */
import { pgAttribute } from '@pgtroupe/catalog/catalogs/pg_attribute';
import { pgClass, RelationRelationId } from '@pgtroupe/catalog/catalogs/pg_class';
import { ConstraintRelationId } from '@pgtroupe/catalog/catalogs/pg_constraint';
import { AttrDefaultRelationId } from '@pgtroupe/catalog/catalogs/pg_attrdef';
import { type DropBehavior, performDeletion } from '@pgtroupe/catalog/dependency';
import { insertAttribute, isSystemColumnName, MAX_HEAP_ATTRIBUTES, storeAttrDefault } from '@pgtroupe/catalog/heap';
import { objectAddress } from '@pgtroupe/catalog/objectaddress';
import { rangeVarText } from '@pgtroupe/catalog/namespace';
import type { RelationDesc } from '@pgtroupe/catalog/relcache';
import { ATTRDEFNUM, CONRELID, CONSTROID, RELOID, TYPEOID } from '@pgtroupe/catalog/syscache';
import { createToastTable } from '@pgtroupe/catalog/toasting';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported } from '@pgtroupe/common/ereport';
import { ACCESS_EXCLUSIVE_LOCK } from '@pgtroupe/storage/lmgr/locktag';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { checkAddedAttribute } from './attributetype.ts';
import { alterTableAction, constraintWords } from './commandtag.ts';
import { cookDefault, isVolatile } from './cookexpr.ts';
import { type CommandContext, rangeVarName, relkindWords } from './command-context.ts';
import { alterTableLockLevel } from './altertablelocks.ts';
import { addIndexConstraint, setNotNull } from './indexcmds.ts';
import { type ColumnPlan, storageCode, transformColumnDefinition } from './parse_utilcmd.ts';
import { transformRelOptions } from './reloptions.ts';
import { changeRelationOwner } from './relationowner.ts';
import {
  addCheckConstraint,
  addForeignKey,
  isNullConstant,
  selectOf,
  storeColumnExtras,
  validateCheck,
} from './tablecmds.ts';
import { addedColumnHasValue, refuseStoredRowType } from './rowtypeuse.ts';

/** Whom it does not belong to, and what is refused of any table, is refused before the lock is waited for. */
async function mayAlter(context: CommandContext, stmt: RawNode, rel: RelationDesc): Promise<void> {
  await context.checkOwner(rel);
  for (const { def } of (stmt.cmds ?? []) as RawNode[])
    if (def?.type === 'Constraint' && def.contype === 'CONSTR_FOREIGN') await addForeignKey(context, rel, def);
}

export async function alterTable(context: CommandContext, stmt: RawNode): Promise<void> {
  const rel = await openForAlter(context, stmt, alterTableLockLevel(stmt.cmds));
  if (rel === null) return;
  for (const command of stmt.cmds as RawNode[]) await alterOnce(context, await context.w.relation(rel.oid), command);
}

/** Commands that name a kind of relation, and their word for it. */
const KIND_OF_COMMAND: Readonly<Record<string, readonly [relkinds: string, article: string]>> = {
  OBJECT_SEQUENCE: ['S', 'a sequence'],
  OBJECT_VIEW: ['v', 'a view'],
  OBJECT_MATVIEW: ['m', 'a materialized view'],
  OBJECT_FOREIGN_TABLE: ['f', 'a foreign table'],
  OBJECT_TYPE: ['c', 'a composite type'],
};

export async function openForAlter(
  context: CommandContext,
  stmt: RawNode,
  lockMode = ACCESS_EXCLUSIVE_LOCK,
): Promise<RelationDesc | null> {
  const rel = await context.tryOpenRelation(stmt.relation, lockMode, each => mayAlter(context, stmt, each));
  if (rel === null) {
    const { relname } = rangeVarName(stmt.relation);
    if (!stmt.missing_ok) await context.checkSchemaExists(stmt.relation);
    if (!stmt.missing_ok)
      throw ereport(ERRCODE.UNDEFINED_TABLE, `relation "${rangeVarText(rangeVarName(stmt.relation))}" does not exist`);
    context.notice(`relation "${relname}" does not exist, skipping`);
    return null;
  }
  const renamesPart = stmt.type === 'RenameStmt' && /COLUMN|ATTRIBUTE/.test(stmt.renameType);
  const object: string =
    stmt.type === 'RenameStmt' && !renamesPart ? stmt.renameType : (stmt.objtype ?? stmt.relationType);
  const { relkind } = rel.rel;
  const wanted = KIND_OF_COMMAND[object];
  if (wanted !== undefined && !renamesPart && !wanted[0].includes(relkind))
    throw ereport(ERRCODE.WRONG_OBJECT_TYPE, `"${rel.name}" is not ${wanted[1]}`);
  if (object === 'OBJECT_INDEX' && stmt.type !== 'RenameStmt' && relkind !== 'i' && relkind !== 'I')
    throw ereport(ERRCODE.WRONG_OBJECT_TYPE, `"${rel.name}" is not an index`);
  if (object !== 'OBJECT_TYPE' && relkind === 'c')
    throw ereport(ERRCODE.WRONG_OBJECT_TYPE, `"${rel.name}" is a composite type`, { hint: 'Use ALTER TYPE instead.' });
  return rel;
}

function behaviorOf(command: RawNode): DropBehavior {
  return command.behavior === 'DROP_CASCADE' ? 'cascade' : 'restrict';
}

/** `orType`: composite types, which are relations without rows, have it too. */
function requireTable(rel: RelationDesc, what: string, orType = false): void {
  if (rel.rel.relkind === 'r' || (orType && rel.rel.relkind === 'c')) return;
  throw ereport(ERRCODE.WRONG_OBJECT_TYPE, `ALTER action ${what} cannot be performed on relation "${rel.name}"`, {
    detail: `This operation is not supported for ${relkindWords(rel.rel.relkind).replace(/^an? /, '')}s.`,
  });
}

function alterOnce(context: CommandContext, rel: RelationDesc, command: RawNode): Promise<unknown> {
  switch (command.subtype) {
    case 'AT_AddColumn':
      requireTable(rel, 'ADD COLUMN', true);
      return addColumn(context, rel, command);
    case 'AT_DropColumn':
      requireTable(rel, 'DROP COLUMN', true);
      return dropColumn(context, rel, command);
    case 'AT_AddConstraint':
      requireTable(rel, 'ADD CONSTRAINT');
      return addConstraint(context, rel, command.def);
    case 'AT_DropConstraint':
      requireTable(rel, 'DROP CONSTRAINT');
      return dropConstraint(context, rel, command);
    case 'AT_SetNotNull':
      requireTable(rel, 'ALTER COLUMN ... SET NOT NULL');
      column(rel, command.name);
      return setNotNull(context, rel, [command.name]);
    case 'AT_DropNotNull':
      requireTable(rel, 'ALTER COLUMN ... DROP NOT NULL');
      return dropNotNull(context, rel, command.name);
    case 'AT_ColumnDefault':
      return setDefault(context, rel, command);
    case 'AT_SetStatistics':
      return setStatistics(context, rel, command);
    case 'AT_SetOptions':
    case 'AT_ResetOptions':
      return setAttributeOptions(context, rel, command);
    case 'AT_SetStorage':
      return setAttribute(context, rel, command.name, {
        attstorage: storageCode(command.def.sval),
      });
    case 'AT_SetRelOptions':
    case 'AT_ResetRelOptions':
      return setRelOptions(context, rel, command);
    case 'AT_ChangeOwner':
      return changeRelationOwner(context, rel, command.newowner);
    default:
      throw notSupported(`ALTER TABLE ${alterTableAction(command.subtype)}`);
  }
}

/** The live column of this name. */
function column(rel: RelationDesc, name: string): RelationDesc['attributes'][number] {
  const found = rel.attributes.find(a => a.attname === name && !a.attisdropped);
  if (found !== undefined) return found;
  if (isSystemColumnName(name)) throw ereport(ERRCODE.FEATURE_NOT_SUPPORTED, `cannot alter system column "${name}"`);
  throw ereport(ERRCODE.UNDEFINED_COLUMN, `column "${name}" of relation "${rel.name}" does not exist`);
}

async function addColumn(context: CommandContext, rel: RelationDesc, command: RawNode): Promise<void> {
  const { w } = context;
  const name: string = command.def.colname;
  if (rel.attributes.some(a => a.attname === name && !a.attisdropped)) {
    const message = `column "${name}" of relation "${rel.name}" already exists`;
    if (!command.missing_ok) throw ereport(ERRCODE.DUPLICATE_COLUMN, message);
    context.notice(`${message}, skipping`, ERRCODE.DUPLICATE_COLUMN);
    return;
  }
  if (isSystemColumnName(name))
    throw ereport(ERRCODE.DUPLICATE_COLUMN, `column name "${name}" conflicts with a system column name`);
  const { plan, others } = await transformColumnDefinition(context, rel.name, command.def);
  await checkAddedAttribute(context, rel, plan.column);
  await refuseRewrite(context, rel, plan, command.def.typeName);
  const attnum = rel.attributes.length + 1;
  if (attnum > MAX_HEAP_ATTRIBUTES)
    throw ereport(ERRCODE.TOO_MANY_COLUMNS, `tables can have at most ${MAX_HEAP_ATTRIBUTES} columns`);
  await insertAttribute(w, rel.oid, attnum, plan.column, (await w.search(TYPEOID, plan.column.typid))!);
  await w.update(pgClass, rel.rel, { relnatts: attnum });
  w.commandCounterIncrement();
  await storeColumnExtras(context, rel.oid, attnum, plan, true);
  if (rel.rel.relkind !== 'c') await createToastTable(w, await w.relation(rel.oid));
  for (const constraint of others) await addConstraint(context, await w.relation(rel.oid), constraint);
  if (rel.rel.relkind !== 'c' && (await addedColumnHasValue(context, await w.relation(rel.oid), attnum)))
    await refuseStoredRowType(context, rel);
}

/** A new column of a table with rows must have the same value in all of them. */
async function refuseRewrite(
  context: CommandContext,
  rel: RelationDesc,
  plan: ColumnPlan,
  typeName: RawNode,
): Promise<void> {
  if (rel.rel.relkind === 'c') return;
  if (await context.w.store.isEmpty(rel)) return;
  const { name } = plan.column;
  if (plan.generatedExpr !== undefined || plan.sequence !== undefined)
    throw notSupported('adding a generated or serial column to a table that has rows');
  if (plan.defaultExpr !== undefined) {
    const { expr } = await cookDefault(context.withoutPlaces(), plan.defaultExpr, plan.column);
    if (await isVolatile(context, expr))
      throw notSupported('adding a column with a volatile default to a table that has rows');
    return;
  }
  if ((await context.w.search(TYPEOID, plan.column.typid))?.typtype === 'd') {
    // It may not allow nulls.
    const arg = { type: 'A_Const', isnull: true, location: -1 };
    await context.session.select?.(selectOf({ type: 'TypeCast', arg, typeName, location: -1 }));
  }
  if (plan.column.notNull) {
    throw ereport(ERRCODE.NOT_NULL_VIOLATION, `column "${name}" of relation "${rel.name}" contains null values`, {
      table: rel.name,
      column: name,
    });
  }
}

async function dropColumn(context: CommandContext, rel: RelationDesc, command: RawNode): Promise<void> {
  const attribute = rel.attributes.find(a => a.attname === command.name && !a.attisdropped);
  if (attribute === undefined) {
    if (isSystemColumnName(command.name))
      throw ereport(ERRCODE.FEATURE_NOT_SUPPORTED, `cannot drop system column "${command.name}"`);
    const message = `column "${command.name}" of relation "${rel.name}" does not exist`;
    if (!command.missing_ok) throw ereport(ERRCODE.UNDEFINED_COLUMN, message);
    context.notice(`${message}, skipping`);
    return;
  }
  await performDeletion(context.w, objectAddress(RelationRelationId, rel.oid, attribute.attnum), behaviorOf(command));
}

async function addConstraint(context: CommandContext, rel: RelationDesc, constraint: RawNode): Promise<void> {
  switch (constraint.contype) {
    case 'CONSTR_PRIMARY':
      // Its columns become NOT NULL first.
      for (const { sval } of (constraint.keys ?? []) as RawNode[]) column(rel, sval);
      await addIndexConstraint(context.withoutPlaces(), rel, constraint);
      return;
    case 'CONSTR_UNIQUE':
      await addIndexConstraint(context.withoutPlaces(), rel, constraint);
      return;
    case 'CONSTR_CHECK':
      await addValidCheck(context, rel, constraint);
      return;
    case 'CONSTR_FOREIGN':
      await addForeignKey(context, rel, constraint);
      return;
    default:
      throw notSupported(`ALTER TABLE ADD ${constraintWords(constraint)} constraint`);
  }
}

async function addValidCheck(context: CommandContext, rel: RelationDesc, constraint: RawNode): Promise<void> {
  const { w } = context;
  const oid = await addCheckConstraint(context.withoutPlaces(), rel, constraint);
  if (constraint.skip_validation) return;
  const { conname } = (await w.search(CONSTROID, oid))!;
  await validateCheck(context.withoutPlaces(), await w.relation(rel.oid), conname, constraint.raw_expr);
}

async function dropConstraint(context: CommandContext, rel: RelationDesc, command: RawNode): Promise<void> {
  const found = (await context.w.searchList(CONRELID, rel.oid)).find(c => c.conname === command.name);
  if (found === undefined) {
    const message = `constraint "${command.name}" of relation "${rel.name}" does not exist`;
    if (!command.missing_ok) throw ereport(ERRCODE.UNDEFINED_OBJECT, message);
    context.notice(`${message}, skipping`);
    return;
  }
  await performDeletion(context.w, objectAddress(ConstraintRelationId, found.oid), behaviorOf(command));
}

async function dropNotNull(context: CommandContext, rel: RelationDesc, name: string): Promise<void> {
  const attribute = column(rel, name);
  const primary = (await context.w.read(() => rel.primaryKey))?.index.indkey.includes(attribute.attnum) ?? false;
  if (primary) throw ereport(ERRCODE.INVALID_TABLE_DEFINITION, `column "${name}" is in a primary key`);
  if (attribute.attidentity !== '')
    throw ereport(ERRCODE.SYNTAX_ERROR, `column "${name}" of relation "${rel.name}" is an identity column`);
  await setAttribute(context, rel, name, { attnotnull: false });
}

async function setAttribute(
  context: CommandContext,
  rel: RelationDesc,
  name: string,
  changes: Partial<RelationDesc['attributes'][number]>,
): Promise<void> {
  await context.w.update(pgAttribute, column(rel, name), changes);
  context.w.commandCounterIncrement();
}

const MAX_STATISTICS_TARGET = 10000;

function setStatistics(context: CommandContext, rel: RelationDesc, command: RawNode): Promise<void> {
  if (command.name === undefined && rel.rel.relkind !== 'i')
    throw ereport(ERRCODE.FEATURE_NOT_SUPPORTED, 'cannot refer to non-index column by number');
  if (command.name === undefined) throw notSupported('ALTER INDEX ALTER COLUMN SET STATISTICS');
  const target: number = command.def.ival ?? 0;
  if (target < -1) throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `statistics target ${target} is too low`);
  if (target > MAX_STATISTICS_TARGET) {
    context.w.store.notice(`lowering statistics target to ${MAX_STATISTICS_TARGET}`, {
      severity: 'WARNING',
      sqlstate: ERRCODE.INVALID_PARAMETER_VALUE,
    });
  }
  return setAttribute(context, rel, command.name, { attstattarget: Math.min(target, MAX_STATISTICS_TARGET) });
}

/** ALTER COLUMN … SET (n_distinct = …). */
function setAttributeOptions(context: CommandContext, rel: RelationDesc, command: RawNode): Promise<void> {
  const { attoptions } = column(rel, command.name);
  const reset = command.subtype === 'AT_ResetOptions';
  return setAttribute(context, rel, command.name, {
    attoptions: transformRelOptions(attoptions, command.def.items, 'attribute', '', reset),
  });
}

async function setDefault(context: CommandContext, rel: RelationDesc, command: RawNode): Promise<void> {
  const { w } = context;
  const attribute = column(rel, command.name);
  if (attribute.attidentity !== '')
    throw ereport(ERRCODE.SYNTAX_ERROR, `column "${command.name}" of relation "${rel.name}" is an identity column`);
  if (attribute.attgenerated !== '')
    throw ereport(ERRCODE.SYNTAX_ERROR, `column "${command.name}" of relation "${rel.name}" is a generated column`);
  const cooked =
    command.def &&
    (await cookDefault(context.withoutPlaces(), command.def, {
      name: command.name,
      typid: attribute.atttypid,
      typmod: attribute.atttypmod,
    }));
  const [old] = await w.searchList(ATTRDEFNUM, rel.oid, attribute.attnum);
  if (old !== undefined) await performDeletion(w, objectAddress(AttrDefaultRelationId, old.oid), 'restrict');
  if (cooked && !isNullConstant(cooked.expr))
    await storeAttrDefault(w, rel.oid, attribute.attnum, cooked.tree, cooked.references);
}

async function setRelOptions(context: CommandContext, rel: RelationDesc, command: RawNode): Promise<void> {
  const { w } = context;
  const reset = command.subtype === 'AT_ResetRelOptions';
  const kind = rel.rel.relkind === 'i' ? 'btree' : rel.rel.relkind === 'v' ? 'view' : 'heap';
  const options = transformRelOptions(rel.rel.reloptions, command.def.items, kind, '', reset);
  await w.update(pgClass, rel.rel, { reloptions: options });
  if (rel.rel.reltoastrelid !== 0) {
    const toast = (await w.search(RELOID, rel.rel.reltoastrelid))!;
    await w.update(pgClass, toast, {
      reloptions: transformRelOptions(toast.reloptions, command.def.items, 'toast', 'toast', reset),
    });
  }
  w.commandCounterIncrement();
}
