/**
 * Function calls: finding the function meant by a name and arguments (overloads, defaults, named and
 * VARIADIC arguments, casts written as calls), and building the call, aggregate or window function.
 */
import { finish } from '@pgtroupe/common/slices';
import { type Oid, INVALID_OID } from '@pgtroupe/common/ids';
import { ANYOID, RECORDOID, UNKNOWNOID, VOIDOID } from '@pgtroupe/common/oids';
import { assert } from '@pgtroupe/common/assert';
import { transformWhereClause } from './parse_where.ts';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import type { Form_pg_proc } from '@pgtroupe/catalog/catalogs/pg_proc';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import type { Aggref, Expr, FieldSelect, FuncExpr, WindowFunc } from '@pgtroupe/nodes/primnodes';
import {
  COERCE_EXPLICIT_CALL,
  COERCE_EXPLICIT_CAST,
  COERCE_IMPLICIT_CAST,
  COERCE_SQL_SYNTAX,
  COERCION_EXPLICIT,
  COERCION_IMPLICIT,
  type CoercionForm,
} from '@pgtroupe/nodes/nodes';
import { exprLocation, exprType } from '@pgtroupe/nodes/nodefuncs';
import { stringToNode } from '@pgtroupe/nodes/readfuncs';
import { transformAggregateCall, transformWindowFuncCall } from './parse_agg.ts';
import { coerceType, isLiteralParam, selectCommonType, selectCommonTypmod } from './parse_coerce.ts';
import { enforceGenericTypeConsistency } from './parse_coerce_generic.ts';
import { exprResultColumns } from './rowtypes.ts';
import { nameListToString, type ParseState } from './parse_node.ts';
import { getNSItemByRangeTablePosn, scanNSItemForColumn } from './parse_relation.ts';
import { deconstructQualifiedName } from './parse_type.ts';
import { findCoercionPathway, typeCategory } from './coercion_path.ts';
import { recordVariableColumns } from './record_variables.ts';
import {
  FUNC_MAX_ARGS,
  funcMatchArgtypes,
  funcSelectCandidate,
  funcnameGetCandidates,
  type CandidateOptions,
  type FuncCandidate,
} from './func_candidates.ts';
import { checkSrfCallPlacement, makeFnArguments, refuseInternal } from './func_call.ts';

export type FuncDetail =
  | { readonly kind: 'notfound' | 'multiple' }
  | { readonly kind: 'coercion'; readonly rettype: Oid }
  | {
      readonly kind: 'normal' | 'procedure' | 'aggregate' | 'window';
      readonly funcid: Oid;
      readonly rettype: Oid;
      readonly retset: boolean;
      readonly nvargs: number;
      readonly vatype: Oid;
      readonly declared: Oid[];
      readonly argnumbers: readonly number[] | null;
      readonly defaults: readonly Expr[];
    };

const DETAIL_OF_KIND = { f: 'normal', p: 'procedure', a: 'aggregate', w: 'window' } as const;

/** What a name with these arguments means. */
export function funcGetDetail(
  pstate: ParseState,
  names: readonly string[],
  fargs: readonly Expr[],
  argtypes: readonly Oid[],
  options: CandidateOptions,
): FuncDetail {
  const { catalog } = pstate;
  const nargs = argtypes.length;
  const raw = funcnameGetCandidates(pstate, names, nargs, options);
  let best = raw.find(c => argtypes.every((type, i) => c.args[i] === type)) ?? null;
  if (best === null) {
    if (nargs === 1 && fargs.length > 0 && options.argnames.length === 0) {
      // type(value) is a cast if nothing has to be computed for it.
      const target = funcNameAsType(pstate, names);
      if (target !== 0 && isFunctionalCast(pstate, target, argtypes[0] as Oid, fargs[0] as Expr)) {
        return { kind: 'coercion', rettype: target };
      }
    }
    if (raw.length > 0) {
      const matches = funcMatchArgtypes(pstate, argtypes, raw);
      if (matches.length === 1) best = matches[0] as FuncCandidate;
      else if (matches.length > 1) {
        best = funcSelectCandidate(pstate, argtypes, matches);
        if (best === null) return { kind: 'multiple' };
      }
    }
  }
  if (best === null) return { kind: 'notfound' };
  if (best.oid === 0) return { kind: 'multiple' };
  // A named VARIADIC argument must be the last parameter.
  if (
    options.argnames.length > 0 &&
    !options.expandVariadic &&
    nargs > 0 &&
    best.argnumbers?.[nargs - 1] !== nargs - 1
  ) {
    return { kind: 'notfound' };
  }
  const proc = catalog.proc(best.oid);
  return {
    kind: DETAIL_OF_KIND[proc.prokind as keyof typeof DETAIL_OF_KIND],
    funcid: best.oid,
    rettype: proc.prorettype,
    retset: proc.proretset,
    nvargs: best.nvargs,
    vatype: proc.provariadic,
    declared: best.args.slice(),
    argnumbers: best.argnumbers,
    defaults: best.ndargs > 0 ? argDefaults(proc, best) : [],
  };
}

function argDefaults(proc: Form_pg_proc, best: FuncCandidate): Expr[] {
  assert(proc.proargdefaults !== null, 'a function with default arguments stores them');
  const all = stringToNode(proc.proargdefaults) as readonly Expr[];
  if (best.argnumbers === null) return all.slice(all.length - best.ndargs);
  const wanted = new Set(best.argnumbers.slice(best.args.length - best.ndargs));
  const first = best.nominalnargs - proc.pronargdefaults;
  return all.filter((_, i) => wanted.has(first + i));
}

function isFunctionalCast(pstate: ParseState, target: Oid, source: Oid, arg: Expr): boolean {
  if (source === UNKNOWNOID && arg.type === 'Const') return true;
  const path = findCoercionPathway(pstate.catalog, target, source, COERCION_EXPLICIT);
  if (path.kind === 'relabel') return true;
  if (path.kind !== 'viaio') return false;
  // row(text) as a cast would hide column notation.
  const composite = source === RECORDOID || pstate.catalog.isComplex(source);
  return !(composite && typeCategory(pstate.catalog, target) === 'S');
}

/** The type a function name means in type(value), 0 if none; never a composite type. */
function funcNameAsType(pstate: ParseState, names: readonly string[]): Oid {
  const { catalog } = pstate;
  const { schema, name } = deconstructQualifiedName(pstate, names);
  let oid = INVALID_OID;
  if (schema !== null) oid = catalog.typeInNamespace(name, catalog.lookupExplicitNamespace(schema));
  else {
    for (const namespace of catalog.functionPath) {
      oid = catalog.typeInNamespace(name, namespace);
      if (oid !== 0) break;
    }
  }
  if (oid === 0) return INVALID_OID;
  const row = catalog.type(oid);
  return row.typisdefined && row.typrelid === 0 ? oid : INVALID_OID;
}

/** name(type, name => type) for messages. */
function funcSignatureString(
  pstate: ParseState,
  names: readonly string[],
  argnames: readonly string[],
  argtypes: readonly Oid[],
): string {
  const numposargs = argtypes.length - argnames.length;
  const args = argtypes.map(
    (type, i) => (i >= numposargs ? `${argnames[i - numposargs]} => ` : '') + pstate.typeName(type),
  );
  return `${nameListToString(names)}(${args.join(', ')})`;
}

const FORM_OF_NAME: Readonly<Record<string, CoercionForm>> = {
  COERCE_EXPLICIT_CALL,
  COERCE_EXPLICIT_CAST,
  COERCE_IMPLICIT_CAST,
  COERCE_SQL_SYNTAX,
};

/**
 * A call, or (with fn null) a column reference that might be one: names(fargs) with already analyzed
 * arguments. Null only for a column reference that means nothing.
 */
export function parseFuncOrColumn(
  pstate: ParseState,
  names: readonly string[],
  rawArgs: readonly Expr[],
  lastSrf: Expr | null,
  fn: RawNode | null,
  procCall: boolean,
  location: number,
): Expr | null {
  const { catalog } = pstate;
  const isColumn = fn === null;
  const aggOrder: readonly RawNode[] = fn?.agg_order ?? [];
  const over: RawNode | null = fn?.over ?? null;
  const withinGroup: boolean = fn?.agg_within_group ?? false;
  const aggStar: boolean = fn?.agg_star ?? false;
  const aggDistinct: boolean = fn?.agg_distinct ?? false;
  let funcVariadic: boolean = fn?.func_variadic ?? false;
  const name = nameListToString(names);
  const aggFilter = fn?.agg_filter ? finish(transformWhereClause(pstate, fn.agg_filter, 'FILTER', 'FILTER')) : null;

  const tooMany = () =>
    pstate.error(
      ERRCODE.TOO_MANY_ARGUMENTS,
      `cannot pass more than ${FUNC_MAX_ARGS} arguments to a function`,
      location,
    );
  if (rawArgs.length > FUNC_MAX_ARGS) throw tooMany();

  let fargs: Expr[] = [];
  const actual: Oid[] = [];
  for (const arg of rawArgs) {
    const type = exprType(arg);
    // A void parameter is how JDBC writes an OUT parameter of a call: it is no argument.
    if (type === VOIDOID && arg.type === 'Param' && !isLiteralParam(pstate, arg) && !isColumn && !withinGroup) continue;
    actual.push(type);
    fargs.push(arg);
  }
  const nargs = fargs.length;
  const argnames: string[] = [];
  for (const arg of fargs) {
    if (arg.type === 'NamedArgExpr') {
      if (argnames.includes(arg.name as string)) {
        throw pstate.error(ERRCODE.SYNTAX_ERROR, `argument name "${arg.name}" used more than once`, arg.location);
      }
      argnames.push(arg.name as string);
    } else if (argnames.length > 0) {
      throw pstate.error(ERRCODE.SYNTAX_ERROR, 'positional argument cannot follow named argument', exprLocation(arg));
    }
  }
  const firstArg = fargs[0] ?? null;
  const couldBeProjection =
    nargs === 1 &&
    !procCall &&
    aggOrder.length === 0 &&
    aggFilter === null &&
    !aggStar &&
    !aggDistinct &&
    over === null &&
    !funcVariadic &&
    argnames.length === 0 &&
    names.length === 1 &&
    (actual[0] === RECORDOID || catalog.isComplex(actual[0] as Oid));
  if (couldBeProjection && isColumn) {
    const projection = parseComplexProjection(pstate, names[0] as string, firstArg as Expr, location);
    if (projection) return projection;
  }
  const detail = pstate.withPosition(location, () =>
    funcGetDetail(pstate, names, fargs, actual, {
      argnames,
      expandVariadic: !funcVariadic,
      expandDefaults: true,
      includeOut: procCall,
    }),
  );
  const signature = () => funcSignatureString(pstate, names, argnames, actual);
  const wrongObject = (message: string, hint?: string) =>
    pstate.error(ERRCODE.WRONG_OBJECT_TYPE, message, location, { hint });

  if (
    procCall &&
    (detail.kind === 'normal' || detail.kind === 'aggregate' || detail.kind === 'window' || detail.kind === 'coercion')
  ) {
    throw wrongObject(`${signature()} is not a procedure`, 'To call a function, use SELECT.');
  }
  if (detail.kind === 'procedure' && !procCall) {
    throw wrongObject(`${signature()} is a procedure`, 'To call a procedure, use CALL.');
  }
  if (detail.kind === 'normal' || detail.kind === 'procedure' || detail.kind === 'coercion') {
    if (aggStar) throw wrongObject(`${name}(*) specified, but ${name} is not an aggregate function`);
    if (aggDistinct) throw wrongObject(`DISTINCT specified, but ${name} is not an aggregate function`);
    if (withinGroup) throw wrongObject(`WITHIN GROUP specified, but ${name} is not an aggregate function`);
    if (aggOrder.length > 0) throw wrongObject(`ORDER BY specified, but ${name} is not an aggregate function`);
    if (aggFilter) throw wrongObject(`FILTER specified, but ${name} is not an aggregate function`);
    if (over) throw wrongObject(`OVER specified, but ${name} is not a window function nor an aggregate function`);
  }
  let aggkind = '';
  switch (detail.kind) {
    case 'coercion':
      return coerceType(
        pstate,
        firstArg as Expr,
        actual[0] as Oid,
        detail.rettype,
        -1,
        COERCION_EXPLICIT,
        COERCE_EXPLICIT_CAST,
        location,
      );
    case 'multiple': {
      if (isColumn) return null;
      const what = procCall ? 'procedure' : 'function';
      throw pstate.error(ERRCODE.AMBIGUOUS_FUNCTION, `${what} ${signature()} is not unique`, location, {
        hint: `Could not choose a best candidate ${what}. You might need to add explicit type casts.`,
      });
    }
    case 'notfound': {
      if (isColumn) return null;
      if (couldBeProjection) {
        const projection = parseComplexProjection(pstate, names[0] as string, firstArg as Expr, location);
        if (projection) return projection;
      }
      if (aggOrder.length > 1 && !withinGroup) {
        throw pstate.error(ERRCODE.UNDEFINED_FUNCTION, `function ${signature()} does not exist`, location, {
          hint: 'No aggregate function matches the given name and argument types. Perhaps you misplaced ORDER BY; ORDER BY must appear after all regular arguments of the aggregate.',
        });
      }
      const what = procCall ? 'procedure' : 'function';
      throw pstate.error(ERRCODE.UNDEFINED_FUNCTION, `${what} ${signature()} does not exist`, location, {
        hint: `No ${what} matches the given name and argument types. You might need to add explicit type casts.`,
      });
    }
    case 'aggregate':
      aggkind = checkAggregateKind(pstate, detail, fargs, actual, {
        names,
        argnames,
        aggOrder,
        withinGroup,
        over,
        location,
      });
      break;
    case 'window':
      if (!over) throw wrongObject(`window function ${name} requires an OVER clause`);
      if (withinGroup) throw wrongObject(`window function ${name} cannot have WITHIN GROUP`);
      break;
    case 'normal':
    case 'procedure':
      break;
  }

  // Named arguments learn which parameter they are.
  if (detail.argnumbers) {
    fargs = fargs.map(
      (arg, i): Expr =>
        arg.type === 'NamedArgExpr' ? { ...arg, argnumber: (detail.argnumbers as number[])[i] as number } : arg,
    );
  }
  for (const expr of detail.defaults) {
    if (actual.length >= FUNC_MAX_ARGS) throw tooMany();
    actual.push(exprType(expr));
  }
  const rettype = enforceGenericTypeConsistency(pstate, actual, detail.declared, detail.rettype, false);
  refuseInternal(pstate, rettype, location);
  makeFnArguments(pstate, fargs, actual, detail.declared);
  if (detail.vatype === 0) funcVariadic = false;
  if (detail.nvargs > 0 && detail.vatype !== ANYOID) {
    const elements = fargs.splice(nargs - detail.nvargs);
    const elementType = exprType(elements[0] as Expr);
    const arrayType = catalog.arrayType(elementType);
    if (arrayType === 0) {
      throw pstate.error(
        ERRCODE.UNDEFINED_OBJECT,
        `could not find array type for data type ${pstate.typeName(elementType)}`,
        exprLocation(elements),
      );
    }
    fargs.push({
      type: 'ArrayExpr',
      array_typeid: arrayType,
      array_collid: INVALID_OID,
      element_typeid: elementType,
      elements,
      multidims: false,
      location: exprLocation(elements),
    });
    funcVariadic = true;
  }
  if (
    nargs > 0 &&
    detail.vatype === ANYOID &&
    funcVariadic &&
    catalog.baseElementType(actual[nargs - 1] as Oid) === 0
  ) {
    throw pstate.error(
      ERRCODE.DATATYPE_MISMATCH,
      'VARIADIC argument must be an array',
      exprLocation(fargs[fargs.length - 1] as Expr),
    );
  }
  if (detail.retset) checkSrfCallPlacement(pstate, lastSrf, location);

  let result: Expr;
  if (detail.kind === 'normal' || detail.kind === 'procedure') {
    const call: FuncExpr = {
      type: 'FuncExpr',
      funcid: detail.funcid,
      funcresulttype: rettype,
      funcretset: detail.retset,
      funcvariadic: funcVariadic,
      funcformat: fn?.funcformat ? (FORM_OF_NAME[fn.funcformat as string] as CoercionForm) : COERCE_EXPLICIT_CALL,
      funccollid: INVALID_OID,
      inputcollid: INVALID_OID,
      args: fargs,
      location,
    };
    result = call;
  } else if (detail.kind === 'aggregate' && !over) {
    if (fargs.length === 0 && !aggStar && !withinGroup) {
      throw wrongObject(`${name}(*) must be used to call a parameterless aggregate function`);
    }
    if (detail.retset)
      throw pstate.error(ERRCODE.INVALID_FUNCTION_DEFINITION, 'aggregates cannot return sets', location);
    if (argnames.length > 0)
      throw pstate.error(ERRCODE.FEATURE_NOT_SUPPORTED, 'aggregates cannot use named arguments', location);
    const aggref: Aggref = {
      type: 'Aggref',
      aggfnoid: detail.funcid,
      aggtype: rettype,
      aggcollid: INVALID_OID,
      inputcollid: INVALID_OID,
      aggtranstype: INVALID_OID,
      aggargtypes: [],
      aggdirectargs: [],
      args: [],
      aggorder: [],
      aggdistinct: [],
      aggfilter: aggFilter,
      aggstar: aggStar,
      aggvariadic: funcVariadic,
      aggkind,
      agglevelsup: 0,
      aggsplit: 0,
      aggno: -1,
      aggtransno: -1,
      location,
    };
    transformAggregateCall(pstate, aggref, fargs, aggOrder, aggDistinct);
    result = aggref;
  } else {
    const wfunc: WindowFunc = {
      type: 'WindowFunc',
      winfnoid: detail.funcid,
      wintype: rettype,
      wincollid: INVALID_OID,
      inputcollid: INVALID_OID,
      args: fargs,
      aggfilter: aggFilter,
      winref: 0,
      winstar: aggStar,
      winagg: detail.kind === 'aggregate',
      location,
    };
    if (aggDistinct)
      throw pstate.error(ERRCODE.FEATURE_NOT_SUPPORTED, 'DISTINCT is not implemented for window functions', location);
    if (wfunc.winagg && fargs.length === 0 && !aggStar) {
      throw wrongObject(`${name}(*) must be used to call a parameterless aggregate function`);
    }
    if (aggOrder.length > 0) {
      throw pstate.error(
        ERRCODE.FEATURE_NOT_SUPPORTED,
        'aggregate ORDER BY is not implemented for window functions',
        location,
      );
    }
    if (!wfunc.winagg && aggFilter) {
      throw pstate.error(
        ERRCODE.FEATURE_NOT_SUPPORTED,
        'FILTER is not implemented for non-aggregate window functions',
        location,
      );
    }
    if (pstate.last_srf !== lastSrf) {
      throw pstate.error(
        ERRCODE.FEATURE_NOT_SUPPORTED,
        'window function calls cannot contain set-returning function calls',
        exprLocation(pstate.last_srf),
        { hint: 'You might be able to move the set-returning function into a LATERAL FROM item.' },
      );
    }
    if (detail.retset)
      throw pstate.error(ERRCODE.INVALID_FUNCTION_DEFINITION, 'window functions cannot return sets', location);
    transformWindowFuncCall(pstate, wfunc, over as RawNode);
    result = wfunc;
  }
  if (detail.retset) pstate.last_srf = result;
  return result;
}

interface AggregateContext {
  readonly names: readonly string[];
  readonly argnames: readonly string[];
  readonly aggOrder: readonly RawNode[];
  readonly withinGroup: boolean;
  readonly over: RawNode | null;
  readonly location: number;
}

/** Ordered-set aggregates need WITHIN GROUP and the right number of direct arguments. Returns aggkind. */
function checkAggregateKind(
  pstate: ParseState,
  detail: Extract<FuncDetail, { kind: 'normal' | 'procedure' | 'aggregate' | 'window' }>,
  fargs: Expr[],
  actual: Oid[],
  { names, argnames, aggOrder, withinGroup, over, location }: AggregateContext,
): string {
  const aggregate = pstate.catalog.aggregate(detail.funcid);
  assert(aggregate !== null, `function ${detail.funcid} has a pg_aggregate row`);
  const { aggkind, aggnumdirectargs } = aggregate;
  const name = nameListToString(names);
  if (aggkind === 'n') {
    if (withinGroup) {
      throw pstate.error(
        ERRCODE.WRONG_OBJECT_TYPE,
        `${name} is not an ordered-set aggregate, so it cannot have WITHIN GROUP`,
        location,
      );
    }
    return aggkind;
  }
  if (!withinGroup)
    throw pstate.error(
      ERRCODE.WRONG_OBJECT_TYPE,
      `WITHIN GROUP is required for ordered-set aggregate ${name}`,
      location,
    );
  if (over)
    throw pstate.error(
      ERRCODE.FEATURE_NOT_SUPPORTED,
      `OVER is not supported for ordered-set aggregate ${name}`,
      location,
    );
  const nargs = fargs.length;
  const naggregated = aggOrder.length;
  const ndirect = nargs - naggregated;
  const missing = (hint: string) =>
    pstate.error(
      ERRCODE.UNDEFINED_FUNCTION,
      `function ${funcSignatureString(pstate, names, argnames, actual)} does not exist`,
      location,
      { hint },
    );
  const requires = (count: string) => `${count} direct argument${aggnumdirectargs === 1 ? '' : 's'}`;
  const pronargs = detail.nvargs > 1 ? nargs - (detail.nvargs - 1) : nargs;
  if (detail.vatype === 0 || aggnumdirectargs < pronargs) {
    if (ndirect !== aggnumdirectargs) {
      throw missing(
        `There is an ordered-set aggregate ${name}, but it requires ${requires(String(aggnumdirectargs))}, not ${ndirect}.`,
      );
    }
  } else if (aggkind === 'h') {
    if (detail.nvargs !== 2 * naggregated) {
      throw missing(
        `To use the hypothetical-set aggregate ${name}, the number of hypothetical direct arguments (here ${detail.nvargs - naggregated}) must match the number of ordering columns (here ${naggregated}).`,
      );
    }
  } else if (detail.nvargs <= naggregated) {
    throw missing(
      `There is an ordered-set aggregate ${name}, but it requires at least ${requires(String(aggnumdirectargs))}.`,
    );
  }
  if (aggkind === 'h') unifyHypotheticalArgs(pstate, fargs, naggregated, actual, detail.declared);
  return aggkind;
}

/** Hypothetical arguments and the columns they are compared with get one type. */
function unifyHypotheticalArgs(
  pstate: ParseState,
  fargs: Expr[],
  naggregated: number,
  actual: Oid[],
  declared: readonly Oid[],
): void {
  const ndirect = fargs.length - naggregated;
  const nonHypothetical = ndirect - naggregated;
  assert(nonHypothetical >= 0, 'a hypothetical-set aggregate has enough arguments');
  for (let h = nonHypothetical; h < ndirect; h++) {
    const a = ndirect + (h - nonHypothetical);
    if (declared[h] !== ANYOID) continue;
    const pair = [fargs[a] as Expr, fargs[h] as Expr];
    const common = selectCommonType(pstate, pair, 'WITHIN GROUP').type;
    const typmod = selectCommonTypmod(pair, common);
    for (const i of [h, a]) {
      fargs[i] = coerceType(
        pstate,
        fargs[i] as Expr,
        actual[i] as Oid,
        common,
        typmod,
        COERCION_IMPLICIT,
        COERCE_IMPLICIT_CAST,
        -1,
      );
      actual[i] = common;
    }
  }
}

/** column of a composite value; null if it has none of that name. */
function parseComplexProjection(pstate: ParseState, name: string, arg: Expr, location: number): Expr | null {
  if (arg.type === 'Var' && arg.varattno === 0) {
    const nsitem = getNSItemByRangeTablePosn(pstate, arg.varno, arg.varlevelsup);
    return scanNSItemForColumn(pstate, nsitem, arg.varlevelsup, name, location);
  }
  const columns =
    arg.type === 'Var' && arg.vartype === RECORDOID
      ? recordVariableColumns(pstate, arg, 0)
      : exprResultColumns(pstate.catalog, arg);
  if (columns === null) return null;
  const index = columns.findIndex(c => c.name === name && !c.dropped);
  if (index < 0) return null;
  const column = columns[index]!;
  const select: FieldSelect = {
    type: 'FieldSelect',
    arg,
    fieldnum: index + 1,
    resulttype: column.typid,
    resulttypmod: column.typmod,
    resultcollid: column.collation,
  };
  return select;
}
