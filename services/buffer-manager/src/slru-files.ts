/** Segment files of one SLRU (access/transam/slru.c): 32 pages of 8 kB each, named by their number. */
import type { Disk, DiskFile } from '@pgtroupe/actor/env';
import { slruFile } from '@pgtroupe/transam/clog';

export interface SlruPageImage {
  /** Of the page, from the log's beginning. */
  readonly number: number;
  readonly bytes: Uint8Array;
}

/** Writes and syncs the pages. `creating` is called before a file is made: its name is not durable then. */
export async function writeSlruPages(
  disk: Disk,
  folder: string,
  pages: readonly SlruPageImage[],
  creating: () => void,
): Promise<void> {
  const files = new Map<string, DiskFile>();
  try {
    for (const { number, bytes } of pages) {
      const { path, positionBytes } = slruFile(folder, number);
      let file = files.get(path);
      if (file === undefined) {
        const exists = (await disk.stat(path)) !== undefined;
        if (!exists) creating();
        file = await disk.open(path, exists ? 'write' : 'create');
        files.set(path, file);
      }
      await file.write(bytes, positionBytes);
    }
    for (const file of files.values()) await file.datasync();
  } finally {
    for (const file of files.values()) await file.close();
  }
}
