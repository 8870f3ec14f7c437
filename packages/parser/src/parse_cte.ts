/**
 * WITH: the order CTEs are analyzed in, which of them are recursive and whether they are well-formed,
 * and the columns each offers.
 */
import type { Slices } from '@pgtroupe/common/slices';
import type { Oid } from '@pgtroupe/common/ids';
import { DEFAULT_COLLATION_OID, TEXTOID, UNKNOWNOID } from '@pgtroupe/common/oids';
import { assert } from '@pgtroupe/common/assert';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { exprCollation, exprLocation, exprType, exprTypmod } from '@pgtroupe/nodes/nodefuncs';
import {
  CMD_SELECT,
  CTE_MATERIALIZE_ALWAYS,
  CTE_MATERIALIZE_DEFAULT,
  CTE_MATERIALIZE_NEVER,
  type CTEMaterialize,
} from '@pgtroupe/nodes/nodes';
import type { TargetEntry } from '@pgtroupe/nodes/primnodes';
import type {
  CTECycleClause,
  CTESearchClause,
  CommonTableExpr,
  Query,
  SetOperationStmt,
} from '@pgtroupe/nodes/parsenodes';
import { parseSubAnalyze } from './grammar.ts';
import { formatType } from './format_type.ts';
import { coerceToCommonType, selectCommonType, selectCommonTypmod } from './parse_coerce.ts';
import { selectCommonCollation } from './parse_collate.ts';
import { transformExpr } from './grammar.ts';
import { rawStrings, type ParseState } from './parse_node.ts';
import { rawLocation } from './rawlocation.ts';

const MATERIALIZE: Readonly<Record<string, CTEMaterialize>> = {
  CTEMaterializeDefault: CTE_MATERIALIZE_DEFAULT,
  CTEMaterializeAlways: CTE_MATERIALIZE_ALWAYS,
  CTEMaterializeNever: CTE_MATERIALIZE_NEVER,
};

const WRITES: ReadonlySet<string> = new Set(['InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt']);

/** A CTE before its query is analyzed: ctequery still holds the raw statement. */
function makeCte(raw: RawNode): CommonTableExpr {
  return {
    type: 'CommonTableExpr',
    ctename: raw.ctename,
    aliascolnames: rawStrings(raw.aliascolnames),
    ctematerialized: MATERIALIZE[raw.ctematerialized as string] ?? CTE_MATERIALIZE_DEFAULT,
    ctequery: raw.ctequery as unknown as Query,
    search_clause: raw.search_clause ? makeSearchClause(raw.search_clause) : null,
    cycle_clause: null,
    location: raw.location ?? 0,
    cterecursive: false,
    cterefcount: 0,
    ctecolnames: [],
    ctecoltypes: [],
    ctecoltypmods: [],
    ctecolcollations: [],
  };
}

function makeSearchClause(raw: RawNode): CTESearchClause {
  return {
    type: 'CTESearchClause',
    search_col_list: rawStrings(raw.search_col_list),
    search_breadth_first: raw.search_breadth_first ?? false,
    search_seq_column: raw.search_seq_column,
    location: raw.location ?? 0,
  };
}

function* transformWithClause(pstate: ParseState, withClause: RawNode): Slices<CommonTableExpr[]> {
  const raws = withClause.ctes as RawNode[];
  const ctes = raws.map(makeCte);
  ctes.forEach((cte, i) => {
    if (ctes.findIndex(other => other.ctename === cte.ctename) < i) {
      throw pstate.error(
        ERRCODE.DUPLICATE_ALIAS,
        `WITH query name "${cte.ctename}" specified more than once`,
        cte.location,
      );
    }
    if (WRITES.has((raws[i] as RawNode).ctequery.type)) pstate.hasModifyingCTE = true;
  });
  if (withClause.recursive) {
    const items = ctes.map((cte, i): CteItem => ({ cte, raw: raws[i] as RawNode, dependsOn: new Set() }));
    makeDependencyGraph(pstate, items);
    for (const item of items) checkWellFormedRecursion(pstate, item);
    for (const item of items) pstate.ctenamespace.push(item.cte);
    for (const item of items) yield* analyzeCTE(pstate, item.cte, item.raw);
  } else {
    pstate.future_ctes = raws.slice();
    for (const [i, cte] of ctes.entries()) {
      yield* analyzeCTE(pstate, cte, raws[i] as RawNode);
      pstate.ctenamespace.push(cte);
      pstate.future_ctes.shift();
    }
  }
  return pstate.ctenamespace;
}

export function* transformWith(pstate: ParseState, query: Query, raw: RawNode): Slices<void> {
  if (!raw.withClause) return;
  query.hasRecursive = raw.withClause.recursive ?? false;
  query.cteList = yield* transformWithClause(pstate, raw.withClause);
  query.hasModifyingCTE = pstate.hasModifyingCTE;
}

function cteTargetList(query: Query): readonly TargetEntry[] {
  return query.commandType === CMD_SELECT ? query.targetList : query.returningList;
}

function* analyzeCTE(pstate: ParseState, cte: CommonTableExpr, raw: RawNode): Slices<void> {
  yield;
  if (raw.cycle_clause) cte.cycle_clause = transformCycleClause(pstate, raw.cycle_clause);
  const query = yield* parseSubAnalyze(pstate, raw.ctequery, cte, false, true);
  cte.ctequery = query;
  if (query.commandType !== CMD_SELECT && pstate.parent !== null) {
    throw pstate.error(
      ERRCODE.FEATURE_NOT_SUPPORTED,
      'WITH clause containing a data-modifying statement must be at the top level',
      cte.location,
    );
  }
  query.canSetTag = false;
  if (cte.cterecursive) checkRecursiveColumns(pstate, cte);
  else analyzeCTETargetList(pstate, cte, cteTargetList(query));
  if (cte.search_clause || cte.cycle_clause) checkSearchAndCycle(pstate, cte);
}

function transformCycleClause(pstate: ParseState, raw: RawNode): CTECycleClause {
  const value = transformExpr(pstate, raw.cycle_mark_value, 'CYCLE_MARK');
  const dflt = transformExpr(pstate, raw.cycle_mark_default, 'CYCLE_MARK');
  const type = selectCommonType(pstate, [value, dflt], 'CYCLE').type;
  const markValue = coerceToCommonType(pstate, value, type, 'CYCLE/SET/TO');
  const markDefault = coerceToCommonType(pstate, dflt, type, 'CYCLE/SET/DEFAULT');
  const pair = [markValue, markDefault];
  const { eq } = pstate.catalog.typeOperators(type);
  if (eq === 0)
    throw pstate.error(
      ERRCODE.UNDEFINED_FUNCTION,
      `could not identify an equality operator for type ${pstate.typeName(type)}`,
    );
  const neop = pstate.catalog.oper(eq).oprnegate;
  if (neop === 0)
    throw pstate.error(
      ERRCODE.UNDEFINED_FUNCTION,
      `could not identify an inequality operator for type ${pstate.typeName(type)}`,
    );
  return {
    type: 'CTECycleClause',
    cycle_col_list: rawStrings(raw.cycle_col_list),
    cycle_mark_column: raw.cycle_mark_column,
    cycle_mark_value: markValue,
    cycle_mark_default: markDefault,
    cycle_path_column: raw.cycle_path_column,
    location: raw.location ?? 0,
    cycle_mark_type: type,
    cycle_mark_typmod: selectCommonTypmod(pair, type),
    cycle_mark_collation: selectCommonCollation(pstate, pair, true),
    cycle_mark_neop: neop,
  };
}

/** The recursive term must not have changed the types the non-recursive one gave. */
function checkRecursiveColumns(pstate: ParseState, cte: CommonTableExpr): void {
  cteTargetList(cte.ctequery)
    .filter(tle => !tle.resjunk)
    .forEach((tle, i) => {
      const type = cte.ctecoltypes[i] as Oid;
      const typmod = cte.ctecoltypmods[i] as number;
      const collation = cte.ctecolcollations[i] as Oid;
      const { expr } = tle;
      const prefix = `recursive query "${cte.ctename}" column ${i + 1} has`;
      if (exprType(expr) !== type || exprTypmod(expr) !== typmod) {
        const format = (t: Oid, m: number) => formatType(pstate.catalog, t, { typmod: m });
        throw pstate.error(
          ERRCODE.DATATYPE_MISMATCH,
          `${prefix} type ${format(type, typmod)} in non-recursive term but type ${format(exprType(expr), exprTypmod(expr))} overall`,
          exprLocation(expr),
          { hint: 'Cast the output of the non-recursive term to the correct type.' },
        );
      }
      if (exprCollation(expr) !== collation) {
        const name = (oid: Oid) => pstate.catalog.collation(oid)?.collname ?? '';
        throw pstate.error(
          ERRCODE.COLLATION_MISMATCH,
          `${prefix} collation "${name(collation)}" in non-recursive term but collation "${name(exprCollation(expr))}" overall`,
          exprLocation(expr),
          { hint: 'Use the COLLATE clause to set the collation of the non-recursive term.' },
        );
      }
    });
}

function checkSearchAndCycle(pstate: ParseState, cte: CommonTableExpr): void {
  if (!cte.cterecursive) throw pstate.error(ERRCODE.SYNTAX_ERROR, 'WITH query is not recursive', cte.location);
  const setop = cte.ctequery.setOperations as SetOperationStmt;
  if (setop.larg.type !== 'RangeTblRef') {
    throw pstate.error(
      ERRCODE.FEATURE_NOT_SUPPORTED,
      'with a SEARCH or CYCLE clause, the left side of the UNION must be a SELECT',
    );
  }
  if (setop.rarg.type !== 'RangeTblRef') {
    throw pstate.error(
      ERRCODE.SYNTAX_ERROR,
      'with a SEARCH or CYCLE clause, the right side of the UNION must be a SELECT',
    );
  }
  const checkColumns = (what: string, columns: readonly string[], location: number) => {
    columns.forEach((column, i) => {
      if (!cte.ctecolnames.includes(column)) {
        throw pstate.error(ERRCODE.SYNTAX_ERROR, `${what} column "${column}" not in WITH query column list`, location);
      }
      if (columns.indexOf(column) < i) {
        throw pstate.error(ERRCODE.DUPLICATE_COLUMN, `${what} column "${column}" specified more than once`, location);
      }
    });
  };
  const checkUnused = (what: string, name: string | null, location: number) => {
    if (cte.ctecolnames.includes(name as string)) {
      throw pstate.error(
        ERRCODE.SYNTAX_ERROR,
        `${what} column name "${name}" already used in WITH query column list`,
        location,
      );
    }
  };
  const search = cte.search_clause;
  const cycle = cte.cycle_clause;
  if (search) {
    checkColumns('search', search.search_col_list, search.location);
    checkUnused('search sequence', search.search_seq_column, search.location);
  }
  if (cycle) {
    checkColumns('cycle', cycle.cycle_col_list, cycle.location);
    checkUnused('cycle mark', cycle.cycle_mark_column, cycle.location);
    checkUnused('cycle path', cycle.cycle_path_column, cycle.location);
    if (cycle.cycle_mark_column === cycle.cycle_path_column) {
      throw pstate.error(
        ERRCODE.SYNTAX_ERROR,
        'cycle mark column name and cycle path column name are the same',
        cycle.location,
      );
    }
  }
  if (search && cycle) {
    for (const [what, name] of [
      ['mark', cycle.cycle_mark_column],
      ['path', cycle.cycle_path_column],
    ]) {
      if (search.search_seq_column === name) {
        throw pstate.error(
          ERRCODE.SYNTAX_ERROR,
          `search sequence column name and cycle ${what} column name are the same`,
          search.location,
        );
      }
    }
  }
}

/** Columns of a CTE from its query's target list, under the names given in WITH. */
export function analyzeCTETargetList(pstate: ParseState, cte: CommonTableExpr, tlist: readonly TargetEntry[]): void {
  const visible = tlist.filter(tle => !tle.resjunk);
  const numaliases = cte.aliascolnames.length;
  cte.ctecolnames = [...cte.aliascolnames, ...visible.slice(numaliases).map(tle => tle.resname as string)];
  const types: Oid[] = [];
  const typmods: number[] = [];
  const collations: Oid[] = [];
  for (const { expr } of visible) {
    // Unknown literals of a recursive query become text; the terms are made to agree later.
    const unknown = cte.cterecursive && exprType(expr) === UNKNOWNOID;
    types.push(unknown ? TEXTOID : exprType(expr));
    typmods.push(unknown ? -1 : exprTypmod(expr));
    collations.push(unknown ? exprCollation(expr) || DEFAULT_COLLATION_OID : exprCollation(expr));
  }
  cte.ctecoltypes = types;
  cte.ctecoltypmods = typmods;
  cte.ctecolcollations = collations;
  if (visible.length < numaliases) {
    throw pstate.error(
      ERRCODE.INVALID_COLUMN_REFERENCE,
      `WITH query "${cte.ctename}" has ${visible.length} columns available but ${numaliases} columns specified`,
      cte.location,
    );
  }
}

// ---- recursion -----------------------------------------------------------------------------------

interface CteItem {
  readonly cte: CommonTableExpr;
  readonly raw: RawNode;
  readonly dependsOn: Set<string>;
}

/** Calls visit for the children of a raw node, lists flattened. */
function rawChildren(node: RawNode, visit: (child: RawNode) => void): void {
  const each = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(each);
    else if (typeof value === 'object' && value !== null && 'type' in value) visit(value as RawNode);
  };
  for (const key in node) if (key !== 'type') each(node[key]);
}

/** Names of WITH lists in scope inside the CTE being looked at; they hide the outer ones. */
type Scopes = string[][];

/** Walks the references to tables by plain name that inner WITHs do not hide. */
function walkReferences(node: RawNode, scopes: Scopes, found: (rangeVar: RawNode) => void): void {
  if (node.type === 'RangeVar') {
    if (!node.schemaname && !scopes.some(names => names.includes(node.relname))) found(node);
    return;
  }
  const withClause: RawNode | undefined = node.withClause;
  if (!withClause) {
    if (node.type !== 'WithClause') rawChildren(node, child => walkReferences(child, scopes, found));
    return;
  }
  const ctes = withClause.ctes as RawNode[];
  const names: string[] = withClause.recursive ? ctes.map(cte => cte.ctename) : [];
  const inner = [names, ...scopes];
  for (const cte of ctes) {
    walkReferences(cte.ctequery, inner, found);
    if (!withClause.recursive) names.push(cte.ctename);
  }
  rawChildren(node, child => {
    if (child !== withClause) walkReferences(child, inner, found);
  });
}

/** Finds out who refers to whom and to itself, and sorts so that nobody comes before what it uses. */
function makeDependencyGraph(pstate: ParseState, items: CteItem[]): void {
  const names = new Set(items.map(item => item.cte.ctename));
  for (const item of items) {
    walkReferences(item.raw.ctequery, [], rangeVar => {
      const name = rangeVar.relname as string;
      if (name === item.cte.ctename) item.cte.cterecursive = true;
      else if (names.has(name)) item.dependsOn.add(name);
    });
  }
  for (let i = 0; i < items.length; i++) {
    const free = items.findIndex((item, j) => j >= i && item.dependsOn.size === 0);
    if (free < 0) {
      throw pstate.error(
        ERRCODE.FEATURE_NOT_SUPPORTED,
        'mutual recursion between WITH items is not implemented',
        (items[i] as CteItem).cte.location,
      );
    }
    const [a, b] = [items[i] as CteItem, items[free] as CteItem];
    items[i] = b;
    items[free] = a;
    for (const later of items.slice(i + 1)) later.dependsOn.delete(b.cte.ctename);
  }
}

type RecursionContext = 'ok' | 'nonrecursive' | 'sublink' | 'outerjoin' | 'intersect' | 'except';

const WHERE_NOT: Readonly<Record<Exclude<RecursionContext, 'ok'>, string>> = {
  nonrecursive: 'within its non-recursive term',
  sublink: 'within a subquery',
  outerjoin: 'within an outer join',
  intersect: 'within INTERSECT',
  except: 'within EXCEPT',
};

function checkWellFormedRecursion(pstate: ParseState, { cte, raw }: CteItem): void {
  if (!cte.cterecursive) return;
  const stmt: RawNode = raw.ctequery;
  if (stmt.type !== 'SelectStmt') {
    throw pstate.error(
      ERRCODE.INVALID_RECURSION,
      `recursive query "${cte.ctename}" must not contain data-modifying statements`,
      cte.location,
    );
  }
  if (stmt.op !== 'SETOP_UNION') {
    throw pstate.error(
      ERRCODE.INVALID_RECURSION,
      `recursive query "${cte.ctename}" does not have the form non-recursive-term UNION [ALL] recursive-term`,
      cte.location,
    );
  }
  const checker = new RecursionChecker(pstate, cte.ctename);
  if (stmt.withClause) for (const inner of stmt.withClause.ctes as RawNode[]) checker.walk(inner, 'sublink');
  const notImplemented = (what: string, where: RawNode | readonly RawNode[] | undefined) => {
    if (where)
      throw pstate.error(
        ERRCODE.FEATURE_NOT_SUPPORTED,
        `${what} in a recursive query is not implemented`,
        Array.isArray(where) && where[0]?.type === 'LockingClause' ? -1 : rawLocation(where),
      );
  };
  notImplemented('ORDER BY', stmt.sortClause);
  notImplemented('OFFSET', stmt.limitOffset);
  notImplemented('LIMIT', stmt.limitCount);
  notImplemented('FOR UPDATE/SHARE', stmt.lockingClause);
  checker.walk(stmt.larg, 'nonrecursive');
  checker.selfrefs = 0;
  checker.walk(stmt.rarg, 'ok');
  assert(checker.selfrefs === 1, 'a recursive query refers to itself in its recursive term');
}

/** The self-reference may stand once, where each new row can be joined to the old ones. */
class RecursionChecker {
  readonly #pstate: ParseState;
  readonly #name: string;
  readonly #scopes: Scopes = [];
  selfrefs = 0;

  constructor(pstate: ParseState, name: string) {
    this.#pstate = pstate;
    this.#name = name;
  }

  walk(node: RawNode | undefined, context: RecursionContext): void {
    if (!node) return;
    switch (node.type) {
      case 'RangeVar':
        this.#reference(node, context);
        return;
      case 'SelectStmt':
        this.#select(node, context);
        return;
      case 'WithClause':
        return;
      case 'JoinExpr':
        this.#join(node, context);
        return;
      case 'SubLink':
        this.walk(node.subselect, 'sublink');
        this.walk(node.testexpr, context);
        return;
      default:
        rawChildren(node, child => this.walk(child, context));
    }
  }

  #reference(node: RawNode, context: RecursionContext): void {
    if (node.schemaname || node.relname !== this.#name) return;
    if (this.#scopes.some(names => names.includes(this.#name))) return;
    const location: number = node.location ?? 0;
    const error = (where: string) =>
      this.#pstate.error(
        ERRCODE.INVALID_RECURSION,
        `recursive reference to query "${this.#name}" must not appear ${where}`,
        location,
      );
    if (context !== 'ok') throw error(WHERE_NOT[context]);
    if (++this.selfrefs > 1) throw error('more than once');
  }

  #join(node: RawNode, context: RecursionContext): void {
    const nullable: RecursionContext = context === 'ok' ? 'outerjoin' : context;
    const type = node.jointype as string;
    this.walk(node.larg, type === 'JOIN_FULL' || type === 'JOIN_RIGHT' ? nullable : context);
    this.walk(node.rarg, type === 'JOIN_FULL' || type === 'JOIN_LEFT' ? nullable : context);
    this.walk(node.quals, context);
  }

  #select(stmt: RawNode, context: RecursionContext): void {
    const withClause: RawNode | undefined = stmt.withClause;
    if (withClause) {
      const ctes = withClause.ctes as RawNode[];
      const names: string[] = withClause.recursive ? ctes.map(cte => cte.ctename) : [];
      this.#scopes.unshift(names);
      for (const cte of ctes) {
        this.walk(cte.ctequery, context);
        if (!withClause.recursive) names.push(cte.ctename);
      }
    }
    const op = stmt.op as string;
    if (context === 'ok' && (op === 'SETOP_INTERSECT' || op === 'SETOP_EXCEPT')) {
      const inside: RecursionContext = op === 'SETOP_EXCEPT' ? 'except' : 'intersect';
      this.walk(stmt.larg, stmt.all ? inside : context);
      this.walk(stmt.rarg, stmt.all || op === 'SETOP_EXCEPT' ? inside : context);
      for (const field of ['sortClause', 'limitOffset', 'limitCount', 'lockingClause']) {
        const value = stmt[field];
        if (Array.isArray(value)) value.forEach(item => this.walk(item, context));
        else this.walk(value, context);
      }
    } else {
      rawChildren(stmt, child => {
        if (child !== withClause) this.walk(child, context);
      });
    }
    if (withClause) this.#scopes.shift();
  }
}
