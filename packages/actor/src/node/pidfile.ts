/**
 * Who runs on a data directory.
 *
 * The lock proper: files `postmaster.lock.<pid>` in the data directory, each naming a process by pid
 * and start time. Whoever wants the directory makes his own first and then looks at the others; if
 * one of them is of a living process he takes his own away again and has lost. Of two who come at
 * once at least one sees the other (both may lose and try again), so there is no moment at which two
 * hold it, and nothing to clean up after kill -9: a dead process's file is no obstacle.
 *
 * postmaster.pid is written as PostgreSQL writes it, for pg_ctl, for PostgreSQL itself (which refuses
 * to start while its first line names a living process) and for people:
 *
 *   1 pid   2 data directory   3 start time   4 port   5 socket folder   6 listen address
 *   7 shared memory key (ours: empty)   8 status   9 run directory (ours alone)
 */
import { existsSync, readdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ereport } from '@pgtroupe/common/ereport';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { isAlive, ownProcess, processAt, type ProcessId } from './process.ts';
import { writeAtomically } from './rundir.ts';

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

export interface DataDirectoryLock {
  /** false: the directory or our file in it is gone. */
  isHeld(): boolean;
  release(): void;
}

/** Throws PostgreSQL's error when another process holds the directory. */
export async function lockDataDirectory(dataDirectory: string): Promise<DataDirectoryLock> {
  const own = ownProcess();
  const path = join(dataDirectory, `${LOCK_PREFIX}${own.pid}`);
  for (let attempt = 0; ; attempt++) {
    writeAtomically(path, JSON.stringify(own));
    const other = otherHolder(dataDirectory, own);
    if (other === undefined) break;
    unlinkSync(path);
    if (attempt === ATTEMPTS || other.kind === 'postgres') throw inUse(dataDirectory, other.pid);
    await new Promise(resolve => setTimeout(resolve, 10 + Math.random() * 40));
  }
  return {
    isHeld: () => existsSync(path),
    release: () => {
      removeIfThere(join(dataDirectory, 'postmaster.pid'));
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
  own: ProcessId,
): { readonly kind: 'pgtroupe' | 'postgres'; readonly pid: number } | undefined {
  const locks = readdirSync(dataDirectory).filter(name => name.startsWith(LOCK_PREFIX));
  const dead: string[] = [];
  for (const name of locks) {
    const path = join(dataDirectory, name);
    const holder = readJson(path);
    if (holder === undefined || holder.pid === own.pid) continue;
    if (isAlive(holder)) return { kind: 'pgtroupe', pid: holder.pid };
    dead.push(path);
  }
  const deadPids = new Set(dead.map(path => Number(path.slice(path.lastIndexOf('.') + 1))));
  const file = readPidFile(dataDirectory);
  if (file !== undefined && file.pid !== own.pid && !deadPids.has(file.pid) && processAt(file.pid)) {
    return { kind: 'postgres', pid: file.pid };
  }
  for (const path of dead) removeIfThere(path);
  return undefined;
}

function readJson(path: string): ProcessId | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as ProcessId;
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

export function readPidFile(dataDirectory: string): PidFile | undefined {
  let text: string;
  try {
    text = readFileSync(join(dataDirectory, 'postmaster.pid'), 'utf8');
  } catch {
    return undefined;
  }
  const lines = text.split('\n');
  return {
    pid: Math.abs(Number(lines[0])),
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
  return holder !== undefined && isAlive(holder) ? { ...file, process: holder } : undefined;
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
