/** CREATE INDEX as text, and the key lists of partitioned tables and statistics, which look alike. */
import { type Oid, INVALID_OID } from '@pgtroupe/common/ids';
import { BTREE_AM_OID } from '@pgtroupe/common/oids';
import { ereport } from '@pgtroupe/common/ereport';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { PARTRELID, STATEXTOID } from '@pgtroupe/catalog/syscache';
import { exprCollation, exprType } from '@pgtroupe/nodes/nodefuncs';
import type { Expr } from '@pgtroupe/nodes/primnodes';
import { stringToNode } from '@pgtroupe/nodes/readfuncs';
import { quoteIdentifier, quoteQualifiedIdentifier } from '@pgtroupe/adt/quote';
import { looksLikeFunction } from './calls.ts';
import { PAREN_ONLY, type DeparseEnvironment, type PrettyFlags } from './context.ts';
import { deparseExpr, relationScope } from './deparse.ts';
import {
  accessMethodName,
  attributeName,
  collateSuffix,
  opclassSuffix,
  operatorName,
  qualifiedRelationName,
  relationName,
  relOptions,
  schemaName,
} from './names.ts';
import type { DeparseNamespace } from './namespace.ts';

const INDOPTION_DESC = 1;
const INDOPTION_NULLS_FIRST = 2;

interface Key {
  readonly text: string;
  readonly type: Oid;
  readonly collation: Oid;
}

function expressionList(text: string | null): readonly Expr[] {
  return text === null ? [] : (stringToNode(text) as readonly Expr[]);
}

function expressionKey(
  env: DeparseEnvironment,
  expr: Expr,
  scope: readonly DeparseNamespace[],
  pretty: PrettyFlags,
): Key {
  const text = deparseExpr(env, expr, scope, { pretty });
  return { text: looksLikeFunction(expr) ? text : `(${text})`, type: exprType(expr), collation: exprCollation(expr) };
}

/** Columns and expressions of a key, in order; 0 stands for the next expression. */
function keysOf(
  env: DeparseEnvironment,
  relid: Oid,
  attnums: readonly number[],
  exprs: readonly Expr[],
  pretty: PrettyFlags,
): Key[] {
  const scope = relationScope(env, relid);
  let next = 0;
  return attnums.map(attnum => {
    if (attnum !== 0) {
      const attr = env.catalog.attribute(relid, attnum);
      return {
        text: quoteIdentifier(attributeName(env, relid, attnum)),
        type: attr?.atttypid ?? INVALID_OID,
        collation: attr?.attcollation ?? INVALID_OID,
      };
    }
    const expr = exprs[next++];
    if (expr === undefined) throw ereport(ERRCODE.INTERNAL_ERROR, 'too few entries in indexprs list');
    return expressionKey(env, expr, scope, pretty);
  });
}

export interface IndexdefOptions {
  readonly pretty: PrettyFlags;
  /** Only this column's name or expression; 0 for all of the command. */
  readonly column?: number;
  /** Of an exclusion constraint: the operators, and the text is the constraint's. */
  readonly excludeOps?: readonly Oid[];
}

/** Null if there is no such index. */
export function indexDefinition(env: DeparseEnvironment, indexrelid: Oid, options: IndexdefOptions): string | null {
  const { catalog } = env;
  const index = catalog.index(indexrelid);
  if (index === null) return null;
  const { indrelid, indnkeyatts } = index;
  const { pretty, column = 0, excludeOps } = options;
  const keys = keysOf(env, indrelid, index.indkey.slice(0, index.indnatts), expressionList(index.indexprs), pretty);
  if (column !== 0) return keys[column - 1]?.text ?? '';
  const rel = catalog.relation(indexrelid);
  const amname = quoteIdentifier(accessMethodName(env, rel.relam));
  const described = keys.map((key, i) => {
    if (i >= indnkeyatts) return key.text;
    const exclude = excludeOps?.[i];
    return (
      key.text +
      keyOptions(env, indexrelid, i, key) +
      (rel.relam === BTREE_AM_OID ? ordering(index.indoption[i] ?? 0) : '') +
      (exclude === undefined ? '' : ` WITH ${operatorName(env, exclude, key.type, key.type)}`)
    );
  });
  let text =
    excludeOps !== undefined
      ? `EXCLUDE USING ${amname} (`
      : `CREATE ${index.indisunique ? 'UNIQUE ' : ''}INDEX ${quoteIdentifier(rel.relname)} ON ${rel.relkind === 'I' ? 'ONLY ' : ''}` +
        `${pretty.schema ? relationName(env, indrelid) : qualifiedRelationName(env, indrelid)} USING ${amname} (`;
  text += described.slice(0, indnkeyatts).join(', ');
  if (described.length > indnkeyatts) text += `) INCLUDE (${described.slice(indnkeyatts).join(', ')}`;
  text += ')';
  if (index.indnullsnotdistinct) text += ' NULLS NOT DISTINCT';
  if (rel.reloptions !== null) text += ` WITH (${relOptions(env, rel.reloptions)})`;
  if (index.indpred !== null) {
    const predicate = deparseExpr(env, stringToNode(index.indpred) as Expr, relationScope(env, indrelid), { pretty });
    text += excludeOps !== undefined ? ` WHERE (${predicate})` : ` WHERE ${predicate}`;
  }
  return text;
}

function keyOptions(env: DeparseEnvironment, indexrelid: Oid, i: number, key: Key): string {
  const index = env.catalog.index(indexrelid)!;
  const collation = index.indcollation[i] ?? 0;
  const options = env.catalog.attribute(indexrelid, i + 1)?.attoptions ?? null;
  return (
    (collation !== 0 && collation !== key.collation ? collateSuffix(env, collation) : '') +
    opclassSuffix(env, index.indclass[i] as Oid, options === null ? key.type : INVALID_OID) +
    (options === null ? '' : ` (${relOptions(env, options)})`)
  );
}

function ordering(option: number): string {
  const nullsFirst = (option & INDOPTION_NULLS_FIRST) !== 0;
  if ((option & INDOPTION_DESC) !== 0) return nullsFirst ? ' DESC' : ' DESC NULLS LAST';
  return nullsFirst ? ' NULLS FIRST' : '';
}

const STRATEGIES: Readonly<Record<string, string>> = { h: 'HASH', l: 'LIST', r: 'RANGE' };

export function partitionKeyDefinition(env: DeparseEnvironment, relid: Oid, pretty: PrettyFlags): string | null {
  const table = env.catalog.caches.search(PARTRELID, relid);
  if (table === null) return null;
  const keys = keysOf(env, relid, table.partattrs, expressionList(table.partexprs), pretty).map((key, i) => {
    const collation = table.partcollation[i] ?? 0;
    return (
      key.text +
      (collation !== 0 && collation !== key.collation ? collateSuffix(env, collation) : '') +
      opclassSuffix(env, table.partclass[i] as Oid, key.type)
    );
  });
  return `${STRATEGIES[table.partstrat]} (${keys.join(', ')})`;
}

const STATISTIC_KINDS = [
  ['d', 'ndistinct'],
  ['f', 'dependencies'],
  ['m', 'mcv'],
] as const;

export function statisticsDefinition(env: DeparseEnvironment, oid: number, columnsOnly: boolean): string | null {
  const row = env.catalog.caches.search(STATEXTOID, oid);
  if (row === null) return null;
  const exprs = expressionList(row.stxexprs);
  const attnums = [...row.stxkeys, ...exprs.map(() => 0)];
  const columns = keysOf(env, row.stxrelid, attnums, exprs, PAREN_ONLY)
    .map(key => key.text)
    .join(', ');
  if (columnsOnly) return columns;
  const kinds = STATISTIC_KINDS.filter(([kind]) => row.stxkind.includes(kind));
  const some = kinds.length < STATISTIC_KINDS.length && attnums.length > 1;
  return (
    `CREATE STATISTICS ${quoteQualifiedIdentifier(schemaName(env, row.stxnamespace), row.stxname)}` +
    `${some ? ` (${kinds.map(([, name]) => name).join(', ')})` : ''} ON ${columns} FROM ${relationName(env, row.stxrelid)}`
  );
}

/** Each expression of a statistics object by itself; null if it has none. */
export function statisticsExpressions(env: DeparseEnvironment, oid: number, pretty: PrettyFlags): string[] | null {
  const row = env.catalog.caches.search(STATEXTOID, oid);
  if (row === null || row.stxexprs === null) return null;
  const scope = relationScope(env, row.stxrelid);
  return expressionList(row.stxexprs).map(expr => deparseExpr(env, expr, scope, { pretty }));
}
