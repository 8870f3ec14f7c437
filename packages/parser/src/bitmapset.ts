/** Sets of small integers as ascending arrays: what RangeTblEntry's column sets are. */

export function bmsAddMember(set: readonly number[], member: number): readonly number[] {
  if (set.includes(member)) return set;
  return [...set, member].sort((a, b) => a - b);
}
