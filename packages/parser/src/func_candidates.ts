/** Which functions a name may mean, and which of them fit given argument types best. */
import { type Oid, INVALID_OID } from '@pgtroupe/common/ids';
import type { ParseState } from './parse_node.ts';
import { deconstructQualifiedName } from './parse_type.ts';
import type { Form_pg_proc } from '@pgtroupe/catalog/catalogs/pg_proc';
import { canCoerceType } from './parse_coerce_generic.ts';
import { COERCION_IMPLICIT } from '@pgtroupe/nodes/nodes';
import { UNKNOWNOID } from '@pgtroupe/common/oids';
import { typeCategory } from './coercion_path.ts';

export const FUNC_MAX_ARGS = 100;

/** A function (or operator) that might be meant, seen with the call's number of arguments. */
export interface FuncCandidate {
  /** 0: several candidates cannot be told apart. */
  oid: Oid;
  readonly pathpos: number;
  /** Argument types in call order, defaults and repeated VARIADIC elements included. */
  readonly args: readonly Oid[];
  readonly nominalnargs: number;
  readonly nvargs: number;
  readonly ndargs: number;
  /** Named calls: which parameter each argument is. */
  readonly argnumbers: readonly number[] | null;
}

export interface CandidateOptions {
  readonly argnames: readonly string[];
  readonly expandVariadic: boolean;
  readonly expandDefaults: boolean;
  readonly includeOut: boolean;
}

/** Functions of a name that could take nargs arguments (-1: any number), as the search path sees them. */
export function funcnameGetCandidates(
  pstate: ParseState,
  names: readonly string[],
  nargs: number,
  options: CandidateOptions,
): FuncCandidate[] {
  const { schema, name } = deconstructQualifiedName(pstate, names);
  const { catalog } = pstate;
  const path = schema === null ? catalog.functionPath : [catalog.lookupExplicitNamespace(schema)];
  let result: FuncCandidate[] = [];
  for (const proc of catalog.procsByName(name)) {
    const pathpos = path.indexOf(proc.pronamespace);
    if (pathpos < 0) continue;
    const candidate = candidateFor(proc, pathpos, nargs, options);
    if (candidate === null) continue;
    const significant = candidate.args.length - candidate.ndargs;
    const previous = result.find(
      c =>
        c.args.length - c.ndargs === significant &&
        candidate.args.slice(0, significant).every((t, i) => t === c.args[i]),
    );
    if (previous) {
      // The same signature twice: earlier on the path wins, then the one that is not variadic.
      let preference = pathpos - previous.pathpos;
      if (preference === 0 && candidate.nvargs > 0 && previous.nvargs === 0) preference = 1;
      else if (preference === 0 && candidate.nvargs === 0 && previous.nvargs > 0) preference = -1;
      if (preference > 0) continue;
      if (preference < 0) result = result.filter(c => c !== previous);
      else {
        previous.oid = INVALID_OID;
        continue;
      }
    }
    result.unshift(candidate);
  }
  return result;
}

function candidateFor(
  proc: Form_pg_proc,
  pathpos: number,
  nargs: number,
  options: CandidateOptions,
): FuncCandidate | null {
  const types: readonly Oid[] = options.includeOut && proc.proallargtypes ? proc.proallargtypes : proc.proargtypes;
  const pronargs = types.length;
  const { expandDefaults, expandVariadic, argnames } = options;
  let variadicElem = INVALID_OID;
  let argnumbers: readonly number[] | null = null;
  let useDefaults = false;
  if (pronargs > nargs && nargs >= 0 && expandDefaults) {
    if (nargs + proc.pronargdefaults < pronargs) return null;
    useDefaults = true;
  }
  if (argnames.length > 0) {
    if (proc.provariadic !== 0 && expandVariadic) return null;
    if (pronargs !== nargs && !useDefaults) return null;
    argnumbers = matchNamedCall(proc, nargs, argnames, options.includeOut, pronargs);
    if (argnumbers === null) return null;
  } else {
    if (pronargs <= nargs && expandVariadic) variadicElem = proc.provariadic;
    if (nargs >= 0 && pronargs !== nargs && variadicElem === 0 && !useDefaults) return null;
  }
  const effective = Math.max(pronargs, nargs);
  const args = argnumbers ? argnumbers.map(n => types[n] as Oid) : types.slice();
  let nvargs = 0;
  if (variadicElem !== 0) {
    nvargs = effective - pronargs + 1;
    for (let i = pronargs - 1; i < effective; i++) args[i] = variadicElem;
  }
  return {
    oid: proc.oid,
    pathpos,
    args,
    nominalnargs: pronargs,
    nvargs,
    ndargs: useDefaults ? pronargs - nargs : 0,
    argnumbers,
  };
}

/** Maps the arguments of a call with names to parameters; null if they do not fit. */
function matchNamedCall(
  proc: Form_pg_proc,
  nargs: number,
  argnames: readonly string[],
  includeOut: boolean,
  pronargs: number,
): number[] | null {
  if (proc.proargnames === null) return null;
  const numposargs = nargs - argnames.length;
  const given = new Array<boolean>(pronargs).fill(false);
  const argnumbers: number[] = [];
  for (let i = 0; i < numposargs; i++) {
    argnumbers.push(i);
    given[i] = true;
  }
  const total = proc.proallargtypes?.length ?? proc.proargtypes.length;
  for (const argname of argnames) {
    let parameter = 0;
    let found = -1;
    for (let i = 0; i < total; i++) {
      const mode = proc.proargmodes?.[i];
      if (!includeOut && mode !== undefined && mode !== 'i' && mode !== 'b' && mode !== 'v') continue;
      if (proc.proargnames[i] === argname) {
        found = parameter;
        break;
      }
      parameter++;
    }
    if (found < 0 || given[found]) return null;
    given[found] = true;
    argnumbers.push(found);
  }
  const firstDefault = pronargs - proc.pronargdefaults;
  for (let p = numposargs; p < pronargs && argnumbers.length < pronargs; p++) {
    if (given[p]) continue;
    if (p < firstDefault) return null;
    argnumbers.push(p);
  }
  return argnumbers;
}

/** Candidates whose arguments can take the input by implicit conversion. */
export function funcMatchArgtypes(
  pstate: ParseState,
  inputs: readonly Oid[],
  candidates: readonly FuncCandidate[],
): FuncCandidate[] {
  return candidates.filter(c => canCoerceType(pstate.catalog, inputs, c.args, COERCION_IMPLICIT));
}

function bestBy(candidates: readonly FuncCandidate[], score: (c: FuncCandidate) => number): FuncCandidate[] {
  let best = -1;
  let kept: FuncCandidate[] = [];
  for (const c of candidates) {
    const s = score(c);
    if (s > best) {
      best = s;
      kept = [c];
    } else if (s === best) kept.push(c);
  }
  return kept;
}

/** PostgreSQL's heuristics for choosing among several possible candidates; null if still ambiguous. */
export function funcSelectCandidate(
  pstate: ParseState,
  inputs: readonly Oid[],
  candidates: FuncCandidate[],
): FuncCandidate | null {
  const { catalog } = pstate;
  const nargs = inputs.length;
  const bases = inputs.map(type => (type === UNKNOWNOID ? UNKNOWNOID : catalog.baseType(type)));
  const nunknowns = bases.filter(type => type === UNKNOWNOID).length;

  // Most exact matches.
  candidates = bestBy(candidates, c => bases.filter((t, i) => t !== UNKNOWNOID && c.args[i] === t).length);
  if (candidates.length === 1) return candidates[0] as FuncCandidate;

  // Most exact or preferred-type matches.
  const categories = bases.map(type => typeCategory(catalog, type));
  const preferred = (category: string, type: Oid) => {
    const row = catalog.type(type);
    return (category === row.typcategory || category === '') && row.typispreferred;
  };
  candidates = bestBy(
    candidates,
    c =>
      bases.filter(
        (t, i) => t !== UNKNOWNOID && (c.args[i] === t || preferred(categories[i] as string, c.args[i] as Oid)),
      ).length,
  );
  if (candidates.length === 1) return candidates[0] as FuncCandidate;
  if (nunknowns === 0) return null;

  // Guess a category for each unknown from the candidates: string if any takes one.
  const slotCategory = categories.slice();
  const slotPreferred = new Array<boolean>(nargs).fill(false);
  let resolved = false;
  for (let i = 0; i < nargs; i++) {
    if (bases[i] !== UNKNOWNOID) continue;
    resolved = true;
    let category = '';
    let hasPreferred = false;
    let conflict = false;
    for (const c of candidates) {
      const row = catalog.type(c.args[i] as Oid);
      if (category === '') {
        category = row.typcategory;
        hasPreferred = row.typispreferred;
      } else if (row.typcategory === category) hasPreferred ||= row.typispreferred;
      else if (row.typcategory === 'S') {
        category = 'S';
        hasPreferred = row.typispreferred;
      } else conflict = true;
    }
    slotCategory[i] = category;
    slotPreferred[i] = hasPreferred;
    if (conflict && category !== 'S') {
      resolved = false;
      break;
    }
  }
  if (resolved) {
    const kept = candidates.filter(c =>
      bases.every((t, i) => {
        if (t !== UNKNOWNOID) return true;
        const row = catalog.type(c.args[i] as Oid);
        return row.typcategory === slotCategory[i] && (!slotPreferred[i] || row.typispreferred);
      }),
    );
    if (kept.length > 0) candidates = kept;
    if (candidates.length === 1) return candidates[0] as FuncCandidate;
  }

  // If all known inputs are of one type, suppose the unknown ones are too.
  if (nunknowns < nargs) {
    const known = new Set(bases.filter(t => t !== UNKNOWNOID));
    if (known.size === 1) {
      const [type] = known;
      const all = new Array<Oid>(nargs).fill(type as Oid);
      const matching = candidates.filter(c => canCoerceType(catalog, all, c.args, COERCION_IMPLICIT));
      if (matching.length === 1) return matching[0] as FuncCandidate;
    }
  }
  return null;
}
