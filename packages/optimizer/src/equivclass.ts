/**
 * Equivalence classes: expressions that conditions say are equal (equivclass.c). From them come
 * constants for the other members, join clauses between any two of them, and sort orders that are
 * the same order.
 */
import { BOOLOID } from '@pgtroupe/common/oids';
import { INVALID_OID, type Oid } from '@pgtroupe/common/ids';
import type { Slices } from '@pgtroupe/common/slices';
import { equalNodes, exprCollation, expressionReturnsSet } from '@pgtroupe/nodes/nodefuncs';
import type { Expr, OpExpr } from '@pgtroupe/nodes/primnodes';
import { containAggs, containVolatileFunctions, containWindowFuncs } from './clauses.ts';
import { getOperator, opfamilyMember } from './lsyscache.ts';
import {
  isSubset,
  relidsKey,
  type EquivalenceClass,
  type EquivalenceMember,
  type PlannerInfo,
  type RelOptInfo,
  type Relids,
  type RestrictInfo,
} from './pathnodes.ts';
import { makeRestrictInfo } from './restrictinfo.ts';
import { relidsOf } from './var.ts';

export function canonicalEc(ec: EquivalenceClass): EquivalenceClass {
  let e = ec;
  while (e.merged !== null) e = e.merged;
  return e;
}

/** The expression as the family compares it: relabelled to its input type where that differs only in name. */
function stripRelabel(expr: Expr): Expr {
  return expr.type === 'RelabelType' && exprCollation(expr) === exprCollation(expr.arg) ? stripRelabel(expr.arg) : expr;
}

function sameMember(member: EquivalenceMember, expr: Expr, type: Oid): boolean {
  if (member.type !== type) return false;
  const known = stripRelabel(member.expr);
  const wanted = stripRelabel(expr);
  // Most are told apart at a glance; of hundreds of tables there are many pairs to look at.
  if (known.type === 'Var' && wanted.type === 'Var' && known.varno !== wanted.varno) return false;
  if (known.type === 'Param' && wanted.type === 'Param' && known.paramid !== wanted.paramid) return false;
  return equalNodes(known, wanted);
}

function newClass(root: PlannerInfo, opfamilies: readonly Oid[], collation: Oid): EquivalenceClass {
  const ec: EquivalenceClass = {
    opfamilies,
    collation,
    members: [],
    sources: [],
    implied: new Map(),
    hasConst: false,
    hasVolatile: false,
    relids: 0n,
    sortref: 0,
    merged: null,
  };
  root.eqClasses.push(ec);
  return ec;
}

function addMember(root: PlannerInfo, ec: EquivalenceClass, expr: Expr, type: Oid): EquivalenceMember {
  const relids = relidsOf(root, expr);
  const isConst =
    relids === 0n &&
    !expressionReturnsSet(expr) &&
    !containAggs(expr) &&
    !containWindowFuncs(expr) &&
    !containVolatileFunctions(root.env, expr);
  const member: EquivalenceMember = { expr, relids, isConst, type };
  ec.members.push(member);
  ec.relids |= relids;
  if (isConst) ec.hasConst = true;
  return member;
}

function sameFamilies(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every(f => b.includes(f));
}

/** Takes a clause `a = b` in; false when it must be kept as an ordinary condition. */
export function processEquivalence(root: PlannerInfo, rinfo: RestrictInfo): boolean {
  const clause = rinfo.clause as OpExpr;
  const [left, right] = clause.args as [Expr, Expr];
  // x = x says only that x is not null; leave it alone.
  if (equalNodes(left, right)) return false;
  const op = getOperator(root.env.rows, clause.opno);
  const leftType = op.oprleft;
  const rightType = op.oprright;
  const find = (expr: Expr, type: Oid, relids = relidsOf(root, expr)): EquivalenceClass | undefined =>
    root.eqClasses.find(
      ec =>
        ec.merged === null &&
        !ec.hasVolatile &&
        ec.collation === clause.inputcollid &&
        sameFamilies(ec.opfamilies, rinfo.mergeFamilies) &&
        ec.members.some(m => m.relids === relids && sameMember(m, expr, type)),
    );
  const ec1 = find(left, leftType);
  const ec2 = find(right, rightType);
  if (ec1 !== undefined && ec2 !== undefined) {
    if (ec1 !== ec2) {
      ec1.members.push(...ec2.members);
      ec1.sources.push(...ec2.sources);
      ec1.hasConst ||= ec2.hasConst;
      ec1.relids |= ec2.relids;
      ec2.merged = ec1;
    }
    ec1.sources.push(rinfo);
  } else if (ec1 !== undefined) {
    addMember(root, ec1, right, rightType);
    ec1.sources.push(rinfo);
  } else if (ec2 !== undefined) {
    addMember(root, ec2, left, leftType);
    ec2.sources.push(rinfo);
  } else {
    const ec = newClass(root, rinfo.mergeFamilies, clause.inputcollid);
    addMember(root, ec, left, leftType);
    addMember(root, ec, right, rightType);
    ec.sources.push(rinfo);
  }
  return true;
}

/** The class of a sort expression, made if there is none. */
export function getEclassForSortExpr(
  root: PlannerInfo,
  expr: Expr,
  opfamilies: readonly Oid[],
  type: Oid,
  collation: Oid,
  sortref: number,
): EquivalenceClass {
  const volatile = containVolatileFunctions(root.env, expr);
  for (const ec of root.eqClasses) {
    if (ec.merged !== null || ec.collation !== collation || !sameFamilies(ec.opfamilies, opfamilies)) continue;
    if (ec.hasVolatile && (sortref === 0 || ec.sortref !== sortref)) continue;
    if (volatile !== ec.hasVolatile) continue;
    if (ec.members.some(m => sameMember(m, expr, type))) return ec;
  }
  const ec = newClass(root, opfamilies, collation);
  ec.hasVolatile = volatile;
  ec.sortref = sortref;
  addMember(root, ec, expr, type);
  return ec;
}

/** `a = b` by the class's families, undefined when no operator compares these types. */
/** `a = b`, made once for all joins that are tried. */
function impliedEquality(
  root: PlannerInfo,
  ec: EquivalenceClass,
  a: EquivalenceMember,
  b: EquivalenceMember,
): RestrictInfo | undefined {
  let known = ec.implied.get(a);
  if (known === undefined) ec.implied.set(a, (known = new Map()));
  if (!known.has(b)) known.set(b, makeEquality(root, ec, a, b));
  return known.get(b);
}

function makeEquality(
  root: PlannerInfo,
  ec: EquivalenceClass,
  a: EquivalenceMember,
  b: EquivalenceMember,
): RestrictInfo | undefined {
  for (const family of ec.opfamilies) {
    const opno = opfamilyMember(root.env.rows, family, a.type, b.type, 3);
    if (opno === 0) continue;
    const clause: OpExpr = {
      type: 'OpExpr',
      opno,
      opfuncid: getOperator(root.env.rows, opno).oprcode,
      opresulttype: BOOLOID,
      opretset: false,
      opcollid: INVALID_OID,
      inputcollid: ec.collation,
      args: [a.expr, b.expr],
      location: -1,
    };
    // A clause that was written stands for itself, with all that is known of it.
    const relids = a.relids | b.relids;
    const written = ec.sources.find(s => s.clauseRelids === relids && equalNodes(s.clause, clause));
    return makeRestrictInfo(root, written?.clause ?? clause, { parentEc: ec });
  }
  return undefined;
}

/** Conditions that classes imply for single relations. */
export function* generateBaseImpliedEqualities(
  root: PlannerInfo,
  distribute: (rinfo: RestrictInfo) => void,
): Slices<void> {
  for (const ec of root.eqClasses) {
    yield;
    if (ec.merged !== null || ec.hasVolatile) continue;
    if (ec.hasConst) {
      const constant = ec.members.find(m => m.isConst)!;
      for (const member of ec.members) {
        if (member === constant) continue;
        yield;
        const rinfo = makeEquality(root, ec, member, constant);
        if (rinfo === undefined) {
          // No operator compares these two types: fall back on what was written.
          for (const source of ec.sources) distribute({ ...source, parentEc: null });
          break;
        }
        // Two constants: the whole class is empty unless they are equal.
        if (rinfo.requiredRelids === 0n)
          distribute({ ...rinfo, requiredRelids: ec.relids & -ec.relids, pseudoconstant: true });
        else distribute(rinfo);
      }
    } else {
      const previous = new Map<string, EquivalenceMember>();
      for (const member of ec.members) {
        if (member.relids === 0n || (member.relids & (member.relids - 1n)) !== 0n) continue;
        const key = relidsKey(member.relids);
        const before = previous.get(key);
        if (before !== undefined) {
          const rinfo = makeEquality(root, ec, before, member);
          if (rinfo !== undefined) distribute(rinfo);
        }
        previous.set(key, member);
      }
    }
  }
}

/** Join clauses that classes without a constant imply between two sides of a join. */
export function generateJoinImpliedEqualities(
  root: PlannerInfo,
  joinRelids: Relids,
  outerRelids: Relids,
  innerRelids: Relids,
): RestrictInfo[] {
  const result: RestrictInfo[] = [];
  for (const ec of root.joinScope.eqClasses) {
    if (ec.hasVolatile || (ec.relids & joinRelids) === 0n) continue;
    const outer: EquivalenceMember[] = [];
    const inner: EquivalenceMember[] = [];
    const fresh: EquivalenceMember[] = [];
    for (const m of ec.members) {
      if (m.relids === 0n || !isSubset(m.relids, joinRelids)) continue;
      if (isSubset(m.relids, outerRelids)) outer.push(m);
      else if (isSubset(m.relids, innerRelids)) inner.push(m);
      else fresh.push(m);
    }
    if (outer.length > 0 && inner.length > 0) {
      const best = bestEquality(root, ec, outer, inner);
      if (best !== undefined) result.push(best);
    }
    // Members that need both sides become known here: each must equal one known before, or the one before it.
    let known = outer[0] ?? inner[0];
    for (const m of fresh) {
      const rinfo = known && impliedEquality(root, ec, known, m);
      if (rinfo !== undefined) result.push(rinfo);
      known = m;
    }
  }
  return result;
}

const BEST_SCORE = 3;

function bestEquality(
  root: PlannerInfo,
  ec: EquivalenceClass,
  outer: readonly EquivalenceMember[],
  inner: readonly EquivalenceMember[],
): RestrictInfo | undefined {
  let best: RestrictInfo | undefined;
  for (const a of outer) {
    for (const b of inner) {
      const rinfo = impliedEquality(root, ec, a, b);
      if (rinfo === undefined || (best !== undefined && score(rinfo) <= score(best))) continue;
      best = rinfo;
      if (score(best) === BEST_SCORE) return best;
    }
  }
  return best;
}

function score(rinfo: RestrictInfo): number {
  const [a, b] = (rinfo.clause as OpExpr).args as [Expr, Expr];
  return (a.type === 'Var' ? 1 : 0) + (b.type === 'Var' ? 1 : 0) + (rinfo.hashable ? 1 : 0);
}

/** Clauses `column = something of another relation` that classes imply for an index column. */
export function generateImpliedEqualitiesForColumn(
  root: PlannerInfo,
  rel: RelOptInfo,
  matches: (expr: Expr, type: Oid) => boolean,
): RestrictInfo[] {
  const result: RestrictInfo[] = [];
  for (const ec of root.eqClasses) {
    if (ec.merged !== null || ec.hasVolatile || ec.hasConst || ec.members.length < 2) continue;
    if ((ec.relids & rel.relids) === 0n) continue;
    const own = ec.members.find(m => m.relids === rel.relids && matches(m.expr, m.type));
    if (own === undefined) continue;
    for (const other of ec.members) {
      if (other === own || (other.relids & rel.relids) !== 0n || (other.relids & rel.paramSources) === 0n) continue;
      const rinfo = impliedEquality(root, ec, own, other);
      if (rinfo !== undefined) result.push(rinfo);
    }
  }
  return result;
}

export function haveRelevantEclassJoinclause(root: PlannerInfo, a: Relids, b: Relids): boolean {
  return root.joinScope.eqClasses.some(
    ec =>
      ec.members.some(m => m.relids !== 0n && isSubset(m.relids, a)) &&
      ec.members.some(m => m.relids !== 0n && isSubset(m.relids, b)),
  );
}
