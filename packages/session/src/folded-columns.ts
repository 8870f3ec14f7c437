/**
 * Columns as PostgreSQL tells them of what it is about to run. Of CASE and COALESCE over constants only the branch is left that
 * they choose, and its type modifier may be another than that of all branches; of UNION ALL the one arm that can have rows.
 * Literals are parameters here and plans are made without their values, so it is looked at when they are known.
 */
import type { Datum } from '@pgtroupe/common/datum';
import { exprType, exprTypmod } from '@pgtroupe/nodes/nodefuncs';
import * as N from '@pgtroupe/nodes/nodes';
import type { Query, RangeTblEntry, SetOperationNode } from '@pgtroupe/nodes/parsenodes';
import type { Expr, JoinTreeNode } from '@pgtroupe/nodes/primnodes';
import { makeAndsImplicit } from '@pgtroupe/optimizer/clauses';
import { evalConstExpressions } from '@pgtroupe/optimizer/constfold';
import type { PlannerEnv } from '@pgtroupe/optimizer/pathnodes';
import { isSimpleSubquery } from '@pgtroupe/optimizer/prepjointree';
import type { ColumnInfo } from './prepared-statement.ts';

/** What a result column is computed from, and the subqueries that PostgreSQL must have merged for that to be so. */
interface FoldedColumn {
  readonly expr: Expr;
  readonly within: readonly RangeTblEntry[];
}

/** Columns that may look otherwise once they are folded. */
export type FoldedColumns =
  | { readonly kind: 'select'; readonly columns: readonly (FoldedColumn | undefined)[] }
  /** One arm of these is left if no other can have rows. */
  | {
      readonly kind: 'union all';
      readonly arms: readonly { readonly quals: readonly Expr[]; readonly exprs: readonly Expr[] }[];
    };

export function foldedColumns(query: Query): FoldedColumns | undefined {
  if (query.commandType === N.CMD_SELECT && query.setOperations !== null) return foldedUnion(query);
  const list = query.commandType === N.CMD_SELECT ? query.targetList : query.returningList;
  const columns = list.filter(entry => !entry.resjunk).map(({ expr }) => foldedColumn(query, expr, []));
  return columns.some(column => column !== undefined) ? { kind: 'select', columns } : undefined;
}

function foldedColumn(query: Query, expr: Expr, within: readonly RangeTblEntry[]): FoldedColumn | undefined {
  if (expr.type !== 'Var' || expr.varlevelsup > 0) return chooses(expr) ? { expr, within } : undefined;
  const rte = query.rtable[expr.varno - 1];
  if (rte?.rtekind !== N.RTE_SUBQUERY || rte.subquery === null || rte.subquery.setOperations !== null) return undefined;
  const computed = rte.subquery.targetList.find(({ resno }) => resno === expr.varattno)?.expr;
  return computed === undefined ? undefined : foldedColumn(rte.subquery, computed, [...within, rte]);
}

/** A tree of UNION ALL whose arms have types alike, and modifiers that are not. */
function foldedUnion(query: Query): FoldedColumns | undefined {
  const arms: Query[] = [];
  const types = query.targetList.map(({ expr }) => exprType(expr));
  const collect = (node: SetOperationNode): boolean => {
    if (node.type === 'SetOperationStmt')
      return node.op === N.SETOP_UNION && node.all && collect(node.larg) && collect(node.rarg);
    const arm = query.rtable[node.rtindex - 1]?.subquery;
    if (arm === null || arm === undefined || arm.setOperations !== null) return false;
    arms.push(arm);
    return visible(arm).every((expr, i) => exprType(expr) === types[i]);
  };
  if (query.setOperations === null || !collect(query.setOperations)) return undefined;
  if (!query.targetList.some(({ expr }, i) => arms.some(arm => exprTypmod(visible(arm)[i]!) !== exprTypmod(expr))))
    return undefined;
  return {
    kind: 'union all',
    arms: arms.map(arm => ({ quals: hasOnlyRowsOfJoin(arm) ? qualsOf(arm.jointree) : [], exprs: visible(arm) })),
  };
}

const visible = (query: Query): Expr[] => query.targetList.filter(entry => !entry.resjunk).map(({ expr }) => expr);

/** What comes out is what FROM and WHERE leave; of others, and of what has no FROM, PostgreSQL does not say that they are empty. */
function hasOnlyRowsOfJoin(query: Query): boolean {
  return (
    !query.hasAggs &&
    !query.hasWindowFuncs &&
    query.groupClause.length + query.groupingSets.length + query.distinctClause.length + query.sortClause.length ===
      0 &&
    query.limitOffset === null &&
    query.limitCount === null &&
    query.havingQual === null &&
    query.jointree !== null &&
    query.jointree.fromlist.length > 0
  );
}

/** Conditions without which there is no row. */
function qualsOf(node: JoinTreeNode | null): readonly Expr[] {
  if (node === null || node.type === 'RangeTblRef') return [];
  if (node.type === 'FromExpr') return [...node.fromlist.flatMap(qualsOf), ...makeAndsImplicit(node.quals)];
  switch (node.jointype) {
    case N.JOIN_INNER:
      return [...qualsOf(node.larg), ...qualsOf(node.rarg), ...makeAndsImplicit(node.quals)];
    case N.JOIN_LEFT:
      return qualsOf(node.larg);
    case N.JOIN_RIGHT:
      return qualsOf(node.rarg);
    default:
      return [];
  }
}

/** Is there a choice in it, of which one outcome has a modifier? */
function chooses(expr: Expr): boolean {
  switch (expr.type) {
    case 'CaseExpr':
      return [...expr.args.map(when => when.result), expr.defresult].some(
        result => result !== null && (exprTypmod(result) >= 0 || chooses(result)),
      );
    case 'CoalesceExpr':
      return expr.args.some(arg => exprTypmod(arg) >= 0 || chooses(arg));
    case 'MinMaxExpr':
      return expr.args.some(chooses);
    case 'ArrayExpr':
      return expr.elements.some(chooses);
    case 'NullIfExpr':
      return chooses(expr.args[0]!);
    default:
      return false;
  }
}

/** `params`: values, of which the first `unknown` are not taken into account. May throw CatalogMiss. */
export function describeFolded(
  columns: readonly ColumnInfo[],
  folded: FoldedColumns,
  env: PlannerEnv,
  params: readonly Datum[],
  unknown: number,
): readonly ColumnInfo[] {
  const fold = (expr: Expr): Expr =>
    evalConstExpressions(env, expr, ({ paramkind, paramid }) =>
      paramkind === N.PARAM_EXTERN && paramid > unknown ? { value: params[paramid - 1] ?? null } : undefined,
    );
  // A domain has the modifier of what it is made of.
  const told = (column: ColumnInfo, expr: Expr): ColumnInfo =>
    exprType(expr) === column.typid ? { ...column, typmod: exprTypmod(fold(expr)) } : column;
  if (folded.kind === 'select') {
    return columns.map((column, i) => {
      const found = folded.columns[i];
      return found?.within.every(rte => isSimpleSubquery(env, rte)) ? told(column, found.expr) : column;
    });
  }
  const [left, ...others] = folded.arms.filter(arm => !arm.quals.some(qual => isNeverTrue(fold(qual))));
  return left === undefined || others.length > 0 ? columns : columns.map((column, i) => told(column, left.exprs[i]!));
}

const isNeverTrue = (qual: Expr): boolean =>
  makeAndsImplicit(qual).some(part => part.type === 'Const' && (part.constisnull || part.constvalue === false));
