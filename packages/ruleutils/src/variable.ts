/**
 * References: columns by the names their scope gave them, fields of rows, parameters.
 */
import { RECORDOID } from '@pgtroupe/common/oids';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import { CMD_SELECT, PARAM_EXTERN, RTE_CTE, RTE_JOIN, RTE_SUBQUERY } from '@pgtroupe/nodes/nodes';
import type { Query, RangeTblEntry } from '@pgtroupe/nodes/parsenodes';
import type { Expr, Param, Var } from '@pgtroupe/nodes/primnodes';
import { quoteIdentifier } from '@pgtroupe/adt/quote';
import { systemColumnName } from '@pgtroupe/parser/parse_relation';
import { exprResultColumns } from '@pgtroupe/parser/rowtypes';
import type { DeparseContext } from './context.ts';
import { typeName } from './names.ts';
import { queryNamespace, type DeparseNamespace } from './namespace.ts';

interface Reference {
  readonly dpns: DeparseNamespace;
  readonly level: number;
  readonly varno: number;
  readonly attnum: number;
}

/** What the Var names: as the user wrote it (before joins were flattened) if that is known. */
function referenceOf(variable: Var, levelsup: number, context: DeparseContext): Reference {
  const level = variable.varlevelsup + levelsup;
  const dpns = context.namespaces[level];
  if (dpns === undefined)
    throw ereport(ERRCODE.INTERNAL_ERROR, `bogus varlevelsup: ${variable.varlevelsup} offset ${levelsup}`);
  const written = variable.varnosyn > 0;
  const varno = written ? variable.varnosyn : variable.varno;
  if (varno < 1 || varno > dpns.rtable.length) throw ereport(ERRCODE.INTERNAL_ERROR, `bogus varno: ${varno}`);
  return { dpns, level, varno, attnum: written ? variable.varattnosyn : variable.varattno };
}

function isUnnamedJoin(rte: RangeTblEntry): boolean {
  return rte.rtekind === RTE_JOIN && rte.alias === null;
}

/** Appends a column reference; returns the column's name, null for a whole row. */
export function appendVariable(
  variable: Var,
  levelsup: number,
  istoplevel: boolean,
  context: DeparseContext,
): string | null {
  const { dpns, level, varno, attnum } = referenceOf(variable, levelsup, context);
  const rte = dpns.entry(varno);
  if (isUnnamedJoin(rte) && attnum > 0) {
    const alias = rte.joinaliasvars[attnum - 1];
    if (alias?.type === 'Var') return appendVariable(alias, level, istoplevel, context);
  }
  const refname = dpns.nameOf(varno);
  const attname = attributeNameOf(dpns, rte, varno, attnum);
  if (refname !== null && (context.varprefix || attname === null)) context.append(`${quoteIdentifier(refname)}.`);
  if (attname !== null) context.append(quoteIdentifier(attname));
  else {
    context.append('*');
    // At the top of a SELECT list a bare `.*` would be expanded.
    if (istoplevel) context.append(`::${typeName(context.env, variable.vartype, variable.vartypmod)}`);
  }
  return attname;
}

function attributeNameOf(dpns: DeparseNamespace, rte: RangeTblEntry, varno: number, attnum: number): string | null {
  if (attnum === 0) return null;
  if (attnum < 0) return systemColumnName(attnum);
  const { colnames } = dpns.columnsOf(varno);
  if (attnum > colnames.length) {
    throw ereport(ERRCODE.INTERNAL_ERROR, `invalid attnum ${attnum} for relation "${rte.eref.aliasname}"`);
  }
  return colnames[attnum - 1] ?? '?dropped?column?';
}

/** Name of a field of a row-valued expression; for anonymous records, found where they are made. */
export function nameOfField(expr: Expr, fieldno: number, levelsup: number, context: DeparseContext): string {
  if (expr.type === 'RowExpr' && fieldno > 0 && fieldno <= expr.colnames.length)
    return expr.colnames[fieldno - 1] as string;
  if (expr.type !== 'Var' || expr.vartype !== RECORDOID) return fieldByType(expr, fieldno, context);
  const { dpns, level, varno, attnum } = referenceOf(expr, levelsup, context);
  const rte = dpns.entry(varno);
  if (attnum === 0) return rte.alias?.colnames[fieldno - 1] ?? (rte.eref.colnames[fieldno - 1] as string);
  switch (rte.rtekind) {
    case RTE_SUBQUERY:
      return fieldOfQuery(rte.subquery as Query, attnum, fieldno, context, level);
    case RTE_JOIN: {
      const alias = rte.joinaliasvars[attnum - 1] as Expr;
      return alias.type === 'Var' ? nameOfField(alias, fieldno, level, context) : fieldByType(alias, fieldno, context);
    }
    case RTE_CTE: {
      const cteLevel = rte.ctelevelsup + level;
      const cte = context.namespaces[cteLevel]?.ctes.find(c => c.ctename === rte.ctename);
      if (cte !== undefined) return fieldOfQuery(cte.ctequery, attnum, fieldno, context, cteLevel);
      break;
    }
    default:
      break;
  }
  return fieldByType(expr, fieldno, context);
}

function fieldOfQuery(query: Query, attnum: number, fieldno: number, context: DeparseContext, level: number): string {
  const list = query.commandType === CMD_SELECT ? query.targetList : query.returningList;
  const source = list.find(tle => tle.resno === attnum && !tle.resjunk);
  if (source === undefined) throw ereport(ERRCODE.INTERNAL_ERROR, `subquery does not have attribute ${attnum}`);
  if (source.expr.type !== 'Var') return fieldByType(source.expr, fieldno, context);
  const saved = context.namespaces;
  const parents = saved.slice(level);
  context.namespaces = [queryNamespace(context.env, query, parents), ...parents];
  try {
    return nameOfField(source.expr, fieldno, 0, context);
  } finally {
    context.namespaces = saved;
  }
}

function fieldByType(expr: Expr, fieldno: number, context: DeparseContext): string {
  const column = exprResultColumns(context.catalog, expr)?.[fieldno - 1];
  if (column === undefined) throw ereport(ERRCODE.FEATURE_NOT_SUPPORTED, 'record type has not been registered');
  return column.name;
}

/** $n, or the name of the function's parameter inside a function body. */
export function appendParameter(param: Param, context: DeparseContext): void {
  const fn = context.namespaces.at(-1)?.function ?? null;
  const argname = param.paramkind === PARAM_EXTERN ? (fn?.argnames?.[param.paramid - 1] ?? '') : '';
  if (fn === null || argname === '') {
    context.append(`$${param.paramid}`);
    return;
  }
  // Where there are columns they would win over the parameter.
  const qualify = context.namespaces.some(dpns => dpns.rtableNames.length > 0);
  context.append(qualify ? `${quoteIdentifier(fn.name)}.${quoteIdentifier(argname)}` : quoteIdentifier(argname));
}
