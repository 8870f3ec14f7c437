/** Constraints as ALTER TABLE ... ADD takes them. */
import type { Oid } from '@pgtroupe/common/ids';
import { ereport } from '@pgtroupe/common/ereport';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { CONSTROID } from '@pgtroupe/catalog/syscache';
import type { Form_pg_constraint } from '@pgtroupe/catalog/catalogs/pg_constraint';
import type { Expr } from '@pgtroupe/nodes/primnodes';
import { stringToNode } from '@pgtroupe/nodes/readfuncs';
import { quoteIdentifier } from '@pgtroupe/adt/quote';
import type { DeparseEnvironment, PrettyFlags } from './context.ts';
import { deparseExpr, relationScope } from './deparse.ts';
import { indexDefinition } from './indexdef.ts';
import { attributeName, lookupFailed, relationName } from './names.ts';

function columnList(env: DeparseEnvironment, relid: Oid, attnums: readonly number[]): string {
  return attnums.map(attnum => quoteIdentifier(attributeName(env, relid, attnum))).join(', ');
}

const ACTIONS: Readonly<Record<string, string>> = { r: 'RESTRICT', c: 'CASCADE', n: 'SET NULL', d: 'SET DEFAULT' };
const MATCHES: Readonly<Record<string, string>> = { f: ' MATCH FULL', p: ' MATCH PARTIAL', s: '' };

function foreignKey(env: DeparseEnvironment, con: Form_pg_constraint): string {
  const columns = columnList(env, con.conrelid, con.conkey ?? []);
  const referenced = columnList(env, con.confrelid, con.confkey ?? []);
  let text = `FOREIGN KEY (${columns}) REFERENCES ${relationName(env, con.confrelid)}(${referenced})${MATCHES[con.confmatchtype]}`;
  if (con.confupdtype !== 'a') text += ` ON UPDATE ${ACTIONS[con.confupdtype]}`;
  if (con.confdeltype !== 'a') text += ` ON DELETE ${ACTIONS[con.confdeltype]}`;
  if (con.confdelsetcols !== null) text += ` (${columnList(env, con.conrelid, con.confdelsetcols)})`;
  return text;
}

function uniqueKey(env: DeparseEnvironment, con: Form_pg_constraint): string {
  const index = env.catalog.index(con.conindid);
  if (index === null) throw lookupFailed('index', con.conindid);
  const keys = con.conkey ?? [];
  let text =
    con.contype === 'p' ? 'PRIMARY KEY ' : index.indnullsnotdistinct ? 'UNIQUE NULLS NOT DISTINCT ' : 'UNIQUE ';
  text += `(${columnList(env, con.conrelid, keys)})`;
  if (index.indnatts > keys.length)
    text += ` INCLUDE (${columnList(env, con.conrelid, index.indkey.slice(keys.length))})`;
  return text;
}

function check(env: DeparseEnvironment, con: Form_pg_constraint, pretty: PrettyFlags): string {
  const scope = con.conrelid === 0 ? [] : relationScope(env, con.conrelid);
  const expr = stringToNode(con.conbin as string) as Expr;
  return `CHECK (${deparseExpr(env, expr, scope, { pretty })})${con.connoinherit ? ' NO INHERIT' : ''}`;
}

function body(env: DeparseEnvironment, con: Form_pg_constraint, pretty: PrettyFlags): string {
  switch (con.contype) {
    case 'f':
      return foreignKey(env, con);
    case 'p':
    case 'u':
      return uniqueKey(env, con);
    case 'c':
      return check(env, con, pretty);
    case 't':
      return 'TRIGGER';
    case 'x':
      return indexDefinition(env, con.conindid, { pretty, excludeOps: con.conexclop ?? [] }) ?? '';
    default:
      throw ereport(ERRCODE.INTERNAL_ERROR, `invalid constraint type "${con.contype}"`);
  }
}

/** Null if there is no such constraint. */
export function constraintDefinition(env: DeparseEnvironment, oid: number, pretty: PrettyFlags): string | null {
  const con = env.catalog.caches.search(CONSTROID, oid);
  if (con === null) return null;
  return (
    body(env, con, pretty) +
    (con.condeferrable ? ' DEFERRABLE' : '') +
    (con.condeferred ? ' INITIALLY DEFERRED' : '') +
    (con.convalidated ? '' : ' NOT VALID')
  );
}
