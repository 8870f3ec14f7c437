/**
 * The names a deparsed query gives its relations and columns. They must all be unique where they have
 * to be, also when tables were altered since the query was stored, and merged columns of JOIN USING
 * must have the same name on both sides.
 */
import { assert } from '@pgtroupe/common/assert';
import { RTE_FUNCTION, RTE_JOIN, RTE_RELATION, RTE_TABLEFUNC } from '@pgtroupe/nodes/nodes';
import type { CommonTableExpr, Query, RangeTblEntry } from '@pgtroupe/nodes/parsenodes';
import type { FromExpr, JoinExpr, JoinTreeNode } from '@pgtroupe/nodes/primnodes';
import { expandRTE } from '@pgtroupe/parser/parse_relation';
import { mbCliplen, stringToText, textToString } from '@pgtroupe/adt/mb/mbutils';
import type { DeparseEnvironment } from './context.ts';

const NAMEDATALEN = 64;

type Name = string | null;

/** The column names of one range table entry; null stands for columns that are gone. */
export class DeparseColumns {
  /** By attribute number less one. */
  colnames: Name[] = [];
  /** What the entry shows now: without dropped columns, with those added since. */
  newColnames: string[] = [];
  isNewCol: boolean[] = [];
  printaliases = false;
  /** Names merged by enclosing joins; no other column may have them. */
  parentUsing: readonly string[] = [];
  /** Of a join: the inputs, and for each column where it comes from (0: not from there). */
  leftrti = 0;
  rightrti = 0;
  leftattnos: number[] = [];
  rightattnos: number[] = [];
  usingNames: string[] = [];

  set(index: number, name: string): void {
    this.expandTo(index + 1);
    this.colnames[index] = name;
  }

  expandTo(count: number): void {
    while (this.colnames.length < count) this.colnames.push(null);
  }
}

export class DeparseNamespace {
  readonly rtable: readonly RangeTblEntry[];
  readonly ctes: readonly CommonTableExpr[];
  rtableNames: readonly Name[] = [];
  columns: readonly DeparseColumns[] = [];
  uniqueUsing = false;
  usingNames: string[] = [];
  /** Parameters of the function whose body this is. */
  readonly function: { readonly name: string; readonly argnames: readonly string[] | null } | null;

  constructor(
    rtable: readonly RangeTblEntry[],
    ctes: readonly CommonTableExpr[] = [],
    fn: DeparseNamespace['function'] = null,
  ) {
    this.rtable = rtable;
    this.ctes = ctes;
    this.function = fn;
  }

  entry(rtindex: number): RangeTblEntry {
    return this.rtable[rtindex - 1] as RangeTblEntry;
  }

  columnsOf(rtindex: number): DeparseColumns {
    return this.columns[rtindex - 1] as DeparseColumns;
  }

  /** What the entry is called; null for a join without an alias. */
  nameOf(rtindex: number): Name {
    return this.rtableNames[rtindex - 1] ?? null;
  }
}

/** Scope of expressions over one relation (constraints, indexes, defaults), or of a plan's: what its joins were called
 *  is asked of neither. */
export function simpleNamespace(env: DeparseEnvironment, rtable: readonly RangeTblEntry[]): DeparseNamespace {
  const dpns = new DeparseNamespace(rtable);
  dpns.rtableNames = chooseRtableNames(env, rtable, []);
  dpns.columns = rtable.map(() => new DeparseColumns());
  rtable.forEach((rte, i) => {
    if (rte.rtekind !== RTE_JOIN) setRelationColumnNames(env, dpns, rte, dpns.columns[i] as DeparseColumns);
  });
  return dpns;
}

export function queryNamespace(
  env: DeparseEnvironment,
  query: Query,
  parents: readonly DeparseNamespace[],
): DeparseNamespace {
  const dpns = new DeparseNamespace(query.rtable, query.cteList);
  dpns.rtableNames = chooseRtableNames(env, query.rtable, parents);
  dpns.columns = query.rtable.map(() => new DeparseColumns());
  if (query.jointree !== null) {
    dpns.uniqueUsing = hasDangerousJoinUsing(dpns, query.jointree);
    setUsingNames(dpns, query.jointree, []);
  }
  query.rtable.forEach((rte, i) => {
    const columns = dpns.columns[i] as DeparseColumns;
    if (rte.rtekind === RTE_JOIN) setJoinColumnNames(dpns, rte, columns);
    else setRelationColumnNames(env, dpns, rte, columns);
  });
  return dpns;
}

/** name_1, name_2, ... the first that is free; the name is cut so that the whole fits. */
function withSuffix(
  name: string,
  first: number,
  isFree: (candidate: string) => boolean,
): { readonly name: string; readonly counter: number } {
  let base = stringToText(name);
  for (let counter = first; ; counter++) {
    const suffix = `_${counter}`;
    if (base.length + suffix.length >= NAMEDATALEN)
      base = base.subarray(0, mbCliplen(base, NAMEDATALEN - 1 - suffix.length));
    const candidate = textToString(base) + suffix;
    if (isFree(candidate)) return { name: candidate, counter };
  }
}

function chooseRtableNames(
  env: DeparseEnvironment,
  rtable: readonly RangeTblEntry[],
  parents: readonly DeparseNamespace[],
): Name[] {
  /** Name to the last number appended to it. */
  const taken = new Map<string, number>();
  for (const parent of parents) for (const name of parent.rtableNames) if (name !== null) taken.set(name, 0);
  return rtable.map(rte => {
    const refname = preferredName(env, rte);
    if (refname === null) return null;
    const last = taken.get(refname);
    if (last === undefined) {
      taken.set(refname, 0);
      return refname;
    }
    const { name, counter } = withSuffix(refname, last + 1, candidate => !taken.has(candidate));
    taken.set(refname, counter);
    taken.set(name, 0);
    return name;
  });
}

function preferredName(env: DeparseEnvironment, rte: RangeTblEntry): Name {
  if (rte.alias !== null) return rte.alias.aliasname;
  if (rte.rtekind === RTE_RELATION) return env.catalog.relation(rte.relid).relname;
  return rte.rtekind === RTE_JOIN ? null : rte.eref.aliasname;
}

function joinInputs(jtnode: JoinTreeNode): readonly JoinTreeNode[] {
  switch (jtnode.type) {
    case 'RangeTblRef':
      return [];
    case 'FromExpr':
      return (jtnode as FromExpr).fromlist;
    case 'JoinExpr':
      return [jtnode.larg, jtnode.rarg];
  }
}

/** Merged columns that are not plain columns of an input: their names must be unique in the query. */
function hasDangerousJoinUsing(dpns: DeparseNamespace, jtnode: JoinTreeNode): boolean {
  if (jtnode.type === 'JoinExpr' && jtnode.alias === null && jtnode.usingClause.length > 0) {
    const { joinmergedcols, joinaliasvars } = dpns.entry(jtnode.rtindex);
    if (joinaliasvars.slice(0, joinmergedcols).some(alias => alias?.type !== 'Var')) return true;
  }
  return joinInputs(jtnode).some(child => hasDangerousJoinUsing(dpns, child));
}

/** From the outermost join inwards, decides the names of merged columns and hands them to the inputs. */
function setUsingNames(dpns: DeparseNamespace, jtnode: JoinTreeNode, parentUsing: readonly string[]): void {
  if (jtnode.type !== 'JoinExpr') {
    for (const child of joinInputs(jtnode)) setUsingNames(dpns, child, parentUsing);
    return;
  }
  const rte = dpns.entry(jtnode.rtindex);
  const columns = dpns.columnsOf(jtnode.rtindex);
  identifyJoinColumns(jtnode, rte, columns);
  const { leftattnos, rightattnos } = columns;
  const left = dpns.columnsOf(columns.leftrti);
  const right = dpns.columnsOf(columns.rightrti);
  const handDown = (i: number, name: string): void => {
    if (leftattnos[i]! > 0) left.set(leftattnos[i]! - 1, name);
    if (rightattnos[i]! > 0) right.set(rightattnos[i]! - 1, name);
  };
  // A join without alias has no names of its own: what is asked of it is asked of its inputs.
  if (rte.alias === null) {
    columns.colnames.forEach((name, i) => {
      if (name !== null) handDown(i, name);
    });
  }
  if (jtnode.usingClause.length > 0) {
    const merged = [...parentUsing];
    columns.expandTo(jtnode.usingClause.length);
    jtnode.usingClause.forEach((written, i) => {
      let name = columns.colnames[i] ?? null;
      if (name === null) {
        name = uniqueColname(rte.alias?.colnames[i] ?? written, dpns, columns);
        if (dpns.uniqueUsing) dpns.usingNames.push(name);
        columns.colnames[i] = name;
      }
      columns.usingNames.push(name);
      merged.push(name);
      handDown(i, name);
    });
    parentUsing = merged;
  }
  left.parentUsing = parentUsing;
  right.parentUsing = parentUsing;
  setUsingNames(dpns, jtnode.larg, parentUsing);
  setUsingNames(dpns, jtnode.rarg, parentUsing);
}

function inputIndex(jtnode: JoinTreeNode): number {
  assert(jtnode.type !== 'FromExpr', 'a join has no FROM list for input');
  return jtnode.rtindex;
}

function identifyJoinColumns(join: JoinExpr, rte: RangeTblEntry, columns: DeparseColumns): void {
  columns.leftrti = inputIndex(join.larg);
  columns.rightrti = inputIndex(join.rarg);
  const count = rte.joinaliasvars.length;
  columns.leftattnos = new Array<number>(count).fill(0);
  columns.rightattnos = new Array<number>(count).fill(0);
  let next = 0;
  for (const attno of rte.joinleftcols) columns.leftattnos[next++] = attno;
  rte.joinrightcols.forEach((attno, i) => {
    columns.rightattnos[i < rte.joinmergedcols ? i : next++] = attno;
  });
}

/** What the entry's columns are really called now; null for dropped ones. */
function realColnames(env: DeparseEnvironment, rte: RangeTblEntry): Name[] {
  if (rte.rtekind === RTE_RELATION) {
    return env.catalog.attributes(rte.relid).map(a => (a.attisdropped ? null : a.attname));
  }
  const names =
    rte.rtekind === RTE_FUNCTION && rte.functions.length > 0
      ? expandRTE(env.pstate, rte, 1, 0, -1, true).names
      : rte.eref.colnames;
  return names.map(name => (name === '' ? null : name));
}

function setRelationColumnNames(
  env: DeparseEnvironment,
  dpns: DeparseNamespace,
  rte: RangeTblEntry,
  columns: DeparseColumns,
): void {
  const real = realColnames(env, rte);
  columns.expandTo(real.length);
  const known = rte.eref.colnames.length;
  let changed = false;
  real.forEach((realName, i) => {
    if (realName === null) return;
    let name = columns.colnames[i] ?? null;
    if (name === null) {
      name = uniqueColname(rte.alias?.colnames[i] ?? realName, dpns, columns);
      columns.colnames[i] = name;
    }
    columns.newColnames.push(name);
    columns.isNewCol.push(i >= known);
    if (name !== realName) changed = true;
  });
  columns.printaliases = printsAliases(rte, changed);
}

function printsAliases(rte: RangeTblEntry, changed: boolean): boolean {
  switch (rte.rtekind) {
    case RTE_RELATION:
      return changed;
    // A function's column names change with the function: they are always printed.
    case RTE_FUNCTION:
      return true;
    case RTE_TABLEFUNC:
      return false;
    default:
      return (rte.alias !== null && rte.alias.colnames.length > 0) || changed;
  }
}

function setJoinColumnNames(dpns: DeparseNamespace, rte: RangeTblEntry, columns: DeparseColumns): void {
  const left = dpns.columnsOf(columns.leftrti);
  const right = dpns.columnsOf(columns.rightrti);
  const { leftattnos, rightattnos } = columns;
  const known = rte.eref.colnames.length;
  columns.expandTo(known);
  let changed = false;
  for (let i = columns.usingNames.length; i < known; i++) {
    const realName =
      leftattnos[i]! > 0
        ? left.colnames[leftattnos[i]! - 1]
        : rightattnos[i]! > 0
          ? right.colnames[rightattnos[i]! - 1]
          : rte.eref.colnames[i];
    if (realName === null || realName === undefined) {
      columns.colnames[i] = null;
      continue;
    }
    if (rte.alias === null) {
      columns.colnames[i] = realName;
      continue;
    }
    let name = columns.colnames[i] ?? null;
    if (name === null) {
      name = uniqueColname(rte.alias.colnames[i] ?? realName, dpns, columns);
      columns.colnames[i] = name;
    }
    if (name !== realName) changed = true;
  }
  if (mergeNewColumns(dpns, rte, columns, left, right)) changed = true;
  columns.printaliases = rte.alias !== null && changed;
}

/** Merged columns first, then what the inputs show; true if a column added since had to be renamed. */
function mergeNewColumns(
  dpns: DeparseNamespace,
  rte: RangeTblEntry,
  columns: DeparseColumns,
  left: DeparseColumns,
  right: DeparseColumns,
): boolean {
  const { leftattnos, rightattnos, colnames } = columns;
  const leftMerged = new Set<number>();
  const rightMerged = new Set<number>();
  let next = 0;
  const add = (name: string, isNew: boolean): void => {
    columns.newColnames.push(name);
    columns.isNewCol.push(isNew);
  };
  while (next < colnames.length && leftattnos[next] !== 0 && rightattnos[next] !== 0) {
    add(colnames[next] as string, false);
    leftMerged.add(leftattnos[next]!);
    rightMerged.add(rightattnos[next]!);
    next++;
  }
  let changed = false;
  const addInput = (input: DeparseColumns, merged: ReadonlySet<number>): void => {
    let attno = 0;
    input.newColnames.forEach((childName, i) => {
      const isNew = input.isNewCol[i] as boolean;
      if (isNew) {
        const name = rte.alias === null ? childName : uniqueColname(childName, dpns, columns);
        if (name !== childName) changed = true;
        add(name, true);
        return;
      }
      while (input.colnames[attno] === null) attno++;
      attno++;
      if (merged.has(attno)) return;
      while (colnames[next] === null) next++;
      add(colnames[next] as string, false);
      next++;
    });
  };
  addInput(left, leftMerged);
  addInput(right, rightMerged);
  return changed;
}

function uniqueColname(name: string, dpns: DeparseNamespace, columns: DeparseColumns): string {
  const isFree = (candidate: string): boolean =>
    !columns.colnames.includes(candidate) &&
    !columns.newColnames.includes(candidate) &&
    !dpns.usingNames.includes(candidate) &&
    !columns.parentUsing.includes(candidate);
  return isFree(name) ? name : withSuffix(name, 1, isFree).name;
}
