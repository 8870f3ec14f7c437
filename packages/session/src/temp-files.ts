/**
 * Temporary files of sessions (fd.c), in the instance's scratch folder: what plans need beyond work_mem.
 *
 * A file loses its name as soon as it is open, so that its space is free when its handle is, whatever ends the process. What
 * a kill left between the two goes when the next instance of that name starts. A handle is closed when no read or
 * write is under way any more.
 */
import { DiskError, type DiskFile, type Env } from '@pgtroupe/actor/env';
import { ERRCODE, type Sqlstate } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { TempFile, TempFiles } from '@pgtroupe/executor/tempfile';
import type { Session } from './session.ts';

const FOLDER = 'pgsql_tmp';
const BYTES_PER_KB = 1024;

/** Once, before there are sessions. What goes wrong is told: they can do without. */
export async function removeTemporaryFiles({ disk, log }: Env): Promise<void> {
  try {
    if ((await disk.stat(FOLDER)) === undefined) return await disk.mkdir(FOLDER);
    for (const name of await disk.readdir(FOLDER)) await disk.unlink(`${FOLDER}/${name}`);
  } catch (error) {
    log.write('LOG', `could not clear directory "${FOLDER}": ${(error as Error).message}`);
  }
}

export class SessionTempFiles implements TempFiles {
  readonly session: Session;
  readonly #open = new Set<SessionTempFile>();
  #made = 0;
  /** Bytes of the files that are open. */
  bytes = 0;
  /** Of all files that were closed, for pg_stat_database. */
  closedFiles = 0;
  closedBytes = 0;

  constructor(session: Session) {
    this.session = session;
  }

  get open(): number {
    return this.#open.size;
  }

  create(): TempFile {
    const file = new SessionTempFile(this, `${FOLDER}/pgsql_tmp${this.session.pid}.${this.#made++}`);
    this.#open.add(file);
    return file;
  }

  /** Refused beyond temp_file_limit. */
  grow(bytes: number): void {
    const limit = this.session.settings.number('temp_file_limit');
    if (limit >= 0 && this.bytes + bytes > limit * BYTES_PER_KB) {
      throw ereport(ERRCODE.CONFIGURATION_LIMIT_EXCEEDED, `temporary file size exceeds temp_file_limit (${limit}kB)`);
    }
    this.bytes += bytes;
  }

  closed(file: SessionTempFile): void {
    if (!this.#open.delete(file)) return;
    const { name, size } = file;
    this.bytes -= size;
    this.closedFiles++;
    this.closedBytes += size;
    const { counts } = this.session.block.stat;
    counts.tempFiles++;
    counts.tempBytes += size;
    const least = this.session.settings.number('log_temp_files');
    if (least >= 0 && size / BYTES_PER_KB >= least)
      this.session.log.say(`temporary file: path "${name}", size ${size}`, { withStatement: true });
  }

  /** The session is over. */
  close(): void {
    for (const file of [...this.#open]) file.close();
  }
}

class SessionTempFile implements TempFile {
  readonly #files: SessionTempFiles;
  readonly name: string;
  size = 0;
  #handle: Promise<DiskFile> | undefined;
  /** Reads and writes under way. */
  #busy = 0;
  #closed = false;

  constructor(files: SessionTempFiles, name: string) {
    this.#files = files;
    this.name = name;
  }

  extend(bytes: number): void {
    if (bytes <= this.size) return;
    this.#files.grow(bytes - this.size);
    this.size = bytes;
  }

  async #opened(): Promise<DiskFile> {
    const { disk } = this.#files.session.instance.env;
    const handle = await disk.open(this.name, 'create');
    try {
      await disk.unlink(this.name);
    } catch (error) {
      await handle.close();
      throw error;
    }
    return handle;
  }

  write(data: Uint8Array, at: number): Promise<void> {
    return this.#use('write to', handle => handle.write(data, at));
  }

  async read(into: Uint8Array, at: number): Promise<void> {
    const read = await this.#use('read from', handle => handle.read(into, at));
    if (read < into.length) throw ereport(ERRCODE.IO_ERROR, `could not read from file "${this.name}": unexpected end`);
  }

  async #use<T>(doing: string, work: (handle: DiskFile) => Promise<T>): Promise<T> {
    this.#busy++;
    let what = 'create temporary file';
    try {
      const handle = await (this.#handle ??= this.#opened());
      what = `${doing} file`;
      return await work(handle);
    } catch (error) {
      throw fileError(what, this.name, error);
    } finally {
      if (--this.#busy === 0 && this.#closed) this.#letGo();
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#busy === 0) this.#letGo();
    this.#files.closed(this);
  }

  /** Nobody hears of what goes wrong with a file that is not wanted any more. */
  #letGo(): void {
    void this.#handle?.then(handle => handle.close()).catch(() => {});
  }
}

const SQLSTATES: Readonly<Record<string, Sqlstate>> = {
  ENOSPC: ERRCODE.DISK_FULL,
  EDQUOT: ERRCODE.DISK_FULL,
  EMFILE: ERRCODE.INSUFFICIENT_RESOURCES,
  ENFILE: ERRCODE.INSUFFICIENT_RESOURCES,
};
const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: 'No space left on device',
  EDQUOT: 'Disk quota exceeded',
  EMFILE: 'Too many open files',
  ENFILE: 'Too many open files in system',
  EIO: 'Input/output error',
};

function fileError(doing: string, name: string, error: unknown): unknown {
  if (!(error instanceof DiskError)) return error;
  const reason = REASONS[error.code] ?? error.message;
  return ereport(SQLSTATES[error.code] ?? ERRCODE.IO_ERROR, `could not ${doing} "${name}": ${reason}`);
}
