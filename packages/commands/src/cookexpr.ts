/**
 * Expressions that commands store: defaults, CHECK conditions, index expressions and predicates. Each
 * is analyzed, coerced, given its collations, and written as pg_node_tree, with the list of objects it
 * refers to.
 */
import { F_NEXTVAL, INT8OID, REGCLASSOID } from '@pgtroupe/common/oids';
import { RelationRelationId } from '@pgtroupe/catalog/catalogs/pg_class';
import type { ObjectAddress } from '@pgtroupe/catalog/objectaddress';
import type { RelationDesc } from '@pgtroupe/catalog/relcache';
import { assert } from '@pgtroupe/common/assert';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { type Oid, INVALID_OID } from '@pgtroupe/common/ids';
import { exprCollation, exprType, exprTypmod, walkChildren } from '@pgtroupe/nodes/nodefuncs';
import { makeConst, makeFuncExpr } from '@pgtroupe/nodes/makefuncs';
import { nodeToString } from '@pgtroupe/nodes/outfuncs';
import type { Node } from '@pgtroupe/nodes/parsenodes';
import type { Expr } from '@pgtroupe/nodes/primnodes';
import { COERCE_EXPLICIT_CALL, COERCE_IMPLICIT_CAST, COERCION_ASSIGNMENT } from '@pgtroupe/nodes/nodes';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { coerceToBoolean, coerceToTargetType } from '@pgtroupe/parser/parse_coerce';
import { coerceForColumn } from '@pgtroupe/parser/coerce_column';
import { assignExprCollations } from '@pgtroupe/parser/parse_collate';
import type { ParseExprKind, ParseState } from '@pgtroupe/parser/parse_node';
import { ACCESS_SHARE_LOCK, addNSItemToQuery, addRangeTableEntryForRelation } from '@pgtroupe/parser/parse_relation';
import type { CommandContext } from './command-context.ts';
import { findExprReferences } from './exprreferences.ts';
import { transformExpr } from '@pgtroupe/parser/grammar';

/** pg_proc oid of nextval(regclass). */

export interface CookedExpr {
  readonly expr: Expr;
  /** pg_node_tree. */
  readonly tree: string;
  readonly references: readonly ObjectAddress[];
  /** Columns of the relation that it uses. */
  readonly columns: readonly number[];
}

/** A parse state in which the relation's columns can be named. */
function stateOver(context: CommandContext, rel: RelationDesc): ParseState {
  const pstate = context.parseState();
  const nsitem = addRangeTableEntryForRelation(
    pstate,
    { rel: rel.rel, attrs: rel.attributes },
    ACCESS_SHARE_LOCK,
    null,
    false,
    true,
  );
  addNSItemToQuery(pstate, nsitem, true, true, true);
  return pstate;
}

function cooked(context: CommandContext, expr: Expr, relid: Oid): CookedExpr {
  const references = findExprReferences(context.lookup, expr, relid);
  const columns = references
    .filter(r => r.classId === RelationRelationId && r.objectId === relid && relid !== 0)
    .map(r => r.objectSubId);
  return {
    expr,
    tree: nodeToString(expr),
    references,
    columns: [...new Set(columns)].sort((a, b) => a - b),
  };
}

/** A column's default or generation expression, as an assignment to the column. */
export function cookDefault(
  context: CommandContext,
  raw: RawNode,
  column: { readonly name: string; readonly typid: Oid; readonly typmod: number },
  generatedOver?: RelationDesc,
): Promise<CookedExpr> {
  return context.w.read(() => {
    const pstate = generatedOver === undefined ? context.parseState() : stateOver(context, generatedOver);
    const expr = transformExpr(pstate, raw, generatedOver === undefined ? 'COLUMN_DEFAULT' : 'GENERATED_COLUMN');
    if (generatedOver !== undefined) checkNestedGenerated(pstate, generatedOver, expr);
    const coerced = coerceForColumn(pstate, expr, column, 'default expression');
    assignExprCollations(pstate, coerced);
    // Its value is stored: it must be the same whenever it is computed.
    if (generatedOver !== undefined && calls(context, simplified(context, coerced), 'sv'))
      throw pstate.error(ERRCODE.INVALID_OBJECT_DEFINITION, 'generation expression is not immutable');
    return cooked(context, coerced, generatedOver?.oid ?? (0 as Oid));
  });
}

/** A generated column may use no other one, nor the row that it is part of. */
function checkNestedGenerated(pstate: ParseState, rel: RelationDesc, expr: Expr): void {
  const visit = (node: Node): boolean => {
    if (node.type !== 'Var') return walkChildren(node, visit);
    if (node.varattno === 0)
      throw pstate.error(
        ERRCODE.INVALID_OBJECT_DEFINITION,
        'cannot use whole-row variable in column generation expression',
        node.location,
        { detail: 'This would cause the generated column to depend on its own value.' },
      );
    const attribute = rel.attributes.find(a => a.attnum === node.varattno);
    if (attribute !== undefined && attribute.attgenerated !== '')
      throw pstate.error(
        ERRCODE.INVALID_OBJECT_DEFINITION,
        `cannot use generated column "${attribute.attname}" in column generation expression`,
        node.location,
        { detail: 'A generated column cannot reference another generated column.' },
      );
    return false;
  };
  visit(expr);
}

/** The default of a serial column: nextval of its sequence. */
export function cookNextval(
  context: CommandContext,
  sequence: Oid,
  column: { readonly name: string; readonly typid: Oid; readonly typmod: number },
): Promise<CookedExpr> {
  return context.w.read(() => {
    const oid = makeConst(REGCLASSOID, -1, INVALID_OID, 4, true, sequence);
    const call = makeFuncExpr(F_NEXTVAL, INT8OID, [oid], INVALID_OID, INVALID_OID, COERCE_EXPLICIT_CALL);
    const expr = coerceToTargetType(
      context.parseState(),
      call,
      INT8OID,
      column.typid,
      column.typmod,
      COERCION_ASSIGNMENT,
      COERCE_IMPLICIT_CAST,
      -1,
    );
    assert(expr !== null, 'bigint can be assigned to every integer type');
    return cooked(context, expr, 0 as Oid);
  });
}

export function cookCheck(context: CommandContext, raw: RawNode, rel: RelationDesc): Promise<CookedExpr> {
  return context.w.read(() =>
    cooked(context, condition(stateOver(context, rel), raw, 'CHECK_CONSTRAINT', 'CHECK'), rel.oid),
  );
}

/** A domain's CHECK: `value` stands for the value to be checked. */
export function cookDomainCheck(
  context: CommandContext,
  raw: RawNode,
  domain: { readonly base: Oid; readonly typmod: number; readonly collation: Oid },
): Promise<CookedExpr> {
  return context.w.read(() => {
    const pstate = context.parseState();
    pstate.columnRefHook = (_pstate, cref) => {
      const [field, ...rest] = cref.fields as RawNode[];
      if (rest.length > 0 || field?.sval !== 'value') return null;
      return {
        type: 'CoerceToDomainValue',
        typeId: domain.base,
        typeMod: domain.typmod,
        collation: domain.collation,
        location: cref.location ?? 0,
      };
    };
    return cooked(context, condition(pstate, raw, 'DOMAIN_CHECK', 'CHECK'), 0 as Oid);
  });
}

function condition(pstate: ParseState, raw: RawNode, kind: ParseExprKind, construct: string): Expr {
  const expr = coerceToBoolean(pstate, transformExpr(pstate, raw, kind), construct);
  assignExprCollations(pstate, expr);
  return expr;
}

export interface CookedIndex {
  /** By index column: what an expression yields; undefined for plain columns. */
  readonly types: readonly ({ readonly typid: Oid; readonly typmod: number; readonly collation: Oid } | undefined)[];
  readonly indexprs: string | null;
  readonly indpred: string | null;
  readonly references: readonly ObjectAddress[];
}

/** Expressions of IndexElem nodes, and the predicate. */
export async function cookIndexExpressions(
  context: CommandContext,
  rel: RelationDesc,
  elements: readonly RawNode[],
  where: RawNode | undefined,
): Promise<CookedIndex> {
  if (where === undefined && elements.every(element => element.expr === undefined)) {
    return { types: elements.map(() => undefined), indexprs: null, indpred: null, references: [] };
  }
  return context.w.read(() => {
    const expressions = elements.map(({ expr }) => {
      if (expr === undefined) return undefined;
      const pstate = stateOver(context, rel);
      const result = transformExpr(pstate, expr, 'INDEX_EXPRESSION');
      assignExprCollations(pstate, result);
      return result;
    });
    const predicate =
      where === undefined ? null : condition(stateOver(context, rel), where, 'INDEX_PREDICATE', 'WHERE');
    const present = expressions.filter(expr => expr !== undefined);
    for (const expr of [...present, ...(predicate === null ? [] : [predicate])])
      checkImmutable(context, expr, present.includes(expr));
    return {
      types: expressions.map(
        expr =>
          expr && {
            typid: exprType(expr) as Oid,
            typmod: exprTypmod(expr),
            collation: exprCollation(expr) as Oid,
          },
      ),
      indexprs: present.length === 0 ? null : nodeToString(present),
      indpred: predicate === null ? null : nodeToString(predicate),
      references: [...present, ...(predicate === null ? [] : [predicate])].flatMap(expr =>
        findExprReferences(context.lookup, expr, rel.oid),
      ),
    };
  });
}

/** What SQL functions are made of counts, not what they are marked as. */
function simplified(context: CommandContext, expr: Expr): Expr {
  return context.session.simplify?.(expr) ?? expr;
}

/** Does the expression call a function of one of these volatilities? */
function calls(context: CommandContext, expr: Node, volatilities: string): boolean {
  const visit = (node: Node): boolean =>
    // current_date and its kin differ from statement to statement, nextval from call to call.
    (node.type === 'SQLValueFunction' && volatilities.includes('s')) ||
    (node.type === 'NextValueExpr' && volatilities.includes('v')) ||
    functionsOf(context, node).some(id => volatilities.includes(context.lookup.proc(id).provolatile)) ||
    walkChildren(node, visit);
  return visit(expr);
}

/** Would evaluating it for each row give different values? */
export function isVolatile(context: CommandContext, expr: Expr): Promise<boolean> {
  return context.w.read(() => calls(context, simplified(context, expr), 'v'));
}

/** An index must find again tomorrow what it stored today. */
function checkImmutable(context: CommandContext, expr: Expr, isKey: boolean): void {
  if (!calls(context, simplified(context, expr), 'sv')) return;
  const pstate = context.parseState();
  throw pstate.error(
    ERRCODE.INVALID_OBJECT_DEFINITION,
    `functions in index ${isKey ? 'expression' : 'predicate'} must be marked IMMUTABLE`,
  );
}

function functionsOf(context: CommandContext, node: Node): Oid[] {
  switch (node.type) {
    case 'FuncExpr':
      return [node.funcid];
    case 'OpExpr':
    case 'DistinctExpr':
    case 'NullIfExpr':
    case 'ScalarArrayOpExpr':
      return [context.lookup.oper(node.opno).oprcode];
    case 'CoerceViaIO':
      return [context.lookup.type(exprType(node.arg)).typoutput, context.lookup.type(node.resulttype).typinput];
    default:
      return [];
  }
}
