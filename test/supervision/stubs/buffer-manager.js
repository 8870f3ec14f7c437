/** Stands in for the buffer-manager: serves nothing, lives until it is told to stop. */
import { runRole } from '@pgtroupe/role/runrole';

await runRole('buffer-manager', { start: async () => ({ stop: async () => {} }) });
