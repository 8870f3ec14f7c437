/** The walwriter's process. */
import { runRole } from '@pgtroupe/role/runrole';
import { walwriterRole } from './role.ts';

await runRole('walwriter', walwriterRole);
