/**
 * Finding and replacing Vars in expressions (optimizer/util/var.c).
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import { mutateChildren, walkChildren } from '@pgtroupe/nodes/nodefuncs';
import type { Node, Query } from '@pgtroupe/nodes/parsenodes';
import type { Aggref, Expr, GroupingFunc, RowExpr, Var, WindowFunc } from '@pgtroupe/nodes/primnodes';
import type { PlannerInfo, Relids } from './pathnodes.ts';

/** Replaces what `change` answers for; where it answers undefined the children are visited. */
export function mutateExpr<E extends Node>(expr: E, change: (node: Node) => Node | undefined): E {
  const replaced = change(expr);
  if (replaced !== undefined) return replaced as E;
  return mutateChildren(expr, child => mutateExpr(child, change));
}

/** Calls `visit` top-down; it answers true to stop everything, false to leave out the children. */
export function walkExpr(node: Node, visit: (node: Node) => boolean | undefined): boolean {
  const answer = visit(node);
  if (answer !== undefined) return answer;
  return walkChildren(node, child => walkExpr(child, visit));
}

/** Range table indexes of this level's Vars, looking into subqueries (`levelsup` deep in them). */
export function pullVarnos(node: Node | readonly Node[], levelsup = 0): Set<number> {
  const found = new Set<number>();
  const visit = (n: Node, level: number): void => {
    if (n.type === 'Var') {
      if (n.varlevelsup === level) found.add(n.varno);
      return;
    }
    if (n.type === 'Query') {
      walkQuery(n, child => visit(child, level + 1));
      return;
    }
    walkChildren(n, child => {
      visit(child, level);
      return false;
    });
  };
  for (const n of Array.isArray(node) ? (node as readonly Node[]) : [node as Node]) visit(n, levelsup);
  return found;
}

/** The expressions and subqueries of a query, each handed to `visit`. */
function walkQuery(query: Query, visit: (node: Node) => void): void {
  walkChildren(query, child => {
    visit(child);
    return false;
  });
}

/** Relations mentioned by an expression that was prepared for this level. */
export function relidsOf(root: PlannerInfo, expr: Expr | readonly Expr[]): Relids {
  let relids = 0n;
  const visit = (n: Node): boolean | undefined => {
    if (n.type !== 'Var') return undefined;
    if (n.varlevelsup === 0) relids |= relidOf(root, n.varno);
    return false;
  };
  if (Array.isArray(expr)) for (const e of expr as readonly Expr[]) walkExpr(e, visit);
  else walkExpr(expr as Expr, visit);
  return relids;
}

export function relidOf(root: PlannerInfo, varno: number): Relids {
  const bit = root.bitOf[varno];
  return bit === undefined || bit < 0 ? 0n : 1n << BigInt(bit);
}

export const RECURSE_AGGREGATES = 1;
export const RECURSE_WINDOWFUNCS = 2;

/** Vars, and aggregates and window functions unless told to look inside them. */
export function pullVarClause(expr: Node, flags: number): (Var | Aggref | WindowFunc | GroupingFunc)[] {
  const found: (Var | Aggref | WindowFunc | GroupingFunc)[] = [];
  walkExpr(expr, n => {
    if (n.type === 'Var') {
      if (n.varlevelsup !== 0) throw ereport(ERRCODE.INTERNAL_ERROR, 'Upper-level Var found where not expected');
      found.push(n);
      return false;
    }
    if (n.type === 'Aggref' || n.type === 'GroupingFunc') {
      if ((flags & RECURSE_AGGREGATES) !== 0) return undefined;
      found.push(n);
      return false;
    }
    if (n.type === 'WindowFunc') {
      if ((flags & RECURSE_WINDOWFUNCS) !== 0) return undefined;
      found.push(n);
      return false;
    }
    return undefined;
  });
  return found;
}

/** All Vars of this level, within aggregates too. */
export function pullVars(expr: Node): Var[] {
  return pullVarClause(expr, RECURSE_AGGREGATES | RECURSE_WINDOWFUNCS) as Var[];
}

/** Does it mention a Var, aggregate or the like of its own level or above, by depth? */
export function containVarsOfLevel(node: Node | readonly Node[], level: number): boolean {
  const visit = (n: Node, depth: number): boolean => {
    if (n.type === 'Var') return n.varlevelsup === depth;
    if (n.type === 'Aggref' && n.agglevelsup === depth && depth > 0) return true;
    if (n.type === 'RangeTblEntry' && n.rtekind === 6 && n.ctelevelsup === depth && depth > 0) return true;
    if (n.type === 'Query') return walkChildren(n, child => visit(child, depth + 1));
    return walkChildren(n, child => visit(child, depth));
  };
  return Array.isArray(node) ? (node as readonly Node[]).some(n => visit(n, level)) : visit(node as Node, level);
}

/** Does a subquery mention anything of the levels around it (at least `minLevels` up)? */
export function containUpperVars(node: Node | readonly Node[], minLevels = 1): boolean {
  const visit = (n: Node, depth: number): boolean => {
    if (n.type === 'Var') return n.varlevelsup >= depth + minLevels;
    if (n.type === 'Aggref' && n.agglevelsup >= depth + minLevels) return true;
    if (n.type === 'Query') return walkChildren(n, child => visit(child, depth + 1));
    return walkChildren(n, child => visit(child, depth));
  };
  // The node itself stands `0` levels deep: a Query's children are one deeper.
  const start = (n: Node): boolean => (n.type === 'Query' ? walkChildren(n, child => visit(child, 0)) : visit(n, 0));
  return Array.isArray(node) ? (node as readonly Node[]).some(start) : start(node as Node);
}

/** Adds `by` to the level of every upper reference that points out of `node` (IncrementVarSublevelsUp). */
export function incrementVarSublevelsUp<N extends Node>(node: N, by: number, minLevel: number): N {
  const change = (n: Node, min: number): Node => {
    switch (n.type) {
      case 'Var':
        return n.varlevelsup >= min ? { ...n, varlevelsup: n.varlevelsup + by } : n;
      case 'Aggref': {
        const inner = mutateChildren(n, child => change(child, min));
        return inner.agglevelsup >= min ? { ...inner, agglevelsup: inner.agglevelsup + by } : inner;
      }
      case 'GroupingFunc': {
        const inner = mutateChildren(n, child => change(child, min));
        return inner.agglevelsup >= min ? { ...inner, agglevelsup: inner.agglevelsup + by } : inner;
      }
      case 'RangeTblEntry': {
        const inner = mutateChildren(n, child => change(child, min));
        return inner.rtekind === 6 && inner.ctelevelsup >= min
          ? { ...inner, ctelevelsup: inner.ctelevelsup + by }
          : inner;
      }
      case 'Query':
        return mutateChildren(n, child => change(child, min + 1));
      default:
        return mutateChildren(n, child => change(child, min));
    }
  };
  // A query to begin with is where the levels count from.
  return (
    node.type === 'Query' ? mutateChildren(node as Node, child => change(child, minLevel)) : change(node, minLevel)
  ) as N;
}

/** Replaces Vars of join range table entries by what they stand for (flatten_join_alias_vars). */
export function flattenJoinAliasVars<N extends Node>(query: Query, node: N): N {
  const change = (n: Node, level: number): Node => {
    if (n.type === 'Var' && n.varlevelsup === level) {
      const rte = query.rtable[n.varno - 1]!;
      if (rte.rtekind !== 2) return n;
      if (n.varattno === 0) return wholeRowOfJoin(n, level);
      const alias = rte.joinaliasvars[n.varattno - 1];
      if (!alias) throw ereport(ERRCODE.INTERNAL_ERROR, 'join alias of a dropped column');
      const shifted = level === 0 ? alias : incrementVarSublevelsUp(alias, level, 0);
      return change(shifted, level);
    }
    if (n.type === 'Query') return mutateChildren(n, child => change(child, level + 1));
    return mutateChildren(n, child => change(child, level));
  };
  const wholeRowOfJoin = (v: Var, level: number): Node => {
    const rte = query.rtable[v.varno - 1]!;
    const args: Expr[] = [];
    const colnames: string[] = [];
    rte.joinaliasvars.forEach((alias, i) => {
      if (!alias) return;
      const shifted = level === 0 ? alias : incrementVarSublevelsUp(alias, level, 0);
      args.push(change(shifted, level) as Expr);
      colnames.push(rte.eref.colnames[i] ?? '');
    });
    const row: RowExpr = {
      type: 'RowExpr',
      args,
      row_typeid: v.vartype,
      row_format: 2,
      colnames,
      location: v.location,
    };
    return row;
  };
  return change(node, 0) as N;
}
