/** Wiring of the background writer: the same in a process and in the simulator. */
import type { RoleProgram } from '@pgtroupe/role/context';
import { BgWriter } from './bgwriter.ts';

export const bgwriterRole: RoleProgram = {
  start: async role => {
    const { settings } = role;
    const bgwriter = new BgWriter(role.env, {
      bufferManager: role.endpoint('buffer-manager'),
      settings: () => ({
        delayMs: settings.number('bgwriter_delay'),
        lruMaxPages: settings.number('bgwriter_lru_maxpages'),
        lruMultiplier: settings.number('bgwriter_lru_multiplier'),
      }),
    });
    bgwriter.start();
    return { stop: () => bgwriter.stop() };
  },
};
