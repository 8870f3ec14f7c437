/**
 * What an expression in FROM or before a dot yields: a scalar, a row with known columns, or a record
 * whose columns only a column definition list can tell.
 */
import type { Oid } from '@pgtroupe/common/ids';
import { CSTRINGOID, RECORDOID, VOIDOID } from '@pgtroupe/common/oids';
import type { Form_pg_proc } from '@pgtroupe/catalog/catalogs/pg_proc';
import { exprCollation, exprType, exprTypmod } from '@pgtroupe/nodes/nodefuncs';
import type { Expr } from '@pgtroupe/nodes/primnodes';
import { isPolymorphicType, type CatalogLookup } from './catalog-lookup.ts';
import { enforceGenericTypeConsistency } from './parse_coerce_generic.ts';
import type { ParseState } from './parse_node.ts';

export interface ResultColumn {
  readonly name: string;
  readonly typid: Oid;
  readonly typmod: number;
  readonly collation: Oid;
  readonly dropped: boolean;
}

export type ResultType =
  | { readonly kind: 'scalar'; readonly type: Oid }
  | {
      readonly kind: 'composite' | 'composite-domain';
      readonly type: Oid;
      readonly columns: readonly ResultColumn[];
    }
  | { readonly kind: 'record' | 'other'; readonly type: Oid };

/** The columns of a named composite type's relation. */
function relationColumns(catalog: CatalogLookup, relid: Oid): ResultColumn[] {
  return catalog.attributes(relid).map(a => ({
    name: a.attname,
    typid: a.atttypid,
    typmod: a.atttypmod,
    collation: a.attcollation,
    dropped: a.attisdropped,
  }));
}

function typeResult(catalog: CatalogLookup, type: Oid): ResultType {
  const row = catalog.type(type);
  switch (row.typtype) {
    case 'c':
      return { kind: 'composite', type, columns: relationColumns(catalog, row.typrelid) };
    case 'd': {
      const base = catalog.type(catalog.baseType(type));
      if (base.typtype === 'c')
        return { kind: 'composite-domain', type, columns: relationColumns(catalog, base.typrelid) };
      return { kind: 'scalar', type };
    }
    case 'p':
      if (type === RECORDOID) return { kind: 'record', type };
      // void and cstring are let through; they are harmless.
      return { kind: type === VOIDOID || type === CSTRINGOID ? 'scalar' : 'other', type };
    default:
      return { kind: 'scalar', type };
  }
}

export function exprResultType(catalog: CatalogLookup, expr: Expr): ResultType {
  if (expr.type === 'FuncExpr' || expr.type === 'OpExpr') {
    return functionResultType(catalog, expr.type === 'FuncExpr' ? expr.funcid : expr.opfuncid, expr);
  }
  if (expr.type === 'RowExpr' && expr.row_typeid === RECORDOID) {
    return {
      kind: 'composite',
      type: RECORDOID,
      columns: expr.args.map((arg, i) => ({
        name: expr.colnames[i] ?? `f${i + 1}`,
        typid: exprType(arg),
        typmod: exprTypmod(arg),
        collation: exprCollation(arg),
        dropped: false,
      })),
    };
  }
  return typeResult(catalog, exprType(expr));
}

function functionResultType(
  catalog: CatalogLookup,
  funcid: Oid,
  call: Extract<Expr, { type: 'FuncExpr' | 'OpExpr' }>,
): ResultType {
  const proc = catalog.proc(funcid);
  const out = outColumns(catalog, proc, call);
  if (out !== null) return { kind: 'composite', type: RECORDOID, columns: out };
  return typeResult(catalog, isPolymorphicType(proc.prorettype) ? exprType(call) : proc.prorettype);
}

/** The row a function with two or more OUT (or TABLE) parameters returns; null for other functions. */
function outColumns(
  catalog: CatalogLookup,
  proc: Form_pg_proc,
  call: { readonly args: readonly Expr[] },
): ResultColumn[] | null {
  if (proc.prorettype !== RECORDOID || proc.proallargtypes === null || proc.proargmodes === null) return null;
  const modes = proc.proargmodes;
  const all = proc.proallargtypes;
  const outs = all.flatMap((type, i) => {
    const mode = modes[i];
    if (mode === 'i' || mode === 'v') return [];
    return [{ type, name: proc.proargnames?.[i] || '' }];
  });
  if (outs.length === 0) return null;
  const actual = call.args.map(arg => exprType(arg));
  return outs.map((column, i) => {
    let type = column.type;
    if (isPolymorphicType(type)) {
      const declared = proc.proargtypes.slice(0, actual.length);
      type = resolvePolymorphic(catalog, actual, declared, type);
    }
    return {
      name: column.name === '' ? `column${i + 1}` : column.name,
      typid: type,
      typmod: -1,
      collation: catalog.typeCollation(type),
      dropped: false,
    };
  });
}

function resolvePolymorphic(catalog: CatalogLookup, actual: readonly Oid[], declared: readonly Oid[], type: Oid): Oid {
  const pstate = { catalog } as ParseState;
  return enforceGenericTypeConsistency(pstate, actual, declared.slice(), type, false);
}

/** The columns of a row-valued expression; null if it is none or they are unknown. */
export function exprResultColumns(catalog: CatalogLookup, expr: Expr): readonly ResultColumn[] | null {
  const result = exprResultType(catalog, expr);
  return result.kind === 'composite' || result.kind === 'composite-domain' ? result.columns : null;
}

/** Name of a function's single result if an OUT parameter gives it one. */
export function funcResultName(catalog: CatalogLookup, funcid: Oid): string | null {
  const proc = catalog.proc(funcid);
  if (proc.proargmodes === null || proc.proargnames === null) return null;
  const outs = proc.proargmodes.flatMap((mode, i) =>
    mode === 'i' || mode === 'v' ? [] : [proc.proargnames?.[i] ?? ''],
  );
  if (outs.length !== 1 || outs[0] === '') return null;
  return outs[0] as string;
}
