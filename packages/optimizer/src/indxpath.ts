/**
 * Ways to read a table through its btree indexes (indxpath.c): which conditions an index can use, for
 * the table alone and with values from other tables (the inside of a nested loop).
 */
import { BOOLOID } from '@pgtroupe/common/oids';
import { INVALID_OID } from '@pgtroupe/common/ids';
import { equalNodes, exprCollation, exprType } from '@pgtroupe/nodes/nodefuncs';
import * as N from '@pgtroupe/nodes/nodes';
import type { Expr, OpExpr } from '@pgtroupe/nodes/primnodes';
import { commuted, containVolatileFunctions } from './clauses.ts';
import {
  CPU_INDEX_TUPLE_COST,
  CPU_OPERATOR_COST,
  CPU_TUPLE_COST,
  estimateArrayLength,
  RANDOM_PAGE_COST,
  SEQ_PAGE_COST,
  methodCost,
} from './costsize.ts';
import { costQuals } from './qualcost.ts';
import { clauselistSelectivity } from './selectivity/clausesel.ts';
import { columnStatistics } from './selectivity/statistics.ts';
import { clampRows } from './selectivity/variable.ts';
import { generateImpliedEqualitiesForColumn } from './equivclass.ts';
import { getOperator, opfamilyStrategy } from './lsyscache.ts';
import { addPath, buildIndexPathkeys } from './pathkeys.ts';
import {
  isSubset,
  type IndexOptInfo,
  type IndexPath,
  type PathKey,
  type PlannerInfo,
  type RelOptInfo,
  type Relids,
  type RestrictInfo,
} from './pathnodes.ts';
import type { IndexQual } from './plannodes.ts';
import { relidsOf } from './var.ts';

interface IndexClause {
  readonly rinfo: RestrictInfo;
  readonly quals: readonly IndexQual[];
  /** Relations the compared value comes from. */
  readonly outer: Relids;
}

function stripRelabel(expr: Expr): Expr {
  let e = expr;
  while (e.type === 'RelabelType') e = e.arg;
  return e;
}

function matchesKey(index: IndexOptInfo, col: number, expr: Expr): boolean {
  return equalNodes(stripRelabel(expr), stripRelabel(index.keyExprs[col]!));
}

/** How a condition limits an index column, if it does. */
function matchClauseToColumn(
  root: PlannerInfo,
  rel: RelOptInfo,
  index: IndexOptInfo,
  col: number,
  rinfo: RestrictInfo,
): IndexClause | undefined {
  const key = index.desc.keys[col]!;
  let { clause } = rinfo;
  if (rinfo.pseudoconstant) return undefined;
  // A boolean column by itself.
  if (exprType(index.keyExprs[col]!) === BOOLOID) {
    const boolean = booleanIndexQual(index, col, clause);
    if (boolean !== undefined) return { rinfo, quals: [boolean], outer: 0n };
  }
  if (clause.type === 'NullTest') {
    if (clause.argisrow || !matchesKey(index, col, clause.arg)) return undefined;
    const strategy = clause.nulltesttype === N.IS_NULL ? 3 : 0;
    return {
      rinfo,
      outer: 0n,
      quals: [{ indexcol: col, strategy, opno: 0, value: null, isArray: false, valueType: 0 }],
    };
  }
  if (clause.type === 'ScalarArrayOpExpr') {
    if (!clause.useOr || !matchesKey(index, col, clause.args[0]!)) return undefined;
    const strategy = opfamilyStrategy(root.env.rows, clause.opno, key.opfamily);
    const value = clause.args[1]!;
    if (
      strategy !== 3 ||
      !collationMatches(key.collation, clause.inputcollid) ||
      (relidsOf(root, value) & rel.relids) !== 0n ||
      containVolatileFunctions(root.env, value)
    )
      return undefined;
    const valueType = getOperator(root.env.rows, clause.opno).oprright as number;
    return {
      rinfo,
      outer: relidsOf(root, value),
      quals: [{ indexcol: col, strategy, opno: clause.opno, value, isArray: true, valueType }],
    };
  }
  if (clause.type !== 'OpExpr' || clause.args.length !== 2) return undefined;
  if (!matchesKey(index, col, clause.args[0]!)) {
    if (!matchesKey(index, col, clause.args[1]!)) return undefined;
    const turned = commuted(root.env, clause);
    if (turned === null) return undefined;
    clause = turned;
  }
  const op: OpExpr = clause as OpExpr;
  const value = op.args[1]!;
  const outer = relidsOf(root, value);
  if ((outer & rel.relids) !== 0n || containVolatileFunctions(root.env, value)) return undefined;
  const strategy = opfamilyStrategy(root.env.rows, op.opno, key.opfamily);
  if (strategy === 0 || strategy > 5 || !collationMatches(key.collation, op.inputcollid)) return undefined;
  const valueType = getOperator(root.env.rows, op.opno).oprright as number;
  return { rinfo, outer, quals: [{ indexcol: col, strategy, opno: op.opno, value, isArray: false, valueType }] };
}

function collationMatches(indexCollation: number, collation: number): boolean {
  return indexCollation === 0 || indexCollation === collation;
}

function booleanIndexQual(index: IndexOptInfo, col: number, clause: Expr): IndexQual | undefined {
  const constant = (value: boolean): IndexQual => ({
    indexcol: col,
    strategy: 3,
    opno: 91,
    isArray: false,
    valueType: 16,
    value: {
      type: 'Const',
      consttype: BOOLOID,
      consttypmod: -1,
      constcollid: INVALID_OID,
      constlen: 1,
      constbyval: true,
      constisnull: false,
      location: -1,
      constvalue: value,
    },
  });
  if (matchesKey(index, col, clause)) return constant(true);
  if (clause.type === 'BoolExpr' && clause.boolop === 'not' && matchesKey(index, col, clause.args[0]!))
    return constant(false);
  if (clause.type === 'BooleanTest' && matchesKey(index, col, clause.arg)) {
    if (clause.booltesttype === N.IS_TRUE) return constant(true);
    if (clause.booltesttype === N.IS_FALSE) return constant(false);
  }
  return undefined;
}

/** May a join clause be evaluated while reading this relation, with the others as parameters? */
function clauseIsMovableTo(rinfo: RestrictInfo, rel: RelOptInfo): boolean {
  if ((rinfo.clauseRelids & rel.relids) === 0n) return false;
  if ((rinfo.outerRelids & rel.relids) !== 0n) return false;
  return (rinfo.nullableRelids & rel.relids) === 0n;
}

export function createIndexPaths(root: PlannerInfo, rel: RelOptInfo): void {
  for (const index of rel.indexes) {
    if (index.predicate.length > 0) {
      index.predOk = index.predicate.every(p => rel.baserestrictinfo.some(r => equalNodes(r.clause, p)));
      if (!index.predOk) continue;
    }
    const own = index.keyExprs.map((_, col) =>
      rel.baserestrictinfo.map(r => matchClauseToColumn(root, rel, index, col, r)).filter(c => c !== undefined),
    );
    buildIndexPaths(root, rel, index, own, 0n);
    // With values from elsewhere: join clauses as written and those implied by equivalences.
    const joins = index.keyExprs.map((_, col) => {
      const written = rel.joininfo
        .filter(r => clauseIsMovableTo(r, rel))
        .map(r => matchClauseToColumn(root, rel, index, col, r));
      const implied = generateImpliedEqualitiesForColumn(root, rel, expr => matchesKey(index, col, expr)).map(r =>
        matchClauseToColumn(root, rel, index, col, r),
      );
      return [...written, ...implied].filter(c => c !== undefined).filter(c => (c.outer & rel.paramSources) !== 0n);
    });
    const outerSets = new Set<Relids>();
    for (const list of joins) for (const c of list) outerSets.add(c.outer);
    if (outerSets.size === 0) continue;
    // Each source alone, and all that go together.
    for (const set of [...outerSets])
      for (const other of [...outerSets]) if (outerSets.size < 16) outerSets.add(set | other);
    for (const outer of outerSets) {
      const clauses = own.map((list, col) => [
        ...list,
        ...joins[col]!.filter(c => isSubset(c.outer, outer)).filter(uniquePerEc()),
      ]);
      const used = clauses.flat().reduce((relids, c) => relids | c.outer, 0n);
      if (used === outer) buildIndexPaths(root, rel, index, clauses, outer);
    }
  }
}

function uniquePerEc(): (c: IndexClause) => boolean {
  const seen = new Set<unknown>();
  return c => {
    if (c.rinfo.parentEc === null) return true;
    if (seen.has(c.rinfo.parentEc)) return false;
    seen.add(c.rinfo.parentEc);
    return true;
  };
}

function buildIndexPaths(
  root: PlannerInfo,
  rel: RelOptInfo,
  index: IndexOptInfo,
  byColumn: readonly (readonly IndexClause[])[],
  outer: Relids,
): void {
  // Conditions on a column count only while all earlier columns have one.
  const chosen: IndexClause[] = [];
  let sawArray = false;
  for (let col = 0; col < byColumn.length; col++) {
    let usable = byColumn[col]!;
    if (sawArray || col > 0) usable = usable.filter(c => !c.quals[0]!.isArray);
    // One array condition at most, on the first column; equality beside it is kept as a filter.
    const array = usable.find(c => c.quals[0]!.isArray);
    if (array !== undefined) {
      usable = usable.some(c => c.quals[0]!.strategy === 3 && !c.quals[0]!.isArray)
        ? usable.filter(c => !c.quals[0]!.isArray)
        : [array];
      sawArray = usable[0] === array;
    }
    if (usable.length === 0) break;
    chosen.push(...usable);
    if (!usable.some(c => c.quals[0]!.strategy === 3)) break;
  }
  if (outer !== 0n && !chosen.some(c => c.outer !== 0n)) return;
  const requiredOuter = chosen.reduce((relids, c) => relids | c.outer, 0n) | rel.lateralRelids;
  if (outer !== 0n && (requiredOuter & ~rel.lateralRelids) !== (outer & ~rel.lateralRelids)) return;
  const wantOrder = root.queryPathkeys.length > 0 && outer === 0n;
  const forward = sawArray || !wantOrder ? [] : useful(root, buildIndexPathkeys(root, index, 1));
  const backward = sawArray || !wantOrder ? [] : useful(root, buildIndexPathkeys(root, index, -1));
  if (chosen.length > 0 || forward.length > 0 || index.predOk)
    addPath(rel, costIndex(root, rel, index, chosen, requiredOuter, forward, 1));
  if (backward.length > 0) addPath(rel, costIndex(root, rel, index, chosen, requiredOuter, backward, -1));
}

/** The leading keys that the query's order begins with. */
function useful(root: PlannerInfo, keys: readonly PathKey[]): PathKey[] {
  const wanted = root.queryPathkeys;
  let n = 0;
  while (
    n < keys.length &&
    n < wanted.length &&
    keys[n]!.ec === wanted[n]!.ec &&
    keys[n]!.desc === wanted[n]!.desc &&
    keys[n]!.nullsFirst === wanted[n]!.nullsFirst
  )
    n++;
  return n === wanted.length ? keys.slice(0, n) : [];
}

function costIndex(
  root: PlannerInfo,
  rel: RelOptInfo,
  index: IndexOptInfo,
  chosen: readonly IndexClause[],
  requiredOuter: Relids,
  pathkeys: readonly PathKey[],
  direction: 1 | -1,
): IndexPath {
  const indexClauses = chosen.map(c => c.rinfo.clause);
  const ofThis = { varRelid: rel.rtindex, join: undefined };
  let selectivity = clauselistSelectivity(root, indexClauses, ofThis);
  const equalColumns = new Set(
    chosen
      .filter(c => c.quals[0]!.strategy === 3 && c.quals[0]!.value !== null && !c.quals[0]!.isArray)
      .map(c => c.quals[0]!.indexcol),
  );
  if (index.unique && equalColumns.size === index.keyExprs.length)
    selectivity = Math.min(selectivity, 1 / Math.max(1, rel.tuples));
  const arrays = chosen.find(c => c.quals[0]!.isArray);
  const scans = arrays === undefined ? 1 : estimateArrayLength(arrays.quals[0]!.value!);
  const tuples = clampRows(selectivity * rel.tuples);
  const indexPages = Math.max(1, Math.ceil(selectivity * index.pages));
  const descent =
    (Math.ceil(Math.log2(Math.max(2, rel.tuples))) * CPU_OPERATOR_COST + 50 * CPU_OPERATOR_COST * 2) * scans;
  const indexCost =
    descent + indexPages * RANDOM_PAGE_COST + tuples * (CPU_INDEX_TUPLE_COST + indexClauses.length * CPU_OPERATOR_COST);
  // Heap pages: without statistics on order, as scattered as a random fetch (Mackert and Lohman's formula).
  const pages = Math.max(1, rel.pages);
  const fetched = Math.min(pages, (2 * pages * tuples) / (2 * pages + tuples));
  const maxIo = Math.ceil(fetched) * RANDOM_PAGE_COST;
  const minIo = RANDOM_PAGE_COST + Math.max(0, Math.ceil(selectivity * pages) - 1) * SEQ_PAGE_COST;
  const filter = rel.baserestrictinfo.filter(r => !chosen.some(c => c.rinfo === r));
  const qual = costQuals(
    root,
    filter.map(r => r.clause),
  );
  const ordered = indexCorrelation(root, rel, index) ** 2;
  const heapCost = maxIo + ordered * (minIo - maxIo) + tuples * (CPU_TUPLE_COST + qual.perTuple);
  let { rows } = rel;
  if (requiredOuter !== 0n) {
    const outer = chosen.filter(c => c.outer !== 0n).map(c => c.rinfo.clause);
    const own = rel.baserestrictinfo.filter(r => !r.pseudoconstant).map(r => r.clause);
    rows = Math.min(rel.rows, clampRows(rel.tuples * clauselistSelectivity(root, [...outer, ...own], ofThis)));
  }
  if (index.unique && equalColumns.size === index.keyExprs.length) rows = 1;
  return {
    kind: 'index',
    rel,
    rows,
    startup: methodCost(root, 'indexscan') + descent + qual.startup,
    total: methodCost(root, 'indexscan') + indexCost + heapCost + qual.startup,
    pathkeys,
    requiredOuter,
    index,
    direction,
    quals: chosen.flatMap(c => c.quals),
    clauses: chosen.map(c => c.rinfo),
  };
}

/** How far the rows stand in the index's order (btcostestimate); not known: as likely as not. */
function indexCorrelation(root: PlannerInfo, rel: RelOptInfo, index: IndexOptInfo): number {
  const [key] = index.desc.keys;
  const statistics = key!.attnum > 0 ? columnStatistics(root.env, rel.rte!.relid, key!.attnum) : undefined;
  const known = statistics?.correlation?.numbers[0];
  if (known === undefined) return Math.SQRT1_2;
  return index.keyExprs.length > 1 ? known * 0.75 : known;
}

/** Is at most one row of the relation equal to any given set of values in these clauses? */
export function relationHasUniqueIndexFor(rel: RelOptInfo, clauses: readonly RestrictInfo[]): boolean {
  return rel.indexes.some(
    index =>
      index.unique &&
      index.immediate &&
      (index.predicate.length === 0 || index.predOk) &&
      index.keyExprs.every((key, col) =>
        [...clauses, ...rel.baserestrictinfo].some(r => {
          if (r.clause.type !== 'OpExpr' || !r.mergeFamilies.includes(index.desc.keys[col]!.opfamily)) return false;
          const [a, b] = r.clause.args as [Expr, Expr];
          if (exprCollation(key) !== 0 && r.clause.inputcollid !== index.desc.keys[col]!.collation) return false;
          return (
            (equalNodes(stripRelabel(a), key) && (r.rightRelids & rel.relids) === 0n) ||
            (equalNodes(stripRelabel(b), key) && (r.leftRelids & rel.relids) === 0n)
          );
        }),
      ),
  );
}
