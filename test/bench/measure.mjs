/**
 * Running pgbench and reading what it says.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { PG_BIN } from '../../packages/testkit/dist/oracle-address.js';

const run = promisify(execFile);

/** @returns transactions per second, how many there were, and mean latency in ms; throws when pgbench reports failures. */
export async function pgbench(server, args) {
  const { stdout, stderr } = await run(
    `${PG_BIN}/pgbench`,
    ['-h', server.host, '-p', String(server.port), '-U', server.user, ...args, server.database],
    { maxBuffer: 1 << 26 },
  );
  const tps = /^tps = ([\d.]+)/m.exec(stdout);
  const latency = /^latency average = ([\d.]+) ms/m.exec(stdout);
  const failed = /^number of failed transactions: (\d+)/m.exec(stdout);
  const processed = /^number of transactions actually processed: (\d+)/m.exec(stdout);
  if (tps === null || processed === null) throw new Error(`pgbench said no tps:\n${stdout}${stderr}`);
  if (failed !== null && failed[1] !== '0') throw new Error(`pgbench: ${failed[1]} transactions failed\n${stderr}`);
  return {
    tps: Number(tps[1]),
    transactions: Number(processed[1]),
    latencyMs: latency === null ? undefined : Number(latency[1]),
  };
}

/** One value. */
export async function ask(server, sql) {
  const { stdout } = await run(`${PG_BIN}/psql`, [
    '-XAtq',
    '-h',
    server.host,
    '-p',
    String(server.port),
    '-U',
    server.user,
    '-d',
    server.database,
    '-c',
    sql,
  ]);
  return stdout.trim();
}

export async function timed(work) {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
