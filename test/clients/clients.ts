/**
 * What tests of real clients share: connections to a cluster, answers in one line, and a PostgreSQL 15 to
 * compare with where there is one.
 */
import { execFile, execFileSync } from 'node:child_process';
import { connect as connectSocket } from 'node:net';
import { promisify } from 'node:util';
import pg from 'pg';
import { oracleMissing, psql } from '@pgtroupe/testkit/oracle';
import type { TestCluster } from '@pgtroupe/testkit/test-cluster';
import { ORACLE_HOST, ORACLE_PORT } from '@pgtroupe/testkit/oracle-address';

export interface Server {
  readonly host: string;
  readonly port: number;
  readonly database: string;
}

export const ours = (cluster: TestCluster): Server => ({ host: '127.0.0.1', port: cluster.port, database: 'postgres' });

/** Why there is no PostgreSQL to compare with, or undefined. */
export const missingOracle = oracleMissing();

/** A database of its own, made anew, in the PostgreSQL to compare with. */
export function oracleDatabase(name: string): Server {
  psql(`drop database if exists ${name};\ncreate database ${name}`);
  return {
    host: ORACLE_HOST,
    port: ORACLE_PORT,
    database: name,
  };
}

export function dropOracleDatabase(name: string): void {
  psql(`drop database if exists ${name}`);
}

/** A connection whose end is nobody's error. */
export async function connect(server: Server): Promise<pg.Client> {
  const client = new pg.Client({ ...server, user: 'postgres' });
  client.on('error', () => {});
  await client.connect();
  return client;
}

/** Is a program there? */
export function hasProgram(name: string, ...probe: string[]): boolean {
  try {
    execFileSync(name, probe.length > 0 ? probe : ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Runs a client program against a server; answers what it printed, errors too. */
export async function runClient(
  program: string,
  args: readonly string[],
  server: Server,
  options: { readonly cwd?: string } = {},
): Promise<string> {
  const env = {
    ...process.env,
    PGHOST: server.host,
    PGPORT: String(server.port),
    PGUSER: 'postgres',
    PGDATABASE: server.database,
  };
  try {
    const { stdout, stderr } = await promisify(execFile)(program, args, {
      env,
      timeout: 30_000,
      maxBuffer: 1 << 26,
      ...options,
    });
    return stdout + stderr;
  } catch (error) {
    const { stdout, stderr, message } = error as { stdout?: string; stderr?: string; message: string };
    return `${stdout ?? ''}${stderr ?? message}`;
  }
}

export function cancelRequest(server: Server, pid: number, secret: number): void {
  const bytes = Buffer.alloc(16);
  bytes.writeInt32BE(16, 0);
  bytes.writeInt32BE(80_877_102, 4);
  bytes.writeInt32BE(pid, 8);
  bytes.writeInt32BE(secret, 12);
  connectSocket(server.port, server.host).end(bytes);
}
