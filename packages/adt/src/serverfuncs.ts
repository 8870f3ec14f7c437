/**
 * Functions about the server around the session: sizes of relations and databases, configuration
 * parameters as rows, sleeping, and facts about relations that psql asks for.
 *
 * What must be awaited (a file's length, time) is obtained as everywhere in expressions: CatalogMiss
 * with the work inside, and the row is evaluated again.
 */
import { RELOID } from '@pgtroupe/catalog/syscache';
import {
  FIRST_NORMAL_OBJECT_ID,
  FIRST_NORMAL_TRANSACTION_ID,
  type Oid,
  type TransactionId,
} from '@pgtroupe/common/ids';
import { CatalogMiss } from '@pgtroupe/catalog/catalogmiss';
import {
  RELKIND_PARTITIONED_INDEX,
  RELKIND_PARTITIONED_TABLE,
  RELKIND_RELATION,
} from '@pgtroupe/catalog/catalogs/pg_class';
import type { Datum } from '@pgtroupe/common/datum';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported } from '@pgtroupe/common/ereport';
import { INT4OID } from '@pgtroupe/common/oids';
import { formatG } from '@pgtroupe/common/format_g';
import { allGucs, findGuc, type GucFacts, parseGuc, isGucOf } from '@pgtroupe/common/guc';
import type { HbaRule, IdentMapping } from '@pgtroupe/libpq/hba_rules';
import type { Cast } from '@pgtroupe/rpc/generated/postmaster';
import { ask } from './asking.ts';
import type { FunctionCall, FunctionTable, SetFunctionTable } from './fmgr.ts';
import { stringToText, textToString } from './mb/mbutils.ts';
import { builtinTypes } from './cache/builtin_types.ts';
import { arrayHeader, buildTextArray, deconstructArray } from './arrayutils.ts';

/** What a session tells about its surroundings (SessionSettings.server). May throw CatalogMiss. */
export interface ServerFacts {
  /** Registers a background worker as it is written down; answers the name of its role. */
  launchWorker(worker: string): Promise<string>;
  /** Bytes of one fork; undefined when there is no such relation. */
  relationSize(oid: Oid, fork: number): number | undefined;
  /** A table's TOAST relation and indexes, those of its TOAST relation not included. */
  companions(oid: Oid): { readonly toast: Oid; readonly indexes: readonly Oid[] } | undefined;
  /** Bytes of a tablespace's files, or of those of one database (not 0) in it; undefined: it has no folder. */
  folderSize(tablespace: Oid, database: Oid): Promise<number | undefined>;
  /** The transaction's id, or the next to be given out when it began to ask; and the next multixact's. */
  latestXid(): TransactionId;
  nextMulti(): number;
  /** Who is in the cast, as the postmaster says. */
  cast(): Promise<Cast>;
  /** Sessions that keep the session with this pid waiting. */
  blockingPids(pid: number): Promise<readonly number[]>;
  sleep(ms: number): Promise<void>;
  /** Resolves when every role works with what the configuration files say now. */
  reloadConfiguration(): Promise<void>;
  setting(facts: GucFacts): ServerSetting;
  /** May the user see parameters that tell of the machine? */
  mayExamineAll(): boolean;
  /** What the configuration files say now. */
  fileSettings(): Promise<readonly FileSettingRow[]>;
  hbaRules(): Promise<readonly HbaRule[]>;
  identMappings(): Promise<readonly IdentMapping[]>;
}

/** pg_settings: the value, what RESET would make of it, and where it comes from. */
export interface ServerSetting {
  readonly now: string;
  readonly reset: string;
  readonly source: string;
  readonly file?: string | undefined;
  readonly line?: number | undefined;
  readonly pendingRestart: boolean;
}

/** A row of pg_file_settings. */
export interface FileSettingRow {
  readonly file?: string | undefined;
  readonly line: number;
  readonly name?: string | undefined;
  readonly setting?: string | undefined;
  readonly applied: boolean;
  readonly error?: string | undefined;
}

const FORKS = ['main', 'fsm', 'vm', 'init'];
/** The first OID that is not a system catalog's. */
const DEFAULT_TABLESPACE = 1663;
const GLOBAL_TABLESPACE = 1664;
const INT_MAX = 0x7fffffff;

export function server(fc: FunctionCall): ServerFacts {
  const found = fc.settings.server;
  if (found === undefined) throw notSupported('asking for the server here');
  return found;
}

function allForks(fc: FunctionCall, oid: Oid): number | null {
  let sum = 0;
  for (let fork = 0; fork < 3; fork++) {
    const bytes = server(fc).relationSize(oid, fork);
    if (bytes === undefined) return null;
    sum += bytes;
  }
  return sum;
}

const sumOf = (fc: FunctionCall, oids: readonly Oid[]): number =>
  oids.reduce((sum, oid) => sum + (allForks(fc, oid) ?? 0), 0);

function tableSize(fc: FunctionCall, oid: Oid): number | null {
  const own = allForks(fc, oid);
  if (own === null) return null;
  const toast = server(fc).companions(oid)?.toast ?? 0;
  return toast === 0 ? own : own + allForks(fc, toast as Oid)! + indexesSize(fc, toast as Oid)!;
}

function indexesSize(fc: FunctionCall, oid: Oid): number | null {
  const companions = server(fc).companions(oid);
  return companions === undefined ? null : sumOf(fc, companions.indexes);
}

/** Can it have partitions or be one? */
function partitioned(fc: FunctionCall, oid: Oid): boolean {
  const rel = fc.catalog?.caches().search(RELOID, oid);
  return (
    rel != null &&
    (rel.relispartition || rel.relkind === RELKIND_PARTITIONED_TABLE || rel.relkind === RELKIND_PARTITIONED_INDEX)
  );
}

function pgSleep(fc: FunctionCall, seconds: number): Datum {
  const until = fc.extra as number | undefined;
  const now = fc.settings.clockTimestamp();
  if (until === undefined) {
    if (seconds <= 0) return null;
    fc.extra = now + seconds * 1e6;
  } else if (now >= until) {
    fc.extra = undefined;
    return null;
  }
  const { sleep } = server(fc);
  throw new CatalogMiss(() => sleep(((fc.extra as number) - now) / 1000));
}

/** Each call loads them anew. */
function reloadConf(fc: FunctionCall): boolean {
  const found = server(fc);
  ask(fc, () => found.reloadConfiguration());
  return true;
}

/** Whom a session waits for, asked anew by each call. */
function blockingPids(fc: FunctionCall, pid: number): readonly number[] {
  const found = server(fc);
  return ask(fc, () => found.blockingPids(pid));
}

/** Does it wait for one of these sessions? (Safe snapshots are SERIALIZABLE's, which there is not.) */
function isBlockedBy(fc: FunctionCall, pid: number, others: Uint8Array): boolean {
  if (arrayHeader(others).hasNulls) throw ereport(ERRCODE.INTERNAL_ERROR, 'array must not contain nulls');
  const interesting = new Set(deconstructArray(others, builtinTypes().get(INT4OID)!));
  return blockingPids(fc, pid).some(blocker => interesting.has(blocker));
}

const text = (value: string | null | undefined): Uint8Array | null =>
  value === null || value === undefined ? null : stringToText(value);

/** Limits as PostgreSQL prints them: %d and %g. */
function limit(facts: GucFacts, value: number | undefined): Uint8Array | null {
  return value === undefined ? null : stringToText(facts.vartype === 'real' ? formatG(value) : String(value));
}

/** Never in octal. */
function bootValue(facts: GucFacts): string | null {
  return facts.vartype === 'integer' && facts.boot !== null ? String(parseGuc(facts, facts.boot)) : facts.boot;
}

function* showAllSettings(fc: FunctionCall): Iterable<Datum[]> {
  const found = server(fc);
  const all = found.mayExamineAll();
  // Whoever may not see what is loaded sees its parameters all the same.
  const loaded = found.setting(findGuc('shared_preload_libraries')!).now;
  for (const facts of allGucs()) {
    if (!isGucOf(facts, loaded)) continue;
    if (facts.flags?.includes('NO_SHOW_ALL') || (!all && facts.flags?.includes('SUPERUSER_ONLY'))) continue;
    const { now, reset, source, file, line, pendingRestart } = found.setting(facts);
    yield [
      text(facts.name),
      text(now),
      text(facts.unit),
      text(facts.category),
      text(facts.short),
      text(facts.extra),
      text(facts.context),
      text(facts.vartype),
      text(source),
      limit(facts, facts.min),
      limit(facts, facts.max),
      facts.enumvals === undefined ? null : buildTextArray(facts.enumvals.map(v => stringToText(v))),
      text(bootValue(facts)),
      text(reset),
      all ? text(file) : null,
      all && file !== undefined ? line! : null,
      pendingRestart,
    ];
  }
}

/** What the postmaster is asked for, anew by each call. */
function rowsOf<T>(fc: FunctionCall, question: (found: ServerFacts) => Promise<readonly T[]>): readonly T[] {
  const found = server(fc);
  return ask(fc, () => question(found));
}

function* showAllFileSettings(fc: FunctionCall): Iterable<Datum[]> {
  let seqno = 0;
  for (const { file, line, name, setting, applied, error } of rowsOf(fc, found => found.fileSettings())) {
    const place = file === undefined ? null : line;
    yield [text(file), place, ++seqno, text(name), text(setting), applied, text(error)];
  }
}

const texts = (values: readonly string[]): Uint8Array => buildTextArray(values.map(value => stringToText(value)));

function* hbaFileRules(fc: FunctionCall): Iterable<Datum[]> {
  for (const { lineNumber, rule, error } of rowsOf(fc, found => found.hbaRules())) {
    const columns =
      rule === undefined
        ? [null, null, null, null, null, null, null]
        : [
            text(rule.type),
            texts(rule.databases),
            texts(rule.users),
            text(rule.address),
            text(rule.netmask),
            text(rule.method),
            rule.options.length === 0 ? null : texts(rule.options),
          ];
    yield [lineNumber, ...columns, text(error)];
  }
}

function* identFileMappings(fc: FunctionCall): Iterable<Datum[]> {
  for (const { lineNumber, mapping, error } of rowsOf(fc, found => found.identMappings())) {
    yield [lineNumber, text(mapping?.map), text(mapping?.system), text(mapping?.role), text(error)];
  }
}

export const serverFunctions: FunctionTable = {
  pg_relation_size: (fc: FunctionCall, oid: Oid, fork: Uint8Array) => {
    const name = textToString(fork);
    const number = FORKS.indexOf(name);
    if (number < 0) {
      throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, 'invalid fork name', {
        hint: 'Valid fork names are "main", "fsm", "vm", and "init".',
      });
    }
    return number === 3 ? 0 : (server(fc).relationSize(oid, number) ?? null);
  },
  pg_table_size: tableSize,
  pg_indexes_size: indexesSize,
  pg_total_relation_size: (fc: FunctionCall, oid: Oid) => {
    const table = tableSize(fc, oid);
    return table === null ? null : table + indexesSize(fc, oid)!;
  },
  pg_relation_is_publishable: (fc: FunctionCall, oid: Oid) => {
    const rel = fc.catalog?.caches().search(RELOID, oid);
    if (rel == null) return null;
    return (
      (rel.relkind === RELKIND_RELATION || rel.relkind === RELKIND_PARTITIONED_TABLE) &&
      oid >= FIRST_NORMAL_OBJECT_ID &&
      rel.relpersistence === 'p'
    );
  },
  pg_tablespace_location: (_fc: FunctionCall, oid: Oid) => {
    const known = oid === 0 || (oid as number) === DEFAULT_TABLESPACE || (oid as number) === GLOBAL_TABLESPACE;
    if (!known) throw notSupported('tablespaces');
    return stringToText('');
  },
  // There are no temporary tables, so nobody has a schema for them.
  pg_is_other_temp_schema: () => false,
  pg_my_temp_schema: () => 0,
  pg_sleep: pgSleep,
  pgtroupe_launch_worker: (fc: FunctionCall, worker: Uint8Array) => {
    const found = server(fc);
    return stringToText(ask(fc, () => found.launchWorker(textToString(worker))));
  },
  pg_reload_conf: reloadConf,
  pg_blocking_pids: (fc: FunctionCall, pid: number) => buildTextArray(blockingPids(fc, pid), INT4OID),
  pg_isolation_test_session_is_blocked: isBlockedBy,
  // Permanent ids are infinitely old.
  xid_age: (fc: FunctionCall, xid: TransactionId) =>
    xid < FIRST_NORMAL_TRANSACTION_ID ? INT_MAX : (server(fc).latestXid() - xid) | 0,
  mxid_age: (fc: FunctionCall, multi: number) => (multi === 0 ? INT_MAX : (server(fc).nextMulti() - multi) | 0),
};

export const serverSetFunctions: SetFunctionTable = {
  show_all_settings: showAllSettings,
  show_all_file_settings: showAllFileSettings,
  pg_hba_file_rules: hbaFileRules,
  pg_ident_file_mappings: identFileMappings,
  pg_partition_ancestors: (fc: FunctionCall, oid: Oid) => {
    if (partitioned(fc, oid)) throw notSupported('partitioned tables');
    return [];
  },
};
