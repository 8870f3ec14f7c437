/**
 * GROUP BY with grouping sets, and the PARTITION BY of windows, which is the same without them.
 */
import { INVALID_OID } from '@pgtroupe/common/ids';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import {
  GROUPING_SET_CUBE,
  GROUPING_SET_EMPTY,
  GROUPING_SET_ROLLUP,
  GROUPING_SET_SETS,
  GROUPING_SET_SIMPLE,
  type GroupingSetKind,
} from '@pgtroupe/nodes/nodes';
import type { TargetEntry } from '@pgtroupe/nodes/primnodes';
import type { GroupingSet, SortGroupClause } from '@pgtroupe/nodes/parsenodes';
import { addTargetToGroupList, findTargetlistEntry, targetIsInSortList } from './parse_clause.ts';
import type { ParseExprKind, ParseState } from './parse_node.ts';
import { rawLocation } from './rawlocation.ts';

const SET_KINDS: Readonly<Record<string, GroupingSetKind>> = {
  GROUPING_SET_EMPTY,
  GROUPING_SET_SIMPLE,
  GROUPING_SET_ROLLUP,
  GROUPING_SET_CUBE,
  GROUPING_SET_SETS,
};

interface Grouping {
  readonly pstate: ParseState;
  readonly tlist: TargetEntry[];
  readonly sortClause: readonly SortGroupClause[];
  readonly kind: ParseExprKind;
  readonly sql99: boolean;
  /** The flat list of all grouping columns. */
  readonly result: SortGroupClause[];
}

/** An item after flattening: an expression, a list written as (a, b), or a grouping set. */
type Item = RawNode | Item[] | FlatSet;

interface FlatSet {
  readonly flat: true;
  readonly kind: GroupingSetKind;
  readonly content: Item[];
  readonly location: number;
}

function isFlatSet(item: Item): item is FlatSet {
  return !Array.isArray(item) && (item as { flat?: boolean }).flat === true;
}

export interface GroupByResult {
  readonly groupClause: SortGroupClause[];
  readonly groupingSets: GroupingSet[];
}

export function transformGroupClause(
  pstate: ParseState,
  grouplist: readonly RawNode[],
  tlist: TargetEntry[],
  sortClause: readonly SortGroupClause[],
  kind: ParseExprKind,
  sql99: boolean,
): GroupByResult {
  const grouping: Grouping = { pstate, tlist, sortClause, kind, sql99, result: [] };
  const hasSets = grouplist.some(raw => raw.type === 'GroupingSet');
  let items = grouplist.flatMap(raw => flattenTop(raw));
  if (items.length === 0 && hasSets) {
    items = [{ flat: true, kind: GROUPING_SET_EMPTY, content: [], location: rawLocation(grouplist) }];
  }
  const groupingSets: GroupingSet[] = [];
  const seen = new Set<number>();
  for (const item of items) {
    if (isFlatSet(item)) {
      groupingSets.push(
        item.kind === GROUPING_SET_EMPTY ? makeSet(item.kind, [], item.location) : transformSet(grouping, item),
      );
      continue;
    }
    const raw = item as RawNode;
    const ref = transformItem(grouping, raw, seen, true);
    if (ref === 0) continue;
    seen.add(ref);
    if (hasSets) groupingSets.push(makeSet(GROUPING_SET_SIMPLE, [ref], rawLocation(raw)));
  }
  return { groupClause: grouping.result, groupingSets };
}

/** PARTITION BY. */
export function transformPartitionClause(
  pstate: ParseState,
  list: readonly RawNode[],
  tlist: TargetEntry[],
  sortClause: readonly SortGroupClause[],
): SortGroupClause[] {
  return transformGroupClause(pstate, list, tlist, sortClause, 'WINDOW_PARTITION', true).groupClause;
}

function makeSet(kind: GroupingSetKind, content: readonly (GroupingSet | number)[], location: number): GroupingSet {
  return { type: 'GroupingSet', kind, content, location };
}

/** Top level: (a, b) is a, b; () disappears; nested GROUPING SETS merge. */
function flattenTop(raw: RawNode): Item[] {
  if (raw.type === 'RowExpr' && raw.row_format === 'COERCE_IMPLICIT_CAST') {
    return ((raw.args as RawNode[] | undefined) ?? []).flatMap(arg => {
      const item = flatten(arg);
      return Array.isArray(item) ? item : [item];
    });
  }
  if (raw.type === 'GroupingSet') {
    if (raw.kind === 'GROUPING_SET_EMPTY') return [];
    return [flattenSet(raw)];
  }
  return [raw];
}

function flattenSet(raw: RawNode): FlatSet {
  const content: Item[] = [];
  for (const child of (raw.content as RawNode[] | undefined) ?? []) {
    if (child.type === 'GroupingSet' && child.kind === 'GROUPING_SET_SETS') content.push(...flattenSet(child).content);
    else content.push(flatten(child));
  }
  return { flat: true, kind: SET_KINDS[raw.kind as string] as GroupingSetKind, content, location: raw.location ?? 0 };
}

function flatten(raw: RawNode): Item {
  if (raw.type === 'RowExpr' && raw.row_format === 'COERCE_IMPLICIT_CAST') {
    return ((raw.args as RawNode[] | undefined) ?? []).flatMap(arg => {
      const item = flatten(arg);
      return Array.isArray(item) ? item : [item];
    });
  }
  return raw.type === 'GroupingSet' ? flattenSet(raw) : raw;
}

function transformSet(grouping: Grouping, set: FlatSet): GroupingSet {
  const content = set.content.map((item): GroupingSet => {
    if (Array.isArray(item)) {
      const seen = new Set<number>();
      const refs: number[] = [];
      for (const raw of item as RawNode[]) {
        const ref = transformItem(grouping, raw, seen, false);
        if (ref === 0) continue;
        seen.add(ref);
        refs.push(ref);
      }
      return makeSet(GROUPING_SET_SIMPLE, refs, rawLocation(item as RawNode[]));
    }
    if (isFlatSet(item))
      return item.kind === GROUPING_SET_EMPTY ? makeSet(item.kind, [], item.location) : transformSet(grouping, item);
    return makeSet(GROUPING_SET_SIMPLE, [transformItem(grouping, item, new Set(), false)], rawLocation(item));
  });
  if (set.kind === GROUPING_SET_CUBE && content.length > 12) {
    throw grouping.pstate.error(ERRCODE.TOO_MANY_COLUMNS, 'CUBE is limited to 12 elements', set.location);
  }
  return makeSet(set.kind, content, set.location);
}

/** Adds one grouping expression; returns its sort-group reference, 0 if it was already in this list. */
function transformItem(grouping: Grouping, raw: RawNode, seenLocal: ReadonlySet<number>, toplevel: boolean): number {
  const { pstate, tlist, result, sortClause } = grouping;
  const tle = findTargetlistEntry(pstate, raw, tlist, grouping.kind, grouping.sql99);
  if (tle.ressortgroupref > 0) {
    if (seenLocal.has(tle.ressortgroupref)) return 0;
    if (targetIsInSortList(pstate, tle, INVALID_OID, result)) return tle.ressortgroupref;
    // Take over ORDER BY's operators, so that one sort can serve both.
    const sort = sortClause.find(clause => clause.tleSortGroupRef === tle.ressortgroupref);
    if (sort) {
      result.push(toplevel ? { ...sort } : { ...sort, nulls_first: false });
      return tle.ressortgroupref;
    }
  }
  addTargetToGroupList(pstate, tle, result, tlist, rawLocation(raw));
  return tle.ressortgroupref;
}
