/**
 * What the join search looks at while it joins one list: of hundreds of outer joins and classes of equals those that
 * concern more than one of the list's items. The others are done with, or have their turn in another list.
 */
import { isSubset, type JoinScope, type PlannerInfo, type RelOptInfo, type Relids } from './pathnodes.ts';

export function joinScopeOf(root: PlannerInfo, items: readonly RelOptInfo[]): JoinScope {
  const whole = items.reduce((relids, item) => relids | item.relids, 0n);
  /** Has it a part in this list, and not inside of one item alone? */
  const concerns = (relids: Relids): boolean =>
    (relids & whole) !== 0n && !items.some(item => isSubset(relids, item.relids));
  return {
    joinInfos: root.joinInfoList.filter(info => concerns(info.minLefthand | info.minRighthand)),
    eqClasses: root.eqClasses.filter(
      ec =>
        ec.merged === null &&
        !ec.hasConst &&
        ec.members.length > 1 &&
        concerns(ec.relids) &&
        concerns(ec.members.reduce((known, m) => (isSubset(m.relids, whole) ? known | m.relids : known), 0n)),
    ),
    reach: new Map(),
  };
}

/** Every relation that a condition, an outer join or LATERAL might join it with, and perhaps more. */
export function reachOf(root: PlannerInfo, rel: RelOptInfo): Relids {
  const { joinInfos, eqClasses, reach } = root.joinScope;
  let relids = reach.get(rel);
  if (relids !== undefined) return relids;
  relids = rel.lateralRelids;
  for (const r of rel.joininfo) relids |= r.requiredRelids;
  for (const ec of eqClasses)
    if (ec.members.some(m => m.relids !== 0n && isSubset(m.relids, rel.relids))) relids |= ec.relids;
  for (const { minLefthand, minRighthand } of joinInfos)
    if (((minLefthand | minRighthand) & rel.relids) !== 0n) relids |= minLefthand | minRighthand;
  reach.set(rel, relids);
  return relids;
}
