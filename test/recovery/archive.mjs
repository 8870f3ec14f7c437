/**
 * An archive of WAL segments that tells on itself: an archive_command that notes every run, what must be true of the
 * folder whatever was killed, and PostgreSQL 15 recovering the directory of before from it.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { appendFileSync, chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PG_BIN } from '../../packages/testkit/dist/oracle-address.js';
import { asOwner, freePort } from '../bench/servers.mjs';

const SEGMENT = /^[0-9A-F]{24}$/;
const FIRST = '000000010000000000000001';
const PATIENCE_SECONDS = 300;

export class Archive {
  /**
   * @param folder of the archive, the copy of the directory and the command
   * @param data a directory that no server has run on since initdb: it is copied
   */
  constructor(folder, data) {
    this.segments = join(folder, 'archive');
    this.base = join(folder, 'base');
    this.runs = join(folder, 'runs');
    const script = join(folder, 'archive.sh');
    this.settings = ['archive_mode=on', `archive_command=${script} %p %f`];
    cpSync(data, this.base, { recursive: true, dereference: true });
    mkdirSync(this.segments);
    writeFileSync(this.runs, '');
    // As PostgreSQL's documentation wants it: the same content under the same name is no error, other content is. Copied
    // aside first, so that a command whose archiver is killed leaves no half of a file.
    writeFileSync(
      script,
      `#!/bin/sh
if test -f ${this.segments}/$2; then
  if cmp -s $1 ${this.segments}/$2; then echo "again $2" >> ${this.runs}; exit 0; fi
  echo "other $2" >> ${this.runs}; exit 1
fi
cp $1 ${this.segments}/.$2.$$ && echo "first $2" >> ${this.runs} && mv ${this.segments}/.$2.$$ ${this.segments}/$2
`,
    );
    chmodSync(script, 0o755);
  }

  /** The names of the segments, in their order. */
  names() {
    return readdirSync(this.segments)
      .filter(name => SEGMENT.test(name))
      .sort();
  }

  /** Gaps, doubles and other contents, of what was archived until now. */
  problems() {
    const names = this.names();
    const problems = [];
    let expected = Number.parseInt(FIRST.slice(16), 16);
    for (const name of names) {
      const number = Number.parseInt(name.slice(16), 16);
      if (number !== expected) problems.push(`the archive goes from segment ${expected - 1} to ${number}`);
      expected = number + 1;
    }
    const told = readFileSync(this.runs, 'utf8').split('\n');
    problems.push(...told.filter(line => line.startsWith('other')).map(line => `archived twice: ${line}`));
    // A command whose archiver was killed goes on, and the next archiver may have begun the same file.
    const first = [...new Set(told.filter(line => line.startsWith('first')).map(line => line.slice('first '.length)))];
    if (first.join() !== names.join()) problems.push(`archived were ${first.join()}, there are ${names.join()}`);
    return problems;
  }

  /** pg_waldump reads it from end to end; the last line that it prints. */
  lastRecord() {
    const names = this.names();
    const { stdout, stderr, status } = spawnSync(
      join(PG_BIN, 'pg_waldump'),
      ['--quiet', '-p', this.segments, names[0], names.at(-1)],
      { encoding: 'utf8' },
    );
    if (status !== 0) throw new Error(`pg_waldump: ${stdout}${stderr}`);
    const dump = spawnSync(join(PG_BIN, 'pg_waldump'), ['-p', this.segments, names.at(-1)], {
      encoding: 'utf8',
      maxBuffer: 2 ** 29,
    });
    if (/UNKNOWN/.test(dump.stdout)) throw new Error('pg_waldump: UNKNOWN');
    return dump.stdout.trimEnd().split('\n').at(-1);
  }

  /**
   * PostgreSQL recovers the directory of before from the archive alone.
   * @param ask the server that it is then
   * @returns what `ask` returns
   */
  async recovered(ask) {
    const { base, segments } = this;
    writeFileSync(join(base, 'recovery.signal'), '');
    appendFileSync(join(base, 'postgresql.auto.conf'), `restore_command = 'cp ${segments}/%f %p'\n`);
    if (process.getuid() === 0) {
      execFileSync('chown', ['-R', 'postgres', base, segments]);
      chmodSync(join(base, '..'), 0o711);
    }
    const port = await freePort();
    const program = (name, ...args) =>
      execFileSync(...asOwner(join(PG_BIN, name), args), { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    const options = `-c listen_addresses=127.0.0.1 -c unix_socket_directories=${base} -p ${port} -c logging_collector=off`;
    const log = join(base, 'log');
    program('pg_ctl', 'start', '-w', '-t', String(PATIENCE_SECONDS), '-D', base, '-l', log, '-o', options);
    try {
      const psql = sql => program('psql', '-h', base, '-p', String(port), '-U', 'postgres', '-AXtc', sql).trimEnd();
      for (let tries = 0; psql('SELECT pg_is_in_recovery()') !== 'f'; tries++) {
        if (tries > 2 * PATIENCE_SECONDS) throw new Error('PostgreSQL does not come to the end of the archive');
        await new Promise(resolve => setTimeout(resolve, 500));
      }
      if (!/restored log file "0{7}10{15}1" from archive/.test(readFileSync(log, 'utf8')))
        throw new Error('PostgreSQL did not read the archive');
      return await ask({ host: '127.0.0.1', port, user: 'postgres', database: 'postgres' }, psql);
    } finally {
      program('pg_ctl', 'stop', '-m', 'fast', '-D', base);
    }
  }
}
