/** Wiring of an autovacuum worker: the same in a process and in the simulator. */
import { EXIT_FATAL, EXIT_STOPPED } from '@pgtroupe/actor/lifecycle';
import type { SessionIntake } from '@pgtroupe/actor/net';
import type { Oid } from '@pgtroupe/common/ids';
// All built-in functions.
import '@pgtroupe/commands/fmgrtab';
import { startupPacket } from '@pgtroupe/libpq/startup';
import { loadParser } from '@pgtroupe/parser/parser';
import type { RoleProgram } from '@pgtroupe/role/context';
import { leave } from '@pgtroupe/role/runrole';
import { BackendInstance } from '@pgtroupe/session/instance';
import { AUTOVACUUM_WORKER } from '@pgtroupe/session/session-ends';
import type { TableCounters } from './needs.ts';
import { AutovacuumWorker, NoClient } from './worker.ts';

/** Whatever a user has set for the database or for all: a worker is not to be hindered (AutoVacWorkerMain). */
const PARAMETERS: Readonly<Record<string, string>> = {
  search_path: '',
  zero_damaged_pages: 'off',
  statement_timeout: '0',
  lock_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  default_transaction_isolation: 'read committed',
};

/** Of the database's tables and the shared ones; undefined: the stats-collector says nothing. */
async function tableCounters(
  { statistics }: BackendInstance,
  database: Oid,
): Promise<ReadonlyMap<Oid, TableCounters> | undefined> {
  const told = await Promise.all(
    [database, 0].map(db => statistics.ask({ $case: 'relations', value: { database: db } })),
  );
  if (told.some(({ stale }) => stale)) return undefined;
  return new Map(told.flatMap(({ value }) => value!.relations.map(counts => [counts.relation as Oid, counts])));
}

export const autovacuumWorkerRole: RoleProgram = {
  mayBeBusy: true,
  start: async role => {
    await loadParser();
    const intake: SessionIntake = {
      onArrival: () => {},
      onCancel: () => {},
      leased: () => {},
      authenticated: () => {},
      ended: () => {},
    };
    const instance = new BackendInstance(role.env, {
      name: role.name,
      epoch: role.epoch,
      statsCollector: role.endpoint('stats-collector'),
      osPid: role.osPid,
      bufferManager: role.endpoint('buffer-manager'),
      postmaster: role.endpoint('postmaster'),
      settings: role.settings,
      intake,
      hbaText: () => Promise.resolve(''),
    });
    let workers = 1;
    role.autovac.onWorkers = ({ running }) => {
      workers = running.length;
    };
    const worker = new AutovacuumWorker({
      instance,
      database: role.database as Oid,
      settings: role.settings,
      connect: async database => {
        const connection = new NoClient();
        const initial = startupPacket({ ...PARAMETERS, database });
        intake.onArrival({ connection, initial, reserved: false, worker: AUTOVACUUM_WORKER });
        const [session] = [...instance.sessions];
        return (await connection.begun) ? session : undefined;
      },
      workers: () => workers,
      counters: () => tableCounters(instance, role.database as Oid),
    });
    void worker.run().then(async finished => {
      await instance.stop('fast');
      await leave(role.env, finished ? EXIT_STOPPED : EXIT_FATAL);
    });
    const stop = (mode: 'smart' | 'fast'): Promise<void> => {
      worker.terminate();
      return instance.stop(mode);
    };
    return { stop, held: () => instance.held() };
  },
};
