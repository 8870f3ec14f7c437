/**
 * What sessions ask about each other, whatever their instance: the buffer-manager passes each question on to all
 * instances and gathers the answers. Nothing is kept for it and nothing is sent unless somebody asks.
 */
import type { Backends } from '@pgtroupe/adt/signalfuncs';
import type { Oid } from '@pgtroupe/common/ids';
import type { BackendInstance } from './instance.ts';
import type { Session } from './session.ts';

/** How often somebody who waits for a session's end looks. */
const GONE_SLICE_MS = 100;

/** Answers what others ask about the sessions here. */
export function answerQuestions(instance: BackendInstance): void {
  instance.kernel.onSessionsAsked = (question, pid) => {
    const session = instance.session(pid);
    if (session === undefined) return '';
    switch (question) {
      case 'who':
        return JSON.stringify({ role: session.roleOid });
      case 'cancel':
        session.cancel();
        return 'true';
      case 'terminate':
        session.terminate();
        return 'true';
      default:
        return '';
    }
  };
}

export function backends(session: Session): Backends {
  const { kernel, env } = session.instance;
  const find: Backends['find'] = async pid => {
    // 0 means everybody there, and nobody has it.
    if (pid <= 0) return undefined;
    const { said, silent } = await kernel.askSessions('who', pid);
    if (said.length > 0) return said[0] as { role: Oid };
    return silent === '' ? undefined : { silent };
  };
  return {
    find,
    signal: async (pid, signal) => (await kernel.askSessions(signal, pid)).said.length > 0,
    gone: async (pid, timeoutMs) => {
      const untilMs = env.clock.nowMs() + timeoutMs;
      for (;;) {
        if ((await find(pid)) === undefined) return true;
        session.checkForInterrupts();
        const leftMs = untilMs - env.clock.nowMs();
        if (leftMs <= 0) return false;
        await new Promise<void>(resolve => env.timers.after(Math.min(leftMs, GONE_SLICE_MS), resolve));
      }
    },
  };
}
