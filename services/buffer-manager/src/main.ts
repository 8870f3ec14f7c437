/** Wiring of the buffer-manager's process. */
import { FAILPOINTS_VARIABLE, parseFailpoints } from '@pgtroupe/actor/failpoint';
import { rmgrTable } from '@pgtroupe/redo/rmgrtable';
import { runRole } from '@pgtroupe/rpc/role/runrole';
import { BufferManager } from './buffer-manager.ts';

await runRole('buffer-manager', { disk: '.' }, async role => {
  const { settings } = role;
  const bufferManager = new BufferManager(role.env, {
    walwriter: role.endpoint('walwriter'),
    epoch: role.epoch,
    sharedBuffers: settings.number('shared_buffers'),
    rmgrs: rmid => rmgrTable[rmid],
    deadlockTimeoutMs: () => settings.number('deadlock_timeout'),
    walWriterDelayMs: () => settings.number('wal_writer_delay'),
    minWalBytes: () => settings.number('min_wal_size') * 1024 * 1024,
    progress: message => role.recovering(message),
    failpoint: parseFailpoints(process.env[FAILPOINTS_VARIABLE], role.env, killSelf),
  });
  await bufferManager.open();
  await role.serve(bufferManager.handlers());
  return { stop: () => bufferManager.stop() };
});

function killSelf(): never {
  process.kill(process.pid, 'SIGKILL');
  throw new Error('killed');
}
