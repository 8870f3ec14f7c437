/**
 * pg_multixact (access/transam/multixact.c): gives out multixact ids, knows their members, cuts off what no
 * table refers to any more. Creating one is synchronous: the pages it writes are always in memory.
 *
 *   create    CREATE_ID is logged before anybody hears of the id, so every tuple that carries it comes later
 *   members   never change; a page that is not in memory is read
 *   horizon   a running transaction is in no multixact older than itself
 *
 * Pages may be written before the WAL that describes them: every change is replayed from WAL, and what lies
 * behind the next id is cleared at start (`trim`).
 */
import type { Disk } from '@pgtroupe/actor/env';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { Oid, TransactionId } from '@pgtroupe/common/ids';
import type { CheckPoint } from '@pgtroupe/transam/checkpoint';
import {
  advanceMxOffset,
  decodeMultiXactCreate,
  decodeMultiXactTruncate,
  encodeMultiXactCreate,
  encodeMultiXactTruncate,
  encodeMultiXactZeroPage,
  MULTIXACT_MEMBERS_FOLDER,
  MULTIXACT_MEMBERS_PER_PAGE,
  MULTIXACT_OFFSETS_FOLDER,
  MULTIXACT_OFFSETS_PER_PAGE,
  type MultiXactCreate,
  type MultiXactId,
  multiXactIdPrecedes,
  multiXactIdToOffsetEntry,
  multiXactIdToOffsetPage,
  type MultiXactMember,
  type MultiXactStatus,
  type MultiXactTruncate,
  mxOffsetToMemberPage,
  mxOffsetToStatus,
  mxOffsetToXid,
  nextMultiXactId,
  XLOG_MULTIXACT_CREATE_ID,
  XLOG_MULTIXACT_TRUNCATE_ID,
  XLOG_MULTIXACT_ZERO_MEM_PAGE,
  XLOG_MULTIXACT_ZERO_OFF_PAGE,
} from '@pgtroupe/transam/multixact';
import { XLR_RMGR_INFO_MASK, type XLogRecord } from '@pgtroupe/transam/xlogrecord';
import { SlruBuffers } from './slru-buffers.ts';

/** NUM_MULTIXACTOFFSET_BUFFERS, NUM_MULTIXACTMEMBER_BUFFERS */
const OFFSET_BUFFERS = 8;
const MEMBER_BUFFERS = 16;
/** No id may be as far as 2^31 from the oldest one in a table (SetMultiXactIdLimit). */
const STOP_DISTANCE = 2 ** 31 - 1 - 3_000_000;
/** So many members stay free before the oldest ones: a segment's worth. */
const MEMBER_SAFETY = MULTIXACT_MEMBERS_PER_PAGE * 32;
const MAX_MARKS = 1024;

/** Writes a record of the MultiXact resource manager; what is logged is durable no later than what follows. */
export type LogMultiXact = (info: number, mainData: Uint8Array) => number;

/** The counters, as a checkpoint record has them. */
export type MultiXactCounters = Pick<CheckPoint, 'nextMulti' | 'nextMultiOffset' | 'oldestMulti' | 'oldestMultiDB'>;

export class MultiXacts {
  readonly #offsets: SlruBuffers;
  readonly #members: SlruBuffers;
  #next: MultiXactId = 1;
  #nextOffset = 0;
  #oldest: MultiXactId = 1;
  #oldestDB = 1 as Oid;
  #oldestOffset = 0;
  /** Ids of transactions from `nextXid` on began after the multixacts before `multi` were made. */
  #marks: { readonly nextXid: number; readonly multi: MultiXactId }[] = [];
  #writing: Promise<void> = Promise.resolve();

  constructor(disk: Disk) {
    this.#offsets = new SlruBuffers(disk, MULTIXACT_OFFSETS_FOLDER, OFFSET_BUFFERS);
    this.#members = new SlruBuffers(disk, MULTIXACT_MEMBERS_FOLDER, MEMBER_BUFFERS);
  }

  get counters(): MultiXactCounters {
    return {
      nextMulti: this.#next,
      nextMultiOffset: this.#nextOffset,
      oldestMulti: this.#oldest,
      oldestMultiDB: this.#oldestDB,
    };
  }

  // ---- creating ------------------------------------------------------------------------------------

  /** The new multixact's id. `nextXid`: no transaction from there on has begun. */
  create(members: readonly MultiXactMember[], nextXid: number, log: LogMultiXact): MultiXactId {
    this.#checkLimits(members.length);
    const mid = this.#next;
    const moff = this.#nextOffset === 0 ? 1 : this.#nextOffset;
    this.#extend(mid, moff, members.length, log);
    const created = { mid, moff, members };
    log(XLOG_MULTIXACT_CREATE_ID, encodeMultiXactCreate(created));
    this.#record(created);
    this.#advance(created);
    this.#mark(nextXid, mid);
    this.#shrink();
    return mid;
  }

  #checkLimits(count: number): void {
    if (((this.#next - this.#oldest) | 0) > STOP_DISTANCE) {
      throw ereport(
        ERRCODE.PROGRAM_LIMIT_EXCEEDED,
        `database is not accepting commands that generate new MultiXactIds to avoid wraparound data loss in database with OID ${this.#oldestDB}`,
        { hint: 'Execute a database-wide VACUUM in that database.' },
      );
    }
    const used = (this.#nextOffset - this.#oldestOffset) >>> 0;
    if (used + count + MEMBER_SAFETY >= 0x100000000) {
      throw ereport(ERRCODE.PROGRAM_LIMIT_EXCEEDED, 'multixact "members" limit exceeded', {
        hint: `Execute a database-wide VACUUM in database with OID ${this.#oldestDB} with reduced vacuum_multixact_freeze_min_age and vacuum_multixact_freeze_table_age settings.`,
      });
    }
  }

  /** Makes pages that begin here (ExtendMultiXactOffset of the next id, ExtendMultiXactMember). */
  #extend(mid: MultiXactId, moff: number, count: number, log: LogMultiXact): void {
    const next = nextMultiXactId(mid);
    const nextPage = multiXactIdToOffsetPage(next);
    if (multiXactIdToOffsetEntry(next) === 0 || next === 1) {
      log(XLOG_MULTIXACT_ZERO_OFF_PAGE, encodeMultiXactZeroPage(nextPage));
      this.#offsets.zero(nextPage);
    }
    for (let i = 0; i < count; i++) {
      const offset = (moff + i) % 0x100000000;
      // Slot 0 of page 0 is never used, so that page begins with slot 1.
      if (offset % MULTIXACT_MEMBERS_PER_PAGE !== 0 && offset !== 1) continue;
      const page = mxOffsetToMemberPage(offset);
      if (offset === 1 && this.#nextOffset !== 0) continue;
      log(XLOG_MULTIXACT_ZERO_MEM_PAGE, encodeMultiXactZeroPage(page));
      this.#members.zero(page);
    }
  }

  /** RecordNewMultiXact: its pages are in memory. */
  #record({ mid, moff, members }: MultiXactCreate): void {
    this.#setOffset(mid, moff);
    this.#setOffset(nextMultiXactId(mid), advanceMxOffset(moff, members.length));
    members.forEach(({ xid, status }, i) => {
      const offset = (moff + i) % 0x100000000;
      const page = this.#members.change(mxOffsetToMemberPage(offset));
      page.setUint8(mxOffsetToStatus(offset), status);
      page.setUint32(mxOffsetToXid(offset), xid, true);
    });
  }

  #setOffset(multi: MultiXactId, offset: number): void {
    this.#offsets.change(multiXactIdToOffsetPage(multi)).setUint32(4 * multiXactIdToOffsetEntry(multi), offset, true);
  }

  #advance({ mid, moff, members }: MultiXactCreate): void {
    const next = nextMultiXactId(mid);
    if (multiXactIdPrecedes(this.#next, next)) this.#next = next;
    const offset = advanceMxOffset(moff, members.length);
    if (((this.#nextOffset - offset) | 0) < 0) this.#nextOffset = offset;
  }

  #shrink(): void {
    this.#offsets.shrink(multiXactIdToOffsetPage(this.#next));
    this.#members.shrink(mxOffsetToMemberPage(this.#nextOffset));
  }

  // ---- horizon -------------------------------------------------------------------------------------

  #mark(nextXid: number, multi: MultiXactId): void {
    if (this.#marks.at(-1)?.nextXid === nextXid) return;
    this.#marks.push({ nextXid, multi });
    // Of two neighbours the older id may stand for both.
    if (this.#marks.length > MAX_MARKS) {
      this.#marks = this.#marks.flatMap(({ multi: oldest }, n, all) =>
        n % 2 === 0 ? [{ nextXid: (all[n + 1] ?? all[n]!).nextXid, multi: oldest }] : [],
      );
    }
  }

  /** Multixacts before this one have no member that still runs (GetOldestMultiXactId). */
  oldestRunning(oldestRunningXid: number): MultiXactId {
    let seen = 0;
    while (seen < this.#marks.length && this.#marks[seen]!.nextXid <= oldestRunningXid) seen++;
    this.#marks.splice(0, seen);
    return this.#marks[0]?.multi ?? this.#next;
  }

  // ---- members -------------------------------------------------------------------------------------

  /** GetMultiXactIdMembers. */
  async membersOf(multi: MultiXactId): Promise<readonly MultiXactMember[]> {
    if (multiXactIdPrecedes(multi, this.#oldest)) {
      throw ereport(ERRCODE.INTERNAL_ERROR, `MultiXactId ${multi} does no longer exist -- apparent wraparound`);
    }
    if (!multiXactIdPrecedes(multi, this.#next)) {
      throw ereport(ERRCODE.INTERNAL_ERROR, `MultiXactId ${multi} has not been created yet -- apparent wraparound`);
    }
    const first = await this.#offsetOf(multi);
    const following = nextMultiXactId(multi);
    const end = following === this.#next ? this.#nextOffset : await this.#offsetOf(following);
    if (first === 0 || end === 0) throw ereport(ERRCODE.DATA_CORRUPTED, `MultiXact ${multi} has invalid next offset`);
    const members: MultiXactMember[] = [];
    for (let offset = first; offset !== end; offset = (offset + 1) % 0x100000000) {
      const page = await this.#members.bring(mxOffsetToMemberPage(offset));
      const xid = page.getUint32(mxOffsetToXid(offset), true);
      // Slot 0 is stepped over.
      if (xid !== 0)
        members.push({
          xid: xid as TransactionId,
          status: page.getUint8(mxOffsetToStatus(offset)) as MultiXactStatus,
        });
    }
    this.#shrink();
    return members;
  }

  async #offsetOf(multi: MultiXactId): Promise<number> {
    const page = await this.#offsets.bring(multiXactIdToOffsetPage(multi));
    return page.getUint32(4 * multiXactIdToOffsetEntry(multi), true);
  }

  // ---- cutting off ---------------------------------------------------------------------------------

  /** TruncateMultiXact: nothing in the cluster refers to a multixact before `oldest`. */
  async truncate(
    oldest: MultiXactId,
    db: Oid,
    log: LogMultiXact,
    flush: (lsn: number) => Promise<void>,
  ): Promise<void> {
    // Of several that hold the others back the next one is told.
    if (oldest === this.#oldest) this.#oldestDB = db;
    if (!multiXactIdPrecedes(this.#oldest, oldest) || multiXactIdPrecedes(this.#next, oldest)) return;
    const endTruncMemb = oldest === this.#next ? this.#nextOffset : await this.#offsetOf(oldest);
    if (endTruncMemb === 0 && this.#nextOffset !== 0) return;
    if (!multiXactIdPrecedes(this.#oldest, oldest)) return;
    const cut = {
      oldestMultiDB: db,
      startTruncOff: this.#oldest,
      endTruncOff: oldest,
      startTruncMemb: this.#oldestOffset,
      endTruncMemb,
    };
    const lsn = log(XLOG_MULTIXACT_TRUNCATE_ID, encodeMultiXactTruncate(cut));
    this.#cut(cut);
    await flush(lsn);
    await this.#unlink(cut);
  }

  #cut({ oldestMultiDB, endTruncOff, endTruncMemb }: MultiXactTruncate): void {
    this.#oldest = endTruncOff;
    this.#oldestDB = oldestMultiDB;
    this.#oldestOffset = endTruncMemb;
  }

  /** Members first: while a multixact can be found its members must be there. */
  async #unlink(cut: MultiXactTruncate): Promise<void> {
    await this.#members.truncate(
      mxOffsetToMemberPage(cut.startTruncMemb),
      mxOffsetToMemberPage(cut.endTruncMemb),
      mxOffsetToMemberPage(0xffffffff) + 1,
    );
    await this.#offsets.truncate(
      multiXactIdToOffsetPage(cut.startTruncOff),
      // The page of the id before is kept, as PostgreSQL does: at the edge of a segment the next one may not exist.
      multiXactIdToOffsetPage(cut.endTruncOff === 1 ? 0xffffffff : cut.endTruncOff - 1),
      0x100000000 / MULTIXACT_OFFSETS_PER_PAGE,
    );
  }

  // ---- start and checkpoints -----------------------------------------------------------------------

  /** The counters of the checkpoint where redo begins. */
  begin(counters: MultiXactCounters): void {
    this.#next = counters.nextMulti === 0 ? 1 : counters.nextMulti;
    this.#nextOffset = counters.nextMultiOffset;
    this.#oldest = counters.oldestMulti;
    this.#oldestDB = counters.oldestMultiDB;
  }

  /** A checkpoint record met in redo. */
  advanceTo(counters: MultiXactCounters): void {
    if (multiXactIdPrecedes(this.#next, counters.nextMulti)) this.#next = counters.nextMulti;
    if (((this.#nextOffset - counters.nextMultiOffset) | 0) < 0) this.#nextOffset = counters.nextMultiOffset;
    if (multiXactIdPrecedes(this.#oldest, counters.oldestMulti)) {
      this.#oldest = counters.oldestMulti;
      this.#oldestDB = counters.oldestMultiDB;
    }
  }

  /** multixact_redo */
  async redo({ info, view, mainAt }: XLogRecord): Promise<void> {
    switch (info & XLR_RMGR_INFO_MASK) {
      case XLOG_MULTIXACT_ZERO_OFF_PAGE:
        return this.#offsets.zero(view.getUint32(mainAt, true));
      case XLOG_MULTIXACT_ZERO_MEM_PAGE:
        return this.#members.zero(view.getUint32(mainAt, true));
      case XLOG_MULTIXACT_CREATE_ID:
        return this.#redoCreate(decodeMultiXactCreate(view, mainAt));
      case XLOG_MULTIXACT_TRUNCATE_ID: {
        const cut = decodeMultiXactTruncate(view, mainAt);
        this.#cut(cut);
        return this.#unlink(cut);
      }
    }
  }

  async #redoCreate(created: MultiXactCreate): Promise<void> {
    const { mid, moff, members } = created;
    await this.#offsets.bring(multiXactIdToOffsetPage(mid));
    await this.#offsets.bring(multiXactIdToOffsetPage(nextMultiXactId(mid)));
    for (let i = 0; i < members.length; i++) await this.#members.bring(mxOffsetToMemberPage((moff + i) % 0x100000000));
    this.#record(created);
    this.#advance(created);
  }

  /** Ready to create: brings the pages of the next id and clears what lies behind it (TrimMultiXact). */
  async trim(): Promise<void> {
    const offsetPage = multiXactIdToOffsetPage(this.#next);
    await this.#offsets.bring(offsetPage);
    const offsets = this.#offsets.change(offsetPage);
    const entry = 4 * multiXactIdToOffsetEntry(this.#next);
    if (this.#nextOffset !== 0 || entry !== 4) offsets.setUint32(entry, this.#nextOffset, true);
    for (let at = entry + 4; at < offsets.byteLength; at += 4) offsets.setUint32(at, 0, true);
    await this.#members.bring(mxOffsetToMemberPage(this.#nextOffset));
    this.#oldestOffset = this.#oldest === this.#next ? this.#nextOffset : await this.#offsetOf(this.#oldest);
    this.#shrink();
  }

  /** Writes and syncs what changed. */
  write(): Promise<void> {
    // One at a time: a page's count of changes belongs to the write that is under way.
    const write = async (): Promise<void> => {
      await this.#offsets.write();
      await this.#members.write();
      this.#shrink();
    };
    this.#writing = this.#writing.then(write, write);
    return this.#writing;
  }
}
