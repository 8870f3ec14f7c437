/** The checkpointer's process. */
import { runRole } from '@pgtroupe/role/runrole';
import { checkpointerRole } from './role.ts';

await runRole('checkpointer', checkpointerRole);
