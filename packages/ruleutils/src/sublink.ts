/** Subqueries in expressions. */
import { assert } from '@pgtroupe/common/assert';
import { ALL_SUBLINK, ANY_SUBLINK, ARRAY_SUBLINK, EXISTS_SUBLINK, ROWCOMPARE_SUBLINK } from '@pgtroupe/nodes/nodes';
import { exprType } from '@pgtroupe/nodes/nodefuncs';
import type { Expr, OpExpr, SubLink } from '@pgtroupe/nodes/primnodes';
import type { DeparseContext } from './context.ts';
import { appendExpr, appendExprList, appendQuery, rowCompareOperator } from './operands.ts';
import { operatorName } from './names.ts';

function nameOfOperator(expr: OpExpr, context: DeparseContext): string {
  return operatorName(context.env, expr.opno, exprType(expr.args[0] as Expr), exprType(expr.args[1] as Expr));
}

/** Writes the left side of the comparison with the subquery's rows; returns the operator. */
function appendTest(test: Expr, context: DeparseContext): string {
  switch (test.type) {
    case 'OpExpr':
      appendExpr(test.args[0] as Expr, context, true);
      return nameOfOperator(test, context);
    case 'BoolExpr': {
      context.append('(');
      const comparisons = test.args as readonly OpExpr[];
      appendExprList(
        comparisons.map(c => c.args[0] as Expr),
        context,
        true,
      );
      context.append(')');
      return nameOfOperator(comparisons[0] as OpExpr, context);
    }
    default:
      assert(test.type === 'RowCompareExpr', 'a subquery is compared by operators');
      context.append('(');
      appendExprList(test.largs, context, true);
      context.append(')');
      return rowCompareOperator(test, context);
  }
}

function comparison(sublink: SubLink, operator: string): string | null {
  switch (sublink.subLinkType) {
    case EXISTS_SUBLINK:
      return 'EXISTS ';
    case ANY_SUBLINK:
      return operator === '=' ? ' IN ' : ` ${operator} ANY `;
    case ALL_SUBLINK:
      return ` ${operator} ALL `;
    case ROWCOMPARE_SUBLINK:
      return ` ${operator} `;
    default:
      return null;
  }
}

export function appendSubLink(sublink: SubLink, context: DeparseContext): void {
  context.append(sublink.subLinkType === ARRAY_SUBLINK ? 'ARRAY(' : '(');
  const operator = sublink.testexpr === null ? '' : appendTest(sublink.testexpr, context);
  const word = comparison(sublink, operator);
  if (word !== null) context.append(`${word}(`);
  appendQuery(sublink.subselect, context.buffer, context, null, false);
  context.append(word !== null ? '))' : ')');
}
