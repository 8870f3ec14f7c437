/**
 * A role that writes into the data directory keeps others out of it while it has no postmaster.
 *
 * PostgreSQL looks at one thing it can see of us: whether the process in the first line of postmaster.pid lives. So a
 * role that finds a dead one there puts itself into it. Whoever reads the file before that and takes it for a
 * leftover writes a file of his own; so the role looks again and again, and a file that is not its cast's means that
 * somebody else has the directory: the role must end at once, as it is, without another write.
 */
import { linkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type DataDirectoryLock, lockForRole, readPidFile, replaceDeadPid } from './pidfile.ts';
import { processAt } from './process.ts';

export class DirectoryGuard {
  readonly #dataDirectory: string;
  readonly #runDirectory: string;
  readonly #role: string;
  #lock: DataDirectoryLock | undefined;

  constructor(options: { readonly dataDirectory: string; readonly runDirectory: string; readonly role: string }) {
    this.#dataDirectory = options.dataDirectory;
    this.#runDirectory = options.runDirectory;
    this.#role = options.role;
  }

  /** Throws when another cast, or PostgreSQL, is there. */
  async enter(): Promise<void> {
    this.#lock = await lockForRole(this.#dataDirectory, this.#runDirectory, this.#role);
  }

  leave(): void {
    this.#lock?.release();
  }

  /** Another process of the cast writes here. */
  isShared(): boolean {
    return this.#lock?.isShared() === true;
  }

  /** While there is no postmaster. False: the directory is somebody else's now. */
  holds(): boolean {
    const file = readPidFile(this.#dataDirectory);
    if (file === undefined) return this.#create();
    if (file.runDirectory !== this.#runDirectory) return false;
    if (processAt(file.pid) === undefined) replaceDeadPid(this.#dataDirectory, file.pid);
    return true;
  }

  /** postmaster.pid is gone. False: it has just been made by somebody else. */
  #create(): boolean {
    const path = join(this.#dataDirectory, 'postmaster.pid');
    const temporary = `${path}.${process.pid}`;
    const lines = [process.pid, this.#dataDirectory, 0, 0, '', '', '', 'stopping', this.#runDirectory];
    writeFileSync(temporary, `${lines.join('\n')}\n`, { mode: 0o600 });
    try {
      linkSync(temporary, path);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      // Of our own cast, perhaps: it is looked at again.
      return readPidFile(this.#dataDirectory)?.runDirectory === this.#runDirectory;
    } finally {
      unlinkSync(temporary);
    }
  }
}
