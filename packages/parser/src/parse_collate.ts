/**
 * Collations, assigned bottom-up after a query's expressions are complete: an explicit COLLATE wins over
 * columns' implicit collations, which win over the default; two different implicit ones conflict, which
 * is an error only where a collation is needed.
 */
import { type Oid, INVALID_OID } from '@pgtroupe/common/ids';
import { DEFAULT_COLLATION_OID } from '@pgtroupe/common/oids';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { makeRelabelType } from '@pgtroupe/nodes/makefuncs';
import { exprCollation, exprLocation, exprType, exprTypmod, walkChildren } from '@pgtroupe/nodes/nodefuncs';
import { COERCE_IMPLICIT_CAST } from '@pgtroupe/nodes/nodes';
import type { Aggref, Expr, TargetEntry } from '@pgtroupe/nodes/primnodes';
import type { Node, Query } from '@pgtroupe/nodes/parsenodes';
import type { ParseState } from './parse_node.ts';

const NONE = 0;
const IMPLICIT = 1;
const CONFLICT = 2;
const EXPLICIT = 3;
type Strength = 0 | 1 | 2 | 3;

interface State {
  readonly pstate: ParseState;
  collation: Oid;
  strength: Strength;
  location: number;
  /** The other collation, in a conflict. */
  collation2: Oid;
  location2: number;
}

function newState(pstate: ParseState): State {
  return { pstate, collation: INVALID_OID, strength: NONE, location: -1, collation2: INVALID_OID, location2: -1 };
}

/** All expressions of a query except those in its range table and CTEs, which have theirs already. */
export function assignQueryCollations(pstate: ParseState, query: Query): void {
  const assign = (node: Node | null) => {
    if (node) assignExprCollations(pstate, node);
  };
  query.targetList.forEach(assign);
  assign(query.onConflict);
  query.returningList.forEach(assign);
  assign(query.jointree);
  assign(query.havingQual);
  assign(query.limitOffset);
  assign(query.limitCount);
  for (const wc of query.windowClause) {
    assign(wc.startOffset);
    assign(wc.endOffset);
  }
}

export function assignListCollations(pstate: ParseState, exprs: readonly Node[]): void {
  for (const expr of exprs) assignExprCollations(pstate, expr);
}

export function assignExprCollations(pstate: ParseState, expr: Node): void {
  walk(expr, newState(pstate));
}

/** The collation for comparing these expressions; with noneOk a conflict yields 0 instead of an error. */
export function selectCommonCollation(pstate: ParseState, exprs: readonly Expr[], noneOk: boolean): Oid {
  const state = newState(pstate);
  for (const expr of exprs) walk(expr, state);
  if (state.strength === CONFLICT) {
    if (noneOk) return INVALID_OID;
    throw conflict(state);
  }
  return state.collation;
}

function collationName(pstate: ParseState, oid: Oid): string {
  return pstate.catalog.collation(oid)?.collname ?? '';
}

function conflict(state: State): Error {
  const { pstate } = state;
  return pstate.error(
    ERRCODE.COLLATION_MISMATCH,
    `collation mismatch between implicit collations "${collationName(pstate, state.collation)}" and "${collationName(pstate, state.collation2)}"`,
    state.location2,
    { hint: 'You can choose the collation by applying the COLLATE clause to one or both expressions.' },
  );
}

function walkInto(node: Node, state: State): void {
  walkChildren(node, child => {
    walk(child, state);
    return false;
  });
}

function walk(node: Node, context: State): void {
  const { pstate } = context;
  const local = newState(pstate);
  let collation = INVALID_OID;
  let strength = NONE as Strength;
  let location = -1;
  const takeLocal = () => {
    ({ collation, strength, location } = local);
  };
  switch (node.type) {
    case 'CollateExpr':
      walkInto(node, local);
      collation = node.collOid;
      strength = EXPLICIT;
      location = node.location;
      break;
    case 'FieldSelect':
      walkInto(node, local);
      if (node.resultcollid !== 0) {
        collation = node.resultcollid;
        strength = IMPLICIT;
        location = exprLocation(node);
      }
      break;
    case 'RowExpr':
      assignListCollations(pstate, node.args);
      return;
    case 'RowCompareExpr':
      node.inputcollids = node.largs.map((larg, i) =>
        selectCommonCollation(pstate, [larg, node.rargs[i] as Expr], true),
      );
      return;
    case 'CoerceToDomain': {
      const typcollation = pstate.catalog.typeCollation(node.resulttype);
      walkInto(node, local);
      if (typcollation === DEFAULT_COLLATION_OID) takeLocal();
      else if (typcollation !== 0) {
        collation = typcollation;
        strength = IMPLICIT;
        location = exprLocation(node);
      }
      node.resultcollid = strength === CONFLICT ? INVALID_OID : collation;
      break;
    }
    case 'TargetEntry':
      walkInto(node, local);
      takeLocal();
      // A sort or group column needs its collation now.
      if (strength === CONFLICT && node.ressortgroupref !== 0) throw conflict(local);
      break;
    case 'InferenceElem':
    case 'RangeTblRef':
    case 'JoinExpr':
    case 'FromExpr':
    case 'OnConflictExpr':
    case 'SortGroupClause':
    case 'MergeAction':
    case 'Alias':
      walkInto(node, local);
      return;
    case 'Query': {
      // A subquery's own expressions are done; its first column's collation counts.
      const first = node.targetList[0];
      if (!first || first.resjunk) return;
      collation = exprCollation(first.expr);
      strength = IMPLICIT;
      location = exprLocation(first.expr);
      break;
    }
    case 'Var':
    case 'Const':
    case 'Param':
    case 'CoerceToDomainValue':
    case 'CaseTestExpr':
    case 'SetToDefault':
    case 'CurrentOfExpr':
      collation = exprCollation(node);
      strength = collation !== 0 ? IMPLICIT : NONE;
      location = exprLocation(node);
      break;
    default: {
      const expr = node as Expr;
      walkOther(expr, local);
      const typcollation = pstate.catalog.typeCollation(exprType(expr));
      if (typcollation !== 0) {
        if (local.strength > NONE) takeLocal();
        else {
          collation = typcollation;
          strength = IMPLICIT;
          location = exprLocation(expr);
        }
      }
      setCollation(expr, strength === CONFLICT ? INVALID_OID : collation);
      setInputCollation(expr, local.strength === CONFLICT ? INVALID_OID : local.collation);
    }
  }
  merge(collation, strength, location, local.collation2, local.location2, context);
}

function walkOther(expr: Expr, local: State): void {
  const { pstate } = local;
  const walkAll = (nodes: readonly (Node | null)[]) => {
    for (const node of nodes) if (node) walk(node, local);
  };
  const assignAll = (nodes: readonly (Node | null)[]) => {
    for (const node of nodes) if (node) assignExprCollations(pstate, node);
  };
  switch (expr.type) {
    case 'Aggref':
      if (expr.aggkind === 'n') {
        for (const tle of expr.args) {
          if (tle.resjunk) assignExprCollations(pstate, tle);
          else walk(tle, local);
        }
      } else if (expr.aggkind === 'o') assignOrderedSet(expr, local);
      else assignHypothetical(expr, local);
      if (expr.aggfilter) assignExprCollations(pstate, expr.aggfilter);
      break;
    case 'WindowFunc':
      walkAll(expr.args);
      if (expr.aggfilter) assignExprCollations(pstate, expr.aggfilter);
      break;
    case 'CaseExpr':
      // The test value has its collation; it does not decide the result's.
      for (const when of expr.args) walkAll([when.expr, when.result]);
      walkAll([expr.defresult]);
      break;
    case 'SubscriptingRef':
      assignAll(expr.refupperindexpr);
      assignAll(expr.reflowerindexpr);
      walkAll([expr.refexpr, expr.refassgnexpr]);
      break;
    default:
      walkInto(expr, local);
  }
}

function mergesSortCollation(expr: Aggref, pstate: ParseState): boolean {
  return expr.args.length === 1 && pstate.catalog.proc(expr.aggfnoid).provariadic === 0;
}

function assignOrderedSet(expr: Aggref, local: State): void {
  const mergeSort = mergesSortCollation(expr, local.pstate);
  for (const arg of expr.aggdirectargs) walk(arg, local);
  for (const tle of expr.args) {
    if (mergeSort) walk(tle, local);
    else assignExprCollations(local.pstate, tle);
  }
}

function assignHypothetical(expr: Aggref, local: State): void {
  const { pstate } = local;
  const mergeSort = mergesSortCollation(expr, pstate);
  const extra = expr.aggdirectargs.length - expr.args.length;
  for (const arg of expr.aggdirectargs.slice(0, extra)) walk(arg, local);
  expr.args.forEach((tle: TargetEntry, i) => {
    const pair = newState(pstate);
    walk(expr.aggdirectargs[extra + i] as Expr, pair);
    walk(tle.expr, pair);
    if (pair.strength === CONFLICT) throw conflict(pair);
    if (pair.collation !== 0 && pair.collation !== exprCollation(tle.expr)) {
      tle.expr = makeRelabelType(
        tle.expr,
        exprType(tle.expr),
        exprTypmod(tle.expr),
        pair.collation,
        COERCE_IMPLICIT_CAST,
      );
    }
    if (mergeSort) merge(pair.collation, pair.strength, pair.location, pair.collation2, pair.location2, local);
  });
}

function setCollation(expr: Expr, collation: Oid): void {
  switch (expr.type) {
    case 'Aggref':
      expr.aggcollid = collation;
      break;
    case 'WindowFunc':
      expr.wincollid = collation;
      break;
    case 'SubscriptingRef':
      expr.refcollid = collation;
      break;
    case 'FuncExpr':
      expr.funccollid = collation;
      break;
    case 'OpExpr':
    case 'DistinctExpr':
    case 'NullIfExpr':
      expr.opcollid = collation;
      break;
    case 'RelabelType':
    case 'CoerceViaIO':
    case 'ArrayCoerceExpr':
      expr.resultcollid = collation;
      break;
    case 'CaseExpr':
      expr.casecollid = collation;
      break;
    case 'ArrayExpr':
      expr.array_collid = collation;
      break;
    case 'CoalesceExpr':
      expr.coalescecollid = collation;
      break;
    case 'MinMaxExpr':
      expr.minmaxcollid = collation;
      break;
    default:
      break;
  }
}

function setInputCollation(expr: Expr, collation: Oid): void {
  switch (expr.type) {
    case 'Aggref':
    case 'WindowFunc':
    case 'FuncExpr':
    case 'OpExpr':
    case 'DistinctExpr':
    case 'NullIfExpr':
    case 'ScalarArrayOpExpr':
    case 'MinMaxExpr':
      expr.inputcollid = collation;
      break;
    default:
      break;
  }
}

function merge(
  collation: Oid,
  strength: Strength,
  location: number,
  collation2: Oid,
  location2: number,
  context: State,
): void {
  if (strength > context.strength) {
    context.collation = collation;
    context.strength = strength;
    context.location = location;
    if (strength === CONFLICT) {
      context.collation2 = collation2;
      context.location2 = location2;
    }
    return;
  }
  if (strength !== context.strength || collation === context.collation) return;
  if (strength === IMPLICIT) {
    if (context.collation === DEFAULT_COLLATION_OID) {
      context.collation = collation;
      context.location = location;
    } else if (collation !== DEFAULT_COLLATION_OID) {
      context.strength = CONFLICT;
      context.collation2 = collation;
      context.location2 = location;
    }
  } else if (strength === EXPLICIT) {
    const { pstate } = context;
    throw pstate.error(
      ERRCODE.COLLATION_MISMATCH,
      `collation mismatch between explicit collations "${collationName(pstate, context.collation)}" and "${collationName(pstate, collation)}"`,
      location,
    );
  }
}
