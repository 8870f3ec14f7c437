/**
 * What the planner works with while it plans one query level (pathnodes.h, reduced).
 *
 * Relids are bit masks: each relation of the level's join tree has a bit (PlannerInfo.bitOf).
 */
import type { Slices } from '@pgtroupe/common/slices';
import { type Oid } from '@pgtroupe/common/ids';
import type { CatCache } from '@pgtroupe/catalog/catcache';
import type { IndexDesc, RelationDesc } from '@pgtroupe/catalog/relcache';
import type { Datum } from '@pgtroupe/common/datum';
import type { JoinType } from '@pgtroupe/nodes/nodes';
import type { Query, RangeTblEntry } from '@pgtroupe/nodes/parsenodes';
import type { Expr, SubPlan, TargetEntry, Var } from '@pgtroupe/nodes/primnodes';
import type { PlanConstant } from './planconstants.ts';
import type { IndexQual, Plan, PlannedSubquery } from './plannodes.ts';

export type Relids = bigint;

/** Positions in the grouping columns that a grouping set keeps. */
export type GroupingSetKeys = readonly number[];

/** Ways to carry out a plan that enable_… may discourage. */
export type PlannerMethod = 'hashagg' | 'hashjoin' | 'indexscan' | 'material' | 'nestloop' | 'seqscan' | 'tidscan';

/** What estimates do with the values in pg_statistic. Every method may throw CatalogMiss. */
export interface StatisticValues {
  /** Of an array in the form that rows hold. */
  elements(array: Uint8Array): readonly Datum[];
  /** The operator's function, for arguments that are not null; undefined: there is none here. */
  operator(opno: number): ((a: Datum, b: Datum) => Datum) | undefined;
  /** A numeric as a double. */
  numeric(value: Uint8Array): number;
}

/** What the planner may ask; every method may throw CatalogMiss. */
export interface PlannerEnv {
  /** enable_… */
  enabled(method: PlannerMethod): boolean;
  /** from_collapse_limit, join_collapse_limit: the items a list of relations to join may grow to. */
  collapseLimit(list: 'from' | 'join'): number;
  readonly rows: CatCache;
  readonly statisticValues: StatisticValues;
  /** Parameters by number, as estimates take them; undefined: nothing is known of its value. */
  readonly estimatedParams?: readonly (Datum | undefined)[];
  relation(oid: Oid): RelationDesc;
  /** Current length in blocks; may throw a CatalogMiss that obtains it. */
  relationBlocks(rel: RelationDesc): number;
  /** The value of an expression without Vars, or undefined when it cannot be computed at plan time. */
  evaluate(expr: Expr): { readonly value: Datum } | undefined;
  /** The body of an SQL-language function as an analyzed query with PARAM_EXTERN arguments; null: unknown. */
  sqlFunctionBody?(oid: Oid, argTypes: readonly Oid[]): Query | null;
  /** Who may use an index that is marked indcheckxmin: its entries may lack versions that older snapshots see. */
  indexCheckXmin(index: IndexDesc): 'everybody' | 'this snapshot' | 'not yet';
  /** Text forms in the catalogs (index expressions and predicates, checks) as trees. */
  stringToExpr(text: string): Expr | readonly Expr[];
}

export interface QualCost {
  startup: number;
  perTuple: number;
}

/** A condition whose share of the rows depends on the values of parameters. */
export interface ValueEstimate {
  /** What is compared. */
  readonly args: readonly Expr[];
  /** The share, with the parameters of the environment. */
  estimate(env: PlannerEnv): number;
}

/** Shared by all levels of one statement. */
export interface PlannerGlobal {
  readonly env: PlannerEnv;
  readonly subplans: PlannedSubquery[];
  paramExecCount: number;
  readonly relationOids: Set<number>;
  /** The statement's flat range table, for varnos in the finished plan. */
  readonly finalrtable: RangeTblEntry[];
  nextNodeId: number;
  /** What conditions cost that were asked about. */
  readonly qualCosts: Map<Expr, QualCost>;
  /** What of the queries planned so far is to be computed when an execution begins. */
  constants: PlanConstant[];
  /** Shares of the pairs that join clauses keep, of those estimated so far. */
  readonly joinSelectivities: Map<Expr, number>;
  /** Where other values of parameters might have made another plan. */
  readonly valueEstimates: ValueEstimate[];
  /** Other snapshots need another plan. */
  transientPlan: boolean;
  /** Plans a query below `parent`: planning is recursive, imports are not. */
  planSubquery(parent: PlannerInfo, query: Query, hasRecursion: boolean, tupleFraction: number): Slices<PlannedLevel>;
}

export interface PlannedLevel {
  readonly plan: Plan;
  readonly root: PlannerInfo;
}

export interface PlannerParamItem {
  readonly item: Expr;
  readonly paramId: number;
}

export interface PlannerInfo {
  readonly glob: PlannerGlobal;
  readonly env: PlannerEnv;
  parse: Query;
  readonly queryLevel: number;
  readonly parent: PlannerInfo | null;
  rtable: RangeTblEntry[];
  /** Bit of a range table index in relids, by rtindex; -1 none. */
  bitOf: number[];
  /** Base relation by rtindex. */
  readonly rels: (RelOptInfo | undefined)[];
  /** How many there are. */
  baseRels: number;
  allRelids: Relids;
  /** Relations on the nullable side of some outer join. */
  nullableRelids: Relids;
  readonly joinInfoList: SpecialJoinInfo[];
  readonly eqClasses: EquivalenceClass[];
  /** Of both, what can matter to a join of the list that is being joined (joinscope.ts). */
  joinScope: JoinScope;
  /** By relidsKey. */
  readonly joinRels: Map<string, RelOptInfo>;
  /** Values of this level that subqueries below read: filled while one is being planned. */
  planParams: PlannerParamItem[];
  /** NestLoop parameters in use while plans are created. */
  curOuterParams: PlannerParamItem[];
  initPlans: SubPlan[];
  /** UPDATE ... SET (a, b) = (SELECT ...): parameters of the subquery's columns, by its subLinkId. */
  readonly multiexprParams: Map<number, readonly number[]>;
  /** By position in parse.cteList: subplan id, -1 inlined. */
  ctePlanIds: number[];
  cteInitPlans: SubPlan[];
  /** In a recursive query's level: its working table. */
  wtParamId: number;
  nonRecursiveRows: number;
  queryPathkeys: PathKey[];
  groupPathkeys: PathKey[];
  windowPathkeys: PathKey[];
  distinctPathkeys: PathKey[];
  sortPathkeys: PathKey[];
  processedTlist: TargetEntry[];
  tupleFraction: number;
  limitTuples: number;
  hasHavingQual: boolean;
  /** Every expression whose Vars must come out of the join tree. */
  neededByTop: Expr[];
}

export interface JoinScope {
  readonly joinInfos: readonly SpecialJoinInfo[];
  readonly eqClasses: readonly EquivalenceClass[];
  /** What a relation of the list may be joined with by a condition, at most. */
  readonly reach: Map<RelOptInfo, Relids>;
}

export interface RestrictInfo {
  readonly clause: Expr;
  /** Relations that must be joined before the clause can be evaluated. */
  readonly requiredRelids: Relids;
  /** Relations mentioned. */
  readonly clauseRelids: Relids;
  /** WHERE-like, rather than the ON clause of the outer join it is evaluated at. */
  readonly isPushedDown: boolean;
  readonly leftRelids: Relids;
  readonly rightRelids: Relids;
  /** Of an outer join's own clause: the side that keeps its rows. */
  readonly outerRelids: Relids;
  /** Relations that may have been nulled below the place where the clause belongs. */
  readonly nullableRelids: Relids;
  /** btree families where the clause is `left = right`. */
  readonly mergeFamilies: readonly Oid[];
  readonly hashable: boolean;
  readonly pseudoconstant: boolean;
  /** Made from this class; redundant beside another of the same class. */
  readonly parentEc: EquivalenceClass | null;
}

export interface EquivalenceMember {
  readonly expr: Expr;
  readonly relids: Relids;
  readonly isConst: boolean;
  readonly type: Oid;
}

export interface EquivalenceClass {
  opfamilies: readonly Oid[];
  collation: Oid;
  readonly members: EquivalenceMember[];
  readonly sources: RestrictInfo[];
  /** Equalities of two members that were made of it. */
  readonly implied: Map<EquivalenceMember, Map<EquivalenceMember, RestrictInfo | undefined>>;
  hasConst: boolean;
  hasVolatile: boolean;
  relids: Relids;
  sortref: number;
  merged: EquivalenceClass | null;
}

export interface PathKey {
  readonly ec: EquivalenceClass;
  readonly opfamily: number;
  readonly desc: boolean;
  readonly nullsFirst: boolean;
}

export interface SpecialJoinInfo {
  minLefthand: Relids;
  minRighthand: Relids;
  readonly synLefthand: Relids;
  readonly synRighthand: Relids;
  readonly jointype: JoinType;
  /** The join's condition can only be true when the left side is not null. */
  readonly lhsStrict: boolean;
  delayUpperJoins: boolean;
}

export interface IndexOptInfo {
  readonly desc: IndexDesc;
  readonly oid: Oid;
  readonly unique: boolean;
  readonly immediate: boolean;
  readonly pages: number;
  /** Key expression per column: a Var, or the indexed expression. */
  readonly keyExprs: readonly Expr[];
  readonly predicate: readonly Expr[];
  /** The predicate follows from the query's clauses. */
  predOk: boolean;
}

export interface RelOptInfo {
  readonly relids: Relids;
  /** Of a base relation; 0 for a join. */
  readonly rtindex: number;
  /** Are paths kept that begin sooner, though their end is later? Only when not all rows may be wanted. */
  readonly considerStartup: boolean;
  rows: number;
  width: number;
  tuples: number;
  pages: number;
  readonly rte: RangeTblEntry | null;
  relation: RelationDesc | null;
  indexes: IndexOptInfo[];
  baserestrictinfo: RestrictInfo[];
  joininfo: RestrictInfo[];
  /** Columns needed above, as Vars. */
  needed: Map<string, Var>;
  lateralRelids: Relids;
  /** From whom a join clause may bring it values while it is read; all bits: from anybody. */
  paramSources: Relids;
  paths: Path[];
  /** A subquery's finished plan and its level. */
  subroot: PlannerInfo | null;
  subplan: Plan | null;
  subplanParams: PlannerParamItem[];
  subqueryPathkeys: PathKey[];
}

interface PathFields {
  readonly rel: RelOptInfo;
  readonly rows: number;
  readonly startup: number;
  readonly total: number;
  readonly pathkeys: readonly PathKey[];
  /** Relations that must supply parameters from an outer nested loop. */
  readonly requiredOuter: Relids;
}

export interface ScanPath extends PathFields {
  /** SeqScan and every other kind of base relation that has but one way to be read. */
  readonly kind: 'scan';
}

export interface IndexPath extends PathFields {
  readonly kind: 'index';
  readonly index: IndexOptInfo;
  readonly quals: readonly IndexQual[];
  readonly clauses: readonly RestrictInfo[];
  readonly direction: 1 | -1;
}

export interface TidPath extends PathFields {
  readonly kind: 'tid';
  readonly tidquals: readonly Expr[];
}

export interface ResultPath extends PathFields {
  readonly kind: 'result';
}

export interface MaterialPath extends PathFields {
  readonly kind: 'material';
  readonly subpath: Path;
}

export interface NestPath extends PathFields {
  readonly kind: 'nestloop';
  readonly jointype: JoinType;
  readonly outer: Path;
  readonly inner: Path;
  readonly clauses: readonly RestrictInfo[];
  readonly innerUnique: boolean;
}

export interface HashPath extends PathFields {
  readonly kind: 'hashjoin';
  readonly jointype: JoinType;
  readonly outer: Path;
  readonly inner: Path;
  readonly clauses: readonly RestrictInfo[];
  readonly hashclauses: readonly RestrictInfo[];
  readonly innerUnique: boolean;
}

export type Path = ScanPath | IndexPath | TidPath | ResultPath | MaterialPath | NestPath | HashPath;

/** A set of relations as the key of a map. The engine tells bigints apart by their lowest 64 bits and then one by one. */
export function relidsKey(relids: Relids): string {
  return relids.toString(32);
}

export function isSubset(a: Relids, b: Relids): boolean {
  return (a & b) === a;
}
