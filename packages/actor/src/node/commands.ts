/**
 * Shell commands as child processes of this one, each with a process group of its own: when this process exits, all that
 * the command has started goes with it.
 */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { CommandEnd, Commands } from '../env.ts';
import { ROLE_START_VARIABLE } from '../lifecycle.ts';

/** strsignal's words for those that end processes. */
const SIGNAL_TEXTS: Readonly<Partial<Record<NodeJS.Signals, string>>> = {
  SIGHUP: 'Hangup',
  SIGINT: 'Interrupt',
  SIGQUIT: 'Quit',
  SIGABRT: 'Aborted',
  SIGKILL: 'Killed',
  SIGSEGV: 'Segmentation fault',
  SIGPIPE: 'Broken pipe',
  SIGALRM: 'Alarm clock',
  SIGTERM: 'Terminated',
};

/** How PostgreSQL tells of it: `signal 9: Killed`. */
export function signalText(signal: NodeJS.Signals): string {
  return `signal ${constants.signals[signal]}: ${SIGNAL_TEXTS[signal] ?? signal}`;
}

export function nodeCommands(folder: string): Commands {
  const running = new Set<number>();
  process.on('exit', () => {
    for (const pid of running) endGroup(pid);
  });
  return { run: command => run(command, folder, running) };
}

function run(command: string, folder: string, running: Set<number>): Promise<CommandEnd> {
  const { [ROLE_START_VARIABLE]: _ours, ...env } = process.env;
  return new Promise((resolve, reject) => {
    const child = spawn('/bin/sh', ['-c', command], {
      cwd: folder,
      env,
      detached: true,
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    const { pid } = child;
    if (pid !== undefined) running.add(pid);
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      if (pid !== undefined) running.delete(pid);
      if (signal === null) return resolve({ kind: 'exited', code: code ?? 0 });
      resolve({ kind: 'signaled', signal: constants.signals[signal], text: SIGNAL_TEXTS[signal] ?? signal });
    });
  });
}

function endGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGQUIT');
  } catch {
    // It has just ended.
  }
}
