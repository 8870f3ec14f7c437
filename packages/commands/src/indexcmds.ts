/**
 * CREATE INDEX, and the indexes that PRIMARY KEY and UNIQUE constraints need.
 */
import { BTREE_AM_OID } from '@pgtroupe/common/oids';
import { pgAttribute } from '@pgtroupe/catalog/catalogs/pg_attribute';
import { INDOPTION_DESC, INDOPTION_NULLS_FIRST } from '@pgtroupe/catalog/catalogs/pg_index';
import { CONSTRAINT_PRIMARY, CONSTRAINT_UNIQUE } from '@pgtroupe/catalog/catalogs/pg_constraint';
import { indexCreate, type NewIndexColumn } from '@pgtroupe/catalog/index';
import { chooseRelationName } from '@pgtroupe/catalog/pg_constraint';
import type { RelationDesc } from '@pgtroupe/catalog/relcache';
import { ATTNAME, CONRELID, RELNAMENSP, TYPEOID } from '@pgtroupe/catalog/syscache';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import { SHARE_LOCK } from '@pgtroupe/storage/lmgr/locktag';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { rawStrings } from '@pgtroupe/parser/parse_node';
import { deconstructQualifiedName, lookupCollation } from '@pgtroupe/parser/parse_type';
import { cookIndexExpressions } from './cookexpr.ts';
import { type CommandContext, relkindWords } from './command-context.ts';
import { transformRelOptions } from './reloptions.ts';

/** CREATE INDEX. Returns its oid; 0 when IF NOT EXISTS found one. */
export async function defineIndex(context: CommandContext, stmt: RawNode): Promise<Oid> {
  if (stmt.concurrent) throw notSupported('CREATE INDEX CONCURRENTLY');
  if (stmt.tableSpace) throw notSupported('CREATE INDEX with TABLESPACE');
  const table = await context.openRelation(stmt.relation, SHARE_LOCK, each => context.checkOwner(each));
  if (!'rm'.includes(table.rel.relkind)) {
    throw ereport(ERRCODE.WRONG_OBJECT_TYPE, `cannot create index on relation "${table.name}"`, {
      detail: `This operation is not supported for ${relkindWords(table.rel.relkind).replace(/^an? /, '')}s.`,
    });
  }
  if (
    stmt.if_not_exists &&
    stmt.idxname &&
    (await context.w.search(RELNAMENSP, stmt.idxname, table.rel.relnamespace)) !== null
  ) {
    context.notice(`relation "${stmt.idxname}" already exists, skipping`, ERRCODE.DUPLICATE_TABLE);
    return 0 as Oid;
  }
  return createIndexOn(context, table, {
    name: stmt.idxname ?? '',
    accessMethod: stmt.accessMethod ?? 'btree',
    elements: stmt.indexParams,
    including: stmt.indexIncludingParams ?? [],
    unique: stmt.unique ?? false,
    nullsNotDistinct: stmt.nulls_not_distinct ?? false,
    options: stmt.options,
    where: stmt.whereClause,
  });
}

export interface IndexSpec {
  /** '' to make one up. */
  readonly name: string;
  readonly accessMethod: string;
  /** IndexElem nodes. */
  readonly elements: readonly RawNode[];
  readonly including: readonly RawNode[];
  readonly unique: boolean;
  readonly nullsNotDistinct: boolean;
  readonly options: readonly RawNode[] | undefined;
  readonly where: RawNode | undefined;
  readonly constraint?: {
    readonly contype: string;
    readonly deferrable: boolean;
    readonly initiallyDeferred: boolean;
  };
}

async function createIndexOn(context: CommandContext, table: RelationDesc, spec: IndexSpec): Promise<Oid> {
  const { w } = context;
  if (spec.accessMethod !== 'btree') {
    if (!['hash', 'gin', 'gist', 'spgist', 'brin'].includes(spec.accessMethod)) {
      throw ereport(ERRCODE.UNDEFINED_OBJECT, `access method "${spec.accessMethod}" does not exist`);
    }
    throw notSupported(`index access method "${spec.accessMethod}"`);
  }
  const elements = [...spec.elements, ...spec.including];
  const cooked = await cookIndexExpressions(context, table, elements, spec.where);
  const names = columnNames(elements);
  const columns: NewIndexColumn[] = [];
  for (const [n, element] of elements.entries()) {
    const key = n < spec.elements.length;
    columns.push(await indexColumn(context, table, element, names[n]!, cooked.types[n], key));
  }
  const name = spec.name || (await chooseIndexName(context, table, columns.slice(0, spec.elements.length), spec));
  return indexCreate(w, table, {
    name,
    columns,
    keyCount: spec.elements.length,
    unique: spec.unique,
    primary: spec.constraint?.contype === CONSTRAINT_PRIMARY,
    nullsNotDistinct: spec.nullsNotDistinct,
    tablespace: 0 as Oid,
    reloptions: transformRelOptions(null, spec.options, 'btree', ''),
    indexprs: cooked.indexprs,
    indpred: cooked.indpred,
    references: cooked.references,
    ...(spec.constraint === undefined ? {} : { constraint: spec.constraint }),
  });
}

async function indexColumn(
  context: CommandContext,
  table: RelationDesc,
  element: RawNode,
  name: string,
  expression: { typid: Oid; typmod: number; collation: Oid } | undefined,
  key: boolean,
): Promise<NewIndexColumn> {
  const attribute = element.name ? await context.w.search(ATTNAME, table.oid, element.name) : null;
  if (element.name && (attribute === null || attribute.attisdropped)) {
    throw ereport(ERRCODE.UNDEFINED_COLUMN, `column "${element.name}" does not exist`);
  }
  if (attribute !== null && attribute.attnum < 0)
    throw ereport(ERRCODE.FEATURE_NOT_SUPPORTED, 'index creation on system columns is not supported');
  const typid = attribute?.atttypid ?? expression!.typid;
  const typed = attribute === null ? { type: { typid, typmod: expression!.typmod } } : {};
  const attnum = attribute?.attnum ?? 0;
  if (!key) {
    if (element.collation)
      throw ereport(ERRCODE.INVALID_OBJECT_DEFINITION, 'including column does not support a collation');
    if (element.opclass)
      throw ereport(ERRCODE.INVALID_OBJECT_DEFINITION, 'including column does not support an operator class');
    return { attnum, name, opclass: 0 as Oid, collation: 0 as Oid, option: 0, ...typed };
  }
  let collation = attribute?.attcollation ?? expression!.collation;
  if (element.collation)
    collation = await context.w.read(
      () => lookupCollation(context.parseState(), element.collation, element.location ?? -1) as Oid,
    );
  if (collation !== 0 && (await context.w.search(TYPEOID, typid))!.typcollation === 0) {
    const type = await context.w.read(() => context.parseState().typeName(typid));
    throw ereport(ERRCODE.DATATYPE_MISMATCH, `collations are not supported by type ${type}`);
  }
  const opclass = await context.w.read(() => resolveOpclass(context, element.opclass, typid));
  return { attnum, name, opclass, collation, option: indexOption(element), ...typed };
}

function indexOption(element: RawNode): number {
  const descending = element.ordering === 'SORTBY_DESC';
  const nulls: string = element.nulls_ordering ?? 'SORTBY_NULLS_DEFAULT';
  const nullsFirst = nulls === 'SORTBY_NULLS_DEFAULT' ? descending : nulls === 'SORTBY_NULLS_FIRST';
  return (descending ? INDOPTION_DESC : 0) | (nullsFirst ? INDOPTION_NULLS_FIRST : 0);
}

/** The named operator class, or the type's default one, for btree. */
function resolveOpclass(context: CommandContext, names: readonly RawNode[] | undefined, typid: Oid): Oid {
  const { lookup } = context;
  const typeName = context.parseState().typeName(typid);
  if (names === undefined) {
    const found = lookup.defaultOpclass(typid, BTREE_AM_OID);
    if (found !== null) return found.oid;
    throw ereport(
      ERRCODE.UNDEFINED_OBJECT,
      `data type ${typeName} has no default operator class for access method "btree"`,
      {
        hint: 'You must specify an operator class for the index or define a default operator class for the data type.',
      },
    );
  }
  const { schema, name } = deconstructQualifiedName(context.parseState(), rawStrings(names));
  const oid =
    schema === null
      ? lookup.opclassOnPath(BTREE_AM_OID, name)
      : lookup.opclassInNamespace(BTREE_AM_OID, name, lookup.lookupExplicitNamespace(schema));
  if (oid === 0)
    throw ereport(
      ERRCODE.UNDEFINED_OBJECT,
      `operator class "${rawStrings(names).join('.')}" does not exist for access method "btree"`,
    );
  const input = lookup.opclass(oid)!.opcintype;
  const base = lookup.baseType(typid);
  // varchar borrows text's operators; arrays and enums the polymorphic ones.
  const fits = input === typid || input === base || lookup.defaultOpclass(typid, BTREE_AM_OID)?.opcintype === input;
  if (!fits) throw ereport(ERRCODE.DATATYPE_MISMATCH, `operator class "${name}" does not accept data type ${typeName}`);
  return oid as Oid;
}

/** Names of the index's columns: the table's, `expr` or the function's; made unique by a number. */
function columnNames(elements: readonly RawNode[]): string[] {
  const names: string[] = [];
  for (const element of elements) {
    const wanted: string = element.indexcolname ?? element.name ?? expressionName(element.expr) ?? 'expr';
    let name = wanted;
    for (let n = 1; names.includes(name); n++) name = `${wanted}${n}`;
    names.push(name);
  }
  return names;
}

function expressionName(expression: RawNode | undefined): string | undefined {
  if (expression?.type === 'FuncCall') return rawStrings(expression.funcname).at(-1);
  if (expression?.type === 'CollateClause' || expression?.type === 'TypeCast')
    return expressionName(expression.arg) ?? undefined;
  return undefined;
}

async function chooseIndexName(
  context: CommandContext,
  table: RelationDesc,
  columns: readonly NewIndexColumn[],
  spec: IndexSpec,
): Promise<string> {
  const { w } = context;
  const { relnamespace } = table.rel;
  const constraints =
    spec.constraint === undefined ? [] : (await w.searchList(CONRELID, table.oid)).map(c => c.conname);
  if (spec.constraint?.contype === CONSTRAINT_PRIMARY)
    return chooseRelationName(w, table.name, '', 'pkey', relnamespace, constraints);
  const label = spec.constraint?.contype === CONSTRAINT_UNIQUE ? 'key' : 'idx';
  return chooseRelationName(w, table.name, columns.map(c => c.name).join('_'), label, relnamespace, constraints);
}

/** A PRIMARY KEY or UNIQUE constraint: not-null marks, index, constraint. */
export async function addIndexConstraint(
  context: CommandContext,
  table: RelationDesc,
  constraint: RawNode,
): Promise<Oid> {
  const { w } = context;
  const primary = constraint.contype === 'CONSTR_PRIMARY';
  if (constraint.indexname) throw notSupported('ADD CONSTRAINT USING INDEX');
  if (constraint.deferrable) throw notSupported('DEFERRABLE constraints');
  if (primary && (await w.read(() => table.primaryKey)) !== undefined) {
    throw ereport(ERRCODE.INVALID_TABLE_DEFINITION, `multiple primary keys for table "${table.name}" are not allowed`);
  }
  const keys = rawStrings(constraint.keys);
  checkKeyNames(context, table, constraint, keys, primary);
  let rel = table;
  if (primary) {
    await setNotNull(context, table, keys);
    rel = await w.relation(table.oid);
  }
  return createIndexOn(context, rel, {
    name: constraint.conname ?? '',
    accessMethod: constraint.access_method || 'btree',
    elements: keys.map(name => ({ type: 'IndexElem', name })),
    including: rawStrings(constraint.including).map(name => ({ type: 'IndexElem', name })),
    unique: true,
    nullsNotDistinct: constraint.nulls_not_distinct ?? false,
    options: constraint.options,
    where: undefined,
    constraint: {
      contype: primary ? CONSTRAINT_PRIMARY : CONSTRAINT_UNIQUE,
      deferrable: constraint.deferrable ?? false,
      initiallyDeferred: constraint.initdeferred ?? false,
    },
  });
}

function checkKeyNames(
  context: CommandContext,
  table: RelationDesc,
  constraint: RawNode,
  keys: readonly string[],
  primary: boolean,
): void {
  const what = primary ? 'primary key' : 'unique';
  keys.forEach((key, n) => {
    if (!table.attributes.some(a => a.attname === key && !a.attisdropped)) {
      throw context.error(ERRCODE.UNDEFINED_COLUMN, `column "${key}" named in key does not exist`, constraint);
    }
    if (keys.indexOf(key) !== n)
      throw context.error(ERRCODE.DUPLICATE_COLUMN, `column "${key}" appears twice in ${what} constraint`, constraint);
  });
}

/** Marks columns NOT NULL after making sure that no stored row contradicts. */
export async function setNotNull(
  context: CommandContext,
  table: RelationDesc,
  names: readonly string[],
): Promise<void> {
  const { w } = context;
  const attributes = table.attributes.filter(a => names.includes(a.attname) && !a.attisdropped && !a.attnotnull);
  if (attributes.length === 0) return;
  await w.store.checkNotNull(
    table,
    attributes.map(a => a.attnum),
  );
  for (const attribute of attributes) await w.update(pgAttribute, attribute, { attnotnull: true });
  w.commandCounterIncrement();
}
