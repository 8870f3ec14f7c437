/**
 * The join search (joinrels.c, joinpath.c): dynamic programming over sets of relations while there are
 * few of them, then greedily the cheapest pair. Outer joins limit which sets may be joined.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { Slices } from '@pgtroupe/common/slices';
import * as N from '@pgtroupe/nodes/nodes';
import { CPU_OPERATOR_COST, CPU_TUPLE_COST, methodCost } from './costsize.ts';
import { joinClausesSelectivity } from './selectivity/clausesel.ts';
import { clampRows } from './selectivity/variable.ts';
import { costQuals } from './qualcost.ts';
import { generateJoinImpliedEqualities, haveRelevantEclassJoinclause } from './equivclass.ts';
import { relationHasUniqueIndexFor } from './indxpath.ts';
import { type JoinListItem, makeRelOptInfo } from './initsplan.ts';
import { joinScopeOf, reachOf } from './joinscope.ts';
import { addPath, cheapestPath } from './pathkeys.ts';
import {
  isSubset,
  relidsKey,
  type Path,
  type PlannerInfo,
  type RelOptInfo,
  type Relids,
  type RestrictInfo,
  type SpecialJoinInfo,
} from './pathnodes.ts';

const DP_LIMIT = 8;

/** Joins all items; answers the relation that is everything. */
export function* makeRelFromJoinlist(root: PlannerInfo, items: readonly JoinListItem[]): Slices<RelOptInfo> {
  const rels: RelOptInfo[] = [];
  for (const item of items)
    rels.push(typeof item === 'number' ? root.rels[item]! : yield* makeRelFromJoinlist(root, item));
  yield;
  if (rels.length === 1) return rels[0]!;
  root.joinScope = joinScopeOf(root, rels);
  for (const rel of rels) root.joinRels.set(relidsKey(rel.relids), rel);
  return yield* rels.length <= DP_LIMIT ? standardJoinSearch(root, rels) : greedyJoinSearch(root, rels);
}

function* standardJoinSearch(root: PlannerInfo, initial: readonly RelOptInfo[]): Slices<RelOptInfo> {
  const levels: RelOptInfo[][] = [[], [...initial]];
  for (let level = 2; level <= initial.length; level++) {
    const made = new Set<RelOptInfo>();
    const tryJoin = (a: RelOptInfo, b: RelOptInfo): void => {
      const joined = makeJoinRel(root, a, b);
      if (joined !== undefined) made.add(joined);
    };
    for (let k = level - 1; k * 2 >= level; k--) {
      for (const a of levels[k]!) {
        yield;
        for (const b of levels[level - k]!) {
          if ((a.relids & b.relids) !== 0n || (k * 2 === level && a.relids > b.relids)) continue;
          if (relevantJoin(root, a, b)) tryJoin(a, b);
        }
      }
    }
    if (made.size === 0) {
      // No clause connects anything: cross products.
      for (const a of levels[level - 1]!) {
        yield;
        for (const b of initial) if ((a.relids & b.relids) === 0n) tryJoin(a, b);
      }
    }
    levels.push([...made]);
  }
  const last = levels[initial.length]!;
  if (last.length === 0) return yield* greedyJoinSearch(root, initial);
  return last[0]!;
}

/**
 * Joins the pair that gives the cheapest result, again and again. A pair is tried once: each step adds only the
 * pairs of what was made last.
 */
function* greedyJoinSearch(root: PlannerInfo, initial: readonly RelOptInfo[]): Slices<RelOptInfo> {
  let rest: RelOptInfo[] = [];
  let pairs: JoinedPair[] = [];
  for (const rel of initial) {
    pairs.push(...(yield* pairsWith(root, rel, rest, true)));
    rest.push(rel);
  }
  while (rest.length > 1) {
    yield;
    // No clause connects anything: cross products.
    if (pairs.length === 0)
      for (const [n, rel] of rest.entries()) pairs.push(...(yield* pairsWith(root, rel, rest.slice(0, n), false)));
    if (pairs.length === 0) throw ereport(ERRCODE.INTERNAL_ERROR, 'failed to build any multi-way joins');
    const { a, b, joined } = pairs.reduce((best, pair) => (pair.cost < best.cost ? pair : best));
    const apart = (rel: RelOptInfo): boolean => rel !== a && rel !== b;
    rest = rest.filter(apart);
    pairs = pairs.filter(pair => apart(pair.a) && apart(pair.b));
    pairs.push(...(yield* pairsWith(root, joined, rest, true)));
    rest.push(joined);
  }
  return rest[0]!;
}

interface JoinedPair {
  readonly a: RelOptInfo;
  readonly b: RelOptInfo;
  readonly joined: RelOptInfo;
  readonly cost: number;
}

function* pairsWith(
  root: PlannerInfo,
  rel: RelOptInfo,
  others: readonly RelOptInfo[],
  connected: boolean,
): Slices<JoinedPair[]> {
  const pairs: JoinedPair[] = [];
  for (const other of others) {
    yield;
    if (connected && !relevantJoin(root, other, rel)) continue;
    const joined = makeJoinRel(root, other, rel);
    const path = joined && (cheapestPath(joined.paths) ?? joined.paths[0]);
    if (joined !== undefined && path !== undefined) pairs.push({ a: other, b: rel, joined, cost: path.total });
  }
  return pairs;
}

function relevantJoin(root: PlannerInfo, a: RelOptInfo, b: RelOptInfo): boolean {
  if ((reachOf(root, a) & b.relids) === 0n && (reachOf(root, b) & a.relids) === 0n) return false;
  if (a.joininfo.some(r => (r.requiredRelids & b.relids) !== 0n)) return true;
  if (haveRelevantEclassJoinclause(root, a.relids, b.relids)) return true;
  if ((a.lateralRelids & b.relids) !== 0n || (b.lateralRelids & a.relids) !== 0n) return true;
  for (const info of root.joinScope.joinInfos) {
    if (isSubset(info.minLefthand, a.relids) && isSubset(info.minRighthand, b.relids)) return true;
    if (isSubset(info.minLefthand, b.relids) && isSubset(info.minRighthand, a.relids)) return true;
    // Each has a part of what must be whole before the outer join can be made.
    if (info.jointype === N.JOIN_FULL) continue;
    for (const side of [info.minLefthand, info.minRighthand])
      if ((side & a.relids) !== 0n && (side & b.relids) !== 0n) return true;
  }
  return false;
}

/**
 * Would this join need values (LATERAL) of a relation that has to be joined on the inside of an outer join with it
 * later? Then no plan of the whole query begins with it.
 */
function lateralWouldBeInside(root: PlannerInfo, a: RelOptInfo, b: RelOptInfo): boolean {
  let inside = a.relids | b.relids;
  const needed = (a.lateralRelids | b.lateralRelids) & ~inside;
  if (needed === 0n) return false;
  for (let more = true; more; ) {
    more = false;
    for (const info of root.joinInfoList) {
      if (info.jointype === N.JOIN_FULL || (info.minLefthand & inside) === 0n) continue;
      if (isSubset(info.minRighthand, inside)) continue;
      inside |= info.minRighthand;
      more = true;
    }
  }
  return (inside & needed) !== 0n;
}

interface LegalJoin {
  readonly info: SpecialJoinInfo | null;
  readonly reversed: boolean;
}

function joinIsLegal(root: PlannerInfo, r1: Relids, r2: Relids): LegalJoin | undefined {
  const both = r1 | r2;
  let match: SpecialJoinInfo | null = null;
  let reversed = false;
  let mustBeLeftJoin = false;
  for (const info of root.joinScope.joinInfos) {
    if ((info.minRighthand & both) === 0n || isSubset(both, info.minRighthand)) continue;
    if (isSubset(info.minLefthand, r1) && isSubset(info.minRighthand, r1)) continue;
    if (isSubset(info.minLefthand, r2) && isSubset(info.minRighthand, r2)) continue;
    if (isSubset(info.minLefthand, r1) && isSubset(info.minRighthand, r2)) {
      if (match !== null) return undefined;
      match = info;
      reversed = false;
    } else if (isSubset(info.minLefthand, r2) && isSubset(info.minRighthand, r1)) {
      if (match !== null) return undefined;
      match = info;
      reversed = true;
    } else {
      if ((r1 & info.minRighthand) !== 0n && (r2 & info.minRighthand) !== 0n) continue;
      if (info.jointype !== N.JOIN_LEFT || (both & info.minLefthand) !== 0n) return undefined;
      mustBeLeftJoin = true;
    }
  }
  if (mustBeLeftJoin && (match === null || match.jointype !== N.JOIN_LEFT || !match.lhsStrict)) return undefined;
  return { info: match, reversed };
}

/** The relation of a and b joined, with its paths by this pair added; undefined when not allowed. */
function makeJoinRel(root: PlannerInfo, a: RelOptInfo, b: RelOptInfo): RelOptInfo | undefined {
  const legal = joinIsLegal(root, a.relids, b.relids);
  if (legal === undefined || lateralWouldBeInside(root, a, b)) return undefined;
  const [left, right] = legal.reversed ? [b, a] : [a, b];
  const jointype = legal.info?.jointype ?? N.JOIN_INNER;
  // LATERAL: what refers must be on the inside, and not on the side that is kept whole.
  const leftNeedsRight = (left.lateralRelids & right.relids) !== 0n;
  const rightNeedsLeft = (right.lateralRelids & left.relids) !== 0n;
  if (leftNeedsRight && (rightNeedsLeft || jointype !== N.JOIN_INNER)) return undefined;
  if (rightNeedsLeft && jointype === N.JOIN_FULL) return undefined;
  const relids = a.relids | b.relids;
  const clauses = joinRestrictlist(root, left, right);
  const key = relidsKey(relids);
  let rel = root.joinRels.get(key);
  if (rel === undefined) {
    rel = makeRelOptInfo(root, relids, 0, null);
    rel.width = left.width + right.width;
    rel.rows = joinSize(root, left, right, jointype, clauses);
    rel.lateralRelids = (left.lateralRelids | right.lateralRelids) & ~relids;
    for (const r of [...left.joininfo, ...right.joininfo]) {
      if (!isSubset(r.requiredRelids, relids) && !rel.joininfo.includes(r)) rel.joininfo.push(r);
    }
    root.joinRels.set(key, rel);
  }
  switch (jointype) {
    case N.JOIN_INNER:
      if (!leftNeedsRight) addJoinPaths(root, rel, left, right, N.JOIN_INNER, clauses);
      if (!rightNeedsLeft) addJoinPaths(root, rel, right, left, N.JOIN_INNER, clauses);
      break;
    case N.JOIN_LEFT:
      addJoinPaths(root, rel, left, right, N.JOIN_LEFT, clauses);
      if (!rightNeedsLeft) addJoinPaths(root, rel, right, left, N.JOIN_RIGHT, clauses);
      break;
    case N.JOIN_FULL:
      addJoinPaths(root, rel, left, right, N.JOIN_FULL, clauses);
      addJoinPaths(root, rel, right, left, N.JOIN_FULL, clauses);
      if (rel.paths.length === 0) {
        throw ereport(
          ERRCODE.FEATURE_NOT_SUPPORTED,
          'FULL JOIN is only supported with merge-joinable or hash-joinable join conditions',
        );
      }
      break;
    default:
      addJoinPaths(root, rel, left, right, jointype, clauses);
  }
  return rel;
}

/** Conditions that can be evaluated at this join and at neither side alone. */
function joinRestrictlist(root: PlannerInfo, left: RelOptInfo, right: RelOptInfo): RestrictInfo[] {
  const relids = left.relids | right.relids;
  const result: RestrictInfo[] = [];
  for (const r of [...left.joininfo, ...right.joininfo]) {
    if (
      !isSubset(r.requiredRelids, relids) ||
      isSubset(r.requiredRelids, left.relids) ||
      isSubset(r.requiredRelids, right.relids)
    )
      continue;
    if (!result.includes(r)) result.push(r);
  }
  result.push(...generateJoinImpliedEqualities(root, relids, left.relids, right.relids));
  return result;
}

function joinSize(
  root: PlannerInfo,
  left: RelOptInfo,
  right: RelOptInfo,
  jointype: N.JoinType,
  clauses: readonly RestrictInfo[],
): number {
  const context = { jointype, lefthand: left.relids, righthand: right.relids, inner: right };
  const outer = jointype === N.JOIN_LEFT || jointype === N.JOIN_FULL || jointype === N.JOIN_ANTI;
  const selectivity = (list: readonly RestrictInfo[]): number => joinClausesSelectivity(root, list, context);
  const joins = selectivity(outer ? clauses.filter(r => !r.isPushedDown) : clauses);
  const filters = outer ? selectivity(clauses.filter(r => r.isPushedDown)) : 1;
  const pairs = left.rows * right.rows * joins;
  switch (jointype) {
    case N.JOIN_LEFT:
      return clampRows(Math.max(pairs, left.rows) * filters);
    case N.JOIN_FULL:
      return clampRows(Math.max(pairs, left.rows, right.rows) * filters);
    case N.JOIN_SEMI:
      return clampRows(left.rows * joins);
    case N.JOIN_ANTI:
      return clampRows(left.rows * (1 - joins) * filters);
    default:
      return clampRows(pairs);
  }
}

function addJoinPaths(
  root: PlannerInfo,
  rel: RelOptInfo,
  outerRel: RelOptInfo,
  innerRel: RelOptInfo,
  jointype: N.JoinType,
  clauses: readonly RestrictInfo[],
): void {
  const joinClauses = clauses.filter(r => jointype === N.JOIN_INNER || jointype === N.JOIN_SEMI || !r.isPushedDown);
  const innerUnique =
    jointype === N.JOIN_SEMI ||
    jointype === N.JOIN_ANTI ||
    (innerRel.rtindex > 0 && innerRel.relation !== null && relationHasUniqueIndexFor(innerRel, joinClauses));
  if (jointype !== N.JOIN_RIGHT && jointype !== N.JOIN_FULL) {
    const outers = outerRel.paths.filter(p => (p.requiredOuter & innerRel.relids) === 0n);
    const outerCandidates = candidates(outers);
    const unbound = outerCandidates.filter(p => p.requiredOuter === 0n);
    const sources = paramSourceRels(root, rel);
    for (const inner of innerRel.paths) {
      const fromOuter = inner.requiredOuter & outerRel.relids;
      const fromElsewhere = inner.requiredOuter & ~outerRel.relids;
      const starSchema = fromOuter !== 0n && fromElsewhere !== 0n;
      if (fromElsewhere !== 0n && sources === 0n && !starSchema) continue;
      for (const outer of sources === 0n && !starSchema ? unbound : outerCandidates) {
        const requiredOuter = fromElsewhere | outer.requiredOuter;
        if (requiredOuter !== 0n && (requiredOuter & sources) === 0n && !starSchema) continue;
        if ((requiredOuter & rel.relids) !== 0n) continue;
        const used = new Set(indexClauses(inner));
        const kept = clauses.filter(r => !used.has(r) && !redundant(r, used, outer.rel.relids, inner.rel.relids));
        addPath(rel, nestloop(root, rel, outer, inner, jointype, kept, requiredOuter, innerUnique, fromOuter !== 0n));
      }
    }
  }
  const hashclauses = joinClauses.filter(
    r =>
      r.hashable &&
      ((isSubset(r.leftRelids, outerRel.relids) &&
        isSubset(r.rightRelids, innerRel.relids) &&
        r.leftRelids !== 0n &&
        r.rightRelids !== 0n) ||
        (isSubset(r.leftRelids, innerRel.relids) &&
          isSubset(r.rightRelids, outerRel.relids) &&
          r.leftRelids !== 0n &&
          r.rightRelids !== 0n)),
  );
  // A full join of everything with everything is one bucket.
  if (hashclauses.length === 0 && !(jointype === N.JOIN_FULL && joinClauses.every(r => r.clauseRelids === 0n))) return;
  // A full join has no other way: its sides may be waiting for LATERAL's values.
  const waiting = (side: RelOptInfo): Relids => (jointype === N.JOIN_FULL ? side.lateralRelids & ~rel.relids : 0n);
  const outer = cheapestPath(outerRel.paths, waiting(outerRel));
  const inner = cheapestPath(innerRel.paths, waiting(innerRel));
  if (outer !== undefined && inner !== undefined)
    addPath(rel, hashjoin(root, rel, outer, inner, jointype, clauses, hashclauses, innerUnique));
}

/**
 * Where a join that waits for values may get them from: beyond an outer join that must be made after it, and by
 * LATERAL. All others can as well be joined the other way round; keeping them would let the paths of many tables
 * that are equal to each other multiply.
 */
function paramSourceRels(root: PlannerInfo, rel: RelOptInfo): Relids {
  let sources = rel.lateralRelids;
  for (const { minLefthand, minRighthand, jointype } of root.joinScope.joinInfos) {
    const hasLeft = (rel.relids & minLefthand) !== 0n;
    const hasRight = (rel.relids & minRighthand) !== 0n;
    if (hasRight && !hasLeft) sources |= root.allRelids & ~minRighthand;
    if (jointype === N.JOIN_FULL && hasLeft && !hasRight) sources |= root.allRelids & ~minLefthand;
  }
  return sources;
}

function candidates(paths: readonly Path[]): Path[] {
  const result = new Set<Path>();
  const total = cheapestPath(paths);
  if (total !== undefined) result.add(total);
  const startup = cheapestPath(paths, 0n, 'startup');
  if (startup !== undefined) result.add(startup);
  for (const p of paths) if (p.requiredOuter !== 0n || p.pathkeys.length > 0) result.add(p);
  return [...result];
}

/** Clauses that an inner path already enforces with values from the outer side. */
function indexClauses(path: Path): readonly RestrictInfo[] {
  return path.kind === 'index' ? path.clauses : path.kind === 'material' ? indexClauses(path.subpath) : [];
}

/**
 * Does a clause that is enforced already, between relations of this join, say the same? Members of a class that
 * one side knows are equal there; one that needs both sides is not known before.
 */
function redundant(r: RestrictInfo, used: ReadonlySet<RestrictInfo>, outer: Relids, inner: Relids): boolean {
  if (r.parentEc === null) return false;
  const across = (a: Relids, b: Relids): boolean => isSubset(a, outer) && isSubset(b, inner);
  if (!across(r.leftRelids, r.rightRelids) && !across(r.rightRelids, r.leftRelids)) return false;
  for (const u of used) if (u.parentEc === r.parentEc && isSubset(u.clauseRelids, outer | inner)) return true;
  return false;
}

function nestloop(
  root: PlannerInfo,
  rel: RelOptInfo,
  outer: Path,
  inner: Path,
  jointype: N.JoinType,
  clauses: readonly RestrictInfo[],
  requiredOuter: Relids,
  innerUnique: boolean,
  parameterised: boolean,
): Path {
  const qual = costQuals(
    root,
    clauses.map(r => r.clause),
  );
  const outerRows = Math.max(1, outer.rows);
  // An inside that is the same every time is read once and kept.
  const keep =
    root.env.enabled('material') &&
    !parameterised &&
    inner.kind !== 'material' &&
    outerRows > 1 &&
    !(inner.kind === 'result');
  const rescan = keep
    ? inner.rows * CPU_OPERATOR_COST
    : inner.kind === 'material'
      ? inner.rows * CPU_OPERATOR_COST
      : inner.total;
  const innerPath: Path = keep
    ? {
        kind: 'material',
        rel: inner.rel,
        rows: inner.rows,
        startup: inner.startup,
        total: inner.total + 2 * CPU_OPERATOR_COST * inner.rows,
        pathkeys: [],
        requiredOuter: inner.requiredOuter,
        subpath: inner,
      }
    : inner;
  const oneMatch = innerUnique && jointype !== N.JOIN_LEFT ? 0.5 : 1;
  const compared = outerRows * inner.rows * (parameterised ? 1 : oneMatch);
  const disabled = methodCost(root, 'nestloop');
  const total =
    disabled +
    outer.total +
    innerPath.total +
    (outerRows - 1) * rescan * (parameterised ? 1 : oneMatch) +
    qual.startup +
    compared * (CPU_TUPLE_COST + qual.perTuple);
  let rows = rel.rows;
  if (requiredOuter !== 0n) rows = clampRows(Math.min(rel.rows, outer.rows * inner.rows));
  return {
    kind: 'nestloop',
    rel,
    rows,
    startup: disabled + outer.startup + inner.startup + qual.startup,
    total,
    pathkeys: outer.pathkeys,
    requiredOuter,
    jointype,
    outer,
    inner: innerPath,
    clauses,
    innerUnique,
  };
}

function hashjoin(
  root: PlannerInfo,
  rel: RelOptInfo,
  outer: Path,
  inner: Path,
  jointype: N.JoinType,
  clauses: readonly RestrictInfo[],
  hashclauses: readonly RestrictInfo[],
  innerUnique: boolean,
): Path {
  const others = clauses.filter(r => !hashclauses.includes(r));
  const qual = costQuals(
    root,
    others.map(r => r.clause),
  );
  const build = (CPU_OPERATOR_COST * hashclauses.length + CPU_TUPLE_COST) * inner.rows;
  const probe = CPU_OPERATOR_COST * hashclauses.length * outer.rows;
  const matched = rel.rows;
  const startup = methodCost(root, 'hashjoin') + inner.total + build + outer.startup + qual.startup;
  const total = startup + (outer.total - outer.startup) + probe + matched * (CPU_TUPLE_COST + qual.perTuple);
  return {
    kind: 'hashjoin',
    rel,
    rows: rel.rows,
    startup,
    total,
    pathkeys: [],
    requiredOuter: outer.requiredOuter | inner.requiredOuter,
    jointype,
    outer,
    inner,
    clauses: others,
    hashclauses,
    innerUnique,
  };
}
