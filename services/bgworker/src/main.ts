/** A background worker's process. */
import { runRole } from '@pgtroupe/role/runrole';
import { bgworkerRole } from './role.ts';

await runRole('bgworker', bgworkerRole);
