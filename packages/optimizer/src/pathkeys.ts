/**
 * Sort orders as lists of PathKeys (pathkeys.c).
 */
import type { Oid } from '@pgtroupe/common/ids';
import { exprType } from '@pgtroupe/nodes/nodefuncs';
import type { SortGroupClause } from '@pgtroupe/nodes/parsenodes';
import type { Expr, TargetEntry } from '@pgtroupe/nodes/primnodes';
import { exprCollation } from '@pgtroupe/nodes/nodefuncs';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import { canonicalEc, getEclassForSortExpr } from './equivclass.ts';
import { mergejoinOpfamilies, opfamilyMember, orderingOpProperties } from './lsyscache.ts';
import type { IndexOptInfo, Path, PathKey, PlannerInfo, RelOptInfo, Relids } from './pathnodes.ts';
import { isSubset } from './pathnodes.ts';

export function tleForSortGroupRef(tlist: readonly TargetEntry[], ref: number): TargetEntry {
  const tle = tlist.find(t => t.ressortgroupref === ref);
  if (tle === undefined) throw ereport(ERRCODE.INTERNAL_ERROR, 'ORDER/GROUP BY expression not found in targetlist');
  return tle;
}

function makePathkey(
  root: PlannerInfo,
  expr: Expr,
  opfamily: Oid,
  opcintype: Oid,
  collation: Oid,
  desc: boolean,
  nullsFirst: boolean,
  sortref: number,
): PathKey {
  const eqop = opfamilyMember(root.env.rows, opfamily, opcintype, opcintype, 3);
  const families = eqop === 0 ? [opfamily] : mergejoinOpfamilies(root.env.rows, eqop);
  const ec = getEclassForSortExpr(root, expr, families, opcintype, collation, sortref);
  return { ec, opfamily, desc, nullsFirst };
}

/** Not if the value is the same in all rows, or the key says what an earlier one says. */
function isRedundant(keys: readonly PathKey[], key: PathKey): boolean {
  if (key.ec.hasConst && !key.ec.hasVolatile) return true;
  return keys.some(k => canonicalEc(k.ec) === canonicalEc(key.ec));
}

export function makePathkeysForSortclauses(
  root: PlannerInfo,
  clauses: readonly SortGroupClause[],
  tlist: readonly TargetEntry[],
): PathKey[] {
  const keys: PathKey[] = [];
  for (const clause of clauses) {
    const tle = tleForSortGroupRef(tlist, clause.tleSortGroupRef);
    const order = orderingOpProperties(root.env.rows, clause.sortop);
    if (order === undefined)
      throw ereport(ERRCODE.INTERNAL_ERROR, `operator ${clause.sortop} is not a valid ordering operator`);
    const key = makePathkey(
      root,
      tle.expr,
      order.opfamily,
      order.opcintype,
      exprCollation(tle.expr),
      order.desc,
      clause.nulls_first,
      clause.tleSortGroupRef,
    );
    if (!isRedundant(keys, key)) keys.push(key);
  }
  return keys;
}

const INDOPTION_DESC = 1;
const INDOPTION_NULLS_FIRST = 2;

/** The order in which a scan of the index delivers its rows. */
export function buildIndexPathkeys(root: PlannerInfo, index: IndexOptInfo, direction: 1 | -1): PathKey[] {
  const keys: PathKey[] = [];
  for (let i = 0; i < index.keyExprs.length; i++) {
    const key = index.desc.keys[i]!;
    const backward = direction < 0;
    const desc = ((key.option & INDOPTION_DESC) !== 0) !== backward;
    const nullsFirst = ((key.option & INDOPTION_NULLS_FIRST) !== 0) !== backward;
    const expr = index.keyExprs[i]!;
    const type = exprType(expr);
    const pathkey = makePathkey(root, expr, key.opfamily, key.opcintype || type, key.collation, desc, nullsFirst, 0);
    if (!isRedundant(keys, pathkey)) keys.push(pathkey);
  }
  return keys;
}

/** Does the order `have` serve where `want` is asked for? */
export function pathkeysContainedIn(want: readonly PathKey[], have: readonly PathKey[]): boolean {
  if (want.length > have.length) return false;
  return want.every((key, i) => samePathkey(key, have[i]!));
}

function samePathkey(a: PathKey, b: PathKey): boolean {
  return (
    canonicalEc(a.ec) === canonicalEc(b.ec) &&
    a.opfamily === b.opfamily &&
    a.desc === b.desc &&
    a.nullsFirst === b.nullsFirst
  );
}

/** Keeps a path unless another is as cheap, as well ordered and needs no more parameters. */
export function addPath(rel: RelOptInfo, path: Path): void {
  const FUZZ = 1.01;
  const kept: Path[] = [];
  for (const old of rel.paths) {
    if (
      isSubset(old.requiredOuter, path.requiredOuter) &&
      pathkeysContainedIn(path.pathkeys, old.pathkeys) &&
      old.total <= path.total * FUZZ &&
      (!rel.considerStartup || old.startup <= path.startup * FUZZ) &&
      old.rows <= path.rows
    ) {
      return;
    }
    const dominated =
      isSubset(path.requiredOuter, old.requiredOuter) &&
      pathkeysContainedIn(old.pathkeys, path.pathkeys) &&
      path.total <= old.total &&
      (!rel.considerStartup || path.startup <= old.startup * FUZZ) &&
      path.rows <= old.rows;
    if (!dominated) kept.push(old);
  }
  kept.push(path);
  rel.paths = kept;
}

export function cheapestPath(
  paths: readonly Path[],
  requiredOuter: Relids = 0n,
  criterion: 'total' | 'startup' = 'total',
): Path | undefined {
  let best: Path | undefined;
  for (const path of paths) {
    if (!isSubset(path.requiredOuter, requiredOuter)) continue;
    if (best === undefined || path[criterion] < best[criterion]) best = path;
  }
  return best;
}

/** Cheapest for fetching this fraction of the rows, in this order. */
export function cheapestFractional(
  paths: readonly Path[],
  pathkeys: readonly PathKey[],
  fraction: number,
): Path | undefined {
  let best: Path | undefined;
  let bestCost = Infinity;
  for (const path of paths) {
    if (path.requiredOuter !== 0n || !pathkeysContainedIn(pathkeys, path.pathkeys)) continue;
    const cost = path.startup + (path.total - path.startup) * Math.min(1, fraction);
    if (cost < bestCost) {
      best = path;
      bestCost = cost;
    }
  }
  return best;
}
