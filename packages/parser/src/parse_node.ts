/**
 * The state of parse analysis: one ParseState per query level, linked to the enclosing level's.
 * Everything here is private to one run of the analyzer; nothing outlives it.
 */
import type { Slices } from '@pgtroupe/common/slices';
import type { Oid } from '@pgtroupe/common/ids';
import { ereport, type ErrorFields, PgError } from '@pgtroupe/common/ereport';
import type { Sqlstate } from '@pgtroupe/common/errcodes';
import type { Form_pg_attribute } from '@pgtroupe/catalog/catalogs/pg_attribute';
import type { Form_pg_class } from '@pgtroupe/catalog/catalogs/pg_class';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import type { Alias, Expr, JoinTreeNode, JoinExpr, TargetEntry } from '@pgtroupe/nodes/primnodes';
import type { CommonTableExpr, Query, RangeTblEntry } from '@pgtroupe/nodes/parsenodes';
import type { FunctionCall } from '@pgtroupe/adt/fmgr';
import type { CatalogLookup } from './catalog-lookup.ts';
import { formatType } from './format_type.ts';
import { errorPosition } from './position.ts';

/** Which clause an expression belongs to; decides what may appear in it and how errors name it. */
export type ParseExprKind =
  | 'NONE'
  | 'OTHER'
  | 'JOIN_ON'
  | 'JOIN_USING'
  | 'FROM_SUBSELECT'
  | 'FROM_FUNCTION'
  | 'WHERE'
  | 'HAVING'
  | 'FILTER'
  | 'WINDOW_PARTITION'
  | 'WINDOW_ORDER'
  | 'WINDOW_FRAME_RANGE'
  | 'WINDOW_FRAME_ROWS'
  | 'WINDOW_FRAME_GROUPS'
  | 'SELECT_TARGET'
  | 'INSERT_TARGET'
  | 'UPDATE_SOURCE'
  | 'UPDATE_TARGET'
  | 'MERGE_WHEN'
  | 'GROUP_BY'
  | 'ORDER_BY'
  | 'DISTINCT_ON'
  | 'LIMIT'
  | 'OFFSET'
  | 'RETURNING'
  | 'VALUES'
  | 'VALUES_SINGLE'
  | 'CHECK_CONSTRAINT'
  | 'DOMAIN_CHECK'
  | 'COLUMN_DEFAULT'
  | 'FUNCTION_DEFAULT'
  | 'INDEX_EXPRESSION'
  | 'INDEX_PREDICATE'
  | 'STATS_EXPRESSION'
  | 'ALTER_COL_TRANSFORM'
  | 'EXECUTE_PARAMETER'
  | 'TRIGGER_WHEN'
  | 'POLICY'
  | 'PARTITION_BOUND'
  | 'PARTITION_EXPRESSION'
  | 'CALL_ARGUMENT'
  | 'COPY_WHERE'
  | 'GENERATED_COLUMN'
  | 'CYCLE_MARK';

/** What a column of a namespace item is, ready for making a Var. */
/** What analysis has to tell besides its result. */
export interface ParserNotice {
  readonly severity: 'NOTICE' | 'WARNING';
  readonly sqlstate: Sqlstate;
  readonly message: string;
  readonly position: number | undefined;
}

export interface ParseNamespaceColumn {
  /** 0 in a dropped column. */
  readonly varno: number;
  readonly varattno: number;
  readonly vartype: Oid;
  readonly vartypmod: number;
  readonly varcollid: Oid;
  readonly varnosyn: number;
  readonly varattnosyn: number;
  /** Merged JOIN USING columns are hidden behind the join's own. */
  dontexpand: boolean;
}

/** A range table entry as names can reach it at some point of the query. */
export interface ParseNamespaceItem {
  names: Alias;
  readonly rte: RangeTblEntry;
  readonly rtindex: number;
  nscolumns: ParseNamespaceColumn[];
  rel_visible: boolean;
  cols_visible: boolean;
  lateral_only: boolean;
  lateral_ok: boolean;
}

/** The relation an INSERT, UPDATE or DELETE writes. */
export interface TargetRelation {
  readonly rel: Form_pg_class;
  readonly attrs: readonly Form_pg_attribute[];
}

/** A literal of the query text that analysis left open (see statement.ts). */
export interface LiteralParam {
  /** paramid of the Param that stands for it. */
  readonly paramid: number;
  /** Which literal. */
  readonly index: number;
  readonly negated: boolean;
  /** Type whose input function makes the value; for numbers the type of their class. */
  readonly type: Oid;
  readonly typmod: number;
}

/** How parameters $n are treated while analyzing. */
export type ParamMode =
  | { readonly kind: 'none' }
  | { readonly kind: 'fixed'; readonly types: readonly Oid[] }
  /** Types found out by context; 0 still unknown. The array grows. */
  | { readonly kind: 'variable'; readonly types: Oid[] };

/** What one statement's analysis shares between all its levels. */
export interface ParseContext {
  readonly catalog: CatalogLookup;
  /** For calling input functions on literals. */
  readonly fc: FunctionCall;
  readonly sourceText: string;
  readonly params: ParamMode;
  /** Literals made parameters, in the order of their paramids. */
  readonly literals: LiteralParam[];
  /** First paramid free for literals. */
  readonly literalBase: number;
  /** WARNINGs and NOTICEs analysis has for the client. */
  readonly notices: ParserNotice[];
  readonly grammar: Grammar;
}

/** What knows every kind of expression and of statement; called through grammar.ts. */
export interface Grammar {
  expr(pstate: ParseState, raw: RawNode): Expr;
  exprInSlices(pstate: ParseState, raw: RawNode): Slices<Expr>;
  stmt(pstate: ParseState, raw: RawNode): Slices<Query>;
}

export class ParseState {
  readonly parent: ParseState | null;
  readonly context: ParseContext;
  readonly catalog: CatalogLookup;
  rtable: RangeTblEntry[] = [];
  /** Index i holds the JoinExpr whose RTE index is i + 1, if that is a join. */
  joinexprs: (JoinExpr | null)[] = [];
  joinlist: JoinTreeNode[] = [];
  namespace: ParseNamespaceItem[] = [];
  lateral_active = false;
  ctenamespace: CommonTableExpr[] = [];
  future_ctes: RawNode[] = [];
  parent_cte: CommonTableExpr | null = null;
  target_relation: TargetRelation | null = null;
  target_nsitem: ParseNamespaceItem | null = null;
  is_insert = false;
  windowdefs: RawNode[] = [];
  expr_kind: ParseExprKind = 'NONE';
  next_resno = 1;
  /** Sources of the multi-column assignments being analyzed; those left at the end are sub-SELECTs. */
  multiassign_exprs: TargetEntry[] = [];
  locking_clause: RawNode[] = [];
  locked_from_parent = false;
  resolve_unknowns = true;
  hasAggs = false;
  hasWindowFuncs = false;
  hasTargetSRFs = false;
  hasSubLinks = false;
  hasModifyingCTE = false;
  last_srf: Expr | null = null;
  /** Replaces ColumnRef handling, for CHECK (VALUE ...) and the like. */
  columnRefHook: ((pstate: ParseState, cref: RawNode) => Expr | null) | null = null;

  constructor(parent: ParseState | null, context: ParseContext) {
    this.parent = parent;
    this.context = context;
    this.catalog = context.catalog;
    if (parent) this.columnRefHook = parent.columnRefHook;
  }

  /** An error with the position of a byte offset in the query text. */
  error(sqlstate: Sqlstate, message: string, location = -1, fields: ErrorFields = {}): PgError {
    const position = errorPosition(this.context.sourceText, location);
    return ereport(sqlstate, message, position === undefined ? fields : { ...fields, position });
  }

  /** A message to the client that is no error. */
  notice(severity: 'NOTICE' | 'WARNING', sqlstate: Sqlstate, message: string, location = -1): void {
    const position = errorPosition(this.context.sourceText, location);
    this.context.notices.push({ severity, sqlstate, message, position });
  }

  /** A call whose warnings reach the client. */
  warningCall(location = -1): FunctionCall {
    const warn: FunctionCall['warn'] = (sqlstate, message) => this.notice('WARNING', sqlstate, message, location);
    return { ...this.context.fc, warn, extra: undefined };
  }

  /** Runs what may throw an error without a position, and gives it one. */
  withPosition<T>(location: number, run: () => T): T {
    try {
      return run();
    } catch (error) {
      if (error instanceof PgError && error.fields.position === undefined && location >= 0) {
        throw ereport(error.sqlstate, error.message, {
          ...error.fields,
          position: errorPosition(this.context.sourceText, location),
        });
      }
      throw error;
    }
  }

  typeName(oid: Oid): string {
    return formatType(this.catalog, oid);
  }
}

/** Names of a raw name list. */
export function rawStrings(list: readonly RawNode[] | undefined): string[] {
  return (list ?? []).map(node => node.sval ?? '');
}

/** a.b.c for messages. */
export function nameListToString(names: readonly string[]): string {
  return names.join('.');
}
