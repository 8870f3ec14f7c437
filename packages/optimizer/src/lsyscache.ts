/**
 * Questions to the catalogs that planning asks about operators, functions and types (lsyscache.c).
 */
import { INVALID_OID, type Oid } from '@pgtroupe/common/ids';
import { BTREE_AM_OID, BPCHAROID, VARCHAROID } from '@pgtroupe/common/oids';
import { AMOPOPID, AMOPSTRATEGY, OPEROID, PROCOID, TYPEOID } from '@pgtroupe/catalog/syscache';
import type { CatCache } from '@pgtroupe/catalog/catcache';
import type { Form_pg_operator } from '@pgtroupe/catalog/catalogs/pg_operator';
import type { Form_pg_proc } from '@pgtroupe/catalog/catalogs/pg_proc';
import type { Form_pg_type } from '@pgtroupe/catalog/catalogs/pg_type';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';

/** What is asked: the session's catalog cache, or anything that answers like it. */
export type CatalogRows = Pick<CatCache, 'search' | 'searchList'>;

export function getOperator(rows: CatalogRows, opno: number): Form_pg_operator {
  const op = rows.search(OPEROID, opno);
  if (op === null) throw ereport(ERRCODE.INTERNAL_ERROR, `cache lookup failed for operator ${opno}`);
  return op;
}

/** 0: it has none. */
export function commutatorOf(rows: CatalogRows, opno: number): number {
  return getOperator(rows, opno).oprcom;
}

export function getProc(rows: CatalogRows, oid: number): Form_pg_proc {
  const proc = rows.search(PROCOID, oid);
  if (proc === null) throw ereport(ERRCODE.INTERNAL_ERROR, `cache lookup failed for function ${oid}`);
  return proc;
}

export function getType(rows: CatalogRows, oid: number): Form_pg_type {
  const type = rows.search(TYPEOID, oid);
  if (type === null) throw ereport(ERRCODE.INTERNAL_ERROR, `cache lookup failed for type ${oid}`);
  return type;
}

export interface OpInterpretation {
  readonly opfamily: Oid;
  readonly strategy: number;
  readonly lefttype: Oid;
  readonly righttype: Oid;
}

/** The btree families an operator belongs to, and as what. */
function opBtreeInterpretation(rows: CatalogRows, opno: number): OpInterpretation[] {
  return rows
    .searchList(AMOPOPID, opno)
    .filter(amop => (amop.amopmethod as number) === BTREE_AM_OID && amop.amoppurpose === 's')
    .map(amop => ({
      opfamily: amop.amopfamily,
      strategy: amop.amopstrategy,
      lefttype: amop.amoplefttype,
      righttype: amop.amoprighttype,
    }));
}

/** btree families in which the operator is equality. */
export function mergejoinOpfamilies(rows: CatalogRows, opno: Oid): Oid[] {
  return opBtreeInterpretation(rows, opno)
    .filter(i => i.strategy === 3)
    .map(i => i.opfamily);
}

/** Can the operator's equality be found by hashing both sides? */
export function opHashjoinable(rows: CatalogRows, opno: number): boolean {
  return getOperator(rows, opno).oprcanhash;
}

/** Strategy of an operator within a btree family, 0 when it has none there. */
export function opfamilyStrategy(rows: CatalogRows, opno: number, opfamily: number): number {
  const amop = rows
    .searchList(AMOPOPID, opno)
    .find(a => (a.amopfamily as number) === opfamily && a.amoppurpose === 's');
  return amop === undefined ? 0 : amop.amopstrategy;
}

/** The operator with this strategy on these types, 0 when the family has none. */
export function opfamilyMember(rows: CatalogRows, opfamily: Oid, lefttype: Oid, righttype: Oid, strategy: number): Oid {
  const amop = rows.search(AMOPSTRATEGY, opfamily, lefttype, righttype, strategy);
  return amop === null ? INVALID_OID : amop.amopopr;
}

/** For an ordering operator (< or >): its family, input type, and whether it is the descending one. */
export function orderingOpProperties(
  rows: CatalogRows,
  opno: number,
): { opfamily: Oid; opcintype: Oid; desc: boolean } | undefined {
  for (const i of opBtreeInterpretation(rows, opno)) {
    if ((i.strategy === 1 || i.strategy === 5) && i.lefttype === i.righttype) {
      return { opfamily: i.opfamily, opcintype: i.lefttype, desc: i.strategy === 5 };
    }
  }
  return undefined;
}

/** The equality operator that goes with an ordering operator. */
export function equalityOpForOrderingOp(rows: CatalogRows, opno: Oid): Oid {
  const order = orderingOpProperties(rows, opno);
  if (order === undefined) return INVALID_OID;
  return opfamilyMember(rows, order.opfamily, order.opcintype, order.opcintype, 3);
}

export function opStrict(rows: CatalogRows, opno: number): boolean {
  return getProc(rows, getOperator(rows, opno).oprcode).proisstrict;
}

/** Average width of a type's values, for cost estimates. */
export function typeAvgWidth(rows: CatalogRows, typid: number, typmod: number): number {
  const type = getType(rows, typid);
  if (type.typlen > 0) return type.typlen;
  if (typmod > 4 && (typid === BPCHAROID || typid === VARCHAROID)) {
    const max = typmod - 4;
    if (typid === BPCHAROID || max <= 32) return max;
    return max < 1000 ? 32 + Math.floor((max - 32) / 2) : 32 + Math.floor((1000 - 32) / 2);
  }
  return 32;
}
