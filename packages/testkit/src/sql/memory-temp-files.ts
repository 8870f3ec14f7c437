/** Temporary files in memory, each read and write a turn of the event loop. */
import type { TempFile, TempFiles } from '@pgtroupe/executor/tempfile';
import { MemoryDisk } from '../sim/memory-disk.ts';

export class MemoryTempFiles implements TempFiles {
  readonly #disk = new MemoryDisk();
  /** Files that were made, and that are there. */
  made = 0;
  open = 0;
  bytes = 0;

  create(): TempFile {
    const opened = this.#disk.open(`${this.made++}`, 'create');
    this.open++;
    return {
      extend: bytes => void (this.bytes = Math.max(this.bytes, bytes)),
      write: async (data, at) => {
        await new Promise(resolve => setImmediate(resolve));
        await (await opened).write(data, at);
      },
      read: async (into, at) => {
        await new Promise(resolve => setImmediate(resolve));
        await (await opened).read(into, at);
      },
      close: () => void this.open--,
    };
  }
}
