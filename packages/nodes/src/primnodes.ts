/**
 * Expression nodes after analysis: interfaces named and filled exactly as PostgreSQL 15's
 * primnodes.h, so that trees written by PostgreSQL read back and the other way round. The
 * `type` discriminant is the struct's name. A field that C spells with a reserved word keeps its
 * spelling here; where C's field is called `type` we say `type_`. A NIL list is an empty array, a null
 * pointer is null; String lists are string arrays; locations are byte offsets into the source
 * text, -1 if unknown.
 */
import type { Datum } from '@pgtroupe/common/datum';
import type { Oid } from '@pgtroupe/common/ids';
import type {
  BoolExprType,
  BoolTestType,
  CoercionForm,
  JoinType,
  MinMaxOp,
  NullTestType,
  OnConflictAction,
  ParamKind,
  RowCompareType,
  SQLValueFunctionOp,
  SubLinkType,
} from './nodes.ts';
import type { Query, SortGroupClause } from './parsenodes.ts';

/** Names given to a relation in FROM: AS name (columns). */
export interface Alias {
  readonly type: 'Alias';
  aliasname: string;
  colnames: readonly string[];
}

/** XMLTABLE in FROM. */
export interface TableFunc {
  readonly type: 'TableFunc';
  ns_uris: readonly Expr[];
  ns_names: readonly string[];
  docexpr: Expr | null;
  rowexpr: Expr | null;
  colnames: readonly string[];
  coltypes: readonly Oid[];
  coltypmods: readonly number[];
  colcollations: readonly Oid[];
  colexprs: readonly (Expr | null)[];
  coldefexprs: readonly (Expr | null)[];
  notnulls: readonly number[];
  ordinalitycol: number;
  location: number;
}

/** A column of a range table entry; varattno 0 is the whole row, negative a system column. */
export interface Var {
  readonly type: 'Var';
  varno: number;
  varattno: number;
  vartype: Oid;
  vartypmod: number;
  varcollid: Oid;
  varlevelsup: number;
  varnosyn: number;
  varattnosyn: number;
  location: number;
}

/** A literal value. */
export interface Const {
  readonly type: 'Const';
  consttype: Oid;
  consttypmod: number;
  constcollid: Oid;
  constlen: number;
  constbyval: boolean;
  constisnull: boolean;
  location: number;
  constvalue: Datum;
  /**
   * While analyzing: this is a literal of the statement that may become a parameter (statement.ts). Not
   * part of the text form; absent in finished trees unless the literal has to stay what it is.
   */
  literal?: LiteralRef;
}

/** Which literal of a statement, and whether the grammar folded a minus sign into it. */
export interface LiteralRef {
  readonly index: number;
  readonly negated: boolean;
}

/** A value supplied from outside the expression. */
export interface Param {
  readonly type: 'Param';
  paramkind: ParamKind;
  paramid: number;
  paramtype: Oid;
  paramtypmod: number;
  paramcollid: Oid;
  location: number;
}

/** An aggregate call; args are TargetEntries so that DISTINCT and ORDER BY can refer to them. */
export interface Aggref {
  readonly type: 'Aggref';
  aggfnoid: Oid;
  aggtype: Oid;
  aggcollid: Oid;
  inputcollid: Oid;
  aggtranstype: Oid;
  aggargtypes: readonly Oid[];
  aggdirectargs: readonly Expr[];
  args: readonly TargetEntry[];
  aggorder: readonly SortGroupClause[];
  aggdistinct: readonly SortGroupClause[];
  aggfilter: Expr | null;
  aggstar: boolean;
  aggvariadic: boolean;
  aggkind: string;
  agglevelsup: number;
  aggsplit: number;
  aggno: number;
  aggtransno: number;
  location: number;
}

/** GROUPING(...): a bit mask of the arguments not grouped by. */
export interface GroupingFunc {
  readonly type: 'GroupingFunc';
  args: readonly Expr[];
  refs: readonly number[];
  cols: readonly number[];
  agglevelsup: number;
  location: number;
}

/** A window function call; winref names the WindowClause. */
export interface WindowFunc {
  readonly type: 'WindowFunc';
  winfnoid: Oid;
  wintype: Oid;
  wincollid: Oid;
  inputcollid: Oid;
  args: readonly Expr[];
  aggfilter: Expr | null;
  winref: number;
  winstar: boolean;
  winagg: boolean;
  location: number;
}

/** container[subscripts], fetched, or assigned when refassgnexpr is there. */
export interface SubscriptingRef {
  readonly type: 'SubscriptingRef';
  refcontainertype: Oid;
  refelemtype: Oid;
  refrestype: Oid;
  reftypmod: number;
  refcollid: Oid;
  refupperindexpr: readonly (Expr | null)[];
  reflowerindexpr: readonly (Expr | null)[];
  refexpr: Expr;
  refassgnexpr: Expr | null;
}

/** A plain function call, explicit or a cast (funcformat says how it was written). */
export interface FuncExpr {
  readonly type: 'FuncExpr';
  funcid: Oid;
  funcresulttype: Oid;
  funcretset: boolean;
  funcvariadic: boolean;
  funcformat: CoercionForm;
  funccollid: Oid;
  inputcollid: Oid;
  args: readonly Expr[];
  location: number;
}

/** name => value inside a call; the planner puts it into place. */
export interface NamedArgExpr {
  readonly type: 'NamedArgExpr';
  arg: Expr;
  name: string | null;
  argnumber: number;
  location: number;
}

/** An operator applied to one or two arguments. */
export interface OpExpr {
  readonly type: 'OpExpr';
  opno: Oid;
  opfuncid: Oid;
  opresulttype: Oid;
  opretset: boolean;
  opcollid: Oid;
  inputcollid: Oid;
  args: readonly Expr[];
  location: number;
}

/** a IS DISTINCT FROM b; fields as OpExpr for its = operator. */
export interface DistinctExpr {
  readonly type: 'DistinctExpr';
  opno: Oid;
  opfuncid: Oid;
  opresulttype: Oid;
  opretset: boolean;
  opcollid: Oid;
  inputcollid: Oid;
  args: readonly Expr[];
  location: number;
}

/** NULLIF(a, b); fields as OpExpr for its = operator. */
export interface NullIfExpr {
  readonly type: 'NullIfExpr';
  opno: Oid;
  opfuncid: Oid;
  opresulttype: Oid;
  opretset: boolean;
  opcollid: Oid;
  inputcollid: Oid;
  args: readonly Expr[];
  location: number;
}

/** scalar op ANY/ALL (array). */
export interface ScalarArrayOpExpr {
  readonly type: 'ScalarArrayOpExpr';
  opno: Oid;
  opfuncid: Oid;
  hashfuncid: Oid;
  negfuncid: Oid;
  useOr: boolean;
  inputcollid: Oid;
  args: readonly Expr[];
  location: number;
}

/** AND, OR over any number of arguments, or NOT. */
export interface BoolExpr {
  readonly type: 'BoolExpr';
  boolop: BoolExprType;
  args: readonly Expr[];
  location: number;
}

/** A subselect in an expression, before planning. */
export interface SubLink {
  readonly type: 'SubLink';
  subLinkType: SubLinkType;
  subLinkId: number;
  testexpr: Expr | null;
  operName: readonly string[];
  subselect: Query;
  /** For ARRAY_SUBLINK its type; not part of the text form, filled by whoever makes or reads the node. */
  arraytype: Oid;
  location: number;
}

/** A planned subselect: made by the planner from SubLink, never in stored trees. */
export interface SubPlan {
  readonly type: 'SubPlan';
  subLinkType: SubLinkType;
  testexpr: Expr | null;
  /** PARAM_EXEC ids that testexpr reads the subplan's columns from. */
  paramIds: readonly number[];
  plan_id: number;
  plan_name: string;
  firstColType: Oid;
  firstColTypmod: number;
  firstColCollation: Oid;
  useHashTable: boolean;
  unknownEqFalse: boolean;
  /** PARAM_EXEC ids an initplan sets. */
  setParam: readonly number[];
  /** PARAM_EXEC ids handed to the subplan, and the expressions they come from. */
  parParam: readonly number[];
  args: readonly Expr[];
  startup_cost: number;
  per_call_cost: number;
}

/** One field of a composite value. */
export interface FieldSelect {
  readonly type: 'FieldSelect';
  arg: Expr;
  fieldnum: number;
  resulttype: Oid;
  resulttypmod: number;
  resultcollid: Oid;
}

/** A composite value with some fields replaced. */
export interface FieldStore {
  readonly type: 'FieldStore';
  arg: Expr;
  newvals: readonly Expr[];
  fieldnums: readonly number[];
  resulttype: Oid;
}

/** Binary-coercible cast: the bits stay. */
export interface RelabelType {
  readonly type: 'RelabelType';
  arg: Expr;
  resulttype: Oid;
  resulttypmod: number;
  resultcollid: Oid;
  relabelformat: CoercionForm;
  location: number;
}

/** Cast through the types' text forms. */
export interface CoerceViaIO {
  readonly type: 'CoerceViaIO';
  arg: Expr;
  resulttype: Oid;
  resultcollid: Oid;
  coerceformat: CoercionForm;
  location: number;
}

/** Cast of an array, element by element (elemexpr over a CaseTestExpr). */
export interface ArrayCoerceExpr {
  readonly type: 'ArrayCoerceExpr';
  arg: Expr;
  elemexpr: Expr;
  resulttype: Oid;
  resulttypmod: number;
  resultcollid: Oid;
  coerceformat: CoercionForm;
  location: number;
}

/** Row of a child table seen as its parent's row type. */
export interface ConvertRowtypeExpr {
  readonly type: 'ConvertRowtypeExpr';
  arg: Expr;
  resulttype: Oid;
  convertformat: CoercionForm;
  location: number;
}

/** expr COLLATE name. */
export interface CollateExpr {
  readonly type: 'CollateExpr';
  arg: Expr;
  collOid: Oid;
  location: number;
}

/** CASE; with arg, each WHEN compares with a CaseTestExpr. */
export interface CaseExpr {
  readonly type: 'CaseExpr';
  casetype: Oid;
  casecollid: Oid;
  arg: Expr | null;
  args: readonly CaseWhen[];
  defresult: Expr | null;
  location: number;
}

/** One WHEN ... THEN ... arm. */
export interface CaseWhen {
  readonly type: 'CaseWhen';
  expr: Expr;
  result: Expr;
  location: number;
}

/** The value under test, set by the enclosing node. */
export interface CaseTestExpr {
  readonly type: 'CaseTestExpr';
  typeId: Oid;
  typeMod: number;
  collation: Oid;
}

/** ARRAY[...]; nested ones when multidims. */
export interface ArrayExpr {
  readonly type: 'ArrayExpr';
  array_typeid: Oid;
  array_collid: Oid;
  element_typeid: Oid;
  elements: readonly Expr[];
  multidims: boolean;
  location: number;
}

/** ROW(...). */
export interface RowExpr {
  readonly type: 'RowExpr';
  args: readonly Expr[];
  row_typeid: Oid;
  row_format: CoercionForm;
  colnames: readonly string[];
  location: number;
}

/** (a, b) < (c, d), column by column. */
export interface RowCompareExpr {
  readonly type: 'RowCompareExpr';
  rctype: RowCompareType;
  opnos: readonly Oid[];
  opfamilies: readonly Oid[];
  inputcollids: readonly Oid[];
  largs: readonly Expr[];
  rargs: readonly Expr[];
}

/** COALESCE(...). */
export interface CoalesceExpr {
  readonly type: 'CoalesceExpr';
  coalescetype: Oid;
  coalescecollid: Oid;
  args: readonly Expr[];
  location: number;
}

/** GREATEST(...) or LEAST(...). */
export interface MinMaxExpr {
  readonly type: 'MinMaxExpr';
  minmaxtype: Oid;
  minmaxcollid: Oid;
  inputcollid: Oid;
  op: MinMaxOp;
  args: readonly Expr[];
  location: number;
}

/** CURRENT_TIMESTAMP and its like, written without parentheses. */
export interface SQLValueFunction {
  readonly type: 'SQLValueFunction';
  op: SQLValueFunctionOp;
  type_: Oid;
  typmod: number;
  location: number;
}

/** XMLELEMENT and the other XML constructs. */
export interface XmlExpr {
  readonly type: 'XmlExpr';
  op: number;
  name: string | null;
  named_args: readonly Expr[];
  arg_names: readonly string[];
  args: readonly Expr[];
  xmloption: number;
  type_: Oid;
  typmod: number;
  location: number;
}

/** IS [NOT] NULL; argisrow asks for the row rule. */
export interface NullTest {
  readonly type: 'NullTest';
  arg: Expr;
  nulltesttype: NullTestType;
  argisrow: boolean;
  location: number;
}

/** IS [NOT] TRUE, FALSE, UNKNOWN. */
export interface BooleanTest {
  readonly type: 'BooleanTest';
  arg: Expr;
  booltesttype: BoolTestType;
  location: number;
}

/** Cast to a domain: its constraints are checked at run time. */
export interface CoerceToDomain {
  readonly type: 'CoerceToDomain';
  arg: Expr;
  resulttype: Oid;
  resulttypmod: number;
  resultcollid: Oid;
  coercionformat: CoercionForm;
  location: number;
}

/** VALUE in a domain's CHECK. */
export interface CoerceToDomainValue {
  readonly type: 'CoerceToDomainValue';
  typeId: Oid;
  typeMod: number;
  collation: Oid;
  location: number;
}

/** DEFAULT as a value; the rewriter replaces it. */
export interface SetToDefault {
  readonly type: 'SetToDefault';
  typeId: Oid;
  typeMod: number;
  collation: Oid;
  location: number;
}

/** WHERE CURRENT OF cursor. */
export interface CurrentOfExpr {
  readonly type: 'CurrentOfExpr';
  cvarno: number;
  cursor_name: string | null;
  cursor_param: number;
}

/** nextval of an identity column's sequence. */
export interface NextValueExpr {
  readonly type: 'NextValueExpr';
  seqid: Oid;
  typeId: Oid;
}

/** One column or expression of ON CONFLICT's index inference. */
export interface InferenceElem {
  readonly type: 'InferenceElem';
  expr: Expr;
  infercollid: Oid;
  inferopclass: Oid;
}

/** One output column of a query or one argument of an aggregate. */
export interface TargetEntry {
  readonly type: 'TargetEntry';
  expr: Expr;
  resno: number;
  resname: string | null;
  ressortgroupref: number;
  resorigtbl: Oid;
  resorigcol: number;
  resjunk: boolean;
}

/** A leaf of the join tree: index into the range table, from 1. */
export interface RangeTblRef {
  readonly type: 'RangeTblRef';
  rtindex: number;
}

/** A join in the join tree; rtindex is its own range table entry, 0 if none. */
export interface JoinExpr {
  readonly type: 'JoinExpr';
  jointype: JoinType;
  isNatural: boolean;
  larg: JoinTreeNode;
  rarg: JoinTreeNode;
  usingClause: readonly string[];
  join_using_alias: Alias | null;
  quals: Expr | null;
  alias: Alias | null;
  rtindex: number;
}

/** FROM list and WHERE: the top of every join tree. */
export interface FromExpr {
  readonly type: 'FromExpr';
  fromlist: readonly JoinTreeNode[];
  quals: Expr | null;
}

/** ON CONFLICT of an INSERT. */
export interface OnConflictExpr {
  readonly type: 'OnConflictExpr';
  action: OnConflictAction;
  arbiterElems: readonly InferenceElem[];
  arbiterWhere: Expr | null;
  constraint: Oid;
  onConflictSet: readonly TargetEntry[];
  onConflictWhere: Expr | null;
  exclRelIndex: number;
  exclRelTlist: readonly TargetEntry[];
}
/** What can stand in the join tree. */
export type JoinTreeNode = RangeTblRef | JoinExpr | FromExpr;

/** Everything that yields a value. */
export type Expr =
  | Var
  | Const
  | Param
  | Aggref
  | GroupingFunc
  | WindowFunc
  | SubscriptingRef
  | FuncExpr
  | NamedArgExpr
  | OpExpr
  | DistinctExpr
  | NullIfExpr
  | ScalarArrayOpExpr
  | BoolExpr
  | SubLink
  | SubPlan
  | FieldSelect
  | FieldStore
  | RelabelType
  | CoerceViaIO
  | ArrayCoerceExpr
  | ConvertRowtypeExpr
  | CollateExpr
  | CaseExpr
  | CaseWhen
  | CaseTestExpr
  | ArrayExpr
  | RowExpr
  | RowCompareExpr
  | CoalesceExpr
  | MinMaxExpr
  | SQLValueFunction
  | XmlExpr
  | NullTest
  | BooleanTest
  | CoerceToDomain
  | CoerceToDomainValue
  | SetToDefault
  | CurrentOfExpr
  | NextValueExpr
  | InferenceElem;
