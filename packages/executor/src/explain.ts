/**
 * EXPLAIN in PostgreSQL's text form, and the instrumentation of EXPLAIN ANALYZE.
 *
 * References to child nodes are followed down to the relations, so that conditions read as they were
 * written.
 */
import { INVALID_OID, type Oid } from '@pgtroupe/common/ids';
import { makeRangeTblEntry } from '@pgtroupe/nodes/makefuncs';
import { exprType, mutateChildren } from '@pgtroupe/nodes/nodefuncs';
import * as N from '@pgtroupe/nodes/nodes';
import type { Node, RangeTblEntry } from '@pgtroupe/nodes/parsenodes';
import type { Expr, SubPlan, TargetEntry } from '@pgtroupe/nodes/primnodes';
import { makeAndsExplicit } from '@pgtroupe/optimizer/clauses';
import { orderingOpProperties } from '@pgtroupe/optimizer/lsyscache';
import { INNER_VAR, OUTER_VAR, type Plan, type PlannedStmt } from '@pgtroupe/optimizer/plannodes';
import { walkExpr } from '@pgtroupe/optimizer/var';
import type { FunctionCall } from '@pgtroupe/adt/fmgr';
import { deparseEnvironment, deparseExpr } from '@pgtroupe/ruleutils/deparse';
import type { DeparseEnvironment } from '@pgtroupe/ruleutils/context';
import { type DeparseNamespace, simpleNamespace } from '@pgtroupe/ruleutils/namespace';
import type { PlanState } from './estate.ts';
import { ROW } from './status.ts';

export interface ExplainOptions {
  readonly costs: boolean;
  readonly verbose: boolean;
  /** Counted rows and time per node; from `instrument`. */
  readonly measured?: ReadonlyMap<Plan, Measurement>;
  readonly timing?: boolean;
}

export interface Measurement {
  loops: number;
  rows: number;
  ms: number;
  /** Time of the first row of the first loop. */
  firstMs: number;
  /** What the node tells of its last run. */
  readonly details: () => readonly string[];
}

/** Counts what the nodes below `root` do from now on. `nowMs` is the session's clock. */
export function instrument(roots: readonly PlanState[], nowMs: () => number): Map<Plan, Measurement> {
  const measured = new Map<Plan, Measurement>();
  const wrap = (state: PlanState): void => {
    const m: Measurement = { loops: 0, rows: 0, ms: 0, firstMs: -1, details: () => state.explain() };
    measured.set(state.plan, m);
    let fresh = true;
    const next = state.next.bind(state);
    const rescan = state.rescan.bind(state);
    state.next = max => {
      if (fresh) m.loops++;
      fresh = false;
      const from = nowMs();
      try {
        const status = next(max);
        if (status === ROW) m.rows += state.out.n;
        return status;
      } finally {
        m.ms += nowMs() - from;
        if (m.firstMs < 0) m.firstMs = m.ms;
      }
    };
    state.rescan = changed => {
      fresh = true;
      rescan(changed);
    };
    for (const child of state.children) wrap(child);
  };
  for (const root of roots) wrap(root);
  return measured;
}

/** What stands above a node: plans, and the calls of subplans. */
type Ancestor = Plan | SubPlan;

/** Ids from here on stand for texts of this module. */
const PLACEHOLDER = 1_000_000;
const JOIN_NAMES: Readonly<Record<number, string>> = {
  0: '',
  1: ' Left',
  2: ' Full',
  3: ' Right',
  4: ' Semi',
  5: ' Anti',
};

/** The lines of EXPLAIN. */
export function explainPlan(stmt: PlannedStmt, fc: FunctionCall, options: ExplainOptions): string[] {
  const printer = new PlanPrinter(stmt, fc, options);
  printer.node(stmt.planTree, 0, '', []);
  return printer.lines;
}

class PlanPrinter {
  readonly lines: string[] = [];
  readonly #stmt: PlannedStmt;
  readonly #options: ExplainOptions;
  readonly #env: DeparseEnvironment;
  readonly #scope: readonly DeparseNamespace[];
  readonly #names = new Map<number, string>();
  readonly #prefix: boolean;
  #texts: string[] = [];

  constructor(stmt: PlannedStmt, fc: FunctionCall, options: ExplainOptions) {
    this.#stmt = stmt;
    this.#options = options;
    this.#env = deparseEnvironment(fc);
    this.#collectNames(stmt.planTree);
    for (const { plan } of stmt.subplans) this.#collectNames(plan);
    const rtable = stmt.rtable.map((rte, i): RangeTblEntry => {
      const name = this.#names.get(i + 1) ?? `*${i + 1}`;
      const alias = { type: 'Alias', aliasname: name, colnames: rte.eref.colnames } as const;
      return rte.rtekind === N.RTE_RELATION
        ? { ...rte, alias: { ...alias, colnames: [] }, eref: alias }
        : makeRangeTblEntry({ rtekind: N.RTE_VALUES, alias, eref: alias });
    });
    this.#scope = [simpleNamespace(this.#env, rtable)];
    this.#prefix = this.#names.size > 1 || options.verbose;
  }

  #collectNames(plan: Plan): void {
    if ('scanrelid' in plan) this.#addName(plan.scanrelid);
    if (plan.type === 'ModifyTable') this.#addName(plan.resultRelation);
    for (const child of childPlans(plan)) this.#collectNames(child);
  }

  #addName(rti: number): void {
    if (this.#names.has(rti)) return;
    const rte = this.#stmt.rtable[rti - 1]!;
    const base = rte.rtekind === N.RTE_VALUES && rte.alias === null ? '*VALUES*' : rte.eref.aliasname;
    const taken = new Set(this.#names.values());
    let name = base;
    for (let n = 1; taken.has(name); n++) name = `${base}_${n}`;
    this.#names.set(rti, name);
  }

  // ---- nodes ---------------------------------------------------------------------------------------------

  /** `indent` counts two spaces each; `ancestors` are the nodes above, nearest first, for parameters. */
  node(whole: Plan, at: number, label: string, ancestors: readonly Ancestor[]): void {
    let indent = at;
    if (label !== '') this.#line(indent++, label);
    const plan = neverRuns(whole) ? { ...whole, ...NOTHING } : whole;
    this.#line(indent, `${indent > 0 ? '->  ' : ''}${this.#title(plan)}${this.#cost(plan)}${this.#actual(plan)}`);
    if (indent > 0) indent += 2;
    indent++;
    if (this.#options.verbose && plan.targetlist.length > 0) {
      this.#line(
        indent,
        `Output: ${plan.targetlist.map(t => this.#deparse(this.#resolve(t.expr, plan, ancestors), this.#names.size > 1)).join(', ')}`,
      );
    }
    for (const text of this.#details(plan, ancestors)) this.#line(indent, text);
    const below = [plan, ...ancestors];
    for (const init of plan.initPlan) this.#subplan(init, indent, below);
    for (const child of childPlans(plan)) {
      if (plan.type === 'HashJoin' && child === plan.righttree) {
        this.#line(
          indent,
          `->  Hash${this.#cost({ ...child, startup_cost: child.total_cost } as Plan)}${this.#actual(child)}`,
        );
        for (const text of this.#options.measured?.get(plan)?.details() ?? []) this.#line(indent + 3, text);
        this.node(child, indent + 3, '', below);
      } else this.node(child, indent, '', below);
    }
    for (const sub of subplansIn(plan)) this.#subplan(sub, indent, below);
  }

  #line(indent: number, text: string): void {
    this.lines.push('  '.repeat(indent) + text);
  }

  #subplan(sub: SubPlan, indent: number, ancestors: readonly Ancestor[]): void {
    this.node(this.#stmt.subplans[sub.plan_id - 1]!.plan, indent, sub.plan_name, [sub, ...ancestors]);
  }

  #cost(plan: Plan): string {
    if (!this.#options.costs) return '';
    return `  (cost=${plan.startup_cost.toFixed(2)}..${plan.total_cost.toFixed(2)} rows=${Math.round(plan.plan_rows)} width=${Math.round(plan.plan_width)})`;
  }

  #actual(plan: Plan): string {
    const { measured, timing } = this.#options;
    if (measured === undefined) return '';
    const m = measured.get(plan);
    if (m === undefined || m.loops === 0) return ' (never executed)';
    const time =
      timing === false ? '' : `time=${(Math.max(0, m.firstMs) / m.loops).toFixed(3)}..${(m.ms / m.loops).toFixed(3)} `;
    return ` (actual ${time}rows=${Math.round(m.rows / m.loops)} loops=${m.loops})`;
  }

  #relation(rti: number): string {
    const rte = this.#stmt.rtable[rti - 1]!;
    const name = this.#names.get(rti)!;
    const table =
      rte.rtekind === N.RTE_RELATION
        ? this.#env.catalog.relation(rte.relid).relname
        : rte.rtekind === N.RTE_CTE
          ? rte.ctename!
          : name;
    return table === name ? table : `${table} ${name}`;
  }

  #title(plan: Plan): string {
    switch (plan.type) {
      case 'SeqScan':
        return `Seq Scan on ${this.#relation(plan.scanrelid)}`;
      case 'IndexScan':
        return `Index Scan${plan.indexorderdir < 0 ? ' Backward' : ''} using ${this.#env.catalog.relation(plan.indexid).relname} on ${this.#relation(plan.scanrelid)}`;
      case 'TidScan':
        return `Tid Scan on ${this.#relation(plan.scanrelid)}`;
      case 'SubqueryScan':
        return `Subquery Scan on ${this.#relation(plan.scanrelid)}`;
      case 'FunctionScan': {
        const [only] = plan.functions;
        const name =
          plan.functions.length === 1 && only!.funcexpr.type === 'FuncExpr'
            ? this.#functionName(only!.funcexpr.funcid)
            : '';
        const alias = this.#names.get(plan.scanrelid)!;
        return `Function Scan on ${name === '' || name === alias ? alias : `${name} ${alias}`}`;
      }
      case 'ValuesScan':
        return `Values Scan on "${this.#names.get(plan.scanrelid)!}"`;
      case 'CteScan':
        return `CTE Scan on ${this.#relation(plan.scanrelid)}`;
      case 'WorkTableScan':
        return `WorkTable Scan on ${this.#relation(plan.scanrelid)}`;
      case 'NestLoop':
        return `Nested Loop${plan.jointype === N.JOIN_INNER ? '' : `${JOIN_NAMES[plan.jointype]} Join`}`;
      case 'HashJoin':
        return `Hash${JOIN_NAMES[plan.jointype]} Join`;
      case 'Material':
        return 'Materialize';
      case 'Agg':
        return plan.aggstrategy === 'plain'
          ? 'Aggregate'
          : plan.aggstrategy === 'sorted'
            ? hasAggregates(plan)
              ? 'GroupAggregate'
              : 'Group'
            : 'HashAggregate';
      case 'SetOp':
        return `HashSetOp ${{ intersect: 'Intersect', intersectAll: 'Intersect All', except: 'Except', exceptAll: 'Except All' }[plan.cmd]}`;
      case 'RecursiveUnion':
        return 'Recursive Union';
      case 'ModifyTable': {
        const verb = { [N.CMD_INSERT]: 'Insert', [N.CMD_UPDATE]: 'Update', [N.CMD_DELETE]: 'Delete' }[
          plan.operation as 2 | 3 | 4
        ];
        return `${verb} on ${this.#relation(plan.resultRelation)}`;
      }
      default:
        return plan.type;
    }
  }

  #functionName(oid: Oid): string {
    return this.#env.catalog.proc(oid).proname;
  }

  #details(plan: Plan, ancestors: readonly Ancestor[]): string[] {
    const out: string[] = [];
    const qual = (name: string, list: readonly Expr[]): void => {
      const clause = makeAndsExplicit(list);
      if (clause !== null) out.push(`${name}: ${this.#expr(clause, plan, ancestors)}`);
    };
    const columns = (name: string, resnos: readonly number[]): void => {
      const keys = resnos.map(resno => this.#childColumn(plan, resno, ancestors));
      if (keys.length > 0) out.push(`${name}: ${keys.join(', ')}`);
    };
    switch (plan.type) {
      case 'IndexScan':
        qual('Index Cond', plan.indexqualorig);
        break;
      case 'TidScan':
        qual('TID Cond', plan.tidquals);
        break;
      case 'NestLoop':
        qual('Join Filter', plan.joinqual);
        break;
      case 'HashJoin':
        qual('Hash Cond', plan.hashclauses);
        qual('Join Filter', plan.joinqual);
        break;
      case 'Result':
        if (plan.resconstantqual.some(isFalse)) out.push('One-Time Filter: false');
        else qual('One-Time Filter', plan.resconstantqual);
        break;
      case 'Sort': {
        const keys = plan.sortColIdx.map((resno, i) => {
          const desc = orderingOpProperties(this.#env.catalog.caches, plan.sortOperators[i]!)?.desc === true;
          const nulls = plan.nullsFirst[i] === desc ? '' : plan.nullsFirst[i] ? ' NULLS FIRST' : ' NULLS LAST';
          return `${this.#childColumn(plan, resno, ancestors)}${desc ? ' DESC' : ''}${nulls}`;
        });
        out.push(`Sort Key: ${keys.join(', ')}`);
        break;
      }
      case 'Agg':
        columns('Group Key', plan.grpColIdx);
        break;
      case 'ModifyTable':
        if (plan.onConflictAction !== N.ONCONFLICT_NONE) {
          out.push(`Conflict Resolution: ${plan.onConflictAction === N.ONCONFLICT_NOTHING ? 'NOTHING' : 'UPDATE'}`);
          if (plan.arbiterIndexes.length > 0)
            out.push(
              `Conflict Arbiter Indexes: ${plan.arbiterIndexes.map(oid => this.#env.catalog.relation(oid).relname).join(', ')}`,
            );
        }
        break;
      default:
    }
    if (plan.qual.length > 0)
      qual(plan.type === 'Result' && plan.lefttree === null ? 'One-Time Filter' : 'Filter', plan.qual);
    const details = this.#options.measured?.get(plan)?.details() ?? [];
    return plan.type === 'HashJoin' ? out : [...out, ...details];
  }

  // ---- expressions -----------------------------------------------------------------------------------------

  #childColumn(plan: Plan, resno: number, ancestors: readonly Ancestor[]): string {
    const child = plan.lefttree!;
    const tle = child.targetlist.find(t => t.resno === resno)!;
    const resolved = this.#resolve(tle.expr, child, [plan, ...ancestors]);
    const text = this.#deparse(resolved, this.#prefix);
    return resolved.type === 'Var' || plan.type === 'Agg' || isSpecialVar(tle.expr) ? text : `(${text})`;
  }

  /** A scan's columns are its relation's, which need not be said. */
  #expr(expr: Expr, plan: Plan, ancestors: readonly Ancestor[]): string {
    const scan = 'scanrelid' in plan && plan.type !== 'SubqueryScan';
    return this.#deparse(this.#resolve(expr, plan, ancestors), scan ? this.#options.verbose : this.#prefix);
  }

  #deparse(expr: Expr, varprefix: boolean): string {
    const text = deparseExpr(this.#env, expr, this.#scope, { varprefix });
    return text.replace(/\$(\d{7,})/g, (_, id: string) => this.#texts[Number(id) - PLACEHOLDER]!);
  }

  /** A parameter that prints as this text. */
  #placeholder(text: string, type: Oid): Expr {
    this.#texts.push(text);
    return {
      type: 'Param',
      paramkind: N.PARAM_EXTERN,
      paramid: PLACEHOLDER + this.#texts.length - 1,
      paramtype: type,
      paramtypmod: -1,
      paramcollid: INVALID_OID,
      location: -1,
    };
  }

  /** The expression over relations instead of child nodes. */
  #resolve(expr: Expr, plan: Plan, ancestors: readonly Ancestor[]): Expr {
    const change = (n: Node): Node => {
      switch (n.type) {
        case 'Var': {
          if (n.varno > 0) return { ...n, varnosyn: 0, varattnosyn: 0 };
          const child = n.varno === OUTER_VAR ? outerOf(plan) : n.varno === INNER_VAR ? plan.righttree : null;
          const tle = child?.targetlist.find(t => t.resno === n.varattno);
          if (!child || tle === undefined) return this.#placeholder(`?column${n.varattno}?`, n.vartype);
          const below = this.#resolve(tle.expr, child, [plan, ...ancestors]);
          return below.type === 'Var' || isSpecialVar(tle.expr)
            ? below
            : this.#placeholder(`(${this.#deparse(below, this.#prefix)})`, n.vartype);
        }
        case 'Param': {
          if (n.paramkind !== N.PARAM_EXEC) return n;
          return this.#outerValue(n.paramid, ancestors) ?? this.#placeholder(`$${n.paramid}`, n.paramtype);
        }
        case 'SubPlan':
          return this.#placeholder(n.useHashTable ? `(hashed ${n.plan_name})` : `(${n.plan_name})`, n.firstColType);
        case 'WindowFunc': {
          const call: Expr = {
            type: 'FuncExpr',
            funcid: n.winfnoid,
            funcresulttype: n.wintype,
            funcretset: false,
            funcvariadic: false,
            funcformat: 0,
            funccollid: n.wincollid,
            inputcollid: n.inputcollid,
            args: n.args.map(a => change(a) as Expr),
            location: -1,
          };
          const text = this.#deparse(call, this.#prefix);
          return this.#placeholder(`${n.winstar ? text.replace('()', '(*)') : text} OVER (?)`, n.wintype);
        }
        default:
          return mutateChildren(n, change);
      }
    };
    return change(expr) as Expr;
  }

  /** What a nested loop, or the call of a subplan, above puts into a parameter: of another relation, so it says which. */
  #outerValue(paramid: number, ancestors: readonly Ancestor[]): Expr | undefined {
    for (const [i, above] of ancestors.entries()) {
      const from =
        above.type === 'NestLoop'
          ? above.nestParams.find(p => p.paramno === paramid)?.paramval
          : above.type === 'SubPlan'
            ? above.args[above.parParam.indexOf(paramid)]
            : undefined;
      const at = ancestors.findIndex((a, j) => j >= i && a.type !== 'SubPlan');
      if (from === undefined || at < 0) continue;
      const value = this.#resolve(from, ancestors[at] as Plan, ancestors.slice(at + 1));
      const text = this.#deparse(value, true);
      const simple = value.type === 'Var' || value.type === 'Param' || value.type === 'Aggref';
      return this.#placeholder(simple ? text : `(${text})`, exprType(value));
    }
    return undefined;
  }
}

/** Below a gate that a constant keeps shut is nothing that PostgreSQL would have planned. */
function neverRuns(plan: Plan): boolean {
  return plan.type === 'Result' && plan.lefttree !== null && plan.resconstantqual.some(isFalse);
}

/** One that names a column of a child node. */
const isSpecialVar = (expr: Expr): boolean =>
  expr.type === 'Var' && (expr.varno === OUTER_VAR || expr.varno === INNER_VAR);

const isFalse = (expr: Expr): boolean => expr.type === 'Const' && (expr.constisnull || expr.constvalue === false);

const NOTHING = {
  startup_cost: 0,
  total_cost: 0,
  plan_rows: 0,
  plan_width: 0,
  lefttree: null,
  initPlan: [],
} as const;

function outerOf(plan: Plan): Plan | null {
  if (plan.type === 'Append') return plan.appendplans[0] ?? null;
  if (plan.type === 'SubqueryScan') return plan.subplan;
  return plan.lefttree;
}

function childPlans(plan: Plan): Plan[] {
  const children: Plan[] = [];
  if (plan.lefttree !== null) children.push(plan.lefttree);
  if (plan.righttree !== null) children.push(plan.righttree);
  if (plan.type === 'Append') children.push(...plan.appendplans);
  if (plan.type === 'SubqueryScan') children.push(plan.subplan);
  return children;
}

/** SubPlans that the node's expressions run. */
function subplansIn(plan: Plan): SubPlan[] {
  const found: SubPlan[] = [];
  const visit = (expr: Expr): void => {
    walkExpr(expr as Node, n => {
      if (n.type === 'SubPlan' && !found.some(f => f.plan_id === n.plan_id)) found.push(n);
      return undefined;
    });
  };
  const lists: (readonly Expr[])[] = [plan.qual, plan.targetlist.map((t: TargetEntry) => t.expr)];
  if (plan.type === 'NestLoop' || plan.type === 'HashJoin') lists.push(plan.joinqual);
  for (const list of lists) list.forEach(visit);
  return found;
}

function hasAggregates(plan: Plan): boolean {
  let found = false;
  for (const expr of [...plan.targetlist.map(t => t.expr), ...plan.qual]) {
    walkExpr(expr as Node, n => {
      if (n.type === 'Aggref') found = true;
      return undefined;
    });
  }
  return found;
}
