/** Wiring of the walwriter: the same in a process and in the simulator. */
import { BLCKSZ } from '@pgtroupe/common/ids';
import type { RoleProgram } from '@pgtroupe/role/context';
import { WalWriter } from './walwriter.ts';

export const walwriterRole: RoleProgram = {
  disk: 'pg_wal',
  leavesLast: true,
  start: async role => {
    const walwriter = new WalWriter(role.env, {
      epoch: role.epoch,
      flushDelayMs: () => role.settings.number('wal_writer_delay'),
      flushAfterBytes: () => role.settings.number('wal_writer_flush_after') * BLCKSZ,
      archiving: role.settings.string('archive_mode') !== 'off',
      failpoint: role.failpoint,
    });
    await walwriter.open();
    await role.serve(walwriter.handlers());
    return { stop: () => walwriter.stop() };
  },
};
