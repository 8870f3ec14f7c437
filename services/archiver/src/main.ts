/** The archiver's process. */
import { runRole } from '@pgtroupe/role/runrole';
import { archiverRole } from './role.ts';

await runRole('archiver', archiverRole);
