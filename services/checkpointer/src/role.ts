/** Wiring of the checkpointer: the same in a process and in the simulator. */
import type { RoleProgram } from '@pgtroupe/role/context';
import { Checkpointer } from './checkpointer.ts';

const MB = 1024 * 1024;

export const checkpointerRole: RoleProgram = {
  start: async role => {
    const { settings } = role;
    const checkpointer = new Checkpointer(role.env, {
      bufferManager: role.endpoint('buffer-manager'),
      settings: () => ({
        timeoutMs: settings.number('checkpoint_timeout') * 1000,
        maxWalBytes: settings.number('max_wal_size') * MB,
        minWalBytes: settings.number('min_wal_size') * MB,
        completionTarget: settings.number('checkpoint_completion_target'),
        logCheckpoints: settings.bool('log_checkpoints'),
        warningSeconds: settings.number('checkpoint_warning'),
        poolPages: settings.number('shared_buffers'),
        archiveTimeoutMs: settings.number('archive_timeout') * 1000,
      }),
    });
    checkpointer.start();
    return { stop: () => checkpointer.stop() };
  },
};
