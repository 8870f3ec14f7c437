/** A folder of a disk as a disk of its own. */
import type { Disk } from '@pgtroupe/actor/env';

export function folderOf(disk: Disk, folder: string): Disk {
  if (folder === '.') return disk;
  const at = (path: string): string => (path === '.' || path === '' ? folder : `${folder}/${path}`);
  return {
    open: (path, mode) => disk.open(at(path), mode),
    readFile: path => disk.readFile(at(path)),
    writeFile: (path, data, options) => disk.writeFile(at(path), data, options),
    rename: (from, to) => disk.rename(at(from), at(to)),
    unlink: path => disk.unlink(at(path)),
    mkdir: path => disk.mkdir(at(path)),
    rmdir: path => disk.rmdir(at(path)),
    readdir: path => disk.readdir(at(path)),
    stat: path => disk.stat(at(path)),
    syncDir: path => disk.syncDir(at(path)),
  };
}
