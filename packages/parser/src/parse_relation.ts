/**
 * The range table and the names that reach it: looking up tables, columns and whole rows, adding
 * entries, and saying helpfully what is missing.
 */
import { type Oid, INVALID_OID } from '@pgtroupe/common/ids';
import { CIDOID, INT4OID, INT8OID, OIDOID, RECORDARRAYOID, RECORDOID, TIDOID, XIDOID } from '@pgtroupe/common/oids';
import { assert } from '@pgtroupe/common/assert';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import type { Form_pg_attribute } from '@pgtroupe/catalog/catalogs/pg_attribute';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { makeConst, makeRangeTblEntry, makeTargetEntry, makeVar } from '@pgtroupe/nodes/makefuncs';
import { exprCollation, exprLocation, exprType, exprTypmod } from '@pgtroupe/nodes/nodefuncs';
import {
  ACL_SELECT,
  CMD_SELECT,
  FIRST_LOW_INVALID_HEAP_ATTRIBUTE_NUMBER,
  RTE_CTE,
  RTE_FUNCTION,
  RTE_JOIN,
  RTE_NAMEDTUPLESTORE,
  RTE_RELATION,
  RTE_RESULT,
  RTE_SUBQUERY,
  RTE_TABLEFUNC,
  RTE_VALUES,
  type JoinType,
} from '@pgtroupe/nodes/nodes';
import type { Alias, Expr, JoinTreeNode, TargetEntry, Var } from '@pgtroupe/nodes/primnodes';
import type { CommonTableExpr, Query, RangeTblEntry, RangeTblFunction } from '@pgtroupe/nodes/parsenodes';
import { bmsAddMember } from './bitmapset.ts';
import { levenshteinLessEqual } from './levenshtein.ts';
import {
  rawStrings,
  type ParseNamespaceColumn,
  type ParseNamespaceItem,
  type ParseState,
  type TargetRelation,
} from './parse_node.ts';
import { columnDefinitions } from './column_definitions.ts';
import { exprResultType, funcResultName, type ResultColumn } from './rowtypes.ts';

export const ACCESS_SHARE_LOCK = 1;
export const ROW_SHARE_LOCK = 2;
export const ROW_EXCLUSIVE_LOCK = 3;

/** Columns every table has, by name: attnum and type. */
const SYSTEM_COLUMNS: Readonly<Record<string, readonly [attnum: number, type: Oid]>> = {
  ctid: [-1, TIDOID],
  xmin: [-2, XIDOID],
  cmin: [-3, CIDOID],
  xmax: [-4, XIDOID],
  cmax: [-5, CIDOID],
  tableoid: [-6, OIDOID],
};
export const TABLE_OID_ATTRIBUTE_NUMBER = -6;

function specialAttNum(name: string): number {
  return Object.hasOwn(SYSTEM_COLUMNS, name) ? (SYSTEM_COLUMNS[name] as readonly [number, number])[0] : 0;
}

export function systemColumnName(attnum: number): string {
  return (
    Object.keys(SYSTEM_COLUMNS).find(name => (SYSTEM_COLUMNS[name] as readonly [number, number])[0] === attnum) ?? ''
  );
}

export interface Found {
  readonly nsitem: ParseNamespaceItem;
  readonly levelsup: number;
}

/** The namespace item a (qualified) table name in an expression means. */
export function refnameNamespaceItem(
  pstate: ParseState,
  schema: string | null,
  refname: string,
  location: number,
): Found | null {
  let relid = INVALID_OID;
  if (schema !== null) {
    const namespace = pstate.catalog.namespaceOidOrZero(schema);
    if (namespace === 0) return null;
    relid = pstate.catalog.relationInNamespace(refname, namespace);
    if (relid === 0) return null;
  }
  let levelsup = 0;
  for (let state: ParseState | null = pstate; state !== null; state = state.parent, levelsup++) {
    let result: ParseNamespaceItem | null = null;
    for (const nsitem of state.namespace) {
      if (!nsitem.rel_visible) continue;
      if (nsitem.lateral_only && !state.lateral_active) continue;
      const matches =
        relid !== 0
          ? nsitem.rte.rtekind === RTE_RELATION && nsitem.rte.relid === relid && nsitem.rte.alias === null
          : nsitem.names.aliasname === refname;
      if (!matches) continue;
      if (result !== null) {
        throw pstate.error(
          ERRCODE.AMBIGUOUS_ALIAS,
          `table reference ${relid !== 0 ? relid : `"${refname}"`} is ambiguous`,
          location,
        );
      }
      checkLateralRefOk(state, nsitem, location);
      result = nsitem;
    }
    if (result !== null) return { nsitem: result, levelsup };
  }
  return null;
}

export function scanNameSpaceForCTE(
  pstate: ParseState,
  refname: string,
): { readonly cte: CommonTableExpr; readonly levelsup: number } | null {
  let levelsup = 0;
  for (let state: ParseState | null = pstate; state !== null; state = state.parent, levelsup++) {
    const cte = state.ctenamespace.find(c => c.ctename === refname);
    if (cte) return { cte, levelsup };
  }
  return null;
}

function isFutureCTE(pstate: ParseState, refname: string): boolean {
  for (let state: ParseState | null = pstate; state !== null; state = state.parent) {
    if (state.future_ctes.some(cte => cte.ctename === refname)) return true;
  }
  return false;
}

/** Two FROM items may not have one name. */
export function checkNameSpaceConflicts(
  pstate: ParseState,
  left: readonly ParseNamespaceItem[],
  right: readonly ParseNamespaceItem[],
): void {
  for (const a of left) {
    if (!a.rel_visible) continue;
    for (const b of right) {
      if (!b.rel_visible || a.names.aliasname !== b.names.aliasname) continue;
      const differentTables =
        a.rte.rtekind === RTE_RELATION &&
        a.rte.alias === null &&
        b.rte.rtekind === RTE_RELATION &&
        b.rte.alias === null &&
        a.rte.relid !== b.rte.relid;
      if (differentTables) continue;
      throw pstate.error(ERRCODE.DUPLICATE_ALIAS, `table name "${a.names.aliasname}" specified more than once`);
    }
  }
}

function checkLateralRefOk(pstate: ParseState, nsitem: ParseNamespaceItem, location: number): void {
  if (!nsitem.lateral_only || nsitem.lateral_ok) return;
  const refname = nsitem.names.aliasname;
  const isTarget = pstate.target_nsitem !== null && nsitem.rte === pstate.target_nsitem.rte;
  throw pstate.error(
    ERRCODE.INVALID_COLUMN_REFERENCE,
    `invalid reference to FROM-clause entry for table "${refname}"`,
    location,
    isTarget
      ? { hint: `There is an entry for table "${refname}", but it cannot be referenced from this part of the query.` }
      : { detail: 'The combining JOIN type must be INNER or LEFT for a LATERAL reference.' },
  );
}

function stateAtLevel(pstate: ParseState, levelsup: number): ParseState {
  let state = pstate;
  for (let i = 0; i < levelsup; i++) {
    assert(state.parent !== null, 'a variable refers to an existing query level');
    state = state.parent;
  }
  return state;
}

export function getNSItemByRangeTablePosn(pstate: ParseState, varno: number, levelsup: number): ParseNamespaceItem {
  const nsitem = stateAtLevel(pstate, levelsup).namespace.find(item => item.rtindex === varno);
  assert(nsitem !== undefined, 'a variable belongs to a namespace item');
  return nsitem;
}

export function getRTEByRangeTablePosn(pstate: ParseState, varno: number, levelsup: number): RangeTblEntry {
  const rte = stateAtLevel(pstate, levelsup).rtable[varno - 1];
  assert(rte !== undefined, 'a variable refers to a range table entry');
  return rte;
}

export function getCTEForRTE(pstate: ParseState, rte: RangeTblEntry, rtelevelsup: number): CommonTableExpr {
  const cte = stateAtLevel(pstate, rte.ctelevelsup + rtelevelsup).ctenamespace.find(c => c.ctename === rte.ctename);
  assert(cte !== undefined, `CTE ${rte.ctename} exists`);
  return cte;
}

/** Position of a column among an item's names; negative for a system column, 0 if there is none. */
function scanRTEForColumn(
  pstate: ParseState,
  rte: RangeTblEntry,
  names: Alias,
  colname: string,
  location: number,
): number {
  let result = 0;
  for (let i = 0; i < names.colnames.length; i++) {
    if (names.colnames[i] !== colname) continue;
    if (result !== 0)
      throw pstate.error(ERRCODE.AMBIGUOUS_COLUMN, `column reference "${colname}" is ambiguous`, location);
    result = i + 1;
  }
  if (result !== 0) return result;
  if (rte.rtekind === RTE_RELATION && rte.relkind !== 'c') {
    const attnum = specialAttNum(colname);
    // Views have no system columns; their pg_attribute says so.
    if (attnum !== 0 && pstate.catalog.attribute(rte.relid, attnum) !== null) return attnum;
  }
  return 0;
}

/** A Var for a column of the item, or null. */
export function scanNSItemForColumn(
  pstate: ParseState,
  nsitem: ParseNamespaceItem,
  levelsup: number,
  colname: string,
  location: number,
): Var | null {
  const attnum = scanRTEForColumn(pstate, nsitem.rte, nsitem.names, colname, location);
  if (attnum === 0) return null;
  if (attnum < 0 && attnum !== TABLE_OID_ATTRIBUTE_NUMBER) {
    const message =
      pstate.expr_kind === 'CHECK_CONSTRAINT'
        ? `system column "${colname}" reference in check constraint is invalid`
        : pstate.expr_kind === 'GENERATED_COLUMN'
          ? `cannot use system column "${colname}" in column generation expression`
          : pstate.expr_kind === 'MERGE_WHEN'
            ? `cannot use system column "${colname}" in MERGE WHEN condition`
            : null;
    if (message !== null) throw pstate.error(ERRCODE.INVALID_COLUMN_REFERENCE, message, location);
  }
  let variable: Var;
  if (attnum > 0) {
    const column = nsitem.nscolumns[attnum - 1] as ParseNamespaceColumn;
    if (column.varno === 0) {
      throw pstate.error(
        ERRCODE.UNDEFINED_COLUMN,
        `column "${colname}" of relation "${nsitem.names.aliasname}" does not exist`,
      );
    }
    variable = makeColumnVar(column, levelsup, location);
  } else {
    const [, type] = SYSTEM_COLUMNS[colname] as readonly [number, Oid];
    variable = makeVar(nsitem.rtindex, attnum, type, -1, INVALID_OID, levelsup, location);
  }
  markVarForSelectPriv(pstate, variable);
  return variable;
}

function makeColumnVar(column: ParseNamespaceColumn, levelsup: number, location: number): Var {
  const variable = makeVar(
    column.varno,
    column.varattno,
    column.vartype,
    column.vartypmod,
    column.varcollid,
    levelsup,
    location,
  );
  variable.varnosyn = column.varnosyn;
  variable.varattnosyn = column.varattnosyn;
  return variable;
}

/** An unqualified column name, innermost level first; null if nothing has it. */
export function colNameToVar(pstate: ParseState, colname: string, localonly: boolean, location: number): Var | null {
  let levelsup = 0;
  for (let state: ParseState | null = pstate; state !== null; state = state.parent, levelsup++) {
    let result: Var | null = null;
    for (const nsitem of state.namespace) {
      if (!nsitem.cols_visible) continue;
      if (nsitem.lateral_only && !state.lateral_active) continue;
      const found = scanNSItemForColumn(pstate, nsitem, levelsup, colname, location);
      if (found === null) continue;
      if (result !== null)
        throw pstate.error(ERRCODE.AMBIGUOUS_COLUMN, `column reference "${colname}" is ambiguous`, location);
      checkLateralRefOk(state, nsitem, location);
      result = found;
    }
    if (result !== null || localonly) return result;
  }
  return null;
}

// ---- permissions ---------------------------------------------------------------------------------

function markRTEForSelectPriv(pstate: ParseState, rtindex: number, attnum: number): void {
  const rte = pstate.rtable[rtindex - 1] as RangeTblEntry;
  if (rte.rtekind === RTE_RELATION) {
    rte.requiredPerms |= ACL_SELECT;
    rte.selectedCols = bmsAddMember(rte.selectedCols, attnum - FIRST_LOW_INVALID_HEAP_ATTRIBUTE_NUMBER);
  } else if (rte.rtekind === RTE_JOIN && attnum === 0) {
    const join = pstate.joinexprs[rtindex - 1];
    assert(join !== null && join !== undefined, 'a join RTE has its JoinExpr');
    for (const side of [join.larg, join.rarg] as readonly JoinTreeNode[]) {
      assert(side.type !== 'FromExpr', 'joins nest through JoinExprs');
      markRTEForSelectPriv(pstate, side.rtindex, 0);
    }
  }
}

export function markVarForSelectPriv(pstate: ParseState, variable: Var): void {
  markRTEForSelectPriv(stateAtLevel(pstate, variable.varlevelsup), variable.varno, variable.varattno);
}

// ---- building range table entries ----------------------------------------------------------------

/** Raw alias → Alias. */
export function makeAlias(alias: RawNode | null | undefined): Alias | null {
  if (!alias) return null;
  return { type: 'Alias', aliasname: alias.aliasname, colnames: rawStrings(alias.colnames) };
}

function copyAlias(alias: Alias): Alias {
  return { ...alias, colnames: alias.colnames.slice() };
}

function buildRelationAliases(
  pstate: ParseState,
  columns: readonly ResultColumn[],
  alias: Alias | null,
  eref: Alias,
): void {
  const given = alias?.colnames ?? [];
  const names: string[] = [];
  const aliasNames: string[] = [];
  let next = 0;
  let numdropped = 0;
  for (const column of columns) {
    let name: string;
    if (column.dropped) {
      name = '';
      if (next < given.length) aliasNames.push(name);
      numdropped++;
    } else if (next < given.length) {
      name = given[next++] as string;
      aliasNames.push(name);
    } else name = column.name;
    names.push(name);
  }
  if (next < given.length) {
    throw pstate.error(
      ERRCODE.INVALID_COLUMN_REFERENCE,
      `table "${eref.aliasname}" has ${columns.length - numdropped} columns available but ${given.length} columns specified`,
    );
  }
  eref.colnames = names;
  if (alias) alias.colnames = aliasNames;
}

function makeNSItem(rte: RangeTblEntry, rtindex: number, nscolumns: ParseNamespaceColumn[]): ParseNamespaceItem {
  return {
    names: rte.eref,
    rte,
    rtindex,
    nscolumns,
    rel_visible: true,
    cols_visible: true,
    lateral_only: false,
    lateral_ok: true,
  };
}

const NO_COLUMN: ParseNamespaceColumn = {
  varno: 0,
  varattno: 0,
  vartype: INVALID_OID,
  vartypmod: 0,
  varcollid: INVALID_OID,
  varnosyn: 0,
  varattnosyn: 0,
  dontexpand: false,
};

function makeNSColumn(rtindex: number, attno: number, type: Oid, typmod: number, collation: Oid): ParseNamespaceColumn {
  return {
    varno: rtindex,
    varattno: attno,
    vartype: type,
    vartypmod: typmod,
    varcollid: collation,
    varnosyn: rtindex,
    varattnosyn: attno,
    dontexpand: false,
  };
}

function nsItemFromColumns(rte: RangeTblEntry, rtindex: number, columns: readonly ResultColumn[]): ParseNamespaceItem {
  return makeNSItem(
    rte,
    rtindex,
    columns.map((c, i) => (c.dropped ? NO_COLUMN : makeNSColumn(rtindex, i + 1, c.typid, c.typmod, c.collation))),
  );
}

function nsItemFromLists(
  rte: RangeTblEntry,
  rtindex: number,
  types: readonly Oid[],
  typmods: readonly number[],
  collations: readonly Oid[],
): ParseNamespaceItem {
  return makeNSItem(
    rte,
    rtindex,
    types.map((type, i) => makeNSColumn(rtindex, i + 1, type, typmods[i] as number, collations[i] as Oid)),
  );
}

function attributeColumns(attrs: readonly Form_pg_attribute[]): ResultColumn[] {
  return attrs.map(a => ({
    name: a.attname,
    typid: a.atttypid,
    typmod: a.atttypmod,
    collation: a.attcollation,
    dropped: a.attisdropped,
  }));
}

/** Finds the relation of a RangeVar; a missing one is an error with a hint about forward CTE references. */
export function parserOpenTable(pstate: ParseState, relation: RawNode): TargetRelation {
  const location: number = relation.location ?? 0;
  const { catalog } = pstate;
  const relname: string = relation.relname;
  const schema: string | undefined = relation.schemaname;
  if (relation.catalogname && relation.catalogname !== catalog.session.databaseName) {
    throw pstate.error(
      ERRCODE.FEATURE_NOT_SUPPORTED,
      `cross-database references are not implemented: "${relation.catalogname}.${schema}.${relname}"`,
      location,
    );
  }
  let relid: Oid;
  if (schema !== undefined) {
    const namespace = catalog.namespaceOidOrZero(schema);
    relid = namespace === 0 ? INVALID_OID : catalog.relationInNamespace(relname, namespace);
    if (relid === 0)
      throw pstate.error(ERRCODE.UNDEFINED_TABLE, `relation "${schema}.${relname}" does not exist`, location);
  } else {
    relid =
      relation.relpersistence === 't' && catalog.tempNamespace !== 0
        ? catalog.relationInNamespace(relname, catalog.tempNamespace)
        : catalog.relnameGetRelid(relname);
    if (relid === 0) {
      throw pstate.error(
        ERRCODE.UNDEFINED_TABLE,
        `relation "${relname}" does not exist`,
        location,
        isFutureCTE(pstate, relname)
          ? {
              detail: `There is a WITH item named "${relname}", but it cannot be referenced from this part of the query.`,
              hint: 'Use WITH RECURSIVE, or re-order the WITH items to remove forward references.',
            }
          : {},
      );
    }
  }
  const rel = catalog.relation(relid);
  return openRelation(pstate, rel.oid, location);
}

const NOT_OPENABLE: Readonly<Record<string, string>> = {
  i: 'This operation is not supported for indexes.',
  I: 'This operation is not supported for partitioned indexes.',
  c: 'This operation is not supported for composite types.',
};

/** A relation that a query may read, by OID. */
function openRelation(pstate: ParseState, relid: Oid, location: number): TargetRelation {
  const rel = pstate.catalog.relation(relid);
  const detail = NOT_OPENABLE[rel.relkind];
  if (detail !== undefined) {
    throw pstate.error(ERRCODE.WRONG_OBJECT_TYPE, `cannot open relation "${rel.relname}"`, location, { detail });
  }
  return { rel, attrs: pstate.catalog.attributes(relid) };
}

/** Is the FROM item named in a FOR UPDATE/SHARE of this level? */
export function isLockedRefname(pstate: ParseState, refname: string): boolean {
  if (pstate.locked_from_parent) return true;
  return pstate.locking_clause.some(
    lc => !lc.lockedRels || (lc.lockedRels as RawNode[]).some(rel => rel.relname === refname),
  );
}

export function addRangeTableEntry(
  pstate: ParseState,
  relation: RawNode,
  alias: Alias | null,
  inh: boolean,
  inFromCl: boolean,
): ParseNamespaceItem {
  const refname = alias ? alias.aliasname : (relation.relname as string);
  const lockmode = isLockedRefname(pstate, refname) ? ROW_SHARE_LOCK : ACCESS_SHARE_LOCK;
  return addRangeTableEntryForRelation(pstate, parserOpenTable(pstate, relation), lockmode, alias, inh, inFromCl);
}

export function addRangeTableEntryForRelation(
  pstate: ParseState,
  { rel, attrs }: TargetRelation,
  lockmode: number,
  alias: Alias | null,
  inh: boolean,
  inFromCl: boolean,
): ParseNamespaceItem {
  const columns = attributeColumns(attrs);
  const eref: Alias = { type: 'Alias', aliasname: alias ? alias.aliasname : rel.relname, colnames: [] };
  buildRelationAliases(pstate, columns, alias, eref);
  const rte = makeRangeTblEntry({
    rtekind: RTE_RELATION,
    alias,
    eref,
    relid: rel.oid,
    relkind: rel.relkind,
    rellockmode: lockmode,
    inh,
    inFromCl,
    requiredPerms: ACL_SELECT,
  });
  pstate.rtable.push(rte);
  return nsItemFromColumns(rte, pstate.rtable.length, columns);
}

function extendNames(eref: Alias, names: readonly string[]): void {
  eref.colnames = [...eref.colnames, ...names.slice(eref.colnames.length)];
}

export function addRangeTableEntryForSubquery(
  pstate: ParseState,
  subquery: Query,
  alias: Alias | null,
  lateral: boolean,
  inFromCl: boolean,
): ParseNamespaceItem {
  const eref: Alias = alias ? copyAlias(alias) : { type: 'Alias', aliasname: 'unnamed_subquery', colnames: [] };
  const numaliases = eref.colnames.length;
  const columns = subquery.targetList.filter(tle => !tle.resjunk);
  extendNames(
    eref,
    columns.map(tle => tle.resname as string),
  );
  if (columns.length < numaliases) {
    throw pstate.error(
      ERRCODE.INVALID_COLUMN_REFERENCE,
      `table "${eref.aliasname}" has ${columns.length} columns available but ${numaliases} columns specified`,
    );
  }
  const rte = makeRangeTblEntry({ rtekind: RTE_SUBQUERY, subquery, alias, eref, lateral, inFromCl });
  pstate.rtable.push(rte);
  return nsItemFromLists(
    rte,
    pstate.rtable.length,
    columns.map(tle => exprType(tle.expr)),
    columns.map(tle => exprTypmod(tle.expr)),
    columns.map(tle => exprCollation(tle.expr)),
  );
}

/** One function of a FROM item. */
export interface FromFunction {
  readonly expr: Expr;
  readonly name: string;
  /** Raw ColumnDefs; empty if none were written. */
  readonly coldeflist: readonly RawNode[];
}

export function addRangeTableEntryForFunction(
  pstate: ParseState,
  funcs: readonly FromFunction[],
  alias: Alias | null,
  ordinality: boolean,
  lateral: boolean,
  inFromCl: boolean,
): ParseNamespaceItem {
  const eref: Alias = {
    type: 'Alias',
    aliasname: alias ? alias.aliasname : (funcs[0] as FromFunction).name,
    colnames: [],
  };
  const functions: RangeTblFunction[] = [];
  const columns: ResultColumn[] = [];
  for (const func of funcs) {
    const { rtfunc, cols } = functionColumns(pstate, func, alias, funcs.length);
    functions.push(rtfunc);
    columns.push(...cols);
  }
  if (ordinality)
    columns.push({ name: 'ordinality', typid: INT8OID, typmod: -1, collation: INVALID_OID, dropped: false });
  buildRelationAliases(pstate, columns, alias, eref);
  const rte = makeRangeTblEntry({
    rtekind: RTE_FUNCTION,
    functions,
    funcordinality: ordinality,
    alias,
    eref,
    lateral,
    inFromCl,
  });
  pstate.rtable.push(rte);
  return nsItemFromColumns(rte, pstate.rtable.length, columns);
}

function functionColumns(
  pstate: ParseState,
  { expr, name, coldeflist }: FromFunction,
  alias: Alias | null,
  nfuncs: number,
): { readonly rtfunc: RangeTblFunction; readonly cols: readonly ResultColumn[] } {
  const result = exprResultType(pstate.catalog, expr);
  const rtfunc: RangeTblFunction = {
    type: 'RangeTblFunction',
    funcexpr: expr,
    funccolcount: 0,
    funccolnames: [],
    funccoltypes: [],
    funccoltypmods: [],
    funccolcollations: [],
    funcparams: [],
  };
  if (coldeflist.length > 0) {
    const where = (coldeflist[0] as RawNode).location ?? 0;
    if (result.kind === 'composite' || result.kind === 'composite-domain') {
      throw pstate.error(
        ERRCODE.SYNTAX_ERROR,
        exprType(expr) === RECORDOID
          ? 'a column definition list is redundant for a function with OUT parameters'
          : 'a column definition list is redundant for a function returning a named composite type',
        where,
      );
    }
    if (result.kind !== 'record') {
      throw pstate.error(
        ERRCODE.SYNTAX_ERROR,
        'a column definition list is only allowed for functions returning "record"',
        where,
      );
    }
  } else if (result.kind === 'record') {
    throw pstate.error(
      ERRCODE.SYNTAX_ERROR,
      'a column definition list is required for functions returning "record"',
      exprLocation(expr),
    );
  }
  let cols: readonly ResultColumn[];
  switch (result.kind) {
    case 'composite':
    case 'composite-domain':
      cols = result.columns;
      break;
    case 'scalar':
      cols = [
        {
          name: scalarFunctionName(pstate, expr, name, alias, nfuncs),
          typid: result.type,
          typmod: exprTypmod(expr),
          collation: exprCollation(expr),
          dropped: false,
        },
      ];
      break;
    case 'record':
      cols = columnDefinitions(pstate, coldeflist);
      rtfunc.funccolnames = cols.map(c => c.name);
      rtfunc.funccoltypes = cols.map(c => c.typid);
      rtfunc.funccoltypmods = cols.map(c => c.typmod);
      rtfunc.funccolcollations = cols.map(c => c.collation);
      break;
    case 'other':
      throw pstate.error(
        ERRCODE.DATATYPE_MISMATCH,
        `function "${name}" in FROM has unsupported return type ${pstate.typeName(result.type)}`,
        exprLocation(expr),
      );
  }
  rtfunc.funccolcount = cols.length;
  return { rtfunc, cols };
}

function scalarFunctionName(pstate: ParseState, expr: Expr, name: string, alias: Alias | null, nfuncs: number): string {
  if (expr.type === 'FuncExpr') {
    const out = funcResultName(pstate.catalog, expr.funcid);
    if (out !== null) return out;
  }
  return nfuncs === 1 && alias ? alias.aliasname : name;
}

export function addRangeTableEntryForValues(
  pstate: ParseState,
  exprs: readonly (readonly Expr[])[],
  coltypes: readonly Oid[],
  coltypmods: readonly number[],
  colcollations: readonly Oid[],
  alias: Alias | null,
  lateral: boolean,
  inFromCl: boolean,
): ParseNamespaceItem {
  const eref: Alias = alias ? copyAlias(alias) : { type: 'Alias', aliasname: '*VALUES*', colnames: [] };
  const numcolumns = (exprs[0] as readonly Expr[]).length;
  const numaliases = eref.colnames.length;
  extendNames(
    eref,
    Array.from({ length: numcolumns }, (_, i) => `column${i + 1}`),
  );
  if (numcolumns < numaliases) {
    throw pstate.error(
      ERRCODE.INVALID_COLUMN_REFERENCE,
      `VALUES lists "${eref.aliasname}" have ${numcolumns} columns available but ${numaliases} columns specified`,
    );
  }
  const rte = makeRangeTblEntry({
    rtekind: RTE_VALUES,
    values_lists: exprs,
    coltypes,
    coltypmods,
    colcollations,
    alias,
    eref,
    lateral,
    inFromCl,
  });
  pstate.rtable.push(rte);
  return nsItemFromLists(rte, pstate.rtable.length, coltypes, coltypmods, colcollations);
}

export interface JoinRteFields {
  readonly colnames: readonly string[];
  readonly nscolumns: ParseNamespaceColumn[];
  readonly jointype: JoinType;
  readonly nummergedcols: number;
  readonly aliasvars: readonly Expr[];
  readonly leftcols: readonly number[];
  readonly rightcols: readonly number[];
  readonly join_using_alias: Alias | null;
  readonly alias: Alias | null;
}

export function addRangeTableEntryForJoin(pstate: ParseState, join: JoinRteFields): ParseNamespaceItem {
  const eref: Alias = join.alias ? copyAlias(join.alias) : { type: 'Alias', aliasname: 'unnamed_join', colnames: [] };
  const numaliases = eref.colnames.length;
  extendNames(eref, join.colnames);
  if (numaliases > join.colnames.length) {
    throw pstate.error(
      ERRCODE.INVALID_COLUMN_REFERENCE,
      `join expression "${eref.aliasname}" has ${join.colnames.length} columns available but ${numaliases} columns specified`,
    );
  }
  const rte = makeRangeTblEntry({
    rtekind: RTE_JOIN,
    jointype: join.jointype,
    joinmergedcols: join.nummergedcols,
    joinaliasvars: join.aliasvars,
    joinleftcols: join.leftcols,
    joinrightcols: join.rightcols,
    join_using_alias: join.join_using_alias,
    alias: join.alias,
    eref,
    inFromCl: true,
  });
  pstate.rtable.push(rte);
  return makeNSItem(rte, pstate.rtable.length, join.nscolumns);
}

export function addRangeTableEntryForCTE(
  pstate: ParseState,
  cte: CommonTableExpr,
  levelsup: number,
  relation: RawNode,
  inFromCl: boolean,
): ParseNamespaceItem {
  const alias = makeAlias(relation.alias);
  // While the CTE's own query is being analyzed, its ctequery is still the raw tree.
  const analyzed = (cte.ctequery as { readonly type: string }).type === 'Query';
  if (analyzed) {
    cte.cterefcount++;
    if (cte.ctequery.commandType !== CMD_SELECT && cte.ctequery.returningList.length === 0) {
      throw pstate.error(
        ERRCODE.FEATURE_NOT_SUPPORTED,
        `WITH query "${cte.ctename}" does not have a RETURNING clause`,
        relation.location ?? 0,
      );
    }
  }
  const eref: Alias = alias ? copyAlias(alias) : { type: 'Alias', aliasname: cte.ctename, colnames: [] };
  const numaliases = eref.colnames.length;
  extendNames(eref, cte.ctecolnames);
  if (cte.ctecolnames.length < numaliases) {
    throw pstate.error(
      ERRCODE.INVALID_COLUMN_REFERENCE,
      `table "${eref.aliasname}" has ${cte.ctecolnames.length} columns available but ${numaliases} columns specified`,
    );
  }
  const coltypes = cte.ctecoltypes.slice();
  const coltypmods = cte.ctecoltypmods.slice();
  const colcollations = cte.ctecolcollations.slice();
  const extra: [name: string, type: Oid, typmod: number, collation: Oid][] = [];
  if (cte.search_clause) {
    const type = cte.search_clause.search_breadth_first ? RECORDOID : RECORDARRAYOID;
    extra.push([cte.search_clause.search_seq_column as string, type, -1, INVALID_OID]);
  }
  if (cte.cycle_clause) {
    const c = cte.cycle_clause;
    extra.push([c.cycle_mark_column as string, c.cycle_mark_type, c.cycle_mark_typmod, c.cycle_mark_collation]);
    extra.push([c.cycle_path_column as string, RECORDARRAYOID, -1, INVALID_OID]);
  }
  for (const [name, type, typmod, collation] of extra) {
    eref.colnames = [...eref.colnames, name];
    coltypes.push(type);
    coltypmods.push(typmod);
    colcollations.push(collation);
  }
  const rte = makeRangeTblEntry({
    rtekind: RTE_CTE,
    ctename: cte.ctename,
    ctelevelsup: levelsup,
    self_reference: !analyzed,
    coltypes,
    coltypmods,
    colcollations,
    alias,
    eref,
    inFromCl,
  });
  pstate.rtable.push(rte);
  const nsitem = nsItemFromLists(rte, pstate.rtable.length, coltypes, coltypmods, colcollations);
  if (levelsup > 0)
    for (const column of nsitem.nscolumns.slice(nsitem.nscolumns.length - extra.length)) column.dontexpand = true;
  return nsitem;
}

export function addNSItemToQuery(
  pstate: ParseState,
  nsitem: ParseNamespaceItem,
  toJoinList: boolean,
  relVisible: boolean,
  colsVisible: boolean,
): void {
  if (toJoinList) pstate.joinlist.push({ type: 'RangeTblRef', rtindex: nsitem.rtindex });
  if (relVisible || colsVisible) {
    nsitem.rel_visible = relVisible;
    nsitem.cols_visible = colsVisible;
    nsitem.lateral_only = false;
    nsitem.lateral_ok = true;
    pstate.namespace.push(nsitem);
  }
}

// ---- expansion -----------------------------------------------------------------------------------

export interface Expansion {
  readonly names: string[];
  readonly vars: Expr[];
}

/** All columns of a range table entry, by the entry itself (not through a namespace item). */
export function expandRTE(
  pstate: ParseState,
  rte: RangeTblEntry,
  rtindex: number,
  levelsup: number,
  location: number,
  includeDropped: boolean,
): Expansion {
  const names: string[] = [];
  const vars: Expr[] = [];
  const add = (name: string, attno: number, type: Oid, typmod: number, collation: Oid) => {
    names.push(name);
    vars.push(makeVar(rtindex, attno, type, typmod, collation, levelsup, location));
  };
  const addDropped = () => {
    if (!includeDropped) return;
    names.push('');
    vars.push(makeConst(INT4OID, -1, INVALID_OID, 4, true, null));
  };
  const { colnames } = rte.eref;
  const addColumns = (columns: readonly ResultColumn[], count: number, offset: number) => {
    for (let i = 0; i < count; i++) {
      const c = columns[i] as ResultColumn;
      if (c.dropped) addDropped();
      else add(colnames[offset + i] ?? c.name, offset + i + 1, c.typid, c.typmod, c.collation);
    }
  };
  switch (rte.rtekind) {
    case RTE_RELATION: {
      const columns = attributeColumns(pstate.catalog.attributes(rte.relid));
      addColumns(columns, columns.length, 0);
      break;
    }
    case RTE_SUBQUERY: {
      const columns = (rte.subquery as Query).targetList.filter(tle => !tle.resjunk);
      for (let i = 0; i < Math.min(columns.length, colnames.length); i++) {
        const { expr } = columns[i] as TargetEntry;
        add(colnames[i] as string, i + 1, exprType(expr), exprTypmod(expr), exprCollation(expr));
      }
      break;
    }
    case RTE_FUNCTION: {
      let done = 0;
      for (const rtfunc of rte.functions) {
        if (rtfunc.funccolnames.length > 0) {
          rtfunc.funccoltypes.forEach((type, i) =>
            add(
              colnames[done + i] as string,
              done + i + 1,
              type,
              rtfunc.funccoltypmods[i] as number,
              rtfunc.funccolcollations[i] as Oid,
            ),
          );
        } else {
          const result = exprResultType(pstate.catalog, rtfunc.funcexpr);
          if (result.kind === 'composite' || result.kind === 'composite-domain')
            addColumns(result.columns, rtfunc.funccolcount, done);
          else
            add(
              colnames[done] as string,
              done + 1,
              result.type,
              exprTypmod(rtfunc.funcexpr),
              exprCollation(rtfunc.funcexpr),
            );
        }
        done += rtfunc.funccolcount;
      }
      if (rte.funcordinality) {
        names.push(colnames[colnames.length - 1] as string);
        vars.push(makeVar(rtindex, done + 1, INT8OID, -1, INVALID_OID, levelsup));
      }
      break;
    }
    case RTE_JOIN:
      rte.joinaliasvars.forEach((avar, i) => {
        if (avar === null) return addDropped();
        names.push(colnames[i] as string);
        if (avar.type === 'Var') vars.push({ ...avar, varlevelsup: levelsup, location });
        else
          vars.push(makeVar(rtindex, i + 1, exprType(avar), exprTypmod(avar), exprCollation(avar), levelsup, location));
      });
      break;
    case RTE_TABLEFUNC:
    case RTE_VALUES:
    case RTE_CTE:
    case RTE_NAMEDTUPLESTORE:
      rte.coltypes.forEach((type, i) => {
        if (type === 0) addDropped();
        else add(colnames[i] as string, i + 1, type, rte.coltypmods[i] as number, rte.colcollations[i] as Oid);
      });
      break;
    case RTE_RESULT:
      break;
  }
  return { names, vars };
}

/** All visible columns of a namespace item as Vars. */
export function expandNSItemVars(
  pstate: ParseState,
  nsitem: ParseNamespaceItem,
  levelsup: number,
  location: number,
): { names: string[]; vars: Var[] } {
  const names: string[] = [];
  const vars: Var[] = [];
  nsitem.names.colnames.forEach((name, i) => {
    const column = nsitem.nscolumns[i] as ParseNamespaceColumn;
    if (column.dontexpand || name === '') return;
    if (column.varno === 0) return;
    vars.push(makeColumnVar(column, levelsup, location));
    names.push(name);
  });
  void pstate;
  return { names, vars };
}

/** item.* as target entries. */
export function expandNSItemAttrs(
  pstate: ParseState,
  nsitem: ParseNamespaceItem,
  levelsup: number,
  requireColPrivs: boolean,
  location: number,
): TargetEntry[] {
  const { names, vars } = expandNSItemVars(pstate, nsitem, levelsup, location);
  if (nsitem.rte.rtekind === RTE_RELATION) nsitem.rte.requiredPerms |= ACL_SELECT;
  return vars.map((variable, i) => {
    if (requireColPrivs) markVarForSelectPriv(pstate, variable);
    return makeTargetEntry(variable, pstate.next_resno++, names[i] as string, false);
  });
}

/** Name of a column of an RTE, for messages. */
export function getRteAttributeName(pstate: ParseState, rte: RangeTblEntry, attnum: number): string {
  if (attnum === 0) return '*';
  const alias = rte.alias?.colnames[attnum - 1];
  if (attnum > 0 && alias !== undefined) return alias;
  if (rte.rtekind === RTE_RELATION) {
    return attnum < 0 ? systemColumnName(attnum) : (pstate.catalog.attribute(rte.relid, attnum)?.attname ?? '');
  }
  return rte.eref.colnames[attnum - 1] ?? '';
}

/** attnum of a column of a relation by name, 0 if it has none. */
export function attnameAttNum({ attrs }: TargetRelation, name: string, sysColOK: boolean): number {
  const attr = attrs.find(a => a.attname === name && !a.attisdropped);
  if (attr) return attr.attnum;
  return sysColOK ? specialAttNum(name) : 0;
}

// ---- errors --------------------------------------------------------------------------------------

function searchRangeTableForRel(pstate: ParseState, schema: string | null, refname: string): RangeTblEntry | null {
  const cte = schema === null ? scanNameSpaceForCTE(pstate, refname) : null;
  let relid = INVALID_OID;
  if (cte === null) {
    const namespace = schema === null ? 0 : pstate.catalog.namespaceOidOrZero(schema);
    if (schema === null) relid = pstate.catalog.relnameGetRelid(refname);
    else if (namespace !== 0) relid = pstate.catalog.relationInNamespace(refname, namespace);
  }
  let levelsup = 0;
  for (let state: ParseState | null = pstate; state !== null; state = state.parent, levelsup++) {
    for (const rte of state.rtable) {
      if (rte.rtekind === RTE_RELATION && relid !== 0 && rte.relid === relid) return rte;
      if (
        rte.rtekind === RTE_CTE &&
        cte !== null &&
        rte.ctelevelsup + levelsup === cte.levelsup &&
        rte.ctename === refname
      )
        return rte;
      if (rte.eref.aliasname === refname) return rte;
    }
  }
  return null;
}

export function errorMissingRTE(pstate: ParseState, schema: string | null, relname: string, location: number): Error {
  const rte = searchRangeTableForRel(pstate, schema, relname);
  if (rte === null) {
    return pstate.error(ERRCODE.UNDEFINED_TABLE, `missing FROM-clause entry for table "${relname}"`, location);
  }
  let badAlias: string | null = null;
  if (rte.alias !== null && rte.eref.aliasname !== relname) {
    const found = refnameNamespaceItem(pstate, null, rte.eref.aliasname, location);
    if (found && found.nsitem.rte === rte) badAlias = rte.eref.aliasname;
  }
  return pstate.error(
    ERRCODE.UNDEFINED_TABLE,
    `invalid reference to FROM-clause entry for table "${relname}"`,
    location,
    {
      hint:
        badAlias !== null
          ? `Perhaps you meant to reference the table alias "${badAlias}".`
          : `There is an entry for table "${rte.eref.aliasname}", but it cannot be referenced from this part of the query.`,
    },
  );
}

const MAX_FUZZY_DISTANCE = 3;

interface FuzzyMatch {
  distance: number;
  first: { readonly rte: RangeTblEntry; readonly attnum: number } | null;
  second: { readonly rte: RangeTblEntry; readonly attnum: number } | null;
  /** The exact name exists, but not where it is used. */
  exact: RangeTblEntry | null;
}

function considerFuzzy(
  match: FuzzyMatch,
  penalty: number,
  rte: RangeTblEntry,
  actual: string,
  wanted: string,
  attnum: number,
): void {
  if (penalty > match.distance || actual === '') return;
  let distance = levenshteinLessEqual(actual, wanted, match.distance + 1 - penalty);
  if (distance > Math.floor(Buffer.byteLength(wanted) / 2)) return;
  distance += penalty;
  if (distance < match.distance) {
    match.distance = distance;
    match.first = { rte, attnum };
    match.second = null;
  } else if (distance === match.distance) {
    if (match.second !== null) {
      // Three equally good guesses are none.
      match.first = null;
      match.second = null;
      match.distance = distance - 1;
    } else if (match.first !== null) match.second = { rte, attnum };
    else if (match.distance <= MAX_FUZZY_DISTANCE) match.first = { rte, attnum };
  }
}

function searchRangeTableForCol(
  pstate: ParseState,
  alias: string | null,
  colname: string,
  location: number,
): FuzzyMatch {
  const match: FuzzyMatch = { distance: MAX_FUZZY_DISTANCE + 1, first: null, second: null, exact: null };
  for (let state: ParseState | null = pstate; state !== null; state = state.parent) {
    for (const rte of state.rtable) {
      if (rte.rtekind === RTE_JOIN) continue;
      const penalty = alias === null ? 0 : levenshteinLessEqual(alias, rte.eref.aliasname, MAX_FUZZY_DISTANCE + 1);
      const found = scanRTEForColumn(pstate, rte, rte.eref, colname, location);
      rte.eref.colnames.forEach((name, i) => considerFuzzy(match, penalty, rte, name, colname, i + 1));
      if (found !== 0 && penalty === 0) {
        match.exact = rte;
        match.first = null;
        match.second = null;
        return match;
      }
    }
  }
  return match;
}

export function errorMissingColumn(
  pstate: ParseState,
  relname: string | null,
  colname: string,
  location: number,
): Error {
  const match = searchRangeTableForCol(pstate, relname, colname, location);
  const message =
    relname === null ? `column "${colname}" does not exist` : `column ${relname}.${colname} does not exist`;
  const quoted = (m: { readonly rte: RangeTblEntry; readonly attnum: number }) =>
    `"${m.rte.eref.aliasname}.${m.rte.eref.colnames[m.attnum - 1]}"`;
  let hint: string | undefined;
  if (match.exact) {
    hint = `There is a column named "${colname}" in table "${match.exact.eref.aliasname}", but it cannot be referenced from this part of the query.`;
  } else if (match.first && match.second) {
    hint = `Perhaps you meant to reference the column ${quoted(match.first)} or the column ${quoted(match.second)}.`;
  } else if (match.first) hint = `Perhaps you meant to reference the column ${quoted(match.first)}.`;
  return pstate.error(ERRCODE.UNDEFINED_COLUMN, message, location, { hint });
}
