/**
 * A disk whose failed fsync ends the process.
 *
 * After a failed fsync nobody knows what the disk holds: the kernel may have dropped what could not be written and
 * says so once. So it is never tried again; the process ends, and WAL that is known to be durable is replayed.
 * What fails before anything was tried (no handle could be had, the folder is gone) is an error like any other.
 */
import { type Disk, type DiskFile, isMissing, isOutOfHandles, methodsOf, type OpenMode } from './env.ts';

export function syncOrEnd(disk: Disk, end: (path: string, error: Error) => never): Disk {
  const syncing = async (path: string, work: Promise<void>): Promise<void> => {
    try {
      await work;
    } catch (error) {
      if (isMissing(error) || isOutOfHandles(error)) throw error;
      end(path, error as Error);
    }
  };
  return {
    ...methodsOf(disk),
    open: async (path, mode) => guarded(await disk.open(path, mode), path, mode, syncing),
    syncDir: path => syncing(path, disk.syncDir(path)),
  };
}

function guarded(
  file: DiskFile,
  path: string,
  mode: OpenMode,
  syncing: (path: string, work: Promise<void>) => Promise<void>,
): DiskFile {
  return {
    read: (into, position) => file.read(into, position),
    write:
      mode === 'durable'
        ? (data, position) => syncing(path, file.write(data, position))
        : (data, position) => file.write(data, position),
    datasync: () => syncing(path, file.datasync()),
    truncate: sizeBytes => file.truncate(sizeBytes),
    sizeBytes: () => file.sizeBytes(),
    close: () => file.close(),
  };
}
