/** Wiring of the autovacuum launcher: the same in a process and in the simulator. */
import { StatsClient } from '@pgtroupe/instance/pgstat_client';
import type { RoleProgram } from '@pgtroupe/role/context';
import { AutovacuumLauncher } from './launcher.ts';

const MS_PER_SECOND = 1000;

export const autovacuumRole: RoleProgram = {
  start: async role => {
    const { settings, autovac } = role;
    // It reports nothing, so there is nothing of it to wait for.
    const source = { name: role.name, epoch: role.epoch, number: 0 };
    const statistics = new StatsClient(role.env, role.endpoint('stats-collector'), source);
    const launcher = new AutovacuumLauncher(role.env, {
      bufferManager: role.endpoint('buffer-manager'),
      limits: () => ({
        active: settings.bool('autovacuum') && settings.bool('track_counts'),
        naptimeMs: settings.number('autovacuum_naptime') * MS_PER_SECOND,
        maxWorkers: settings.number('autovacuum_max_workers'),
        freezeMaxAge: settings.number('autovacuum_freeze_max_age'),
        multixactFreezeMaxAge: settings.number('autovacuum_multixact_freeze_max_age'),
      }),
      activity: async () => {
        const { value } = await statistics.ask({ $case: 'databases', value: {} });
        return (value?.databases ?? []).map(({ database, tuplesInserted, tuplesUpdated, tuplesDeleted }) => {
          return { database, changes: tuplesInserted + tuplesUpdated + tuplesDeleted };
        });
      },
      startWorker: database => autovac.startWorker(database),
    });
    autovac.onWorkers = workers => launcher.workersChanged(workers);
    settings.onChange(() => launcher.configurationChanged());
    launcher.start();
    const stop = (): Promise<void> => {
      statistics.close();
      return launcher.stop();
    };
    return { stop };
  },
};
