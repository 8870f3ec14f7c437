/**
 * Which literals of a statement may become parameters. Decided on the raw tree the first time a shape is
 * seen; the grammar knows what the scanner cannot: that a number is a type's length, a position in ORDER BY or
 * a frame bound. Everything not marked here keeps its value as part of the statement's identity.
 *
 * Unmarked on purpose: LIMIT and OFFSET (planners look at them), anything in a SELECT whose clauses compare
 * expressions with each other (GROUP BY, DISTINCT, ORDER BY, windows, set operations) outside WHERE and ON,
 * RETURNING, ON CONFLICT's index predicate, recursive CTEs, names given as strings (regclass).
 */
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { selectsInto } from './selectinto.ts';

export type MarkLiteral = (aconst: RawNode) => void;

export function markStatement(stmt: RawNode, mark: MarkLiteral): void {
  switch (stmt.type) {
    case 'SelectStmt':
      if (!selectsInto(stmt)) markSelect(stmt, mark);
      break;
    case 'InsertStmt':
      markWith(stmt, mark);
      if (stmt.selectStmt) markInsertSource(stmt.selectStmt, mark);
      if (stmt.onConflictClause) {
        markTargets(stmt.onConflictClause.targetList, mark);
        markExpr(stmt.onConflictClause.whereClause, mark);
      }
      break;
    case 'UpdateStmt':
      markWith(stmt, mark);
      markTargets(stmt.targetList, mark);
      markFrom(stmt.fromClause, mark);
      markExpr(stmt.whereClause, mark);
      break;
    case 'DeleteStmt':
      markWith(stmt, mark);
      markFrom(stmt.usingClause, mark);
      markExpr(stmt.whereClause, mark);
      break;
    default:
      break;
  }
}

function markWith(stmt: RawNode, mark: MarkLiteral): void {
  if (!stmt.withClause || stmt.withClause.recursive) return;
  for (const cte of stmt.withClause.ctes as RawNode[]) markStatement(cte.ctequery, mark);
}

function markInsertSource(select: RawNode, mark: MarkLiteral): void {
  const plainValues =
    select.valuesLists && !select.sortClause && !select.limitCount && !select.limitOffset && !select.withClause;
  if (!plainValues) {
    markSelect(select, mark);
    return;
  }
  for (const row of select.valuesLists as RawNode[])
    for (const value of (row.items as RawNode[] | undefined) ?? []) markExpr(value, mark);
}

function markSelect(select: RawNode, mark: MarkLiteral): void {
  markWith(select, mark);
  if (select.op !== 'SETOP_NONE') {
    markBranch(select.larg, mark);
    markBranch(select.rarg, mark);
    return;
  }
  if (select.valuesLists) return;
  markBranch(select, mark);
  const compares =
    select.groupClause || select.distinctClause || select.sortClause || select.windowClause || select.havingClause;
  if (!compares) markTargets(select.targetList, mark);
}

/** What holds for a branch of a set operation too: only its conditions. */
function markBranch(select: RawNode, mark: MarkLiteral): void {
  if (select.op !== 'SETOP_NONE') {
    markSelect(select, mark);
    return;
  }
  if (select.valuesLists) return;
  markFrom(select.fromClause, mark);
  markExpr(select.whereClause, mark);
}

function markTargets(targets: readonly RawNode[] | undefined, mark: MarkLiteral): void {
  for (const target of targets ?? []) {
    // The source of SET (a, b) = ... stands in the tree once per column; one column's copy is analyzed.
    if (target.val) markExpr(target.val.type === 'MultiAssignRef' ? null : target.val, mark);
  }
}

function markFrom(items: readonly RawNode[] | undefined, mark: MarkLiteral): void {
  for (const item of items ?? []) markFromItem(item, mark);
}

function markFromItem(item: RawNode, mark: MarkLiteral): void {
  switch (item.type) {
    case 'JoinExpr':
      markFromItem(item.larg, mark);
      markFromItem(item.rarg, mark);
      markExpr(item.quals, mark);
      break;
    case 'RangeSubselect':
      markSelect(item.subquery, mark);
      break;
    case 'RangeFunction':
      for (const pair of item.functions as RawNode[]) markExpr((pair.items as RawNode[])[0], mark);
      break;
    default:
      break;
  }
}

function markAll(nodes: readonly (RawNode | null)[] | undefined, mark: MarkLiteral): void {
  for (const node of nodes ?? []) markExpr(node, mark);
}

function markExpr(node: RawNode | null | undefined, mark: MarkLiteral): void {
  if (!node) return;
  switch (node.type) {
    case 'A_Const':
      mark(node);
      break;
    case 'A_Expr':
      markExpr(node.lexpr, mark);
      markExpr(node.rexpr, mark);
      break;
    case 'List':
      markAll(node.items, mark);
      break;
    case 'BoolExpr':
    case 'CoalesceExpr':
    case 'MinMaxExpr':
    case 'RowExpr':
      markAll(node.args, mark);
      break;
    case 'NullTest':
    case 'BooleanTest':
    case 'CollateClause':
    case 'NamedArgExpr':
      markExpr(node.arg, mark);
      break;
    case 'TypeCast':
      if (!isNameType(node.typeName)) markExpr(node.arg, mark);
      break;
    case 'FuncCall':
      if (!node.over && !node.agg_order && !node.agg_distinct) {
        markAll(node.args, mark);
        markExpr(node.agg_filter, mark);
      }
      break;
    case 'CaseExpr':
      markExpr(node.arg, mark);
      for (const when of node.args as RawNode[]) {
        markExpr(when.expr, mark);
        markExpr(when.result, mark);
      }
      markExpr(node.defresult, mark);
      break;
    case 'A_ArrayExpr':
      markAll(node.elements, mark);
      break;
    case 'A_Indirection':
      markExpr(node.arg, mark);
      break;
    case 'SubLink':
      markExpr(node.testexpr, mark);
      markSelect(node.subselect, mark);
      break;
    default:
      break;
  }
}

/** Types whose input function looks names up. */
function isNameType(typeName: RawNode): boolean {
  const names = typeName.names as RawNode[];
  return (names[names.length - 1] as RawNode).sval.startsWith('reg');
}
