/** Wiring of the stats-collector: the same in a process and in the simulator. */
import type { RoleProgram } from '@pgtroupe/role/context';
import { StatsCollector } from './stats-collector.ts';

export const statsCollectorRole: RoleProgram = {
  start: async role => {
    const collector = new StatsCollector(role.env, role.endpoint('buffer-manager'));
    collector.start();
    await role.serve(collector.handlers());
    return { stop: () => collector.stop() };
  },
};
