/**
 * Facts about any expression: its type, typmod, collation and place in the text; walking, rewriting
 * and comparing trees. Traversal is driven by layout.ts, so a new node needs no code here beyond its
 * type rule.
 */
import { type Oid, INVALID_OID } from '@pgtroupe/common/ids';
import {
  BOOLOID,
  INT4OID,
  NAMEOID,
  RECORDOID,
  TEXTOID,
  XMLOID,
  C_COLLATION_OID,
  DEFAULT_COLLATION_OID,
} from '@pgtroupe/common/oids';
import { assert } from '@pgtroupe/common/assert';
import { EXPR_SUBLINK, ARRAY_SUBLINK, MULTIEXPR_SUBLINK } from './nodes.ts';
import { LAYOUT_BY_TYPE, RTE_HEAD_FIELDS, RTE_KIND_FIELDS, RTE_TAIL_FIELDS, type FieldLayout } from './layout.ts';
import type { Expr, SubLink, TargetEntry } from './primnodes.ts';
import type { Node, Query, RangeTblEntry } from './parsenodes.ts';

function firstColumn(sublink: SubLink): TargetEntry {
  const tle = (sublink.subselect.targetList as readonly TargetEntry[])[0];
  assert(tle !== undefined && !tle.resjunk, 'subselect has a first column');
  return tle;
}

/** Type OID of an expression's value. */
export function exprType(expr: Expr | null): Oid {
  if (expr === null) return INVALID_OID;
  switch (expr.type) {
    case 'Var':
      return expr.vartype;
    case 'Const':
      return expr.consttype;
    case 'Param':
      return expr.paramtype;
    case 'Aggref':
      return expr.aggtype;
    case 'GroupingFunc':
      return INT4OID;
    case 'WindowFunc':
      return expr.wintype;
    case 'SubscriptingRef':
      return expr.refrestype;
    case 'FuncExpr':
      return expr.funcresulttype;
    case 'NamedArgExpr':
      return exprType(expr.arg);
    case 'OpExpr':
    case 'DistinctExpr':
    case 'NullIfExpr':
      return expr.opresulttype;
    case 'ScalarArrayOpExpr':
    case 'BoolExpr':
    case 'RowCompareExpr':
    case 'NullTest':
    case 'BooleanTest':
    case 'CurrentOfExpr':
      return BOOLOID;
    case 'SubLink': {
      if (expr.subLinkType === EXPR_SUBLINK) return exprType(firstColumn(expr).expr);
      if (expr.subLinkType === ARRAY_SUBLINK) return expr.arraytype;
      if (expr.subLinkType === MULTIEXPR_SUBLINK) return RECORDOID;
      return BOOLOID;
    }
    case 'SubPlan':
      if (expr.subLinkType === EXPR_SUBLINK || expr.subLinkType === ARRAY_SUBLINK) return expr.firstColType;
      return expr.subLinkType === MULTIEXPR_SUBLINK ? RECORDOID : BOOLOID;
    case 'FieldSelect':
    case 'FieldStore':
    case 'RelabelType':
    case 'CoerceViaIO':
    case 'ArrayCoerceExpr':
    case 'ConvertRowtypeExpr':
    case 'CoerceToDomain':
      return expr.resulttype;
    case 'CollateExpr':
      return exprType(expr.arg);
    case 'CaseExpr':
      return expr.casetype;
    case 'CaseTestExpr':
    case 'CoerceToDomainValue':
    case 'SetToDefault':
    case 'NextValueExpr':
      return expr.typeId;
    case 'ArrayExpr':
      return expr.array_typeid;
    case 'RowExpr':
      return expr.row_typeid;
    case 'CoalesceExpr':
      return expr.coalescetype;
    case 'MinMaxExpr':
      return expr.minmaxtype;
    case 'SQLValueFunction':
      return expr.type_;
    case 'XmlExpr':
      // IS_XMLSERIALIZE yields the named type, IS_DOCUMENT a boolean.
      return expr.op === 7 ? BOOLOID : expr.op === 6 ? TEXTOID : XMLOID;
    case 'InferenceElem':
      return exprType(expr.expr);
    case 'CaseWhen':
      return exprType(expr.result);
  }
}

/** Typmod of an expression's value, -1 if it has none that is certain. */
export function exprTypmod(expr: Expr | null): number {
  if (expr === null) return -1;
  switch (expr.type) {
    case 'Var':
      return expr.vartypmod;
    case 'Const':
      return expr.consttypmod;
    case 'Param':
      return expr.paramtypmod;
    case 'SubscriptingRef':
      return expr.reftypmod;
    case 'FuncExpr':
      return exprIsLengthCoercion(expr) ?? -1;
    case 'NamedArgExpr':
    case 'CollateExpr':
      return exprTypmod(expr.arg);
    case 'NullIfExpr':
      return exprTypmod(expr.args[0] as Expr);
    case 'SubLink':
      if (expr.subLinkType === EXPR_SUBLINK || expr.subLinkType === ARRAY_SUBLINK) {
        return exprTypmod(firstColumn(expr).expr);
      }
      return -1;
    case 'SubPlan':
      return expr.firstColTypmod;
    case 'FieldSelect':
    case 'RelabelType':
    case 'ArrayCoerceExpr':
    case 'CoerceToDomain':
      return expr.resulttypmod;
    case 'CaseExpr': {
      if (!expr.defresult || exprType(expr.defresult) !== expr.casetype) return -1;
      return commonTypmod([expr.defresult, ...expr.args.map(w => w.result)], expr.casetype);
    }
    case 'CaseTestExpr':
    case 'CoerceToDomainValue':
    case 'SetToDefault':
      return expr.typeMod;
    case 'ArrayExpr': {
      if (expr.elements.length === 0) return -1;
      return commonTypmod(expr.elements, expr.multidims ? expr.array_typeid : expr.element_typeid);
    }
    case 'CoalesceExpr':
      return commonTypmod(expr.args, expr.coalescetype);
    case 'MinMaxExpr':
      return commonTypmod(expr.args, expr.minmaxtype);
    case 'SQLValueFunction':
      return expr.typmod;
    default:
      return -1;
  }
}

/** The typmod all share if they all have the given type, else -1. */
function commonTypmod(exprs: readonly Expr[], type: Oid): number {
  const typmod = exprTypmod(exprs[0] as Expr);
  if (typmod < 0) return -1;
  for (const e of exprs) if (exprType(e) !== type || exprTypmod(e) !== typmod) return -1;
  return typmod;
}

/** If the expression is a length coercion (cast function with a typmod argument), that typmod. */
export function exprIsLengthCoercion(expr: Expr | null): number | undefined {
  if (expr === null) return undefined;
  if (expr.type === 'FuncExpr') {
    if (expr.funcformat !== 1 && expr.funcformat !== 2) return undefined;
    if (expr.args.length < 2 || expr.args.length > 3) return undefined;
    const second = expr.args[1] as Expr;
    if (second.type !== 'Const' || second.consttype !== INT4OID || second.constisnull) return undefined;
    return second.constvalue as number;
  }
  if (expr.type === 'ArrayCoerceExpr') return expr.resulttypmod >= 0 ? expr.resulttypmod : undefined;
  return undefined;
}

/** Collation OID of an expression's result, 0 if its type has none. */
export function exprCollation(expr: Expr | null): Oid {
  if (expr === null) return INVALID_OID;
  switch (expr.type) {
    case 'Var':
      return expr.varcollid;
    case 'Const':
      return expr.constcollid;
    case 'Param':
      return expr.paramcollid;
    case 'Aggref':
      return expr.aggcollid;
    case 'WindowFunc':
      return expr.wincollid;
    case 'SubscriptingRef':
      return expr.refcollid;
    case 'FuncExpr':
      return expr.funccollid;
    case 'NamedArgExpr':
      return exprCollation(expr.arg);
    case 'OpExpr':
    case 'DistinctExpr':
    case 'NullIfExpr':
      return expr.opcollid;
    case 'SubLink':
      if (expr.subLinkType === EXPR_SUBLINK || expr.subLinkType === ARRAY_SUBLINK) {
        return exprCollation(firstColumn(expr).expr);
      }
      return INVALID_OID;
    case 'SubPlan':
      return expr.firstColCollation;
    case 'FieldSelect':
    case 'RelabelType':
    case 'CoerceViaIO':
    case 'ArrayCoerceExpr':
    case 'CoerceToDomain':
      return expr.resultcollid;
    case 'CollateExpr':
      return expr.collOid;
    case 'CaseExpr':
      return expr.casecollid;
    case 'CaseTestExpr':
    case 'CoerceToDomainValue':
    case 'SetToDefault':
      return expr.collation;
    case 'ArrayExpr':
      return expr.array_collid;
    case 'CoalesceExpr':
      return expr.coalescecollid;
    case 'MinMaxExpr':
      return expr.minmaxcollid;
    case 'SQLValueFunction':
      return expr.type_ === NAMEOID ? C_COLLATION_OID : INVALID_OID;
    case 'XmlExpr':
      return expr.op === 6 ? DEFAULT_COLLATION_OID : INVALID_OID;
    case 'InferenceElem':
      return exprCollation(expr.expr);
    default:
      return INVALID_OID;
  }
}

/** Where the expression's leftmost token stands, byte offset; -1 unknown. */
export function exprLocation(expr: Node | readonly Node[] | null): number {
  if (expr === null) return -1;
  if (Array.isArray(expr)) {
    for (const e of expr as readonly Node[]) {
      const loc = exprLocation(e);
      if (loc >= 0) return loc;
    }
    return -1;
  }
  const node = expr as Node;
  switch (node.type) {
    case 'SubscriptingRef':
      return exprLocation(node.refexpr);
    case 'FuncExpr':
    case 'OpExpr':
    case 'DistinctExpr':
    case 'NullIfExpr':
    case 'ScalarArrayOpExpr':
      return leftmost(node.location, exprLocation(node.args));
    case 'BoolExpr':
      return leftmost(node.location, exprLocation(node.args));
    case 'NamedArgExpr':
    case 'RelabelType':
    case 'CoerceViaIO':
    case 'ArrayCoerceExpr':
    case 'ConvertRowtypeExpr':
    case 'NullTest':
    case 'BooleanTest':
    case 'CoerceToDomain':
      return leftmost(node.location, exprLocation(node.arg));
    case 'SubLink':
      return leftmost(exprLocation(node.testexpr), node.location);
    case 'FieldSelect':
    case 'FieldStore':
    case 'CollateExpr':
      return exprLocation(node.arg);
    case 'RowCompareExpr':
      return exprLocation(node.largs);
    case 'TargetEntry':
      return exprLocation(node.expr);
    case 'InferenceElem':
      return exprLocation(node.expr);
    case 'SetOperationStmt':
    case 'RangeTblRef':
      return -1;
    default:
      return 'location' in node ? node.location : -1;
  }
}

function leftmost(a: number, b: number): number {
  if (a < 0) return b;
  if (b < 0) return a;
  return Math.min(a, b);
}

/** Layout of a node's fields, in order. */
function fieldsOf(node: Node): readonly FieldLayout[] {
  if (node.type === 'RangeTblEntry') {
    return [...RTE_HEAD_FIELDS, ...(RTE_KIND_FIELDS[node.rtekind] as readonly FieldLayout[]), ...RTE_TAIL_FIELDS];
  }
  const layout = LAYOUT_BY_TYPE.get(node.type);
  assert(layout !== undefined, `node ${node.type} has a layout`);
  return layout.fields;
}

type Fields = Record<string, unknown>;

/**
 * Calls visit for each child node (lists flattened), until one returns true; returns whether one
 * did. Queries (in SubLinks, RTEs, CTEs) are visited like any child: the visitor decides to descend.
 */
export function walkChildren(node: Node, visit: (child: Node) => boolean): boolean {
  for (const field of fieldsOf(node)) {
    if (field.kind !== 'n' && field.kind !== 'l' && field.kind !== 'g') continue;
    const value = (node as unknown as Fields)[field.prop];
    if (value !== null && value !== undefined && walkValue(value, visit)) return true;
  }
  return false;
}

/** The order of query_tree_walker: of two errors in a query the one found first is told. */
const QUERY_TREE_WALKER = [
  'targetList',
  'withCheckOptions',
  'onConflict',
  'mergeActionList',
  'returningList',
  'jointree',
  'setOperations',
  'havingQual',
  'limitOffset',
  'limitCount',
  'groupClause',
  'groupingSets',
  'windowClause',
  'sortClause',
  'distinctClause',
  'rowMarks',
  'cteList',
  'rtable',
] as const;

/** walkChildren of a query, in PostgreSQL's order. */
export function walkQuery(query: Query, visit: (child: Node) => boolean): boolean {
  return QUERY_TREE_WALKER.some(prop => walkValue(query[prop], visit));
}

function walkValue(value: unknown, visit: (child: Node) => boolean): boolean {
  if (Array.isArray(value)) {
    for (const item of value) if (walkValue(item, visit)) return true;
    return false;
  }
  if (typeof value !== 'object' || value === null) return false;
  return visit(value as Node);
}

/** A copy of node whose children are what change returns for them; unchanged nodes are shared. */
export function mutateChildren<N extends Node>(node: N, change: (child: Node) => Node | null): N {
  let copy: Fields | null = null;
  for (const field of fieldsOf(node)) {
    if (field.kind !== 'n' && field.kind !== 'l' && field.kind !== 'g') continue;
    const value = (node as unknown as Fields)[field.prop];
    if (value === null || value === undefined) continue;
    const changed = mutateValue(value, change);
    if (changed !== value) {
      copy ??= { ...(node as unknown as Fields) };
      copy[field.prop] = changed;
    }
  }
  return (copy ?? node) as unknown as N;
}

function mutateValue(value: unknown, change: (child: Node) => Node | null): unknown {
  if (Array.isArray(value)) {
    let copy: unknown[] | null = null;
    for (let i = 0; i < value.length; i++) {
      const changed = mutateValue(value[i], change);
      if (changed !== value[i]) {
        copy ??= value.slice();
        copy[i] = changed;
      }
    }
    return copy ?? value;
  }
  if (typeof value !== 'object' || value === null) return value;
  return change(value as Node);
}

/** Deep copy without sharing. */
export function copyNode<N extends Node>(node: N): N {
  const copy: Fields = { ...(node as unknown as Fields) };
  for (const field of fieldsOf(node)) {
    if (field.kind === 'n' || field.kind === 'l' || field.kind === 'g') copy[field.prop] = copyValue(copy[field.prop]);
  }
  return copy as unknown as N;
}

function copyValue(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copyValue);
  if (typeof value !== 'object' || value === null) return value;
  return copyNode(value as Node);
}

/** PostgreSQL's equal(): same structure, locations and the way a cast was written ignored. */
export function equalNodes(a: Node | null, b: Node | null): boolean {
  if (a === b) return true;
  if (a === null || b === null || a.type !== b.type) return false;
  if (a.type === 'RangeTblEntry' && a.rtekind !== (b as RangeTblEntry).rtekind) return false;
  for (const field of fieldsOf(a)) {
    if (field.kind === 'p' || IGNORED_BY_EQUAL.has(field.prop)) continue;
    if (!equalValues((a as unknown as Fields)[field.prop], (b as unknown as Fields)[field.prop])) return false;
  }
  return true;
}

const IGNORED_BY_EQUAL: ReadonlySet<string> = new Set([
  'funcformat',
  'relabelformat',
  'coerceformat',
  'convertformat',
  'coercionformat',
  'row_format',
  'varnosyn',
  'varattnosyn',
  'aggno',
  'aggtransno',
  'stmt_len',
]);

function equalValues(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a)) {
    if (!Array.isArray(b) || a.length !== b.length) return false;
    return a.every((item, i) => equalValues(item, b[i]));
  }
  if (a instanceof Uint8Array) {
    return b instanceof Uint8Array && a.length === b.length && a.every((byte, i) => byte === b[i]);
  }
  if (typeof a === 'number') return Number.isNaN(a) && typeof b === 'number' && Number.isNaN(b);
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  return equalNodes(a as Node, b as Node);
}

/** True for SQL functions and operators that yield sets, at the top of expr or below, not in subqueries. */
export function expressionReturnsSet(expr: Node | null): boolean {
  if (expr === null) return false;
  if (expr.type === 'FuncExpr' && expr.funcretset) return true;
  if ((expr.type === 'OpExpr' || expr.type === 'DistinctExpr' || expr.type === 'NullIfExpr') && expr.opretset) {
    return true;
  }
  if (expr.type === 'Query' || expr.type === 'Aggref' || expr.type === 'WindowFunc') return false;
  return walkChildren(expr, expressionReturnsSet);
}

/** Result type OID and typmod of each visible output column of an analyzed query. */
export function queryColumns(query: Query): TargetEntry[] {
  const list = query.commandType === 1 || query.returningList.length === 0 ? query.targetList : query.returningList;
  return list.filter(tle => !tle.resjunk);
}
