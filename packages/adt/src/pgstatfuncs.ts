/**
 * What sessions are doing (pgstatfuncs.c): pg_stat_get_activity and pg_stat_get_backend_*. All of it is as of the first
 * time that a transaction asked.
 */
import type { Datum } from '@pgtroupe/common/datum';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import { ROLE_PG_READ_ALL_STATS } from '@pgtroupe/common/oids';
import { judge } from './acl.ts';
import type { FunctionCall, FunctionTable, SetFunctionTable } from './fmgr.ts';
import { stringToText, textToString } from './mb/mbutils.ts';
import { parseInet } from './network.ts';
import type { Backends } from './signalfuncs.ts';

/** A session, or an auxiliary process. Times are microseconds since 2000-01-01 00:00 UTC. */
export interface BackendStatus {
  readonly pid: number;
  /** `client backend`, `checkpointer`… */
  readonly type: string;
  /** 0: of none. */
  readonly database: Oid;
  /** Who logged in; 0: nobody. */
  readonly role: Oid;
  readonly applicationName: string;
  readonly state: string | null;
  readonly query: string;
  /** `type/event` */
  readonly waits: string | null;
  readonly xactStart: number | null;
  readonly queryStart: number | null;
  readonly start: number;
  readonly stateChange: number | null;
  /** `unix`: by a Unix-domain socket; null: there is none. */
  readonly client: { readonly address: string; readonly port: number } | 'unix' | null;
  /** 32 bits, 0 where there is none. */
  readonly xid: number;
  readonly xmin: number;
  /** 64 bits with a sign, decimal; 0 where none is computed. */
  readonly queryId?: string;
  readonly progress?: CommandProgress | undefined;
}

/** What a command tells of how far it is (pg_stat_progress_*): PROGRESS_* by number, 0 where there is nothing. */
export interface CommandProgress {
  readonly command: 'VACUUM' | 'ANALYZE' | 'CLUSTER' | 'CREATE INDEX' | 'COPY';
  readonly relation: Oid;
  readonly params: readonly number[];
}

const text = (value: string | null | undefined): Datum =>
  value === null || value === undefined ? null : stringToText(value);
const numberOrNull = (value: number): Datum => (value === 0 ? null : value);

function backendsOf(fc: FunctionCall): Backends {
  const { backends } = fc.settings;
  if (backends === undefined) throw notSupported('asking for sessions here');
  return backends;
}

/** Whose sessions the caller may look at (HAS_PGSTAT_PERMISSIONS). May throw CatalogMiss. */
function mayLookAt(fc: FunctionCall, role: Oid): boolean {
  const me = fc.settings.currentUserId;
  if (me === role) return true;
  const acl = judge(fc);
  return acl.hasPrivsOfRole(me, ROLE_PG_READ_ALL_STATS) || acl.hasPrivsOfRole(me, role);
}

function waitType(waits: string | null): Datum {
  return text(waits?.slice(0, waits.indexOf('/')));
}

function waitEvent(waits: string | null): Datum {
  return text(waits?.slice(waits.indexOf('/') + 1));
}

/** An address without the zone of a link-local one. */
const inet = (address: string): Datum => parseInet(stringToText(address.replace(/%.*/, '')));

function clientColumns(client: BackendStatus['client']): [Datum, Datum, Datum] {
  if (client === null) return [null, null, null];
  if (client === 'unix') return [null, null, -1];
  return [inet(client.address), null, client.port];
}

function queryId(decimal: string): Datum {
  const narrow = Number(decimal);
  return narrow === 0 ? null : Number.isSafeInteger(narrow) ? narrow : BigInt(decimal);
}

function activityRow(fc: FunctionCall, b: BackendStatus): Datum[] {
  const head = [numberOrNull(b.database), b.pid, numberOrNull(b.role), text(b.applicationName)];
  const ids = [numberOrNull(b.xid), numberOrNull(b.xmin)];
  if (!mayLookAt(fc, b.role)) {
    const hidden = (count: number): Datum[] => new Array<Datum>(count).fill(null);
    return [...head, null, text('<insufficient privilege>'), ...hidden(9), ...ids, ...hidden(13)];
  }
  const ssl: Datum[] = [false, null, null, null, null, null, null];
  const gss: Datum[] = [false, null, false];
  return [
    ...head,
    text(b.state),
    text(b.query),
    waitType(b.waits),
    waitEvent(b.waits),
    b.xactStart,
    b.queryStart,
    b.start,
    b.stateChange,
    ...clientColumns(b.client),
    ...ids,
    text(b.type),
    ...ssl,
    ...gss,
    // leader_pid: no query has workers.
    null,
    queryId(b.queryId ?? '0'),
  ];
}

/** Backends are numbered as they are listed. */
function backend(fc: FunctionCall, id: number): BackendStatus | undefined {
  return backendsOf(fc).activity()[id - 1];
}

/** Of a backend that the caller may look at; else null. */
function shown(what: (b: BackendStatus) => Datum): (fc: FunctionCall, id: number) => Datum {
  return (fc, id) => {
    const found = backend(fc, id);
    return found === undefined || !mayLookAt(fc, found.role) ? null : what(found);
  };
}

/** Why there is nothing to be told, in the place of a text. */
function shownText(hidden: string, what: (b: BackendStatus) => Datum): (fc: FunctionCall, id: number) => Datum {
  return (fc, id) => {
    const found = backend(fc, id);
    if (found === undefined) return text('<backend information not available>');
    return mayLookAt(fc, found.role) ? what(found) : text(hidden);
  };
}

const HIDDEN = '<insufficient privilege>';

const BTREE_AM = 403;
/** btbuildphasename */
const BTREE_BUILD_PHASES = [
  'initializing',
  'scanning table',
  'sorting live tuples',
  'sorting dead tuples',
  'loading tuples in tree',
];

export const statFunctions: FunctionTable = {
  pg_indexam_progress_phasename: (_fc: FunctionCall, am: Oid, phase: number | bigint) =>
    (am as number) === BTREE_AM ? text(BTREE_BUILD_PHASES[Number(phase) - 1]) : null,
  pg_stat_get_backend_pid: (fc: FunctionCall, id: number) => backend(fc, id)?.pid ?? null,
  pg_stat_get_backend_dbid: (fc: FunctionCall, id: number) => backend(fc, id)?.database ?? null,
  pg_stat_get_backend_userid: (fc: FunctionCall, id: number) => backend(fc, id)?.role ?? null,
  pg_stat_get_backend_activity: shownText(HIDDEN, b => text(b.query === '' ? '<command string not enabled>' : b.query)),
  pg_stat_get_backend_wait_event_type: shownText(HIDDEN, b => waitType(b.waits)),
  pg_stat_get_backend_wait_event: shownText(HIDDEN, b => waitEvent(b.waits)),
  pg_stat_get_backend_activity_start: shown(b => b.queryStart),
  pg_stat_get_backend_xact_start: shown(b => b.xactStart),
  pg_stat_get_backend_start: shown(b => b.start),
  pg_stat_get_backend_client_addr: shown(b => clientColumns(b.client)[0]),
  pg_stat_get_backend_client_port: shown(b => clientColumns(b.client)[2]),
  pg_stat_get_db_numbackends: (fc: FunctionCall, database: Oid) =>
    backendsOf(fc)
      .activity()
      .filter(b => b.database === database).length,
  pg_stat_clear_snapshot: (fc: FunctionCall) => {
    backendsOf(fc).forget();
    fc.settings.statistics?.clearSnapshot();
    return null;
  },
};

const PROGRESS_COMMANDS = ['VACUUM', 'ANALYZE', 'CLUSTER', 'CREATE INDEX', 'BASEBACKUP', 'COPY'];
const PROGRESS_PARAMS = 20;

function* progressInfo(fc: FunctionCall, wanted: Uint8Array): Iterable<Datum[]> {
  const command = PROGRESS_COMMANDS.find(name => name === textToString(wanted).toUpperCase());
  if (command === undefined)
    throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `invalid command name: "${textToString(wanted)}"`);
  for (const b of backendsOf(fc).activity()) {
    if (b.progress?.command !== command) continue;
    const { relation, params } = b.progress;
    const shows = mayLookAt(fc, b.role);
    const shownParams = Array.from({ length: PROGRESS_PARAMS }, (_, n) => (shows ? (params[n] ?? 0) : null));
    yield [b.pid, b.database, shows ? relation : null, ...shownParams];
  }
}

export const statSetFunctions: SetFunctionTable = {
  pg_stat_get_progress_info: progressInfo,
  pg_stat_get_activity: function* (fc: FunctionCall, pid: number | null) {
    for (const b of backendsOf(fc).activity()) if (pid === null || pid === b.pid) yield activityRow(fc, b);
  },
  pg_stat_get_backend_idset: (fc: FunctionCall) =>
    backendsOf(fc)
      .activity()
      .map((_, n) => n + 1),
};
