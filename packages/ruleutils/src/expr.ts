/**
 * Expressions as SQL text. `showimplicit`: write casts that were added silently? They are where the
 * type would otherwise be lost, and left out where the parser would add them again.
 */
import { INVALID_OID } from '@pgtroupe/common/ids';
import { RECORDOID } from '@pgtroupe/common/oids';
import { notSupported } from '@pgtroupe/common/ereport';
import {
  COERCE_EXPLICIT_CALL,
  COERCE_EXPLICIT_CAST,
  COERCE_IMPLICIT_CAST,
  EXPR_SUBLINK,
  IS_GREATEST,
  IS_NULL,
} from '@pgtroupe/nodes/nodes';
import { exprType, exprTypmod } from '@pgtroupe/nodes/nodefuncs';
import type {
  BoolExpr,
  CaseExpr,
  Expr,
  InferenceElem,
  NullTest,
  RowCompareExpr,
  RowExpr,
  ScalarArrayOpExpr,
  SQLValueFunction,
  SubscriptingRef,
} from '@pgtroupe/nodes/primnodes';
import { stripImplicitCoercions } from '@pgtroupe/nodes/vars';
import { quoteIdentifier } from '@pgtroupe/adt/quote';
import { appendAggregate, appendFunction, appendOperator, appendWindowFunction } from './calls.ts';
import { appendConst } from './const.ts';
import { PRETTYINDENT_VAR, type DeparseContext } from './context.ts';
import { collateSuffix, opclassSuffix, operatorName, relationName, simpleQuoteLiteral, typeName } from './names.ts';
import { appendSubLink } from './sublink.ts';
import { appendParameter, appendVariable, nameOfField } from './variable.ts';
import {
  appendCoercion,
  appendExpr,
  appendExprList,
  appendIndirection,
  appendParen,
  appendSubscripts,
  appendToplevel,
  enclosed,
  rowCompareOperator,
} from './operands.ts';

export function writeExpr(expr: Expr, context: DeparseContext, showimplicit: boolean): void {
  switch (expr.type) {
    case 'Var':
      appendVariable(expr, 0, false, context);
      break;
    case 'Const':
      appendConst(expr, context, 'needed');
      break;
    case 'Param':
      appendParameter(expr, context);
      break;
    case 'Aggref':
      appendAggregate(expr, context);
      break;
    case 'GroupingFunc':
      appendCall('GROUPING', expr.args, context);
      break;
    case 'WindowFunc':
      appendWindowFunction(expr, context);
      break;
    case 'SubscriptingRef':
      appendSubscripting(expr, context, showimplicit);
      break;
    case 'FuncExpr':
      appendFunction(expr, context, showimplicit);
      break;
    case 'NamedArgExpr':
      context.append(`${quoteIdentifier(expr.name as string)} => `);
      appendExpr(expr.arg, context, showimplicit);
      break;
    case 'OpExpr':
      appendOperator(expr, context);
      break;
    case 'DistinctExpr':
      enclosed(context, () => {
        appendParen(expr.args[0] as Expr, context, true, expr);
        context.append(' IS DISTINCT FROM ');
        appendParen(expr.args[1] as Expr, context, true, expr);
      });
      break;
    case 'NullIfExpr':
      appendCall('NULLIF', expr.args, context);
      break;
    case 'ScalarArrayOpExpr':
      appendScalarArrayOp(expr, context);
      break;
    case 'BoolExpr':
      appendBool(expr, context);
      break;
    case 'SubLink':
      appendSubLink(expr, context);
      break;
    case 'SubPlan':
      context.append(`(${expr.useHashTable ? 'hashed ' : ''}${expr.plan_name})`);
      break;
    case 'FieldSelect': {
      const { arg } = expr;
      context.parenthesized(arg.type !== 'SubscriptingRef' && arg.type !== 'FieldSelect', () =>
        appendExpr(arg, context, true),
      );
      context.append(`.${quoteIdentifier(nameOfField(arg, expr.fieldnum, 0, context))}`);
      break;
    }
    case 'FieldStore':
      context.append(expr.newvals.length !== 1 ? 'ROW(' : '');
      appendExprList(expr.newvals, context, showimplicit);
      context.append(expr.newvals.length !== 1 ? ')' : '');
      break;
    case 'RelabelType':
      appendCast(expr, expr.relabelformat, expr.resulttypmod, context, showimplicit);
      break;
    case 'CoerceViaIO':
      appendCast(expr, expr.coerceformat, -1, context, showimplicit);
      break;
    case 'ArrayCoerceExpr':
      appendCast(expr, expr.coerceformat, expr.resulttypmod, context, showimplicit);
      break;
    case 'ConvertRowtypeExpr':
      appendCast(expr, expr.convertformat, -1, context, showimplicit);
      break;
    case 'CoerceToDomain':
      if (expr.coercionformat === COERCE_IMPLICIT_CAST && !showimplicit) appendExpr(expr.arg, context, false);
      else appendCoercion(expr.arg, context, expr.resulttype, expr.resulttypmod, expr);
      break;
    case 'CollateExpr':
      enclosed(context, () => {
        appendParen(expr.arg, context, showimplicit, expr);
        context.append(collateSuffix(context.env, expr.collOid));
      });
      break;
    case 'CaseExpr':
      appendCase(expr, context);
      break;
    case 'CaseTestExpr':
      context.append('CASE_TEST_EXPR');
      break;
    case 'ArrayExpr':
      context.append('ARRAY[');
      appendExprList(expr.elements, context, true);
      context.append(']');
      if (expr.elements.length === 0) context.append(`::${typeName(context.env, expr.array_typeid, -1)}`);
      break;
    case 'RowExpr':
      appendRow(expr, context);
      break;
    case 'RowCompareExpr':
      appendRowCompare(expr, context);
      break;
    case 'CoalesceExpr':
      appendCall('COALESCE', expr.args, context);
      break;
    case 'MinMaxExpr':
      appendCall(expr.op === IS_GREATEST ? 'GREATEST' : 'LEAST', expr.args, context);
      break;
    case 'SQLValueFunction':
      context.append(sqlValueFunction(expr));
      break;
    case 'NullTest':
      enclosed(context, () => {
        appendParen(expr.arg, context, true, expr);
        context.append(nullTest(expr, context));
      });
      break;
    case 'BooleanTest':
      enclosed(context, () => {
        appendParen(expr.arg, context, false, expr);
        context.append(BOOLEAN_TESTS[expr.booltesttype] as string);
      });
      break;
    case 'CoerceToDomainValue':
      context.append('VALUE');
      break;
    case 'SetToDefault':
      context.append('DEFAULT');
      break;
    case 'CurrentOfExpr':
      context.append(
        `CURRENT OF ${expr.cursor_name !== null ? quoteIdentifier(expr.cursor_name) : `$${expr.cursor_param}`}`,
      );
      break;
    case 'NextValueExpr':
      context.append(`nextval(${simpleQuoteLiteral(context.env, relationName(context.env, expr.seqid))})`);
      break;
    case 'InferenceElem':
      appendInferenceElem(expr, context);
      break;
    default:
      throw notSupported(`deparsing of ${expr.type}`);
  }
}

function appendCall(name: string, args: readonly Expr[], context: DeparseContext): void {
  context.append(`${name}(`);
  appendExprList(args, context, true);
  context.append(')');
}

type Cast = Extract<Expr, { type: 'RelabelType' | 'CoerceViaIO' | 'ArrayCoerceExpr' | 'ConvertRowtypeExpr' }>;

function appendCast(expr: Cast, format: number, typmod: number, context: DeparseContext, showimplicit: boolean): void {
  if (format === COERCE_IMPLICIT_CAST && !showimplicit) appendParen(expr.arg, context, false, expr);
  else appendCoercion(expr.arg, context, expr.resulttype, typmod, expr);
}

function appendSubscripting(expr: SubscriptingRef, context: DeparseContext, showimplicit: boolean): void {
  // Assignment to a field of an array element: the subscripts were written by the caller.
  if (expr.refexpr.type === 'CaseTestExpr') {
    appendExpr(expr.refassgnexpr, context, showimplicit);
    return;
  }
  const needParens = expr.refexpr.type !== 'Var' && expr.refexpr.type !== 'FieldSelect';
  context.parenthesized(needParens, () => appendExpr(expr.refexpr, context, showimplicit));
  if (expr.refassgnexpr === null) {
    appendSubscripts(expr, context);
    return;
  }
  const assigned = appendIndirection(expr, context);
  context.append(' := ');
  appendExpr(assigned, context, showimplicit);
}

function appendScalarArrayOp(expr: ScalarArrayOpExpr, context: DeparseContext): void {
  const [scalar, array] = expr.args as readonly [Expr, Expr];
  enclosed(context, () => {
    appendParen(scalar, context, true, expr);
    const element = context.catalog.baseElementType(exprType(array));
    context.append(
      ` ${operatorName(context.env, expr.opno, exprType(scalar), element)} ${expr.useOr ? 'ANY' : 'ALL'} (`,
    );
    appendParen(array, context, true, expr);
    // Without the cast it would be taken for ANY (SELECT ...).
    if (array.type === 'SubLink' && array.subLinkType === EXPR_SUBLINK) {
      context.append(`::${typeName(context.env, exprType(array), exprTypmod(array))}`);
    }
    context.append(')');
  });
}

function appendBool(expr: BoolExpr, context: DeparseContext): void {
  enclosed(context, () => {
    if (expr.boolop === 'not') context.append('NOT ');
    context.list(expr.args, arg => appendParen(arg, context, false, expr), expr.boolop === 'and' ? ' AND ' : ' OR ');
  });
}

function appendCase(expr: CaseExpr, context: DeparseContext): void {
  const nextLine = (keyword: string, indentBefore = 0): void => {
    if (!context.pretty.indent) context.append(' ');
    context.keyword(keyword, indentBefore, 0, 0);
  };
  context.keyword('CASE', 0, PRETTYINDENT_VAR, 0);
  if (expr.arg !== null) {
    context.append(' ');
    appendExpr(expr.arg, context, true);
  }
  for (const when of expr.args) {
    nextLine('WHEN ');
    appendExpr(expr.arg === null ? when.expr : comparedValue(when.expr), context, false);
    context.append(' THEN ');
    appendExpr(when.result, context, true);
  }
  nextLine('ELSE ');
  appendExpr(expr.defresult, context, true);
  nextLine('END', -PRETTYINDENT_VAR);
}

/** CASE x WHEN value: from the comparison back to the value. */
function comparedValue(expr: Expr): Expr {
  if (expr.type !== 'OpExpr' || expr.args.length !== 2) return expr;
  return stripImplicitCoercions(expr.args[0] as Expr).type === 'CaseTestExpr' ? (expr.args[1] as Expr) : expr;
}

function appendRow(expr: RowExpr, context: DeparseContext): void {
  const { catalog } = context;
  const columns = expr.row_typeid === RECORDOID ? null : catalog.attributes(catalog.typeOrDomainRelid(expr.row_typeid));
  context.append('ROW(');
  let first = true;
  const count = Math.max(expr.args.length, columns?.length ?? 0);
  for (let i = 0; i < count; i++) {
    if (columns?.[i]?.attisdropped) continue;
    if (!first) context.append(', ');
    first = false;
    const arg = expr.args[i];
    // Columns added since are null.
    if (arg === undefined) context.append('NULL');
    else appendToplevel(arg, context, true);
  }
  context.append(')');
  if (expr.row_format === COERCE_EXPLICIT_CAST) context.append(`::${typeName(context.env, expr.row_typeid, -1)}`);
}

function appendRowCompare(expr: RowCompareExpr, context: DeparseContext): void {
  context.append('(ROW(');
  context.list(expr.largs, arg => appendToplevel(arg, context, true));
  context.append(`) ${rowCompareOperator(expr, context)} ROW(`);
  context.list(expr.rargs, arg => appendToplevel(arg, context, true));
  context.append('))');
}

const VALUE_FUNCTIONS = [
  'CURRENT_DATE',
  'CURRENT_TIME',
  'CURRENT_TIME',
  'CURRENT_TIMESTAMP',
  'CURRENT_TIMESTAMP',
  'LOCALTIME',
  'LOCALTIME',
  'LOCALTIMESTAMP',
  'LOCALTIMESTAMP',
  'CURRENT_ROLE',
  'CURRENT_USER',
  'USER',
  'SESSION_USER',
  'CURRENT_CATALOG',
  'CURRENT_SCHEMA',
] as const;
/** Those of the list that were written with a precision. */
const WITH_PRECISION: ReadonlySet<number> = new Set([2, 4, 6, 8]);

function sqlValueFunction(expr: SQLValueFunction): string {
  const name = VALUE_FUNCTIONS[expr.op];
  return WITH_PRECISION.has(expr.op) ? `${name}(${expr.typmod})` : name;
}

function nullTest(expr: NullTest, context: DeparseContext): string {
  const isNull = expr.nulltesttype === IS_NULL;
  // A row tested as a value, not column by column, can only be written this way.
  if (!expr.argisrow && context.catalog.typeIsRowtype(exprType(expr.arg))) {
    return isNull ? ' IS NOT DISTINCT FROM NULL' : ' IS DISTINCT FROM NULL';
  }
  return isNull ? ' IS NULL' : ' IS NOT NULL';
}

const BOOLEAN_TESTS = [
  ' IS TRUE',
  ' IS NOT TRUE',
  ' IS FALSE',
  ' IS NOT FALSE',
  ' IS UNKNOWN',
  ' IS NOT UNKNOWN',
] as const;

function appendInferenceElem(expr: InferenceElem, context: DeparseContext): void {
  const saved = context.varprefix;
  context.varprefix = false;
  const inner = expr.expr;
  const bare = inner.type === 'Var' || (inner.type === 'FuncExpr' && inner.funcformat === COERCE_EXPLICIT_CALL);
  context.parenthesized(!bare, () => appendExpr(inner, context, false));
  context.varprefix = saved;
  if (expr.infercollid !== 0) context.append(collateSuffix(context.env, expr.infercollid));
  if (expr.inferopclass !== 0) {
    const type = context.catalog.opclass(expr.inferopclass)?.opcintype ?? INVALID_OID;
    context.append(opclassSuffix(context.env, expr.inferopclass, type));
  }
}
