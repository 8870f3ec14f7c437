/**
 * container[subscripts] for arrays and jsonb, read or assigned.
 */
import { type Oid, INVALID_OID } from '@pgtroupe/common/ids';
import {
  INT2ARRAYOID,
  INT2VECTOROID,
  INT4OID,
  JSONBOID,
  OIDARRAYOID,
  OIDVECTOROID,
  TEXTOID,
  UNKNOWNOID,
} from '@pgtroupe/common/oids';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { makeConst } from '@pgtroupe/nodes/makefuncs';
import { exprLocation, exprType } from '@pgtroupe/nodes/nodefuncs';
import { COERCE_IMPLICIT_CAST, COERCION_ASSIGNMENT, COERCION_IMPLICIT } from '@pgtroupe/nodes/nodes';
import type { Expr, SubscriptingRef } from '@pgtroupe/nodes/primnodes';
import { coerceToTargetType, coerceType } from './parse_coerce.ts';
import { transformExpr } from './grammar.ts';
import type { ParseState } from './parse_node.ts';
import { rawLocation } from './rawlocation.ts';
import { canCoerce } from './parse_coerce_generic.ts';

const MAXDIM = 6;

/** The type subscripting works on: domains looked through, the vectors as plain arrays. */
export function transformContainerType(pstate: ParseState, type: Oid, typmod: number): { type: Oid; typmod: number } {
  const base = pstate.catalog.baseTypeAndTypmod(type, typmod);
  if (base.type === INT2VECTOROID) return { type: INT2ARRAYOID, typmod: base.typmod };
  if (base.type === OIDVECTOROID) return { type: OIDARRAYOID, typmod: base.typmod };
  return { ...base };
}

export function transformContainerSubscripts(
  pstate: ParseState,
  base: Expr,
  containerType: Oid,
  containerTypmod: number,
  indirection: readonly RawNode[],
  isAssignment: boolean,
): SubscriptingRef {
  let container = { type: containerType, typmod: containerTypmod };
  if (!isAssignment) container = transformContainerType(pstate, containerType, containerTypmod);
  const row = pstate.catalog.type(container.type);
  const kind = pstate.catalog.subscriptKind(row);
  if (kind === null) {
    throw pstate.error(
      ERRCODE.DATATYPE_MISMATCH,
      `cannot subscript type ${pstate.typeName(container.type)} because it does not support subscripting`,
      exprLocation(base),
    );
  }
  const ref: SubscriptingRef = {
    type: 'SubscriptingRef',
    refcontainertype: container.type,
    refelemtype: row.typelem,
    refrestype: INVALID_OID,
    reftypmod: container.typmod,
    refcollid: INVALID_OID,
    refupperindexpr: [],
    reflowerindexpr: [],
    refexpr: base,
    refassgnexpr: null,
  };
  const isSlice = indirection.some(indices => indices.is_slice);
  if (kind === 'jsonb') transformJsonb(pstate, ref, indirection, isSlice);
  else transformArray(pstate, ref, indirection, isSlice);
  return ref;
}

function integerSubscript(pstate: ParseState, raw: RawNode): Expr {
  const expr = transformExpr(pstate, raw, pstate.expr_kind);
  const result = coerceToTargetType(
    pstate,
    expr,
    exprType(expr),
    INT4OID,
    -1,
    COERCION_ASSIGNMENT,
    COERCE_IMPLICIT_CAST,
    -1,
  );
  if (result === null) {
    throw pstate.error(ERRCODE.DATATYPE_MISMATCH, 'array subscript must have type integer', rawLocation(raw));
  }
  return result;
}

function transformArray(
  pstate: ParseState,
  ref: SubscriptingRef,
  indirection: readonly RawNode[],
  isSlice: boolean,
): void {
  const upper: (Expr | null)[] = [];
  const lower: (Expr | null)[] = [];
  for (const indices of indirection) {
    if (isSlice) {
      if (indices.lidx) lower.push(integerSubscript(pstate, indices.lidx));
      // a[n] beside slices means a[1:n].
      else if (!indices.is_slice) lower.push(makeConst(INT4OID, -1, INVALID_OID, 4, true, 1));
      else lower.push(null);
    }
    upper.push(indices.uidx ? integerSubscript(pstate, indices.uidx) : null);
  }
  if (upper.length > MAXDIM) {
    throw pstate.error(
      ERRCODE.PROGRAM_LIMIT_EXCEEDED,
      `number of array dimensions (${upper.length}) exceeds the maximum allowed (${MAXDIM})`,
    );
  }
  ref.refupperindexpr = upper;
  ref.reflowerindexpr = lower;
  ref.refrestype = isSlice ? ref.refcontainertype : ref.refelemtype;
}

function transformJsonb(
  pstate: ParseState,
  ref: SubscriptingRef,
  indirection: readonly RawNode[],
  isSlice: boolean,
): void {
  ref.refupperindexpr = indirection.map(indices => {
    if (isSlice) {
      throw pstate.error(
        ERRCODE.DATATYPE_MISMATCH,
        'jsonb subscript does not support slices',
        rawLocation(indices.uidx ?? indices.lidx),
      );
    }
    const expr = transformExpr(pstate, indices.uidx, pstate.expr_kind);
    const type = exprType(expr);
    let target: Oid = TEXTOID;
    if (type !== UNKNOWNOID) {
      const targets = [INT4OID, TEXTOID].filter(t => canCoerce(pstate.catalog, type, t, COERCION_IMPLICIT));
      if (targets.length !== 1) {
        throw pstate.error(
          ERRCODE.DATATYPE_MISMATCH,
          `subscript type ${pstate.typeName(type)} is not supported`,
          exprLocation(expr),
          {
            hint:
              targets.length === 0
                ? 'jsonb subscript must be coercible to either integer or text.'
                : 'jsonb subscript must be coercible to only one type, integer or text.',
          },
        );
      }
      target = targets[0]!;
    }
    return coerceType(pstate, expr, type, target, -1, COERCION_IMPLICIT, COERCE_IMPLICIT_CAST, -1);
  });
  ref.refrestype = JSONBOID;
  ref.reftypmod = -1;
}
