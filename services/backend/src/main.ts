/** A backend instance's process. */
import { runRole } from '@pgtroupe/role/runrole';
import { backendRole } from './role.ts';

await runRole('backend', backendRole);
