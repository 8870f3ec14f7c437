/**
 * Takes the elements of CREATE TABLE (and ADD COLUMN) apart: columns, and the constraints that were
 * written beside them or by themselves.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import type { NewColumn } from '@pgtroupe/catalog/heap';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { rawStrings } from '@pgtroupe/parser/parse_node';
import { lookupCollation, typenameType } from '@pgtroupe/parser/parse_type';
import type { CommandContext } from './command-context.ts';
import { constraintWords } from './commandtag.ts';

/** A column with what still has to be made for it. */
export interface ColumnPlan {
  readonly column: NewColumn;
  /** Raw DEFAULT expression. */
  readonly defaultExpr: RawNode | undefined;
  /** Raw expression of GENERATED ALWAYS AS (...) STORED. */
  readonly generatedExpr: RawNode | undefined;
  /** serial and identity columns get a sequence. */
  readonly sequence: { readonly kind: 'serial' | 'identity'; readonly options: readonly RawNode[] } | undefined;
}

export interface TablePlan {
  readonly columns: readonly ColumnPlan[];
  /** Constraint nodes: PRIMARY KEY first, then UNIQUE. */
  readonly indexConstraints: readonly RawNode[];
  readonly checks: readonly RawNode[];
  readonly foreignKeys: readonly RawNode[];
}

const SERIAL_TYPES: Readonly<Record<string, string>> = {
  smallserial: 'int2',
  serial2: 'int2',
  serial: 'int4',
  serial4: 'int4',
  bigserial: 'int8',
  serial8: 'int8',
};

/** `table` is for messages. */
export async function transformTableElements(
  context: CommandContext,
  table: string,
  elements: readonly RawNode[],
): Promise<TablePlan> {
  const columns: ColumnPlan[] = [];
  const constraints: RawNode[] = [];
  for (const element of elements) {
    switch (element.type) {
      case 'ColumnDef': {
        const { plan, others } = await transformColumnDefinition(context, table, element);
        columns.push(plan);
        constraints.push(...others);
        break;
      }
      case 'Constraint':
        constraints.push(element);
        break;
      case 'TableLikeClause':
        throw notSupported('CREATE TABLE LIKE');
      default:
        throw notSupported('this element of CREATE TABLE');
    }
  }
  return {
    columns: withPrimaryKeyNotNull(context, columns, constraints, table),
    ...sortConstraints(context, table, constraints),
  };
}

/** A deferral clause stands behind the constraint it belongs to. */
function attachDeferral(context: CommandContext, constraints: readonly RawNode[]): RawNode[] {
  const result: RawNode[] = [];
  for (const constraint of constraints) {
    const last = result.at(-1);
    const needPrevious = (): RawNode => {
      if (
        last !== undefined &&
        ['CONSTR_PRIMARY', 'CONSTR_UNIQUE', 'CONSTR_FOREIGN', 'CONSTR_EXCLUSION'].includes(last.contype)
      )
        return last;
      throw context.error(ERRCODE.SYNTAX_ERROR, 'misplaced DEFERRABLE clause', constraint);
    };
    switch (constraint.contype) {
      case 'CONSTR_ATTR_DEFERRABLE':
        result[result.length - 1] = { ...needPrevious(), deferrable: true };
        break;
      case 'CONSTR_ATTR_DEFERRED':
        result[result.length - 1] = { ...needPrevious(), deferrable: true, initdeferred: true };
        break;
      case 'CONSTR_ATTR_NOT_DEFERRABLE':
      case 'CONSTR_ATTR_IMMEDIATE':
        needPrevious();
        break;
      default:
        result.push(constraint);
    }
  }
  return result;
}

export async function transformColumnDefinition(
  context: CommandContext,
  table: string,
  def: RawNode,
): Promise<{ readonly plan: ColumnPlan; readonly others: readonly RawNode[] }> {
  const name: string = def.colname;
  const serial = serialType(context, def.typeName);
  const typeName =
    serial === undefined
      ? def.typeName
      : {
          ...def.typeName,
          names: [
            { type: 'String', sval: 'pg_catalog' },
            { type: 'String', sval: serial },
          ],
        };
  const others: RawNode[] = [];
  let notNull: boolean | undefined = serial === undefined && !def.is_not_null ? undefined : true;
  let defaultExpr: RawNode | undefined;
  let generatedExpr: RawNode | undefined;
  let identity: RawNode | undefined;
  const conflict = (what: string, node: RawNode): Error =>
    context.error(ERRCODE.SYNTAX_ERROR, `${what} for column "${name}" of table "${table}"`, node);
  for (const constraint of attachDeferral(context, def.constraints ?? [])) {
    switch (constraint.contype) {
      case 'CONSTR_NULL':
        if (notNull === true) throw conflict('conflicting NULL/NOT NULL declarations', constraint);
        notNull = false;
        break;
      case 'CONSTR_NOTNULL':
        if (notNull === false) throw conflict('conflicting NULL/NOT NULL declarations', constraint);
        notNull = true;
        break;
      case 'CONSTR_DEFAULT':
        if (defaultExpr !== undefined) throw conflict('multiple default values specified', constraint);
        defaultExpr = constraint.raw_expr;
        break;
      case 'CONSTR_GENERATED':
        if (constraint.generated_kind === 'v') throw notSupported('virtual generated columns');
        if (generatedExpr !== undefined) throw conflict('multiple generation clauses specified', constraint);
        generatedExpr = constraint.raw_expr;
        break;
      case 'CONSTR_IDENTITY':
        if (identity !== undefined) throw conflict('multiple identity specifications', constraint);
        if (notNull === false) throw conflict('conflicting NULL/NOT NULL declarations', constraint);
        identity = constraint;
        notNull = true;
        break;
      case 'CONSTR_FOREIGN':
        others.push({ ...constraint, fk_attrs: [{ type: 'String', sval: name }] });
        break;
      case 'CONSTR_PRIMARY':
      case 'CONSTR_UNIQUE':
        others.push(constraint.keys ? constraint : { ...constraint, keys: [{ type: 'String', sval: name }] });
        break;
      case 'CONSTR_CHECK':
        others.push({ ...constraint, column: name });
        break;
      default:
        throw notSupported(`column constraint ${constraintWords(constraint)}`);
    }
    if (defaultExpr !== undefined && identity !== undefined)
      throw conflict('both default and identity specified', constraint);
    if (defaultExpr !== undefined && generatedExpr !== undefined)
      throw conflict('both default and generation expression specified', constraint);
    if (identity !== undefined && generatedExpr !== undefined)
      throw conflict('both identity and generation expression specified', constraint);
  }
  // The sequence's default comes behind all that was written: no place to point at.
  if (serial !== undefined && defaultExpr !== undefined) {
    throw ereport(ERRCODE.SYNTAX_ERROR, `multiple default values specified for column "${name}" of table "${table}"`);
  }
  if (serial !== undefined && (identity !== undefined || generatedExpr !== undefined)) {
    const other = identity !== undefined ? 'identity' : 'generation expression';
    throw ereport(ERRCODE.SYNTAX_ERROR, `both default and ${other} specified for column "${name}" of table "${table}"`);
  }
  const typed = await columnType(context, typeName, def);
  const column: NewColumn = {
    name,
    ...typed,
    notNull: notNull ?? false,
    identity: identity?.generated_when ?? '',
    generated: generatedExpr === undefined ? '' : 's',
    ...(def.storage_name ? { storage: storageCode(def.storage_name) } : {}),
    ...(def.compression && def.compression !== 'default' ? { compression: compressionCode(def.compression) } : {}),
  };
  const sequence =
    serial !== undefined
      ? { kind: 'serial' as const, options: [] }
      : identity && { kind: 'identity' as const, options: identity.options ?? [] };
  return { plan: { column, defaultExpr, generatedExpr, sequence }, others };
}

/** The integer type beneath serial and its kin. */
function serialType(context: CommandContext, typeName: RawNode): string | undefined {
  const names = rawStrings(typeName.names);
  if (names.length !== 1 || typeName.pct_type) return undefined;
  const found = SERIAL_TYPES[names[0]!];
  if (found !== undefined && typeName.arrayBounds)
    throw context.error(ERRCODE.FEATURE_NOT_SUPPORTED, 'array of serial is not implemented', typeName);
  return found;
}

function columnType(
  context: CommandContext,
  typeName: RawNode,
  def: RawNode,
): Promise<Pick<NewColumn, 'typid' | 'typmod' | 'collation' | 'ndims'>> {
  return context.w.read(() => {
    const pstate = context.parseState();
    if (typeName.setof)
      throw context.error(ERRCODE.INVALID_TABLE_DEFINITION, `column "${def.colname}" cannot be declared SETOF`, def);
    const { type, typmod } = typenameType(pstate, typeName);
    let collation = type.typcollation;
    if (def.collClause) {
      if (collation === 0)
        throw context.error(
          ERRCODE.DATATYPE_MISMATCH,
          `collations are not supported by type ${pstate.typeName(type.oid)}`,
          def.collClause,
        );
      collation = lookupCollation(pstate, def.collClause.collname, def.collClause.location ?? -1) as Oid;
    }
    return { typid: type.oid, typmod, collation, ndims: typeName.arrayBounds?.length ?? 0 };
  });
}

export function storageCode(name: string): string {
  const codes: Readonly<Record<string, string>> = {
    plain: 'p',
    external: 'e',
    extended: 'x',
    main: 'm',
  };
  const code = codes[name.toLowerCase()];
  if (code === undefined) throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `invalid storage type "${name}"`);
  return code;
}

function compressionCode(method: string): string {
  if (method === 'pglz') return 'p';
  if (method === 'lz4') throw notSupported('lz4 compression');
  throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `invalid compression method "${method}"`);
}

/** PRIMARY KEY columns are NOT NULL, however the key was written. */
function withPrimaryKeyNotNull(
  context: CommandContext,
  columns: readonly ColumnPlan[],
  constraints: readonly RawNode[],
  table: string,
): ColumnPlan[] {
  const keys = new Set<string>();
  for (const constraint of constraints) {
    if (constraint.contype !== 'CONSTR_PRIMARY') continue;
    if (keys.size > 0)
      throw context.error(
        ERRCODE.INVALID_TABLE_DEFINITION,
        `multiple primary keys for table "${table}" are not allowed`,
        constraint,
      );
    for (const key of rawStrings(constraint.keys)) keys.add(key);
  }
  return columns.map(plan =>
    keys.has(plan.column.name) ? { ...plan, column: { ...plan.column, notNull: true } } : plan,
  );
}

function sortConstraints(
  context: CommandContext,
  table: string,
  all: readonly RawNode[],
): Pick<TablePlan, 'indexConstraints' | 'checks' | 'foreignKeys'> {
  const constraints = attachDeferral(context, all);
  const unknown = constraints.find(
    c => !['CONSTR_PRIMARY', 'CONSTR_UNIQUE', 'CONSTR_CHECK', 'CONSTR_FOREIGN'].includes(c.contype),
  );
  if (unknown !== undefined) throw notSupported(`${constraintWords(unknown)} constraint on table "${table}"`);
  const primary = constraints.filter(c => c.contype === 'CONSTR_PRIMARY');
  const keyOf = (c: RawNode): string => rawStrings(c.keys).join('\0');
  const unique: RawNode[] = [];
  for (const constraint of constraints) {
    if (constraint.contype !== 'CONSTR_UNIQUE') continue;
    // The same columns once more make no second index, unless it was named.
    if (constraint.conname === undefined && [...primary, ...unique].some(c => keyOf(c) === keyOf(constraint))) continue;
    unique.push(constraint);
  }
  return {
    indexConstraints: [...primary, ...unique],
    checks: constraints.filter(c => c.contype === 'CONSTR_CHECK'),
    foreignKeys: constraints.filter(c => c.contype === 'CONSTR_FOREIGN'),
  };
}
