/** CREATE TRIGGER. */
import { TRIGGEROID } from '@pgtroupe/catalog/syscache';
import type { Form_pg_trigger } from '@pgtroupe/catalog/catalogs/pg_trigger';
import type { Expr } from '@pgtroupe/nodes/primnodes';
import { stringToNode } from '@pgtroupe/nodes/readfuncs';
import { quoteIdentifier } from '@pgtroupe/adt/quote';
import { textToString } from '@pgtroupe/adt/mb/mbutils';
import { PRETTYINDENT_STD, type DeparseEnvironment, type PrettyFlags } from './context.ts';
import { deparseExpr, relationEntry } from './deparse.ts';
import {
  attributeName,
  functionName,
  NO_ARGUMENTS,
  qualifiedRelationName,
  relationName,
  simpleQuoteLiteral,
} from './names.ts';
import { simpleNamespace } from './namespace.ts';

const TYPE_ROW = 1 << 0;
const TYPE_BEFORE = 1 << 1;
const TYPE_INSERT = 1 << 2;
const TYPE_DELETE = 1 << 3;
const TYPE_UPDATE = 1 << 4;
const TYPE_TRUNCATE = 1 << 5;
const TYPE_INSTEAD = 1 << 6;

function eventsOf(env: DeparseEnvironment, trigger: Form_pg_trigger): string {
  const has = (bit: number): boolean => (trigger.tgtype & bit) !== 0;
  const columns = trigger.tgattr.map(attnum => quoteIdentifier(attributeName(env, trigger.tgrelid, attnum)));
  const events: string[] = [];
  if (has(TYPE_INSERT)) events.push('INSERT');
  if (has(TYPE_DELETE)) events.push('DELETE');
  if (has(TYPE_UPDATE)) events.push(columns.length > 0 ? `UPDATE OF ${columns.join(', ')}` : 'UPDATE');
  if (has(TYPE_TRUNCATE)) events.push('TRUNCATE');
  return events.join(' OR ');
}

function constraintPart(env: DeparseEnvironment, trigger: Form_pg_trigger): string {
  if (trigger.tgconstraint === 0) return '';
  const from = trigger.tgconstrrelid === 0 ? '' : `FROM ${relationName(env, trigger.tgconstrrelid)} `;
  return `${from}${trigger.tgdeferrable ? '' : 'NOT '}DEFERRABLE INITIALLY ${trigger.tginitdeferred ? 'DEFERRED' : 'IMMEDIATE'} `;
}

function transitionTables({ tgoldtable, tgnewtable }: Form_pg_trigger): string {
  if (tgoldtable === null && tgnewtable === null) return '';
  const old = tgoldtable === null ? '' : `OLD TABLE AS ${quoteIdentifier(tgoldtable)} `;
  return `REFERENCING ${old}${tgnewtable === null ? '' : `NEW TABLE AS ${quoteIdentifier(tgnewtable)} `}`;
}

function condition(env: DeparseEnvironment, trigger: Form_pg_trigger, pretty: PrettyFlags): string {
  if (trigger.tgqual === null) return '';
  const scope = [
    simpleNamespace(env, [relationEntry(env, trigger.tgrelid, 'old'), relationEntry(env, trigger.tgrelid, 'new')]),
  ];
  const qual = stringToNode(trigger.tgqual) as Expr;
  return `WHEN (${deparseExpr(env, qual, scope, { pretty, varprefix: true, startIndent: PRETTYINDENT_STD })}) `;
}

/** The arguments are stored one after the other, each ended by a zero byte. */
function argumentsOf(env: DeparseEnvironment, trigger: Form_pg_trigger): string {
  return splitAtZeros(trigger.tgargs)
    .slice(0, trigger.tgnargs)
    .map(arg => simpleQuoteLiteral(env, arg))
    .join(', ');
}

function splitAtZeros(bytes: Uint8Array): string[] {
  const parts: string[] = [];
  let start = 0;
  for (let end = bytes.indexOf(0); end >= 0; end = bytes.indexOf(0, start)) {
    parts.push(textToString(bytes.subarray(start, end)));
    start = end + 1;
  }
  return parts;
}

/** Null if there is no such trigger. */
export function triggerDefinition(env: DeparseEnvironment, oid: number, pretty: PrettyFlags): string | null {
  const trigger = env.catalog.caches.search(TRIGGEROID, oid);
  if (trigger === null) return null;
  const { tgtype } = trigger;
  const when = (tgtype & TYPE_BEFORE) !== 0 ? 'BEFORE' : (tgtype & TYPE_INSTEAD) !== 0 ? 'INSTEAD OF' : 'AFTER';
  const relation = pretty.schema ? relationName(env, trigger.tgrelid) : qualifiedRelationName(env, trigger.tgrelid);
  return (
    `CREATE ${trigger.tgconstraint !== 0 ? 'CONSTRAINT ' : ''}TRIGGER ${quoteIdentifier(trigger.tgname)} ${when} ${eventsOf(env, trigger)} ON ${relation} ` +
    constraintPart(env, trigger) +
    transitionTables(trigger) +
    `FOR EACH ${(tgtype & TYPE_ROW) !== 0 ? 'ROW' : 'STATEMENT'} ` +
    condition(env, trigger, pretty) +
    `EXECUTE FUNCTION ${functionName(env, trigger.tgfoid, NO_ARGUMENTS)}(${argumentsOf(env, trigger)})`
  );
}
