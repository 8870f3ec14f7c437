/**
 * CREATE TABLE, TRUNCATE, and the constraints and defaults that CREATE and ALTER TABLE share.
 */
import { PG_CATALOG_NAMESPACE } from '@pgtroupe/common/oids';
import { ACL_TRUNCATE } from '@pgtroupe/catalog/acl';
import { pgAttribute } from '@pgtroupe/catalog/catalogs/pg_attribute';
import { pgClass, RELKIND_RELATION, RELPERSISTENCE_PERMANENT } from '@pgtroupe/catalog/catalogs/pg_class';
import { CONSTRAINT_CHECK, CONSTRAINT_FOREIGN } from '@pgtroupe/catalog/catalogs/pg_constraint';
import {
  heapCreateWithCatalog,
  createStorage,
  type NewColumn,
  newRelMinMxid,
  storeAttrDefault,
} from '@pgtroupe/catalog/heap';
import { encodeMissing } from '@pgtroupe/catalog/missingval';
import { chooseConstraintName, createConstraintEntry } from '@pgtroupe/catalog/pg_constraint';
import type { RelationDesc } from '@pgtroupe/catalog/relcache';
import { ATTNUM, CONRELID, CONSTROID, NAMESPACEOID, RELNAMENSP, RELOID } from '@pgtroupe/catalog/syscache';
import { createToastTable } from '@pgtroupe/catalog/toasting';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import { ACCESS_EXCLUSIVE_LOCK } from '@pgtroupe/storage/lmgr/locktag';
import type { Expr } from '@pgtroupe/nodes/primnodes';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { cookCheck, cookDefault, cookNextval, isVolatile } from './cookexpr.ts';
import { type CommandContext } from './command-context.ts';
import { checkRelation } from './permissions.ts';
import { addIndexConstraint } from './indexcmds.ts';
import { type ColumnPlan, transformTableElements } from './parse_utilcmd.ts';
import { transformRelOptions } from './reloptions.ts';
import { createColumnSequence, restartOwnedSequences } from './sequence.ts';

function refuseUnsupported(stmt: RawNode): void {
  if (stmt.inhRelations && stmt.partbound) throw notSupported('CREATE TABLE PARTITION OF');
  if (stmt.inhRelations) throw notSupported('table inheritance');
  if (stmt.partspec) throw notSupported('partitioned tables');
  if (stmt.ofTypename) throw notSupported('typed tables');
  if (stmt.relation.relpersistence === 't') throw notSupported('temporary tables');
  if (stmt.relation.relpersistence === 'u') throw notSupported('unlogged tables');
  if (stmt.tablespacename && stmt.tablespacename !== 'pg_default') throw notSupported('tablespaces');
  if (stmt.accessMethod && stmt.accessMethod !== 'heap') {
    throw ereport(ERRCODE.UNDEFINED_OBJECT, `access method "${stmt.accessMethod}" does not exist`);
  }
}

/** Schema that the new table goes to. What is not there of CREATE TABLE is refused by name. */
export async function tableNamespace(context: CommandContext, stmt: RawNode): Promise<Oid> {
  refuseUnsupported(stmt);
  const namespace = await context.creationNamespace(stmt.relation, stmt.relation.location ?? 0);
  if (namespace === PG_CATALOG_NAMESPACE) {
    throw ereport(ERRCODE.INSUFFICIENT_PRIVILEGE, `permission denied to create "pg_catalog.${stmt.relation.relname}"`, {
      detail: 'System catalog modifications are currently disallowed.',
    });
  }
  return namespace;
}

/** A table with these columns and nothing else, its TOAST table still to be made. */
export async function createTable(
  context: CommandContext,
  stmt: RawNode,
  namespace: Oid,
  columns: readonly NewColumn[],
): Promise<Oid> {
  for (const { typid } of columns) await context.checkTypeUsage(typid);
  return heapCreateWithCatalog(context.w, {
    name: stmt.relation.relname,
    namespace,
    owner: context.session.userId,
    relkind: RELKIND_RELATION,
    persistence: RELPERSISTENCE_PERMANENT,
    columns,
    reloptions: transformRelOptions(null, stmt.options, 'heap', ''),
    tablespace: 0 as Oid,
  });
}

/** CREATE TABLE. Returns the table's oid; 0 when IF NOT EXISTS found one. */
export async function defineRelation(context: CommandContext, stmt: RawNode): Promise<Oid> {
  const { w } = context;
  const name: string = stmt.relation.relname;
  const namespace = await tableNamespace(context, stmt);
  if (stmt.if_not_exists && (await w.search(RELNAMENSP, name, namespace)) !== null) {
    context.notice(`relation "${name}" already exists, skipping`, ERRCODE.DUPLICATE_TABLE);
    return 0 as Oid;
  }
  const plan = await transformTableElements(context, name, stmt.tableElts ?? []);
  const relid = await createTable(
    context,
    stmt,
    namespace,
    plan.columns.map(({ column }) => column),
  );
  for (const [n, column] of plan.columns.entries()) await storeColumnExtras(context, relid, n + 1, column);
  for (const check of plan.checks) await addCheckConstraint(context, await w.relation(relid), check);
  await createToastTable(w, await w.relation(relid), transformRelOptions(null, stmt.options, 'toast', 'toast'));
  for (const constraint of plan.indexConstraints)
    await addIndexConstraint(context, await w.relation(relid), constraint);
  for (const constraint of plan.foreignKeys) await addForeignKey(context, await w.relation(relid), constraint);
  return relid;
}

/** Default, generation expression or sequence of a new column; `existing`: of a table that was there. */
export async function storeColumnExtras(
  context: CommandContext,
  relid: Oid,
  attnum: number,
  plan: ColumnPlan,
  existing = false,
): Promise<void> {
  const { w } = context;
  if (plan.sequence !== undefined) {
    const table = await w.relation(relid);
    const { kind, options } = plan.sequence;
    const sequence = await createColumnSequence(context, table, attnum, kind, options);
    if (kind === 'serial') {
      const cooked = await cookNextval(context, sequence, plan.column);
      await storeAttrDefault(w, relid, attnum, cooked.tree, cooked.references);
    }
  }
  if (plan.defaultExpr !== undefined) {
    const cooked = await cookDefault(existing ? context.withoutPlaces() : context, plan.defaultExpr, plan.column);
    // DEFAULT NULL says nothing.
    if (isNullConstant(cooked.expr)) return;
    await storeAttrDefault(w, relid, attnum, cooked.tree, cooked.references);
    if (existing) await storeMissing(context, relid, attnum, cooked.expr);
  }
  if (plan.generatedExpr !== undefined) {
    const cooked = await cookDefault(
      existing ? context.withoutPlaces() : context,
      plan.generatedExpr,
      plan.column,
      await w.relation(relid),
    );
    await storeAttrDefault(w, relid, attnum, cooked.tree, cooked.references, true);
  }
}

export function isNullConstant(expr: Expr): boolean {
  return expr.type === 'Const' && expr.constisnull;
}

/** What the new column is in rows that are there already: its default, evaluated now. */
async function storeMissing(context: CommandContext, relid: Oid, attnum: number, expr: Expr): Promise<void> {
  const { w } = context;
  const { select } = context.session;
  if (select === undefined || (await isVolatile(context, expr))) return;
  const [row] = await select(selectOf({ type: 'AnalyzedExpr', expr }));
  const value = row?.[0] ?? null;
  if (value === null) return;
  const attribute = (await w.search(ATTNUM, relid, attnum))!;
  const base = await w.read(() => context.lookup.baseType(attribute.atttypid) as Oid);
  await w.update(pgAttribute, attribute, {
    atthasmissing: true,
    attmissingval: encodeMissing(attribute, base, value),
  });
  w.commandCounterIncrement();
}

/** SELECT <expression>. */
/** SELECT of one value. */
export function selectOf(val: RawNode, rest: Readonly<Record<string, unknown>> = {}): RawNode {
  return {
    type: 'SelectStmt',
    targetList: [{ type: 'ResTarget', val, location: -1 }],
    limitOption: 'LIMIT_OPTION_DEFAULT',
    op: 'SETOP_NONE',
    ...rest,
  };
}

/** Fails if a row of the table contradicts the condition. */
export async function validateCheck(
  context: CommandContext,
  rel: RelationDesc,
  name: string,
  condition: RawNode,
): Promise<void> {
  const { w, session } = context;
  if (await w.store.isEmpty(rel)) return;
  if (session.select === undefined) throw notSupported('a CHECK constraint on a table that has rows');
  const schemaname = (await w.search(NAMESPACEOID, rel.rel.relnamespace))!.nspname;
  const one = { type: 'A_Const', ival: { ival: 1 }, location: -1 };
  const rows = await session.select(
    selectOf(one, {
      fromClause: [
        {
          type: 'RangeVar',
          schemaname,
          relname: rel.name,
          inh: false,
          relpersistence: 'p',
          location: -1,
        },
      ],
      whereClause: { type: 'BoolExpr', boolop: 'NOT_EXPR', args: [condition], location: -1 },
      limitCount: one,
      limitOption: 'LIMIT_OPTION_COUNT',
    }),
  );
  if (rows.length > 0) {
    throw ereport(
      ERRCODE.CHECK_VIOLATION,
      `check constraint "${name}" of relation "${rel.name}" is violated by some row`,
      {
        table: rel.name,
        constraint: name,
      },
    );
  }
}

/** A CHECK constraint on rows to come; whoever adds it to a table with rows validates those. */
export async function addCheckConstraint(
  context: CommandContext,
  rel: RelationDesc,
  constraint: RawNode,
): Promise<Oid> {
  const { w } = context;
  const cooked = await cookCheck(context, constraint.raw_expr, rel);
  const existing = await w.searchList(CONRELID, rel.oid);
  let name: string = constraint.conname ?? '';
  if (name === '') {
    const column = cooked.columns.length === 1 ? rel.attributes[cooked.columns[0]! - 1]!.attname : '';
    name = await chooseConstraintName(
      w,
      { oid: rel.oid, name: rel.name, namespace: rel.rel.relnamespace },
      column,
      'check',
      [],
    );
  } else if (existing.some(c => c.conname === name)) {
    throw ereport(ERRCODE.DUPLICATE_OBJECT, `constraint "${name}" for relation "${rel.name}" already exists`);
  }
  const oid = await createConstraintEntry(w, {
    name,
    namespace: rel.rel.relnamespace,
    contype: CONSTRAINT_CHECK,
    relid: rel.oid,
    keys: cooked.columns.length === 0 ? null : cooked.columns,
    conbin: cooked.tree,
    references: cooked.references,
    noInherit: constraint.is_no_inherit ?? false,
    validated: !(constraint.skip_validation ?? false),
  });
  const row = (await w.search(RELOID, rel.oid))!;
  await w.update(pgClass, row, { relchecks: row.relchecks + 1 });
  w.commandCounterIncrement();
  return oid;
}

export function addForeignKey(_context: CommandContext, _rel: RelationDesc, _constraint: RawNode): Promise<Oid> {
  throw notSupported('FOREIGN KEY constraints');
}

async function mayTruncate(context: CommandContext, rel: RelationDesc): Promise<void> {
  if (rel.rel.relkind !== RELKIND_RELATION) throw ereport(ERRCODE.WRONG_OBJECT_TYPE, `"${rel.name}" is not a table`);
  await context.judge((acl, userId) => checkRelation(acl, rel.rel, userId, ACL_TRUNCATE));
  context.checkNotCatalog(rel);
}

/** TRUNCATE: every relation gets a new, empty file; the old one goes when the transaction commits. */
export async function executeTruncate(context: CommandContext, stmt: RawNode): Promise<void> {
  const { w } = context;
  const tables: RelationDesc[] = [];
  for (const rangeVar of stmt.relations as RawNode[]) {
    const rel = await context.openRelation(rangeVar, ACCESS_EXCLUSIVE_LOCK, each => mayTruncate(context, each));
    if (!tables.some(t => t.oid === rel.oid)) tables.push(rel);
  }
  for (const table of tables) await refuseIfReferenced(context, table, tables);
  for (const table of tables) {
    await setNewRelfilenode(context, table.oid);
    if (table.rel.reltoastrelid !== 0) await setNewRelfilenode(context, table.rel.reltoastrelid);
    w.store.counts?.truncate(table);
    if (stmt.restart_seqs) await restartOwnedSequences(context, table.oid);
  }
  w.commandCounterIncrement();
}

/** Foreign keys of other tables would point to nothing. */
async function refuseIfReferenced(
  context: CommandContext,
  table: RelationDesc,
  together: readonly RelationDesc[],
): Promise<void> {
  const { w } = context;
  for (const trigger of await w.read(() => table.triggers)) {
    const constraint = trigger.tgconstraint === 0 ? null : await w.search(CONSTROID, trigger.tgconstraint);
    if (constraint?.contype !== CONSTRAINT_FOREIGN || constraint.confrelid !== table.oid) continue;
    if (together.some(t => t.oid === constraint.conrelid)) continue;
    const { name } = await w.relation(constraint.conrelid);
    throw ereport(ERRCODE.FEATURE_NOT_SUPPORTED, 'cannot truncate a table referenced in a foreign key constraint', {
      detail: `Table "${name}" references "${table.name}".`,
      hint: `Truncate table "${name}" at the same time, or use TRUNCATE ... CASCADE.`,
    });
  }
}

/** Gives a table (or TOAST table) and its indexes new files. */
async function setNewRelfilenode(context: CommandContext, relid: Oid): Promise<void> {
  const { w } = context;
  const rel = await w.relation(relid);
  const indexes = await w.read(() => rel.indexes);
  await replaceFile(context, rel);
  for (const index of indexes) await replaceFile(context, index.rel);
  w.commandCounterIncrement();
  const fresh = await w.relation(relid);
  for (const index of await w.read(() => fresh.indexes)) await w.store.buildIndex(fresh, index);
}

/** Gives a relation an empty file; the old one goes when the transaction commits. */
export async function replaceFile(context: CommandContext, rel: RelationDesc): Promise<void> {
  const { w } = context;
  const filenode = await createStorage(w, rel.rel.reltablespace, await w.newOid(RELOID));
  w.store.dropStorage(rel.rnode);
  const isTable = rel.rel.relfrozenxid !== 0;
  await w.update(pgClass, rel.rel, {
    relfilenode: filenode,
    relpages: 0,
    reltuples: -1,
    relallvisible: 0,
    ...(isTable ? { relfrozenxid: w.store.frozenXid(), relminmxid: await newRelMinMxid(w) } : {}),
  });
}
