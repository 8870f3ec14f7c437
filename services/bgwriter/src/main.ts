/** The background writer's process. */
import { runRole } from '@pgtroupe/role/runrole';
import { bgwriterRole } from './role.ts';

await runRole('bgwriter', bgwriterRole);
