/**
 * The target lists of INSERT and UPDATE, put into column order with column defaults filled in.
 */
import { INVALID_OID } from '@pgtroupe/common/ids';
import { F_NEXTVAL, INT8OID, REGCLASSOID } from '@pgtroupe/common/oids';
import { assert } from '@pgtroupe/common/assert';
import { notSupported } from '@pgtroupe/common/ereport';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import type { Form_pg_attribute } from '@pgtroupe/catalog/catalogs/pg_attribute';
import { makeConst, makeFuncExpr, makeTargetEntry } from '@pgtroupe/nodes/makefuncs';
import { equalNodes, exprType } from '@pgtroupe/nodes/nodefuncs';
import {
  CMD_INSERT,
  CMD_UPDATE,
  COERCE_EXPLICIT_CALL,
  COERCE_IMPLICIT_CAST,
  COERCION_ASSIGNMENT,
  OVERRIDING_SYSTEM_VALUE,
  OVERRIDING_USER_VALUE,
  type CmdType,
  type OverridingKind,
} from '@pgtroupe/nodes/nodes';
import type { Expr, TargetEntry } from '@pgtroupe/nodes/primnodes';
import type { Query, RangeTblEntry } from '@pgtroupe/nodes/parsenodes';
import { stringToNode } from '@pgtroupe/nodes/readfuncs';
import { coerceNullToDomain, coerceToTargetType } from '../parse_coerce.ts';
import { coerceForColumn } from '../coerce_column.ts';
import type { ParseState } from '../parse_node.ts';

interface ValuesRte {
  readonly rte: RangeTblEntry;
  readonly index: number;
}

/** The default of a column as an expression of its type; null if it has none. */
export function buildColumnDefault(pstate: ParseState, attr: Form_pg_attribute): Expr | null {
  if (attr.attidentity !== '') return nextValue(pstate, attr);
  let expr: Expr | null = null;
  if (attr.atthasdef) {
    const stored = pstate.catalog.attributeDefault(attr.attrelid, attr.attnum);
    if (stored !== null) expr = stringToNode(stored) as Expr;
  }
  if (expr === null) {
    const type = pstate.catalog.type(attr.atttypid);
    if (type.typdefaultbin !== null) expr = stringToNode(type.typdefaultbin) as Expr;
    else if (type.typdefault !== null) throw notSupported('types with a default value');
  }
  if (expr === null) return null;
  const column = { name: attr.attname, typid: attr.atttypid, typmod: attr.atttypmod };
  return coerceForColumn(pstate, expr, column, 'default expression');
}

/**
 * The next value of an identity column's sequence: a plain call of nextval. PostgreSQL has a node of its
 * own for it, which differs only in not checking the user's rights on the sequence.
 */
function nextValue(pstate: ParseState, attr: Form_pg_attribute): Expr {
  const sequence = pstate.catalog.identitySequence(attr.attrelid, attr.attnum);
  assert(sequence !== 0, `identity column ${attr.attname} has a sequence`);
  const call = makeFuncExpr(
    F_NEXTVAL,
    INT8OID,
    [makeConst(REGCLASSOID, -1, INVALID_OID, 4, true, sequence)],
    INVALID_OID,
    INVALID_OID,
    COERCE_EXPLICIT_CALL,
  );
  return coerceToTargetType(
    pstate,
    call,
    INT8OID,
    attr.atttypid,
    -1,
    COERCION_ASSIGNMENT,
    COERCE_IMPLICIT_CAST,
    -1,
  ) as Expr;
}

/** Positions (from 1) of the VALUES columns that are DEFAULT in every row. */
function defaultOnlyColumns(rte: RangeTblEntry): ReadonlySet<number> {
  const first = rte.values_lists[0] as readonly Expr[];
  const columns = first.map((_, i) => i + 1);
  return new Set(columns.filter(c => rte.values_lists.every(row => (row[c - 1] as Expr).type === 'SetToDefault')));
}

/**
 * Orders the entries by column, merges several assignments to parts of one column, and adds defaults.
 * Columns of VALUES that a default replaces altogether are put into unusedValues.
 */
export function rewriteTargetListIU(
  pstate: ParseState,
  targetList: readonly TargetEntry[],
  commandType: CmdType,
  override: OverridingKind,
  attrs: readonly Form_pg_attribute[],
  values: ValuesRte | null,
  unusedValues: Set<number>,
): TargetEntry[] {
  const byColumn: (TargetEntry | undefined)[] = [];
  const junk: TargetEntry[] = [];
  for (const tle of targetList) {
    if (tle.resjunk) {
      const resno = attrs.length + 1 + junk.length;
      junk.push(tle.resno === resno ? tle : { ...tle, resno });
      continue;
    }
    const attr = attrs[tle.resno - 1]!;
    if (!attr.attisdropped) byColumn[tle.resno] = processMatchedTle(pstate, tle, byColumn[tle.resno], attr.attname);
  }
  const result: TargetEntry[] = [];
  for (const attr of attrs) {
    if (attr.attisdropped) continue;
    const tle = rewriteColumn(pstate, attr, byColumn[attr.attnum], commandType, override, values, unusedValues);
    if (tle) result.push(tle);
  }
  return [...result, ...junk];
}

function rewriteColumn(
  pstate: ParseState,
  attr: Form_pg_attribute,
  tle: TargetEntry | undefined,
  commandType: CmdType,
  override: OverridingKind,
  values: ValuesRte | null,
  unusedValues: Set<number>,
): TargetEntry | null {
  let applyDefault = tle === undefined ? commandType === CMD_INSERT : tle.expr.type === 'SetToDefault';
  const identity = `Column "${attr.attname}" is an identity column defined as GENERATED ALWAYS.`;
  const generated = `Column "${attr.attname}" is a generated column.`;
  if (commandType === CMD_INSERT) {
    const expr = tle?.expr;
    const valuesAttno = values && expr?.type === 'Var' && expr.varno === values.index ? expr.varattno : 0;
    const isDefaultOnly = () => valuesAttno !== 0 && defaultOnlyColumns((values as ValuesRte).rte).has(valuesAttno);
    const refuse = (detail: string, hint?: string) =>
      pstate.error(ERRCODE.GENERATED_ALWAYS, `cannot insert a non-DEFAULT value into column "${attr.attname}"`, -1, {
        detail,
        hint,
      });
    if (attr.attidentity === 'a' && !applyDefault) {
      if (override === OVERRIDING_USER_VALUE) applyDefault = true;
      else if (override !== OVERRIDING_SYSTEM_VALUE) {
        if (!isDefaultOnly()) throw refuse(identity, 'Use OVERRIDING SYSTEM VALUE to override.');
        applyDefault = true;
      }
    }
    if (attr.attidentity === 'd' && override === OVERRIDING_USER_VALUE) applyDefault = true;
    if (attr.attgenerated !== '' && !applyDefault) {
      if (!isDefaultOnly()) throw refuse(generated);
      applyDefault = true;
    }
    if (valuesAttno !== 0 && applyDefault) unusedValues.add(valuesAttno);
  } else if (commandType === CMD_UPDATE && tle && !applyDefault) {
    const refuse = (detail: string) =>
      pstate.error(ERRCODE.GENERATED_ALWAYS, `column "${attr.attname}" can only be updated to DEFAULT`, -1, { detail });
    if (attr.attidentity === 'a') throw refuse(identity);
    if (attr.attgenerated !== '') throw refuse(generated);
  }
  // Stored generated columns are computed by the executor.
  if (attr.attgenerated !== '') return null;
  if (!applyDefault) return tle ?? null;
  let expr = buildColumnDefault(pstate, attr);
  if (expr === null) {
    expr = coerceNullToDomain(pstate, attr.atttypid, attr.atttypmod, attr.attcollation);
    // What is left out is null anyway, but a domain may have something to say.
    if (commandType === CMD_INSERT && expr.type === 'Const') return null;
  }
  return makeTargetEntry(expr, attr.attnum, attr.attname, false);
}

/** What an assignment to part of a value starts from; null if the expression is none. */
function assignmentInput(expr: Expr): Expr | null {
  if (expr.type === 'FieldStore') return expr.arg;
  if (expr.type === 'SubscriptingRef') return expr.refassgnexpr === null ? null : expr.refexpr;
  return null;
}

/** Two assignments to parts of one column nest into one. */
function processMatchedTle(
  pstate: ParseState,
  tle: TargetEntry,
  prior: TargetEntry | undefined,
  attname: string,
): TargetEntry {
  if (!prior) return tle;
  const duplicate = () => pstate.error(ERRCODE.SYNTAX_ERROR, `multiple assignments to same column "${attname}"`);
  let src: Expr = tle.expr;
  let before: Expr = prior.expr;
  let domain: Extract<Expr, { type: 'CoerceToDomain' }> | null = null;
  if (src.type === 'CoerceToDomain' && before.type === 'CoerceToDomain' && src.resulttype === before.resulttype) {
    domain = src;
    src = src.arg;
    before = before.arg;
  }
  const input = assignmentInput(src);
  let bottom = assignmentInput(before);
  if (input === null || bottom === null || exprType(src) !== exprType(before)) throw duplicate();
  for (let next = assignmentInput(bottom); next !== null; next = assignmentInput(bottom)) bottom = next;
  if (!equalNodes(bottom, input)) throw duplicate();
  let merged: Expr;
  if (src.type === 'FieldStore') {
    merged =
      before.type === 'FieldStore'
        ? {
            ...before,
            newvals: [...before.newvals, ...src.newvals],
            fieldnums: [...before.fieldnums, ...src.fieldnums],
          }
        : { ...src, arg: before };
  } else merged = { ...(src as Extract<Expr, { type: 'SubscriptingRef' }>), refexpr: before };
  return { ...tle, expr: domain ? { ...domain, arg: merged } : merged };
}

/** Replaces DEFAULT in the rows of a multi-row INSERT. */
export function rewriteValuesRte(
  pstate: ParseState,
  query: Query,
  values: ValuesRte,
  attrs: readonly Form_pg_attribute[],
  unusedValues: ReadonlySet<number>,
): RangeTblEntry {
  const { rte, index } = values;
  if (!rte.values_lists.some(row => row.some(expr => expr.type === 'SetToDefault'))) return rte;
  const columnOf: number[] = [];
  for (const tle of query.targetList) {
    if (tle.expr.type === 'Var' && tle.expr.varno === index) columnOf[tle.expr.varattno] = tle.resno;
  }
  const values_lists = rte.values_lists.map(row =>
    row.map((expr, i): Expr => {
      if (expr.type !== 'SetToDefault') return expr;
      if (unusedValues.has(i + 1)) {
        const row = pstate.catalog.type(expr.typeId);
        return makeConst(expr.typeId, expr.typeMod, expr.collation, row.typlen, row.typbyval, null);
      }
      const attr = attrs[(columnOf[i + 1] ?? 0) - 1];
      if (!attr) throw pstate.error(ERRCODE.INTERNAL_ERROR, `cannot set value in column ${i + 1} to DEFAULT`);
      return (
        (attr.attisdropped ? null : buildColumnDefault(pstate, attr)) ??
        coerceNullToDomain(pstate, attr.atttypid, attr.atttypmod, attr.attcollation)
      );
    }),
  );
  return { ...rte, values_lists };
}
