/**
 * Final references (setrefs.c): the Vars of a finished level become references to the rows their node
 * reads, and the level's range table is appended to the statement's.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { Slices } from '@pgtroupe/common/slices';
import { equalNodes, exprCollation, exprType, exprTypmod } from '@pgtroupe/nodes/nodefuncs';
import type { Node } from '@pgtroupe/nodes/parsenodes';
import type { Expr, TargetEntry, Var } from '@pgtroupe/nodes/primnodes';
import type { PlannerInfo } from './pathnodes.ts';
import { INNER_VAR, OUTER_VAR, type Plan } from './plannodes.ts';
import { mutateExpr } from './var.ts';

/** A child's target list, to look expressions up in. */
class TlistIndex {
  readonly #vars = new Map<string, TargetEntry>();
  readonly #others: TargetEntry[] = [];
  readonly #tlist: readonly TargetEntry[];
  readonly #varno: number;

  constructor(tlist: readonly TargetEntry[], varno: number) {
    this.#tlist = tlist;
    this.#varno = varno;
    for (const tle of tlist) {
      if (tle.expr.type === 'Var') {
        const key = `${tle.expr.varno}.${tle.expr.varattno}`;
        if (!this.#vars.has(key)) this.#vars.set(key, tle);
      } else if (tle.expr.type !== 'Const') this.#others.push(tle);
    }
  }

  /**
   * The entry that is grouped, sorted or made distinct by as this one is: of two that are equal one may be null where the
   * other is not (GROUPING SETS), and constants are told apart by nothing else.
   */
  findSortGroupRef({ expr, ressortgroupref }: TargetEntry): Var | undefined {
    if (ressortgroupref === 0) return undefined;
    const tle = this.#tlist.find(
      t => t.ressortgroupref === ressortgroupref && equalNodes(t.expr as Node, expr as Node),
    );
    return tle === undefined ? undefined : reference(tle, this.#varno);
  }

  find(expr: Expr): Var | undefined {
    const tle =
      expr.type === 'Var'
        ? this.#vars.get(`${expr.varno}.${expr.varattno}`)
        : this.#others.find(t => equalNodes(t.expr as Node, expr as Node));
    return tle === undefined ? undefined : reference(tle, this.#varno);
  }
}

function reference(tle: TargetEntry, varno: number): Var {
  return {
    type: 'Var',
    varno,
    varattno: tle.resno,
    vartype: exprType(tle.expr),
    vartypmod: exprTypmod(tle.expr),
    varcollid: exprCollation(tle.expr),
    varlevelsup: 0,
    varnosyn: 0,
    varattnosyn: 0,
    location: -1,
  };
}

export function* setPlanReferences(root: PlannerInfo, top: Plan): Slices<void> {
  const offset = root.glob.finalrtable.length;
  root.glob.finalrtable.push(...root.rtable);

  const scanExpr = (expr: Expr): Expr =>
    mutateExpr(expr as Node, n =>
      n.type === 'Var' && n.varno > 0 ? { ...n, varno: n.varno + offset } : undefined,
    ) as Expr;
  const fix = (expr: Expr, outer: TlistIndex, inner: TlistIndex | null): Expr =>
    mutateExpr(expr as Node, n => {
      if (n.type === 'Param' || n.type === 'Const') return n;
      if (isExpr(n)) {
        const found = outer.find(n) ?? inner?.find(n);
        if (found !== undefined) return found;
      }
      if (n.type === 'Var') {
        if (n.varno <= 0) return n;
        throw ereport(ERRCODE.INTERNAL_ERROR, `variable ${n.varno}.${n.varattno} not found in subplan target list`);
      }
      return undefined;
    }) as Expr;
  const list = (tlist: readonly TargetEntry[], change: (e: Expr) => Expr): TargetEntry[] =>
    tlist.map(tle => ({ ...tle, expr: change(tle.expr) }));

  const upper = (tlist: readonly TargetEntry[], outer: TlistIndex): TargetEntry[] =>
    tlist.map(tle => ({ ...tle, expr: outer.findSortGroupRef(tle) ?? fix(tle.expr, outer, null) }));

  /** Tlist as seen by the parent, before references are final. */
  function* visit(plan: Plan): Slices<readonly TargetEntry[]> {
    yield;
    const before = plan.targetlist;
    switch (plan.type) {
      case 'SeqScan':
      case 'IndexScan':
      case 'TidScan':
      case 'FunctionScan':
      case 'ValuesScan':
      case 'CteScan':
      case 'WorkTableScan':
      case 'SubqueryScan':
        plan.scanrelid += offset;
        plan.targetlist = list(before, scanExpr);
        plan.qual = plan.qual.map(scanExpr);
        if (plan.type === 'IndexScan') plan.indexqualorig = plan.indexqualorig.map(scanExpr);
        if (plan.type === 'TidScan') plan.tidquals = plan.tidquals.map(scanExpr);
        break;
      case 'Result': {
        if (plan.lefttree === null) break;
        const outer = new TlistIndex(yield* visit(plan.lefttree), OUTER_VAR);
        plan.targetlist = upper(before, outer);
        plan.qual = plan.qual.map(e => fix(e, outer, null));
        break;
      }
      case 'NestLoop':
      case 'HashJoin': {
        const outer = new TlistIndex(yield* visit(plan.lefttree!), OUTER_VAR);
        const inner = new TlistIndex(yield* visit(plan.righttree!), INNER_VAR);
        const change = (e: Expr): Expr => fix(e, outer, inner);
        plan.targetlist = list(before, change);
        plan.qual = plan.qual.map(change);
        plan.joinqual = plan.joinqual.map(change);
        if (plan.type === 'NestLoop')
          plan.nestParams = plan.nestParams.map(p => ({ ...p, paramval: fix(p.paramval, outer, null) as Var }));
        else {
          plan.hashclauses = plan.hashclauses.map(change);
          plan.hashkeys = plan.hashkeys.map(e => fix(e, outer, null));
          plan.innerhashkeys = plan.innerhashkeys.map(e => fix(e, inner, null));
        }
        break;
      }
      case 'Append':
        for (const child of plan.appendplans) yield* visit(child);
        break;
      case 'RecursiveUnion':
        yield* visit(plan.lefttree!);
        yield* visit(plan.righttree!);
        break;
      case 'ModifyTable': {
        const outer = new TlistIndex(yield* visit(plan.lefttree!), OUTER_VAR);
        const { resultRelation } = plan;
        plan.resultRelation += offset;
        plan.rowMarks = plan.rowMarks.map(m => ({ ...m, rti: m.rti + offset }));
        plan.targetlist = [];
        const own = (e: Expr): Expr =>
          mutateExpr(e as Node, n => {
            if (n.type !== 'Var' || n.varno <= 0) return undefined;
            if (n.varno === resultRelation) return { ...n, varno: n.varno + offset };
            if (n.varno === plan.exclRelRTI) return { ...n, varno: INNER_VAR };
            const found = outer.find(n);
            if (found === undefined)
              throw ereport(ERRCODE.INTERNAL_ERROR, 'RETURNING refers to a column that is not there');
            return found;
          }) as Expr;
        plan.returningList = list(plan.returningList, own);
        plan.withCheckOptions = plan.withCheckOptions.map(w => ({ ...w, qual: own(w.qual) }));
        plan.onConflictSet = list(plan.onConflictSet, own);
        plan.onConflictWhere = plan.onConflictWhere === null ? null : own(plan.onConflictWhere);
        if (plan.exclRelRTI > 0) plan.exclRelRTI += offset;
        return before;
      }
      default: {
        // One child, expressions over its columns.
        const child = yield* visit(plan.lefttree!);
        const outer = new TlistIndex(child, OUTER_VAR);
        if (plan.type === 'Agg' || plan.type === 'WindowAgg' || plan.type === 'ProjectSet')
          plan.targetlist = upper(before, outer);
        else plan.targetlist = before.map((tle, i) => ({ ...tle, expr: reference(child[i] ?? tle, OUTER_VAR) }));
        plan.qual = plan.qual.map(e => fix(e, outer, null));
        if (plan.type === 'LockRows') plan.rowMarks = plan.rowMarks.map(m => ({ ...m, rti: m.rti + offset }));
      }
    }
    return before;
  }
  yield* visit(top);
}

function isExpr(n: Node): n is Expr {
  return n.type !== 'Query' && n.type !== 'TargetEntry' && n.type !== 'SortGroupClause' && n.type !== 'CaseWhen';
}
