/**
 * Parameters $n: of given types, or of types found from how they are used.
 */
import { type Oid, INVALID_OID } from '@pgtroupe/common/ids';
import { UNKNOWNOID, VOIDOID } from '@pgtroupe/common/oids';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { walkChildren } from '@pgtroupe/nodes/nodefuncs';
import { PARAM_EXTERN } from '@pgtroupe/nodes/nodes';
import type { Expr, Param } from '@pgtroupe/nodes/primnodes';
import type { Node, Query } from '@pgtroupe/nodes/parsenodes';
import type { ParseState } from './parse_node.ts';

/** More than Bind's 16-bit count can bring (it says so then); far fewer than PostgreSQL's 2^29. */
const MAX_PARAMS = 1_000_000;

export function transformParamRef(pstate: ParseState, ref: RawNode): Param {
  const number: number = ref.number ?? 0;
  const location: number = ref.location ?? 0;
  const mode = pstate.context.params;
  let type = INVALID_OID;
  if (mode.kind === 'fixed') type = mode.types[number - 1] ?? 0;
  else if (mode.kind === 'variable' && number > 0 && number <= MAX_PARAMS) {
    while (mode.types.length < number) mode.types.push(INVALID_OID);
    if (mode.types[number - 1] === 0) mode.types[number - 1] = UNKNOWNOID;
    // A void parameter of CALL is an OUT argument: its type is the procedure's.
    if (mode.types[number - 1] === VOIDOID && pstate.expr_kind === 'CALL_ARGUMENT') mode.types[number - 1] = UNKNOWNOID;
    type = mode.types[number - 1] as Oid;
  }
  if (type === 0) throw pstate.error(ERRCODE.UNDEFINED_PARAMETER, `there is no parameter $${number}`, location);
  // A client may name any number; PostgreSQL says so with an internal error.
  if (pstate.catalog.typeOrNull(type) === null)
    throw pstate.error(ERRCODE.UNDEFINED_OBJECT, `type with OID ${type} does not exist`, location);
  return {
    type: 'Param',
    paramkind: PARAM_EXTERN,
    paramid: number,
    paramtype: type,
    paramtypmod: -1,
    paramcollid: pstate.catalog.typeCollation(type),
    location,
  };
}

/** Coercing a parameter of unknown type decides its type. Null if the node is not such a parameter. */
export function variableCoerceParam(pstate: ParseState, param: Param, target: Oid, location: number): Expr | null {
  const mode = pstate.context.params;
  if (mode.kind !== 'variable' || param.paramkind !== PARAM_EXTERN || param.paramtype !== UNKNOWNOID) return null;
  const known = mode.types[param.paramid - 1];
  if (known === UNKNOWNOID) mode.types[param.paramid - 1] = target;
  else if (known !== target) {
    throw pstate.error(
      ERRCODE.AMBIGUOUS_PARAMETER,
      `inconsistent types deduced for parameter $${param.paramid}`,
      param.location,
      {
        detail: `${pstate.typeName(known as Oid)} versus ${pstate.typeName(target)}`,
      },
    );
  }
  param.paramtype = target;
  param.paramtypmod = -1;
  param.paramcollid = pstate.catalog.typeCollation(target);
  if (location >= 0 && (param.location < 0 || location < param.location)) param.location = location;
  return param;
}

/** After analysis: every use of a parameter agrees on its type. */
export function checkVariableParameters(pstate: ParseState, query: Query): void {
  const mode = pstate.context.params;
  if (mode.kind !== 'variable' || mode.types.length === 0) return;
  const visit = (node: Node): boolean => {
    if (node.type === 'Param') {
      if (
        node.paramkind === PARAM_EXTERN &&
        node.paramid < pstate.context.literalBase &&
        node.paramtype !== mode.types[node.paramid - 1]
      ) {
        throw pstate.error(
          ERRCODE.AMBIGUOUS_PARAMETER,
          `could not determine data type of parameter $${node.paramid}`,
          node.location,
        );
      }
      return false;
    }
    return walkChildren(node, visit);
  };
  walkChildren(query, visit);
}
