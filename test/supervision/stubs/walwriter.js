/** Stands in for the walwriter: serves nothing, lives until it is told to stop. */
import { runRole } from '@pgtroupe/rpc/role/runrole';

await runRole('walwriter', { start: async () => ({ stop: async () => {} }) });
