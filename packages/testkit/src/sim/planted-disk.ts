/** Planted bugs of disks that fail for a while: an error that is not remembered, or not believed. */
import { ClogBuffers } from '@pgtroupe/buffer-manager/clog-buffers';
import { type Disk, type DiskFile, methodsOf } from '@pgtroupe/actor/env';
import { type PlantedBug, replace } from './planted.ts';

const NO_FILE: DiskFile = {
  read: async () => 0,
  write: async () => {},
  datasync: async () => {},
  truncate: async () => {},
  sizeBytes: async () => 0,
  close: async () => {},
};

/** A disk on which everything works out; `failed` is told what did not. */
function hopeful(disk: Disk, failed: (error: unknown) => void): Disk {
  const attempt = <T>(work: Promise<T>, instead: T): Promise<T> =>
    work.catch((error: unknown) => {
      failed(error);
      return instead;
    });
  return {
    ...methodsOf(disk),
    open: async (path, mode) => {
      const file = await attempt(disk.open(path, mode), NO_FILE);
      return {
        ...file,
        write: (data, position) => attempt(file.write(data, position), undefined),
        datasync: () => attempt(file.datasync(), undefined),
      };
    },
    syncDir: path => attempt(disk.syncDir(path), undefined),
  };
}

/** A checkpoint that meets an error counts as written what it did not write; the next one succeeds. */
const forgetDirty: PlantedBug = {
  name: 'checkpoint forgets what it could not write',
  faults: ['disk-trouble', 'checkpoint'],
  plant: () =>
    replace(
      ClogBuffers.prototype,
      'write',
      real =>
        async function (this: ClogBuffers, disk, flush) {
          const failures: unknown[] = [];
          await real.call(
            this,
            hopeful(disk, error => failures.push(error)),
            flush,
          );
          if (failures.length > 0) throw failures[0];
        },
    ),
};

/** A sync that failed is tried once more, and succeeds: there is nothing left to write. */
const syncAgain: PlantedBug = {
  name: 'failed fsync is tried again',
  faults: ['disk-trouble'],
  disk: (_role, disk) => ({
    ...methodsOf(disk),
    open: async (path, mode) => {
      const file = await disk.open(path, mode);
      return { ...file, datasync: () => file.datasync().catch(() => file.datasync()) };
    },
  }),
};

/** A folder that cannot be read has nothing in it: pg_wal is empty, so there is nothing to recover. */
const emptyFolder: PlantedBug = {
  name: 'folder that cannot be read is empty',
  faults: ['disk-trouble'],
  firstSeed: 41,
  disk: (_role, disk) => ({
    ...methodsOf(disk),
    readdir: path => disk.readdir(path).catch(() => []),
  }),
};

export const PLANTED_DISK: readonly PlantedBug[] = [forgetDirty, syncAgain, emptyFolder];
