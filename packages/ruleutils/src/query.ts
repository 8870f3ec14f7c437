/** Whole queries. */
import { BOOLOID } from '@pgtroupe/common/oids';
import { CTE_MATERIALIZE_ALWAYS, CTE_MATERIALIZE_DEFAULT } from '@pgtroupe/nodes/nodes';
import type { CommonTableExpr, CTECycleClause, Query } from '@pgtroupe/nodes/parsenodes';
import type { Expr, TargetEntry } from '@pgtroupe/nodes/primnodes';
import { quoteIdentifier } from '@pgtroupe/adt/quote';
import { DeparseContext, PRETTYINDENT_STD, type ResultNames } from './context.ts';
import { appendExpr, appendQuery } from './operands.ts';
import { appendVariable } from './variable.ts';

export function appendWithClause(query: Query, context: DeparseContext): void {
  if (query.cteList.length === 0) return;
  const { indent } = context.pretty;
  if (indent) {
    context.indentLevel += PRETTYINDENT_STD;
    context.append(' ');
  }
  context.append(query.hasRecursive ? 'WITH RECURSIVE ' : 'WITH ');
  context.list(query.cteList, cte => appendCTE(cte, context));
  if (indent) {
    context.indentLevel -= PRETTYINDENT_STD;
    context.keyword('', 0, 0, 0);
  } else {
    context.append(' ');
  }
}

function identifiers(names: readonly string[]): string {
  return names.map(name => quoteIdentifier(name)).join(', ');
}

function appendCTE(cte: CommonTableExpr, context: DeparseContext): void {
  const { indent } = context.pretty;
  context.append(quoteIdentifier(cte.ctename));
  if (cte.aliascolnames.length > 0) context.append(`(${identifiers(cte.aliascolnames)})`);
  context.append(' AS ');
  if (cte.ctematerialized !== CTE_MATERIALIZE_DEFAULT) {
    context.append(cte.ctematerialized === CTE_MATERIALIZE_ALWAYS ? 'MATERIALIZED ' : 'NOT MATERIALIZED ');
  }
  context.append('(');
  if (indent) context.keyword('', 0, 0, 0);
  appendQuery(cte.ctequery, context.buffer, context, null, true);
  if (indent) context.keyword('', 0, 0, 0);
  context.append(')');
  const search = cte.search_clause;
  if (search !== null) {
    context.append(
      ` SEARCH ${search.search_breadth_first ? 'BREADTH' : 'DEPTH'} FIRST BY ${identifiers(search.search_col_list)}`,
    );
    context.append(` SET ${quoteIdentifier(search.search_seq_column as string)}`);
  }
  if (cte.cycle_clause !== null) appendCycle(cte.cycle_clause, context);
}

function isBoolean(expr: Expr | null, value: boolean): boolean {
  return expr?.type === 'Const' && expr.consttype === BOOLOID && !expr.constisnull && expr.constvalue === value;
}

function appendCycle(cycle: CTECycleClause, context: DeparseContext): void {
  context.append(
    ` CYCLE ${identifiers(cycle.cycle_col_list)} SET ${quoteIdentifier(cycle.cycle_mark_column as string)}`,
  );
  if (!isBoolean(cycle.cycle_mark_value, true) || !isBoolean(cycle.cycle_mark_default, false)) {
    context.append(' TO ');
    appendExpr(cycle.cycle_mark_value, context, false);
    context.append(' DEFAULT ');
    appendExpr(cycle.cycle_mark_default, context, false);
  }
  context.append(` USING ${quoteIdentifier(cycle.cycle_path_column as string)}`);
}

/** The columns after SELECT or RETURNING, each with AS where it would get another name by itself. */
export function appendTargetList(
  targetList: readonly TargetEntry[],
  context: DeparseContext,
  names: ResultNames,
  colNamesVisible: boolean,
): void {
  const visible = targetList.filter(tle => !tle.resjunk);
  let multiline = false;
  visible.forEach((tle, i) => {
    context.append(i === 0 ? ' ' : ', ');
    const item = context.captured(() => appendTarget(tle, names?.[i] ?? tle.resname, colNamesVisible, context));
    context.appendWrapped(item, i === 0, multiline);
    multiline = item.lastIndexOf('\n') > 0;
  });
}

function appendTarget(tle: TargetEntry, name: string | null, colNamesVisible: boolean, context: DeparseContext): void {
  let ownName: string | null;
  if (tle.expr.type === 'Var') ownName = appendVariable(tle.expr, 0, true, context);
  else {
    appendExpr(tle.expr, context, true);
    ownName = colNamesVisible ? null : '?column?';
  }
  if (name !== null && ownName !== name) context.append(` AS ${quoteIdentifier(name)}`);
}

export function appendValues(
  lists: readonly (readonly Expr[])[],
  context: DeparseContext,
  toplevel: (expr: Expr) => void,
): void {
  context.append('VALUES ');
  context.list(lists, row => {
    context.append('(');
    context.list(row, toplevel, ',');
    context.append(')');
  });
}
