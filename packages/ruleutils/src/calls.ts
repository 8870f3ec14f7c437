/** Calls of operators, functions, aggregates and window functions. */
import { INVALID_OID } from '@pgtroupe/common/ids';
import { ereport } from '@pgtroupe/common/ereport';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import type { Datum } from '@pgtroupe/common/datum';
import {
  COERCE_EXPLICIT_CALL,
  COERCE_EXPLICIT_CAST,
  COERCE_IMPLICIT_CAST,
  COERCE_SQL_SYNTAX,
} from '@pgtroupe/nodes/nodes';
import { exprIsLengthCoercion, exprType, exprTypmod } from '@pgtroupe/nodes/nodefuncs';
import type { Aggref, Const, Expr, FuncExpr, NamedArgExpr, OpExpr, WindowFunc } from '@pgtroupe/nodes/primnodes';
import { quoteIdentifier } from '@pgtroupe/adt/quote';
import { textToString } from '@pgtroupe/adt/mb/mbutils';
import type { DeparseContext } from './context.ts';
import { appendCoercion, appendExpr, appendExprList, appendParen, enclosed } from './operands.ts';
import { functionName, operatorName, typeName, type Call } from './names.ts';
import { appendOrderBy, appendWindowSpec } from './clauses.ts';

export function appendOperator(expr: OpExpr, context: DeparseContext): void {
  enclosed(context, () => {
    const [first, second] = expr.args as readonly [Expr, Expr?];
    if (second === undefined) {
      context.append(`${operatorName(context.env, expr.opno, INVALID_OID, exprType(first))} `);
      appendParen(first, context, true, expr);
      return;
    }
    appendParen(first, context, true, expr);
    context.append(` ${operatorName(context.env, expr.opno, exprType(first), exprType(second))} `);
    appendParen(second, context, true, expr);
  });
}

function callOf(args: readonly Expr[], variadic: boolean, context: DeparseContext): Call {
  const named = args.filter((arg): arg is NamedArgExpr => arg.type === 'NamedArgExpr');
  return {
    argnames: named.map(arg => arg.name as string),
    argtypes: args.map(arg => exprType(arg)),
    variadic,
    inGroupBy: context.inGroupBy,
  };
}

export function appendFunction(expr: FuncExpr, context: DeparseContext, showimplicit: boolean): void {
  if (expr.funcformat === COERCE_IMPLICIT_CAST && !showimplicit) {
    appendParen(expr.args[0] as Expr, context, false, expr);
    return;
  }
  if (expr.funcformat === COERCE_EXPLICIT_CAST || expr.funcformat === COERCE_IMPLICIT_CAST) {
    appendCoercion(expr.args[0] as Expr, context, expr.funcresulttype, exprIsLengthCoercion(expr) ?? -1, expr);
    return;
  }
  if (expr.funcformat === COERCE_SQL_SYNTAX && appendSqlSyntax(expr, context)) return;
  context.append(`${functionName(context.env, expr.funcid, callOf(expr.args, expr.funcvariadic, context))}(`);
  expr.args.forEach((arg, i) => {
    if (i > 0) context.append(', ');
    if (expr.funcvariadic && i === expr.args.length - 1) context.append('VARIADIC ');
    appendExpr(arg, context, true);
  });
  context.append(')');
}

export function appendAggregate(expr: Aggref, context: DeparseContext): void {
  const call: Call = {
    argnames: [],
    argtypes: expr.aggargtypes,
    variadic: expr.aggvariadic,
    inGroupBy: context.inGroupBy,
  };
  context.append(`${functionName(context.env, expr.aggfnoid, call)}(${expr.aggdistinct.length > 0 ? 'DISTINCT ' : ''}`);
  if (expr.aggkind === 'n') appendPlainArguments(expr, context);
  else {
    appendExprList(expr.aggdirectargs, context, true);
    context.append(') WITHIN GROUP (ORDER BY ');
    appendOrderBy(expr.aggorder, expr.args, false, context);
  }
  if (expr.aggfilter !== null) {
    context.append(') FILTER (WHERE ');
    appendExpr(expr.aggfilter, context, false);
  }
  context.append(')');
}

function appendPlainArguments(expr: Aggref, context: DeparseContext): void {
  if (expr.aggstar) context.append('*');
  else {
    const args = expr.args.filter(tle => !tle.resjunk);
    args.forEach((tle, i) => {
      if (i > 0) context.append(', ');
      if (expr.aggvariadic && i === expr.aggargtypes.length - 1) context.append('VARIADIC ');
      appendExpr(tle.expr, context, true);
    });
  }
  if (expr.aggorder.length > 0) {
    context.append(' ORDER BY ');
    appendOrderBy(expr.aggorder, expr.args, false, context);
  }
}

export function appendWindowFunction(expr: WindowFunc, context: DeparseContext): void {
  context.append(`${functionName(context.env, expr.winfnoid, callOf(expr.args, false, context))}(`);
  if (expr.winstar) context.append('*');
  else appendExprList(expr.args, context, true);
  if (expr.aggfilter !== null) {
    context.append(') FILTER (WHERE ');
    appendExpr(expr.aggfilter, context, false);
  }
  context.append(') OVER ');
  const window = context.windowClause.find(wc => wc.winref === expr.winref);
  if (window !== undefined) {
    if (window.name !== null) context.append(quoteIdentifier(window.name));
    else appendWindowSpec(window, context.windowTList, context);
    return;
  }
  if (context.windowClause.length > 0) {
    throw ereport(ERRCODE.INTERNAL_ERROR, `could not find window clause for winref ${expr.winref}`);
  }
  context.append('(?)');
}

/** What in FROM must be written as a call: anything else goes into a cast. */
export function looksLikeFunction(expr: Expr): boolean {
  switch (expr.type) {
    case 'FuncExpr':
      return expr.funcformat === COERCE_EXPLICIT_CALL || expr.funcformat === COERCE_SQL_SYNTAX;
    case 'NullIfExpr':
    case 'CoalesceExpr':
    case 'MinMaxExpr':
    case 'SQLValueFunction':
    case 'XmlExpr':
      return true;
    default:
      return false;
  }
}

export function appendFunctionInFrom(expr: Expr, context: DeparseContext, showimplicit: boolean): void {
  if (looksLikeFunction(expr)) {
    appendExpr(expr, context, showimplicit);
    return;
  }
  context.append('CAST(');
  appendExpr(expr, context, false);
  context.append(` AS ${typeName(context.env, exprType(expr), exprTypmod(expr))})`);
}

// ---- functions with a syntax of their own --------------------------------------------------------

/** Pieces of text and, by number, arguments; `(n` puts an operand's parentheses where needed. */
type Pattern = readonly (string | number | { readonly operand: number } | { readonly word: number })[];

const optional = (expr: FuncExpr, index: number, ...parts: Pattern): Pattern => (expr.args.length > index ? parts : []);

const SQL_SYNTAX: readonly { readonly oids: readonly number[]; readonly pattern: (expr: FuncExpr) => Pattern }[] = [
  {
    // timezone
    oids: [2070, 1026, 2038, 2069, 1159, 2037],
    pattern: () => ['(', { operand: 1 }, ' AT TIME ZONE ', { operand: 0 }, ')'],
  },
  {
    // overlaps
    oids: [1305, 1307, 1306, 1304, 2042, 2044, 2043, 2041, 1271, 1309, 1311, 1310, 1308],
    pattern: () => ['((', 0, ', ', 1, ') OVERLAPS (', 2, ', ', 3, '))'],
  },
  {
    // extract
    oids: [6199, 6200, 6201, 6202, 6203, 6204],
    pattern: () => ['EXTRACT(', { word: 0 }, ' FROM ', 1, ')'],
  },
  {
    // is_normalized
    oids: [4351],
    pattern: expr => ['(', { operand: 0 }, ' IS', ...optional(expr, 1, ' ', { word: 1 }), ' NORMALIZED)'],
  },
  {
    // pg_collation_for
    oids: [3162],
    pattern: () => ['COLLATION FOR (', 0, ')'],
  },
  {
    // normalize
    oids: [4350],
    pattern: expr => ['NORMALIZE(', 0, ...optional(expr, 1, ', ', { word: 1 }), ')'],
  },
  {
    // overlay
    oids: [3031, 3030, 752, 749, 1405, 1404],
    pattern: expr => ['OVERLAY(', 0, ' PLACING ', 1, ' FROM ', 2, ...optional(expr, 3, ' FOR ', 3), ')'],
  },
  {
    // position
    oids: [1698, 2014, 849],
    pattern: () => ['POSITION((', 1, ') IN (', 0, '))'],
  },
  {
    // substring
    oids: [1699, 1680, 2013, 2012, 937, 936],
    pattern: expr => ['SUBSTRING(', 0, ' FROM ', 1, ...optional(expr, 2, ' FOR ', 2), ')'],
  },
  {
    // substring by a SIMILAR TO pattern
    oids: [2074],
    pattern: () => ['SUBSTRING(', 0, ' SIMILAR ', 1, ' ESCAPE ', 2, ')'],
  },
  {
    // btrim
    oids: [2015, 885, 884],
    pattern: expr => ['TRIM(BOTH', ...optional(expr, 1, ' ', 1), ' FROM ', 0, ')'],
  },
  {
    // ltrim
    oids: [6195, 881, 875],
    pattern: expr => ['TRIM(LEADING', ...optional(expr, 1, ' ', 1), ' FROM ', 0, ')'],
  },
  {
    // rtrim
    oids: [6196, 882, 876],
    pattern: expr => ['TRIM(TRAILING', ...optional(expr, 1, ' ', 1), ' FROM ', 0, ')'],
  },
  {
    // xmlexists
    oids: [2614],
    pattern: () => ['XMLEXISTS((', 0, ') PASSING (', 1, '))'],
  },
];

const SYNTAX_BY_OID = new Map(SQL_SYNTAX.flatMap(({ oids, pattern }) => oids.map(oid => [oid, pattern] as const)));

function appendSqlSyntax(expr: FuncExpr, context: DeparseContext): boolean {
  const pattern = SYNTAX_BY_OID.get(expr.funcid);
  if (pattern === undefined) return false;
  const arg = (index: number): Expr => expr.args[index] as Expr;
  for (const part of pattern(expr)) {
    if (typeof part === 'string') context.append(part);
    else if (typeof part === 'number') appendExpr(arg(part), context, false);
    else if ('operand' in part) appendParen(arg(part.operand), context, false, expr);
    else context.append(wordOf((arg(part.word) as Const).constvalue));
  }
  return true;
}

/** A keyword that became a text constant. */
function wordOf(value: Datum): string {
  return textToString(value as Uint8Array);
}
