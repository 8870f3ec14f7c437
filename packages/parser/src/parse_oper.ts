/**
 * Operators: finding the one meant by a name and operand types, and building the call.
 */
import { type Oid, INVALID_OID } from '@pgtroupe/common/ids';
import { BOOLOID, UNKNOWNOID } from '@pgtroupe/common/oids';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import type { Form_pg_operator } from '@pgtroupe/catalog/catalogs/pg_operator';
import type { Expr, OpExpr, ScalarArrayOpExpr } from '@pgtroupe/nodes/primnodes';
import { exprType } from '@pgtroupe/nodes/nodefuncs';
import { isPolymorphicType } from './catalog-lookup.ts';
import { enforceGenericTypeConsistency } from './parse_coerce_generic.ts';
import { nameListToString, type ParseState } from './parse_node.ts';
import { deconstructQualifiedName } from './parse_type.ts';
import { checkSrfCallPlacement, makeFnArguments } from './func_call.ts';
import { funcMatchArgtypes, funcSelectCandidate, type FuncCandidate } from './func_candidates.ts';

/** Exact match of name and types along the search path; 0 if none. */
function opernameGetOprid(pstate: ParseState, names: readonly string[], left: Oid, right: Oid): Oid {
  const { schema, name } = deconstructQualifiedName(pstate, names);
  const { catalog } = pstate;
  const path = schema === null ? catalog.functionPath : [catalog.lookupExplicitNamespace(schema)];
  const candidates = catalog.opersByName(name).filter(op => op.oprleft === left && op.oprright === right);
  if (candidates.length === 0) return INVALID_OID;
  for (const namespace of path) {
    const found = candidates.find(op => op.oprnamespace === namespace);
    if (found) return found.oid;
  }
  return INVALID_OID;
}

/** All operators of a name reachable by the search path; the first of equal signature hides the others. */
function opernameGetCandidates(pstate: ParseState, names: readonly string[], kind: 'b' | 'l'): FuncCandidate[] {
  const { schema, name } = deconstructQualifiedName(pstate, names);
  const { catalog } = pstate;
  const path = schema === null ? catalog.functionPath : [catalog.lookupExplicitNamespace(schema)];
  const result: FuncCandidate[] = [];
  for (const op of catalog.opersByName(name)) {
    if (op.oprkind !== kind) continue;
    const pathpos = path.indexOf(op.oprnamespace);
    if (pathpos < 0) continue;
    const same = result.findIndex(c => c.args[0] === op.oprleft && c.args[1] === op.oprright);
    if (same >= 0) {
      if ((result[same] as FuncCandidate).pathpos <= pathpos) continue;
      result.splice(same, 1);
    }
    result.unshift({
      oid: op.oid,
      pathpos,
      args: [op.oprleft, op.oprright],
      nominalnargs: 2,
      nvargs: 0,
      ndargs: 0,
      argnumbers: null,
    });
  }
  return result;
}

function signature(pstate: ParseState, names: readonly string[], left: Oid, right: Oid): string {
  const prefix = left === 0 ? '' : `${pstate.typeName(left)} `;
  return `${prefix}${nameListToString(names)} ${pstate.typeName(right)}`;
}

type Choice = { readonly kind: 'found'; readonly oid: Oid } | { readonly kind: 'none' | 'ambiguous' };

function selectCandidate(pstate: ParseState, types: readonly Oid[], candidates: FuncCandidate[]): Choice {
  const matches = funcMatchArgtypes(pstate, types, candidates);
  if (matches.length === 0) return { kind: 'none' };
  if (matches.length === 1) return { kind: 'found', oid: (matches[0] as FuncCandidate).oid };
  const best = funcSelectCandidate(pstate, types, matches);
  return best ? { kind: 'found', oid: best.oid } : { kind: 'ambiguous' };
}

function binaryOperExact(pstate: ParseState, names: readonly string[], left: Oid, right: Oid): Oid {
  let wasUnknown = false;
  if (left === UNKNOWNOID && right !== 0) {
    left = right;
    wasUnknown = true;
  } else if (right === UNKNOWNOID && left !== 0) {
    right = left;
    wasUnknown = true;
  }
  const result = opernameGetOprid(pstate, names, left, right);
  if (result !== 0 || !wasUnknown) return result;
  const base = pstate.catalog.baseType(left);
  return base !== left ? opernameGetOprid(pstate, names, base, base) : INVALID_OID;
}

function operError(
  pstate: ParseState,
  names: readonly string[],
  left: Oid,
  right: Oid,
  ambiguous: boolean,
  location: number,
): Error {
  if (ambiguous) {
    return pstate.error(
      ERRCODE.AMBIGUOUS_FUNCTION,
      `operator is not unique: ${signature(pstate, names, left, right)}`,
      location,
      {
        hint: 'Could not choose a best candidate operator. You might need to add explicit type casts.',
      },
    );
  }
  return pstate.error(
    ERRCODE.UNDEFINED_FUNCTION,
    `operator does not exist: ${signature(pstate, names, left, right)}`,
    location,
    {
      hint:
        left === 0 || right === 0
          ? 'No operator matches the given name and argument type. You might need to add an explicit type cast.'
          : 'No operator matches the given name and argument types. You might need to add explicit type casts.',
    },
  );
}

/** The binary operator for these operand types, or null. */
export function operOrNull(
  pstate: ParseState,
  names: readonly string[],
  left: Oid,
  right: Oid,
): Form_pg_operator | null {
  const found = findOper(pstate, names, left, right);
  return found.kind === 'found' ? pstate.catalog.oper(found.oid) : null;
}

function findOper(pstate: ParseState, names: readonly string[], left: Oid, right: Oid): Choice {
  const exact = binaryOperExact(pstate, names, left, right);
  if (exact !== 0) return { kind: 'found', oid: exact };
  const candidates = opernameGetCandidates(pstate, names, 'b');
  if (candidates.length === 0) return { kind: 'none' };
  return selectCandidate(pstate, [left === 0 ? right : left, right === 0 ? left : right], candidates);
}

function oper(pstate: ParseState, names: readonly string[], left: Oid, right: Oid, location: number): Form_pg_operator {
  const found = pstate.withPosition(location, () => findOper(pstate, names, left, right));
  if (found.kind === 'found') return pstate.catalog.oper(found.oid);
  throw operError(pstate, names, left, right, found.kind === 'ambiguous', location);
}

/** As oper, but the operands must need no conversion at run time. */
export function compatibleOper(
  pstate: ParseState,
  names: readonly string[],
  left: Oid,
  right: Oid,
  location: number,
): Form_pg_operator {
  const op = oper(pstate, names, left, right, location);
  if (pstate.catalog.isBinaryCoercible(left, op.oprleft) && pstate.catalog.isBinaryCoercible(right, op.oprright))
    return op;
  throw pstate.error(
    ERRCODE.UNDEFINED_FUNCTION,
    `operator requires run-time type coercion: ${signature(pstate, names, left, right)}`,
    location,
  );
}

/** The prefix operator for this operand type, or null. */
export function leftOperOrNull(pstate: ParseState, names: readonly string[], arg: Oid): Form_pg_operator | null {
  const found = findLeftOper(pstate, names, arg);
  return found.kind === 'found' ? pstate.catalog.oper(found.oid) : null;
}

function findLeftOper(pstate: ParseState, names: readonly string[], arg: Oid): Choice {
  const exact = opernameGetOprid(pstate, names, INVALID_OID, arg);
  if (exact !== 0) return { kind: 'found', oid: exact };
  const candidates = opernameGetCandidates(pstate, names, 'l').map(c => ({ ...c, args: [c.args[1] as Oid] }));
  return candidates.length === 0 ? { kind: 'none' } : selectCandidate(pstate, [arg], candidates);
}

function leftOper(pstate: ParseState, names: readonly string[], arg: Oid, location: number): Form_pg_operator {
  const found = pstate.withPosition(location, () => findLeftOper(pstate, names, arg));
  if (found.kind === 'found') return pstate.catalog.oper(found.oid);
  throw operError(pstate, names, INVALID_OID, arg, found.kind === 'ambiguous', location);
}

/** ltree op rtree, or the prefix operator when ltree is null. */
export function makeOp(
  pstate: ParseState,
  names: readonly string[],
  ltree: Expr | null,
  rtree: Expr | null,
  lastSrf: Expr | null,
  location: number,
): OpExpr {
  if (rtree === null) throw pstate.error(ERRCODE.SYNTAX_ERROR, 'postfix operators are not supported');
  const right = exprType(rtree);
  const left = ltree === null ? INVALID_OID : exprType(ltree);
  const op = ltree === null ? leftOper(pstate, names, right, location) : oper(pstate, names, left, right, location);
  requireImplemented(pstate, op, names, location);
  const args: Expr[] = ltree === null ? [rtree] : [ltree, rtree];
  const actual = ltree === null ? [right] : [left, right];
  const declared: Oid[] = ltree === null ? [op.oprright] : [op.oprleft, op.oprright];
  const resultType = enforceGenericTypeConsistency(pstate, actual, declared, op.oprresult, false);
  makeFnArguments(pstate, args, actual, declared);
  const result: OpExpr = {
    type: 'OpExpr',
    opno: op.oid,
    opfuncid: op.oprcode,
    opresulttype: resultType,
    opretset: pstate.catalog.proc(op.oprcode).proretset,
    opcollid: INVALID_OID,
    inputcollid: INVALID_OID,
    args,
    location,
  };
  if (result.opretset) {
    checkSrfCallPlacement(pstate, lastSrf, location);
    pstate.last_srf = result;
  }
  return result;
}

function requireImplemented(
  pstate: ParseState,
  op: Form_pg_operator,
  names: readonly string[],
  location: number,
): void {
  if (op.oprcode !== 0) return;
  throw pstate.error(
    ERRCODE.UNDEFINED_FUNCTION,
    `operator is only a shell: ${signature(pstate, names, op.oprleft, op.oprright)}`,
    location,
  );
}

/** scalar op ANY/ALL (array) */
export function makeScalarArrayOp(
  pstate: ParseState,
  names: readonly string[],
  useOr: boolean,
  ltree: Expr,
  rtree: Expr,
  location: number,
): ScalarArrayOpExpr {
  const { catalog } = pstate;
  const left = exprType(ltree);
  const arrayType = exprType(rtree);
  let right: Oid = UNKNOWNOID;
  if (arrayType !== UNKNOWNOID) {
    right = catalog.baseElementType(arrayType);
    if (right === 0) {
      throw pstate.error(ERRCODE.WRONG_OBJECT_TYPE, 'op ANY/ALL (array) requires array on right side', location);
    }
  }
  const op = oper(pstate, names, left, right, location);
  requireImplemented(pstate, op, names, location);
  const args = [ltree, rtree];
  const actual = [left, right];
  const declared: Oid[] = [op.oprleft, op.oprright];
  const resultType = enforceGenericTypeConsistency(pstate, actual, declared, op.oprresult, false);
  if (resultType !== BOOLOID) {
    throw pstate.error(ERRCODE.WRONG_OBJECT_TYPE, 'op ANY/ALL (array) requires operator to yield boolean', location);
  }
  if (catalog.proc(op.oprcode).proretset) {
    throw pstate.error(ERRCODE.WRONG_OBJECT_TYPE, 'op ANY/ALL (array) requires operator not to return a set', location);
  }
  let resultArray = arrayType;
  if (!isPolymorphicType(declared[1] as Oid)) {
    resultArray = catalog.arrayType(declared[1] as Oid);
    if (resultArray === 0) {
      throw pstate.error(
        ERRCODE.UNDEFINED_OBJECT,
        `could not find array type for data type ${pstate.typeName(declared[1] as Oid)}`,
        location,
      );
    }
  }
  actual[1] = arrayType;
  declared[1] = resultArray;
  makeFnArguments(pstate, args, actual, declared);
  return {
    type: 'ScalarArrayOpExpr',
    opno: op.oid,
    opfuncid: op.oprcode,
    hashfuncid: INVALID_OID,
    negfuncid: INVALID_OID,
    useOr,
    inputcollid: INVALID_OID,
    args,
    location,
  };
}

export interface SortGroupOperators {
  readonly lt: Oid;
  readonly eq: Oid;
  readonly gt: Oid;
  readonly hashable: boolean;
}

/** The default ordering and equality operators of a type; errors if a needed one is missing. */
export function getSortGroupOperators(
  pstate: ParseState,
  type: Oid,
  needLT: boolean,
  needEQ: boolean,
  needGT: boolean,
): SortGroupOperators {
  const ops = pstate.catalog.typeOperators(type);
  if ((needLT && ops.lt === 0) || (needGT && ops.gt === 0)) {
    throw pstate.error(
      ERRCODE.UNDEFINED_FUNCTION,
      `could not identify an ordering operator for type ${pstate.typeName(type)}`,
      -1,
      {
        hint: 'Use an explicit ordering operator or modify the query.',
      },
    );
  }
  if (needEQ && ops.eq === 0) {
    throw pstate.error(
      ERRCODE.UNDEFINED_FUNCTION,
      `could not identify an equality operator for type ${pstate.typeName(type)}`,
    );
  }
  return ops;
}
