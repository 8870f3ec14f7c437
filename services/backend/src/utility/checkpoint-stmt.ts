/**
 * CHECKPOINT: asks the checkpointer and waits until it is through.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import { ROLE_PG_CHECKPOINT } from '@pgtroupe/common/oids';
import { retryCatalog } from '../catalog-retry.ts';
import type { StatementRunner } from '../statement-runner.ts';

const CHECKPOINT_SUBJECT = 'checkpointer.checkpoint';
const PATIENCE_MS = 600_000;

export async function checkpointStmt(runner: StatementRunner): Promise<string> {
  const { analysis, functions } = runner;
  if (!(await retryCatalog(() => analysis.acl().hasPrivsOfRole(functions.currentUserId, ROLE_PG_CHECKPOINT)))) {
    throw ereport(
      ERRCODE.INSUFFICIENT_PRIVILEGE,
      'must be superuser or have privileges of pg_checkpoint to do CHECKPOINT',
    );
  }
  const { env } = runner.session.instance;
  const answer = await env.bus.request(CHECKPOINT_SUBJECT, new Uint8Array(0), PATIENCE_MS);
  if (answer === undefined) {
    throw ereport(ERRCODE.INTERNAL_ERROR, 'checkpoint request failed', {
      hint: 'Consult recent messages in the server log for details.',
    });
  }
  return 'CHECKPOINT';
}
