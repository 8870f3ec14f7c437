/**
 * The run directory of a cluster: sockets, the broker's token, and the registry of launched roles.
 * Short (a Unix socket's path has 108 bytes), private, on this machine, derived from the data
 * directory; nothing in it survives a reboot or needs to.
 *
 *   broker.token              what the broker demands, 0600
 *   postmaster.sock           gRPC: roles attend here, status is asked here
 *   <name>.sock               gRPC endpoint of a role
 *   <name>.sessions.sock      sessions spliced to an instance that was not launched by this postmaster
 *   roles/<name>.json         Launch: the latest launch of a role, written before the process starts
 *   roles/<name>.<epoch>      Claim: made once, atomically, by the launched process as its first act, or by a
 *                             postmaster that wants the launch void. Who finds it made has lost.
 */
import { createHash, randomBytes } from 'node:crypto';
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { ereport } from '@pgtroupe/common/ereport';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import type { WorkerRegistration } from '../background-worker.ts';
import type { ProcessId } from './process.ts';

export interface Launch {
  readonly name: string;
  readonly epoch: number;
  readonly incarnation: string;
  readonly cluster: string;
  /** The settings it was launched with. */
  readonly settings: Readonly<Record<string, string>>;
  /** Of a background worker. */
  readonly worker?: WorkerRegistration | undefined;
  /** Of an autovacuum worker. */
  readonly database?: number | undefined;
}

export type Claim = ({ readonly kind: 'process' } & ProcessId) | { readonly kind: 'void' };

export function runDirectoryOf(dataDirectory: string): string {
  const hash = createHash('sha256').update(realpathSync(dataDirectory)).digest('hex').slice(0, 12);
  return join(tmpdir(), `pgtroupe-${userInfo().uid}-${hash}`);
}

/** Creates it, or makes sure that what is there is ours alone. */
export function prepareRunDirectory(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const found = lstatSync(path);
  if (!found.isDirectory() || found.uid !== userInfo().uid || (found.mode & 0o077) !== 0) {
    throw ereport(ERRCODE.INSUFFICIENT_PRIVILEGE, `directory "${path}" has wrong ownership or permissions`, {
      hint: 'It must be a directory of your own with permissions 0700. Remove it, or set TMPDIR to another place.',
    });
  }
  mkdirSync(join(path, 'roles'), { recursive: true, mode: 0o700 });
}

export function writeAtomically(path: string, text: string): void {
  const temporary = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`;
  writeFileSync(temporary, text, { mode: 0o600 });
  renameSync(temporary, path);
}

export function writeLaunch(runDirectory: string, launch: Launch): void {
  writeAtomically(join(runDirectory, 'roles', `${launch.name}.json`), JSON.stringify(launch));
}

export function readLaunches(runDirectory: string): Launch[] {
  const folder = join(runDirectory, 'roles');
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter(file => file.endsWith('.json'))
    .sort()
    .map(file => JSON.parse(readFileSync(join(folder, file), 'utf8')) as Launch);
}

/** The launch and its claim are over: the process is dead. */
export function forgetLaunch(runDirectory: string, { name, epoch }: Launch): void {
  for (const path of [claimPath(runDirectory, name, epoch), join(runDirectory, 'roles', `${name}.json`)]) {
    try {
      unlinkSync(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
}

function claimPath(runDirectory: string, name: string, epoch: number): string {
  return join(runDirectory, 'roles', `${name}.${epoch}`);
}

/** Claims the launch; returns the claim that holds, ours or the one that was first. */
export function claimLaunch(
  runDirectory: string,
  launch: { readonly name: string; readonly epoch: number },
  claim: Claim,
): Claim {
  const path = claimPath(runDirectory, launch.name, launch.epoch);
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, JSON.stringify(claim), { mode: 0o600 });
  try {
    linkSync(temporary, path);
    return claim;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return JSON.parse(readFileSync(path, 'utf8')) as Claim;
  } finally {
    unlinkSync(temporary);
  }
}
