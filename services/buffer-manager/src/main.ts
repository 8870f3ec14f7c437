/** The buffer-manager's process. */
import { runRole } from '@pgtroupe/role/runrole';
import { bufferManagerRole } from './role.ts';

await runRole('buffer-manager', bufferManagerRole);
