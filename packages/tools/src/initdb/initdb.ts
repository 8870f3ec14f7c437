/**
 * initdb: a complete PostgreSQL 15 data directory, written through Disk alone.
 *
 * Everything is built in memory first; then folders and files are written, then synced, bottom up,
 * and `global/pg_control` last: a directory without it is no cluster. If anything fails, what was
 * created is removed again.
 */
import type { Clock, Disk, Random } from '@pgtroupe/actor/env';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import { BLCKSZ, FIRST_NORMAL_OBJECT_ID } from '@pgtroupe/common/ids';
import type { FullTransactionId, Oid } from '@pgtroupe/common/ids';
import { encodeRelationMap, RELMAPPER_FILENAME } from '@pgtroupe/catalog/relmapper';
import { initialFiles, makeSystemIdentifier } from '@pgtroupe/transam/initialwal';
import { PG_CONTROL_FILE } from '@pgtroupe/transam/pg_control';
import { AUTO_CONF_HEADER } from '@pgtroupe/common/auto_conf';
import { pgHbaConf, PG_IDENT_CONF, postgresqlConf } from './config.ts';
import { buildTemplate } from './template.ts';

export interface InitdbEnv {
  /** Rooted at the data directory, which may not exist yet. */
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
}

export interface InitdbOptions {
  /** Name of the bootstrap superuser; default `postgres`. */
  readonly username?: string;
  /** Its rolpassword, already a SCRAM verifier. */
  readonly password?: string;
  /** pg_hba.conf methods for Unix sockets and for loopback; default `trust`. */
  readonly authLocal?: string;
  readonly authHost?: string;
  /** Leave syncing to the operating system. */
  readonly noSync?: boolean;
}

/** base/1, base/4, base/5. */
const TEMPLATE1 = 1 as Oid;
const DATABASES = [TEMPLATE1, 4, 5] as const;
const FIRST_XID = 3 as FullTransactionId;
const PG_VERSION = '15\n';
const FOLDERS = [
  'base',
  ...DATABASES.map(oid => `base/${oid}`),
  'global',
  'pg_commit_ts',
  'pg_dynshmem',
  'pg_logical',
  'pg_logical/mappings',
  'pg_logical/snapshots',
  'pg_multixact',
  'pg_multixact/members',
  'pg_multixact/offsets',
  'pg_notify',
  'pg_replslot',
  'pg_serial',
  'pg_snapshots',
  'pg_stat',
  'pg_stat_tmp',
  'pg_subtrans',
  'pg_tblspc',
  'pg_twophase',
  'pg_wal',
  'pg_wal/archive_status',
  'pg_xact',
];
/** Writes and syncs in flight at once. */
const CONCURRENCY = 8;

export async function initdb(
  env: InitdbEnv,
  options: InitdbOptions = {},
): Promise<{ readonly systemIdentifier: bigint }> {
  const username = options.username ?? 'postgres';
  checkUsername(username);
  const { disk } = env;
  const existed = await checkEmpty(disk);
  const micros = env.clock.wallMicros();
  const systemIdentifier = makeSystemIdentifier(micros, new DataView(env.random.bytes(4).buffer).getUint32(0));
  const { files, control } = contents(env, options, username, systemIdentifier, micros);
  const created: string[] = [];
  try {
    if (!existed) await disk.mkdir('');
    for (const folder of FOLDERS) {
      await disk.mkdir(folder);
      created.push(folder);
    }
    await eachConcurrently([...files], async ([path, bytes]) => {
      created.push(path);
      await writeDurably(disk, path, bytes, options.noSync ?? false);
    });
    if (!options.noSync) for (const folder of [...FOLDERS].reverse()) await disk.syncDir(folder);
    created.push(PG_CONTROL_FILE);
    await writeDurably(disk, PG_CONTROL_FILE, control, options.noSync ?? false);
    if (!options.noSync) {
      await disk.syncDir('global');
      await disk.syncDir('');
    }
  } catch (error) {
    await removeAll(disk, created, existed);
    throw error;
  }
  return { systemIdentifier };
}

function checkUsername(username: string): void {
  if (/^pg_/.test(username)) {
    throw ereport(
      ERRCODE.RESERVED_NAME,
      `superuser name "${username}" is disallowed; role names cannot begin with "pg_"`,
    );
  }
  if (username === '' || Buffer.byteLength(username) > 63)
    throw ereport(ERRCODE.INVALID_NAME, `invalid superuser name "${username}"`);
}

/** Refuses a folder with anything in it; tells whether it exists. */
async function checkEmpty(disk: Disk): Promise<boolean> {
  const found = await disk.stat('');
  if (found === undefined) return false;
  if (!found.directory) throw ereport(ERRCODE.DUPLICATE_FILE, 'data directory is not a directory');
  const entries = (await disk.readdir('')).filter(name => name !== 'lost+found');
  if (entries.length > 0) {
    throw ereport(ERRCODE.DUPLICATE_FILE, 'data directory exists but is not empty', {
      hint: 'If you want to create a new database system, either remove or empty the data directory.',
    });
  }
  return true;
}

/** Every file but pg_control, by path; pg_control is what makes them a cluster. */
function contents(
  env: InitdbEnv,
  options: InitdbOptions,
  username: string,
  systemIdentifier: bigint,
  micros: number,
): {
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly control: Uint8Array;
} {
  const template = buildTemplate({ username, password: options.password ?? null });
  const wal = initialFiles({
    systemIdentifier,
    time: Math.floor(micros / 1_000_000),
    nextXid: FIRST_XID,
    nextOid: FIRST_NORMAL_OBJECT_ID,
    oldestXidDB: TEMPLATE1,
    nonce: env.random.bytes(32),
  });
  const zeroPage = new Uint8Array(BLCKSZ);
  const files = new Map<string, Uint8Array>();
  const text = (path: string, content: string): unknown => files.set(path, Buffer.from(content, 'utf8'));
  for (const [oid, bytes] of template.shared) files.set(`global/${oid}`, bytes);
  files.set(`global/${RELMAPPER_FILENAME}`, encodeRelationMap(template.sharedMap));
  for (const database of DATABASES) {
    for (const [oid, bytes] of template.local) files.set(`base/${database}/${oid}`, bytes);
    files.set(`base/${database}/${RELMAPPER_FILENAME}`, encodeRelationMap(template.localMap));
    text(`base/${database}/PG_VERSION`, PG_VERSION);
  }
  files.set('pg_xact/0000', zeroPage);
  files.set('pg_multixact/members/0000', zeroPage);
  files.set('pg_multixact/offsets/0000', zeroPage);
  files.set('pg_subtrans/0000', zeroPage);
  files.set(`pg_wal/${wal.segmentName}`, wal.segment);
  text('PG_VERSION', PG_VERSION);
  text('postgresql.conf', postgresqlConf());
  text('postgresql.auto.conf', AUTO_CONF_HEADER);
  text('pg_hba.conf', pgHbaConf(options.authLocal ?? 'trust', options.authHost ?? 'trust'));
  text('pg_ident.conf', PG_IDENT_CONF);
  return { files, control: wal.controlFile };
}

async function eachConcurrently<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    try {
      while (next < items.length) await work(items[next++]!);
    } catch (error) {
      next = items.length;
      throw error;
    }
  };
  const ends = await Promise.allSettled(Array.from({ length: CONCURRENCY }, worker));
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
}

async function writeDurably(disk: Disk, path: string, bytes: Uint8Array, noSync: boolean): Promise<void> {
  const file = await disk.open(path, 'create');
  try {
    if (bytes.length === 0) return;
    await file.write(bytes, 0);
    if (!noSync) await file.datasync();
  } finally {
    await file.close();
  }
}

/** Best effort: the error that led here is what the caller must see. */
async function removeAll(disk: Disk, created: readonly string[], rootExisted: boolean): Promise<void> {
  const folders = new Set(FOLDERS);
  for (const path of [...created].reverse().sort((a, b) => Number(folders.has(a)) - Number(folders.has(b)))) {
    await (folders.has(path) ? disk.rmdir(path) : disk.unlink(path)).catch(() => undefined);
  }
  if (!rootExisted) await disk.rmdir('').catch(() => undefined);
}
