/**
 * Constructors for nodes that are made in many places: they fill in every field, so that objects of
 * one type have one shape.
 */
import { type Oid, INVALID_OID } from '@pgtroupe/common/ids';
import { BOOLOID } from '@pgtroupe/common/oids';
import type { Datum } from '@pgtroupe/common/datum';
import { LIMIT_OPTION_COUNT, type CmdType, type CoercionForm } from './nodes.ts';
import type { BoolExpr, Const, Expr, FuncExpr, RelabelType, TargetEntry, Var } from './primnodes.ts';
import type { Query, RangeTblEntry } from './parsenodes.ts';

/** What an absent RangeTblEntry field holds: the fields of other kinds are not in the text. */
const EMPTY_RTE: RangeTblEntry = {
  type: 'RangeTblEntry',
  alias: null,
  eref: { type: 'Alias', aliasname: '', colnames: [] },
  rtekind: 0,
  relid: INVALID_OID,
  relkind: '',
  rellockmode: 0,
  tablesample: null,
  subquery: null,
  security_barrier: false,
  jointype: 0,
  joinmergedcols: 0,
  joinaliasvars: [],
  joinleftcols: [],
  joinrightcols: [],
  join_using_alias: null,
  functions: [],
  funcordinality: false,
  tablefunc: null,
  values_lists: [],
  ctename: null,
  ctelevelsup: 0,
  self_reference: false,
  coltypes: [],
  coltypmods: [],
  colcollations: [],
  enrname: null,
  enrtuples: 0,
  lateral: false,
  inh: false,
  inFromCl: false,
  requiredPerms: 0,
  checkAsUser: INVALID_OID,
  selectedCols: [],
  insertedCols: [],
  updatedCols: [],
  extraUpdatedCols: [],
  securityQuals: [],
};

/** A fresh RangeTblEntry with nothing in it. */
export function makeRangeTblEntry(fields: Partial<RangeTblEntry>): RangeTblEntry {
  return { ...EMPTY_RTE, ...fields };
}

export function makeQuery(commandType: CmdType): Query {
  return {
    type: 'Query',
    commandType,
    querySource: 0,
    canSetTag: true,
    utilityStmt: null,
    resultRelation: 0,
    hasAggs: false,
    hasWindowFuncs: false,
    hasTargetSRFs: false,
    hasSubLinks: false,
    hasDistinctOn: false,
    hasRecursive: false,
    hasModifyingCTE: false,
    hasForUpdate: false,
    hasRowSecurity: false,
    isReturn: false,
    cteList: [],
    rtable: [],
    jointree: null,
    targetList: [],
    override: 0,
    onConflict: null,
    returningList: [],
    groupClause: [],
    groupDistinct: false,
    groupingSets: [],
    havingQual: null,
    windowClause: [],
    distinctClause: [],
    sortClause: [],
    limitOffset: null,
    limitCount: null,
    limitOption: LIMIT_OPTION_COUNT,
    rowMarks: [],
    setOperations: null,
    constraintDeps: [],
    withCheckOptions: [],
    mergeActionList: [],
    mergeUseOuterJoin: false,
    stmt_location: 0,
    stmt_len: 0,
  };
}

export function makeVar(
  varno: number,
  varattno: number,
  vartype: Oid,
  vartypmod: number,
  varcollid: Oid,
  varlevelsup = 0,
  location = -1,
): Var {
  return {
    type: 'Var',
    varno,
    varattno,
    vartype,
    vartypmod,
    varcollid,
    varlevelsup,
    varnosyn: varno,
    varattnosyn: varattno,
    location,
  };
}

export function makeConst(
  consttype: Oid,
  consttypmod: number,
  constcollid: Oid,
  constlen: number,
  constbyval: boolean,
  constvalue: Datum,
  location = -1,
): Const {
  return {
    type: 'Const',
    consttype,
    consttypmod,
    constcollid,
    constlen,
    constbyval,
    constisnull: constvalue === null,
    location,
    constvalue,
  };
}

export function makeBoolConst(value: boolean | null, location = -1): Const {
  return makeConst(BOOLOID, -1, INVALID_OID, 1, true, value, location);
}

export function makeFuncExpr(
  funcid: Oid,
  funcresulttype: Oid,
  args: readonly Expr[],
  funccollid: Oid,
  inputcollid: Oid,
  funcformat: CoercionForm,
): FuncExpr {
  return {
    type: 'FuncExpr',
    funcid,
    funcresulttype,
    funcretset: false,
    funcvariadic: false,
    funcformat,
    funccollid,
    inputcollid,
    args,
    location: -1,
  };
}

export function makeBoolExpr(boolop: BoolExpr['boolop'], args: readonly Expr[], location: number): BoolExpr {
  return { type: 'BoolExpr', boolop, args, location };
}

export function makeRelabelType(
  arg: Expr,
  resulttype: Oid,
  resulttypmod: number,
  resultcollid: Oid,
  relabelformat: CoercionForm,
): RelabelType {
  return { type: 'RelabelType', arg, resulttype, resulttypmod, resultcollid, relabelformat, location: -1 };
}

export function makeTargetEntry(expr: Expr, resno: number, resname: string | null, resjunk: boolean): TargetEntry {
  return {
    type: 'TargetEntry',
    expr,
    resno,
    resname,
    ressortgroupref: 0,
    resorigtbl: INVALID_OID,
    resorigcol: 0,
    resjunk,
  };
}
