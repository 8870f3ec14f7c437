/**
 * A disk that fails now and then: while it is in trouble, calls meet errors that disks and kernels have, chosen by
 * chance. What fails has done nothing. A file whose sync failed says "synced" to every later try and is not: the
 * kernel has dropped what it could not write, as Linux does.
 */
import { type Disk, DiskError, type DiskFile } from '@pgtroupe/actor/env';

export type DiskCall =
  | 'open'
  | 'open folder'
  | 'create'
  | 'read'
  | 'read file'
  | 'write'
  | 'sync'
  | 'truncate'
  | 'rename'
  | 'unlink'
  | 'mkdir'
  | 'readdir'
  | 'stat';

/** What each call may meet. A name that is said not to be there (ENOENT) is there again when the trouble is over, as
 *  on a file system that was not mounted for a while. */
export const TROUBLES: Readonly<Record<DiskCall, readonly string[]>> = {
  open: ['EMFILE', 'ENFILE', 'EIO', 'ENOENT'],
  // To sync it.
  'open folder': ['EMFILE', 'ENFILE', 'ENOENT'],
  create: ['EMFILE', 'ENOSPC', 'EIO', 'ENOENT'],
  read: ['EIO'],
  'read file': ['EMFILE', 'ENFILE', 'EIO', 'ENOENT'],
  write: ['ENOSPC', 'EIO'],
  sync: ['EIO'],
  truncate: ['EIO'],
  rename: ['ENOSPC', 'EIO', 'ENOENT'],
  unlink: ['EIO', 'ENOENT'],
  mkdir: ['ENOSPC', 'EIO', 'ENOENT'],
  readdir: ['EMFILE', 'ENFILE', 'EIO', 'ENOENT'],
  stat: ['EIO'],
};

/** `meet` is asked at every call: the error's code, or undefined for none. */
export function troubledDisk(
  disk: Disk,
  meet: (call: DiskCall, path: string) => string | undefined,
  /** Of a disk that several share, what was dropped is the disk's affair. */
  drop?: (path: string) => void,
): Disk {
  const dropped = new Set<string>();
  const met = (call: DiskCall, path: string): void => {
    const code = meet(call, path);
    if (code === undefined) return;
    if (call === 'sync') (drop ?? (p => dropped.add(p)))(path);
    throw new DiskError(code, path, `${code}: ${call} of ${path}`);
  };
  const file = (below: DiskFile, path: string): DiskFile => {
    const call = async <T>(name: DiskCall, run: () => Promise<T>): Promise<T> => {
      met(name, path);
      return run();
    };
    return {
      read: (into, position) => call('read', () => below.read(into, position)),
      write: (data, position) => call('write', () => below.write(data, position)),
      datasync: () => call('sync', async () => (dropped.has(path) ? undefined : below.datasync())),
      truncate: sizeBytes => call('truncate', () => below.truncate(sizeBytes)),
      sizeBytes: () => below.sizeBytes(),
      close: () => below.close(),
    };
  };
  const call = async <T>(name: DiskCall, path: string, run: () => Promise<T>): Promise<T> => {
    met(name, path);
    return run();
  };
  return {
    open: (path, mode) =>
      call(mode === 'create' ? 'create' : 'open', path, async () => file(await disk.open(path, mode), path)),
    readFile: path => call('read file', path, () => disk.readFile(path)),
    writeFile: (path, data, options) => call('write', path, () => disk.writeFile(path, data, options)),
    rename: (from, to) => call('rename', from, () => disk.rename(from, to)),
    unlink: path => call('unlink', path, () => disk.unlink(path)),
    mkdir: path => call('mkdir', path, () => disk.mkdir(path)),
    rmdir: path => disk.rmdir(path),
    readdir: path => call('readdir', path, () => disk.readdir(path)),
    stat: path => call('stat', path, () => disk.stat(path)),
    syncDir: path => call('open folder', path, () => call('sync', path, () => disk.syncDir(path))),
  };
}
