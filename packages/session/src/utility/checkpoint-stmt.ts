/**
 * CHECKPOINT: asks the checkpointer and waits until it is through.
 *
 * Messages on the bus may get lost, and so may the checkpointer with those that it has: who waits asks again and
 * again, less and less often, and takes any answer, also that it has failed. A cancel, or the client's end, ends the wait.
 */
import type { Timer } from '@pgtroupe/actor/env';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import { ROLE_PG_CHECKPOINT } from '@pgtroupe/common/oids';
import { withCatalog } from '@pgtroupe/catalog/catalogmiss';
import type { StatementRunner } from '../statement-runner.ts';

const CHECKPOINT_SUBJECT = 'checkpointer.checkpoint';
const PATIENCE_MS = 600_000;
/** Twice as long each time: a checkpoint may take its time, and each question makes one more. */
const ASK_AGAIN_MS = 5_000;

export async function checkpointStmt(runner: StatementRunner): Promise<string> {
  const { analysis, functions } = runner;
  if (!(await withCatalog(() => analysis.acl().hasPrivsOfRole(functions.currentUserId, ROLE_PG_CHECKPOINT)))) {
    throw ereport(
      ERRCODE.INSUFFICIENT_PRIVILEGE,
      'must be superuser or have privileges of pg_checkpoint to do CHECKPOINT',
    );
  }
  if (!(await untilAnswered(runner))) {
    throw ereport(ERRCODE.INTERNAL_ERROR, 'checkpoint request failed', {
      hint: 'Consult recent messages in the server log for details.',
    });
  }
  return 'CHECKPOINT';
}

/** False: it failed, or nobody has answered in time. */
async function untilAnswered(runner: StatementRunner): Promise<boolean> {
  const { session } = runner;
  const { bus, timers } = session.instance.env;
  let again: Timer | undefined;
  const answered = new Promise<boolean>(resolve => {
    const ask = (leftMs: number, nextMs: number): void => {
      if (leftMs <= 0) return resolve(false);
      void bus.request(CHECKPOINT_SUBJECT, new Uint8Array(0), leftMs).then(answer => {
        if (answer !== undefined) resolve(answer.length === 0);
      });
      again = timers.after(Math.min(leftMs, nextMs), () => ask(leftMs - nextMs, nextMs * 2));
    };
    runner.interruptible = () => resolve(false);
    ask(PATIENCE_MS, ASK_AGAIN_MS);
  });
  try {
    const done = await answered;
    session.checkForInterrupts();
    return done;
  } finally {
    again?.cancel();
    runner.interruptible = undefined;
  }
}
