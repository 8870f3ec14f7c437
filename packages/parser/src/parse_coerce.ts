/**
 * Type coercion: which conversions exist between two types in a given context, and the nodes that
 * perform them.
 */
import { type Oid, INVALID_OID } from '@pgtroupe/common/ids';
import {
  ANYARRAYOID,
  ANYCOMPATIBLEARRAYOID,
  ANYCOMPATIBLEMULTIRANGEOID,
  ANYCOMPATIBLENONARRAYOID,
  ANYCOMPATIBLEOID,
  ANYCOMPATIBLERANGEOID,
  ANYELEMENTOID,
  ANYENUMOID,
  ANYMULTIRANGEOID,
  ANYNONARRAYOID,
  ANYOID,
  ANYRANGEOID,
  BOOLOID,
  INT4OID,
  INTERVALOID,
  RECORDARRAYOID,
  RECORDOID,
  TEXTOID,
  UNKNOWNOID,
} from '@pgtroupe/common/oids';
import { assert } from '@pgtroupe/common/assert';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import {
  COERCE_IMPLICIT_CAST,
  COERCION_ASSIGNMENT,
  COERCION_EXPLICIT,
  COERCION_IMPLICIT,
  PARAM_EXTERN,
  type CoercionContext,
  type CoercionForm,
} from '@pgtroupe/nodes/nodes';
import { makeBoolConst, makeConst, makeFuncExpr, makeRelabelType } from '@pgtroupe/nodes/makefuncs';
import { exprCollation, exprLocation, exprType, exprTypmod, expressionReturnsSet } from '@pgtroupe/nodes/nodefuncs';
import type { CaseTestExpr, Const, Expr, Param } from '@pgtroupe/nodes/primnodes';
import type { CatalogLookup } from './catalog-lookup.ts';
import type { ParseState } from './parse_node.ts';
import { variableCoerceParam } from './parse_param.ts';
import { expandNSItemVars, getNSItemByRangeTablePosn } from './parse_relation.ts';
import { EMPTY_BYTES } from '@pgtroupe/adt/mb/mbutils';
import { inputDatum } from './parse_type.ts';
import { canCoerce } from './parse_coerce_generic.ts';
import {
  NO_PATH,
  findCoercionPathway,
  type CoercionPath,
  typeInheritsFrom,
  typeIsOfTypedTable,
} from './coercion_path.ts';

/** Converts to a type and typmod; null if there is no way in this context. */
export function coerceToTargetType(
  pstate: ParseState,
  expr: Expr,
  exprtype: Oid,
  targettype: Oid,
  targettypmod: number,
  context: CoercionContext,
  form: CoercionForm,
  location: number,
): Expr | null {
  if (!canCoerce(pstate.catalog, exprtype, targettype, context)) return null;
  // A COLLATE on top stays on top of the cast.
  let inner = expr;
  while (inner.type === 'CollateExpr') inner = inner.arg;
  let result = coerceType(pstate, inner, exprtype, targettype, targettypmod, context, form, location);
  result = coerceTypeTypmod(
    pstate,
    result,
    targettype,
    targettypmod,
    context,
    form,
    location,
    result !== inner && result.type !== 'Const' && !isLiteralParam(pstate, result),
  );
  if (inner !== expr && pstate.catalog.typeIsCollatable(targettype)) {
    const collate = expr as Extract<Expr, { type: 'CollateExpr' }>;
    result = { type: 'CollateExpr', arg: result, collOid: collate.collOid, location: collate.location };
  }
  return result;
}

/** A Param that stands for a literal is what would have been a Const. */
export function isLiteralParam(pstate: ParseState, expr: Expr): boolean {
  return expr.type === 'Param' && expr.paramkind === PARAM_EXTERN && expr.paramid >= pstate.context.literalBase;
}

const NOTHING_TO_DO: ReadonlySet<number> = new Set([
  ANYOID,
  ANYELEMENTOID,
  ANYNONARRAYOID,
  ANYCOMPATIBLEOID,
  ANYCOMPATIBLENONARRAYOID,
]);
const POLYMORPHIC_CONTAINERS: ReadonlySet<number> = new Set([
  ANYARRAYOID,
  ANYENUMOID,
  ANYRANGEOID,
  ANYMULTIRANGEOID,
  ANYCOMPATIBLEARRAYOID,
  ANYCOMPATIBLERANGEOID,
  ANYCOMPATIBLEMULTIRANGEOID,
]);

/** Converts to a type (not its typmod); the caller knows that it is possible. */
export function coerceType(
  pstate: ParseState,
  node: Expr,
  input: Oid,
  target: Oid,
  targetTypmod: number,
  context: CoercionContext,
  form: CoercionForm,
  location: number,
): Expr {
  const { catalog } = pstate;
  if (target === input || NOTHING_TO_DO.has(target)) return node;
  if (POLYMORPHIC_CONTAINERS.has(target) && input !== UNKNOWNOID) {
    // The function sees the array (enum, range) itself, not a domain over it.
    const base = catalog.baseType(input);
    return base === input ? node : { ...makeRelabelType(node, base, -1, INVALID_OID, form), location };
  }
  if (input === UNKNOWNOID && node.type === 'Const') {
    return coerceUnknownLiteral(pstate, node, target, targetTypmod, context, form, location);
  }
  if (node.type === 'Param') {
    const resolved = variableCoerceParam(pstate, node, target, location);
    if (resolved) return resolved;
  }
  if (node.type === 'CollateExpr') {
    const arg = coerceType(pstate, node.arg, input, target, targetTypmod, context, form, location);
    if (!catalog.typeIsCollatable(target)) return arg;
    return { type: 'CollateExpr', arg, collOid: node.collOid, location: node.location };
  }
  const path = findCoercionPathway(catalog, target, input, context);
  if (path.kind === 'relabel') {
    const result = coerceToDomain(pstate, node, INVALID_OID, -1, target, context, form, location, false);
    return result === node ? { ...makeRelabelType(node, target, -1, INVALID_OID, form), location } : result;
  }
  if (path.kind !== 'none') {
    const base = catalog.baseTypeAndTypmod(target, targetTypmod);
    const result = buildCoercionExpression(pstate, node, path, base.type, base.typmod, context, form, location);
    if (target === base.type) return result;
    return coerceToDomain(pstate, result, base.type, base.typmod, target, context, form, location, true);
  }
  if (input === RECORDOID && catalog.isComplex(target)) {
    return coerceRecordToComplex(pstate, node, target, context, form, location);
  }
  if (target === RECORDOID && catalog.isComplex(input)) return node;
  if (target === RECORDARRAYOID && catalog.isComplexArray(input)) return node;
  if (typeInheritsFrom(catalog, input, target) || typeIsOfTypedTable(catalog, input, target)) {
    const base = catalog.baseType(input);
    const arg =
      base === input ? node : { ...makeRelabelType(node, base, -1, INVALID_OID, COERCE_IMPLICIT_CAST), location };
    return { type: 'ConvertRowtypeExpr', arg, resulttype: target, convertformat: form, location };
  }
  throw pstate.error(
    ERRCODE.INTERNAL_ERROR,
    `failed to find conversion function from ${pstate.typeName(input)} to ${pstate.typeName(target)}`,
  );
}

const LARGE_LITERAL = 1 << 20;

/** 'literal' of yet unknown type: its text goes to the target type's input function. */
function coerceUnknownLiteral(
  pstate: ParseState,
  con: Const,
  target: Oid,
  targetTypmod: number,
  context: CoercionContext,
  form: CoercionForm,
  location: number,
): Expr {
  const base = pstate.catalog.baseTypeAndTypmod(target, targetTypmod);
  // Only interval's input function needs its typmod early; elsewhere a length coercion follows.
  const inputTypmod = base.type === INTERVALOID ? base.typmod : -1;
  const row = pstate.catalog.type(base.type);
  let result: Expr;
  const text = con.constisnull ? null : (con.constvalue as Uint8Array);
  const large = text !== null && text.length >= LARGE_LITERAL && row.typcategory !== 'S';
  // Converted even when it becomes a parameter: an invalid literal is an error now. What takes long waits for its execution.
  // Some pseudo-types refuse NULL too.
  const refuses = text === null && row.typtype === 'p' && !pstate.catalog.proc(row.typinput).proisstrict;
  if (refuses) pstate.withPosition(con.location, () => inputDatum(pstate, row, EMPTY_BYTES, inputTypmod));
  const value =
    text === null || large ? null : pstate.withPosition(con.location, () => inputDatum(pstate, row, text, inputTypmod));
  if (large) {
    const io = { coerceformat: form, location, resultcollid: row.typcollation };
    result = { type: 'CoerceViaIO', arg: con, resulttype: base.type, ...io };
  } else if (con.literal) {
    result = makeLiteralParam(pstate, con.literal, base.type, inputTypmod, row.typcollation, con.location);
  } else {
    result = makeConst(base.type, inputTypmod, row.typcollation, row.typlen, row.typbyval, value, con.location);
  }
  if (base.type === target) return result;
  return coerceToDomain(pstate, result, base.type, base.typmod, target, context, form, location, false);
}

/** The Param for one use of a literal; equal uses share it. */
export function makeLiteralParam(
  pstate: ParseState,
  literal: { readonly index: number; readonly negated: boolean },
  type: Oid,
  typmod: number,
  collation: Oid,
  location: number,
): Param {
  const { literals, literalBase } = pstate.context;
  let known = literals.find(
    l => l.index === literal.index && l.type === type && l.typmod === typmod && l.negated === literal.negated,
  );
  if (!known) {
    known = { paramid: literalBase + literals.length, index: literal.index, negated: literal.negated, type, typmod };
    literals.push(known);
  }
  return {
    type: 'Param',
    paramkind: PARAM_EXTERN,
    paramid: known.paramid,
    paramtype: type,
    paramtypmod: typmod,
    paramcollid: collation,
    location,
  };
}

export function coerceToDomain(
  pstate: ParseState,
  arg: Expr,
  baseType: Oid,
  baseTypmod: number,
  type: Oid,
  context: CoercionContext,
  form: CoercionForm,
  location: number,
  hideInputCoercion: boolean,
): Expr {
  if (baseType === 0) ({ type: baseType, typmod: baseTypmod } = pstate.catalog.baseTypeAndTypmod(type, baseTypmod));
  if (baseType === type) return arg;
  if (hideInputCoercion) hideCoercionNode(arg);
  const inner = coerceTypeTypmod(pstate, arg, baseType, baseTypmod, context, COERCE_IMPLICIT_CAST, location, false);
  return {
    type: 'CoerceToDomain',
    arg: inner,
    resulttype: type,
    resulttypmod: -1,
    resultcollid: INVALID_OID,
    coercionformat: form,
    location,
  };
}

function coerceTypeTypmod(
  pstate: ParseState,
  node: Expr,
  target: Oid,
  targetTypmod: number,
  context: CoercionContext,
  form: CoercionForm,
  location: number,
  hideInputCoercion: boolean,
): Expr {
  if (targetTypmod === exprTypmod(node)) return node;
  if (hideInputCoercion) hideCoercionNode(node);
  const path = targetTypmod < 0 ? NO_PATH : findTypmodCoercionFunction(pstate.catalog, target);
  if (path.kind !== 'none')
    return buildCoercionExpression(pstate, node, path, target, targetTypmod, context, form, location);
  return applyRelabelType(node, target, targetTypmod, exprCollation(node), form, location);
}

/** A RelabelType, merged with one below, or folded into a constant. */
function applyRelabelType(
  arg: Expr,
  type: Oid,
  typmod: number,
  collation: Oid,
  form: CoercionForm,
  location: number,
): Expr {
  let inner = arg;
  while (inner.type === 'RelabelType') inner = inner.arg;
  if (inner.type === 'Const') {
    return { ...inner, consttype: type, consttypmod: typmod, constcollid: collation };
  }
  if (exprType(inner) === type && exprTypmod(inner) === typmod && exprCollation(inner) === collation) return inner;
  return { ...makeRelabelType(inner, type, typmod, collation, form), location };
}

/** How a length coercion (varchar(n), numeric(p,s)...) of the type is done. */
function findTypmodCoercionFunction(catalog: CatalogLookup, type: Oid): CoercionPath {
  const row = catalog.type(type);
  const isArray = catalog.isTrueArray(row);
  const elem = isArray ? row.typelem : type;
  const cast = catalog.cast(elem, elem);
  if (cast === null || cast.castfunc === 0) return NO_PATH;
  return isArray ? { kind: 'arraycoerce' } : { kind: 'func', funcid: cast.castfunc };
}

/** A cast that only serves the one above it does not show when deparsed. */
function hideCoercionNode(node: Expr): void {
  switch (node.type) {
    case 'FuncExpr':
      node.funcformat = COERCE_IMPLICIT_CAST;
      break;
    case 'RelabelType':
      node.relabelformat = COERCE_IMPLICIT_CAST;
      break;
    case 'CoerceViaIO':
    case 'ArrayCoerceExpr':
      node.coerceformat = COERCE_IMPLICIT_CAST;
      break;
    case 'ConvertRowtypeExpr':
      node.convertformat = COERCE_IMPLICIT_CAST;
      break;
    case 'RowExpr':
      node.row_format = COERCE_IMPLICIT_CAST;
      break;
    case 'CoerceToDomain':
      node.coercionformat = COERCE_IMPLICIT_CAST;
      break;
    case 'Param':
      break;
    default:
      assert(false, `a coercion made a ${node.type}`);
  }
}

function buildCoercionExpression(
  pstate: ParseState,
  node: Expr,
  path: CoercionPath,
  target: Oid,
  targetTypmod: number,
  context: CoercionContext,
  form: CoercionForm,
  location: number,
): Expr {
  switch (path.kind) {
    case 'func': {
      const nargs = pstate.catalog.proc(path.funcid).pronargs;
      const args: Expr[] = [node];
      if (nargs >= 2) args.push(makeConst(INT4OID, -1, INVALID_OID, 4, true, targetTypmod));
      if (nargs === 3) args.push(makeBoolConst(context === COERCION_EXPLICIT));
      return { ...makeFuncExpr(path.funcid, target, args, INVALID_OID, INVALID_OID, form), location };
    }
    case 'arraycoerce': {
      const source = pstate.catalog.baseTypeAndTypmod(exprType(node), exprTypmod(node));
      const test: CaseTestExpr = {
        type: 'CaseTestExpr',
        typeId: pstate.catalog.elementType(source.type),
        typeMod: source.typmod,
        collation: INVALID_OID,
      };
      const elem = pstate.catalog.elementType(target);
      const elemexpr = coerceToTargetType(pstate, test, test.typeId, elem, targetTypmod, context, form, location);
      assert(elemexpr !== null, 'array elements can be coerced when their arrays can');
      return {
        type: 'ArrayCoerceExpr',
        arg: node,
        elemexpr,
        resulttype: target,
        resulttypmod: exprTypmod(elemexpr),
        resultcollid: INVALID_OID,
        coerceformat: form,
        location,
      };
    }
    case 'viaio':
      return {
        type: 'CoerceViaIO',
        arg: node,
        resulttype: target,
        resultcollid: INVALID_OID,
        coerceformat: form,
        location,
      };
    default:
      throw pstate.error(ERRCODE.INTERNAL_ERROR, `unsupported pathtype ${path.kind} in build_coercion_expression`);
  }
}

/** ROW(...) or a whole-row reference as a value of a named composite type. */
function coerceRecordToComplex(
  pstate: ParseState,
  node: Expr,
  target: Oid,
  context: CoercionContext,
  form: CoercionForm,
  location: number,
): Expr {
  const { catalog } = pstate;
  const cannot = (detail: string | undefined, where: Expr) =>
    pstate.error(
      ERRCODE.CANNOT_COERCE,
      `cannot cast type ${pstate.typeName(RECORDOID)} to ${pstate.typeName(target)}`,
      location >= 0 ? location : exprLocation(where),
      { detail },
    );
  let args: readonly Expr[];
  if (node.type === 'RowExpr') args = node.args;
  else if (node.type === 'Var' && node.varattno === 0) {
    const nsitem = getNSItemByRangeTablePosn(pstate, node.varno, node.varlevelsup);
    args = expandNSItemVars(pstate, nsitem, node.varlevelsup, node.location).vars;
  } else throw cannot(undefined, node);
  const base = catalog.baseTypeAndTypmod(target, -1);
  const newargs: Expr[] = [];
  let next = 0;
  let ucolno = 1;
  for (const attr of catalog.attributes(catalog.type(base.type).typrelid)) {
    if (attr.attisdropped) {
      newargs.push(makeConst(INT4OID, -1, INVALID_OID, 4, true, null));
      continue;
    }
    const expr = args[next++];
    if (expr === undefined) throw cannot('Input has too few columns.', node);
    const type = exprType(expr);
    const coerced = coerceToTargetType(
      pstate,
      expr,
      type,
      attr.atttypid,
      attr.atttypmod,
      context,
      COERCE_IMPLICIT_CAST,
      -1,
    );
    if (coerced === null) {
      throw cannot(
        `Cannot cast type ${pstate.typeName(type)} to ${pstate.typeName(attr.atttypid)} in column ${ucolno}.`,
        expr,
      );
    }
    newargs.push(coerced);
    ucolno++;
  }
  if (next < args.length) throw cannot('Input has too many columns.', node);
  const row: Expr = {
    type: 'RowExpr',
    args: newargs,
    row_typeid: base.type,
    row_format: base.type === target ? form : COERCE_IMPLICIT_CAST,
    colnames: [],
    location,
  };
  if (base.type === target) return row;
  return coerceToDomain(pstate, row, base.type, base.typmod, target, context, form, location, false);
}

export function coerceToBoolean(pstate: ParseState, node: Expr, construct: string): Expr {
  return coerceToSpecificType(pstate, node, BOOLOID, construct);
}

/** Converts as in an assignment; the construct's name is for the error. */
export function coerceToSpecificType(
  pstate: ParseState,
  node: Expr,
  target: Oid,
  construct: string,
  typmod = -1,
): Expr {
  const input = exprType(node);
  let result = node;
  if (input !== target) {
    const coerced = coerceToTargetType(
      pstate,
      node,
      input,
      target,
      typmod,
      COERCION_ASSIGNMENT,
      COERCE_IMPLICIT_CAST,
      -1,
    );
    if (coerced === null) {
      throw pstate.error(
        ERRCODE.DATATYPE_MISMATCH,
        `argument of ${construct} must be type ${pstate.typeName(target)}, not type ${pstate.typeName(input)}`,
        exprLocation(node),
      );
    }
    result = coerced;
  }
  if (expressionReturnsSet(result)) {
    throw pstate.error(
      ERRCODE.DATATYPE_MISMATCH,
      `argument of ${construct} must not return a set`,
      exprLocation(result),
    );
  }
  return result;
}

/**
 * The type all the expressions can be brought to. With a context an impossible mix is an error naming
 * it; with null the answer is 0.
 */
export function selectCommonType(
  pstate: ParseState,
  exprs: readonly Expr[],
  context: string | null,
): { readonly type: Oid; readonly which: Expr } {
  const { catalog } = pstate;
  let pexpr = exprs[0] as Expr;
  let ptype = exprType(pexpr);
  let i = 1;
  if (ptype !== UNKNOWNOID) {
    while (i < exprs.length && exprType(exprs[i] as Expr) === ptype) i++;
    if (i === exprs.length) return { type: ptype, which: pexpr };
  }
  ptype = catalog.baseType(ptype);
  let prow = catalog.type(ptype);
  for (; i < exprs.length; i++) {
    const nexpr = exprs[i] as Expr;
    const ntype = catalog.baseType(exprType(nexpr));
    if (ntype === UNKNOWNOID || ntype === ptype) continue;
    const nrow = catalog.type(ntype);
    if (ptype !== UNKNOWNOID) {
      if (nrow.typcategory !== prow.typcategory) {
        if (context === null) return { type: INVALID_OID, which: pexpr };
        throw pstate.error(
          ERRCODE.DATATYPE_MISMATCH,
          `${context} types ${pstate.typeName(ptype)} and ${pstate.typeName(ntype)} cannot be matched`,
          exprLocation(nexpr),
        );
      }
      if (
        prow.typispreferred ||
        !canCoerce(catalog, ptype, ntype, COERCION_IMPLICIT) ||
        canCoerce(catalog, ntype, ptype, COERCION_IMPLICIT)
      ) {
        continue;
      }
    }
    pexpr = nexpr;
    ptype = ntype;
    prow = nrow;
  }
  return { type: ptype === UNKNOWNOID ? TEXTOID : ptype, which: pexpr };
}

export function coerceToCommonType(pstate: ParseState, node: Expr, target: Oid, context: string): Expr {
  const input = exprType(node);
  if (input === target) return node;
  if (canCoerce(pstate.catalog, input, target, COERCION_IMPLICIT)) {
    return coerceType(pstate, node, input, target, -1, COERCION_IMPLICIT, COERCE_IMPLICIT_CAST, -1);
  }
  throw pstate.error(
    ERRCODE.CANNOT_COERCE,
    `${context} could not convert type ${pstate.typeName(input)} to ${pstate.typeName(target)}`,
    exprLocation(node),
  );
}

export function verifyCommonType(pstate: ParseState, common: Oid, exprs: readonly Expr[]): boolean {
  return exprs.every(expr => canCoerce(pstate.catalog, exprType(expr), common, COERCION_IMPLICIT));
}

export function selectCommonTypmod(exprs: readonly Expr[], common: Oid): number {
  let result = -1;
  let first = true;
  for (const expr of exprs) {
    if (exprType(expr) !== common) return -1;
    if (first) result = exprTypmod(expr);
    else if (result !== exprTypmod(expr)) return -1;
    first = false;
  }
  return result;
}

/** NULL of a type, wrapped for a domain so that its constraints are checked. */
export function coerceNullToDomain(pstate: ParseState, type: Oid, typmod: number, collation: Oid): Expr {
  const base = pstate.catalog.baseTypeAndTypmod(type, typmod);
  const row = pstate.catalog.type(type);
  const result = makeConst(base.type, base.typmod, collation, row.typlen, row.typbyval, null);
  if (type === base.type) return result;
  return coerceToDomain(
    pstate,
    result,
    base.type,
    base.typmod,
    type,
    COERCION_IMPLICIT,
    COERCE_IMPLICIT_CAST,
    -1,
    false,
  );
}
