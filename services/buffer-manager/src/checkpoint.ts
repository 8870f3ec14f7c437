/**
 * Carrying out a checkpoint (CreateCheckPoint in xlog.c). The checkpointer sets the pace:
 *
 *   begin   force-FPI window; redo point; the counters that go into the record; the list of pages
 *           with changes before redo
 *   write   the next pages of the list
 *   finish  pg_xact, pg_multixact, free space maps, sync of all files written, RUNNING_XACTS, the checkpoint record,
 *           its flush, pg_control, unlinks, WAL recycling
 *
 * Everything that WAL before redo describes is durable in the files before the record is written
 * (invariant 12); whoever dies in between leaves the previous checkpoint in force. A checkpoint that meets an
 * error forgets nothing: what was not written is dirty still, what was not synced is still to be synced.
 */
import { type Clock, type Disk, DiskError, type Log } from '@pgtroupe/actor/env';
import type { Failpoint } from '@pgtroupe/actor/failpoint';
import {
  type FullTransactionId,
  type Oid,
  type RelFileNode,
  type TransactionId,
  type XLogRecPtr,
  xidFromFull,
} from '@pgtroupe/common/ids';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { type CheckPoint, encodeCheckPoint } from '@pgtroupe/transam/checkpoint';
import { type ControlFile, encodeControlFile, PG_CONTROL_FILE } from '@pgtroupe/transam/pg_control';
import { RM_STANDBY_ID, RM_XLOG_ID } from '@pgtroupe/transam/rmgr';
import {
  encodeRunningXacts,
  XLOG_CHECKPOINT_ONLINE,
  XLOG_CHECKPOINT_SHUTDOWN,
  XLOG_RUNNING_XACTS,
} from '@pgtroupe/transam/xlogrmgr';
import type { PageEntry } from './page-directory.ts';
import type { Syncs } from './smgr.ts';
import type { SharedMemory } from './shared-memory.ts';

export interface CheckpointResult {
  readonly lsn: XLogRecPtr;
  readonly redo: XLogRecPtr;
  readonly syncs: Syncs;
  readonly syncMs: number;
  readonly removed: number;
  readonly recycled: number;
}

interface Running {
  readonly number: number;
  readonly shutdown: boolean;
  readonly redo: XLogRecPtr;
  readonly record: CheckPoint;
  readonly pages: PageEntry[];
  readonly unlinks: readonly RelFileNode[];
  /** Truncations whose record lies before redo: replay will not repeat them. */
  readonly truncated: Promise<unknown>;
  next: number;
}

/** How a checkpoint ended, for who asked for it. `undefined`: well. */
export type CheckpointEnd = { readonly sqlstate: string } | undefined;

export class CheckpointFailure extends Error {
  override readonly name = 'CheckpointFailure';
}

/** How many pages are written at once. */
const CONCURRENT_WRITES = 32;

export class Checkpoints {
  readonly #shared: SharedMemory;
  readonly #disk: Disk;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #failpoint: Failpoint;
  /** archive_mode is on. */
  readonly #archiving: boolean;
  #running: Running | undefined;
  #begin: { readonly resolve: (running: Running) => void; readonly shutdown: boolean } | undefined;
  control: ControlFile;
  /** Completed or failed since this process started. */
  ended = 0;
  readonly #endWaiters: { readonly after: number; resolve(end: CheckpointEnd): void }[] = [];

  constructor(
    shared: SharedMemory,
    parts: {
      readonly disk: Disk;
      readonly clock: Clock;
      readonly log: Log;
      readonly failpoint: Failpoint;
      readonly control: ControlFile;
      readonly archiving: boolean;
    },
  ) {
    this.#shared = shared;
    this.#disk = parts.disk;
    this.#clock = parts.clock;
    this.#log = parts.log;
    this.#failpoint = parts.failpoint;
    this.#archiving = parts.archiving;
    this.control = parts.control;
  }

  /** Resolves when a checkpoint that began after this call has ended. */
  awaitNext(): Promise<CheckpointEnd> {
    const after = this.ended + (this.#running !== undefined || this.#begin !== undefined ? 1 : 0);
    return new Promise(resolve => this.#endWaiters.push({ after, resolve }));
  }

  /** Nothing of importance was logged since the last checkpoint. */
  get idle(): boolean {
    return this.#shared.insert.buffers.lastImportant === this.control.checkPoint;
  }

  /** The log ends with the shutdown checkpoint. */
  get shutDown(): boolean {
    return this.control.state === 'shut down' && this.#shared.insert.buffers.prev === this.control.checkPoint;
  }

  /** Somebody waits for a checkpoint that has not begun. */
  get awaited(): boolean {
    return this.#endWaiters.length > 0;
  }

  /** The archive gets everything before the shutdown checkpoint. */
  async beforeShutdown(): Promise<void> {
    if (this.#archiving) await this.#shared.walSwitch.request(true);
  }

  /** Opens the window and, when it has closed, lists what is to be written. */
  async begin(
    shutdown: boolean,
  ): Promise<{ readonly number: number; readonly redo: XLogRecPtr; readonly pages: number }> {
    if (this.#begin !== undefined) throw new CheckpointFailure('a checkpoint is beginning already');
    this.abandon();
    const { number, redo, pages } = await new Promise<Running>(resolve => {
      this.#begin = { shutdown, resolve };
      this.#shared.fpi.begin(this.#shared.instances);
      this.#shared.endOfTurn();
    });
    await this.#failpoint('checkpoint-after-begin');
    return { number, redo, pages: pages.length };
  }

  /** FpiWindowEffects.close: all instances have acked; this is the redo point. Synchronous. */
  windowClosed(number: number): XLogRecPtr {
    const redo = this.#shared.insert.buffers.nextStart;
    const begin = this.#begin;
    this.#begin = undefined;
    const shutdown = begin?.shutdown ?? false;
    const pages = this.#pagesBefore(redo);
    this.#running = {
      number,
      shutdown,
      redo,
      pages,
      next: 0,
      record: this.#record(redo, shutdown),
      unlinks: this.#shared.files.takeUnlinks(),
      truncated: this.#shared.files.truncations(),
    };
    begin?.resolve(this.#running);
    return redo;
  }

  #record(redo: XLogRecPtr, shutdown: boolean): CheckPoint {
    const { procs, reservation, oldestXid, oldestXidDB } = this.#shared.transactions;
    const previous = this.control.checkPointCopy;
    return {
      ...previous,
      redo,
      fullPageWrites: true,
      oldestXid: xidFromFull(oldestXid as FullTransactionId),
      oldestXidDB,
      // Replay from here will not meet the record that named the ids being given out.
      nextXid: Math.max(procs.nextXid, shutdown ? 0 : reservation.until) as FullTransactionId,
      nextOid: (shutdown ? this.#shared.oids.next : this.#shared.oids.loggedUntil) as Oid,
      ...this.#shared.multixacts.state.counters,
      time: Math.floor(this.#clock.wallMicros() / 1_000_000),
      oldestActiveXid: (shutdown ? 0 : xidFromFull(procs.oldestRunning as FullTransactionId)) as TransactionId,
    };
  }

  /** Dirty pages with changes before `redo`, file by file. */
  #pagesBefore(redo: number): PageEntry[] {
    const pages: PageEntry[] = [];
    for (const page of this.#shared.directory.dirty) if (page.recLSN < redo) pages.push(page);
    for (const page of this.#shared.io.beingWritten()) {
      const listed = page.recLSN !== 0 && page.recLSN < redo;
      if (!listed && page.writingRecLSN !== 0 && page.writingRecLSN < redo) pages.push(page);
    }
    const key = (p: PageEntry): number => p.fork.rnode.relNode * 4 + p.fork.fork;
    return pages.sort((a, b) => key(a) - key(b) || a.blk - b.blk);
  }

  async write(count: number): Promise<{ readonly pages: number; readonly remaining: number }> {
    const running = this.#current();
    await this.#failpoint('checkpoint-before-write');
    const end = Math.min(running.pages.length, running.next + count);
    let done = 0;
    while (running.next < end) {
      const batch = running.pages.slice(running.next, Math.min(end, running.next + CONCURRENT_WRITES));
      running.next += batch.length;
      await Promise.all(batch.map(page => this.#shared.io.writeUpTo(page, running.redo)));
      done += batch.length;
    }
    return { pages: done, remaining: running.pages.length - running.next };
  }

  async finish(keepBytes: number): Promise<CheckpointResult> {
    const running = this.#current();
    await this.write(running.pages.length);
    const { clog, transactions, wal, smgr, files } = this.#shared;
    // A commit sequenced before redo must be in pg_xact: redo will not see its record.
    await transactions.settledBefore(running.redo);
    await clog.write(this.#disk, lsn => wal.flush(lsn));
    await this.#shared.multixacts.state.write();
    await running.truncated;
    await this.#shared.writeFreeSpaceMaps();
    await this.#failpoint('checkpoint-before-sync');
    const syncBegan = this.#clock.nowMs();
    const syncs = await smgr.syncAll(() => this.#clock.nowMs());
    const syncMs = this.#clock.nowMs() - syncBegan;
    await this.#failpoint('checkpoint-before-record');
    if (this.#running !== running) throw new CheckpointFailure('the checkpoint was abandoned');
    const { lsn, end, record } = this.#logRecord(running);
    await wal.flush(end);
    await this.#failpoint('checkpoint-before-control');
    await this.updateControl({
      state: running.shutdown ? 'shut down' : 'in production',
      checkPoint: lsn,
      checkPointCopy: record,
      minRecoveryPoint: 0 as XLogRecPtr,
      minRecoveryPointTLI: 0 as never,
    });
    await this.#failpoint('checkpoint-after-control');
    await files.unlinkNow(running.unlinks);
    await this.#failpoint('checkpoint-before-recycle');
    const { removed, recycled } = await wal.recycle(running.redo, keepBytes);
    await this.#failpoint('checkpoint-after-recycle');
    this.#running = undefined;
    this.#end(undefined);
    return { lsn, redo: record.redo, syncs, syncMs, removed, recycled };
  }

  #end(end: CheckpointEnd): void {
    this.ended++;
    for (let n = this.#endWaiters.length - 1; n >= 0; n--) {
      if (this.#endWaiters[n]!.after < this.ended) this.#endWaiters.splice(n, 1)[0]!.resolve(end);
    }
  }

  /** The checkpoint under way met an error; who asked for it is told. */
  failed(error: unknown): void {
    this.abandon();
    this.#end({
      sqlstate: error instanceof DiskError && error.code === 'ENOSPC' ? ERRCODE.DISK_FULL : ERRCODE.IO_ERROR,
    });
  }

  #logRecord(running: Running): { readonly lsn: XLogRecPtr; readonly end: XLogRecPtr; readonly record: CheckPoint } {
    const { insert } = this.#shared;
    const { procs } = this.#shared.transactions;
    let record = running.record;
    if (running.shutdown) {
      // Nothing may come between: redo is the record itself, so that a start needs no replay.
      record = { ...record, redo: insert.buffers.nextStart, nextXid: procs.nextXid as FullTransactionId };
    } else {
      const nextXid = xidFromFull(procs.nextXid as FullTransactionId);
      insert.unimportant(
        RM_STANDBY_ID,
        XLOG_RUNNING_XACTS,
        encodeRunningXacts({
          nextXid,
          oldestRunningXid: xidFromFull(procs.oldestRunning as FullTransactionId),
          latestCompletedXid: xidFromFull((procs.nextXid - 1) as FullTransactionId),
          xids: procs.running.map(xid => xidFromFull(xid as FullTransactionId)),
        }),
      );
    }
    const info = running.shutdown ? XLOG_CHECKPOINT_SHUTDOWN : XLOG_CHECKPOINT_ONLINE;
    const end = insert.own(RM_XLOG_ID, info, 0 as TransactionId, encodeCheckPoint(record));
    return { lsn: insert.buffers.lastStart, end, record };
  }

  /** Forgets the checkpoint under way; its pages stay dirty or were written, both harmless. */
  abandon(): void {
    const running = this.#running;
    if (running === undefined) return;
    this.#running = undefined;
    this.#shared.files.unlinkAgain(running.unlinks);
    this.#log.write('LOG', `checkpoint ${running.number} was abandoned`);
  }

  /** A whole checkpoint at once. */
  async run(shutdown: boolean, keepBytes: number): Promise<CheckpointResult> {
    await this.begin(shutdown);
    return this.finish(keepBytes);
  }

  async updateControl(changes: Partial<ControlFile>): Promise<void> {
    const control = { ...this.control, ...changes, time: Math.floor(this.#clock.wallMicros() / 1_000_000) };
    await writeControlFile(this.#disk, control);
    this.control = control;
  }

  #current(): Running {
    if (this.#running === undefined) throw new CheckpointFailure('no checkpoint is under way');
    return this.#running;
  }
}

/** Writes pg_control: one 8 kB write in place whose first sector is all that counts, then fsync. */
export async function writeControlFile(disk: Disk, control: ControlFile): Promise<void> {
  const file = await disk.open(PG_CONTROL_FILE, 'write');
  try {
    await file.write(encodeControlFile(control), 0);
    await file.datasync();
  } finally {
    await file.close();
  }
}
