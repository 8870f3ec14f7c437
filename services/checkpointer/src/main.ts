/** Wiring of the checkpointer's process. */
import { runRole } from '@pgtroupe/rpc/role/runrole';
import { Checkpointer } from './checkpointer.ts';

const MB = 1024 * 1024;

await runRole('checkpointer', {}, async role => {
  const { settings } = role;
  const checkpointer = new Checkpointer(role.env, {
    bufferManager: role.endpoint('buffer-manager'),
    settings: () => ({
      timeoutMs: settings.number('checkpoint_timeout') * 1000,
      maxWalBytes: settings.number('max_wal_size') * MB,
      minWalBytes: settings.number('min_wal_size') * MB,
      completionTarget: settings.number('checkpoint_completion_target'),
      logCheckpoints: settings.bool('log_checkpoints'),
    }),
  });
  checkpointer.start();
  return { stop: () => checkpointer.stop() };
});
