/** `pgtroupe initdb`: a new data directory. */
import { nodeClock, nodeRandom } from '@pgtroupe/actor/node/clock';
import { nodeDisk } from '@pgtroupe/actor/node/disk';
import { ereport, PgError } from '@pgtroupe/common/ereport';
import { initdb } from '../initdb/initdb.ts';
import type { CommandLine } from './args.ts';
import { say } from './console.ts';

export async function initdbCommand(line: CommandLine, dataDirectory: string): Promise<number> {
  const auth = line.values.get('auth');
  const authLocal = line.values.get('auth-local') ?? auth;
  const authHost = line.values.get('auth-host') ?? auth;
  const username = line.values.get('username');
  say(`creating data directory ${dataDirectory}`);
  try {
    const { systemIdentifier } = await initdb(
      { disk: nodeDisk(dataDirectory), clock: nodeClock, random: nodeRandom },
      {
        ...(username === undefined ? {} : { username }),
        ...(authLocal === undefined ? {} : { authLocal }),
        ...(authHost === undefined ? {} : { authHost }),
        noSync: line.flags.has('no-sync'),
      },
    );
    say(`data directory is ready, system identifier ${systemIdentifier}`);
  } catch (error) {
    if (error instanceof PgError) {
      throw ereport(error.sqlstate, `cannot create a cluster in "${dataDirectory}": ${error.message}`, error.fields);
    }
    throw error;
  }
  return 0;
}
