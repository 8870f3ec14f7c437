/**
 * Relation files (storage/smgr/md.c): forks in segments of 1 GB, read and written by page, extended with
 * zeros, truncated, unlinked, and synced. The only code that opens them.
 *
 * - Whatever was written since the last `syncAll` is synced by it, or by the next one if it fails; a handle that
 *   must be closed before is synced first, so that no error can get lost with it.
 * - Who knows which files were removed is this class: a file that is missing otherwise is an error, not a reason to
 *   forget that it must be synced (ProcessSyncRequests).
 * - A failed fsync ends the process (actor/sync-or-end.ts).
 * - A handle is closed when nobody uses it any more.
 */
import { DEFAULTTABLESPACE_OID, GLOBALTABLESPACE_OID } from '@pgtroupe/common/oids';
import { type Disk, type DiskFile, isMissing, isOutOfHandles } from '@pgtroupe/actor/env';
import { BLCKSZ, type ForkNumber, type RelFileNode, RELSEG_SIZE } from '@pgtroupe/common/ids';

const TABLESPACE_VERSION_DIRECTORY = 'PG_15_202209061';
const FORK_SUFFIX = ['', '_fsm', '_vm', '_init'] as const;
const MAX_OPEN_FILES = 400;
/** Files synced at once. A file system that commits its journal for one commits it for all; some of the threads are left
 *  to those who read. */
const CONCURRENT_SYNCS = 3;
const ZEROS = new Uint8Array(64 * BLCKSZ);

/** Of files: how many, how long one took, and all, of which several were at it at once. */
export interface Syncs {
  readonly files: number;
  readonly longestMs: number;
  readonly sumMs: number;
}

interface OpenFile {
  readonly file: Promise<DiskFile>;
  users: number;
  /** Who wants to close it and waits for its users. */
  whenIdle: (() => void) | undefined;
}

export function databasePath(spcNode: number, dbNode: number): string {
  if (spcNode === GLOBALTABLESPACE_OID) return 'global';
  if (spcNode === DEFAULTTABLESPACE_OID) return `base/${dbNode}`;
  return `pg_tblspc/${spcNode}/${TABLESPACE_VERSION_DIRECTORY}/${dbNode}`;
}

/** `base/5/16384_vm` */
export function relationPath(rnode: RelFileNode, fork: ForkNumber): string {
  return `${databasePath(rnode.spcNode, rnode.dbNode)}/${rnode.relNode}${FORK_SUFFIX[fork]}`;
}

function segmentPath(rnode: RelFileNode, fork: ForkNumber, segment: number): string {
  return segment === 0 ? relationPath(rnode, fork) : `${relationPath(rnode, fork)}.${segment}`;
}

export class StorageManager {
  readonly #disk: Disk;
  readonly #open = new Map<string, OpenFile>();
  /** Files and folders written and not synced since. */
  readonly #touched = new Set<string>();
  readonly #touchedFolders = new Set<string>();

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  /** Length in blocks; undefined when there is no such file. */
  async nblocks(rnode: RelFileNode, fork: ForkNumber): Promise<number | undefined> {
    for (let segment = 0; ; segment++) {
      const stat = await this.#disk.stat(segmentPath(rnode, fork, segment));
      if (stat === undefined && segment === 0) return undefined;
      const blocks = stat === undefined ? 0 : Math.floor(stat.sizeBytes / BLCKSZ);
      if (blocks < RELSEG_SIZE) return segment * RELSEG_SIZE + blocks;
    }
  }

  /** Bytes of a tablespace's files, or those of one database in it; undefined: there is no such folder. */
  folderBytes(spcNode: number, dbNode: number): Promise<number | undefined> {
    if (dbNode !== 0) return this.#bytesBelow(databasePath(spcNode, dbNode));
    return this.#bytesBelow(spcNode === DEFAULTTABLESPACE_OID ? 'base' : databasePath(spcNode, 0).replace(/\/0$/, ''));
  }

  async #bytesBelow(folder: string): Promise<number | undefined> {
    let bytes = 0;
    const names = await this.#disk.readdir(folder).catch((error: unknown) => {
      if (isMissing(error)) return undefined;
      throw error;
    });
    if (names === undefined) return undefined;
    for (const name of names) {
      // It may be gone since.
      const stat = await this.#disk.stat(`${folder}/${name}`);
      if (stat === undefined) continue;
      bytes += stat.sizeBytes;
      if (stat.directory) bytes += (await this.#bytesBelow(`${folder}/${name}`)) ?? 0;
    }
    return bytes;
  }

  async exists(rnode: RelFileNode, fork: ForkNumber): Promise<boolean> {
    return (await this.#disk.stat(relationPath(rnode, fork))) !== undefined;
  }

  /** Creates the fork's file unless it is there. A name that is there may not be durable yet: who
   *  created it may have died. */
  async create(rnode: RelFileNode, fork: ForkNumber): Promise<void> {
    const path = relationPath(rnode, fork);
    const folder = databasePath(rnode.spcNode, rnode.dbNode);
    this.#touchedFolders.add(folder);
    if ((await this.#disk.stat(path)) !== undefined) return;
    if ((await this.#disk.stat(folder)) === undefined) await this.#disk.mkdir(folder);
    const file = await this.#disk.open(path, 'create');
    await file.close();
    this.#touched.add(path);
    // Again: a sync may have come in between.
    this.#touchedFolders.add(folder);
  }

  async read(rnode: RelFileNode, fork: ForkNumber, blk: number, into: Uint8Array): Promise<number> {
    return this.#use(segmentPath(rnode, fork, Math.floor(blk / RELSEG_SIZE)), file =>
      file.read(into, (blk % RELSEG_SIZE) * BLCKSZ),
    );
  }

  async write(rnode: RelFileNode, fork: ForkNumber, blk: number, image: Uint8Array): Promise<void> {
    const path = segmentPath(rnode, fork, Math.floor(blk / RELSEG_SIZE));
    await this.#change(path, file => file.write(image, (blk % RELSEG_SIZE) * BLCKSZ));
  }

  /** Writes zeros to blocks [from, to): from here on a full disk cannot hit them. */
  async extend(rnode: RelFileNode, fork: ForkNumber, from: number, to: number): Promise<void> {
    for (let blk = from; blk < to; ) {
      const segment = Math.floor(blk / RELSEG_SIZE);
      const count = Math.min(to - blk, (segment + 1) * RELSEG_SIZE - blk, ZEROS.length / BLCKSZ);
      const path = segmentPath(rnode, fork, segment);
      if (segment > 0 && blk % RELSEG_SIZE === 0) await this.#createSegment(path, rnode);
      await this.#change(path, file => file.write(ZEROS.subarray(0, count * BLCKSZ), (blk % RELSEG_SIZE) * BLCKSZ));
      blk += count;
    }
  }

  async #createSegment(path: string, rnode: RelFileNode): Promise<void> {
    if ((await this.#disk.stat(path)) === undefined) {
      const file = await this.#disk.open(path, 'create');
      await file.close();
    }
    this.#touchedFolders.add(databasePath(rnode.spcNode, rnode.dbNode));
  }

  async truncate(rnode: RelFileNode, fork: ForkNumber, blocks: number): Promise<void> {
    for (let segment = Math.floor(blocks / RELSEG_SIZE); ; segment++) {
      const path = segmentPath(rnode, fork, segment);
      if ((await this.#disk.stat(path)) === undefined) return;
      const keep = Math.max(0, blocks - segment * RELSEG_SIZE);
      await this.#change(path, file => file.truncate(keep * BLCKSZ));
    }
  }

  /** Removes every segment of a fork. `keepFirst`: empties the first segment and leaves its name, so
   *  that the number is not given out again before the next checkpoint. The last one goes first: whoever is
   *  interrupted leaves none behind a gap, where nobody would look for it. */
  async unlink(rnode: RelFileNode, fork: ForkNumber, keepFirst: boolean): Promise<void> {
    let segments = 0;
    while ((await this.#disk.stat(segmentPath(rnode, fork, segments))) !== undefined) segments++;
    for (let segment = segments - 1; segment >= 0; segment--) {
      const path = segmentPath(rnode, fork, segment);
      if (segment === 0 && keepFirst) {
        await this.#change(path, file => file.truncate(0));
        // Its name goes with the next checkpoint, or by replay: what is in it need not be durable (mdunlinkfork).
        this.#touched.delete(path);
      } else await this.#unlinkPath(path);
    }
  }

  async #unlinkPath(path: string): Promise<void> {
    await this.#closeFile(path);
    this.#touched.delete(path);
    try {
      await this.#disk.unlink(path);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
    // Who was late has opened it once more.
    this.#touched.delete(path);
    await this.#closeFile(path);
  }

  /** Marks a file as possibly not durable: a predecessor may have written it and died. */
  suspect(rnode: RelFileNode, fork: ForkNumber, blk: number): void {
    this.#touched.add(segmentPath(rnode, fork, Math.floor(blk / RELSEG_SIZE)));
  }

  /** Makes everything written before the call durable. When it fails, what it did not come to is still to be synced. */
  async syncAll(nowMs: () => number): Promise<Syncs> {
    const paths = [...this.#touched];
    const syncs = { files: 0, longestMs: 0, sumMs: 0 };
    let next = 0;
    let failed = false;
    const some = async (): Promise<void> => {
      while (!failed && next < paths.length) {
        const path = paths[next++]!;
        // Removed meanwhile.
        if (!this.#touched.has(path)) continue;
        const beganMs = nowMs();
        try {
          await this.#take(this.#touched, path, () => this.#use(path, file => file.datasync()));
        } catch (error) {
          failed = true;
          throw error;
        }
        const ms = nowMs() - beganMs;
        syncs.files++;
        syncs.longestMs = Math.max(syncs.longestMs, ms);
        syncs.sumMs += ms;
      }
    };
    // Nobody is still at it when this returns.
    const ends = await Promise.allSettled(Array.from({ length: CONCURRENT_SYNCS }, some));
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
    for (const folder of [...this.#touchedFolders])
      await this.#take(this.#touchedFolders, folder, () => this.#disk.syncDir(folder));
    return syncs;
  }

  /** Syncs what it takes out of the set. */
  async #take(set: Set<string>, path: string, sync: () => Promise<void>): Promise<void> {
    // Now, and not afterwards: what is written meanwhile is for the next time.
    set.delete(path);
    try {
      await sync();
    } catch (error) {
      set.add(path);
      throw error;
    }
  }

  async close(): Promise<void> {
    for (const path of [...this.#open.keys()]) await this.#closeFile(path);
  }

  /** What cannot be opened is not changed, and need not be synced. */
  #change(path: string, work: (file: DiskFile) => Promise<void>): Promise<void> {
    return this.#use(path, file => {
      this.#touched.add(path);
      return work(file);
    });
  }

  async #use<T>(path: string, work: (file: DiskFile) => Promise<T>): Promise<T> {
    let open = this.#open.get(path);
    if (open === undefined) {
      open = { file: this.#openFile(path), users: 0, whenIdle: undefined };
      this.#open.set(path, open);
      open.file.catch(() => {
        if (this.#open.get(path) === open) this.#open.delete(path);
      });
    } else {
      // Least recently used first.
      this.#open.delete(path);
      this.#open.set(path, open);
    }
    open.users++;
    try {
      if (this.#open.size > MAX_OPEN_FILES) await this.#closeIdle();
      return await work(await open.file);
    } finally {
      if (--open.users === 0) open.whenIdle?.();
    }
  }

  /** Gives handles back until there is one for this file. */
  async #openFile(path: string): Promise<DiskFile> {
    for (;;) {
      try {
        return await this.#disk.open(path, 'write');
      } catch (error) {
        if (!isOutOfHandles(error) || !(await this.#closeIdle())) throw error;
      }
    }
  }

  /** Closes the file that was not used for longest. False: all are in use. */
  async #closeIdle(): Promise<boolean> {
    for (const [path, { users }] of this.#open) {
      if (users > 0) continue;
      await this.#closeFile(path);
      return true;
    }
    return false;
  }

  async #closeFile(path: string): Promise<void> {
    const open = this.#open.get(path);
    if (open === undefined) return;
    this.#open.delete(path);
    if (open.users > 0) {
      await new Promise<void>(resolve => {
        open.whenIdle = resolve;
      });
    }
    const file = await open.file;
    if (this.#touched.has(path)) await file.datasync();
    await file.close();
  }
}
