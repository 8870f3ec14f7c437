/** INSERT, UPDATE and DELETE (in rules, function bodies and WITH). */
import {
  COERCE_IMPLICIT_CAST,
  MULTIEXPR_SUBLINK,
  ONCONFLICT_NOTHING,
  OVERRIDING_SYSTEM_VALUE,
  OVERRIDING_USER_VALUE,
  PARAM_MULTIEXPR,
  RTE_SUBQUERY,
  RTE_VALUES,
} from '@pgtroupe/nodes/nodes';
import type { Query, RangeTblEntry } from '@pgtroupe/nodes/parsenodes';
import type { Expr, OnConflictExpr, SubLink, TargetEntry } from '@pgtroupe/nodes/primnodes';
import { stripImplicitCoercions } from '@pgtroupe/nodes/vars';
import { ereport } from '@pgtroupe/common/ereport';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { CONSTROID } from '@pgtroupe/catalog/syscache';
import { quoteIdentifier } from '@pgtroupe/adt/quote';
import { PRETTYINDENT_STD, type DeparseContext } from './context.ts';
import { appendExpr, appendExprList, appendIndirection, appendQuery, appendToplevel } from './operands.ts';
import { appendAlias, appendFromClause, only } from './from.ts';
import { attributeName, lookupFailed, relationName } from './names.ts';
import { appendTargetList, appendValues, appendWithClause } from './query.ts';
import { appendWhere } from './select.ts';

function targetOf(query: Query): RangeTblEntry {
  return query.rtable[query.resultRelation - 1] as RangeTblEntry;
}

function startStatement(context: DeparseContext): void {
  if (!context.pretty.indent) return;
  context.indentLevel += PRETTYINDENT_STD;
  context.append(' ');
}

function appendReturning(query: Query, context: DeparseContext, colNamesVisible: boolean): void {
  if (query.returningList.length === 0) return;
  context.clause(' RETURNING', 1);
  appendTargetList(query.returningList, context, null, colNamesVisible);
}

function onlyEntry(query: Query, kind: number, what: string): RangeTblEntry | null {
  const found = query.rtable.filter(rte => rte.rtekind === kind);
  if (found.length > 1) throw ereport(ERRCODE.INTERNAL_ERROR, `too many ${what} RTEs in INSERT`);
  return found[0] ?? null;
}

export function appendInsert(query: Query, context: DeparseContext, colNamesVisible: boolean): void {
  appendWithClause(query, context);
  const select = onlyEntry(query, RTE_SUBQUERY, 'subquery');
  const values = onlyEntry(query, RTE_VALUES, 'values');
  const rte = targetOf(query);
  startStatement(context);
  context.append(`INSERT INTO ${relationName(context.env, rte.relid)}`);
  appendAlias(rte, query.resultRelation, true, context);
  context.append(' ');
  const sources: Expr[] = [];
  if (query.targetList.length > 0) {
    context.append('(');
    context.list(
      query.targetList.filter(tle => !tle.resjunk),
      tle => {
        context.append(quoteIdentifier(attributeName(context.env, rte.relid, tle.resno)));
        sources.push(appendIndirection(tle.expr, context));
      },
    );
    context.append(') ');
  }
  if (query.override === OVERRIDING_SYSTEM_VALUE) context.append('OVERRIDING SYSTEM VALUE ');
  else if (query.override === OVERRIDING_USER_VALUE) context.append('OVERRIDING USER VALUE ');
  if (select !== null) appendQuery(select.subquery as Query, context.buffer, context, null, false);
  else if (values !== null) appendValues(values.values_lists, context, expr => appendToplevel(expr, context, false));
  else if (sources.length > 0) {
    context.clause('VALUES (', 2);
    context.list(sources, expr => appendToplevel(expr, context, false));
    context.append(')');
  } else context.append('DEFAULT VALUES');
  if (query.onConflict !== null) appendOnConflict(query, query.onConflict, rte, context);
  appendReturning(query, context, colNamesVisible);
}

function appendOnConflict(query: Query, conflict: OnConflictExpr, rte: RangeTblEntry, context: DeparseContext): void {
  context.append(' ON CONFLICT');
  if (conflict.arbiterElems.length > 0) {
    context.append('(');
    appendExprList(conflict.arbiterElems, context, false);
    context.append(')');
    if (conflict.arbiterWhere !== null) {
      const saved = context.varprefix;
      context.varprefix = false;
      appendWhere(conflict.arbiterWhere, context);
      context.varprefix = saved;
    }
  } else if (conflict.constraint !== 0) {
    const constraint = context.catalog.caches.search(CONSTROID, conflict.constraint);
    if (constraint === null) throw lookupFailed('constraint', conflict.constraint);
    context.append(` ON CONSTRAINT ${quoteIdentifier(constraint.conname)}`);
  }
  if (conflict.action === ONCONFLICT_NOTHING) {
    context.append(' DO NOTHING');
    return;
  }
  context.append(' DO UPDATE SET ');
  appendAssignments(query, conflict.onConflictSet, rte, context);
  appendWhere(conflict.onConflictWhere, context);
}

export function appendUpdate(query: Query, context: DeparseContext, colNamesVisible: boolean): void {
  appendWithClause(query, context);
  const rte = targetOf(query);
  startStatement(context);
  context.append(`UPDATE ${only(rte)}${relationName(context.env, rte.relid)}`);
  appendAlias(rte, query.resultRelation, true, context);
  context.append(' SET ');
  appendAssignments(query, query.targetList, rte, context);
  appendFromClause(query, ' FROM ', context);
  appendWhere(query.jointree?.quals ?? null, context);
  appendReturning(query, context, colNamesVisible);
}

export function appendDelete(query: Query, context: DeparseContext, colNamesVisible: boolean): void {
  appendWithClause(query, context);
  const rte = targetOf(query);
  startStatement(context);
  context.append(`DELETE FROM ${only(rte)}${relationName(context.env, rte.relid)}`);
  appendAlias(rte, query.resultRelation, true, context);
  appendFromClause(query, ' USING ', context);
  appendWhere(query.jointree?.quals ?? null, context);
  appendReturning(query, context, colNamesVisible);
}

/** Sub-SELECTs of (a, b) = (SELECT ...), in the order of their assignments. */
function multiassignments(query: Query, targetList: readonly TargetEntry[]): SubLink[] {
  if (!query.hasSubLinks) return [];
  return targetList.flatMap(({ resjunk, expr }) =>
    resjunk && expr.type === 'SubLink' && expr.subLinkType === MULTIEXPR_SUBLINK ? [expr] : [],
  );
}

/** What is assigned below fields, subscripts and casts. */
function assignedValue(expr: Expr): Expr {
  let node = expr;
  for (;;) {
    if (node.type === 'FieldStore') node = node.newvals[0] as Expr;
    else if (node.type === 'SubscriptingRef' && node.refassgnexpr !== null) node = node.refassgnexpr;
    else if (node.type === 'CoerceToDomain' && node.coercionformat === COERCE_IMPLICIT_CAST) node = node.arg;
    else return stripImplicitCoercions(node);
  }
}

function appendAssignments(
  query: Query,
  targetList: readonly TargetEntry[],
  rte: RangeTblEntry,
  context: DeparseContext,
): void {
  const pending = multiassignments(query, targetList);
  let current: SubLink | null = null;
  let remaining = 0;
  context.list(
    targetList.filter(tle => !tle.resjunk),
    tle => {
      if (current === null && pending.length > 0) {
        const value = assignedValue(tle.expr);
        if (value.type === 'Param' && value.paramkind === PARAM_MULTIEXPR) {
          current = pending.shift() as SubLink;
          remaining = current.subselect.targetList.filter(column => !column.resjunk).length;
          context.append('(');
        }
      }
      context.append(quoteIdentifier(attributeName(context.env, rte.relid, tle.resno)));
      let value = appendIndirection(tle.expr, context);
      if (current !== null) {
        if (--remaining > 0) return;
        context.append(')');
        value = current;
        current = null;
      }
      context.append(' = ');
      appendExpr(value, context, false);
    },
  );
}
