/**
 * Query and its parts after analysis, as PostgreSQL 15's parsenodes.h has them; conventions as in
 * primnodes.ts. RangeTblEntry is one flat struct, as in C: rtekind says which fields mean something.
 */
import type { Oid } from '@pgtroupe/common/ids';
import type {
  CTEMaterialize,
  CmdType,
  GroupingSetKind,
  JoinType,
  LimitOption,
  LockClauseStrength,
  LockWaitPolicy,
  OverridingKind,
  QuerySource,
  RTEKind,
  SetOperation,
} from './nodes.ts';
import type {
  Alias,
  Expr,
  FromExpr,
  JoinExpr,
  OnConflictExpr,
  RangeTblRef,
  TableFunc,
  TargetEntry,
} from './primnodes.ts';
import type { RawNode } from './rawnodes.ts';

/** An analyzed statement. A utility statement keeps its raw tree in utilityStmt. */
export interface Query {
  readonly type: 'Query';
  commandType: CmdType;
  querySource: QuerySource;
  canSetTag: boolean;
  utilityStmt: RawNode | null;
  resultRelation: number;
  hasAggs: boolean;
  hasWindowFuncs: boolean;
  hasTargetSRFs: boolean;
  hasSubLinks: boolean;
  hasDistinctOn: boolean;
  hasRecursive: boolean;
  hasModifyingCTE: boolean;
  hasForUpdate: boolean;
  hasRowSecurity: boolean;
  isReturn: boolean;
  cteList: readonly CommonTableExpr[];
  rtable: readonly RangeTblEntry[];
  jointree: FromExpr | null;
  targetList: readonly TargetEntry[];
  override: OverridingKind;
  onConflict: OnConflictExpr | null;
  returningList: readonly TargetEntry[];
  groupClause: readonly SortGroupClause[];
  groupDistinct: boolean;
  groupingSets: readonly GroupingSet[];
  havingQual: Expr | null;
  windowClause: readonly WindowClause[];
  distinctClause: readonly SortGroupClause[];
  sortClause: readonly SortGroupClause[];
  limitOffset: Expr | null;
  limitCount: Expr | null;
  limitOption: LimitOption;
  rowMarks: readonly RowMarkClause[];
  setOperations: SetOperationNode | null;
  constraintDeps: readonly Oid[];
  withCheckOptions: readonly WithCheckOption[];
  mergeActionList: readonly MergeAction[];
  mergeUseOuterJoin: boolean;
  stmt_location: number;
  stmt_len: number;
}

/** WITH CHECK OPTION or a row security policy to enforce. */
export interface WithCheckOption {
  readonly type: 'WithCheckOption';
  kind: number;
  relname: string | null;
  polname: string | null;
  qual: Expr | null;
  cascaded: boolean;
}

/** One sort, group or distinct column: the target entry with this ressortgroupref. */
export interface SortGroupClause {
  readonly type: 'SortGroupClause';
  tleSortGroupRef: number;
  eqop: Oid;
  sortop: Oid;
  nulls_first: boolean;
  hashable: boolean;
}

/** A node of GROUPING SETS, ROLLUP, CUBE; SIMPLE holds tleSortGroupRefs. */
export interface GroupingSet {
  readonly type: 'GroupingSet';
  kind: GroupingSetKind;
  content: readonly (GroupingSet | number)[];
  location: number;
}

/** One window; inline OVER definitions get one too. */
export interface WindowClause {
  readonly type: 'WindowClause';
  name: string | null;
  refname: string | null;
  partitionClause: readonly SortGroupClause[];
  orderClause: readonly SortGroupClause[];
  frameOptions: number;
  startOffset: Expr | null;
  endOffset: Expr | null;
  runCondition: readonly Expr[];
  startInRangeFunc: Oid;
  endInRangeFunc: Oid;
  inRangeColl: Oid;
  inRangeAsc: boolean;
  inRangeNullsFirst: boolean;
  winref: number;
  copiedOrder: boolean;
}

/** FOR UPDATE/SHARE on one range table entry. */
export interface RowMarkClause {
  readonly type: 'RowMarkClause';
  rti: number;
  strength: LockClauseStrength;
  waitPolicy: LockWaitPolicy;
  pushedDown: boolean;
}

/** SEARCH DEPTH/BREADTH FIRST of a recursive CTE. */
export interface CTESearchClause {
  readonly type: 'CTESearchClause';
  search_col_list: readonly string[];
  search_breadth_first: boolean;
  search_seq_column: string | null;
  location: number;
}

/** CYCLE of a recursive CTE. */
export interface CTECycleClause {
  readonly type: 'CTECycleClause';
  cycle_col_list: readonly string[];
  cycle_mark_column: string | null;
  cycle_mark_value: Expr | null;
  cycle_mark_default: Expr | null;
  cycle_path_column: string | null;
  location: number;
  cycle_mark_type: Oid;
  cycle_mark_typmod: number;
  cycle_mark_collation: Oid;
  cycle_mark_neop: Oid;
}

/** One WITH query. */
export interface CommonTableExpr {
  readonly type: 'CommonTableExpr';
  ctename: string;
  aliascolnames: readonly string[];
  ctematerialized: CTEMaterialize;
  ctequery: Query;
  search_clause: CTESearchClause | null;
  cycle_clause: CTECycleClause | null;
  location: number;
  cterecursive: boolean;
  cterefcount: number;
  ctecolnames: readonly string[];
  ctecoltypes: readonly Oid[];
  ctecoltypmods: readonly number[];
  ctecolcollations: readonly Oid[];
}

/** One WHEN arm of MERGE. */
export interface MergeAction {
  readonly type: 'MergeAction';
  matched: boolean;
  commandType: CmdType;
  override: OverridingKind;
  qual: Expr | null;
  targetList: readonly TargetEntry[];
  updateColnos: readonly number[];
}

/** An inner node of a set operation tree; leaves are RangeTblRefs to subqueries. */
export interface SetOperationStmt {
  readonly type: 'SetOperationStmt';
  op: SetOperation;
  all: boolean;
  larg: SetOperationNode;
  rarg: SetOperationNode;
  colTypes: readonly Oid[];
  colTypmods: readonly number[];
  colCollations: readonly Oid[];
  groupClauses: readonly SortGroupClause[];
}

/** One function of a function RTE. */
export interface RangeTblFunction {
  readonly type: 'RangeTblFunction';
  funcexpr: Expr;
  funccolcount: number;
  funccolnames: readonly string[];
  funccoltypes: readonly Oid[];
  funccoltypmods: readonly number[];
  funccolcollations: readonly Oid[];
  funcparams: readonly number[];
}

/** TABLESAMPLE method (args). */
export interface TableSampleClause {
  readonly type: 'TableSampleClause';
  tsmhandler: Oid;
  args: readonly Expr[];
  repeatable: Expr | null;
}
/** Leaves are RangeTblRefs, inner nodes operations. */
export type SetOperationNode = SetOperationStmt | RangeTblRef;

/** One entry of the range table. */
export interface RangeTblEntry {
  readonly type: 'RangeTblEntry';
  /** As written by the user; null if none. */
  alias: Alias | null;
  /** The names expressions use: always there. */
  eref: Alias;
  rtekind: RTEKind;
  /** RTE_RELATION (and RTE_NAMEDTUPLESTORE). */
  relid: Oid;
  relkind: string;
  /** Lock mode (1 AccessShare, 2 RowShare, 3 RowExclusive...) the query takes on the relation. */
  rellockmode: number;
  tablesample: TableSampleClause | null;
  /** RTE_SUBQUERY. */
  subquery: Query | null;
  security_barrier: boolean;
  /** RTE_JOIN: joinaliasvars are the columns as expressions over the inputs. */
  jointype: JoinType;
  joinmergedcols: number;
  joinaliasvars: readonly (Expr | null)[];
  joinleftcols: readonly number[];
  joinrightcols: readonly number[];
  join_using_alias: Alias | null;
  /** RTE_FUNCTION. */
  functions: readonly RangeTblFunction[];
  funcordinality: boolean;
  /** RTE_TABLEFUNC. */
  tablefunc: TableFunc | null;
  /** RTE_VALUES. */
  values_lists: readonly (readonly Expr[])[];
  /** RTE_CTE. */
  ctename: string | null;
  ctelevelsup: number;
  self_reference: boolean;
  /** RTE_VALUES, RTE_CTE, RTE_NAMEDTUPLESTORE, RTE_TABLEFUNC. */
  coltypes: readonly Oid[];
  coltypmods: readonly number[];
  colcollations: readonly Oid[];
  /** RTE_NAMEDTUPLESTORE. */
  enrname: string | null;
  enrtuples: number;
  /** All kinds. */
  lateral: boolean;
  inh: boolean;
  inFromCl: boolean;
  /** ACL_* bits; the *Cols sets hold attnum - FIRST_LOW_INVALID_HEAP_ATTRIBUTE_NUMBER, ascending. */
  requiredPerms: number;
  checkAsUser: Oid;
  selectedCols: readonly number[];
  insertedCols: readonly number[];
  updatedCols: readonly number[];
  extraUpdatedCols: readonly number[];
  securityQuals: readonly Expr[];
}

/** Any node that a node tree may hold. */
export type Node =
  | Expr
  | Alias
  | TableFunc
  | TargetEntry
  | RangeTblRef
  | JoinExpr
  | FromExpr
  | OnConflictExpr
  | Query
  | WithCheckOption
  | SortGroupClause
  | GroupingSet
  | WindowClause
  | RowMarkClause
  | CTESearchClause
  | CTECycleClause
  | CommonTableExpr
  | MergeAction
  | SetOperationStmt
  | RangeTblEntry
  | RangeTblFunction
  | TableSampleClause;
