/** An autovacuum worker's process: another program than its launcher's, which is small. */
import { runRole } from '@pgtroupe/role/runrole';
import { autovacuumWorkerRole } from './worker-role.ts';

await runRole('autovacuum-worker', autovacuumWorkerRole);
