/**
 * Which unique indexes ON CONFLICT means (infer_arbiter_indexes).
 */
import { type Oid } from '@pgtroupe/common/ids';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import { CONSTROID } from '@pgtroupe/catalog/syscache';
import { equalNodes } from '@pgtroupe/nodes/nodefuncs';
import type { Node } from '@pgtroupe/nodes/parsenodes';
import type { Expr, OnConflictExpr } from '@pgtroupe/nodes/primnodes';
import { makeAndsImplicit } from './clauses.ts';
import type { PlannerInfo } from './pathnodes.ts';
import { mutateExpr } from './var.ts';

export function inferArbiterIndexes(root: PlannerInfo, onConflict: OnConflictExpr): Oid[] {
  if (onConflict.arbiterElems.length === 0 && onConflict.constraint === 0) return [];
  const { env, parse } = root;
  const relation = env.relation(root.rtable[parse.resultRelation - 1]!.relid);
  if (onConflict.constraint !== 0) {
    const constraint = env.rows.search(CONSTROID, onConflict.constraint);
    const index = relation.indexes.find(i => i.index.indexrelid === constraint?.conindid);
    if (index === undefined || !index.index.indisunique) throw noMatch();
    return [index.index.indexrelid];
  }
  const found: Oid[] = [];
  for (const { index, keys } of relation.indexes) {
    if (!index.indisunique || !index.indisvalid || !index.indimmediate) continue;
    const expressions = index.indexprs === null ? [] : ([env.stringToExpr(index.indexprs)].flat() as Expr[]);
    let nextExpr = 0;
    const columns = keys.map(key =>
      key.attnum !== 0 ? key.attnum : moveTo(expressions[nextExpr++]!, parse.resultRelation),
    );
    const elems = onConflict.arbiterElems;
    const matches = (column: number | Expr, elem: (typeof elems)[number]): boolean =>
      typeof column === 'number'
        ? elem.expr.type === 'Var' && elem.expr.varattno === column
        : equalNodes(elem.expr as Node, column as Node);
    const all =
      columns.every(c => elems.some(e => matches(c, e))) && elems.every(e => columns.some(c => matches(c, e)));
    if (!all) continue;
    const fits = elems.every(elem =>
      columns.some(
        (c, i) =>
          matches(c, elem) &&
          (elem.infercollid === 0 || elem.infercollid === keys[i]!.collation) &&
          (elem.inferopclass === 0 || elem.inferopclass === keys[i]!.opclass),
      ),
    );
    if (!fits) continue;
    if (index.indpred !== null) {
      const predicate = [env.stringToExpr(index.indpred)]
        .flat()
        .flatMap(e => makeAndsImplicit(e as Expr))
        .map(e => moveTo(e, parse.resultRelation));
      const given = makeAndsImplicit(onConflict.arbiterWhere);
      if (!predicate.every(p => given.some(g => equalNodes(g as Node, p as Node)))) continue;
    }
    found.push(index.indexrelid);
  }
  if (found.length === 0) throw noMatch();
  return found;
}

function moveTo(expr: Expr, varno: number): Expr {
  return mutateExpr(expr as Node, n =>
    n.type === 'Var' && n.varno === 1 ? { ...n, varno, varnosyn: varno } : undefined,
  ) as Expr;
}

function noMatch(): Error {
  return ereport(
    ERRCODE.INVALID_COLUMN_REFERENCE,
    'there is no unique or exclusion constraint matching the ON CONFLICT specification',
  );
}
