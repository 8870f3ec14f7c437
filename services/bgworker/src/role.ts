/** Wiring of a background worker. */
import { assert } from '@pgtroupe/common/assert';
import type { RoleProgram } from '@pgtroupe/role/context';
import { leave } from '@pgtroupe/role/runrole';
import { connectWorker } from '@pgtroupe/role/worker-connection';
import { WorkerProcess } from './worker-process.ts';

/** The instance that is always there. */
const HOST = 'backend-1';

export const bgworkerRole: RoleProgram = {
  runsForeignCode: true,
  start: role => {
    const { env, worker } = role;
    assert(worker !== undefined, 'a background worker is launched with what it is to run');
    const program = new WorkerProcess(env, worker, {
      connect: startup => connectWorker(`${role.runDirectory}/${HOST}.sessions.sock`, worker.type, startup),
      leave: code => void leave(env, code),
      osPid: role.osPid,
    });
    role.settings.onChange(() => program.reloaded());
    void program.run();
    return Promise.resolve({ stop: () => program.stop() });
  },
};
