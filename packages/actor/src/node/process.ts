/**
 * Telling processes of this machine apart. A pid alone is not an identity: the kernel hands it out
 * again. (pid, start time) is one, until the next boot; a zombie counts as dead.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

export interface ProcessId {
  readonly pid: number;
  /** Opaque; equal only for the same process. */
  readonly started: string;
}

/** What runs under `pid` now, or undefined when nothing does. */
export function processAt(pid: number): ProcessId | undefined {
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  const started = process.platform === 'linux' ? linuxStart(pid) : psStart(pid);
  return started === undefined ? undefined : { pid, started };
}

export function ownProcess(): ProcessId {
  return processAt(process.pid)!;
}

export function isAlive(id: ProcessId): boolean {
  return processAt(id.pid)?.started === id.started;
}

/** Processor time it has used, in the kernel's ticks; undefined where nobody tells. */
export function processorTicks(pid: number): number | undefined {
  const fields = process.platform === 'linux' ? linuxFields(pid) : undefined;
  return fields === undefined ? undefined : Number(fields[11]) + Number(fields[12]);
}

/** Sends the signal only to the very process meant. false: it is gone. */
export function signalProcess(id: ProcessId, signal: NodeJS.Signals): boolean {
  if (!isAlive(id)) return false;
  try {
    process.kill(id.pid, signal);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

let bootId: string | undefined;

function linuxStart(pid: number): string | undefined {
  const fields = linuxFields(pid);
  if (fields === undefined) return undefined;
  try {
    bootId ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim().slice(0, 8);
    return `${bootId}:${fields[19]}`;
  } catch {
    return undefined;
  }
}

/** What the kernel says of a process that lives, from its state on. */
function linuxFields(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command name may hold spaces and parentheses: fields are counted behind the last one.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields;
  } catch {
    return undefined;
  }
}

function psStart(pid: number): string | undefined {
  try {
    const line = execFileSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
    return line === '' || line.startsWith('Z') ? undefined : line.replace(/^\S+\s+/, '');
  } catch {
    return undefined;
  }
}
