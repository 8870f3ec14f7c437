/** Wiring of the buffer-manager: the same in a process and in the simulator. */
import { rmgrTable } from '@pgtroupe/redo/rmgrtable';
import type { RoleProgram } from '@pgtroupe/rpc/role/context';
import { BufferManager } from './buffer-manager.ts';

const MB = 1024 * 1024;

export const bufferManagerRole: RoleProgram = {
  disk: '.',
  start: async role => {
    const { settings } = role;
    const bufferManager = new BufferManager(role.env, {
      walwriter: role.endpoint('walwriter'),
      epoch: role.epoch,
      sharedBuffers: settings.number('shared_buffers'),
      rmgrs: rmid => rmgrTable[rmid],
      deadlockTimeoutMs: () => settings.number('deadlock_timeout'),
      walWriterDelayMs: () => settings.number('wal_writer_delay'),
      minWalBytes: () => settings.number('min_wal_size') * MB,
      progress: message => role.recovering(message),
      failpoint: role.failpoint,
    });
    await bufferManager.open();
    await role.serve(bufferManager.handlers());
    return { stop: () => bufferManager.stop() };
  },
};
