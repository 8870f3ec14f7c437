/**
 * pg_stat_archiver's counters. They are the walwriter's because it sees both ends of archiving and has a folder that
 * lasts. Kept in a small file beside the status files, which PostgreSQL passes over;
 * it is not synced, so that a power failure may cost the last ones.
 */
import { type Clock, type Disk, DiskError } from '@pgtroupe/actor/env';
import type { ArchiverCounts } from '@pgtroupe/rpc/generated/walwriter';

const FILE = 'archive_status/archiver.stat';
const NEXT_FILE = 'archive_status/archiver.stat.tmp';

export class ArchiveStatistics {
  readonly #disk: Disk;
  readonly #clock: Clock;
  #saving: Promise<void> = Promise.resolve();
  #counts: ArchiverCounts;
  onChange: () => void = () => {};

  constructor(disk: Disk, clock: Clock) {
    this.#disk = disk;
    this.#clock = clock;
    this.#counts = this.#fresh();
  }

  get counts(): ArchiverCounts {
    return this.#counts;
  }

  async load(): Promise<void> {
    try {
      const text = Buffer.from(await this.#disk.readFile(FILE)).toString();
      this.#counts = { ...this.#counts, ...(JSON.parse(text) as Partial<ArchiverCounts>) };
    } catch (error) {
      // None yet, or half of one.
      if (!(error instanceof DiskError || error instanceof SyntaxError)) throw error;
    }
  }

  archived(file: string): void {
    const { archivedCount } = this.#counts;
    const now = this.#clock.wallMicros();
    this.#set({ ...this.#counts, archivedCount: archivedCount + 1, lastArchivedWal: file, lastArchivedTime: now });
  }

  failed(file: string): void {
    const { failedCount } = this.#counts;
    const now = this.#clock.wallMicros();
    this.#set({ ...this.#counts, failedCount: failedCount + 1, lastFailedWal: file, lastFailedTime: now });
  }

  reset(): void {
    this.#set(this.#fresh());
  }

  /** Resolves when the last counters are in the file, or could not be written. */
  saved(): Promise<void> {
    return this.#saving;
  }

  #fresh(): ArchiverCounts {
    return {
      archivedCount: 0,
      lastArchivedWal: '',
      lastArchivedTime: 0,
      failedCount: 0,
      lastFailedWal: '',
      lastFailedTime: 0,
      statsReset: this.#clock.wallMicros(),
    };
  }

  #set(counts: ArchiverCounts): void {
    this.#counts = counts;
    this.#saving = this.#saving.then(() => this.#save());
    this.onChange();
  }

  async #save(): Promise<void> {
    try {
      await this.#disk.writeFile(NEXT_FILE, Buffer.from(JSON.stringify(this.#counts)));
      await this.#disk.rename(NEXT_FILE, FILE);
    } catch (error) {
      // A full disk: the next one is written whole.
      if (!(error instanceof DiskError)) throw error;
    }
  }
}
