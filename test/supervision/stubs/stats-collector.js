/** Stands in for the stats-collector: serves nothing, lives until it is told to stop. */
import { runRole } from '@pgtroupe/role/runrole';

await runRole('stats-collector', { start: async () => ({ stop: async () => {} }) });
