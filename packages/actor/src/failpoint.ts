/**
 * Failpoints: named places before and after every step that makes something durable, where a test
 * can kill the process, fail the step or hold it up. Off unless a test sets one; asking costs one call.
 *
 * A process takes them from the environment variable PGTROUPE_FAILPOINTS:
 *   `walwriter-before-fsync=kill`, `checkpoint-before-control=error`, `walwriter-after-write=delay:50`,
 *   several separated by commas; `name=kill:3` acts on the third arrival.
 */
import type { Env } from './env.ts';

export class FailpointError extends Error {
  override readonly name = 'FailpointError';
}

export type Failpoint = (name: string) => void | Promise<void>;

export const noFailpoint: Failpoint = () => {};

export const FAILPOINTS_VARIABLE = 'PGTROUPE_FAILPOINTS';

/** `kill` is what ends the process on the spot, as kill -9 would. */
export function parseFailpoints(text: string | undefined, env: Env, kill: () => never): Failpoint {
  if (text === undefined || text === '') return noFailpoint;
  const actions = new Map<string, { readonly action: string; readonly argument: number; arrivals: number }>();
  for (const part of text.split(',')) {
    const match = /^([\w-]+)=(kill|error|delay)(?::(\d+))?$/.exec(part.trim());
    if (match === null) throw new FailpointError(`cannot read failpoint "${part}"`);
    actions.set(match[1]!, { action: match[2]!, argument: Number(match[3] ?? 1), arrivals: 0 });
  }
  return name => {
    const found = actions.get(name);
    if (found === undefined) return;
    if (found.action === 'delay') return new Promise(resolve => env.timers.after(found.argument, resolve));
    if (++found.arrivals !== found.argument) return;
    if (found.action === 'kill') kill();
    throw new FailpointError(`failpoint ${name}`);
  };
}
