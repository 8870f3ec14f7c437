/** The autovacuum launcher's process. */
import { runRole } from '@pgtroupe/role/runrole';
import { autovacuumRole } from './role.ts';

await runRole('autovacuum', autovacuumRole);
