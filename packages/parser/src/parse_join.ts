/**
 * JOIN: the two sides, USING and NATURAL with their merged columns, ON, and the names the join offers.
 */
import type { Slices } from '@pgtroupe/common/slices';
import { INVALID_OID } from '@pgtroupe/common/ids';
import { transformWhereClause } from './parse_where.ts';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { makeRelabelType, makeVar } from '@pgtroupe/nodes/makefuncs';
import { exprCollation, exprType, exprTypmod } from '@pgtroupe/nodes/nodefuncs';
import {
  COERCE_IMPLICIT_CAST,
  COERCION_IMPLICIT,
  JOIN_FULL,
  JOIN_INNER,
  JOIN_LEFT,
  JOIN_RIGHT,
  type JoinType,
} from '@pgtroupe/nodes/nodes';
import type { Alias, Expr, JoinExpr, JoinTreeNode, Var } from '@pgtroupe/nodes/primnodes';
import { coerceToBoolean, coerceType, selectCommonType, selectCommonTypmod } from './parse_coerce.ts';
import { assignExprCollations } from './parse_collate.ts';
import { transformExpr } from './grammar.ts';
import { rawStrings, type ParseNamespaceColumn, type ParseNamespaceItem, type ParseState } from './parse_node.ts';
import {
  addRangeTableEntryForJoin,
  checkNameSpaceConflicts,
  makeAlias,
  markVarForSelectPriv,
} from './parse_relation.ts';

/** A FROM item analyzed: its place in the join tree and the names it offers. */
export interface FromItem {
  readonly node: JoinTreeNode;
  readonly top: ParseNamespaceItem;
  readonly namespace: ParseNamespaceItem[];
}

export function setNamespaceLateralState(
  namespace: readonly ParseNamespaceItem[],
  lateralOnly: boolean,
  lateralOk: boolean,
): void {
  for (const nsitem of namespace) {
    nsitem.lateral_only = lateralOnly;
    nsitem.lateral_ok = lateralOk;
  }
}

const JOIN_TYPES: Readonly<Record<string, JoinType>> = { JOIN_INNER, JOIN_LEFT, JOIN_FULL, JOIN_RIGHT };

export function* transformJoin(
  pstate: ParseState,
  raw: RawNode,
  transformSide: (pstate: ParseState, raw: RawNode) => Slices<FromItem>,
): Slices<FromItem> {
  yield;
  const jointype = JOIN_TYPES[raw.jointype as string] as JoinType;
  const left = yield* transformSide(pstate, raw.larg);
  // The right side sees the left through LATERAL, if the join preserves it.
  setNamespaceLateralState(left.namespace, true, jointype === JOIN_INNER || jointype === JOIN_LEFT);
  const outer = pstate.namespace;
  pstate.namespace = [...outer, ...left.namespace];
  const right = yield* transformSide(pstate, raw.rarg);
  pstate.namespace = outer;
  checkNameSpaceConflicts(pstate, left.namespace, right.namespace);
  let namespace = [...left.namespace, ...right.namespace];

  const leftNames = left.top.names.colnames;
  const rightNames = right.top.names.colnames;
  const usingClause = raw.isNatural
    ? leftNames.filter(name => name !== '' && rightNames.includes(name))
    : rawStrings(raw.usingClause);
  const usingAlias = makeAlias(raw.join_using_alias);
  if (usingAlias) usingAlias.colnames = usingClause;

  const columns = new JoinColumns();
  let quals: Expr | null = null;
  if (usingClause.length > 0) {
    quals = mergeUsingColumns(pstate, jointype, usingClause, left.top, right.top, columns);
  } else if (raw.quals) {
    setNamespaceLateralState(namespace, false, true);
    const saved = pstate.namespace;
    pstate.namespace = namespace;
    quals = yield* transformWhereClause(pstate, raw.quals, 'JOIN_ON', 'JOIN/ON');
    pstate.namespace = saved;
  }
  columns.addRemaining(left.top, columns.leftcols);
  columns.addRemaining(right.top, columns.rightcols);

  const alias = makeAlias(raw.alias);
  const nsitem = addRangeTableEntryForJoin(pstate, {
    colnames: columns.names,
    nscolumns: columns.nscolumns,
    jointype,
    nummergedcols: usingClause.length,
    aliasvars: columns.vars,
    leftcols: columns.leftcols,
    rightcols: columns.rightcols,
    join_using_alias: usingAlias,
    alias,
  });
  const { rtindex } = nsitem;
  nsitem.nscolumns = columns.nscolumns.map((c, k) =>
    !alias && c.varno !== 0 && c.varnosyn !== 0
      ? c
      : {
          ...c,
          varno: c.varno === 0 ? rtindex : c.varno,
          varnosyn: alias || c.varnosyn === 0 ? rtindex : c.varnosyn,
          varattnosyn: alias ? k + 1 : c.varattnosyn,
        },
  );
  const join: JoinExpr = {
    type: 'JoinExpr',
    jointype,
    isNatural: raw.isNatural ?? false,
    larg: left.node,
    rarg: right.node,
    usingClause,
    join_using_alias: usingAlias,
    quals,
    alias,
    rtindex,
  };
  while (pstate.joinexprs.length < rtindex - 1) pstate.joinexprs.push(null);
  pstate.joinexprs.push(join);

  if (usingAlias) {
    const item: ParseNamespaceItem = { ...nsitem, names: usingAlias, rel_visible: true, cols_visible: true };
    checkNameSpaceConflicts(pstate, [item], namespace);
    namespace = [...namespace, item];
  }
  // An alias hides the inputs altogether; without one their columns are reached through the join.
  if (alias) namespace = [];
  else for (const item of namespace) item.cols_visible = false;
  nsitem.rel_visible = alias !== null;
  nsitem.cols_visible = true;
  nsitem.lateral_only = false;
  nsitem.lateral_ok = true;
  return { node: join, top: nsitem, namespace: [...namespace, nsitem] };
}

/** The columns of a join as they are collected: merged ones first, then the rest of each side. */
class JoinColumns {
  readonly names: string[] = [];
  readonly vars: Expr[] = [];
  readonly nscolumns: ParseNamespaceColumn[] = [];
  readonly leftcols: number[] = [];
  readonly rightcols: number[] = [];

  addRemaining(side: ParseNamespaceItem, colnos: number[]): void {
    const merged = new Set(colnos);
    side.names.colnames.forEach((name, i) => {
      if (name === '' || merged.has(i + 1)) return;
      const column = side.nscolumns[i] as ParseNamespaceColumn;
      colnos.push(i + 1);
      this.names.push(name);
      this.vars.push(columnVar(column));
      this.nscolumns.push({ ...column });
    });
  }
}

function columnVar(column: ParseNamespaceColumn): Var {
  const variable = makeVar(column.varno, column.varattno, column.vartype, column.vartypmod, column.varcollid);
  variable.varnosyn = column.varnosyn;
  variable.varattnosyn = column.varattnosyn;
  return variable;
}

function usingColumn(pstate: ParseState, name: string, names: Alias, side: 'left' | 'right'): number {
  const index = names.colnames.indexOf(name);
  if (index < 0) {
    throw pstate.error(
      ERRCODE.UNDEFINED_COLUMN,
      `column "${name}" specified in USING clause does not exist in ${side} table`,
    );
  }
  if (names.colnames.indexOf(name, index + 1) >= 0) {
    throw pstate.error(
      ERRCODE.AMBIGUOUS_COLUMN,
      `common column name "${name}" appears more than once in ${side} table`,
    );
  }
  return index;
}

/** Adds the merged columns and returns the condition that they are equal. */
function mergeUsingColumns(
  pstate: ParseState,
  jointype: JoinType,
  usingClause: readonly string[],
  left: ParseNamespaceItem,
  right: ParseNamespaceItem,
  columns: JoinColumns,
): Expr {
  const equalities: RawNode[] = [];
  for (const name of usingClause) {
    if (columns.names.includes(name)) {
      throw pstate.error(ERRCODE.DUPLICATE_COLUMN, `column name "${name}" appears more than once in USING clause`);
    }
    const l = usingColumn(pstate, name, left.names, 'left');
    columns.leftcols.push(l + 1);
    const r = usingColumn(pstate, name, right.names, 'right');
    columns.rightcols.push(r + 1);
    const lcolumn = left.nscolumns[l] as ParseNamespaceColumn;
    const rcolumn = right.nscolumns[r] as ParseNamespaceColumn;
    const lvar = columnVar(lcolumn);
    const rvar = columnVar(rcolumn);
    const merged = mergedJoinVar(pstate, jointype, lvar, rvar);
    columns.names.push(name);
    columns.vars.push(merged);
    if (merged === lvar) columns.nscolumns.push({ ...lcolumn });
    else if (merged === rvar) columns.nscolumns.push({ ...rcolumn });
    else {
      // Not a plain column of either side: the join's own.
      const attno = columns.names.length;
      columns.nscolumns.push({
        varno: 0,
        varattno: attno,
        vartype: exprType(merged),
        vartypmod: exprTypmod(merged),
        varcollid: exprCollation(merged),
        varnosyn: 0,
        varattnosyn: attno,
        dontexpand: false,
      });
    }
    equalities.push({
      type: 'A_Expr',
      kind: 'AEXPR_OP',
      name: [{ type: 'String', sval: '=' }],
      lexpr: { ...lvar } as unknown as RawNode,
      rexpr: { ...rvar } as unknown as RawNode,
      location: -1,
    });
    markVarForSelectPriv(pstate, lvar);
    markVarForSelectPriv(pstate, rvar);
  }
  const condition: RawNode =
    equalities.length === 1
      ? (equalities[0] as RawNode)
      : { type: 'BoolExpr', boolop: 'AND_EXPR', args: equalities, location: -1 };
  return coerceToBoolean(pstate, transformExpr(pstate, condition, 'JOIN_USING'), 'JOIN/USING');
}

function mergedJoinVar(pstate: ParseState, jointype: JoinType, lvar: Var, rvar: Var): Expr {
  const type = selectCommonType(pstate, [lvar, rvar], 'JOIN/USING').type;
  const typmod = selectCommonTypmod([lvar, rvar], type);
  const convert = (variable: Var): Expr => {
    if (variable.vartype !== type) {
      return coerceType(pstate, variable, variable.vartype, type, typmod, COERCION_IMPLICIT, COERCE_IMPLICIT_CAST, -1);
    }
    if (variable.vartypmod !== typmod)
      return makeRelabelType(variable, type, typmod, INVALID_OID, COERCE_IMPLICIT_CAST);
    return variable;
  };
  const l = convert(lvar);
  const r = convert(rvar);
  let result: Expr;
  switch (jointype) {
    case JOIN_LEFT:
      result = l;
      break;
    case JOIN_RIGHT:
      result = r;
      break;
    case JOIN_FULL:
      result = { type: 'CoalesceExpr', coalescetype: type, coalescecollid: INVALID_OID, args: [l, r], location: -1 };
      break;
    default:
      // Either will do; a plain Var is best.
      result = l.type !== 'Var' && r.type === 'Var' ? r : l;
  }
  assignExprCollations(pstate, result);
  return result;
}
