/**
 * Which broker the cast talks through: `PGTROUPE_NATS_URL`, else a nats-server on the PATH, else the
 * bundled one. What was chosen stays for as long as the run directory (a restarted postmaster must tell the
 * same to everybody), with a random token that only the owner can read.
 */
import { randomBytes } from 'node:crypto';
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { writeAtomically } from '@pgtroupe/actor/node/rundir';

export interface BrokerChoice {
  readonly kind: 'role' | 'program' | 'elsewhere';
  readonly url: string;
  readonly tokenFile: string;
  /** nats-server's path. */
  readonly program?: string;
}

export const URL_VARIABLE = 'PGTROUPE_NATS_URL';

export async function chooseBroker(
  runDirectory: string,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<BrokerChoice> {
  const tokenFile = join(runDirectory, 'broker.token');
  const given = environment[URL_VARIABLE];
  if (given !== undefined && given !== '') {
    const url = new URL(given.includes('://') ? given : `nats://${given}`);
    writeAtomically(tokenFile, decodeURIComponent(url.username));
    return { kind: 'elsewhere', url: url.host, tokenFile };
  }
  const remembered = join(runDirectory, 'broker.json');
  if (existsSync(remembered) && existsSync(tokenFile)) {
    return { ...(JSON.parse(readFileSync(remembered, 'utf8')) as BrokerChoice), tokenFile };
  }
  writeAtomically(tokenFile, randomBytes(32).toString('hex'));
  const program =
    environment['PGTROUPE_BROKER'] === 'bundled' ? undefined : findProgram('nats-server', environment['PATH']);
  const url = `127.0.0.1:${await freePort()}`;
  const choice: BrokerChoice =
    program === undefined ? { kind: 'role', url, tokenFile } : { kind: 'program', url, tokenFile, program };
  writeAtomically(remembered, JSON.stringify(choice));
  return choice;
}

/** Writes nats-server's configuration (the token must not stand on a command line). */
export function natsServerArguments(choice: BrokerChoice, runDirectory: string): string[] {
  const token = readFileSync(choice.tokenFile, 'utf8').trim();
  const path = join(runDirectory, 'nats-server.conf');
  const [host, port] = choice.url.split(':');
  writeAtomically(
    path,
    [
      `listen: "${host}:${port}"`,
      `server_name: "pgtroupe"`,
      `authorization { token: "${token}" }`,
      `max_pending: 8MB`,
      `log_file: "${join(runDirectory, 'nats-server.log')}"`,
      '',
    ].join('\n'),
  );
  return ['-c', path];
}

function findProgram(name: string, path: string | undefined): string | undefined {
  for (const folder of (path ?? '').split(delimiter)) {
    if (folder === '') continue;
    try {
      accessSync(join(folder, name), constants.X_OK);
      return join(folder, name);
    } catch {
      // Not here.
    }
  }
  return undefined;
}

/** A port nobody listens on now. Whoever takes it before our broker does makes the broker's start fail. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise(resolve => server.close(resolve));
  return port;
}
