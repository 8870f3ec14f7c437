/**
 * GROUPING SETS, ROLLUP and CUBE written out as a plain list of sets (expand_grouping_sets).
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import * as N from '@pgtroupe/nodes/nodes';
import type { GroupingSet, Query } from '@pgtroupe/nodes/parsenodes';

const MAX_SETS = 4096;

/** The sets of tleSortGroupRefs one node stands for. */
function expand(node: GroupingSet): number[][] {
  const refs = (item: GroupingSet | number): number[][] => (typeof item === 'number' ? [[item]] : expand(item));
  switch (node.kind) {
    case N.GROUPING_SET_EMPTY:
      return [[]];
    case N.GROUPING_SET_SIMPLE:
      return [node.content as number[]];
    case N.GROUPING_SET_ROLLUP: {
      const parts = node.content.map(item => refs(item)[0]!);
      const sets: number[][] = [];
      for (let n = parts.length; n >= 0; n--) sets.push(parts.slice(0, n).flat());
      return sets;
    }
    case N.GROUPING_SET_CUBE: {
      const parts = node.content.map(item => refs(item)[0]!);
      const sets: number[][] = [];
      for (let bits = 2 ** parts.length - 1; bits >= 0; bits--)
        sets.push(parts.filter((_, i) => (bits & (1 << i)) !== 0).flat());
      return sets;
    }
    default:
      return node.content.flatMap(refs);
  }
}

/** All sets of the query, in the order their rows are asked for. */
function groupingSetLists(query: Query): number[][] {
  let lists: number[][] = [[]];
  for (const node of query.groupingSets) {
    const more = expand(node);
    lists = lists.flatMap(a => more.map(b => [...new Set([...a, ...b])]));
    if (lists.length > MAX_SETS)
      throw ereport(ERRCODE.STATEMENT_TOO_COMPLEX, `too many grouping sets present (maximum ${MAX_SETS})`);
  }
  if (!query.groupDistinct) return lists;
  const seen = new Set<string>();
  return lists.filter(list => {
    const key = [...list].sort((a, b) => a - b).join(',');
    return seen.has(key) ? false : (seen.add(key), true);
  });
}

/** Replaces the query's grouping set nodes by the list. */
export function expandGroupingSets(query: Query): Query {
  const sets = groupingSetLists(query).map(
    (content): GroupingSet => ({ type: 'GroupingSet', kind: N.GROUPING_SET_SIMPLE, content, location: -1 }),
  );
  return { ...query, groupingSets: [{ type: 'GroupingSet', kind: N.GROUPING_SET_SETS, content: sets, location: -1 }] };
}
