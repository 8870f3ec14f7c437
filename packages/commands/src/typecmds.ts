/**
 * CREATE TYPE (enum, composite), CREATE DOMAIN, ALTER TYPE ... ADD VALUE.
 */
import { F_DOMAIN_IN, F_DOMAIN_RECV, F_ENUM_IN, F_ENUM_OUT, F_ENUM_RECV, F_ENUM_SEND } from '@pgtroupe/common/oids';
import { RELKIND_COMPOSITE_TYPE, RELPERSISTENCE_PERMANENT } from '@pgtroupe/catalog/catalogs/pg_class';
import { CONSTRAINT_CHECK, ConstraintTypidIndexId, pgConstraint } from '@pgtroupe/catalog/catalogs/pg_constraint';
import { EnumTypIdLabelIndexId, type Form_pg_enum, pgEnum } from '@pgtroupe/catalog/catalogs/pg_enum';
import {
  TYPALIGN_INT,
  TYPCATEGORY_ENUM,
  TYPTYPE_DOMAIN,
  TYPTYPE_ENUM,
  TYPTYPE_PSEUDO,
} from '@pgtroupe/catalog/catalogs/pg_type';
import type { Form_pg_type } from '@pgtroupe/catalog/catalogs/pg_type';
import { heapCreateWithCatalog, type NewColumn } from '@pgtroupe/catalog/heap';
import { chooseName, truncateIdentifier } from '@pgtroupe/catalog/names';
import { createConstraintEntry } from '@pgtroupe/catalog/pg_constraint';
import { createTypeWithArray, makeRoomForTypeName } from '@pgtroupe/catalog/pg_type';
import { ENUMOID, TYPENAMENSP } from '@pgtroupe/catalog/syscache';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { formatType } from '@pgtroupe/parser/format_type';
import { rawStrings } from '@pgtroupe/parser/parse_node';
import { lookupCollation, typenameType, typeNameToString } from '@pgtroupe/parser/parse_type';
import { cookDomainCheck } from './cookexpr.ts';
import { type CommandContext, rangeVarOfNames } from './command-context.ts';
import { transformColumnDefinition } from './parse_utilcmd.ts';

const NONE = 0 as Oid;
const NAME_BYTES = 63;

/** Where a new type goes; the name must be free, or be an array type's, which moves. */
async function newTypeName(
  context: CommandContext,
  names: readonly string[],
): Promise<{ readonly name: string; readonly namespace: Oid }> {
  const { w } = context;
  const rangeVar = rangeVarOfNames(names);
  const namespace = await context.creationNamespace(rangeVar);
  const name = truncateIdentifier(rangeVar.relname);
  const old = await w.search(TYPENAMENSP, name, namespace);
  if (old !== null && old.typelem === 0) throw ereport(ERRCODE.DUPLICATE_OBJECT, `type "${name}" already exists`);
  await makeRoomForTypeName(w, name, namespace);
  return { name, namespace };
}

/** CREATE TYPE ... AS ENUM. */
export async function defineEnum(context: CommandContext, stmt: RawNode): Promise<Oid> {
  const { w, session } = context;
  const { name, namespace } = await newTypeName(context, rawStrings(stmt.typeName));
  const oid = await createTypeWithArray(w, {
    typname: name,
    typnamespace: namespace,
    typowner: session.userId,
    typlen: 4,
    typbyval: true,
    typtype: TYPTYPE_ENUM,
    typcategory: TYPCATEGORY_ENUM,
    typinput: F_ENUM_IN,
    typoutput: F_ENUM_OUT,
    typreceive: F_ENUM_RECV,
    typsend: F_ENUM_SEND,
    typalign: TYPALIGN_INT,
    typstorage: 'p',
  });
  const labels = rawStrings(stmt.vals);
  const oids: Oid[] = [];
  for (const label of labels) {
    checkLabel(label);
    oids.push(await newEvenOid(context));
  }
  // Even oids sort as the labels do, which comparisons make use of.
  oids.sort((a, b) => a - b);
  for (const [n, label] of labels.entries()) {
    await w.insert(pgEnum, {
      oid: oids[n]!,
      enumtypid: oid,
      enumsortorder: n + 1,
      enumlabel: label,
    });
  }
  w.commandCounterIncrement();
  return oid;
}

function checkLabel(label: string): void {
  if (Buffer.byteLength(label) <= NAME_BYTES) return;
  throw ereport(ERRCODE.INVALID_NAME, `invalid enum label "${label}"`, {
    detail: `Labels must be ${NAME_BYTES} bytes or less.`,
  });
}

async function newEvenOid(context: CommandContext): Promise<Oid> {
  for (;;) {
    const oid = await context.w.newOid(ENUMOID);
    if (oid % 2 === 0) return oid;
  }
}

/** ALTER TYPE ... ADD VALUE, RENAME VALUE. */
export async function alterEnum(context: CommandContext, stmt: RawNode): Promise<void> {
  const { w } = context;
  const type = await w.read(
    () => typenameType(context.parseState(), { type: 'TypeName', names: stmt.typeName, typemod: -1 }).type,
  );
  if (type.typtype !== TYPTYPE_ENUM)
    throw ereport(ERRCODE.WRONG_OBJECT_TYPE, `${formatType(context.lookup, type.oid)} is not an enum`);
  await context.checkTypeOwner(type);
  let labels: readonly Form_pg_enum[] = (await w.scan(pgEnum, EnumTypIdLabelIndexId, type.oid)).sort(
    (a, b) => a.enumsortorder - b.enumsortorder,
  );
  const find = (label: string): Form_pg_enum => {
    const found = labels.find(l => l.enumlabel === label);
    if (found === undefined) throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `"${label}" is not an existing enum label`);
    return found;
  };
  const exists = labels.some(l => l.enumlabel === stmt.newVal);
  if (stmt.oldVal) {
    const old = find(stmt.oldVal);
    if (exists) throw ereport(ERRCODE.DUPLICATE_OBJECT, `enum label "${stmt.newVal}" already exists`);
    await w.update(pgEnum, old, { enumlabel: stmt.newVal });
    return;
  }
  checkLabel(stmt.newVal);
  if (exists) {
    const message = `enum label "${stmt.newVal}" already exists`;
    if (!stmt.skipIfNewValExists) throw ereport(ERRCODE.DUPLICATE_OBJECT, message);
    context.notice(`${message}, skipping`, ERRCODE.DUPLICATE_OBJECT);
    return;
  }
  const neighbor = stmt.newValNeighbor ? labels.indexOf(find(stmt.newValNeighbor)) : undefined;
  const place = (orders: readonly number[]): number | undefined =>
    placeOf(orders, neighbor, stmt.newValIsAfter ?? false);
  let order = place(labels.map(l => l.enumsortorder));
  if (order === undefined) {
    labels = await renumberEnum(context, labels);
    order = place(labels.map(l => l.enumsortorder))!;
  }
  const oid = await newLabelOid(context, labels, order);
  context.session.fc.settings.uncommittedEnums?.add(oid);
  await w.insert(pgEnum, {
    oid,
    enumtypid: type.oid,
    enumsortorder: order,
    enumlabel: stmt.newVal,
  });
}

/** An even oid where it falls in with the order of the even ones there are; otherwise an odd one, which
 *  says: compare by sort order. */
async function newLabelOid(context: CommandContext, labels: readonly Form_pg_enum[], order: number): Promise<Oid> {
  for (;;) {
    const oid = await context.w.newOid(ENUMOID);
    const sorts = labels.every(l => l.oid % 2 === 1 || l.oid < oid === l.enumsortorder < order);
    if (sorts === (oid % 2 === 0)) return oid;
  }
}

/** Whole numbers again where there is no float between two labels any more. The last goes first: no two may be equal. */
async function renumberEnum(context: CommandContext, labels: readonly Form_pg_enum[]): Promise<Form_pg_enum[]> {
  const { w } = context;
  for (let i = labels.length - 1; i >= 0; i--)
    if (labels[i]!.enumsortorder !== i + 1) await w.update(pgEnum, labels[i]!, { enumsortorder: i + 1 });
  w.commandCounterIncrement();
  return labels.map((label, i) => ({ ...label, enumsortorder: i + 1 }));
}

/** Undefined: there is no number left in between. */
function placeOf(orders: readonly number[], neighbor: number | undefined, after: boolean): number | undefined {
  if (neighbor === undefined) return (orders.at(-1) ?? 0) + 1;
  const before = after ? neighbor : neighbor - 1;
  const [left, right] = [orders[before], orders[before + 1]];
  if (left === undefined) return right! - 1;
  if (right === undefined) return left + 1;
  const middle = Math.fround((left + right) / 2);
  return middle === left || middle === right ? undefined : middle;
}

/** CREATE TYPE ... AS (...): a relation without storage, of which only the row type counts. */
export async function defineCompositeType(context: CommandContext, stmt: RawNode): Promise<Oid> {
  const { w, session } = context;
  const { relname } = stmt.typevar;
  const namespace = await context.creationNamespace(stmt.typevar);
  const old = await w.search(TYPENAMENSP, relname, namespace);
  if (old !== null && old.typelem === 0) throw ereport(ERRCODE.DUPLICATE_OBJECT, `type "${relname}" already exists`);
  const columns: NewColumn[] = [];
  for (const def of (stmt.coldeflist ?? []) as RawNode[])
    columns.push((await transformColumnDefinition(context, relname, placeless(def))).plan.column);
  return heapCreateWithCatalog(w, {
    name: relname,
    namespace,
    owner: session.userId,
    relkind: RELKIND_COMPOSITE_TYPE,
    persistence: RELPERSISTENCE_PERMANENT,
    columns,
    reloptions: null,
    tablespace: NONE,
  });
}

/** Without the place of its type's name: PostgreSQL does not show it where types are made. */
const placeless = (def: RawNode): RawNode => ({ ...def, typeName: { ...def.typeName, location: -1 } });

/** CREATE DOMAIN. */
export async function defineDomain(context: CommandContext, stmt: RawNode): Promise<Oid> {
  const { w, session } = context;
  const { name, namespace } = await newTypeName(context, rawStrings(stmt.domainname));
  const { base, typmod, collation } = await w.read(() => domainBase(context, placeless(stmt)));
  const constraints: readonly RawNode[] = stmt.constraints ?? [];
  const oid = await createTypeWithArray(w, {
    typname: name,
    typnamespace: namespace,
    typowner: session.userId,
    typlen: base.typlen,
    typbyval: base.typbyval,
    typtype: TYPTYPE_DOMAIN,
    typcategory: base.typcategory,
    typdelim: base.typdelim,
    typinput: F_DOMAIN_IN,
    typoutput: base.typoutput,
    typreceive: F_DOMAIN_RECV,
    typsend: base.typsend,
    typanalyze: base.typanalyze,
    typalign: base.typalign,
    typstorage: base.typstorage,
    typnotnull: domainNotNull(constraints),
    typbasetype: base.oid,
    typtypmod: typmod,
    typndims: stmt.typeName.arrayBounds?.length ?? 0,
    typcollation: collation,
    typdefault: base.typdefault,
    typdefaultbin: base.typdefaultbin,
  });
  for (const constraint of constraints) {
    if (constraint.contype === 'CONSTR_CHECK')
      await addDomainCheck(context, { oid, name, namespace, base: base.oid, typmod, collation }, constraint);
  }
  return oid;
}

function domainBase(
  context: CommandContext,
  stmt: RawNode,
): { readonly base: Form_pg_type; readonly typmod: number; readonly collation: Oid } {
  const pstate = context.parseState();
  const { type: base, typmod } = typenameType(pstate, stmt.typeName);
  if (base.typtype === TYPTYPE_PSEUDO) {
    throw ereport(
      ERRCODE.DATATYPE_MISMATCH,
      `"${typeNameToString(stmt.typeName)}" is not a valid base type for a domain`,
    );
  }
  let collation = base.typcollation;
  if (stmt.collClause) {
    const given = lookupCollation(pstate, stmt.collClause.collname, stmt.collClause.location ?? -1) as Oid;
    if (collation === 0)
      throw ereport(ERRCODE.DATATYPE_MISMATCH, `collations are not supported by type ${pstate.typeName(base.oid)}`);
    collation = given;
  }
  return { base, typmod, collation };
}

function domainNotNull(constraints: readonly RawNode[]): boolean {
  let notNull: boolean | undefined;
  for (const { contype, is_no_inherit } of constraints) {
    const refuse = (what: string): Error =>
      ereport(ERRCODE.SYNTAX_ERROR, `${what} constraints not possible for domains`);
    switch (contype) {
      case 'CONSTR_NULL':
      case 'CONSTR_NOTNULL': {
        const wanted = contype === 'CONSTR_NOTNULL';
        if (notNull === !wanted) throw ereport(ERRCODE.SYNTAX_ERROR, 'conflicting NULL/NOT NULL constraints');
        notNull = wanted;
        break;
      }
      case 'CONSTR_CHECK':
        if (is_no_inherit)
          throw ereport(ERRCODE.INVALID_OBJECT_DEFINITION, 'check constraints for domains cannot be marked NO INHERIT');
        break;
      case 'CONSTR_DEFAULT':
        throw notSupported('DEFAULT of a domain');
      case 'CONSTR_UNIQUE':
        throw refuse('unique');
      case 'CONSTR_PRIMARY':
        throw refuse('primary key');
      case 'CONSTR_EXCLUSION':
        throw refuse('exclusion');
      case 'CONSTR_FOREIGN':
        throw refuse('foreign key');
      default:
        throw ereport(ERRCODE.FEATURE_NOT_SUPPORTED, 'specifying constraint deferrability not supported for domains');
    }
  }
  return notNull ?? false;
}

interface Domain {
  readonly oid: Oid;
  readonly name: string;
  readonly namespace: Oid;
  readonly base: Oid;
  readonly typmod: number;
  readonly collation: Oid;
}

async function addDomainCheck(context: CommandContext, domain: Domain, constraint: RawNode): Promise<void> {
  const { w } = context;
  const existing = (await w.scan(pgConstraint, ConstraintTypidIndexId, domain.oid)).map(c => c.conname);
  let name: string = constraint.conname ?? '';
  if (name === '') name = await chooseName(domain.name, '', 'check', async candidate => existing.includes(candidate));
  else if (existing.includes(name)) {
    throw ereport(ERRCODE.DUPLICATE_OBJECT, `constraint "${name}" for domain "${domain.name}" already exists`);
  }
  const cooked = await cookDomainCheck(context, constraint.raw_expr, domain);
  await createConstraintEntry(w, {
    name,
    namespace: domain.namespace,
    contype: CONSTRAINT_CHECK,
    relid: NONE,
    typid: domain.oid,
    keys: null,
    conbin: cooked.tree,
    references: cooked.references,
    validated: !(constraint.skip_validation ?? false),
  });
  w.commandCounterIncrement();
}
