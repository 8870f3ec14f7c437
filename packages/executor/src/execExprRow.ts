/** Composite values in expressions: ROW(...), field selection and replacement, row comparison, IS NULL of rows. */
import { RECORDOID } from '@pgtroupe/common/oids';
import type { TupleDesc } from '@pgtroupe/access/common/tupdesc';
import type { Datum } from '@pgtroupe/common/datum';
import { notSupported } from '@pgtroupe/common/ereport';
import { exprType } from '@pgtroupe/nodes/nodefuncs';
import * as N from '@pgtroupe/nodes/nodes';
import type { Expr, FieldSelect, FieldStore, NullTest, RowCompareExpr, RowExpr } from '@pgtroupe/nodes/primnodes';
import type { RowReader } from './batch.ts';
import { binaryFunction, compileExpr, type ExprScope, innerScope, typeOf } from './execExpr.ts';
import { attributeFor } from './rowstore.ts';
import { AMPROCNUM, AMOPOPID } from '@pgtroupe/catalog/syscache';
import { compositeDesc, deformRecord, formRecord, recordDesc } from './records.ts';

export function compileRow(expr: RowExpr, scope: ExprScope): RowReader {
  const { est } = scope;
  const args = expr.args.map(arg => compileExpr(arg, scope));
  let desc: TupleDesc;
  let typmod = -1;
  if (expr.row_typeid === RECORDOID) {
    desc = { attrs: expr.args.map((arg, i) => attributeFor(est, typeOf(arg), expr.colnames[i] ?? `f${i + 1}`)) };
    typmod = est.env.lookup.recordTypes.assign(desc);
  } else desc = compositeDesc(est, expr.row_typeid);
  return row =>
    formRecord(
      desc,
      desc.attrs.map((_, i) => (i < args.length ? args[i]!(row) : null)),
      expr.row_typeid,
      typmod,
    );
}

export function compileFieldSelect(expr: FieldSelect, scope: ExprScope): RowReader {
  const arg = compileExpr(expr.arg, scope);
  const { est } = scope;
  return row => {
    const record = arg(row) as Uint8Array | null;
    if (record === null) return null;
    const desc = recordDesc(est, record);
    if (expr.fieldnum > desc.attrs.length || desc.attrs[expr.fieldnum - 1]!.dropped) return null;
    return deformRecord(desc, record)[expr.fieldnum - 1] ?? null;
  };
}

export function compileFieldStore(expr: FieldStore, scope: ExprScope): RowReader {
  const arg = compileExpr(expr.arg, scope);
  // A nested assignment takes the old field as a CaseTestExpr.
  const old: { value: Datum } = { value: null };
  const news = expr.newvals.map(e => compileExpr(e, innerScope(scope, { caseTest: old })));
  const desc = compositeDesc(scope.est, expr.resulttype);
  return row => {
    const record = arg(row) as Uint8Array | null;
    const values = record === null ? new Array<Datum>(desc.attrs.length).fill(null) : deformRecord(desc, record);
    news.forEach((read, i) => {
      const field = expr.fieldnums[i]! - 1;
      old.value = values[field]!;
      values[field] = read(row);
    });
    return formRecord(desc, values, expr.resulttype, -1);
  };
}

export function compileRowNullTest(expr: NullTest, scope: ExprScope): RowReader {
  const arg = compileExpr(expr.arg, scope);
  const wantNull = expr.nulltesttype === N.IS_NULL;
  return row => {
    const record = arg(row) as Uint8Array | null;
    if (record === null) return wantNull;
    const desc = recordDesc(scope.est, record);
    const values = deformRecord(desc, record);
    return values.every((value, i) => desc.attrs[i]!.dropped || (value === null) === wantNull);
  };
}

export function compileRowCompare(expr: RowCompareExpr, scope: ExprScope): RowReader {
  const { est } = scope;
  const left = expr.largs.map(e => compileExpr(e, scope));
  const right = expr.rargs.map(e => compileExpr(e, scope));
  const compares = expr.opnos.map((opno, i) => {
    const family = expr.opfamilies[i]!;
    const amop = est.env.rows.searchList(AMOPOPID, opno).find(a => (a.amopfamily as number) === family);
    const support = amop && est.env.rows.search(AMPROCNUM, family, amop.amoplefttype, amop.amoprighttype, 1);
    if (!support) throw notSupported('this row comparison');
    return binaryFunction(
      est,
      support.amproc,
      [exprType(expr.largs[i] as Expr), exprType(expr.rargs[i] as Expr)],
      23,
      expr.inputcollids[i]!,
    );
  });
  return row => {
    let order = 0;
    for (let i = 0; i < compares.length && order === 0; i++) {
      const a = left[i]!(row);
      const b = right[i]!(row);
      if (a === null || b === null) return null;
      order = compares[i]!(a, b) as number;
    }
    switch (expr.rctype) {
      case N.ROWCOMPARE_LT:
        return order < 0;
      case N.ROWCOMPARE_LE:
        return order <= 0;
      case N.ROWCOMPARE_GE:
        return order >= 0;
      case N.ROWCOMPARE_GT:
        return order > 0;
      case N.ROWCOMPARE_EQ:
        return order === 0;
      default:
        return order !== 0;
    }
  };
}
