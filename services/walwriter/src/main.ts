/** Wiring of the walwriter's process. */
import { FAILPOINTS_VARIABLE, parseFailpoints } from '@pgtroupe/actor/failpoint';
import { runRole } from '@pgtroupe/rpc/role/runrole';
import { WalWriter } from './walwriter.ts';

await runRole('walwriter', { disk: 'pg_wal' }, async role => {
  const walwriter = new WalWriter(role.env, {
    flushDelayMs: () => role.settings.number('wal_writer_delay'),
    failpoint: parseFailpoints(process.env[FAILPOINTS_VARIABLE], role.env, killSelf),
  });
  await walwriter.open();
  await role.serve(walwriter.handlers());
  return { stop: () => walwriter.stop() };
});

function killSelf(): never {
  process.kill(process.pid, 'SIGKILL');
  throw new Error('killed');
}
