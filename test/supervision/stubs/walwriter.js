/** Stands in for the walwriter: serves nothing, lives until it is told to stop. */
import { runRole } from '@pgtroupe/role/runrole';

await runRole('walwriter', { start: async () => ({ stop: async () => {} }) });
