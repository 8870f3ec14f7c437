/**
 * From the join tree to relations, conditions at the place where they can first be evaluated, and
 * the restrictions that outer joins put on the join order (initsplan.c).
 */
import type { Slices } from '@pgtroupe/common/slices';
import { notSupported } from '@pgtroupe/common/ereport';
import * as N from '@pgtroupe/nodes/nodes';
import type { Expr, JoinTreeNode } from '@pgtroupe/nodes/primnodes';
import { containVolatileFunctions, findNonnullableRels, makeAndsImplicit } from './clauses.ts';
import { generateBaseImpliedEqualities, processEquivalence } from './equivclass.ts';
import {
  isSubset,
  type PlannerInfo,
  type RelOptInfo,
  type Relids,
  type RestrictInfo,
  type SpecialJoinInfo,
} from './pathnodes.ts';
import { makeRestrictInfo } from './restrictinfo.ts';
import { pullVars, relidOf, relidsOf } from './var.ts';

/** What is joined: a base relation, or a list that must be joined by itself first. */
export type JoinListItem = number | readonly JoinListItem[];

export function makeRelOptInfo(root: PlannerInfo, relids: Relids, rtindex: number, rte: RelOptInfo['rte']): RelOptInfo {
  return {
    relids,
    considerStartup: root.tupleFraction > 0,
    rtindex,
    rte,
    rows: 0,
    width: 0,
    tuples: 0,
    pages: 0,
    relation: null,
    indexes: [],
    baserestrictinfo: [],
    joininfo: [],
    needed: new Map(),
    lateralRelids: 0n,
    paramSources: -1n,
    paths: [],
    subroot: null,
    subplan: null,
    subplanParams: [],
    subqueryPathkeys: [],
  };
}

/** Gives every relation of the join tree its bit. */
export function addBaseRels(root: PlannerInfo, node: JoinTreeNode): void {
  if (node.type === 'RangeTblRef') {
    const bit = root.baseRels++;
    root.bitOf[node.rtindex] = bit;
    root.rels[node.rtindex] = makeRelOptInfo(root, 1n << BigInt(bit), node.rtindex, root.rtable[node.rtindex - 1]!);
    root.allRelids |= relidOf(root, node.rtindex);
  } else if (node.type === 'FromExpr') for (const item of node.fromlist) addBaseRels(root, item);
  else {
    addBaseRels(root, node.larg);
    addBaseRels(root, node.rarg);
  }
}

/** Notes which columns of base relations the expressions need. */
export function addVarsToTargetlist(root: PlannerInfo, exprs: readonly Expr[]): void {
  for (const expr of exprs) {
    for (const v of pullVars(expr)) root.rels[v.varno]?.needed.set(`${v.varattno}`, v);
  }
}

interface Scope {
  readonly qualscope: Relids;
  readonly innerJoinRels: Relids;
  readonly joinlist: JoinListItem[];
}

export function* deconstructJointree(root: PlannerInfo, tree: JoinTreeNode): Slices<JoinListItem[]> {
  const { joinlist } = yield* recurse(root, tree, false);
  yield* generateBaseImpliedEqualities(root, rinfo => distributeRestrictInfo(root, rinfo));
  limitParamSources(root, joinlist);
  return joinlist;
}

/**
 * Where only inner joins are, a relation is joined with its own list first, whole: a way to read it that waits for values
 * from beyond would never be used. Of hundreds of tables that are equal to each other each would have hundreds.
 */
function limitParamSources(root: PlannerInfo, list: readonly JoinListItem[]): void {
  if (root.joinInfoList.length > 0 || root.rels.some(rel => rel !== undefined && rel.lateralRelids !== 0n)) return;
  const limit = (items: readonly JoinListItem[]): Relids => {
    const own = items.filter(item => typeof item === 'number').map(item => root.rels[item]!);
    let whole = own.reduce((relids, rel) => relids | rel.relids, 0n);
    for (const item of items) if (typeof item !== 'number') whole |= limit(item);
    for (const rel of own) rel.paramSources = whole;
    return whole;
  };
  limit(list);
}

function* recurse(root: PlannerInfo, node: JoinTreeNode, belowOuterJoin: boolean): Slices<Scope> {
  if (node.type === 'RangeTblRef') {
    return { qualscope: relidOf(root, node.rtindex), innerJoinRels: 0n, joinlist: [node.rtindex] };
  }
  if (node.type === 'FromExpr') {
    let qualscope = 0n;
    let innerJoinRels = 0n;
    const joinlist: JoinListItem[] = [];
    for (const [at, item] of node.fromlist.entries()) {
      const sub = yield* recurse(root, item, belowOuterJoin);
      qualscope |= sub.qualscope;
      innerJoinRels = node.fromlist.length > 1 ? qualscope : sub.innerJoinRels;
      const others = joinlist.length + node.fromlist.length - at - 1;
      if (sub.joinlist.length <= 1 || others + sub.joinlist.length <= root.env.collapseLimit('from'))
        joinlist.push(...sub.joinlist);
      else joinlist.push(sub.joinlist);
    }
    for (const qual of makeAndsImplicit(node.quals)) {
      distributeQual(root, qual, belowOuterJoin, qualscope, 0n, 0n);
      yield;
    }
    return { qualscope, innerJoinRels, joinlist };
  }
  const outerJoin = node.jointype !== N.JOIN_INNER && node.jointype !== N.JOIN_SEMI;
  const left = yield* recurse(root, node.larg, belowOuterJoin || node.jointype === N.JOIN_FULL);
  const right = yield* recurse(root, node.rarg, belowOuterJoin || outerJoin);
  const qualscope = left.qualscope | right.qualscope;
  const quals = makeAndsImplicit(node.quals);
  let innerJoinRels: Relids;
  let nonnullable = 0n;
  let nullable = 0n;
  switch (node.jointype) {
    case N.JOIN_INNER:
      innerJoinRels = qualscope;
      break;
    case N.JOIN_SEMI:
      innerJoinRels = left.innerJoinRels | right.innerJoinRels;
      break;
    case N.JOIN_LEFT:
    case N.JOIN_ANTI:
      innerJoinRels = left.innerJoinRels | right.innerJoinRels;
      nonnullable = left.qualscope;
      nullable = right.qualscope;
      break;
    case N.JOIN_FULL:
      innerJoinRels = left.innerJoinRels | right.innerJoinRels;
      nonnullable = qualscope;
      nullable = qualscope;
      break;
    default:
      throw notSupported(`join type ${node.jointype}`);
  }
  root.nullableRelids |= nullable;
  let ojscope = 0n;
  if (node.jointype !== N.JOIN_INNER) {
    const info = makeOuterJoinInfo(
      root,
      left.qualscope,
      right.qualscope,
      left.innerJoinRels | right.innerJoinRels,
      node.jointype,
      quals,
    );
    ojscope = node.jointype === N.JOIN_SEMI ? 0n : info.minLefthand | info.minRighthand;
    for (const qual of quals) {
      distributeQual(root, qual, belowOuterJoin, qualscope, ojscope, nonnullable);
      yield;
    }
    root.joinInfoList.push(info);
  } else {
    for (const qual of quals) {
      distributeQual(root, qual, belowOuterJoin, qualscope, 0n, 0n);
      yield;
    }
  }
  return { qualscope, innerJoinRels, joinlist: listOfJoin(root, node.jointype, left.joinlist, right.joinlist) };
}

/** Both sides in one list while that is short enough; else, and for FULL, each side is joined by itself first. */
function listOfJoin(
  root: PlannerInfo,
  jointype: N.JoinType,
  left: JoinListItem[],
  right: JoinListItem[],
): JoinListItem[] {
  if (jointype === N.JOIN_FULL) return [[sublist(left), sublist(right)]];
  if (left.length + right.length <= root.env.collapseLimit('join')) return [...left, ...right];
  return [sublist(left), sublist(right)];
}

function sublist(items: JoinListItem[]): JoinListItem {
  return items.length === 1 ? items[0]! : items;
}

/** What an outer join (or semijoin) needs on each side before it can be made. */
function makeOuterJoinInfo(
  root: PlannerInfo,
  leftRels: Relids,
  rightRels: Relids,
  innerJoinRels: Relids,
  jointype: N.JoinType,
  clause: readonly Expr[],
): SpecialJoinInfo {
  const base = { synLefthand: leftRels, synRighthand: rightRels, jointype, delayUpperJoins: false };
  if (jointype === N.JOIN_FULL) return { ...base, minLefthand: leftRels, minRighthand: rightRels, lhsStrict: false };
  const clauseRelids = relidsOf(root, clause);
  let strictRelids = 0n;
  for (const varno of findNonnullableRels(root.env, clause)) strictRelids |= relidOf(root, varno);
  let minLefthand = clauseRelids & leftRels;
  let minRighthand = (clauseRelids | innerJoinRels) & rightRels;
  const semi = (t: N.JoinType): boolean => t === N.JOIN_SEMI || t === N.JOIN_ANTI;
  for (const other of root.joinInfoList) {
    const whole = other.synLefthand | other.synRighthand;
    if (other.jointype === N.JOIN_FULL) {
      if ((leftRels & whole) !== 0n) minLefthand |= whole;
      if ((rightRels & whole) !== 0n) minRighthand |= whole;
      continue;
    }
    if (
      (leftRels & other.synRighthand) !== 0n &&
      (clauseRelids & other.synRighthand) !== 0n &&
      (semi(jointype) || (strictRelids & other.minRighthand) === 0n)
    ) {
      minLefthand |= whole;
    }
    if ((rightRels & other.synRighthand) !== 0n) {
      if (
        (clauseRelids & other.synRighthand) !== 0n ||
        (clauseRelids & other.minLefthand) === 0n ||
        semi(jointype) ||
        semi(other.jointype) ||
        !other.lhsStrict ||
        other.delayUpperJoins
      )
        minRighthand |= whole;
    }
  }
  if (minLefthand === 0n) minLefthand = leftRels;
  if (minRighthand === 0n) minRighthand = rightRels;
  // Rows of the left side must not be assembled from relations that this join nulls.
  return {
    ...base,
    minLefthand: minLefthand & leftRels,
    minRighthand: minRighthand & rightRels,
    lhsStrict: (strictRelids & leftRels) !== 0n,
  };
}

/** Widens relids so that a condition is not evaluated below an outer join that may null its input. */
function checkOuterjoinDelay(
  root: PlannerInfo,
  relids: Relids,
  isPushedDown: boolean,
): { relids: Relids; nullable: Relids } {
  let current = relids;
  let nullable = 0n;
  const { joinInfoList } = root;
  for (let again = true; again; ) {
    again = false;
    // What is needed lies below, and so earlier in the list: one round finds all of a chain.
    for (let n = joinInfoList.length - 1; n >= 0; n--) {
      const info = joinInfoList[n]!;
      if (info.jointype === N.JOIN_SEMI) continue;
      const nulled = info.jointype === N.JOIN_FULL ? info.minLefthand | info.minRighthand : info.minRighthand;
      if ((current & nulled) === 0n) continue;
      const need = info.minLefthand | info.minRighthand;
      if (!isSubset(need, current)) {
        current |= need;
        again = true;
      }
      nullable |= nulled;
      if (isPushedDown && info.jointype !== N.JOIN_FULL && (current & info.minLefthand) !== 0n)
        info.delayUpperJoins = true;
    }
  }
  return { relids: current, nullable: nullable & current };
}

function distributeQual(
  root: PlannerInfo,
  clause: Expr,
  belowOuterJoin: boolean,
  qualscope: Relids,
  ojscope: Relids,
  nonnullable: Relids,
): void {
  let relids = relidsOf(root, clause);
  let pseudoconstant = false;
  if (relids === 0n) {
    if (ojscope !== 0n) relids = ojscope;
    else if (containVolatileFunctions(root.env, clause) || belowOuterJoin) relids = qualscope;
    else {
      relids = qualscope;
      pseudoconstant = true;
    }
  }
  let isPushedDown = true;
  let maybeEquivalence = !belowOuterJoin;
  let outerRelids = 0n;
  let nullableRelids: Relids;
  if ((relids & nonnullable) !== 0n && !(pseudoconstant && ojscope === 0n)) {
    isPushedDown = false;
    maybeEquivalence = false;
    outerRelids = nonnullable;
    nullableRelids = checkOuterjoinDelay(root, relids, false).nullable;
    // Exactly at its join: below it would lose rows that the join keeps, above it keep none of its sense.
    relids = ojscope;
  } else {
    const delay = checkOuterjoinDelay(root, relids, true);
    relids = delay.relids;
    nullableRelids = delay.nullable;
    if (nullableRelids !== 0n) maybeEquivalence = false;
  }
  addVarsToTargetlist(root, [clause]);
  const rinfo = makeRestrictInfo(root, clause, {
    requiredRelids: relids,
    isPushedDown,
    outerRelids,
    nullableRelids,
    pseudoconstant,
  });
  if (maybeEquivalence && rinfo.mergeFamilies.length > 0 && processEquivalence(root, rinfo)) return;
  distributeRestrictInfo(root, rinfo);
}

/** To its relation if it needs but one, else to the join clauses of all it needs. */
function distributeRestrictInfo(root: PlannerInfo, rinfo: RestrictInfo): void {
  const { requiredRelids } = rinfo;
  const single = (requiredRelids & (requiredRelids - 1n)) === 0n;
  for (const rel of root.rels) {
    if (rel === undefined || (rel.relids & requiredRelids) === 0n) continue;
    if (single) rel.baserestrictinfo.push(rinfo);
    else rel.joininfo.push(rinfo);
  }
}
