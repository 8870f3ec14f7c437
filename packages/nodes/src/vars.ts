/**
 * Questions about variables, aggregates and window functions in a tree, minding query levels: a Var
 * with varlevelsup n inside n nested queries belongs to the level asked about.
 */
import { assert } from '@pgtroupe/common/assert';
import { copyNode, mutateChildren, walkChildren } from './nodefuncs.ts';
import { COERCE_IMPLICIT_CAST, RTE_JOIN } from './nodes.ts';
import type { Expr, Var } from './primnodes.ts';
import type { Node, Query, RangeTblEntry } from './parsenodes.ts';

type Tree = Node | readonly Node[] | null;

/** Visits all nodes; `level` counts the queries entered. Stops when visit returns true. */
function search(tree: Tree, level: number, visit: (node: Node, level: number) => boolean | 'skip'): boolean {
  if (tree === null) return false;
  if (Array.isArray(tree)) return (tree as readonly Node[]).some(node => search(node, level, visit));
  const node = tree as Node;
  const found = visit(node, level);
  if (found === true) return true;
  if (found === 'skip') return false;
  const inner = node.type === 'Query' ? level + 1 : level;
  return walkChildren(node, child => search(child, inner, visit));
}

/**
 * As search, for expressions and for whole queries alike: a Query at the top is level 0 itself.
 */
function searchTop(tree: Tree, level: number, visit: (node: Node, level: number) => boolean | 'skip'): boolean {
  if (tree !== null && !Array.isArray(tree) && (tree as Node).type === 'Query') {
    return walkChildren(tree as Node, child => search(child, level, visit));
  }
  return search(tree, level, visit);
}

/** Does the tree use a variable of the query `levelsup` levels up? */
export function containVarsOfLevel(tree: Tree, levelsup: number): boolean {
  return searchTop(tree, levelsup, (node, level) => {
    if (node.type === 'Var') return node.varlevelsup === level;
    return node.type === 'CurrentOfExpr' && level === 0;
  });
}

/** Byte offset of the first variable of that level, -1 if unknown or none. */
export function locateVarOfLevel(tree: Tree, levelsup: number): number {
  let location = -1;
  searchTop(tree, levelsup, (node, level) => {
    if (node.type === 'Var' && node.varlevelsup === level && node.location >= 0) {
      location = node.location;
      return true;
    }
    return false;
  });
  return location;
}

export function containAggsOfLevel(tree: Tree, levelsup: number): boolean {
  return searchTop(tree, levelsup, (node, level) => {
    return (node.type === 'Aggref' || node.type === 'GroupingFunc') && node.agglevelsup === level;
  });
}

export function locateAggOfLevel(tree: Tree, levelsup: number): number {
  let location = -1;
  searchTop(tree, levelsup, (node, level) => {
    if ((node.type === 'Aggref' || node.type === 'GroupingFunc') && node.agglevelsup === level && node.location >= 0) {
      location = node.location;
      return true;
    }
    return false;
  });
  return location;
}

/** Window functions of this query level; subqueries keep theirs to themselves. */
export function containWindowFuncs(tree: Tree): boolean {
  return search(tree, 0, node => (node.type === 'WindowFunc' ? true : node.type === 'Query' ? 'skip' : false));
}

export function locateWindowFunc(tree: Tree): number {
  let location = -1;
  search(tree, 0, node => {
    if (node.type === 'Query') return 'skip';
    if (node.type === 'WindowFunc' && node.location >= 0) {
      location = node.location;
      return true;
    }
    return false;
  });
  return location;
}

/** A copy of the tree with the level of variables at or above `min` raised by delta. */
function incrementVarSublevelsUp<N extends Node>(tree: N, delta: number, min: number): N {
  const change = (node: Node, level: number): Node => {
    switch (node.type) {
      case 'Var':
        return node.varlevelsup >= level ? { ...node, varlevelsup: node.varlevelsup + delta } : node;
      case 'Aggref':
      case 'GroupingFunc': {
        const copy = mutateChildren(node, child => change(child, level));
        return copy.agglevelsup >= level ? { ...copy, agglevelsup: copy.agglevelsup + delta } : copy;
      }
      case 'CurrentOfExpr':
        return node;
      case 'RangeTblEntry': {
        const copy = mutateChildren(node, child => change(child, level));
        return copy.ctename !== null && copy.ctelevelsup >= level
          ? { ...copy, ctelevelsup: copy.ctelevelsup + delta }
          : copy;
      }
      case 'Query':
        return mutateChildren(node, child => change(child, level + 1));
      default:
        return mutateChildren(node, child => change(child, level));
    }
  };
  if (tree.type === 'Query') return mutateChildren(tree as Node, child => change(child, min)) as N;
  return change(tree, min) as N;
}

/** Replaces references to merged join columns by what the join's inputs make of them. */
export function flattenJoinAliasVars<T extends Node>(query: Query, tree: T): T {
  const change = (node: Node, level: number): Node => {
    if (node.type === 'Var') {
      if (node.varlevelsup !== level) return node;
      const rte = query.rtable[node.varno - 1] as RangeTblEntry;
      if (rte.rtekind !== RTE_JOIN) return node;
      return node.varattno === 0 ? wholeRow(rte, node, level) : aliasOf(rte, node.varattno, node, level);
    }
    if (node.type === 'Query') return mutateChildren(node, child => change(child, level + 1));
    return mutateChildren(node, child => change(child, level));
  };
  const aliasOf = (rte: RangeTblEntry, attno: number, variable: Var, level: number): Expr => {
    const alias = rte.joinaliasvars[attno - 1];
    assert(alias !== null && alias !== undefined, 'a join column that is used exists');
    const raised = level === 0 ? copyNode(alias) : incrementVarSublevelsUp(copyNode(alias), level, 0);
    if (raised.type === 'Var') raised.location = variable.location;
    return change(raised, level) as Expr;
  };
  const wholeRow = (rte: RangeTblEntry, variable: Var, level: number): Expr => {
    const args: Expr[] = [];
    const colnames: string[] = [];
    rte.joinaliasvars.forEach((alias, i) => {
      if (alias === null) return;
      args.push(aliasOf(rte, i + 1, variable, level));
      colnames.push(rte.eref.colnames[i] as string);
    });
    return {
      type: 'RowExpr',
      args,
      row_typeid: variable.vartype,
      row_format: COERCE_IMPLICIT_CAST,
      colnames,
      location: variable.location,
    };
  };
  return change(tree, 0) as T;
}

/** The expression under casts that were added silently. */
export function stripImplicitCoercions(expr: Expr): Expr {
  switch (expr.type) {
    case 'FuncExpr':
      return expr.funcformat === COERCE_IMPLICIT_CAST ? stripImplicitCoercions(expr.args[0] as Expr) : expr;
    case 'RelabelType':
      return expr.relabelformat === COERCE_IMPLICIT_CAST ? stripImplicitCoercions(expr.arg) : expr;
    case 'CoerceViaIO':
    case 'ArrayCoerceExpr':
      return expr.coerceformat === COERCE_IMPLICIT_CAST ? stripImplicitCoercions(expr.arg) : expr;
    case 'ConvertRowtypeExpr':
      return expr.convertformat === COERCE_IMPLICIT_CAST ? stripImplicitCoercions(expr.arg) : expr;
    case 'CoerceToDomain':
      return expr.coercionformat === COERCE_IMPLICIT_CAST ? stripImplicitCoercions(expr.arg) : expr;
    default:
      return expr;
  }
}
