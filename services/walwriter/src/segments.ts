/**
 * The files of pg_wal: 16 MB segments, zero-filled and fsynced before WAL may go into them.
 *
 * Rules: a segment gets its name only when its content is durable (written as `xlogtemp.<n>`, then
 * renamed, then the folder synced); a segment is never written before it has its name; a failed fsync
 * ends the process (the disk is one of actor/sync-or-end.ts).
 */
import { type Disk, DiskError, type DiskFile } from '@pgtroupe/actor/env';
import type { TimeLineID } from '@pgtroupe/common/ids';
import type { Failpoint } from '@pgtroupe/actor/failpoint';
import { WalCounts } from './wal-counts.ts';
import {
  parseXLogFileName,
  SIZE_OF_XLOG_LONG_PHD,
  writePageHeader,
  XLOG_SEG_SIZE,
  xlogFileName,
} from '@pgtroupe/transam/xlogpage';

const ZEROS = new Uint8Array(1024 * 1024);
const FOLDER = '';

interface OpenSegment {
  readonly file: DiskFile;
  /** The same file, each write of which is durable; opened when first wanted. */
  durable: DiskFile | undefined;
  unsynced: boolean;
}

export class Segments {
  readonly #disk: Disk;
  readonly #failpoint: Failpoint;
  readonly #tli: number;
  /** Numbers of the segments there are. */
  readonly #present = new Set<number>();
  readonly #open = new Map<number, OpenSegment>();
  #temporaries = 0;
  systemIdentifier = 0n;

  readonly counts = new WalCounts();

  constructor(disk: Disk, tli: number, failpoint: Failpoint) {
    this.#disk = disk;
    this.#tli = tli;
    this.#failpoint = failpoint;
  }

  /** Learns what is there and makes it durable: a predecessor may have died between write and sync. */
  async load(): Promise<void> {
    for (const name of await this.#disk.readdir(FOLDER)) {
      const segment = parseXLogFileName(name);
      if (segment?.tli === this.#tli) this.#present.add(segment.segno);
      else if (name.startsWith('xlogtemp.')) await this.#disk.unlink(name);
    }
    for (const segno of this.#present) {
      const file = await this.#disk.open(this.name(segno), 'write');
      await file.datasync();
      await file.close();
    }
    await this.#disk.syncDir(FOLDER);
  }

  has(segno: number): boolean {
    return this.#present.has(segno);
  }

  /** The first segment number there is; undefined in an empty folder. */
  get oldest(): number | undefined {
    return this.#present.size === 0 ? undefined : Math.min(...this.#present);
  }

  async write(data: Uint8Array, pos: number): Promise<void> {
    const segment = await this.#segment(Math.floor(pos / XLOG_SEG_SIZE));
    segment.unsynced = true;
    await segment.file.write(data, pos % XLOG_SEG_SIZE);
    this.counts.written();
  }

  /** Writes and makes durable in one go (everything before is durable already). */
  async writeDurably(data: Uint8Array, pos: number): Promise<void> {
    const segno = Math.floor(pos / XLOG_SEG_SIZE);
    const segment = await this.#segment(segno);
    segment.durable ??= await this.#disk.open(this.name(segno), 'durable');
    await segment.durable.write(data, pos % XLOG_SEG_SIZE);
    this.counts.written();
    this.counts.synced();
  }

  /** Is there anything written and not durable? */
  get unsynced(): boolean {
    for (const segment of this.#open.values()) if (segment.unsynced) return true;
    return false;
  }

  /** Makes everything written durable. */
  async datasync(): Promise<void> {
    for (const segment of this.#open.values()) {
      if (!segment.unsynced) continue;
      segment.unsynced = false;
      await segment.file.datasync();
      this.counts.synced();
    }
  }

  /** Bytes from `pos` on, to the end of its segment at most; empty when there is no such segment. */
  async read(pos: number, length: number): Promise<Uint8Array> {
    const segno = Math.floor(pos / XLOG_SEG_SIZE);
    if (!this.#present.has(segno)) return ZEROS.subarray(0, 0);
    const { file } = await this.#segment(segno);
    const into = new Uint8Array(Math.min(length, XLOG_SEG_SIZE - (pos % XLOG_SEG_SIZE)));
    return into.subarray(0, await file.read(into, pos % XLOG_SEG_SIZE));
  }

  /** Makes a segment of zeros. Throws DiskError ENOSPC when the disk is full, leaving nothing behind. */
  async create(segno: number): Promise<void> {
    if (this.#present.has(segno)) return;
    const temporary = `xlogtemp.${this.#temporaries++}`;
    try {
      const file = await this.#disk.open(temporary, 'create');
      try {
        for (let at = 0; at < XLOG_SEG_SIZE; at += ZEROS.length) await file.write(ZEROS, at);
        await file.write(this.#blankHeader(), 0);
        await file.datasync();
      } finally {
        await file.close();
      }
      await this.#failpoint('walwriter-before-segment-rename');
      await this.#rename(temporary, segno);
    } catch (error) {
      // As a rule it is no longer there under this name when only the last step failed.
      if (error instanceof DiskError) await this.#disk.unlink(temporary).catch(() => {});
      throw error;
    }
  }

  /** A page header that says "recycled" (its address is not the segment's) and how long segments are:
   *  pg_waldump learns the segment size from whichever file it finds first. */
  #blankHeader(): Uint8Array {
    const header = new Uint8Array(SIZE_OF_XLOG_LONG_PHD);
    writePageHeader(header, 0, 0, { systemIdentifier: this.systemIdentifier, tli: this.#tli as TimeLineID }, 0);
    return header;
  }

  /** Wipes everything behind `pos`: the rest of its segment, and later segments altogether. Returns their numbers. */
  async wipeBehind(pos: number): Promise<number[]> {
    const segno = Math.floor(pos / XLOG_SEG_SIZE);
    const wiped = [...this.#present].filter(n => n >= segno);
    for (const later of wiped) if (later > segno) await this.remove(later);
    if (!this.#present.has(segno)) return wiped;
    const { file } = await this.#segment(segno);
    const end = (segno + 1) * XLOG_SEG_SIZE;
    for (let at = pos; at < end; at += ZEROS.length) {
      await file.write(ZEROS.subarray(0, Math.min(ZEROS.length, end - at)), at % XLOG_SEG_SIZE);
    }
    await file.datasync();
    await this.#disk.syncDir(FOLDER);
    return wiped;
  }

  /** Numbers below `segno`, oldest first. */
  before(segno: number): number[] {
    return [...this.#present].filter(n => n < segno).sort((a, b) => a - b);
  }

  async recycle(from: number, to: number): Promise<void> {
    await this.#closeFile(from);
    await this.#rename(this.name(from), to);
    this.#present.delete(from);
  }

  async remove(segno: number): Promise<void> {
    await this.#closeFile(segno);
    await this.#disk.unlink(this.name(segno));
    this.#present.delete(segno);
  }

  async syncFolder(): Promise<void> {
    await this.#disk.syncDir(FOLDER);
  }

  async close(): Promise<void> {
    await this.datasync();
    for (const segno of [...this.#open.keys()]) await this.#closeFile(segno);
  }

  /** Closes files that will not be written again. */
  async closeBefore(segno: number): Promise<void> {
    for (const [open, { unsynced }] of this.#open) if (open < segno && !unsynced) await this.#closeFile(open);
  }

  async #closeFile(segno: number): Promise<void> {
    const segment = this.#open.get(segno);
    if (segment === undefined) return;
    this.#open.delete(segno);
    await segment.file.close();
    await segment.durable?.close();
  }

  async #rename(from: string, segno: number): Promise<void> {
    await this.#disk.rename(from, this.name(segno));
    await this.#disk.syncDir(FOLDER);
    this.#present.add(segno);
  }

  async #segment(segno: number): Promise<OpenSegment> {
    let segment = this.#open.get(segno);
    if (segment === undefined) {
      segment = { file: await this.#disk.open(this.name(segno), 'write'), durable: undefined, unsynced: false };
      this.#open.set(segno, segment);
    }
    return segment;
  }

  name(segno: number): string {
    return xlogFileName(this.#tli, segno);
  }
}
