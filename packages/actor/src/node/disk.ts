/**
 * Disk over the file system of this machine, below one root folder.
 *
 * Paths that would leave the root are refused. Every error becomes a DiskError with its POSIX
 * name. A short write is continued; a write of nothing is ENOSPC.
 */
import {
  type FileHandle,
  mkdir,
  open,
  readFile,
  readdir,
  rename,
  rmdir,
  stat,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { constants, writeSync } from 'node:fs';
import { join, normalize } from 'node:path';
import type { Disk, DiskFile } from '../env.ts';
import { DiskError } from '../env.ts';

const OPEN_FLAGS = { read: 'r', write: 'r+', create: 'w+', durable: constants.O_RDWR | constants.O_DSYNC } as const;

/** A durable write up to this length is not handed to the thread pool. */
const SHORT_WRITE_BYTES = 256 * 1024;

function diskError(path: string, error: unknown): DiskError {
  const { code, message } = error as NodeJS.ErrnoException;
  return new DiskError(code ?? 'EIO', path, message);
}

async function named<T>(path: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw diskError(path, error);
  }
}

class NodeFile implements DiskFile {
  readonly #path: string;
  readonly #handle: FileHandle;
  readonly #durable: boolean;

  constructor(path: string, handle: FileHandle, durable: boolean) {
    this.#path = path;
    this.#handle = handle;
    this.#durable = durable;
  }

  async read(into: Uint8Array, positionBytes: number): Promise<number> {
    let done = 0;
    while (done < into.length) {
      const { bytesRead } = await named(
        this.#path,
        this.#handle.read(into, done, into.length - done, positionBytes + done),
      );
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return done;
  }

  async write(data: Uint8Array, positionBytes: number): Promise<void> {
    let done = this.#durable && data.length <= SHORT_WRITE_BYTES ? this.#writeNow(data, positionBytes) : 0;
    while (done < data.length) {
      const { bytesWritten } = await named(
        this.#path,
        this.#handle.write(data, done, data.length - done, positionBytes + done),
      );
      if (bytesWritten === 0) throw new DiskError('ENOSPC', this.#path, 'no space left on device');
      done += bytesWritten;
    }
  }

  /** In this thread: the pool's two hand-overs cost more than the disk, and whoever writes WAL has nothing to do
   *  before it is durable. */
  #writeNow(data: Uint8Array, positionBytes: number): number {
    try {
      return writeSync(this.#handle.fd, data, 0, data.length, positionBytes);
    } catch (error) {
      throw diskError(this.#path, error);
    }
  }

  datasync(): Promise<void> {
    return named(this.#path, this.#handle.datasync());
  }

  truncate(sizeBytes: number): Promise<void> {
    return named(this.#path, this.#handle.truncate(sizeBytes));
  }

  async sizeBytes(): Promise<number> {
    return (await named(this.#path, this.#handle.stat())).size;
  }

  close(): Promise<void> {
    return named(this.#path, this.#handle.close());
  }
}

export function nodeDisk(root: string): Disk {
  const at = (path: string): string => {
    const clean = normalize(path);
    if (clean.startsWith('/') || clean === '..' || clean.startsWith('../')) {
      throw new DiskError('EACCES', path, `path "${path}" leaves the root folder`);
    }
    return join(root, clean);
  };
  return {
    async open(path, mode) {
      return new NodeFile(path, await named(path, open(at(path), OPEN_FLAGS[mode], 0o600)), mode === 'durable');
    },
    readFile: path => named(path, readFile(at(path))),
    writeFile: (path, data, options) => named(path, writeFile(at(path), data, { mode: options?.mode ?? 0o600 })),
    rename: (from, to) => named(from, rename(at(from), at(to))),
    unlink: path => named(path, unlink(at(path))),
    mkdir: path => named(path, mkdir(at(path), { mode: 0o700 })),
    rmdir: path => named(path, rmdir(at(path))),
    readdir: path => named(path, readdir(at(path))),
    async stat(path) {
      try {
        const found = await stat(at(path));
        return { sizeBytes: found.size, directory: found.isDirectory() };
      } catch (error) {
        const code = (error as NodeJS.ErrnoException).code;
        if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
        throw diskError(path, error);
      }
    },
    async syncDir(path) {
      const handle = await named(path, open(at(path), 'r'));
      try {
        await named(path, handle.sync());
      } finally {
        await handle.close();
      }
    },
  };
}
