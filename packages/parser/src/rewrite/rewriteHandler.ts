/**
 * The rewriter: an analyzed query in, the query to plan out. Column defaults are filled in, views are
 * replaced by their queries. User-written rules, row-level security and writing through views are not
 * there yet. The input is not changed.
 *
 * Entry point: rewriteQuery().
 */
import { INVALID_OID, type Oid } from '@pgtroupe/common/ids';
import { AUTHOID } from '@pgtroupe/catalog/syscache';
import { assert } from '@pgtroupe/common/assert';
import { ereport, notSupported } from '@pgtroupe/common/ereport';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import type { Form_pg_class } from '@pgtroupe/catalog/catalogs/pg_class';
import { exprType, mutateChildren, walkChildren } from '@pgtroupe/nodes/nodefuncs';
import {
  ACL_SELECT_FOR_UPDATE,
  ARRAY_SUBLINK,
  CMD_INSERT,
  CMD_SELECT,
  CMD_UPDATE,
  CMD_UTILITY,
  RTE_JOIN,
  RTE_RELATION,
  RTE_SUBQUERY,
  RTE_VALUES,
} from '@pgtroupe/nodes/nodes';
import type { Expr } from '@pgtroupe/nodes/primnodes';
import type { Node, Query, RangeTblEntry, RowMarkClause } from '@pgtroupe/nodes/parsenodes';
import { stringToNode } from '@pgtroupe/nodes/readfuncs';
import type { AnalyzeInput } from '../analyze.ts';
import { makeParseState } from '../analyze.ts';
import type { CatalogLookup } from '../catalog-lookup.ts';
import type { ParseState } from '../parse_node.ts';
import { rewriteTargetListIU, rewriteValuesRte } from './rewriteTargetList.ts';

export type RewriteInput = Pick<AnalyzeInput, 'catalog' | 'fc'>;

/** pg_rewrite.ev_type of ON SELECT rules. */
const EV_SELECT = '1';

/**
 * Rewrites one analyzed query. Utility statements come back as they are; whoever executes EXPLAIN, DECLARE
 * CURSOR or CREATE TABLE AS rewrites the query inside.
 */
export function rewriteQuery(input: RewriteInput, query: Query): Query {
  if (query.commandType === CMD_UTILITY) return query;
  return fireRIRrules(input, rewriteWrites(input, query), []);
}

// ---- INSERT, UPDATE, DELETE ----------------------------------------------------------------------

/** Defaults for the statement itself and for data-modifying CTEs. */
function rewriteWrites(input: RewriteInput, query: Query): Query {
  let result = query;
  if (query.cteList.some(cte => cte.ctequery.commandType !== CMD_SELECT)) {
    const cteList = query.cteList.map(cte =>
      cte.ctequery.commandType === CMD_SELECT ? cte : { ...cte, ctequery: rewriteWrites(input, cte.ctequery) },
    );
    result = { ...result, cteList };
  }
  if (result.commandType === CMD_SELECT) return result;
  const { catalog } = input;
  const target = result.rtable[result.resultRelation - 1] as RangeTblEntry;
  const rel = catalog.relation(target.relid);
  if (rel.relkind === 'v') throw notSupported('writing to a view');
  if (rel.relhasrules && catalog.rules(rel.oid).some(rule => rule.ev_type !== EV_SELECT && rule.ev_enabled !== 'D')) {
    throw notSupported('rules other than views');
  }
  const pstate = makeParseState({ ...input, sourceText: '' });
  if (result.commandType === CMD_INSERT) return rewriteInsert(pstate, result, rel);
  if (result.commandType === CMD_UPDATE) {
    const targetList = rewriteTargetListIU(
      pstate,
      result.targetList,
      CMD_UPDATE,
      result.override,
      catalog.attributes(rel.oid),
      null,
      new Set(),
    );
    return { ...result, targetList };
  }
  return result;
}

function rewriteInsert(pstate: ParseState, query: Query, rel: Form_pg_class): Query {
  const attrs = pstate.catalog.attributes(rel.oid);
  // Only a multi-row VALUES stands alone in the join tree.
  const leaf = query.jointree?.fromlist[0];
  const index = query.jointree?.fromlist.length === 1 && leaf?.type === 'RangeTblRef' ? leaf.rtindex : 0;
  const rte = query.rtable[index - 1];
  const values = rte?.rtekind === RTE_VALUES ? { rte, index } : null;
  const unused = new Set<number>();
  let result: Query = {
    ...query,
    targetList: rewriteTargetListIU(pstate, query.targetList, CMD_INSERT, query.override, attrs, values, unused),
  };
  if (values) {
    const rewritten = rewriteValuesRte(pstate, result, values, attrs, unused);
    if (rewritten !== values.rte) result = { ...result, rtable: result.rtable.with(index - 1, rewritten) };
  }
  const { onConflict } = result;
  if (onConflict && onConflict.onConflictSet.length > 0) {
    const onConflictSet = rewriteTargetListIU(
      pstate,
      onConflict.onConflictSet,
      CMD_UPDATE,
      query.override,
      attrs,
      null,
      new Set(),
    );
    result = { ...result, onConflict: { ...onConflict, onConflictSet } };
  }
  return result;
}

// ---- views ---------------------------------------------------------------------------------------

/** Replaces every view of the query by its definition, in subqueries too. */
function fireRIRrules(input: RewriteInput, query: Query, active: readonly number[]): Query {
  const { catalog } = input;
  if (query.cteList.some(cte => cte.search_clause || cte.cycle_clause)) throw notSupported('SEARCH and CYCLE');
  let changed: RangeTblEntry[] | null = null;
  query.rtable.forEach((rte, i) => {
    const replacement = expandEntry(input, query, rte, i + 1, active);
    if (replacement === rte) return;
    changed ??= query.rtable.slice();
    changed[i] = replacement;
  });
  let result = changed ? { ...query, rtable: changed as RangeTblEntry[] } : query;
  if (result.cteList.length > 0) {
    const cteList = result.cteList.map(cte => {
      const ctequery = fireRIRrules(input, cte.ctequery, active);
      return ctequery === cte.ctequery ? cte : { ...cte, ctequery };
    });
    result = { ...result, cteList };
  }
  if (result.hasSubLinks) result = fireRIRonSubLinks(input, result, active);
  for (const rte of result.rtable) {
    if (rte.rtekind === RTE_RELATION && (rte.relkind === 'r' || rte.relkind === 'p')) checkRowSecurity(catalog, rte);
  }
  return result;
}

/** Subqueries in expressions; those in the range table and in CTEs are done. */
function fireRIRonSubLinks(input: RewriteInput, query: Query, active: readonly number[]): Query {
  const change = (node: Node): Node => {
    if (node.type === 'SubLink') {
      const copy = mutateChildren(node, child => (child === node.subselect ? child : change(child)));
      const subselect = fireRIRrules(input, node.subselect, active);
      return subselect === node.subselect ? copy : { ...copy, subselect };
    }
    if (node.type === 'Query' || node.type === 'CommonTableExpr') return node;
    if (node.type === 'RangeTblEntry' && node.rtekind === RTE_SUBQUERY) return node;
    return mutateChildren(node, change);
  };
  return mutateChildren(query, change);
}

function expandEntry(
  input: RewriteInput,
  query: Query,
  rte: RangeTblEntry,
  index: number,
  active: readonly number[],
): RangeTblEntry {
  const { catalog } = input;
  if (rte.rtekind === RTE_SUBQUERY) {
    const subquery = fireRIRrules(input, rte.subquery as Query, active);
    return subquery === rte.subquery ? rte : { ...rte, subquery };
  }
  if (rte.rtekind !== RTE_RELATION || rte.relkind === 'm') return rte;
  if (query.onConflict && index === query.onConflict.exclRelIndex) return rte;
  const rel = catalog.relation(rte.relid);
  if (!rel.relhasrules) return rte;
  // The old and new entries of a view's own rule are in the range table only for permission checks.
  if (index !== query.resultRelation && !rangeTableEntryUsed(query, index)) return rte;
  const rules = catalog.rules(rel.oid).filter(rule => rule.ev_type === EV_SELECT);
  if (rules.length === 0) return rte;
  assert(rules.length === 1, 'a view has one rule');
  if (active.includes(rel.oid)) {
    throw ereport(
      ERRCODE.INVALID_OBJECT_DEFINITION,
      `infinite recursion detected in rules for relation "${rel.relname}"`,
    );
  }
  if (index === query.resultRelation) throw notSupported('writing to a view');
  const mark = query.rowMarks.find(m => m.rti === index);
  return applyRetrieveRule(input, rte, rel, rules[0]!.ev_action, mark, [...active, rel.oid]);
}

function applyRetrieveRule(
  input: RewriteInput,
  rte: RangeTblEntry,
  rel: Form_pg_class,
  action: string,
  mark: RowMarkClause | undefined,
  active: readonly number[],
): RangeTblEntry {
  let view = readViewQuery(input.catalog, action);
  const options = rel.reloptions ?? [];
  if (!isOn(options, 'security_invoker')) view = setCheckAsUser(view, rel.relowner);
  if (mark) view = markQueryForLocking(view, mark);
  view = fireRIRrules(input, view, active);
  // The outer query's permissions on the view are checked on the view's own "old" entry.
  const [old, ...others] = view.rtable;
  assert(old !== undefined && old.relid === rel.oid, 'the first entry of a view rule is the view');
  const checked: RangeTblEntry = {
    ...old,
    requiredPerms: rte.requiredPerms,
    checkAsUser: rte.checkAsUser,
    selectedCols: rte.selectedCols,
    insertedCols: rte.insertedCols,
    updatedCols: rte.updatedCols,
    extraUpdatedCols: rte.extraUpdatedCols,
  };
  return {
    ...rte,
    rtekind: RTE_SUBQUERY,
    subquery: { ...view, rtable: [checked, ...others] },
    security_barrier: isOn(options, 'security_barrier'),
    relid: INVALID_OID,
    relkind: '',
    rellockmode: 0,
    tablesample: null,
    inh: false,
    requiredPerms: 0,
    checkAsUser: INVALID_OID,
    selectedCols: [],
    insertedCols: [],
    updatedCols: [],
    extraUpdatedCols: [],
  };
}

function isOn(options: readonly string[], name: string): boolean {
  return options.some(option => option === `${name}=true` || option === `${name}=on` || option === `${name}=1`);
}

/** The query of a view as stored, made usable. */
function readViewQuery(catalog: CatalogLookup, action: string): Query {
  return readRuleActions(catalog, action)[0] as Query;
}

/** What pg_rewrite.ev_action holds. */
export function readRuleActions(catalog: CatalogLookup, action: string): readonly Query[] {
  const actions = stringToNode(action) as readonly Query[];
  for (const query of actions) completeTree(catalog, query);
  return actions;
}

/** Fills in what the text form of trees leaves out. In place: the tree is fresh. */
export function completeTree(catalog: CatalogLookup, query: Query): void {
  fillIn(catalog, query);
}

/** Children first, since an array's type depends on what is inside. */
function fillIn(catalog: CatalogLookup, node: Node): void {
  walkChildren(node, child => {
    fillIn(catalog, child);
    return false;
  });
  if (node.type === 'SubLink' && node.subLinkType === ARRAY_SUBLINK) {
    const [column] = node.subselect.targetList;
    node.arraytype = catalog.promotedArrayType(exprType(column!.expr));
  }
  // Join columns over table columns dropped since the view was made.
  if (node.type === 'Query') {
    for (const rte of node.rtable) {
      if (rte.rtekind === RTE_JOIN)
        rte.joinaliasvars = rte.joinaliasvars.map(alias => (isDropped(catalog, node, alias) ? null : alias));
    }
  }
}

function isDropped(catalog: CatalogLookup, query: Query, expr: Expr | null): boolean {
  if (expr?.type !== 'Var' || expr.varlevelsup !== 0 || expr.varattno <= 0) return expr === null;
  const rte = query.rtable[expr.varno - 1];
  if (rte?.rtekind !== RTE_RELATION) return false;
  return catalog.attribute(rte.relid, expr.varattno)?.attisdropped ?? true;
}

/** Tables inside a view are read with the rights of its owner. */
function setCheckAsUser(query: Query, owner: Oid): Query {
  const change = (node: Node): Node => {
    const copy = mutateChildren(node, change);
    return copy.type === 'RangeTblEntry' ? { ...copy, checkAsUser: owner } : copy;
  };
  return mutateChildren(query, change);
}

/** FOR UPDATE on a view locks the rows of the tables in its join tree. */
function markQueryForLocking(query: Query, { strength, waitPolicy }: RowMarkClause): Query {
  const rtable = query.rtable.slice();
  const rowMarks = query.rowMarks.slice();
  const visit = (node: Node): void => {
    if (node.type === 'FromExpr') node.fromlist.forEach(visit);
    else if (node.type === 'JoinExpr') {
      visit(node.larg);
      visit(node.rarg);
    } else if (node.type === 'RangeTblRef') {
      const i = node.rtindex - 1;
      const rte = rtable[i] as RangeTblEntry;
      const mark: RowMarkClause = { type: 'RowMarkClause', rti: node.rtindex, strength, waitPolicy, pushedDown: true };
      if (rte.rtekind === RTE_RELATION) {
        rowMarks.push(mark);
        rtable[i] = { ...rte, requiredPerms: rte.requiredPerms | ACL_SELECT_FOR_UPDATE };
      } else if (rte.rtekind === RTE_SUBQUERY) {
        rowMarks.push(mark);
        rtable[i] = { ...rte, subquery: markQueryForLocking(rte.subquery as Query, mark) };
      }
    }
  };
  if (query.jointree) visit(query.jointree);
  return { ...query, rtable, rowMarks };
}

function rangeTableEntryUsed(query: Query, index: number): boolean {
  const visit = (node: Node, level: number): boolean => {
    switch (node.type) {
      case 'Var':
        return node.varlevelsup === level && node.varno === index;
      case 'CurrentOfExpr':
        return level === 0 && node.cvarno === index;
      case 'RangeTblRef':
        return level === 0 && node.rtindex === index;
      case 'JoinExpr':
        if (level === 0 && node.rtindex === index) return true;
        break;
      default:
        break;
    }
    const inner = node.type === 'Query' ? level + 1 : level;
    return walkChildren(node, child => visit(child, inner));
  };
  return walkChildren(query, child => visit(child, 0));
}

function checkRowSecurity(catalog: CatalogLookup, rte: RangeTblEntry): void {
  const rel = catalog.relation(rte.relid);
  if (!rel.relrowsecurity) return;
  const user = rte.checkAsUser || catalog.session.userId;
  const role = catalog.caches.search(AUTHOID, user);
  if (role?.rolsuper === true || role?.rolbypassrls === true) return;
  if (user === rel.relowner && !rel.relforcerowsecurity) return;
  throw notSupported('row-level security');
}
