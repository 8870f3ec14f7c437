/** Wiring of a backend instance's process. */
import { loadParser } from '@pgtroupe/sql/parser/parser';
import { runRole } from '@pgtroupe/rpc/role/runrole';
import { HBA_SETTING } from '@pgtroupe/libpq/hba';
import { BackendInstance } from './instance.ts';

await runRole('backend', {}, async role => {
  await loadParser();
  const instance = new BackendInstance(role.env, {
    name: role.name,
    osPid: process.pid,
    bufferManager: role.endpoint('buffer-manager'),
    settings: role.settings,
    intake: role.sessions,
    hbaText: async () => role.settings.custom(HBA_SETTING) ?? '',
  });
  role.settings.onChange(() => void instance.reload());
  await instance.start();
  return { stop: mode => instance.stop(mode) };
});
