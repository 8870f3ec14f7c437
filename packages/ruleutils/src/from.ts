/** FROM and USING: the join tree. */
import { type Oid } from '@pgtroupe/common/ids';
import { INTERNALOID } from '@pgtroupe/common/oids';
import { notSupported } from '@pgtroupe/common/ereport';
import {
  JOIN_FULL,
  JOIN_INNER,
  JOIN_LEFT,
  RTE_CTE,
  RTE_FUNCTION,
  RTE_RELATION,
  RTE_SUBQUERY,
  RTE_VALUES,
} from '@pgtroupe/nodes/nodes';
import type { Query, RangeTblEntry, RangeTblFunction, TableSampleClause } from '@pgtroupe/nodes/parsenodes';
import type { FuncExpr, JoinExpr, JoinTreeNode } from '@pgtroupe/nodes/primnodes';
import { quoteIdentifier } from '@pgtroupe/adt/quote';
import { appendFunctionInFrom } from './calls.ts';
import { PRETTYINDENT_JOIN, type DeparseContext } from './context.ts';
import { appendExpr, appendExprList, appendQuery, appendToplevel, enclosed } from './operands.ts';
import { collateSuffix, functionName, NO_ARGUMENTS, relationName, typeName } from './names.ts';
import type { DeparseColumns } from './namespace.ts';
import { appendValues } from './query.ts';

/** unnest(anyarray). */
const F_UNNEST_ANYARRAY = 2331;

export function appendFromClause(query: Query, prefix: string, context: DeparseContext): void {
  const items = (query.jointree?.fromlist ?? []).filter(
    item => item.type !== 'RangeTblRef' || (query.rtable[item.rtindex - 1] as RangeTblEntry).inFromCl,
  );
  items.forEach((item, i) => {
    if (i === 0) {
      context.clause(prefix, 2);
      appendFromItem(item, context);
      return;
    }
    context.append(', ');
    context.appendWrapped(
      context.captured(() => appendFromItem(item, context)),
      false,
      false,
    );
  });
}

function appendFromItem(item: JoinTreeNode, context: DeparseContext): void {
  if (item.type === 'JoinExpr') {
    appendJoin(item, context);
    return;
  }
  const { rtindex } = item as Extract<JoinTreeNode, { type: 'RangeTblRef' }>;
  const rte = context.namespace.entry(rtindex);
  const columns = context.namespace.columnsOf(rtindex);
  if (rte.lateral) context.append('LATERAL ');
  const coldefs = appendEntry(rte, context);
  appendAlias(rte, rtindex, false, context);
  if (coldefs !== null) appendColumnDefinitions(coldefs, columns, context);
  else appendColumnAliases(columns, context);
  if (rte.rtekind === RTE_RELATION && rte.tablesample !== null) appendTableSample(rte.tablesample, context);
}

/** The entry itself; returns the function whose column definition list must follow the alias. */
function appendEntry(rte: RangeTblEntry, context: DeparseContext): RangeTblFunction | null {
  switch (rte.rtekind) {
    case RTE_RELATION:
      context.append(`${only(rte)}${relationName(context.env, rte.relid, context.namespaces)}`);
      return null;
    case RTE_SUBQUERY:
      context.append('(');
      appendQuery(rte.subquery as Query, context.buffer, context, null, true);
      context.append(')');
      return null;
    case RTE_FUNCTION:
      return appendFunctions(rte, context);
    case RTE_VALUES:
      context.append('(');
      appendValues(rte.values_lists, context, expr => appendToplevel(expr, context, false));
      context.append(')');
      return null;
    case RTE_CTE:
      context.append(quoteIdentifier(rte.ctename as string));
      return null;
    default:
      throw notSupported('deparsing of this kind of FROM item');
  }
}

export function only(rte: RangeTblEntry): string {
  return rte.inh ? '' : 'ONLY ';
}

function isPlainUnnest({ funcexpr, funccolnames }: RangeTblFunction): boolean {
  return funcexpr.type === 'FuncExpr' && funcexpr.funcid === F_UNNEST_ANYARRAY && funccolnames.length === 0;
}

function appendFunctions(rte: RangeTblEntry, context: DeparseContext): RangeTblFunction | null {
  const [first] = rte.functions as readonly [RangeTblFunction];
  let coldefs: RangeTblFunction | null = null;
  if (rte.functions.length === 1 && (first.funccolnames.length === 0 || !rte.funcordinality)) {
    appendFunctionInFrom(first.funcexpr, context, true);
    if (first.funccolnames.length > 0) coldefs = first;
  } else if (rte.functions.every(isPlainUnnest)) {
    context.append('UNNEST(');
    appendExprList(
      rte.functions.flatMap(fn => (fn.funcexpr as FuncExpr).args),
      context,
      true,
    );
    context.append(')');
  } else {
    context.append('ROWS FROM(');
    context.list(rte.functions, fn => {
      appendFunctionInFrom(fn.funcexpr, context, true);
      if (fn.funccolnames.length === 0) return;
      context.append(' AS ');
      appendColumnDefinitions(fn, null, context);
    });
    context.append(')');
  }
  if (rte.funcordinality) context.append(' WITH ORDINALITY');
  return coldefs;
}

function joinWord(join: JoinExpr): string {
  switch (join.jointype) {
    case JOIN_INNER:
      return join.quals !== null ? ' JOIN ' : ' CROSS JOIN ';
    case JOIN_LEFT:
      return ' LEFT JOIN ';
    case JOIN_FULL:
      return ' FULL JOIN ';
    default:
      return ' RIGHT JOIN ';
  }
}

function appendJoin(join: JoinExpr, context: DeparseContext): void {
  const columns = context.namespace.columnsOf(join.rtindex);
  const { rarg } = join;
  const parensOnRight =
    context.pretty.paren && rarg.type !== 'RangeTblRef' && !(rarg.type === 'JoinExpr' && rarg.alias !== null);
  context.parenthesized(!context.pretty.paren || join.alias !== null, () => {
    appendFromItem(join.larg, context);
    context.clause(joinWord(join), PRETTYINDENT_JOIN);
    context.parenthesized(parensOnRight, () => appendFromItem(rarg, context));
    appendJoinCondition(join, columns, context);
  });
  if (join.alias === null) return;
  context.append(` ${quoteIdentifier(context.namespace.nameOf(join.rtindex) as string)}`);
  appendColumnAliases(columns, context);
}

function appendJoinCondition(join: JoinExpr, columns: DeparseColumns, context: DeparseContext): void {
  const { quals } = join;
  if (join.usingClause.length > 0) {
    context.append(` USING (${columns.usingNames.map(name => quoteIdentifier(name)).join(', ')})`);
    if (join.join_using_alias !== null) context.append(` AS ${quoteIdentifier(join.join_using_alias.aliasname)}`);
  } else if (quals !== null) {
    context.append(' ON ');
    enclosed(context, () => appendExpr(quals, context, false));
  } else if (join.jointype !== JOIN_INNER) {
    context.append(' ON TRUE');
  }
}

/** The alias, where there was one or the entry would go by another name. */
export function appendAlias(rte: RangeTblEntry, rtindex: number, useAs: boolean, context: DeparseContext): void {
  const refname = context.namespace.nameOf(rtindex) as string;
  if (!needsAlias(rte, refname, context.namespace.columnsOf(rtindex), context)) return;
  context.append(`${useAs ? ' AS ' : ' '}${quoteIdentifier(refname)}`);
}

function needsAlias(rte: RangeTblEntry, refname: string, columns: DeparseColumns, context: DeparseContext): boolean {
  if (rte.alias !== null || columns.printaliases) return true;
  switch (rte.rtekind) {
    case RTE_RELATION:
      return refname !== context.catalog.relation(rte.relid).relname;
    case RTE_FUNCTION:
    case RTE_SUBQUERY:
    case RTE_VALUES:
      return true;
    case RTE_CTE:
      return refname !== rte.ctename;
    default:
      return false;
  }
}

function appendColumnAliases(columns: DeparseColumns, context: DeparseContext): void {
  if (!columns.printaliases || columns.newColnames.length === 0) return;
  context.append(`(${columns.newColnames.map(name => quoteIdentifier(name)).join(', ')})`);
}

function appendColumnDefinitions(fn: RangeTblFunction, columns: DeparseColumns | null, context: DeparseContext): void {
  const { env, catalog } = context;
  const definitions = fn.funccoltypes.map((type, i) => {
    const name = columns?.colnames[i] ?? (fn.funccolnames[i] as string);
    const collation = fn.funccolcollations[i] as Oid;
    const collate = collation !== 0 && collation !== catalog.typeCollation(type) ? collateSuffix(env, collation) : '';
    return `${quoteIdentifier(name)} ${typeName(env, type, fn.funccoltypmods[i] as number)}${collate}`;
  });
  context.append(`(${definitions.join(', ')})`);
}

function appendTableSample(sample: TableSampleClause, context: DeparseContext): void {
  const method = functionName(context.env, sample.tsmhandler, { ...NO_ARGUMENTS, argtypes: [INTERNALOID] });
  context.append(` TABLESAMPLE ${method} (`);
  appendExprList(sample.args, context, false);
  context.append(')');
  if (sample.repeatable === null) return;
  context.append(' REPEATABLE (');
  appendExpr(sample.repeatable, context, false);
  context.append(')');
}
