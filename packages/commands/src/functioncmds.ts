/**
 * CREATE FUNCTION of language C, as scripts of extensions have it: a row of pg_proc, its defaults, what it depends on.
 */
import { ProcedureRelationId, pgProc, PROKIND_FUNCTION } from '@pgtroupe/catalog/catalogs/pg_proc';
import { NamespaceRelationId } from '@pgtroupe/catalog/catalogs/pg_namespace';
import { TypeRelationId } from '@pgtroupe/catalog/catalogs/pg_type';
import { objectAddress } from '@pgtroupe/catalog/objectaddress';
import { DEPENDENCY_NORMAL, recordDependenciesOn, recordDependencyOnOwner } from '@pgtroupe/catalog/pg_depend';
import { LANGNAME, PROCNAMEARGSNSP, PROCOID } from '@pgtroupe/catalog/syscache';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { rawStrings } from '@pgtroupe/parser/parse_node';
import { typenameType } from '@pgtroupe/parser/parse_type';
import type { CommandContext } from './command-context.ts';
import { cookDefault } from './cookexpr.ts';

const PROCOST_C = 1;
const PROROWS_SET = 1000;
const MODULE_PATHNAME = 'MODULE_PATHNAME';

interface Parameter {
  readonly name: string;
  readonly mode: 'i' | 'o';
  readonly type: Oid;
  readonly defexpr: RawNode | undefined;
}

/** `library` is what MODULE_PATHNAME stands for. Returns the function's oid. */
export async function defineFunction(context: CommandContext, stmt: RawNode, library: string): Promise<Oid> {
  const { w, session } = context;
  const options = new Map((stmt.options as RawNode[]).map(({ defname, arg }): [string, RawNode] => [defname, arg]));
  const language = await w.search(LANGNAME, options.get('language')?.sval);
  if (language?.lanname !== 'c') throw notSupported('CREATE FUNCTION of this language in an extension');
  const name = rawStrings(stmt.funcname).at(-1)!;
  const namespace = await context.creationNamespace({ type: 'RangeVar', relname: name, location: -1 });
  const parameters = await parametersOf(context, stmt);
  const inputs = parameters.filter(({ mode }) => mode === 'i');
  const argtypes = inputs.map(({ type }) => type);
  if ((await w.search(PROCNAMEARGSNSP, name, argtypes, namespace)) !== null)
    throw ereport(ERRCODE.DUPLICATE_FUNCTION, `function "${name}" already exists with same argument types`);
  const result = await typeOf(context, stmt.returnType);
  const defaults = [];
  for (const { name: column, type, defexpr } of inputs) {
    if (defexpr !== undefined)
      defaults.push(await cookDefault(context, defexpr, { name: column, typid: type, typmod: -1 }));
  }
  const [path, symbol = name] = rawStrings(options.get('as')!.items);
  const hasOutputs = inputs.length < parameters.length;
  const isSet = stmt.returnType.setof === true;
  const oid = await w.newOid(PROCOID);
  await w.insert(pgProc, {
    oid,
    proname: name,
    pronamespace: namespace,
    proowner: session.userId,
    prolang: language.oid,
    procost: PROCOST_C,
    prorows: isSet ? PROROWS_SET : 0,
    provariadic: 0 as Oid,
    prosupport: 0 as Oid,
    prokind: PROKIND_FUNCTION,
    prosecdef: false,
    proleakproof: false,
    proisstrict: options.has('strict'),
    proretset: isSet,
    provolatile: letter(options.get('volatility'), 'volatile'),
    proparallel: letter(options.get('parallel'), 'unsafe'),
    pronargs: inputs.length,
    pronargdefaults: defaults.length,
    prorettype: result,
    proargtypes: argtypes,
    proallargtypes: hasOutputs ? parameters.map(({ type }) => type) : null,
    proargmodes: hasOutputs ? parameters.map(({ mode }) => mode) : null,
    proargnames: parameters.length === 0 ? null : parameters.map(parameter => parameter.name),
    proargdefaults: defaults.length === 0 ? null : `(${defaults.map(({ tree }) => tree).join(' ')})`,
    protrftypes: null,
    prosrc: symbol,
    probin: path === MODULE_PATHNAME ? library : path!,
    prosqlbody: null,
    proconfig: null,
    proacl: null,
  });
  const types = [result, ...parameters.map(({ type }) => type)];
  const referenced = [
    objectAddress(NamespaceRelationId, namespace),
    ...types.map(type => objectAddress(TypeRelationId, type)),
    ...defaults.flatMap(({ references }) => references),
  ];
  await recordDependenciesOn(w, objectAddress(ProcedureRelationId, oid), referenced, DEPENDENCY_NORMAL);
  await recordDependencyOnOwner(w, ProcedureRelationId, oid, session.userId);
  return oid;
}

async function parametersOf(context: CommandContext, stmt: RawNode): Promise<Parameter[]> {
  const found: Parameter[] = [];
  for (const { name, mode, argType, defexpr } of (stmt.parameters ?? []) as RawNode[]) {
    const isOutput = mode === 'FUNC_PARAM_OUT';
    found.push({ name: name ?? '', mode: isOutput ? 'o' : 'i', type: await typeOf(context, argType), defexpr });
  }
  return found;
}

async function typeOf(context: CommandContext, typeName: RawNode): Promise<Oid> {
  return (await context.w.read(() => typenameType(context.parseState(), typeName))).type.oid;
}

/** pg_proc's codes are first letters. */
const letter = (option: RawNode | undefined, otherwise: string): string => String(option?.sval ?? otherwise)[0]!;
