/** Wiring of the background writer's process. */
import { runRole } from '@pgtroupe/rpc/role/runrole';
import { BgWriter } from './bgwriter.ts';

await runRole('bgwriter', {}, async role => {
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
});
