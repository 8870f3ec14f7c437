/**
 * Who runs on a data directory.
 *
 * The lock proper: files `postmaster.lock.<pid>` in the data directory, each naming a process by pid
 * and start time, and the run directory of its cast. The postmaster holds one, and so does every role that writes
 * files there, because such a role may outlive its postmaster. Whoever wants the directory makes his own first and
 * then looks at the others; if one of them is of a living process of another cast, or of another postmaster,
 * he takes his own away again and has lost. Of two who come at
 * once at least one sees the other (both may lose and try again), so there is no moment at which two
 * hold it, and nothing to clean up after kill -9: a dead process's file is no obstacle.
 *
 * postmaster.pid is written as PostgreSQL writes it, for pg_ctl, for PostgreSQL itself (which refuses
 * to start while its first line names a living process) and for people. When the postmaster is gone a role that
 * is left puts itself into the first line (directory-guard.ts), so that this goes on being true. A postmaster puts a
 * new file in the old one's place; a role writes into the very file it has read, so that it cannot undo a file that a
 * new postmaster made meanwhile: it writes into one that nobody sees any more.
 *
 *   1 pid   2 data directory   3 start time   4 port   5 socket folder   6 listen address
 *   7 shared memory key (ours: empty)   8 status   9 run directory (ours alone)
 */
import {
  closeSync,
  existsSync,
  linkSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { ereport } from '@pgtroupe/common/ereport';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { isAlive, ownProcess, processAt, type ProcessId } from './process.ts';
import { runDirectoryOf, writeAtomically } from './rundir.ts';

const LOCK_PREFIX = 'postmaster.lock.';
const ATTEMPTS = 20;

export interface PidFile {
  readonly pid: number;
  readonly dataDirectory: string;
  readonly startSeconds: number;
  readonly port: number;
  readonly socketDirectory: string;
  readonly listenAddress: string;
  readonly status: 'starting' | 'ready' | 'stopping';
  readonly runDirectory: string;
}

/** Content of a lock file. */
interface Holder extends ProcessId {
  readonly runDirectory: string;
  /** undefined: a postmaster. */
  readonly role?: string;
}

export interface DataDirectoryLock {
  /** false: the directory or our file in it is gone. */
  isHeld(): boolean;
  /** Others of the cast hold it too. */
  isShared(): boolean;
  release(): void;
}

/** Throws PostgreSQL's error when another process holds the directory. */
export function lockDataDirectory(dataDirectory: string): Promise<DataDirectoryLock> {
  return lockAs(dataDirectory, { ...ownProcess(), runDirectory: runDirectoryOf(dataDirectory) });
}

/** A role's own lock, beside those of its cast. Throws when somebody else is there. */
export function lockForRole(dataDirectory: string, runDirectory: string, role: string): Promise<DataDirectoryLock> {
  return lockAs(dataDirectory, { ...ownProcess(), runDirectory, role });
}

async function lockAs(dataDirectory: string, own: Holder): Promise<DataDirectoryLock> {
  const path = join(dataDirectory, `${LOCK_PREFIX}${own.pid}`);
  for (let attempt = 0; ; attempt++) {
    writeAtomically(path, JSON.stringify(own));
    const other = otherHolder(dataDirectory, own);
    if (other === undefined) break;
    unlinkSync(path);
    if (attempt === ATTEMPTS || other.kind === 'postgres') throw inUse(dataDirectory, other.pid);
    await new Promise(resolve => setTimeout(resolve, 10 + Math.random() * 40));
  }
  const isShared = (): boolean => holders(dataDirectory).some(h => h.pid !== own.pid && isAlive(h));
  return {
    isHeld: () => existsSync(path),
    isShared,
    release: () => {
      // Not while others of the cast go on: it tells of them, and one of them will put itself into it.
      if (!isShared() && readPidFile(dataDirectory)?.pid === own.pid) removeOwnPidFile(dataDirectory);
      removeIfThere(path);
    },
  };
}

function inUse(dataDirectory: string, pid: number): Error {
  return ereport(ERRCODE.LOCK_FILE_EXISTS, 'lock file "postmaster.pid" already exists', {
    hint: `Is another postmaster (PID ${pid}) running in data directory "${dataDirectory}"? Stop it first, or use another directory (-D).`,
  });
}

function otherHolder(
  dataDirectory: string,
  own: Holder,
): { readonly kind: 'pgtroupe' | 'postgres'; readonly pid: number } | undefined {
  const dead = new Set<number>();
  /** Of those the keeper sees whether a postmaster was killed: only its successor takes them away. */
  const deadPostmasters = new Set<number>();
  const known = new Set<number>([own.pid]);
  for (const holder of holders(dataDirectory)) {
    if (holder.pid === own.pid) continue;
    if (!isAlive(holder)) {
      dead.add(holder.pid);
      if (holder.role === undefined) deadPostmasters.add(holder.pid);
      continue;
    }
    known.add(holder.pid);
    const ourCast = holder.runDirectory === own.runDirectory;
    // A postmaster takes over the roles of the one before, and roles live beside theirs; two postmasters do not.
    if (!ourCast || (holder.role === undefined && own.role === undefined)) return { kind: 'pgtroupe', pid: holder.pid };
  }
  const file = readPidFile(dataDirectory);
  if (file !== undefined && !known.has(file.pid) && !dead.has(file.pid) && processAt(file.pid)) {
    return { kind: 'postgres', pid: file.pid };
  }
  for (const pid of dead) {
    if (own.role !== undefined && deadPostmasters.has(pid)) continue;
    removeIfThere(join(dataDirectory, `${LOCK_PREFIX}${pid}`));
  }
  return undefined;
}

function holders(dataDirectory: string): Holder[] {
  return readdirSync(dataDirectory)
    .filter(name => name.startsWith(LOCK_PREFIX))
    .map(name => readJson(join(dataDirectory, name)))
    .filter(holder => holder !== undefined);
}

function readJson(path: string): Holder | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Holder;
  } catch {
    // Being taken away right now, or a leftover of a full disk.
    return undefined;
  }
}

function removeIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

export function writePidFile(file: PidFile): void {
  const lines = [
    file.pid,
    file.dataDirectory,
    file.startSeconds,
    file.port,
    file.socketDirectory,
    file.listenAddress,
    '',
    file.status.padEnd(8),
    file.runDirectory,
  ];
  writeAtomically(join(file.dataDirectory, 'postmaster.pid'), `${lines.join('\n')}\n`);
}

/** Puts this process into the first line of the file that has `dead` there; whoever made another is left alone. */
export function replaceDeadPid(dataDirectory: string, dead: number): void {
  let file: number;
  try {
    file = openSync(join(dataDirectory, 'postmaster.pid'), 'r+');
  } catch (error) {
    // It is looked at again.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  try {
    const text = readFileSync(file, 'utf8');
    if (pidOf(text) !== dead) return;
    const [first = '', ...rest] = text.split('\n');
    // Never shorter than it was: one write, which needs no truncation after it. Readers take the blanks.
    writeSync(file, [String(process.pid).padEnd(first.length), ...rest].join('\n'), 0);
  } finally {
    closeSync(file);
  }
}

/** Takes the file away, unless it is another's by the time it is in our hands. */
function removeOwnPidFile(dataDirectory: string): void {
  const path = join(dataDirectory, 'postmaster.pid');
  const taken = `${path}.${process.pid}`;
  renameSync(path, taken);
  try {
    if (pidOf(readFileSync(taken, 'utf8')) !== process.pid) linkSync(taken, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    unlinkSync(taken);
  }
}

/** The first line of the file's text. A single-user server of PostgreSQL writes its pid negative. */
function pidOf(text: string): number {
  return Math.abs(Number(text.split('\n', 1)[0]));
}

export function readPidFile(dataDirectory: string): PidFile | undefined {
  let text: string;
  try {
    text = readFileSync(join(dataDirectory, 'postmaster.pid'), 'utf8');
  } catch {
    return undefined;
  }
  const lines = text.split('\n');
  return {
    pid: pidOf(text),
    dataDirectory,
    startSeconds: Number(lines[2] ?? 0),
    port: Number(lines[3] ?? 0),
    socketDirectory: lines[4] ?? '',
    listenAddress: lines[5] ?? '',
    status: (lines[7] ?? '').trim() as PidFile['status'],
    runDirectory: lines[8] ?? '',
  };
}

/** The postmaster of this directory, if one of ours runs. */
export function runningPostmaster(dataDirectory: string): (PidFile & { readonly process: ProcessId }) | undefined {
  const file = readPidFile(dataDirectory);
  if (file === undefined) return undefined;
  const holder = readJson(join(dataDirectory, `${LOCK_PREFIX}${file.pid}`));
  if (holder === undefined || holder.role !== undefined || !isAlive(holder)) return undefined;
  return { ...file, process: holder };
}

/** PostgreSQL's lock beside a Unix socket, so that neither takes the other's. */
export function lockSocket(socketPath: string, dataDirectory: string, port: number): () => void {
  const path = `${socketPath}.lock`;
  const lines = [
    process.pid,
    dataDirectory,
    Math.floor(Date.now() / 1000),
    port,
    socketPath.replace(/\/[^/]*$/, ''),
    '',
  ];
  for (let attempt = 0; ; attempt++) {
    try {
      writeFileSync(path, `${lines.join('\n')}\n`, { flag: 'wx', mode: 0o600 });
      break;
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code !== 'EEXIST') {
        throw ereport(ERRCODE.INSUFFICIENT_PRIVILEGE, `could not create lock file "${path}": ${message}`);
      }
      const pid = Number(readFileSync(path, 'utf8').split('\n')[0]);
      if (attempt > 3 || (pid !== process.pid && processAt(pid) !== undefined)) {
        throw ereport(ERRCODE.LOCK_FILE_EXISTS, `lock file "${path}" already exists`, {
          hint: `Is another postmaster (PID ${pid}) using socket file "${socketPath}"? Use another port (-p).`,
        });
      }
      removeIfThere(path);
      removeIfThere(socketPath);
    }
  }
  return () => {
    removeIfThere(socketPath);
    removeIfThere(path);
  };
}
