/** GROUP BY, ORDER BY and windows: clauses that point into the target list. */
import { assert } from '@pgtroupe/common/assert';
import {
  FRAMEOPTION_BETWEEN,
  FRAMEOPTION_END_CURRENT_ROW,
  FRAMEOPTION_END_OFFSET_FOLLOWING,
  FRAMEOPTION_END_OFFSET_PRECEDING,
  FRAMEOPTION_END_UNBOUNDED_FOLLOWING,
  FRAMEOPTION_EXCLUDE_CURRENT_ROW,
  FRAMEOPTION_EXCLUDE_GROUP,
  FRAMEOPTION_EXCLUDE_TIES,
  FRAMEOPTION_GROUPS,
  FRAMEOPTION_NONDEFAULT,
  FRAMEOPTION_RANGE,
  FRAMEOPTION_START_CURRENT_ROW,
  FRAMEOPTION_START_OFFSET_FOLLOWING,
  FRAMEOPTION_START_OFFSET_PRECEDING,
  FRAMEOPTION_START_UNBOUNDED_PRECEDING,
  GROUPING_SET_CUBE,
  GROUPING_SET_EMPTY,
  GROUPING_SET_ROLLUP,
  GROUPING_SET_SIMPLE,
} from '@pgtroupe/nodes/nodes';
import { exprType } from '@pgtroupe/nodes/nodefuncs';
import type { GroupingSet, SortGroupClause, WindowClause } from '@pgtroupe/nodes/parsenodes';
import type { Expr, TargetEntry } from '@pgtroupe/nodes/primnodes';
import { quoteIdentifier } from '@pgtroupe/adt/quote';
import { appendConst } from './const.ts';
import type { DeparseContext } from './context.ts';
import { appendExpr } from './operands.ts';
import { operatorName } from './names.ts';

/** One column of a clause: by number where names would mean something else. Returns its expression. */
export function appendSortGroupColumn(
  ref: number,
  tlist: readonly TargetEntry[],
  byNumber: boolean,
  context: DeparseContext,
): Expr {
  const tle = tlist.find(entry => entry.ressortgroupref === ref);
  assert(tle !== undefined, 'a sort or group column is in the target list');
  const { expr } = tle;
  if (byNumber) context.append(String(tle.resno));
  // A bare constant would be taken for a column number.
  else if (expr.type === 'Const') appendConst(expr, context, 'always');
  else if (expr.type === 'Var') appendExpr(expr, context, true);
  else {
    const needParens =
      context.pretty.paren || expr.type === 'FuncExpr' || expr.type === 'Aggref' || expr.type === 'WindowFunc';
    context.parenthesized(needParens, () => appendExpr(expr, context, true));
  }
  return expr;
}

export function appendGroupingSet(
  set: GroupingSet,
  tlist: readonly TargetEntry[],
  omitParens: boolean,
  context: DeparseContext,
): void {
  switch (set.kind) {
    case GROUPING_SET_EMPTY:
      context.append('()');
      return;
    case GROUPING_SET_SIMPLE:
      context.parenthesized(!omitParens || set.content.length !== 1, () =>
        context.list(set.content, ref => appendSortGroupColumn(ref as number, tlist, false, context)),
      );
      return;
    default: {
      const named = set.kind === GROUPING_SET_ROLLUP || set.kind === GROUPING_SET_CUBE;
      context.append(
        set.kind === GROUPING_SET_ROLLUP ? 'ROLLUP(' : set.kind === GROUPING_SET_CUBE ? 'CUBE(' : 'GROUPING SETS (',
      );
      context.list(set.content, child => appendGroupingSet(child as GroupingSet, tlist, named, context));
      context.append(')');
    }
  }
}

export function appendOrderBy(
  list: readonly SortGroupClause[],
  tlist: readonly TargetEntry[],
  byNumber: boolean,
  context: DeparseContext,
): void {
  context.list(list, clause => {
    const type = exprType(appendSortGroupColumn(clause.tleSortGroupRef, tlist, byNumber, context));
    const { lt, gt } = context.catalog.typeOperators(type);
    if (clause.sortop === lt) context.append(clause.nulls_first ? ' NULLS FIRST' : '');
    else if (clause.sortop === gt) context.append(clause.nulls_first ? ' DESC' : ' DESC NULLS LAST');
    else {
      context.append(` USING ${operatorName(context.env, clause.sortop, type, type)}`);
      context.append(clause.nulls_first ? ' NULLS FIRST' : ' NULLS LAST');
    }
  });
}

export function appendWindowSpec(window: WindowClause, tlist: readonly TargetEntry[], context: DeparseContext): void {
  const parts: (() => void)[] = [];
  const { refname } = window;
  if (refname !== null) parts.push(() => context.append(quoteIdentifier(refname)));
  // What the named window brings along is not repeated.
  if (window.partitionClause.length > 0 && refname === null) {
    parts.push(() => {
      context.append('PARTITION BY ');
      context.list(window.partitionClause, clause =>
        appendSortGroupColumn(clause.tleSortGroupRef, tlist, false, context),
      );
    });
  }
  if (window.orderClause.length > 0 && !window.copiedOrder) {
    parts.push(() => {
      context.append('ORDER BY ');
      appendOrderBy(window.orderClause, tlist, false, context);
    });
  }
  if ((window.frameOptions & FRAMEOPTION_NONDEFAULT) !== 0) parts.push(() => appendFrame(window, context));
  context.append('(');
  context.list(parts, part => part(), ' ');
  context.append(')');
}

function appendFrame(window: WindowClause, context: DeparseContext): void {
  const options = window.frameOptions;
  const has = (flag: number): boolean => (options & flag) !== 0;
  context.append(has(FRAMEOPTION_RANGE) ? 'RANGE ' : has(FRAMEOPTION_GROUPS) ? 'GROUPS ' : 'ROWS ');
  if (has(FRAMEOPTION_BETWEEN)) context.append('BETWEEN ');
  if (has(FRAMEOPTION_START_UNBOUNDED_PRECEDING)) context.append('UNBOUNDED PRECEDING');
  else if (has(FRAMEOPTION_START_CURRENT_ROW)) context.append('CURRENT ROW');
  else
    appendOffset(
      window.startOffset,
      has(FRAMEOPTION_START_OFFSET_PRECEDING),
      has(FRAMEOPTION_START_OFFSET_FOLLOWING),
      context,
    );
  if (has(FRAMEOPTION_BETWEEN)) {
    context.append(' AND ');
    if (has(FRAMEOPTION_END_UNBOUNDED_FOLLOWING)) context.append('UNBOUNDED FOLLOWING');
    else if (has(FRAMEOPTION_END_CURRENT_ROW)) context.append('CURRENT ROW');
    else
      appendOffset(
        window.endOffset,
        has(FRAMEOPTION_END_OFFSET_PRECEDING),
        has(FRAMEOPTION_END_OFFSET_FOLLOWING),
        context,
      );
  }
  if (has(FRAMEOPTION_EXCLUDE_CURRENT_ROW)) context.append(' EXCLUDE CURRENT ROW');
  else if (has(FRAMEOPTION_EXCLUDE_GROUP)) context.append(' EXCLUDE GROUP');
  else if (has(FRAMEOPTION_EXCLUDE_TIES)) context.append(' EXCLUDE TIES');
}

function appendOffset(offset: Expr | null, preceding: boolean, following: boolean, context: DeparseContext): void {
  assert(preceding !== following, 'a frame offset has one direction');
  appendExpr(offset, context, false);
  context.append(preceding ? ' PRECEDING' : ' FOLLOWING');
}
