/** A backend instance's process. */
import { runRole } from '@pgtroupe/rpc/role/runrole';
import { backendRole } from './role.ts';

await runRole('backend', backendRole);
