/** Stands in for the checkpointer: serves nothing, lives until it is told to stop. */
import { runRole } from '@pgtroupe/role/runrole';

await runRole('checkpointer', { start: async () => ({ stop: async () => {} }) });
