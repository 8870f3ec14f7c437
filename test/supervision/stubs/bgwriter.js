/** Stands in for the bgwriter: serves nothing, lives until it is told to stop. */
import { runRole } from '@pgtroupe/role/runrole';

await runRole('bgwriter', { start: async () => ({ stop: async () => {} }) });
