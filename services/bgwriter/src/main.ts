/** The background writer's process. */
import { runRole } from '@pgtroupe/rpc/role/runrole';
import { bgwriterRole } from './role.ts';

await runRole('bgwriter', bgwriterRole);
