/**
 * What sessions ask about each other, whatever their instance: the buffer-manager passes each question on to all
 * instances and gathers the answers. Nothing is kept for it and nothing is sent unless somebody asks.
 */
import type { BackendStatus } from '@pgtroupe/adt/pgstatfuncs';
import type { Backends, Signal } from '@pgtroupe/adt/signalfuncs';
import { CatalogMiss } from '@pgtroupe/catalog/catalogmiss';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import type { Oid } from '@pgtroupe/common/ids';
import type { Transaction } from '@pgtroupe/instance/xact';
import type { LockStatus } from '@pgtroupe/storage/lmgr/lock-status';
import type { BackendInstance } from './instance.ts';
import type { StatementsTold } from '@pgtroupe/adt/pg_stat_statements';
import type { Session } from './session.ts';
import { mergedStatements, type StatementKey } from './statement-statistics.ts';

/** How often somebody who waits for a session's end looks. */
const GONE_SLICE_MS = 100;

/** Answers what others ask about the sessions here. */
export function answerQuestions(instance: BackendInstance): void {
  const { kernel } = instance;
  kernel.onSessionsAsked = (question, pid, about) => {
    switch (question) {
      case 'statements':
        return JSON.stringify(instance.statements.told());
      case 'resetStatements': {
        const { userid, dbid, queryid } = JSON.parse(about) as Record<keyof StatementKey, string>;
        instance.statements.reset({ userid: Number(userid), dbid: Number(dbid), queryid: BigInt(queryid) });
        return '{}';
      }
      case 'activity':
        return JSON.stringify({ backends: begun(instance).map(({ activity }) => activity.status()) } satisfies Said);
      case 'locks':
        return JSON.stringify(locks(instance));
      default: {
        const session = instance.session(pid);
        return session === undefined ? '' : answerAbout(session, question);
      }
    }
  };
}

function answerAbout(session: Session, question: 'who' | 'yield' | Signal): string {
  switch (question) {
    case 'who':
      return JSON.stringify({ role: session.roleOid });
    case 'cancel':
      session.cancel();
      return 'true';
    case 'yield':
      if (session.yields) session.cancel();
      return 'true';
    case 'terminate':
      session.terminate();
      return 'true';
  }
}

const begun = (instance: BackendInstance): Session[] => [...instance.sessions].filter(session => session.begun);

/** The lock table tells its own. */
function locks(instance: BackendInstance): Said {
  const sessions = begun(instance);
  return {
    transactions: sessions.flatMap(({ pid, block }): [number, number][] =>
      block.status === undefined ? [] : [[pid, block.status.lxid]],
    ),
    locks: [...instance.kernel.locks.status(), ...sessions.flatMap(({ activity }) => [...activity.ownLocks()])],
  };
}

/** What an instance says, or the buffer-manager. */
interface Said {
  readonly backends?: readonly BackendStatus[];
  readonly locks?: readonly LockStatus[];
  readonly transactions?: readonly (readonly [pid: number, lxid: number])[];
}

function warnOfSilent(session: Session, silent: string, what: string): void {
  if (silent !== '') session.notice('WARNING', ERRCODE.WARNING, `no answer from ${silent}: ${what}`);
}

/** What all instances have counted of statements. */
export async function askStatements(session: Session): Promise<StatementsTold> {
  const { said, silent } = await session.instance.kernel.askSessions('statements');
  warnOfSilent(session, silent, 'what it has counted is not shown');
  return mergedStatements(said as readonly StatementsTold[]);
}

export async function resetStatements(session: Session, { userid, dbid, queryid }: StatementKey): Promise<void> {
  const about = JSON.stringify({ userid: String(userid), dbid: String(dbid), queryid: String(queryid) });
  const { silent } = await session.instance.kernel.askSessions('resetStatements', 0, about);
  warnOfSilent(session, silent, 'what it has counted was not reset');
}

export function backends(session: Session): Backends {
  const { kernel, env } = session.instance;
  /** As of the first time that the transaction asked. */
  let known: { readonly tx: Transaction; readonly backends: readonly BackendStatus[] } | undefined;
  const all = async (question: 'activity' | 'locks'): Promise<readonly Said[]> => {
    const { said, silent } = await kernel.askSessions(question);
    warnOfSilent(session, silent, 'its sessions are not shown');
    return said as readonly Said[];
  };
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
    activity: () => {
      const { tx } = session.block;
      if (known?.tx === tx) return known.backends;
      throw new CatalogMiss(async () => {
        const told = await all('activity');
        const backends = told.flatMap(({ backends: some = [] }) => some).sort((a, b) => a.pid - b.pid);
        known = { tx, backends };
      });
    },
    forget: () => {
      known = undefined;
    },
    locks: async () => {
      const told = await all('locks');
      return {
        locks: told.flatMap(({ locks: some = [] }) => some),
        transactions: new Map(told.flatMap(({ transactions = [] }) => transactions)),
      };
    },
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
