/** The columns of Vars of type record: known only from what the Var refers to. */
import { ParseState } from './parse_node.ts';
import type { Expr, Var } from '@pgtroupe/nodes/primnodes';
import { exprResultType, type ResultColumn } from './rowtypes.ts';
import { expandRTE, getCTEForRTE, getRTEByRangeTablePosn } from './parse_relation.ts';
import { exprCollation, exprType, exprTypmod } from '@pgtroupe/nodes/nodefuncs';
import { RTE_CTE, RTE_FUNCTION, RTE_JOIN, RTE_SUBQUERY, RTE_VALUES } from '@pgtroupe/nodes/nodes';
import { RECORDOID } from '@pgtroupe/common/oids';
import { ERRCODE } from '@pgtroupe/common/errcodes';

/** The columns of a record-typed Var, found by looking at what it refers to. */
export function recordVariableColumns(pstate: ParseState, variable: Var, levelsup: number): readonly ResultColumn[] {
  const netlevelsup = variable.varlevelsup + levelsup;
  const rte = getRTEByRangeTablePosn(pstate, variable.varno, netlevelsup);
  const attnum = variable.varattno;
  if (attnum === 0) {
    const { names, vars } = expandRTE(pstate, rte, variable.varno, 0, variable.location, false);
    return vars.map((v, i) => ({
      name: names[i] as string,
      typid: exprType(v),
      typmod: exprTypmod(v),
      collation: exprCollation(v),
      dropped: false,
    }));
  }
  let expr: Expr = variable;
  switch (rte.rtekind) {
    case RTE_SUBQUERY: {
      const tle = rte.subquery?.targetList.find(t => t.resno === attnum && !t.resjunk);
      if (!tle) throw missingAttribute(pstate, rte.eref.aliasname, attnum);
      expr = tle.expr;
      if (expr.type === 'Var') {
        const sub = new ParseState(ancestor(pstate, netlevelsup), pstate.context);
        sub.rtable = [...(rte.subquery?.rtable ?? [])];
        return recordVariableColumns(sub, expr, 0);
      }
      break;
    }
    case RTE_JOIN: {
      const alias = rte.joinaliasvars[attnum - 1];
      if (!alias) throw missingAttribute(pstate, rte.eref.aliasname, attnum);
      if (alias.type === 'Var') return recordVariableColumns(pstate, alias, netlevelsup);
      expr = alias;
      break;
    }
    case RTE_CTE:
      if (!rte.self_reference) {
        const cte = getCTEForRTE(pstate, rte, netlevelsup);
        const query = cte.ctequery;
        const list = query.commandType === 1 ? query.targetList : query.returningList;
        const tle = list.find(t => t.resno === attnum && !t.resjunk);
        if (!tle) throw missingAttribute(pstate, rte.eref.aliasname, attnum);
        expr = tle.expr;
        if (expr.type === 'Var') {
          const sub = new ParseState(ancestor(pstate, rte.ctelevelsup + netlevelsup), pstate.context);
          sub.rtable = [...query.rtable];
          return recordVariableColumns(sub, expr, 0);
        }
      }
      break;
    case RTE_FUNCTION:
    case RTE_VALUES:
    default:
      break;
  }
  const result = exprResultType(pstate.catalog, expr);
  if (result.kind === 'composite' || result.kind === 'composite-domain') return result.columns;
  if (exprType(expr) === RECORDOID) {
    throw pstate.error(ERRCODE.FEATURE_NOT_SUPPORTED, 'record type has not been registered');
  }
  throw pstate.error(ERRCODE.WRONG_OBJECT_TYPE, `type ${pstate.typeName(exprType(expr))} is not composite`);
}

function missingAttribute(pstate: ParseState, alias: string, attnum: number): Error {
  return pstate.error(ERRCODE.INTERNAL_ERROR, `subquery ${alias} does not have attribute ${attnum}`);
}

function ancestor(pstate: ParseState, levels: number): ParseState {
  let state = pstate;
  for (let i = 0; i < levels; i++) state = state.parent ?? state;
  return state;
}
