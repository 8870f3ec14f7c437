/**
 * Plan trees: what the planner hands to the executor. Interfaces and fields as PostgreSQL 15's
 * plannodes.h, `type` being the struct's name; Plan's and Scan's fields are inlined. A plan that has
 * been returned by `planner` is never changed: it may be cached and run by many sessions.
 *
 * In a finished plan Vars refer to the row sources of their node: OUTER_VAR is lefttree, INNER_VAR
 * righttree, a positive varno the relation the scan node itself reads.
 */
import { type Oid } from '@pgtroupe/common/ids';
import type { CmdType, JoinType, LockClauseStrength, LockWaitPolicy, OnConflictAction } from '@pgtroupe/nodes/nodes';
import type { GroupingSetKeys, ValueEstimate } from './pathnodes.ts';
import type { PlanConstant } from './planconstants.ts';
import type { CommonTableExpr, RangeTblEntry, RangeTblFunction } from '@pgtroupe/nodes/parsenodes';
import type { Expr, SubPlan, TargetEntry, Var } from '@pgtroupe/nodes/primnodes';

export const INNER_VAR = -1;
export const OUTER_VAR = -2;

interface PlanFields {
  startup_cost: number;
  total_cost: number;
  plan_rows: number;
  plan_width: number;
  plan_node_id: number;
  targetlist: readonly TargetEntry[];
  qual: readonly Expr[];
  lefttree: Plan | null;
  righttree: Plan | null;
  /** InitPlans whose parameters this node and those below may use. */
  initPlan: readonly SubPlan[];
  /** PARAM_EXEC ids that this node or one below depends on. */
  allParam: ReadonlySet<number>;
}

interface ScanFields extends PlanFields {
  scanrelid: number;
}

/** One row of constants, or a gate: resconstantqual decides once whether there are rows at all. */
export interface Result extends PlanFields {
  readonly type: 'Result';
  resconstantqual: readonly Expr[];
}

/** Expands set-returning functions in the target list. */
export interface ProjectSet extends PlanFields {
  readonly type: 'ProjectSet';
}

export interface ModifyTable extends PlanFields {
  readonly type: 'ModifyTable';
  operation: CmdType;
  canSetTag: boolean;
  resultRelation: number;
  /** UPDATE: attribute number per non-junk target entry. */
  updateColnos: readonly number[];
  returningList: readonly TargetEntry[];
  withCheckOptions: readonly {
    readonly relname: string | null;
    readonly qual: Expr;
    readonly polname: string | null;
    readonly kind: number;
  }[];
  rowMarks: readonly PlanRowMark[];
  onConflictAction: OnConflictAction;
  arbiterIndexes: readonly Oid[];
  onConflictSet: readonly TargetEntry[];
  onConflictCols: readonly number[];
  onConflictWhere: Expr | null;
  exclRelRTI: number;
}

export interface Append extends PlanFields {
  readonly type: 'Append';
  appendplans: readonly Plan[];
}

export interface RecursiveUnion extends PlanFields {
  readonly type: 'RecursiveUnion';
  wtParam: number;
  /** UNION rather than UNION ALL: columns compared, empty otherwise. */
  dupColIdx: readonly number[];
  dupOperators: readonly number[];
  dupCollations: readonly number[];
}

export interface SeqScan extends ScanFields {
  readonly type: 'SeqScan';
}

/** One usable condition on an index column: `column op value`, the value known before the scan. */
export interface IndexQual {
  /** Key column of the index, from 0. */
  readonly indexcol: number;
  /** btree strategy: 1 <, 2 <=, 3 =, 4 >=, 5 >. */
  readonly strategy: number;
  readonly opno: number;
  /** Null for IS NULL (strategy 3) and IS NOT NULL (strategy 0). */
  readonly value: Expr | null;
  /** value is an array, and any of its elements will do. */
  readonly isArray: boolean;
  /** Type of the value (of each, if an array), for cross-type comparison. */
  readonly valueType: number;
}

export interface IndexScan extends ScanFields {
  readonly type: 'IndexScan';
  indexid: Oid;
  indexqual: readonly IndexQual[];
  /** The same conditions as written, for EXPLAIN and rechecks. */
  indexqualorig: readonly Expr[];
  /** 1 forward, -1 backward. */
  indexorderdir: number;
}

export interface TidScan extends ScanFields {
  readonly type: 'TidScan';
  /** ctid = one of these; arrays for = ANY. */
  tidquals: readonly Expr[];
}

export interface SubqueryScan extends ScanFields {
  readonly type: 'SubqueryScan';
  subplan: Plan;
}

export interface FunctionScan extends ScanFields {
  readonly type: 'FunctionScan';
  functions: readonly RangeTblFunction[];
  funcordinality: boolean;
}

export interface ValuesScan extends ScanFields {
  readonly type: 'ValuesScan';
  values_lists: readonly (readonly Expr[])[];
}

export interface CteScan extends ScanFields {
  readonly type: 'CteScan';
  ctePlanId: number;
  cteParam: number;
  ctename: string;
}

export interface WorkTableScan extends ScanFields {
  readonly type: 'WorkTableScan';
  wtParam: number;
  ctename: string;
}

export interface NestLoopParam {
  readonly paramno: number;
  readonly paramval: Var;
}

export interface NestLoop extends PlanFields {
  readonly type: 'NestLoop';
  jointype: JoinType;
  inner_unique: boolean;
  joinqual: readonly Expr[];
  nestParams: readonly NestLoopParam[];
}

export interface HashJoin extends PlanFields {
  readonly type: 'HashJoin';
  jointype: JoinType;
  inner_unique: boolean;
  joinqual: readonly Expr[];
  hashclauses: readonly Expr[];
  hashoperators: readonly number[];
  hashcollations: readonly number[];
  /** Key expressions over the outer and over the inner row. */
  hashkeys: readonly Expr[];
  innerhashkeys: readonly Expr[];
  /** Parameters that the table depends on: those of the inner plan and of its keys. */
  tableParam: ReadonlySet<number>;
}

export interface Material extends PlanFields {
  readonly type: 'Material';
}

export interface Sort extends PlanFields {
  readonly type: 'Sort';
  sortColIdx: readonly number[];
  sortOperators: readonly number[];
  collations: readonly number[];
  nullsFirst: readonly boolean[];
}

export type AggStrategy = 'plain' | 'sorted' | 'hashed';

export interface Agg extends PlanFields {
  readonly type: 'Agg';
  aggstrategy: AggStrategy;
  grpColIdx: readonly number[];
  grpOperators: readonly number[];
  grpCollations: readonly number[];
  numGroups: number;
  /** tleSortGroupRef of each grouping column, for GROUPING(). */
  grpRefs: readonly number[];
  /** GROUPING SETS: which of grpColIdx each set keeps, by position; null without them. */
  groupingSets: readonly GroupingSetKeys[] | null;
}

export interface WindowAgg extends PlanFields {
  readonly type: 'WindowAgg';
  winref: number;
  partColIdx: readonly number[];
  partOperators: readonly number[];
  partCollations: readonly number[];
  ordColIdx: readonly number[];
  ordOperators: readonly number[];
  ordCollations: readonly number[];
  frameOptions: number;
  startOffset: Expr | null;
  endOffset: Expr | null;
  startInRangeFunc: number;
  endInRangeFunc: number;
  inRangeColl: number;
  inRangeAsc: boolean;
  inRangeNullsFirst: boolean;
}

export interface Unique extends PlanFields {
  readonly type: 'Unique';
  uniqColIdx: readonly number[];
  uniqOperators: readonly number[];
  uniqCollations: readonly number[];
}

/** INTERSECT or EXCEPT over an Append whose last column says which input a row is from. */
export interface SetOp extends PlanFields {
  readonly type: 'SetOp';
  cmd: 'intersect' | 'intersectAll' | 'except' | 'exceptAll';
  dupColIdx: readonly number[];
  dupOperators: readonly number[];
  dupCollations: readonly number[];
  flagColIdx: number;
}

/** How rows of a relation are found again when the row must be locked or rechecked. */
export interface PlanRowMark {
  readonly rti: number;
  readonly strength: LockClauseStrength;
  readonly waitPolicy: LockWaitPolicy;
  /** The row is locked; else it is only fetched again for a recheck. */
  readonly locks: boolean;
  /** Name of the junk column that holds its ctid (a stored row) or the whole row. */
  readonly ctidName: string | null;
  readonly wholeName: string | null;
}

export interface LockRows extends PlanFields {
  readonly type: 'LockRows';
  rowMarks: readonly PlanRowMark[];
}

export interface Limit extends PlanFields {
  readonly type: 'Limit';
  limitOffset: Expr | null;
  limitCount: Expr | null;
  /** WITH TIES: columns that must be equal to the last row's. */
  uniqColIdx: readonly number[];
  uniqOperators: readonly number[];
  uniqCollations: readonly number[];
}

export type Plan =
  | Result
  | ProjectSet
  | ModifyTable
  | Append
  | RecursiveUnion
  | SeqScan
  | IndexScan
  | TidScan
  | SubqueryScan
  | FunctionScan
  | ValuesScan
  | CteScan
  | WorkTableScan
  | NestLoop
  | HashJoin
  | Material
  | Sort
  | Agg
  | WindowAgg
  | Unique
  | SetOp
  | LockRows
  | Limit;

/** What a SubPlan's plan_id leads to. */
export interface PlannedSubquery {
  readonly plan: Plan;
  readonly rtable: readonly RangeTblEntry[];
  /** A CTE read by CteScans, else null. */
  readonly cte: CommonTableExpr | null;
}

export interface PlannedStmt {
  readonly type: 'PlannedStmt';
  readonly commandType: CmdType;
  readonly hasReturning: boolean;
  readonly hasModifyingCTE: boolean;
  /** Good for the snapshot that it was made under only: not to be kept. */
  readonly transientPlan: boolean;
  readonly canSetTag: boolean;
  readonly planTree: Plan;
  /** All range tables of the statement, one after the other: varnos of the plan index this. */
  readonly rtable: readonly RangeTblEntry[];
  readonly subplans: readonly PlannedSubquery[];
  /** Number of PARAM_EXEC parameters. */
  readonly paramExecCount: number;
  /** Relations the plan reads or writes; it is stale when one of their descriptors is. */
  readonly relationOids: readonly number[];
  /** What is computed when an execution begins, for its errors. */
  readonly constants: readonly PlanConstant[];
  /** Where other values of the parameters might have made another plan. */
  readonly valueEstimates: readonly ValueEstimate[];
  /** What a client sees: the non-junk entries of the top target list or RETURNING. */
  readonly resultColumns: readonly TargetEntry[];
}
