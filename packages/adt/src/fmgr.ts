/**
 * The function manager: how built-in functions are called and found.
 *
 * A built-in is registered under pg_proc.prosrc and called as `fn(fc, ...args)`.
 * - Strictness is the caller's job (pg_proc.proisstrict): a strict function never sees null.
 * - Everything a function may know beyond its arguments is in `FunctionCall`; built-ins read no
 *   clock, no environment and no global state.
 * - Byte results may be views into an argument (substr, left…): the rule in datum.ts applies.
 * - Set-returning functions, and functions that return a row, are registered apart
 *   (`lookupSetFunction`): they answer an iterable of values, or of `Datum[]` for rows.
 * - Aggregates are their pg_aggregate transition and final functions; a state of type `internal`
 *   is a subclass of Internal and is modified in place.
 */
import type { Datum } from '@pgtroupe/common/datum';
import type { Sqlstate } from '@pgtroupe/common/errcodes';
import type { Oid } from '@pgtroupe/common/ids';
import type { Slices } from '@pgtroupe/common/slices';
import type { SequenceFunctions } from './sequencefuncs.ts';
import type { AdvisoryLocks } from './lockfuncs.ts';
import type { WalFacts } from './xlogfuncs.ts';
import type { Backends } from './signalfuncs.ts';
import type { Statements } from './pg_stat_statements.ts';
import type { TransactionIds } from './xid8funcs.ts';
import type { LogFiles } from './logfuncs.ts';
import type { ServerFacts } from './serverfuncs.ts';
import type { CumulativeStatistics } from './pgstat_relation.ts';
import type { FunctionCatalog } from './cache/functioncatalog.ts';

export type PGFunction = (fc: FunctionCall, ...args: Datum[]) => Datum;
export type SetValue = Datum | Datum[];
export type PGSetFunction = (fc: FunctionCall, ...args: Datum[]) => Iterable<SetValue>;

/** Tables as the adt files write them: argument types are what pg_proc says they are. */
export type FunctionTable = Readonly<Record<string, (fc: FunctionCall, ...args: never[]) => Datum>>;
export type SetFunctionTable = Readonly<Record<string, (fc: FunctionCall, ...args: never[]) => Iterable<SetValue>>>;

/** What a function answers, bit by bit; undefined where it is soon over: then the function itself is called. */
export type SlicedFunction = (fc: FunctionCall, ...args: Datum[]) => Slices<Datum> | undefined;
export type SlicedFunctionTable = Readonly<
  Record<string, (fc: FunctionCall, ...args: never[]) => Slices<Datum> | undefined>
>;

export type DateOrder = 'YMD' | 'DMY' | 'MDY';
export type DateStyle = 'ISO' | 'SQL' | 'Postgres' | 'German';
export type IntervalStyle = 'postgres' | 'postgres_verbose' | 'sql_standard' | 'iso_8601';

/** What a session tells its functions. Times are microseconds since 2000-01-01 00:00 UTC. */
export interface SessionSettings {
  readonly dateStyle: DateStyle;
  readonly dateOrder: DateOrder;
  readonly intervalStyle: IntervalStyle;
  readonly timeZone: string;
  readonly extraFloatDigits: number;
  readonly byteaOutput: 'hex' | 'escape';
  readonly quoteAllIdentifiers: boolean;
  readonly transactionTimestamp: number;
  readonly statementTimestamp: number;
  clockTimestamp(): number;
  /** Uniform in [0, 1): the session's generator, which setseed() restarts. */
  random(): number;
  setseed(seed: number): void;
  readonly currentUserId: Oid;
  readonly sessionUserId: Oid;
  readonly currentUser: string;
  readonly sessionUser: string;
  readonly databaseId: Oid;
  readonly databaseName: string;
  readonly backendPid: number;
  /** The running query's text, for current_query(). */
  readonly queryString?: string | undefined;
  /** Schemas that exist, in search order, without those searched implicitly. */
  readonly searchPath: readonly string[];
  /** What version() answers. */
  readonly versionString: string;
  /** A configuration parameter as SHOW prints it; undefined when there is none of that name. */
  getConfigOption(name: string): string | undefined;
  setConfigOption(name: string, value: string | null, isLocal: boolean): string;
  /** Tells the client of something that is no error; absent where there is none. */
  warn?(sqlstate: Sqlstate, message: string): void;
  /** nextval and its kin; absent where there is no session. They throw CatalogMiss to be called again. */
  readonly sequences?: SequenceFunctions | undefined;
  /** Absent where there is no session. */
  readonly advisoryLocks?: AdvisoryLocks | undefined;
  readonly wal?: WalFacts | undefined;
  /** All sessions of the cluster; absent where there is none. */
  readonly backends?: Backends | undefined;
  /** pg_stat_statements; absent where there is no session. */
  readonly statements?: Statements | undefined;
  /** Absent where there is no session. */
  readonly transactionIds?: TransactionIds | undefined;
  /** Enum labels (their OIDs) that this transaction has added to types: not to be used before they are committed. */
  readonly uncommittedEnums?: Set<number> | undefined;
  /** Absent where there is no server. */
  readonly logFiles?: LogFiles | undefined;
  /** Absent where there is no server. */
  readonly statistics?: CumulativeStatistics | undefined;
  /** The server around the session; absent where there is none. */
  readonly server?: ServerFacts | undefined;
}

interface RecordField {
  readonly name: string;
  readonly type: Oid;
  readonly typmod: number;
  readonly dropped: boolean;
}

export interface FunctionCall {
  readonly settings: SessionSettings;
  readonly collation: Oid;
  /** Actual types of the arguments; what polymorphic functions resolve by. */
  readonly argTypes: readonly Oid[];
  readonly resultType: Oid;
  /** Catalog facts. A lookup may throw CatalogMiss; the caller loads and calls again. */
  readonly catalog?: FunctionCatalog | undefined;
  /** True when the arguments of a VARIADIC "any" call came as one array. */
  readonly variadic?: boolean | undefined;
  /** What the query says that the columns are: FROM f() AS t(a int). Only for a function in FROM that returns records. */
  readonly columns?: readonly RecordField[] | undefined;
  /** Set by the executor of aggregates: the first argument is the caller's own state, to be changed in place. */
  readonly inAggregate?: boolean | undefined;
  /** Tells the client of something that is no error. */
  readonly warn?: ((sqlstate: Sqlstate, message: string) => void) | undefined;
  /** Private to the called function, kept as long as the call site lives. */
  extra?: unknown;
}

/** The settings a fresh session has; tests and constant folding without a session start here. */
export const DEFAULT_SETTINGS: SessionSettings = {
  dateStyle: 'ISO',
  dateOrder: 'MDY',
  intervalStyle: 'postgres',
  timeZone: 'Etc/UTC',
  extraFloatDigits: 1,
  byteaOutput: 'hex',
  quoteAllIdentifiers: false,
  transactionTimestamp: 0,
  statementTimestamp: 0,
  clockTimestamp: () => 0,
  random: () => 0,
  setseed: () => {},
  currentUserId: 10 as Oid,
  sessionUserId: 10 as Oid,
  currentUser: 'postgres',
  sessionUser: 'postgres',
  databaseId: 5 as Oid,
  databaseName: 'postgres',
  backendPid: 0,
  searchPath: ['public'],
  versionString: 'PostgreSQL 15',
  getConfigOption: () => undefined,
  setConfigOption: (_name, value) => value ?? '',
};

const functions = new Map<string, PGFunction>();
const setFunctions = new Map<string, PGSetFunction>();
const slicedFunctions = new Map<string, SlicedFunction>();

/**
 * Makes functions known under their pg_proc.prosrc. Done once, by fmgrtab.ts, which knows all tables: nothing here, nor any function that
 * calls another through here, knows where the rest is.
 */
export function registerFunctions(
  tables: readonly FunctionTable[],
  setTables: readonly SetFunctionTable[],
  slicedTables: readonly SlicedFunctionTable[],
): void {
  for (const table of tables) for (const [prosrc, fn] of Object.entries(table)) functions.set(prosrc, fn as PGFunction);
  for (const table of setTables)
    for (const [prosrc, fn] of Object.entries(table)) setFunctions.set(prosrc, fn as PGSetFunction);
  for (const table of slicedTables)
    for (const [prosrc, fn] of Object.entries(table)) slicedFunctions.set(prosrc, fn as SlicedFunction);
}

/** Built-in by pg_proc.prosrc. Absent ones are the caller's 0A000 naming the function. */
export function lookupBuiltin(prosrc: string): PGFunction | undefined {
  return functions.get(prosrc);
}

/** Set-returning (or row-returning) built-in by pg_proc.prosrc. */
export function lookupSetFunction(prosrc: string): PGSetFunction | undefined {
  return setFunctions.get(prosrc);
}

/** A built-in that may have more to do than others can wait for, as it does that bit by bit. */
export function lookupSliced(prosrc: string): SlicedFunction | undefined {
  return slicedFunctions.get(prosrc);
}

/** A call made by a function itself, e.g. an array calling its element type's output function. */
export function nestedCall(fc: FunctionCall, argTypes: readonly Oid[], resultType: Oid): FunctionCall {
  return {
    settings: fc.settings,
    collation: fc.collation,
    argTypes,
    resultType,
    catalog: fc.catalog,
    extra: undefined,
  };
}
