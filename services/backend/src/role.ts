/** Wiring of a backend instance: the same in a process and in the simulator. */
import { HBA_SETTING } from '@pgtroupe/libpq/hba';
import type { RoleProgram } from '@pgtroupe/role/context';
// All built-in functions.
import '@pgtroupe/commands/fmgrtab';
import { loadParser } from '@pgtroupe/parser/parser';
import { BackendInstance } from '@pgtroupe/session/instance';

export const backendRole: RoleProgram = {
  mayBeBusy: true,
  start: async role => {
    await loadParser();
    const instance = new BackendInstance(role.env, {
      name: role.name,
      epoch: role.epoch,
      osPid: role.osPid,
      bufferManager: role.endpoint('buffer-manager'),
      statsCollector: role.endpoint('stats-collector'),
      postmaster: role.endpoint('postmaster'),
      settings: role.settings,
      intake: role.sessions,
      hbaText: async () => role.settings.custom(HBA_SETTING) ?? '',
    });
    role.settings.onChange(() => void instance.reload());
    await instance.start();
    return { stop: mode => instance.stop(mode), held: () => instance.held() };
  },
};
