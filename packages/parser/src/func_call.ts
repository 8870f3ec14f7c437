/** What every call of a function or operator goes through: its arguments converted, its place checked if it returns a set. */
import type { Oid } from '@pgtroupe/common/ids';
import type { ParseState } from './parse_node.ts';
import type { Expr } from '@pgtroupe/nodes/primnodes';
import { coerceType } from './parse_coerce.ts';
import { COERCE_IMPLICIT_CAST, COERCION_IMPLICIT } from '@pgtroupe/nodes/nodes';
import { srfPlacement } from './exprkinds.ts';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { INTERNALOID } from '@pgtroupe/common/oids';
import { exprLocation } from '@pgtroupe/nodes/nodefuncs';

/** Coerces arguments to what the function declares; the array is changed in place. */
export function makeFnArguments(
  pstate: ParseState,
  args: Expr[],
  actual: readonly Oid[],
  declared: readonly Oid[],
): void {
  for (let i = 0; i < args.length; i++) {
    if (actual[i] === declared[i]) continue;
    const arg = args[i] as Expr;
    const coerce = (node: Expr) =>
      coerceType(pstate, node, actual[i] as Oid, declared[i] as Oid, -1, COERCION_IMPLICIT, COERCE_IMPLICIT_CAST, -1);
    args[i] = arg.type === 'NamedArgExpr' ? { ...arg, arg: coerce(arg.arg) } : coerce(arg);
  }
}

/** Is a set-returning function allowed here? */
export function checkSrfCallPlacement(pstate: ParseState, lastSrf: Expr | null, location: number): void {
  const placement = srfPlacement(pstate.expr_kind);
  switch (placement.kind) {
    case 'allowed':
      break;
    case 'target':
      pstate.hasTargetSRFs = true;
      break;
    case 'top-of-from':
      if (pstate.last_srf !== lastSrf) {
        throw pstate.error(
          ERRCODE.FEATURE_NOT_SUPPORTED,
          'set-returning functions must appear at top level of FROM',
          exprLocation(pstate.last_srf),
        );
      }
      break;
    case 'forbidden':
      throw pstate.error(
        ERRCODE.FEATURE_NOT_SUPPORTED,
        `set-returning functions are not allowed in ${placement.place}`,
        location,
      );
  }
}

/** What returns an internal value is for the server's own calls. */
export function refuseInternal(pstate: ParseState, rettype: Oid, location: number): void {
  if (rettype !== INTERNALOID) return;
  throw pstate.error(
    ERRCODE.FEATURE_NOT_SUPPORTED,
    'functions returning type "internal" cannot be called explicitly',
    location,
  );
}
