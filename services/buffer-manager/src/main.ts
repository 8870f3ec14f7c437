/** The buffer-manager's process. */
import { runRole } from '@pgtroupe/rpc/role/runrole';
import { bufferManagerRole } from './role.ts';

await runRole('buffer-manager', bufferManagerRole);
