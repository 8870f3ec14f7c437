/** Wiring of the buffer-manager: the same in a process and in the simulator. */
import { rmgrTable } from '@pgtroupe/redo/rmgrtable';
import type { RoleProgram } from '@pgtroupe/role/context';
import { XLOG_BLCKSZ, XLOG_SEG_SIZE } from '@pgtroupe/transam/xlogpage';
import { agesOf, isWraparoundNear } from './autovacuum-server.ts';
import { BufferManager } from './buffer-manager.ts';

const MB = 1024 * 1024;

/** wal_buffers, -1: one 32nd of shared_buffers, between 64 kB and a segment (XLOGChooseNumBuffers). */
function walBuffersBytes(walBuffers: number, sharedBuffers: number): number {
  const automatic = Math.min(Math.floor(sharedBuffers / 32), XLOG_SEG_SIZE / XLOG_BLCKSZ);
  return Math.max(8, walBuffers === -1 ? automatic : walBuffers) * XLOG_BLCKSZ;
}

/** Who locks things and is no client: by PostgreSQL's defaults 3 autovacuum workers and their launcher, 8 background
 *  workers, 10 walsenders. Here those that there are hold locks as well. */
const OTHER_BACKENDS = 22;

/** NLOCKENTS: an average for all, which one transaction may use up alone. */
function maxLocks(perTransaction: number, maxConnections: number): number {
  return perTransaction * (maxConnections + OTHER_BACKENDS);
}

export const bufferManagerRole: RoleProgram = {
  disk: '.',
  start: async role => {
    const { settings } = role;
    const bufferManager = new BufferManager(role.env, {
      walwriter: role.endpoint('walwriter'),
      epoch: role.epoch,
      sharedBuffers: settings.number('shared_buffers'),
      walBuffersBytes: walBuffersBytes(settings.number('wal_buffers'), settings.number('shared_buffers')),
      maxLocks: maxLocks(settings.number('max_locks_per_transaction'), settings.number('max_connections')),
      archiving: settings.string('archive_mode') !== 'off',
      rmgrs: rmid => rmgrTable[rmid],
      walWriterDelayMs: () => settings.number('wal_writer_delay'),
      minWalBytes: () => settings.number('min_wal_size') * MB,
      progress: message => role.recovering(message),
      failpoint: role.failpoint,
    });
    await bufferManager.open();
    await role.serve(bufferManager.handlers());
    return {
      stop: () => bufferManager.stop(),
      wraparoundNear: () =>
        isWraparoundNear(
          agesOf(bufferManager.shared),
          settings.number('autovacuum_freeze_max_age'),
          settings.number('autovacuum_multixact_freeze_max_age'),
        ),
      held: () => bufferManager.shared.held(),
      needed: () => bufferManager.shared.instances.size > 0,
    };
  },
};
