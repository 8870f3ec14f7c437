/** SELECT: its clauses and set operations. */
import {
  LCS_FORKEYSHARE,
  LCS_FORNOKEYUPDATE,
  LCS_FORSHARE,
  LCS_FORUPDATE,
  LIMIT_OPTION_WITH_TIES,
  LOCK_WAIT_ERROR,
  LOCK_WAIT_SKIP,
  RTE_RELATION,
  RTE_VALUES,
  SETOP_EXCEPT,
  SETOP_INTERSECT,
} from '@pgtroupe/nodes/nodes';
import type { Query, RangeTblEntry, SetOperationNode, SetOperationStmt } from '@pgtroupe/nodes/parsenodes';
import type { Expr } from '@pgtroupe/nodes/primnodes';
import { quoteIdentifier } from '@pgtroupe/adt/quote';
import { appendGroupingSet, appendOrderBy, appendSortGroupColumn, appendWindowSpec } from './clauses.ts';
import { PRETTYINDENT_STD, type DeparseContext, type ResultNames } from './context.ts';
import { appendExpr, appendQuery, appendToplevel } from './operands.ts';
import { appendFromClause } from './from.ts';
import { appendTargetList, appendValues, appendWithClause } from './query.ts';

export function appendSelect(
  query: Query,
  context: DeparseContext,
  names: ResultNames,
  colNamesVisible: boolean,
): void {
  appendWithClause(query, context);
  context.windowClause = query.windowClause;
  context.windowTList = query.targetList;
  const setop = query.setOperations;
  if (setop !== null) appendSetOperation(setop, query, context, names, colNamesVisible);
  else appendBasicSelect(query, context, names, colNamesVisible);
  if (query.sortClause.length > 0) {
    context.clause(' ORDER BY ', 1);
    appendOrderBy(query.sortClause, query.targetList, setop !== null, context);
  }
  if (query.limitOffset !== null) {
    context.clause(' OFFSET ');
    appendExpr(query.limitOffset, context, false);
  }
  if (query.limitCount !== null) appendLimit(query, query.limitCount, context);
  if (query.hasForUpdate) appendLocking(query, context);
}

function appendLimit(query: Query, count: Expr, context: DeparseContext): void {
  if (query.limitOption === LIMIT_OPTION_WITH_TIES) {
    context.clause(' FETCH FIRST ');
    context.append('(');
    appendExpr(count, context, false);
    context.append(') ROWS WITH TIES');
    return;
  }
  context.clause(' LIMIT ');
  if (count.type === 'Const' && count.constisnull) context.append('ALL');
  else appendExpr(count, context, false);
}

const LOCKS: Readonly<Record<number, string>> = {
  [LCS_FORKEYSHARE]: ' FOR KEY SHARE',
  [LCS_FORSHARE]: ' FOR SHARE',
  [LCS_FORNOKEYUPDATE]: ' FOR NO KEY UPDATE',
  [LCS_FORUPDATE]: ' FOR UPDATE',
};

function appendLocking(query: Query, context: DeparseContext): void {
  for (const mark of query.rowMarks) {
    if (mark.pushedDown) continue;
    context.clause(LOCKS[mark.strength] as string);
    context.append(` OF ${quoteIdentifier(context.namespace.nameOf(mark.rti) as string)}`);
    if (mark.waitPolicy === LOCK_WAIT_ERROR) context.append(' NOWAIT');
    else if (mark.waitPolicy === LOCK_WAIT_SKIP) context.append(' SKIP LOCKED');
  }
}

/** The VALUES of a query that is nothing but VALUES. */
function simpleValues(query: Query, names: ResultNames): RangeTblEntry | null {
  let result: RangeTblEntry | null = null;
  for (const rte of query.rtable) {
    if (rte.rtekind === RTE_VALUES && rte.inFromCl) {
      if (result !== null) return null;
      result = rte;
    } else if (rte.rtekind !== RTE_RELATION || rte.inFromCl) {
      return null;
    }
  }
  if (result === null) return null;
  const { colnames } = result.eref;
  const same =
    query.targetList.length === colnames.length &&
    query.targetList.every((tle, i) => !tle.resjunk && (names?.[i] ?? tle.resname) === colnames[i]);
  return same ? result : null;
}

function appendBasicSelect(query: Query, context: DeparseContext, names: ResultNames, colNamesVisible: boolean): void {
  if (context.pretty.indent) {
    context.indentLevel += PRETTYINDENT_STD;
    context.append(' ');
  }
  const values = simpleValues(query, names);
  if (values !== null) {
    appendValues(values.values_lists, context, expr => appendToplevel(expr, context, false));
    return;
  }
  context.append(query.isReturn ? 'RETURN' : 'SELECT');
  if (query.distinctClause.length > 0) appendDistinct(query, context);
  appendTargetList(query.targetList, context, names, colNamesVisible);
  appendFromClause(query, ' FROM ', context);
  appendWhere(query.jointree?.quals ?? null, context);
  if (query.groupClause.length > 0 || query.groupingSets.length > 0) appendGroupBy(query, context);
  if (query.havingQual !== null) {
    context.clause(' HAVING ');
    appendExpr(query.havingQual, context, false);
  }
  appendWindows(query, context);
}

export function appendWhere(quals: Expr | null, context: DeparseContext): void {
  if (quals === null) return;
  context.clause(' WHERE ', 1);
  appendExpr(quals, context, false);
}

function appendDistinct(query: Query, context: DeparseContext): void {
  context.append(' DISTINCT');
  if (!query.hasDistinctOn) return;
  context.append(' ON (');
  context.list(query.distinctClause, clause =>
    appendSortGroupColumn(clause.tleSortGroupRef, query.targetList, false, context),
  );
  context.append(')');
}

function appendGroupBy(query: Query, context: DeparseContext): void {
  context.clause(' GROUP BY ', 1);
  if (query.groupDistinct) context.append('DISTINCT ');
  const saved = context.inGroupBy;
  context.inGroupBy = true;
  if (query.groupingSets.length === 0) {
    context.list(query.groupClause, clause =>
      appendSortGroupColumn(clause.tleSortGroupRef, query.targetList, false, context),
    );
  } else {
    context.list(query.groupingSets, set => appendGroupingSet(set, query.targetList, true, context));
  }
  context.inGroupBy = saved;
}

function appendWindows(query: Query, context: DeparseContext): void {
  let first = true;
  for (const window of query.windowClause) {
    if (window.name === null) continue;
    if (first) context.clause(' WINDOW ', 1);
    else context.append(', ');
    first = false;
    context.append(`${quoteIdentifier(window.name)} AS `);
    appendWindowSpec(window, query.targetList, context);
  }
}

// ---- UNION, INTERSECT, EXCEPT --------------------------------------------------------------------

function appendSetOperation(
  setop: SetOperationNode,
  query: Query,
  context: DeparseContext,
  names: ResultNames,
  colNamesVisible: boolean,
): void {
  if (setop.type === 'RangeTblRef') {
    const subquery = (query.rtable[setop.rtindex - 1] as RangeTblEntry).subquery as Query;
    const needParens =
      subquery.cteList.length > 0 ||
      subquery.sortClause.length > 0 ||
      subquery.rowMarks.length > 0 ||
      subquery.limitOffset !== null ||
      subquery.limitCount !== null ||
      subquery.setOperations !== null;
    context.parenthesized(needParens, () => appendQuery(subquery, context.buffer, context, names, colNamesVisible));
    return;
  }
  appendLeftOperand(setop, query, context, names, colNamesVisible);
  context.append(setop.op === SETOP_INTERSECT ? 'INTERSECT ' : setop.op === SETOP_EXCEPT ? 'EXCEPT ' : 'UNION ');
  if (setop.all) context.append('ALL ');
  const needParens = setop.rarg.type === 'SetOperationStmt';
  const subindent = needParens ? PRETTYINDENT_STD : 0;
  if (needParens) context.append('(');
  context.keyword('', subindent, 0, 0);
  appendSetOperation(setop.rarg, query, context, names, false);
  if (context.pretty.indent) context.indentLevel -= subindent;
  if (needParens) context.keyword(')', 0, 0, 0);
}

function appendLeftOperand(
  setop: SetOperationStmt,
  query: Query,
  context: DeparseContext,
  names: ResultNames,
  colNamesVisible: boolean,
): void {
  const { larg } = setop;
  // The same operation associates to the left by itself.
  if (larg.type === 'SetOperationStmt' && (larg.op !== setop.op || larg.all !== setop.all)) {
    context.append('(');
    context.keyword('', PRETTYINDENT_STD, 0, 0);
    appendSetOperation(larg, query, context, names, colNamesVisible);
    context.keyword(') ', -PRETTYINDENT_STD, 0, 0);
    return;
  }
  appendSetOperation(larg, query, context, names, colNamesVisible);
  if (context.pretty.indent) context.keyword('', 0, 0, 0);
  else context.append(' ');
}
