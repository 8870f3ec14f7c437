/** Which operands need no parentheses when only needed ones are written. */
import { COERCE_EXPLICIT_CALL } from '@pgtroupe/nodes/nodes';
import type { Node } from '@pgtroupe/nodes/parsenodes';
import type { BoolExpr, Expr, OpExpr } from '@pgtroupe/nodes/primnodes';
import { exprType } from '@pgtroupe/nodes/nodefuncs';
import type { DeparseContext } from './context.ts';
import { operatorName } from './names.ts';

/** The operator's name if it is a binary one of a single character. */
function simpleOperator(expr: OpExpr, context: DeparseContext): string | null {
  const [left, right] = expr.args;
  if (left === undefined || right === undefined) return null;
  const name = operatorName(context.env, expr.opno, exprType(left), exprType(right));
  return Buffer.byteLength(name) === 1 ? name : null;
}

type Priority = 'low' | 'high' | 'other';

function priorityOf(expr: OpExpr, context: DeparseContext): Priority {
  const op = simpleOperator(expr, context);
  if (op === null) return 'other';
  if ('+-'.includes(op)) return 'low';
  return '*/%'.includes(op) ? 'high' : 'other';
}

function simpleUnderOperator(node: OpExpr, parent: OpExpr, context: DeparseContext): boolean {
  const own = priorityOf(node, context);
  const outer = own === 'other' ? 'other' : priorityOf(parent, context);
  if (outer === 'other') return false;
  if (own !== outer) return own === 'high';
  return node === parent.args[0];
}

/** Inside these, the operand stands between parentheses or brackets anyway. */
function isSeparating(parent: Node): boolean {
  switch (parent.type) {
    case 'FuncExpr':
      return parent.funcformat === COERCE_EXPLICIT_CALL;
    case 'SubscriptingRef':
    case 'ArrayExpr':
    case 'RowExpr':
    case 'CoalesceExpr':
    case 'MinMaxExpr':
    case 'XmlExpr':
    case 'NullIfExpr':
    case 'Aggref':
    case 'GroupingFunc':
    case 'WindowFunc':
    case 'CaseExpr':
      return true;
    default:
      return false;
  }
}

function simpleUnderBool(node: BoolExpr, parent: BoolExpr): boolean {
  if (node.boolop === 'or') return parent.boolop === 'or';
  return parent.boolop === 'and' || parent.boolop === 'or';
}

export function isSimpleNode(node: Expr, parent: Node, context: DeparseContext): boolean {
  switch (node.type) {
    case 'Var':
    case 'Const':
    case 'Param':
    case 'CoerceToDomainValue':
    case 'SetToDefault':
    case 'CurrentOfExpr':
    case 'SubscriptingRef':
    case 'ArrayExpr':
    case 'RowExpr':
    case 'CoalesceExpr':
    case 'MinMaxExpr':
    case 'SQLValueFunction':
    case 'XmlExpr':
    case 'NextValueExpr':
    case 'NullIfExpr':
    case 'Aggref':
    case 'GroupingFunc':
    case 'WindowFunc':
    case 'FuncExpr':
    case 'CaseExpr':
      return true;
    case 'FieldSelect':
    case 'FieldStore':
      return parent.type !== node.type;
    case 'CoerceToDomain':
    case 'RelabelType':
    case 'CoerceViaIO':
    case 'ArrayCoerceExpr':
    case 'ConvertRowtypeExpr':
      return isSimpleNode(node.arg, node, context);
    case 'OpExpr':
      if (context.pretty.paren && parent.type === 'OpExpr') return simpleUnderOperator(node, parent, context);
      return parent.type === 'BoolExpr' || isSeparating(parent);
    case 'SubLink':
    case 'NullTest':
    case 'BooleanTest':
    case 'DistinctExpr':
      return parent.type === 'BoolExpr' || isSeparating(parent);
    case 'BoolExpr':
      return parent.type === 'BoolExpr' ? context.pretty.paren && simpleUnderBool(node, parent) : isSeparating(parent);
    default:
      return false;
  }
}
