/** Views and rules. */
import type { Oid } from '@pgtroupe/common/ids';
import { notSupported } from '@pgtroupe/common/ereport';
import { RULEOID } from '@pgtroupe/catalog/syscache';
import type { Form_pg_rewrite } from '@pgtroupe/catalog/catalogs/pg_rewrite';
import { CMD_SELECT } from '@pgtroupe/nodes/nodes';
import type { Query } from '@pgtroupe/nodes/parsenodes';
import type { Expr } from '@pgtroupe/nodes/primnodes';
import { stringToNode } from '@pgtroupe/nodes/readfuncs';
import { quoteIdentifier } from '@pgtroupe/adt/quote';
import { readRuleActions } from '@pgtroupe/parser/rewrite/rewriteHandler';
import { PRETTYINDENT_STD, type DeparseEnvironment, type PrettyFlags } from './context.ts';
import { deparseExpr, deparseQuery } from './deparse.ts';
import { qualifiedRelationName, relationName } from './names.ts';
import { queryNamespace } from './namespace.ts';

const NO_QUAL = '<>';

/** The relation's own column names: a view's may have been renamed since its query was stored. */
function columnNames(env: DeparseEnvironment, relid: Oid): string[] {
  return env.catalog.attributes(relid).map(a => a.attname);
}

/** Null if the relation has no _RETURN rule; empty if that is no view's. */
export function viewDefinition(
  env: DeparseEnvironment,
  relid: Oid,
  pretty: PrettyFlags,
  wrapColumn: number,
): string | null {
  const rule = env.catalog.rules(relid).find(r => r.rulename === '_RETURN');
  if (rule === undefined) return null;
  const actions = readRuleActions(env.catalog, rule.ev_action);
  const [query] = actions as readonly [Query];
  if (
    actions.length !== 1 ||
    rule.ev_type !== '1' ||
    !rule.is_instead ||
    rule.ev_qual !== NO_QUAL ||
    query.commandType !== CMD_SELECT
  )
    return null;
  return `${deparseQuery(env, query, { pretty, wrapColumn, names: columnNames(env, relid) })};`;
}

const EVENTS: Readonly<Record<string, string>> = { 1: 'SELECT', 2: 'UPDATE', 3: 'INSERT', 4: 'DELETE' };

export function ruleDefinition(env: DeparseEnvironment, oid: number, pretty: PrettyFlags): string | null {
  const rule = env.catalog.caches.search(RULEOID, oid);
  if (rule === null) return null;
  const event = EVENTS[rule.ev_type];
  if (event === undefined) throw notSupported(`rule "${rule.rulename}" with event type ${rule.ev_type}`);
  const relation = pretty.schema ? relationName(env, rule.ev_class) : qualifiedRelationName(env, rule.ev_class);
  const actions = readRuleActions(env.catalog, rule.ev_action);
  const head = `CREATE RULE ${quoteIdentifier(rule.rulename)} AS\n    ON ${event} TO ${relation}`;
  return `${head}${ruleQual(env, rule, actions[0] as Query, pretty)} DO ${rule.is_instead ? 'INSTEAD ' : ''}${ruleBody(env, rule, actions, pretty)}`;
}

function ruleQual(env: DeparseEnvironment, rule: Form_pg_rewrite, action: Query, pretty: PrettyFlags): string {
  if (rule.ev_qual === NO_QUAL) return '';
  const scope = [queryNamespace(env, action, [])];
  const varprefix = action.rtable.length !== 1;
  return `\n   WHERE ${deparseExpr(env, stringToNode(rule.ev_qual) as Expr, scope, { pretty, varprefix, startIndent: PRETTYINDENT_STD })}`;
}

function ruleBody(
  env: DeparseEnvironment,
  rule: Form_pg_rewrite,
  actions: readonly Query[],
  pretty: PrettyFlags,
): string {
  const names = rule.ev_type === '1' ? columnNames(env, rule.ev_class) : null;
  const texts = actions.map(query => deparseQuery(env, query, { pretty, names }));
  return texts.length === 1 ? `${texts[0]};` : `(${texts.map(text => `${text};\n`).join('')});`;
}
