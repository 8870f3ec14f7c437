/**
 * PostgreSQL 15 as judge of a copy of the data directory: pg_checksums, then its server on the copy, pg_amcheck, and
 * every question that the ledgers ask.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PG_BIN } from '../../packages/testkit/dist/oracle-address.js';
import { asOwner, freePort } from '../bench/servers.mjs';

/** @param ask asks the server on the copy and returns what is wrong
 *  @param clean after a clean stop the checksums of all pages are looked at before anything else */
export async function judgeCopy(data, { clean, ask }) {
  const folder = mkdtempSync(join(tmpdir(), 'pgtroupe-judge-'));
  const copy = join(folder, 'data');
  const program = (name, ...args) =>
    execFileSync(...asOwner(join(PG_BIN, name), args), { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  let started = false;
  try {
    cpSync(data, copy, { recursive: true, dereference: true });
    if (process.getuid() === 0) execFileSync('chown', ['-R', 'postgres', folder]);
    chmodSync(folder, 0o755);
    // What a kill -9 leaves. The first line of the one is of a process of another kind, the rest are no files of PostgreSQL's.
    for (const name of existsSync(join(copy, 'postmaster.pid')) ? ['postmaster.pid'] : []) rmSync(join(copy, name));
    if (clean) program('pg_checksums', '--check', '-D', copy);
    const port = await freePort();
    const options = `-p ${port} -k ${folder} -c listen_addresses=127.0.0.1`;
    program('pg_ctl', '-D', copy, '-w', '-t', '120', '-l', join(folder, 'log'), '-o', options, 'start');
    started = true;
    const server = { host: '127.0.0.1', port, user: 'postgres', database: 'postgres' };
    const problems = await ask(server);
    try {
      program('pg_amcheck', '-h', folder, '-p', String(port), '--install-missing', '--heapallindexed', 'postgres');
    } catch (error) {
      problems.push(`pg_amcheck: ${error.stdout}${error.stderr}`);
    }
    program('pg_ctl', '-D', copy, '-m', 'fast', '-w', 'stop');
    started = false;
    program('pg_checksums', '--check', '-D', copy);
    return problems;
  } catch (error) {
    return [`PostgreSQL: ${error.message} ${error.stdout ?? ''}${error.stderr ?? ''}`];
  } finally {
    if (started) program('pg_ctl', '-D', copy, '-m', 'immediate', '-w', 'stop');
    rmSync(folder, { recursive: true, force: true });
  }
}
