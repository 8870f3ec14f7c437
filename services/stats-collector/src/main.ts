/** The stats-collector's process. */
import { runRole } from '@pgtroupe/role/runrole';
import { statsCollectorRole } from './role.ts';

await runRole('stats-collector', statsCollectorRole);
