/** Wiring of the archiver: the same in a process and in the simulator. */
import { assert } from '@pgtroupe/common/assert';
import type { RoleProgram } from '@pgtroupe/role/context';
import { Archiver } from './archiver.ts';

export const archiverRole: RoleProgram = {
  runsCommands: true,
  start: async role => {
    const { commands } = role.env;
    assert(commands !== undefined, 'the archiver can run commands');
    const archiver = new Archiver(role.env, commands, {
      walwriter: role.endpoint('walwriter'),
      archiveCommand: () => role.settings.string('archive_command'),
      failpoint: role.failpoint,
    });
    role.settings.onChange(() => archiver.wake());
    await archiver.start();
    return { stop: () => archiver.stop() };
  },
};
