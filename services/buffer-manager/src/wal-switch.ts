/**
 * Switches of the WAL segment: pg_switch_wal, archive_timeout, and the one ahead of the shutdown checkpoint that lets
 * the archive have all but that checkpoint (RequestXLogSwitch, CheckArchiveTimeout, ShutdownXLOG). Also where WAL is.
 */
import type { Timers } from '@pgtroupe/actor/env';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import type { XLogRecPtr } from '@pgtroupe/common/ids';
import type { UpOp } from '@pgtroupe/rpc/attach/ops';
import { XLOG_SEG_SIZE } from '@pgtroupe/transam/xlogpage';
import type { Instance } from './instance.ts';
import type { SharedMemory } from './shared-memory.ts';

type Up<K extends UpOp['op']> = Extract<UpOp, { op: K }>;

const ROOM_RETRY_MS = 20;

export class WalSwitch {
  readonly #shared: SharedMemory;
  readonly #timers: Timers;
  readonly #reserveBytes: number;
  /** Where WAL began in this life. */
  readonly #beganAt: XLogRecPtr;

  /** `reserveBytes`: WAL space that a switch leaves alone. */
  constructor(shared: SharedMemory, timers: Timers, reserveBytes: number) {
    this.#shared = shared;
    this.#timers = timers;
    this.#reserveBytes = reserveBytes;
    this.#beganAt = shared.insert.buffers.end;
  }

  /**
   * Fills the segment up. Resolves when that is durable, with what pg_switch_wal answers; with undefined when there is
   * no room for another segment and the disk is full. `important`: somebody asked for it.
   */
  async request(important: boolean): Promise<XLogRecPtr | undefined> {
    const { wal, insert } = this.#shared;
    while (wal.room < XLOG_SEG_SIZE + this.#reserveBytes) {
      if (wal.diskFull) return undefined;
      await new Promise<void>(resolve => this.#timers.after(ROOM_RETRY_MS, resolve));
    }
    const lsn = insert.switchSegment(important);
    const { end } = insert.buffers;
    this.#shared.planTurn();
    await wal.flush(end);
    return lsn;
  }

  forSession(instance: Instance, { reqId }: Up<'switchWal'>): void {
    void this.request(true).then(lsn => {
      if (lsn === undefined) instance.reply(reqId, ERRCODE.DISK_FULL, 'could not switch WAL segment: no room for WAL');
      else instance.put({ op: 'walSwitched', reqId, lsn });
      this.#shared.planTurn();
    });
  }

  /** archive_timeout is over: only if anything happened since the last segment ended. */
  async afterTimeout(): Promise<void> {
    const { end, lastImportant } = this.#shared.insert.buffers;
    const lastSwitch = Math.max(this.#beganAt, Math.floor(end / XLOG_SEG_SIZE) * XLOG_SEG_SIZE);
    if (lastImportant > lastSwitch) await this.request(false);
  }

  tellLocation(instance: Instance, { reqId }: Up<'getWalLocation'>): void {
    const { insert, wal, timeline } = this.#shared;
    instance.put({ op: 'walLocation', reqId, insert: insert.buffers.nextStart, flush: wal.flushed, timeline });
  }
}
