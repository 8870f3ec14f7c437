/** The `pgtroupe` command. */
import { resolve } from 'node:path';
import { troubleOf } from '@pgtroupe/actor/node/trouble';
import { type CommandLine, parseCommandLine, UsageError } from './args.ts';
import { complain, say } from './console.ts';
import { reloadCommand, statusCommand, stopCommand } from './control.ts';
import { initdbCommand } from './initdb.ts';
import { sqlCommand } from './sql.ts';
import { keepCommand, keepDetached, startCommand } from './start.ts';

const USAGE = `pgtroupe: a PostgreSQL 15-compatible server taken apart

  pgtroupe initdb  [-D DIR] [-U USER] [-A METHOD]     create a data directory
  pgtroupe start   [-D DIR] [-p PORT] [-h ADDRESSES] [-c name=value]… [-d [-l FILE]]
                                                      run in the foreground; -d: in the background
  pgtroupe stop    [-D DIR] [-m smart|fast|immediate]
  pgtroupe status  [-D DIR] [--json]                  every process with role, pid and state
  pgtroupe reload  [-D DIR]                           read the configuration files again
  pgtroupe sql     [-D DIR] [-U USER] [--dbname NAME] [-t] "SELECT …"

DIR is ./pgdata unless -D or PGDATA says otherwise. Ctrl-C is a fast shutdown, SIGTERM smart,
SIGQUIT immediate.`;
const EXIT_USAGE = 2;

async function run(line: CommandLine): Promise<number> {
  const dataDirectory = resolve(line.dataDirectory);
  switch (line.verb) {
    case 'initdb':
      return initdbCommand(line, dataDirectory);
    case 'start':
      return startCommand(line, dataDirectory);
    case 'stop':
      return stopCommand(line, dataDirectory);
    case 'status':
      return statusCommand(line, dataDirectory);
    case 'reload':
      return reloadCommand(dataDirectory);
    case 'sql':
      return sqlCommand(line, dataDirectory);
    case 'keep':
      // Not for people: `keep` is the detached keeper, `keep PID` watches a postmaster that has none.
      return line.words[0] === undefined
        ? keepDetached(dataDirectory, line.settings)
        : keepCommand(dataDirectory, Number(line.words[0]), line.settings);
    default:
      throw new UsageError(line.verb === '' ? 'which command?' : `unknown command "${line.verb}"`);
  }
}

try {
  const line = parseCommandLine(process.argv.slice(2), process.env);
  if (line.flags.has('help') || line.verb === 'help') say(USAGE);
  else if (line.flags.has('version')) say('pgtroupe 0.1.0 (PostgreSQL 15 compatible)');
  else process.exitCode = await run(line);
} catch (error) {
  if (error instanceof UsageError) {
    complain({ message: error.message });
    process.stderr.write(`${USAGE}\n`);
    process.exitCode = EXIT_USAGE;
  } else {
    complain(troubleOf(error));
    process.exitCode = 1;
  }
}
// Channels to detached processes must not keep us.
process.exit();
