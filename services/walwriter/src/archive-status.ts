/**
 * pg_wal/archive_status: `<file>.ready` is to be archived, `<file>.done` is (xlogarchive.c, pgarch.c).
 *
 * Rules: a name is there before anybody is told; `.ready` becomes `.done` by renaming; both are durable, unlike
 * PostgreSQL's `.ready`, so that nothing is archived late after a power failure. A segment goes before its `.done`: what
 * a crash leaves of a name without a file is removed at the next start.
 */
import { type Disk, isMissing } from '@pgtroupe/actor/env';

const FOLDER = 'archive_status';
/** What may be archived: segments, partial ones, backup labels, timeline histories (VALID_XFN_CHARS). */
const STATUS_FILE = /^([0-9A-F]{8}(?:\.history|[0-9A-F]{16}(?:\.partial|\.[0-9A-F]{8}\.backup)?))\.(ready|done)$/;

export class ArchiveStatus {
  readonly #disk: Disk;
  readonly #ready = new Set<string>();
  readonly #done = new Set<string>();

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  /** Returns the status files that were removed, for there is no such file as they name. */
  async load(): Promise<string[]> {
    const orphans: string[] = [];
    let names: string[];
    try {
      names = await this.#disk.readdir(FOLDER);
    } catch (error) {
      if (!isMissing(error)) throw error;
      await this.#disk.mkdir(FOLDER);
      return orphans;
    }
    for (const name of names) {
      const [, file, status] = STATUS_FILE.exec(name) ?? [];
      if (file === undefined) continue;
      if (!file.endsWith('.history') && (await this.#disk.stat(file)) === undefined) {
        await this.#disk.unlink(`${FOLDER}/${name}`);
        orphans.push(name);
      } else (status === 'ready' ? this.#ready : this.#done).add(file);
    }
    // Between two steps of a rename that a crash cut short both may be there: it is archived once more.
    for (const file of this.#ready) this.#done.delete(file);
    return orphans;
  }

  isReady(file: string): boolean {
    return this.#ready.has(file);
  }

  isDone(file: string): boolean {
    return this.#done.has(file);
  }

  /** Is it announced, or archived? */
  has(file: string): boolean {
    return this.#ready.has(file) || this.#done.has(file);
  }

  /** History files before others, then the lowest name: that is the oldest. */
  next(): string | undefined {
    let first: string | undefined;
    for (const file of this.#ready) if (first === undefined || priority(file) < priority(first)) first = file;
    return first;
  }

  /** XLogArchiveNotify. Throws DiskError. */
  async notify(file: string): Promise<void> {
    const created = await this.#disk.open(path(file, 'ready'), 'create');
    await created.close();
    await this.#disk.syncDir(FOLDER);
    this.#ready.add(file);
  }

  /** pgarch_archiveDone. Throws DiskError. */
  async archived(file: string): Promise<void> {
    await this.#disk.rename(path(file, 'ready'), path(file, 'done'));
    await this.#disk.syncDir(FOLDER);
    this.#ready.delete(file);
    this.#done.add(file);
  }

  /** XLogArchiveCleanup: the file is gone. Throws DiskError. */
  async forget(file: string): Promise<void> {
    if (this.#done.delete(file)) await this.#disk.unlink(path(file, 'done'));
    if (this.#ready.delete(file)) await this.#disk.unlink(path(file, 'ready'));
  }
}

function priority(file: string): string {
  return `${file.endsWith('.history') ? 0 : 1}${file}`;
}

function path(file: string, status: 'ready' | 'done'): string {
  return `${FOLDER}/${file}.${status}`;
}
