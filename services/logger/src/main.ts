/** Wiring of the logger's process. */
import { writeStderr } from '@pgtroupe/actor/node/stderr';
import { runRole } from '@pgtroupe/role/runrole';
import { Logger } from './logger.ts';

await runRole('logger', {
  disk: '.',
  start: async role => {
    const logger = new Logger(role.env, role.settings, writeStderr);
    logger.start();
    return { stop: () => logger.stop() };
  },
});
