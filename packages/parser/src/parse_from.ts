/** FROM: tables, subqueries, functions, joins, and the table that a statement writes. */
import type { Slices } from '@pgtroupe/common/slices';
import type { Oid } from '@pgtroupe/common/ids';
import { nameListToString, type ParseNamespaceItem, type ParseState, rawStrings } from './parse_node.ts';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import {
  ROW_EXCLUSIVE_LOCK,
  addNSItemToQuery,
  addRangeTableEntry,
  addRangeTableEntryForCTE,
  addRangeTableEntryForFunction,
  addRangeTableEntryForRelation,
  addRangeTableEntryForSubquery,
  checkNameSpaceConflicts,
  isLockedRefname,
  makeAlias,
  parserOpenTable,
  scanNameSpaceForCTE,
  type FromFunction,
} from './parse_relation.ts';
import { setNamespaceLateralState, transformJoin, type FromItem } from './parse_join.ts';
import type { Expr, FromExpr } from '@pgtroupe/nodes/primnodes';
import { CMD_SELECT, RTE_RELATION } from '@pgtroupe/nodes/nodes';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { rawLocation } from './rawlocation.ts';
import { notSupported } from '@pgtroupe/common/ereport';
import { parseSubAnalyze, transformExpr } from './grammar.ts';
import { exprLocation } from '@pgtroupe/nodes/nodefuncs';
import { figureColname } from './figurecolname.ts';
import { assignExprCollations, assignListCollations } from './parse_collate.ts';
import type { TableSampleClause } from '@pgtroupe/nodes/parsenodes';
import { funcnameGetCandidates } from './func_candidates.ts';
import { FLOAT4OID, FLOAT8OID, INTERNALOID, TSM_HANDLEROID } from '@pgtroupe/common/oids';
import { coerceToSpecificType } from './parse_coerce.ts';
import { containVarsOfLevel } from '@pgtroupe/nodes/vars';

export function* transformFromClause(pstate: ParseState, fromList: readonly RawNode[]): Slices<void> {
  for (const raw of fromList) {
    yield;
    const item = yield* transformFromClauseItem(pstate, raw);
    checkNameSpaceConflicts(pstate, pstate.namespace, item.namespace);
    // Later items see this one only through LATERAL, until the whole FROM is done.
    setNamespaceLateralState(item.namespace, true, true);
    pstate.joinlist.push(item.node);
    pstate.namespace = [...pstate.namespace, ...item.namespace];
  }
  setNamespaceLateralState(pstate.namespace, false, true);
}

export function makeFromExpr(pstate: ParseState, quals: Expr | null): FromExpr {
  return { type: 'FromExpr', fromlist: pstate.joinlist, quals };
}

/** Opens the table an INSERT, UPDATE or DELETE writes; returns its range table index. */
export function setTargetTable(
  pstate: ParseState,
  relation: RawNode,
  inh: boolean,
  alsoSource: boolean,
  requiredPerms: number,
): number {
  pstate.target_relation = parserOpenTable(pstate, relation);
  const nsitem = addRangeTableEntryForRelation(
    pstate,
    pstate.target_relation,
    ROW_EXCLUSIVE_LOCK,
    makeAlias(relation.alias),
    inh,
    false,
  );
  pstate.target_nsitem = nsitem;
  nsitem.rte.requiredPerms = requiredPerms;
  if (alsoSource) addNSItemToQuery(pstate, nsitem, true, true, true);
  return nsitem.rtindex;
}

function* transformFromClauseItem(pstate: ParseState, raw: RawNode): Slices<FromItem> {
  const leaf = (nsitem: ParseNamespaceItem): FromItem => ({
    node: { type: 'RangeTblRef', rtindex: nsitem.rtindex },
    top: nsitem,
    namespace: [nsitem],
  });
  switch (raw.type) {
    case 'RangeVar': {
      const found = raw.schemaname ? null : scanNameSpaceForCTE(pstate, raw.relname);
      if (found) return leaf(addRangeTableEntryForCTE(pstate, found.cte, found.levelsup, raw, true));
      return leaf(addRangeTableEntry(pstate, raw, makeAlias(raw.alias), raw.inh ?? false, true));
    }
    case 'RangeSubselect':
      return leaf(yield* transformRangeSubselect(pstate, raw));
    case 'RangeFunction':
      return leaf(transformRangeFunction(pstate, raw));
    case 'RangeTableSample': {
      const item = yield* transformFromClauseItem(pstate, raw.relation);
      const { rte } = item.top;
      if (rte.rtekind !== RTE_RELATION || !['r', 'm', 'p'].includes(rte.relkind)) {
        throw pstate.error(
          ERRCODE.FEATURE_NOT_SUPPORTED,
          'TABLESAMPLE clause can only be applied to tables and materialized views',
          rawLocation(raw.relation),
        );
      }
      rte.tablesample = transformRangeTableSample(pstate, raw);
      return item;
    }
    case 'JoinExpr':
      return yield* transformJoin(pstate, raw, transformFromClauseItem);
    case 'RangeTableFunc':
      throw notSupported('XMLTABLE');
    default:
      throw notSupported(`FROM item ${raw.type}`);
  }
}

function* transformRangeSubselect(pstate: ParseState, raw: RawNode): Slices<ParseNamespaceItem> {
  if (!raw.alias) {
    // PostgreSQL 15's grammar insists on an alias; ours is newer and does not.
    const isValues = raw.subquery.valuesLists !== undefined;
    const what = isValues ? 'VALUES' : 'subquery';
    throw pstate.error(
      ERRCODE.SYNTAX_ERROR,
      `${what} in FROM must have an alias`,
      subqueryParenthesis(pstate, raw.subquery),
      {
        hint: `For example, FROM (${isValues ? 'VALUES ...' : 'SELECT ...'}) [AS] foo.`,
      },
    );
  }
  pstate.expr_kind = 'FROM_SUBSELECT';
  pstate.lateral_active = raw.lateral ?? false;
  const query = yield* parseSubAnalyze(pstate, raw.subquery, null, isLockedRefname(pstate, raw.alias.aliasname), true);
  pstate.lateral_active = false;
  pstate.expr_kind = 'NONE';
  if (query.commandType !== CMD_SELECT)
    throw pstate.error(ERRCODE.INTERNAL_ERROR, 'unexpected non-SELECT command in subquery in FROM');
  return addRangeTableEntryForSubquery(pstate, query, makeAlias(raw.alias), raw.lateral ?? false, true);
}

/** Where the subquery's opening parenthesis is: before the first thing in it that has a place. */
function subqueryParenthesis(pstate: ParseState, select: RawNode): number {
  let leftmost = select;
  while (leftmost.larg) leftmost = leftmost.larg;
  const inside = rawLocation(leftmost.targetList ?? leftmost.valuesLists?.[0]);
  if (inside < 0) return -1;
  const before = Buffer.from(pstate.context.sourceText).subarray(0, inside).toString();
  return Buffer.byteLength(
    before.slice(0, before.lastIndexOf('(', before.toLowerCase().search(/(select|values)[^()]*\(?$/))),
  );
}

const TOP_OF_FROM = 'set-returning functions must appear at top level of FROM';

function transformRangeFunction(pstate: ParseState, raw: RawNode): ParseNamespaceItem {
  const funcs: FromFunction[] = [];
  pstate.lateral_active = true;
  const add = (call: RawNode, coldeflist: readonly RawNode[]) => {
    const lastSrf = pstate.last_srf;
    const expr = transformExpr(pstate, call, 'FROM_FUNCTION');
    if (pstate.last_srf !== lastSrf && pstate.last_srf !== expr) {
      throw pstate.error(ERRCODE.FEATURE_NOT_SUPPORTED, TOP_OF_FROM, exprLocation(pstate.last_srf));
    }
    funcs.push({ expr, name: figureColname(call), coldeflist });
  };
  const outerList: readonly RawNode[] = raw.coldeflist ?? [];
  for (const pair of raw.functions as RawNode[]) {
    const [call, columns] = pair.items as [RawNode, RawNode | null];
    const coldeflist: readonly RawNode[] = columns?.items ?? [];
    if (isMultiArgUnnest(call) && coldeflist.length === 0) {
      // unnest(a, b) is ROWS FROM (unnest(a), unnest(b)).
      for (const arg of call.args as RawNode[]) {
        add(
          {
            type: 'FuncCall',
            funcname: [
              { type: 'String', sval: 'pg_catalog' },
              { type: 'String', sval: 'unnest' },
            ],
            args: [arg],
            funcformat: 'COERCE_EXPLICIT_CALL',
            location: call.location ?? 0,
          },
          [],
        );
      }
      continue;
    }
    add(call, coldeflist);
    if (coldeflist.length > 0 && outerList.length > 0) {
      throw pstate.error(
        ERRCODE.SYNTAX_ERROR,
        'multiple column definition lists are not allowed for the same function',
        rawLocation(outerList),
      );
    }
  }
  pstate.lateral_active = false;
  assignListCollations(
    pstate,
    funcs.map(f => f.expr),
  );
  let described = funcs;
  if (outerList.length > 0) {
    const where = rawLocation(outerList);
    if (funcs.length !== 1) {
      throw raw.is_rowsfrom
        ? pstate.error(
            ERRCODE.SYNTAX_ERROR,
            'ROWS FROM() with multiple functions cannot have a column definition list',
            where,
            {
              hint: 'Put a separate column definition list for each function inside ROWS FROM().',
            },
          )
        : pstate.error(
            ERRCODE.SYNTAX_ERROR,
            'UNNEST() with multiple arguments cannot have a column definition list',
            where,
            {
              hint: 'Use separate UNNEST() calls inside ROWS FROM(), and attach a column definition list to each one.',
            },
          );
    }
    if (raw.ordinality) {
      throw pstate.error(ERRCODE.SYNTAX_ERROR, 'WITH ORDINALITY cannot be used with a column definition list', where, {
        hint: 'Put the column definition list inside ROWS FROM().',
      });
    }
    described = [{ ...(funcs[0] as FromFunction), coldeflist: outerList }];
  }
  const lateral =
    (raw.lateral ?? false) ||
    containVarsOfLevel(
      funcs.map(f => f.expr),
      0,
    );
  return addRangeTableEntryForFunction(pstate, described, makeAlias(raw.alias), raw.ordinality ?? false, lateral, true);
}

function isMultiArgUnnest(call: RawNode): boolean {
  return (
    call.type === 'FuncCall' &&
    call.funcname.length === 1 &&
    call.funcname[0].sval === 'unnest' &&
    (call.args?.length ?? 0) > 1 &&
    !call.agg_order &&
    !call.agg_filter &&
    !call.over &&
    !call.agg_star &&
    !call.agg_distinct &&
    !call.func_variadic
  );
}

/** The built-in sampling methods take one float4 percentage. */
const BUILTIN_METHODS: ReadonlySet<string> = new Set(['system', 'bernoulli']);

function transformRangeTableSample(pstate: ParseState, raw: RawNode): TableSampleClause {
  const names = rawStrings(raw.method);
  const method = nameListToString(names);
  const location: number = raw.location ?? 0;
  const handler = funcnameGetCandidates(pstate, names, 1, {
    argnames: [],
    expandVariadic: false,
    expandDefaults: false,
    includeOut: false,
  }).find(c => c.args[0] === INTERNALOID);
  if (!handler) throw pstate.error(ERRCODE.UNDEFINED_OBJECT, `tablesample method ${method} does not exist`, location);
  const proc = pstate.catalog.proc(handler.oid);
  if (proc.prorettype !== TSM_HANDLEROID) {
    throw pstate.error(ERRCODE.WRONG_OBJECT_TYPE, `function ${method} must return type tsm_handler`, location);
  }
  if (!BUILTIN_METHODS.has(proc.proname)) throw notSupported(`tablesample method ${method}`);
  const rawArgs: readonly RawNode[] = raw.args ?? [];
  if (rawArgs.length !== 1) {
    throw pstate.error(
      ERRCODE.INVALID_TABLESAMPLE_ARGUMENT,
      `tablesample method ${method} requires 1 argument, not ${rawArgs.length}`,
      location,
    );
  }
  const argument = (arg: RawNode, type: Oid, construct: string): Expr => {
    const expr = coerceToSpecificType(pstate, transformExpr(pstate, arg, 'FROM_FUNCTION'), type, construct);
    assignExprCollations(pstate, expr);
    return expr;
  };
  return {
    type: 'TableSampleClause',
    tsmhandler: handler.oid,
    args: rawArgs.map(arg => argument(arg, FLOAT4OID, 'TABLESAMPLE')),
    repeatable: raw.repeatable ? argument(raw.repeatable, FLOAT8OID, 'REPEATABLE') : null,
  };
}
