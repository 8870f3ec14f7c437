/**
 * Columns as PostgreSQL tells them of what it is about to run: of CASE and COALESCE over constants only the branch is left that
 * they choose, and its type modifier may be another than that of all branches. Literals are parameters here and plans are
 * made without their values, so it is looked at when they are known.
 */
import type { Datum } from '@pgtroupe/common/datum';
import { exprType, exprTypmod } from '@pgtroupe/nodes/nodefuncs';
import { CMD_SELECT, PARAM_EXTERN } from '@pgtroupe/nodes/nodes';
import type { Query } from '@pgtroupe/nodes/parsenodes';
import type { Expr } from '@pgtroupe/nodes/primnodes';
import { evalConstExpressions } from '@pgtroupe/optimizer/constfold';
import type { PlannerEnv } from '@pgtroupe/optimizer/pathnodes';
import type { ColumnInfo } from './prepared-statement.ts';

/** What a result column is computed from, where it may look otherwise once it is folded. */
export function foldedColumns(query: Query): readonly (Expr | undefined)[] | undefined {
  const list = query.commandType === CMD_SELECT ? query.targetList : query.returningList;
  const exprs = list.filter(entry => !entry.resjunk).map(({ expr }) => (chooses(expr) ? expr : undefined));
  return exprs.some(expr => expr !== undefined) ? exprs : undefined;
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
  exprs: readonly (Expr | undefined)[],
  env: PlannerEnv,
  params: readonly Datum[],
  unknown: number,
): readonly ColumnInfo[] {
  return columns.map((column, i) => {
    const expr = exprs[i];
    // A domain has the modifier of what it is made of.
    if (expr === undefined || exprType(expr) !== column.typid) return column;
    const folded = evalConstExpressions(env, expr, ({ paramkind, paramid }) =>
      paramkind === PARAM_EXTERN && paramid > unknown ? { value: params[paramid - 1] ?? null } : undefined,
    );
    return { ...column, typmod: exprTypmod(folded) };
  });
}
