/**
 * Expressions and queries within expressions: how a construct writes its operands. Each construct has its file, all of
 * which import this one; the environment carries the two functions that know them all (deparse.ts).
 */
import type { Oid } from '@pgtroupe/common/ids';
import type { Node, Query } from '@pgtroupe/nodes/parsenodes';
import type { Expr, FieldStore, RowCompareExpr, SubscriptingRef } from '@pgtroupe/nodes/primnodes';
import { COERCE_IMPLICIT_CAST } from '@pgtroupe/nodes/nodes';
import { exprType } from '@pgtroupe/nodes/nodefuncs';
import { quoteIdentifier } from '@pgtroupe/adt/quote';
import { appendConst } from './const.ts';
import type { DeparseContext, QueryScope, ResultNames, TextBuffer } from './context.ts';
import { attributeName, operatorName, typeName } from './names.ts';
import { isSimpleNode } from './simplenode.ts';
import { appendVariable } from './variable.ts';

export function appendExpr(expr: Expr | null, context: DeparseContext, showimplicit: boolean): void {
  if (expr !== null) context.env.writers.expr(expr, context, showimplicit);
}

/** `colNamesVisible`: does anyone see the names of the output columns? Otherwise they are not written. */
export function appendQuery(
  query: Query,
  buffer: TextBuffer,
  scope: QueryScope,
  names: ResultNames,
  colNamesVisible: boolean,
): void {
  scope.env.writers.query(query, buffer, scope, names, colNamesVisible);
}

export function appendExprList(list: readonly (Expr | null)[], context: DeparseContext, showimplicit: boolean): void {
  context.list(list, expr => appendExpr(expr, context, showimplicit));
}

/** As an output column or a field of ROW(): there a whole row must not read as `*`. */
export function appendToplevel(expr: Expr, context: DeparseContext, showimplicit: boolean): void {
  if (expr.type === 'Var') appendVariable(expr, 0, true, context);
  else appendExpr(expr, context, showimplicit);
}

/** An operand, in parentheses if only needed ones are written and it needs them. */
export function appendParen(expr: Expr, context: DeparseContext, showimplicit: boolean, parent: Node): void {
  const needed = context.pretty.paren && !isSimpleNode(expr, parent, context);
  context.parenthesized(needed, () => appendExpr(expr, context, showimplicit));
}

/** In the layout with all parentheses, around the whole expression. */
export function enclosed(context: DeparseContext, write: () => void): void {
  context.parenthesized(!context.pretty.paren, write);
}

/** arg::type; a literal of that very type is written with one label only. */
export function appendCoercion(arg: Expr, context: DeparseContext, type: Oid, typmod: number, parent: Node): void {
  if (arg.type === 'Const' && arg.consttype === type && arg.consttypmod === -1) appendConst(arg, context, 'never');
  else enclosed(context, () => appendParen(arg, context, false, parent));
  context.append(`::${typeName(context.env, type, typmod)}`);
}

export function appendSubscripts(expr: SubscriptingRef, context: DeparseContext): void {
  expr.refupperindexpr.forEach((upper, i) => {
    context.append('[');
    if (i < expr.reflowerindexpr.length) {
      appendExpr(expr.reflowerindexpr[i] ?? null, context, false);
      context.append(':');
    }
    appendExpr(upper, context, false);
    context.append(']');
  });
}

/** Writes the .field and [subscript] of an assignment's target; returns what is assigned. */
export function appendIndirection(expr: Expr, context: DeparseContext): Expr {
  let domain: Extract<Expr, { type: 'CoerceToDomain' }> | null = null;
  let node = expr;
  for (;;) {
    if (node.type === 'FieldStore') {
      context.append(`.${quoteIdentifier(fieldStoreName(node, context))}`);
      node = node.newvals[0] as Expr;
    } else if (node.type === 'SubscriptingRef' && node.refassgnexpr !== null) {
      appendSubscripts(node, context);
      node = node.refassgnexpr;
    } else if (node.type === 'CoerceToDomain' && node.coercionformat === COERCE_IMPLICIT_CAST) {
      domain = node;
      node = node.arg;
    } else {
      break;
    }
  }
  // A cast to a domain directly above the value belongs to the value.
  return domain !== null && domain.arg === node ? domain : node;
}

function fieldStoreName(expr: FieldStore, context: DeparseContext): string {
  return attributeName(context.env, context.catalog.typeOrDomainRelid(expr.resulttype), expr.fieldnums[0] as number);
}

export function rowCompareOperator(expr: RowCompareExpr, context: DeparseContext): string {
  return operatorName(
    context.env,
    expr.opnos[0] as Oid,
    exprType(expr.largs[0] as Expr),
    exprType(expr.rargs[0] as Expr),
  );
}
