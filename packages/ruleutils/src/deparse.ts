/** Entrances to deparsing: where the environment is made and lone expressions are written. */
import type { Oid } from '@pgtroupe/common/ids';
import { notSupported } from '@pgtroupe/common/ereport';
import { RTE_RELATION } from '@pgtroupe/nodes/nodes';
import { makeRangeTblEntry } from '@pgtroupe/nodes/makefuncs';
import type { Query, RangeTblEntry } from '@pgtroupe/nodes/parsenodes';
import type { Expr } from '@pgtroupe/nodes/primnodes';
import { CatalogLookup } from '@pgtroupe/parser/catalog-lookup';
import { makeParseState } from '@pgtroupe/parser/analyze';
import type { FunctionCall } from '@pgtroupe/adt/fmgr';
import {
  DeparseContext,
  PLAIN,
  TextBuffer,
  type DeparseEnvironment,
  type PrettyFlags,
  type ResultNames,
} from './context.ts';
import { writeExpr } from './expr.ts';
import { simpleNamespace, type DeparseNamespace } from './namespace.ts';
import { appendExpr, appendQuery } from './operands.ts';
import { writeQuery } from './querydef.ts';

export function deparseEnvironment(fc: FunctionCall): DeparseEnvironment {
  const caches = fc.catalog?.caches();
  if (fc.catalog === undefined || caches === undefined) throw notSupported('a catalog lookup in this context');
  const { databaseName, currentUserId } = fc.settings;
  const catalog = new CatalogLookup(caches, fc.catalog.searchPath(), { databaseName, userId: currentUserId });
  const writers = { expr: writeExpr, query: writeQuery };
  return { catalog, fc, pstate: makeParseState({ catalog, fc, sourceText: '' }), writers };
}

export function relationEntry(env: DeparseEnvironment, relid: Oid, aliasname: string): RangeTblEntry {
  const alias = { type: 'Alias', aliasname, colnames: [] } as const;
  return makeRangeTblEntry({
    rtekind: RTE_RELATION,
    relid,
    relkind: env.catalog.relation(relid).relkind,
    rellockmode: 1,
    alias,
    eref: alias,
    inFromCl: true,
  });
}

/** Scope of expressions that a relation's catalog entries hold. */
export function relationScope(env: DeparseEnvironment, relid: Oid): readonly DeparseNamespace[] {
  return [simpleNamespace(env, [relationEntry(env, relid, env.catalog.relation(relid).relname)])];
}

export interface ExprOptions {
  readonly pretty?: PrettyFlags;
  readonly startIndent?: number;
  /** Qualify columns by their relation? */
  readonly varprefix?: boolean;
}

/** `scope`: what Vars refer to; empty for expressions without. */
export function deparseExpr(
  env: DeparseEnvironment,
  expr: Expr,
  scope: readonly DeparseNamespace[],
  options: ExprOptions = {},
): string {
  const layout = { pretty: options.pretty ?? PLAIN, wrapColumn: 0, startIndent: options.startIndent ?? 0 };
  const context = new DeparseContext(env, scope, options.varprefix ?? false, layout);
  appendExpr(expr, context, false);
  return context.buffer.text;
}

export interface QueryOptions {
  readonly pretty: PrettyFlags;
  readonly wrapColumn?: number;
  readonly startIndent?: number;
  /** Names of the output columns, if they are not the query's own. */
  readonly names?: ResultNames;
  readonly colNamesVisible?: boolean;
  readonly scope?: readonly DeparseNamespace[];
}

export function deparseQuery(env: DeparseEnvironment, query: Query, options: QueryOptions): string {
  const buffer = new TextBuffer();
  const layout = { pretty: options.pretty, wrapColumn: options.wrapColumn ?? 0, startIndent: options.startIndent ?? 0 };
  appendQuery(
    query,
    buffer,
    { env, namespaces: options.scope ?? [], layout },
    options.names ?? null,
    options.colNamesVisible ?? true,
  );
  return buffer.text;
}
