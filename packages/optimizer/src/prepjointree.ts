/**
 * Reshaping the join tree before planning (prepjointree.c): IN and EXISTS become semijoins, simple
 * subqueries and views are merged into their parent, outer joins become inner where a condition above
 * rejects the null-extended rows anyway.
 *
 * Nodes are never changed in place: a stored view's tree may be shared.
 */
import { makeVar } from '@pgtroupe/nodes/makefuncs';
import { exprCollation, exprType, exprTypmod, mutateChildren, walkChildren } from '@pgtroupe/nodes/nodefuncs';
import * as N from '@pgtroupe/nodes/nodes';
import { makeRangeTblEntry } from '@pgtroupe/nodes/makefuncs';
import type { Node, Query, RangeTblEntry } from '@pgtroupe/nodes/parsenodes';
import type { Expr, FromExpr, JoinExpr, JoinTreeNode, RowExpr, SubLink, TargetEntry } from '@pgtroupe/nodes/primnodes';
import { containVolatileFunctions, findNonnullableRels, makeAndsExplicit, makeAndsImplicit } from './clauses.ts';
import type { PlannerEnv } from './pathnodes.ts';
import { containUpperVars, containVarsOfLevel, incrementVarSublevelsUp, mutateExpr, pullVarnos } from './var.ts';

// ---- helpers --------------------------------------------------------------------------------------

function relidsInJointree(node: JoinTreeNode | null, into = new Set<number>()): Set<number> {
  if (node === null) return into;
  if (node.type === 'RangeTblRef') into.add(node.rtindex);
  else if (node.type === 'FromExpr') for (const item of node.fromlist) relidsInJointree(item, into);
  else {
    relidsInJointree(node.larg, into);
    relidsInJointree(node.rarg, into);
  }
  return into;
}

/** Adds `by` to all range table indexes that belong to the level of `node` (OffsetVarNodes). */
function offsetVarNodes<T extends Node>(node: T, by: number, startLevel: number): T {
  const change = (n: Node, level: number): Node => {
    switch (n.type) {
      case 'Var':
        return n.varlevelsup === level
          ? { ...n, varno: n.varno + by, varnosyn: n.varnosyn > 0 ? n.varnosyn + by : n.varnosyn }
          : n;
      case 'RangeTblRef':
        return level === 0 ? { ...n, rtindex: n.rtindex + by } : n;
      case 'JoinExpr': {
        const inner = mutateChildren(n, child => change(child, level));
        return level === 0 && inner.rtindex > 0 ? { ...inner, rtindex: inner.rtindex + by } : inner;
      }
      case 'RowMarkClause':
        return level === 0 ? { ...n, rti: n.rti + by } : n;
      case 'Query':
        return mutateChildren(n, child => change(child, level + 1));
      default:
        return mutateChildren(n, child => change(child, level));
    }
  };
  return change(node, startLevel) as T;
}

// ---- sublinks -------------------------------------------------------------------------------------

export class JoinTreePreparation {
  readonly #env: PlannerEnv;
  rtable: RangeTblEntry[];
  hasSubLinks: boolean;

  constructor(env: PlannerEnv, rtable: readonly RangeTblEntry[], hasSubLinks: boolean) {
    this.#env = env;
    this.rtable = [...rtable];
    this.hasSubLinks = hasSubLinks;
  }

  /** IN and EXISTS conditions of the tree become joins (pull_up_sublinks). */
  pullUpSublinks(tree: FromExpr): FromExpr {
    const result = this.#sublinksInTree(tree);
    return result.type === 'FromExpr' ? result : { type: 'FromExpr', fromlist: [result], quals: null };
  }

  #sublinksInTree(node: JoinTreeNode): JoinTreeNode {
    if (node.type === 'RangeTblRef') return node;
    if (node.type === 'FromExpr') {
      const fromlist = node.fromlist.map(item => this.#sublinksInTree(item));
      const available = relidsInJointree(node);
      let tree: JoinTreeNode = { type: 'FromExpr', fromlist, quals: null };
      const kept: Expr[] = [];
      for (const qual of makeAndsImplicit(node.quals)) {
        const join = this.#sublinkToJoin(qual, available);
        if (join === undefined) kept.push(qual);
        else tree = { ...join, larg: tree };
      }
      const quals = makeAndsExplicit(kept);
      if (tree.type === 'FromExpr') return { ...tree, quals };
      return { type: 'FromExpr', fromlist: [tree], quals };
    }
    const larg = this.#sublinksInTree(node.larg);
    const rarg = this.#sublinksInTree(node.rarg);
    let join: JoinExpr = { ...node, larg, rarg };
    if (node.jointype !== N.JOIN_INNER && node.jointype !== N.JOIN_LEFT) return join;
    // Conditions of an inner join may use both sides; of a left join only the nullable side.
    const inner = node.jointype === N.JOIN_INNER;
    const available = inner ? relidsInJointree(node) : relidsInJointree(node.rarg);
    const kept: Expr[] = [];
    let above: JoinTreeNode = join;
    for (const qual of makeAndsImplicit(node.quals)) {
      const converted = this.#sublinkToJoin(qual, available);
      if (converted === undefined) kept.push(qual);
      else if (inner) above = { ...converted, larg: above };
      else join = { ...join, rarg: { ...converted, larg: join.rarg } };
    }
    if (kept.length === makeAndsImplicit(node.quals).length) return join;
    const quals = makeAndsExplicit(kept);
    if (!inner) return { ...join, quals };
    return replaceLeftmost(above, join, { ...join, quals });
  }

  /** The join (without its left side) that a conjunct stands for, if it is such a one. */
  #sublinkToJoin(qual: Expr, available: ReadonlySet<number>): JoinExpr | undefined {
    if (qual.type === 'SubLink') {
      if (qual.subLinkType === N.ANY_SUBLINK) return this.#convertAny(qual, available);
      if (qual.subLinkType === N.EXISTS_SUBLINK) return this.#convertExists(qual, false, available);
      return undefined;
    }
    if (qual.type === 'BoolExpr' && qual.boolop === 'not') {
      const arg = qual.args[0]!;
      if (arg.type === 'SubLink' && arg.subLinkType === N.EXISTS_SUBLINK)
        return this.#convertExists(arg, true, available);
    }
    return undefined;
  }

  #convertAny(sublink: SubLink, available: ReadonlySet<number>): JoinExpr | undefined {
    const { subselect, testexpr } = sublink;
    if (testexpr === null || containUpperVars(subselect)) return undefined;
    const upper = pullVarnos(testexpr);
    if (upper.size === 0 || [...upper].some(varno => !available.has(varno))) return undefined;
    if (containVolatileFunctions(this.#env, testexpr)) return undefined;
    const colnames = subselect.targetList.filter(tle => !tle.resjunk).map(tle => tle.resname ?? '?column?');
    const rtindex = this.#append(
      makeRangeTblEntry({
        rtekind: N.RTE_SUBQUERY,
        subquery: subselect,
        alias: { type: 'Alias', aliasname: 'ANY_subquery', colnames: [] },
        eref: { type: 'Alias', aliasname: 'ANY_subquery', colnames },
      }),
    );
    const quals = mutateExpr(testexpr as Node, n => {
      if (n.type !== 'Param' || n.paramkind !== N.PARAM_SUBLINK) return undefined;
      return subqueryVar(rtindex, subselect.targetList[n.paramid - 1]!);
    }) as Expr;
    return semijoin(N.JOIN_SEMI, { type: 'RangeTblRef', rtindex }, quals);
  }

  #convertExists(sublink: SubLink, underNot: boolean, available: ReadonlySet<number>): JoinExpr | undefined {
    const simple = simplifyExistsQuery(sublink.subselect);
    if (simple === undefined || simple.jointree === null || simple.jointree.fromlist.length === 0) return undefined;
    const where = simple.jointree.quals;
    const bare: Query = { ...simple, jointree: { ...simple.jointree, quals: null } };
    if (where === null || containUpperVars(bare) || !containVarsOfLevel(where, 1)) return undefined;
    if (containVolatileFunctions(this.#env, where)) return undefined;
    const offset = this.rtable.length;
    const shift = <T extends Node>(node: T): T => incrementVarSublevelsUp(offsetVarNodes(node, offset, 0), -1, 1);
    const quals = shift(where as Node) as Expr;
    for (const varno of pullVarnos(quals)) if (varno <= offset && !available.has(varno)) return undefined;
    const from = bare.jointree!.fromlist.map(item => shift(item as Node) as JoinTreeNode);
    for (const rte of simple.rtable) this.rtable.push(shiftRte(rte, offset));
    const rarg: JoinTreeNode = from.length === 1 ? from[0]! : { type: 'FromExpr', fromlist: from, quals: null };
    if (simple.hasSubLinks) this.hasSubLinks = true;
    return semijoin(underNot ? N.JOIN_ANTI : N.JOIN_SEMI, rarg, quals);
  }

  #append(rte: RangeTblEntry): number {
    this.rtable.push(rte);
    return this.rtable.length;
  }
}

/** A range table entry moved one level up, its Vars renumbered. */
function shiftRte(rte: RangeTblEntry, offset: number): RangeTblEntry {
  return incrementVarSublevelsUp(offsetVarNodes(rte as Node, offset, 0), -1, 1) as RangeTblEntry;
}

function replaceLeftmost(tree: JoinTreeNode, old: JoinTreeNode, by: JoinTreeNode): JoinTreeNode {
  if (tree === old) return by;
  return tree.type === 'JoinExpr' ? { ...tree, larg: replaceLeftmost(tree.larg, old, by) } : tree;
}

function semijoin(jointype: N.JoinType, rarg: JoinTreeNode, quals: Expr): JoinExpr {
  return {
    type: 'JoinExpr',
    jointype,
    isNatural: false,
    larg: { type: 'FromExpr', fromlist: [], quals: null },
    rarg,
    usingClause: [],
    join_using_alias: null,
    quals,
    alias: null,
    rtindex: 0,
  };
}

function subqueryVar(rtindex: number, tle: TargetEntry): Expr {
  return makeVar(rtindex, tle.resno, exprType(tle.expr), exprTypmod(tle.expr), exprCollation(tle.expr));
}

/** EXISTS cares for nothing but whether there is a row; undefined when the query is not that simple. */
export function simplifyExistsQuery(query: Query): Query | undefined {
  if (
    query.commandType !== N.CMD_SELECT ||
    query.setOperations !== null ||
    query.hasAggs ||
    query.groupingSets.length > 0 ||
    query.hasWindowFuncs ||
    query.hasTargetSRFs ||
    query.hasModifyingCTE ||
    query.havingQual !== null ||
    query.limitOffset !== null ||
    query.rowMarks.length > 0 ||
    query.cteList.length > 0
  )
    return undefined;
  if (query.limitCount !== null) {
    const count = query.limitCount;
    if (count.type !== 'Const' || count.constisnull || Number(count.constvalue) <= 0) return undefined;
  }
  return {
    ...query,
    targetList: [],
    groupClause: [],
    windowClause: [],
    distinctClause: [],
    sortClause: [],
    hasDistinctOn: false,
    limitCount: null,
    limitOption: N.LIMIT_OPTION_DEFAULT,
  };
}

// ---- subqueries -----------------------------------------------------------------------------------

/** Merges simple subqueries in FROM into the query (pull_up_subqueries). */
export function pullUpSubqueries(env: PlannerEnv, query: Query): Query {
  return query.jointree === null ? query : new SubqueryPullUp(env, query).run(query.jointree);
}

class SubqueryPullUp {
  readonly #env: PlannerEnv;
  #query: Query;
  /** What was merged: conditions of the tree are rewritten when the whole tree has been walked. */
  readonly #merged: {
    readonly rtindex: number;
    readonly targetList: readonly TargetEntry[];
    readonly names: readonly string[];
  }[] = [];

  constructor(env: PlannerEnv, query: Query) {
    this.#env = env;
    this.#query = query;
  }

  run(jointree: FromExpr): Query {
    let tree: Node = this.#visit(jointree, false);
    for (const { rtindex, targetList, names } of this.#merged) tree = replaceVars(tree, rtindex, targetList, names);
    return { ...this.#query, jointree: tree as FromExpr };
  }

  #visit(node: JoinTreeNode, nullable: boolean): JoinTreeNode {
    if (node.type === 'RangeTblRef') {
      const rte = this.#query.rtable[node.rtindex - 1]!;
      if (rte.rtekind !== N.RTE_SUBQUERY || rte.subquery === null || !isSimpleSubquery(this.#env, rte)) return node;
      const sub = prepareSubquery(this.#env, rte.subquery);
      // What is grouped by is null in the sets without it, as below an outer join.
      const nulled = nullable || this.#query.groupingSets.length > 0;
      return canReplace(this.#query, node.rtindex, sub, nulled) ? this.#merge(node.rtindex, sub) : node;
    }
    if (node.type === 'FromExpr') return { ...node, fromlist: node.fromlist.map(item => this.#visit(item, nullable)) };
    const full = node.jointype === N.JOIN_FULL;
    const larg = this.#visit(node.larg, nullable || full || node.jointype === N.JOIN_RIGHT);
    const rarg = this.#visit(node.rarg, nullable || full || node.jointype === N.JOIN_LEFT);
    return { ...node, larg, rarg };
  }

  #merge(rtindex: number, sub: Query): JoinTreeNode {
    const query = this.#query;
    const offset = query.rtable.length;
    const shift = <T extends Node>(node: T): T => incrementVarSublevelsUp(offsetVarNodes(node, offset, 0), -1, 1);
    const targetList = sub.targetList.map(tle => shift(tle));
    const names = query.rtable[rtindex - 1]!.eref.colnames;
    this.#merged.push({ rtindex, targetList, names });
    const rest: Query = {
      ...query,
      jointree: null,
      rtable: [...query.rtable, ...sub.rtable.map(rte => shiftRte(rte, offset))],
    };
    const replaced = replaceVars(rest, rtindex, targetList, names) as Query;
    // The emptied entry stays in its place, so that indexes do not move.
    const rtable = replaced.rtable.map(
      (rte, i): RangeTblEntry => (i === rtindex - 1 ? { ...rte, subquery: null, rtekind: N.RTE_RESULT } : rte),
    );
    this.#query = { ...replaced, rtable, jointree: query.jointree, hasSubLinks: query.hasSubLinks || sub.hasSubLinks };
    return shift(sub.jointree as Node) as JoinTreeNode;
  }
}

/** A subquery's own sublinks and subqueries are pulled up before it is looked at. */
function prepareSubquery(env: PlannerEnv, sub: Query): Query {
  if (!sub.hasSubLinks || sub.jointree === null) return pullUpSubqueries(env, sub);
  const prep = new JoinTreePreparation(env, sub.rtable, true);
  const jointree = prep.pullUpSublinks(sub.jointree);
  return pullUpSubqueries(env, { ...sub, jointree, rtable: prep.rtable });
}

/** May it be merged into the query that it stands in the FROM of? */
export function isSimpleSubquery(env: PlannerEnv, rte: RangeTblEntry): boolean {
  const sub = rte.subquery!;
  if (
    sub.commandType !== N.CMD_SELECT ||
    sub.setOperations !== null ||
    sub.hasAggs ||
    sub.hasWindowFuncs ||
    sub.hasTargetSRFs ||
    sub.groupClause.length > 0 ||
    sub.groupingSets.length > 0 ||
    sub.havingQual !== null ||
    sub.sortClause.length > 0 ||
    sub.distinctClause.length > 0 ||
    sub.limitOffset !== null ||
    sub.limitCount !== null ||
    sub.hasForUpdate ||
    sub.rowMarks.length > 0 ||
    sub.cteList.length > 0 ||
    rte.security_barrier ||
    rte.lateral
  )
    return false;
  if (sub.jointree === null || sub.jointree.fromlist.length === 0) return false;
  return !containVolatileFunctions(
    env,
    sub.targetList.map(tle => tle.expr),
  );
}

/** Below an outer join only plain columns may be substituted: anything else must be nulled as a whole. */
function canReplace(query: Query, rtindex: number, sub: Query, nullable: boolean): boolean {
  if (!nullable) return true;
  if (sub.targetList.some(tle => !tle.resjunk && (tle.expr.type !== 'Var' || tle.expr.varlevelsup !== 0))) return false;
  let wholeRow = false;
  const visit = (n: Node, level: number): boolean => {
    if (n.type === 'Var' && n.varno === rtindex && n.varlevelsup === level && n.varattno === 0) wholeRow = true;
    return walkChildren(n, child => visit(child, n.type === 'Query' && n !== (query as Node) ? level + 1 : level));
  };
  visit(query, 0);
  return !wholeRow;
}

/** Vars of `rtindex` become the expressions of the subquery's target list. */
function replaceVars(node: Node, rtindex: number, targetList: readonly TargetEntry[], names: readonly string[]): Node {
  const change = (n: Node, level: number): Node => {
    if (n.type === 'Var') {
      if (n.varno !== rtindex || n.varlevelsup !== level) return n;
      if (n.varattno === 0) {
        const visible = targetList.filter(tle => !tle.resjunk);
        const row: RowExpr = {
          type: 'RowExpr',
          args: visible.map(tle => incrementVarSublevelsUp(tle.expr, level, 0)),
          row_typeid: n.vartype,
          row_format: 2,
          colnames: visible.map((tle, i) => names[i] ?? tle.resname ?? ''),
          location: n.location,
        };
        return row;
      }
      const tle = targetList.find(t => t.resno === n.varattno)!;
      return level === 0 ? tle.expr : incrementVarSublevelsUp(tle.expr, level, 0);
    }
    if (n.type === 'Query') return mutateChildren(n, child => change(child, level + 1));
    return mutateChildren(n, child => change(child, level));
  };
  return node.type === 'Query' ? mutateChildren(node, child => change(child, 0)) : change(node, 0);
}

// ---- outer joins ----------------------------------------------------------------------------------

/** Outer joins whose null-extended rows are thrown away above become inner; RIGHT becomes LEFT. */
export function reduceOuterJoins(env: PlannerEnv, tree: FromExpr): FromExpr {
  const overlaps = (side: JoinTreeNode, nonnullable: ReadonlySet<number>): boolean => {
    for (const relid of relidsInJointree(side)) if (nonnullable.has(relid)) return true;
    return false;
  };
  const visit = (node: JoinTreeNode, upper: ReadonlySet<number>): JoinTreeNode => {
    if (node.type === 'RangeTblRef') return node;
    if (node.type === 'FromExpr') {
      const nonnullable = new Set([...upper, ...findNonnullableRels(env, makeAndsImplicit(node.quals))]);
      return { ...node, fromlist: node.fromlist.map(item => visit(item, nonnullable)) };
    }
    let { jointype, larg, rarg } = node;
    if (jointype === N.JOIN_FULL) {
      const left = overlaps(larg, upper);
      const right = overlaps(rarg, upper);
      if (left) jointype = right ? N.JOIN_INNER : N.JOIN_LEFT;
      else if (right) jointype = N.JOIN_RIGHT;
    } else if (jointype === N.JOIN_LEFT && overlaps(rarg, upper)) jointype = N.JOIN_INNER;
    else if (jointype === N.JOIN_RIGHT && overlaps(larg, upper)) jointype = N.JOIN_INNER;
    if (jointype === N.JOIN_RIGHT) {
      jointype = N.JOIN_LEFT;
      [larg, rarg] = [rarg, larg];
    }
    const local = jointype === N.JOIN_FULL ? new Set<number>() : findNonnullableRels(env, makeAndsImplicit(node.quals));
    const both = new Set([...upper, ...local]);
    const inner = jointype === N.JOIN_INNER || jointype === N.JOIN_SEMI;
    const none = new Set<number>();
    return {
      ...node,
      jointype,
      larg: visit(larg, inner ? both : jointype === N.JOIN_FULL ? none : upper),
      rarg: visit(rarg, inner ? both : jointype === N.JOIN_FULL ? none : local),
    };
  };
  return visit(tree, new Set()) as FromExpr;
}
