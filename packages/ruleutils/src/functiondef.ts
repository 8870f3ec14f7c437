/** Functions: their argument lists, results and whole definitions. */
import type { Oid } from '@pgtroupe/common/ids';
import { ClanguageId, INTERNALOID, INTERNALlanguageId, SQLlanguageId } from '@pgtroupe/common/oids';
import { ereport } from '@pgtroupe/common/ereport';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import type { Form_pg_proc } from '@pgtroupe/catalog/catalogs/pg_proc';
import { LANGOID } from '@pgtroupe/catalog/syscache';
import type { Query } from '@pgtroupe/nodes/parsenodes';
import type { Expr } from '@pgtroupe/nodes/primnodes';
import { stringToNode } from '@pgtroupe/nodes/readfuncs';
import { formatType } from '@pgtroupe/parser/format_type';
import { quoteIdentifier, quoteQualifiedIdentifier } from '@pgtroupe/adt/quote';
import { completeTree } from '@pgtroupe/parser/rewrite/rewriteHandler';
import { formatFloat4 } from '@pgtroupe/adt/float';
import { PLAIN, prettyFlags, type DeparseEnvironment } from './context.ts';
import { deparseExpr, deparseQuery } from './deparse.ts';
import { functionName, lookupFailed, NO_ARGUMENTS, schemaName, simpleQuoteLiteral } from './names.ts';
import { DeparseNamespace } from './namespace.ts';

interface Argument {
  readonly type: Oid;
  readonly name: string;
  readonly mode: string;
}

function argumentsOf(proc: Form_pg_proc): Argument[] {
  const types = proc.proallargtypes ?? proc.proargtypes;
  return types.map((type, i) => ({ type, name: proc.proargnames?.[i] ?? '', mode: proc.proargmodes?.[i] ?? 'i' }));
}

const isInput = ({ mode }: Argument): boolean => mode === 'i' || mode === 'b' || mode === 'v';

function defaultsOf(proc: Form_pg_proc): readonly Expr[] {
  return proc.proargdefaults === null ? [] : (stringToNode(proc.proargdefaults) as readonly Expr[]);
}

const MODES: Readonly<Record<string, string>> = { b: 'INOUT ', o: 'OUT ', v: 'VARIADIC ', i: '', t: '' };

function printArgument(env: DeparseEnvironment, proc: Form_pg_proc, arg: Argument): string {
  const mode = arg.mode === 'i' && proc.prokind === 'p' ? 'IN ' : (MODES[arg.mode] ?? '');
  return `${mode}${arg.name === '' ? '' : `${quoteIdentifier(arg.name)} `}${formatType(env.catalog, arg.type)}`;
}

/** The parenthesized list; of ordered-set aggregates with ORDER BY before the aggregated ones. */
export function functionArguments(env: DeparseEnvironment, proc: Form_pg_proc, withDefaults: boolean): string {
  const defaults = withDefaults ? defaultsOf(proc) : [];
  const firstDefault = proc.pronargs - defaults.length;
  let input = 0;
  const printed = argumentsOf(proc)
    .map(arg => ({ arg, nth: isInput(arg) ? input++ : -1 }))
    .filter(({ arg }) => arg.mode !== 't')
    .map(({ arg, nth }) => {
      const value = nth >= firstDefault ? defaults[nth - firstDefault] : undefined;
      return printArgument(env, proc, arg) + (value === undefined ? '' : ` DEFAULT ${deparseExpr(env, value, [])}`);
    });
  const aggregate = proc.prokind === 'a' ? env.catalog.aggregate(proc.oid) : null;
  if (aggregate === null || aggregate.aggkind === 'n') return printed.join(', ');
  const direct = aggregate.aggnumdirectargs;
  // A lone VARIADIC "any" stands for direct and aggregated arguments alike.
  const ordered = direct === printed.length ? printed.slice(-1) : printed.slice(direct);
  return `${printed.slice(0, direct).join(', ')}${direct > 0 ? ' ' : ''}ORDER BY ${ordered.join(', ')}`;
}

/** Null for procedures. */
export function functionResult(env: DeparseEnvironment, proc: Form_pg_proc): string | null {
  if (proc.prokind === 'p') return null;
  if (!proc.proretset) return formatType(env.catalog, proc.prorettype);
  const columns = argumentsOf(proc).filter(arg => arg.mode === 't');
  if (columns.length === 0) return `SETOF ${formatType(env.catalog, proc.prorettype)}`;
  return `TABLE(${columns.map(arg => printArgument(env, proc, arg)).join(', ')})`;
}

/** Default of the nth argument (from 1), null if it has none. */
export function functionArgumentDefault(env: DeparseEnvironment, proc: Form_pg_proc, nth: number): string | null {
  const args = argumentsOf(proc);
  const arg = args[nth - 1];
  if (arg === undefined || !isInput(arg)) return null;
  const defaults = defaultsOf(proc);
  const position = args.slice(0, nth).filter(isInput).length - 1 - (proc.pronargs - proc.pronargdefaults);
  const expr = position < 0 ? undefined : defaults[position];
  return expr === undefined ? null : deparseExpr(env, expr, []);
}

/** The body of a function written as SQL statements (not as a string); null for others. */
export function functionSqlBody(env: DeparseEnvironment, proc: Form_pg_proc): string | null {
  if (proc.prosqlbody === null) return null;
  const tree = stringToNode(proc.prosqlbody) as Query | readonly [readonly Query[]];
  const scope = [new DeparseNamespace([], [], { name: proc.proname, argnames: proc.proargnames })];
  const isBlock = Array.isArray(tree);
  const queries = isBlock ? (tree as readonly [readonly Query[]])[0] : [tree as Query];
  for (const query of queries) completeTree(env.catalog, query);
  const layout = isBlock ? { pretty: prettyFlags(false), startIndent: 1 } : { pretty: PLAIN };
  const texts = queries.map(query => deparseQuery(env, query, { ...layout, scope, colNamesVisible: false }));
  return isBlock ? `BEGIN ATOMIC\n${texts.map(text => `${text};\n`).join('')}END` : (texts[0] as string);
}

const VOLATILITY: Readonly<Record<string, string>> = { i: ' IMMUTABLE', s: ' STABLE', v: '' };
const PARALLEL: Readonly<Record<string, string>> = { s: ' PARALLEL SAFE', r: ' PARALLEL RESTRICTED', u: '' };
/** Settings whose values are lists of quoted names. */
const LIST_QUOTE: ReadonlySet<string> = new Set([
  'local_preload_libraries',
  'search_path',
  'session_preload_libraries',
  'shared_preload_libraries',
  'temp_tablespaces',
  'unix_socket_directories',
]);

function attributesOf(env: DeparseEnvironment, proc: Form_pg_proc): string {
  const compiled = proc.prolang === INTERNALlanguageId || proc.prolang === ClanguageId;
  let text =
    (proc.prokind === 'w' ? ' WINDOW' : '') + (VOLATILITY[proc.provolatile] ?? '') + (PARALLEL[proc.proparallel] ?? '');
  if (proc.proisstrict) text += ' STRICT';
  if (proc.prosecdef) text += ' SECURITY DEFINER';
  if (proc.proleakproof) text += ' LEAKPROOF';
  if (proc.procost !== (compiled ? 1 : 100)) text += ` COST ${formatFloat4(proc.procost, 0)}`;
  if (proc.prorows > 0 && proc.prorows !== 1000) text += ` ROWS ${formatFloat4(proc.prorows, 0)}`;
  if (proc.prosupport !== 0)
    text += ` SUPPORT ${functionName(env, proc.prosupport, { ...NO_ARGUMENTS, argtypes: [INTERNALOID] })}`;
  return text === '' ? '' : `${text}\n`;
}

/** Splits a list setting's value: names, in double quotes where needed. */
function splitNames(value: string): string[] {
  return [...value.matchAll(/\s*(?:"((?:[^"]|"")*)"|([^,]*?))\s*(?:,|$)/g)]
    .filter(m => m[0] !== '')
    .map(m => (m[1] !== undefined ? m[1].replaceAll('""', '"') : (m[2] as string)));
}

function settingOf(env: DeparseEnvironment, item: string): string {
  const at = item.indexOf('=');
  if (at < 0) return '';
  const name = item.slice(0, at);
  const value = item.slice(at + 1);
  const literal = LIST_QUOTE.has(name)
    ? splitNames(value)
        .map(part => simpleQuoteLiteral(env, part))
        .join(', ')
    : simpleQuoteLiteral(env, value);
  return ` SET ${quoteIdentifier(name)} TO ${literal}\n`;
}

function sourceOf(env: DeparseEnvironment, proc: Form_pg_proc): string {
  const sqlBody = proc.prolang === SQLlanguageId ? functionSqlBody(env, proc) : null;
  if (sqlBody !== null) return sqlBody;
  const library = proc.probin === null ? '' : `${simpleQuoteLiteral(env, proc.probin)}, `;
  let tag = proc.prokind === 'p' ? '$procedure' : '$function';
  while (proc.prosrc.includes(tag)) tag += 'x';
  return `AS ${library}${tag}$${proc.prosrc}${tag}$`;
}

/** CREATE OR REPLACE FUNCTION. */
export function functionDefinition(env: DeparseEnvironment, proc: Form_pg_proc): string {
  if (proc.prokind === 'a') throw ereport(ERRCODE.WRONG_OBJECT_TYPE, `"${proc.proname}" is an aggregate function`);
  const language = env.catalog.caches.search(LANGOID, proc.prolang);
  if (language === null) throw lookupFailed('language', proc.prolang);
  const result = functionResult(env, proc);
  const transforms = (proc.protrftypes ?? []).map(type => `FOR TYPE ${formatType(env.catalog, type)}`).join(', ');
  return (
    `CREATE OR REPLACE ${result === null ? 'PROCEDURE' : 'FUNCTION'} ` +
    `${quoteQualifiedIdentifier(schemaName(env, proc.pronamespace), proc.proname)}(${functionArguments(env, proc, true)})\n` +
    (result === null ? '' : ` RETURNS ${result}\n`) +
    (transforms === '' ? '' : ` TRANSFORM ${transforms}\n`) +
    ` LANGUAGE ${quoteIdentifier(language.lanname)}\n` +
    attributesOf(env, proc) +
    (proc.proconfig ?? []).map(item => settingOf(env, item)).join('') +
    `${sourceOf(env, proc)}\n`
  );
}
