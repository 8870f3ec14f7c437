/**
 * Writes postgresql.auto.conf: one at a time, a new file in the old one's place, durable before it is said to be. A
 * death on the way leaves the old file, and perhaps a postgresql.auto.conf.tmp that the next one overwrites.
 */
import { open, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { configFilesOfDisk } from '@pgtroupe/actor/node/datadir';
import { AUTO_CONF_HEADER, replaceAutoConfValue } from '@pgtroupe/common/auto_conf';
import { ERRCODE, type Sqlstate } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import { type ConfigItem, parseConfigFile } from '@pgtroupe/common/guc_file';

const AUTO_CONF = 'postgresql.auto.conf';
const TEMPORARY = `${AUTO_CONF}.tmp`;

export class AutoConfFile {
  readonly #dataDirectory: string;
  /** PostgreSQL's AutoFileLock: whoever comes waits for who was before. */
  #last: Promise<void> = Promise.resolve();

  constructor(dataDirectory: string) {
    this.#dataDirectory = dataDirectory;
  }

  /** An empty name takes everything out, no value this parameter. Throws PostgreSQL's errors, the file then being
   *  what it was (after a failed sync of the folder: what it was or what it was to be). */
  alter(name: string, value: string | undefined): Promise<void> {
    const done = this.#last.then(() => this.#alter(name, value));
    this.#last = done.catch(() => {});
    return done;
  }

  async #alter(name: string, value: string | undefined): Promise<void> {
    await this.#replace(name === '' ? AUTO_CONF_HEADER : replaceAutoConfValue(this.#present(), name, value));
  }

  #present(): readonly ConfigItem[] {
    const { items, complaints } = parseConfigFile(configFilesOfDisk(), join(this.#dataDirectory, AUTO_CONF), {
      optional: true,
    });
    if (complaints.length === 0) return items;
    throw ereport(ERRCODE.CONFIG_FILE_ERROR, `could not parse contents of file "${AUTO_CONF}"`);
  }

  async #replace(text: string): Promise<void> {
    const temporary = join(this.#dataDirectory, TEMPORARY);
    try {
      const file = await attempt('open', TEMPORARY, open(temporary, 'w', 0o600));
      try {
        await attempt('write to', TEMPORARY, file.writeFile(text));
        await attempt('fsync', TEMPORARY, file.sync());
      } finally {
        await file.close();
      }
      const target = join(this.#dataDirectory, AUTO_CONF);
      await attempt(`rename file "${TEMPORARY}" to`, AUTO_CONF, rename(temporary, target));
      const folder = await attempt('open', '.', open(this.#dataDirectory, 'r'));
      try {
        await attempt('fsync', '.', folder.sync());
      } finally {
        await folder.close();
      }
    } catch (error) {
      await unlink(temporary).catch(() => {});
      throw error;
    }
  }
}

const SQLSTATES: Readonly<Record<string, Sqlstate>> = {
  EACCES: ERRCODE.INSUFFICIENT_PRIVILEGE,
  EPERM: ERRCODE.INSUFFICIENT_PRIVILEGE,
  EROFS: ERRCODE.INSUFFICIENT_PRIVILEGE,
  EISDIR: ERRCODE.WRONG_OBJECT_TYPE,
  ENOENT: ERRCODE.UNDEFINED_FILE,
  ENOSPC: ERRCODE.DISK_FULL,
};

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'Permission denied',
  EPERM: 'Operation not permitted',
  EROFS: 'Read-only file system',
  EISDIR: 'Is a directory',
  EIO: 'Input/output error',
  ENOENT: 'No such file or directory',
  ENOSPC: 'No space left on device',
};

async function attempt<T>(doing: string, file: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    const what = doing.startsWith('rename') ? `${doing} "${file}"` : `${doing} file "${file}"`;
    throw ereport(SQLSTATES[code] ?? ERRCODE.IO_ERROR, `could not ${what}: ${REASONS[code] ?? message}`);
  }
}
