/**
 * Making RestrictInfos: a condition with what planning needs to know about it.
 */
import { type Oid } from '@pgtroupe/common/ids';
import { exprType } from '@pgtroupe/nodes/nodefuncs';
import type { Expr } from '@pgtroupe/nodes/primnodes';
import { containVolatileFunctions } from './clauses.ts';
import { mergejoinOpfamilies, opHashjoinable } from './lsyscache.ts';
import type { EquivalenceClass, PlannerInfo, Relids, RestrictInfo } from './pathnodes.ts';
import { relidsOf } from './var.ts';

interface Place {
  readonly requiredRelids?: Relids;
  readonly isPushedDown?: boolean;
  readonly outerRelids?: Relids;
  readonly nullableRelids?: Relids;
  readonly pseudoconstant?: boolean;
  readonly parentEc?: EquivalenceClass | null;
}

export function makeRestrictInfo(root: PlannerInfo, clause: Expr, place: Place = {}): RestrictInfo {
  const clauseRelids = relidsOf(root, clause);
  let leftRelids = 0n;
  let rightRelids = 0n;
  let mergeFamilies: readonly Oid[] = [];
  let hashable = false;
  if (clause.type === 'OpExpr' && clause.args.length === 2) {
    leftRelids = relidsOf(root, clause.args[0]!);
    rightRelids = relidsOf(root, clause.args[1]!);
    // A condition without columns is asked once, by itself: it makes nothing equal to anything.
    if (place.pseudoconstant !== true && !containVolatileFunctions(root.env, clause)) {
      mergeFamilies = mergejoinOpfamilies(root.env.rows, clause.opno);
      hashable = opHashjoinable(root.env.rows, clause.opno) && exprType(clause.args[0]!) !== 0;
    }
  }
  return {
    clause,
    clauseRelids,
    leftRelids,
    rightRelids,
    mergeFamilies,
    hashable,
    requiredRelids: place.requiredRelids ?? clauseRelids,
    isPushedDown: place.isPushedDown ?? true,
    outerRelids: place.outerRelids ?? 0n,
    nullableRelids: place.nullableRelids ?? 0n,
    pseudoconstant: place.pseudoconstant ?? false,
    parentEc: place.parentEc ?? null,
  };
}
