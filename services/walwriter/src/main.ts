/** The walwriter's process. */
import { runRole } from '@pgtroupe/rpc/role/runrole';
import { walwriterRole } from './role.ts';

await runRole('walwriter', walwriterRole);
