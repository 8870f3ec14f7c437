/**
 * The walwriter: the only writer of pg_wal.
 *
 * Purpose    puts WAL where the buffer-manager says and reports what is durable; keeps pg_wal/archive_status.
 * Promise    `flushed(lsn)` is sent only after fdatasync of every byte before lsn returned. With archive_mode no
 *            segment is recycled or removed before it is archived, and every one that ended comes to be.
 * Started by the postmaster, before the buffer-manager.
 * Stops      on `stop` (everything received is made durable first); by PANIC when a write or fsync
 *            fails for another reason than a full disk, because what the disk holds is then unknown.
 * Its death  stalls commits until its successor is there: the buffer-manager still has every byte
 *            that was not reported durable and sends it again; positioned writes make that harmless.
 *
 * One loop does all file work in order of arrival, so that no two writes overlap. What arrives
 * while a flush is under way is written and flushed together afterwards: group commit.
 */
import { DiskError, type Env, type Timer } from '@pgtroupe/actor/env';
import { type Failpoint, noFailpoint } from '@pgtroupe/actor/failpoint';
import { EXIT_PANIC } from '@pgtroupe/actor/lifecycle';
import { handle, type Handler, type RpcStream } from '@pgtroupe/actor/rpc';
import { syncOrEnd } from '@pgtroupe/actor/sync-or-end';
import { assert } from '@pgtroupe/common/assert';
import type { WalHello, WalOrder, WalReport } from '@pgtroupe/rpc/generated/walwriter';
import { reportCounts } from '@pgtroupe/rpc/report-counts';
import { WAL_WRITE } from '@pgtroupe/rpc/wal-write';
import { XLOG_SEG_SIZE } from '@pgtroupe/transam/xlogpage';
import { ARCHIVE, ArchiveServer } from './archive-server.ts';
import { ArchiveStatistics } from './archive-statistics.ts';
import { ArchiveStatus } from './archive-status.ts';
import { Segments } from './segments.ts';

/** Appends that follow each other are written together up to this. */
const GATHER_BYTES = 1024 * 1024;
const READ_CHUNK_BYTES = 256 * 1024;
/** Segments kept ready ahead of the insert position, at the least. */
const RESERVE_SEGMENTS = 3;
const FULL_DISK_RETRY_MS = 1000;

type Stream = RpcStream<WalReport, WalOrder>;

interface Owner {
  readonly stream: Stream;
  readonly epoch: number;
}

type Job =
  | {
      readonly kind: 'append';
      readonly owner: Owner | undefined;
      readonly pos: number;
      readonly data: Uint8Array;
      readonly sync: boolean;
    }
  | { readonly kind: 'other'; readonly run: () => Promise<void> };

export interface WalWriterOptions {
  /** Of this launch. */
  readonly epoch?: number;
  readonly timeline?: number;
  /** wal_writer_delay */
  readonly flushDelayMs: () => number;
  /** wal_writer_flush_after: so much that nobody waits for is not left lying. */
  readonly flushAfterBytes: () => number;
  /** archive_mode is on. */
  readonly archiving?: boolean;
  readonly failpoint?: Failpoint;
}

export class WalWriter {
  readonly #env: Env;
  readonly #options: WalWriterOptions;
  readonly #failpoint: Failpoint;
  readonly #segments: Segments;
  readonly #status: ArchiveStatus;
  readonly #statistics: ArchiveStatistics;
  readonly #archive: ArchiveServer;
  /** Segments before this one are announced to the archiver. */
  #announced = 0;
  #owner: Owner | undefined;
  #highestEpoch = 0;
  #jobs: Job[] = [];
  readonly #gathered: Buffer = Buffer.allocUnsafeSlow(GATHER_BYTES);
  #running: Promise<void> | undefined;
  /** End of what was written; of it, what is durable. */
  #written = 0;
  #flushed = 0;
  #syncWanted = false;
  #flushTimer: Timer | undefined;
  /** Insert position as last told; segments ahead of it are made in the background. */
  #room = 0;
  #until = 0;
  #preparation: Promise<void> | undefined;
  /** The last try to make a segment met a full disk. */
  #diskFull = false;
  #stopping = false;

  constructor(env: Env, options: WalWriterOptions) {
    this.#env = env;
    this.#options = options;
    this.#failpoint = options.failpoint ?? noFailpoint;
    const disk = syncOrEnd(env.disk, (path, error) => this.#panic(`could not fsync file "${path}": ${error.message}`));
    this.#segments = new Segments(disk, options.timeline ?? 1, this.#failpoint);
    this.#status = new ArchiveStatus(disk);
    this.#statistics = new ArchiveStatistics(disk, env.clock);
    this.#archive = new ArchiveServer(disk, env.log, this.#status, this.#statistics);
    this.#statistics.onChange = () => this.#tellCounts();
  }

  async open(): Promise<void> {
    await this.#segments.load();
    reportCounts(this.#env, { from: 'walwriter', epoch: this.#options.epoch ?? 0 }, this.#segments.counts);
    for (const orphan of await this.#status.load()) {
      this.#env.log.write('WARNING', `removed orphan archive status file "pg_wal/archive_status/${orphan}"`);
    }
    await this.#statistics.load();
  }

  handlers(): Handler[] {
    return [handle(WAL_WRITE, stream => this.#accept(stream)), handle(ARCHIVE, stream => this.#archive.accept(stream))];
  }

  /** Makes everything received durable, then lets go of the files. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#owner?.stream.end();
    this.#owner = undefined;
    this.#syncWanted = true;
    while (this.#running !== undefined || this.#jobs.length > 0) {
      this.#kick();
      await this.#running;
    }
    await this.#archive.close();
    await this.#segments.close();
  }

  #accept(stream: Stream): void {
    stream.onMessage = ({ order }) => {
      if (order?.$case === 'hello') return this.#hello(stream, order.value);
      if (this.#owner?.stream !== stream) return stream.abort('no hello, or fenced');
      switch (order?.$case) {
        case 'append':
          return this.#push({
            kind: 'append',
            owner: this.#owner,
            pos: order.value.pos,
            data: order.value.data,
            sync: order.value.sync,
          });
        case 'read':
          return this.#other(() => this.#read(stream, order.value.reqId, order.value.from, order.value.to));
        case 'endOfLog':
          return this.#other(() => this.#endOfLog(order.value.pos));
        case 'recycle':
          return this.#other(() => this.#recycle(stream, order.value.keepFrom, order.value.keepBytes));
        case 'complete':
          return this.#other(() => this.#announceBefore(order.value.pos));
        case 'archiverReset':
          return this.#statistics.reset();
        case 'room':
          this.#room = Math.max(this.#room, order.value.pos);
          return this.#prepare();
        case undefined:
          return stream.abort('unknown order');
      }
    };
    stream.onEnd = () => {
      if (this.#owner?.stream === stream) this.#owner = undefined;
    };
  }

  /** A new buffer-manager. Writes of the older one that are queued are dropped; the one under way ends
   *  before the welcome, because the loop does one job at a time. */
  #hello(stream: Stream, { epoch, systemIdentifier, complete }: WalHello): void {
    if (this.#stopping || epoch < this.#highestEpoch) {
      return stream.abort(`epoch ${epoch} is fenced by ${this.#highestEpoch}`);
    }
    this.#highestEpoch = epoch;
    this.#segments.systemIdentifier = BigInt(systemIdentifier);
    this.#owner?.stream.abort(`fenced by epoch ${epoch}`);
    this.#owner = { stream, epoch };
    this.#jobs = [];
    this.#written = 0;
    this.#other(async () => {
      // What the older one sent becomes durable, but nobody is told: the new one reads the log.
      await this.#segments.datasync();
      this.#syncWanted = false;
      this.#written = 0;
      this.#flushed = 0;
      const oldest = this.#segments.oldest;
      this.#report(stream, { $case: 'welcome', value: { oldest: (oldest ?? 0) * XLOG_SEG_SIZE } });
      this.#tellCounts();
      await this.#announceBefore(complete);
    });
  }

  #report(stream: Stream, report: NonNullable<WalReport['report']>): void {
    if (this.#owner?.stream === stream) stream.send({ report });
  }

  // ---- the loop --------------------------------------------------------------------------------

  #other(run: () => Promise<void>): void {
    this.#push({ kind: 'other', run });
  }

  #push(job: Job): void {
    this.#jobs.push(job);
    this.#kick();
  }

  #kick(): void {
    if (this.#running !== undefined) return;
    this.#running = this.#loop().then(
      () => {
        this.#running = undefined;
        if (this.#jobs.length > 0) this.#kick();
      },
      (error: unknown) => this.#failed(error),
    );
  }

  async #loop(): Promise<void> {
    while (this.#jobs.length > 0 || this.#syncWanted) {
      const jobs = this.#jobs;
      this.#jobs = [];
      for (let n = 0; n < jobs.length; ) {
        const job = jobs[n]!;
        if (job.kind === 'other') {
          n++;
          await job.run();
        } else n = await this.#writeRun(jobs, n);
      }
      if (this.#syncWanted || this.#muchIsUnflushed) await this.#flush();
    }
    if (this.#written > this.#flushed) this.#planFlush();
  }

  /** wal_writer_flush_after = 0: whatever was written is flushed at once. */
  get #muchIsUnflushed(): boolean {
    return this.#written > this.#flushed && this.#written - this.#flushed >= this.#options.flushAfterBytes();
  }

  /** Writes appends from `n` on that follow each other within one segment, as one write. */
  async #writeRun(jobs: readonly Job[], n: number): Promise<number> {
    const first = jobs[n] as Extract<Job, { kind: 'append' }>;
    const { owner } = first;
    // Its sender was fenced while this waited its turn.
    if (owner === undefined || owner.epoch < this.#highestEpoch) return n + 1;
    const pieces: Uint8Array[] = [];
    let end = first.pos;
    let next = n;
    for (; next < jobs.length; next++) {
      const job = jobs[next]!;
      if (job.kind !== 'append' || job.owner !== owner || job.pos !== end) break;
      if (next > n && end + job.data.length - first.pos > GATHER_BYTES) break;
      if (
        job.data.length > 0 &&
        next > n &&
        Math.floor((end + job.data.length - 1) / XLOG_SEG_SIZE) !== Math.floor(first.pos / XLOG_SEG_SIZE)
      )
        break;
      if (job.sync) this.#syncWanted = true;
      pieces.push(job.data);
      end += job.data.length;
    }
    if (end > first.pos) {
      await this.#failpoint('walwriter-before-write');
      await this.#ensureSegment(Math.floor(first.pos / XLOG_SEG_SIZE));
      const data = pieces.length === 1 ? pieces[0]! : this.#gather(pieces, end - first.pos);
      // The usual commit: one trip to the disk instead of two.
      if (this.#syncWanted && next === jobs.length && !this.#segments.unsynced)
        await this.#segments.writeDurably(data, first.pos);
      else await this.#segments.write(data, first.pos);
      await this.#failpoint('walwriter-after-write');
      if (owner === this.#owner) {
        // A buffer-manager begins with what is not durable yet.
        if (this.#written === 0) this.#flushed = first.pos;
        this.#written = end;
      }
    }
    return next;
  }

  /** One piece out of several. The memory is the same every time: one write is done at a time. */
  #gather(pieces: readonly Uint8Array[], length: number): Uint8Array {
    let at = 0;
    for (const piece of pieces) {
      this.#gathered.set(piece, at);
      at += piece.length;
    }
    return this.#gathered.subarray(0, length);
  }

  /** A burst may run past the segments that are ready. With a full disk it waits here: what was
   *  sequenced is written when there is space again, and until then nobody is told that it is durable. */
  async #ensureSegment(segno: number): Promise<void> {
    while (!this.#segments.has(segno)) {
      this.#room = Math.max(this.#room, segno * XLOG_SEG_SIZE);
      this.#prepare();
      await this.#preparation;
      if (!this.#segments.has(segno))
        await new Promise<void>(resolve => this.#env.timers.after(FULL_DISK_RETRY_MS, resolve));
    }
  }

  async #flush(): Promise<void> {
    this.#syncWanted = false;
    this.#flushTimer?.cancel();
    this.#flushTimer = undefined;
    const upTo = this.#written;
    const owner = this.#owner;
    await this.#failpoint('walwriter-before-fsync');
    await this.#segments.datasync();
    await this.#failpoint('walwriter-after-fsync');
    // A buffer-manager that came meanwhile must not be told about positions of the older one.
    if (owner !== undefined && owner === this.#owner && upTo > 0) {
      this.#flushed = upTo;
      this.#report(owner.stream, { $case: 'flushed', value: { lsn: upTo } });
    }
    await this.#segments.closeBefore(Math.floor(upTo / XLOG_SEG_SIZE));
  }

  // ---- archiving -----------------------------------------------------------------------------------

  #tellCounts(): void {
    const stream = this.#owner?.stream;
    if (stream !== undefined) this.#report(stream, { $case: 'archiver', value: this.#statistics.counts });
  }

  /** A record ends at `lsn` and all before is durable: the segments that end there are to be archived, and so are older
   *  ones that nobody got to announce before he died, or while archive_mode was off. */
  async #announceBefore(lsn: number): Promise<void> {
    const segno = Math.floor(lsn / XLOG_SEG_SIZE);
    if (this.#options.archiving !== true || segno <= this.#announced) return;
    await this.#failpoint('walwriter-before-ready');
    for (const old of this.#segments.before(segno)) if (!(await this.#announce(old))) return;
    this.#announced = segno;
  }

  /** False: it could not be; another try comes with the next segment, or when it is to be recycled. */
  async #announce(segno: number): Promise<boolean> {
    const name = this.#segments.name(segno);
    if (this.#status.has(name)) return true;
    try {
      await this.#status.notify(name);
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      this.#env.log.write('LOG', `could not create archive status file "${error.path}": ${error.message}`);
      return false;
    }
    this.#archive.wake();
    return true;
  }

  /** XLogArchiveCheckDone. */
  async #mayGo(segno: number): Promise<boolean> {
    if (this.#options.archiving !== true || this.#status.isDone(this.#segments.name(segno))) return true;
    await this.#announce(segno);
    return false;
  }

  #planFlush(): void {
    this.#flushTimer ??= this.#env.timers.after(this.#options.flushDelayMs(), () => {
      this.#flushTimer = undefined;
      this.#syncWanted = true;
      this.#kick();
    });
  }

  #failed(error: unknown): never {
    return this.#panic(`could not write WAL: ${error instanceof Error ? error.message : String(error)}`);
  }

  #panic(message: string): never {
    this.#env.log.write('PANIC', message);
    return this.#env.exit(EXIT_PANIC);
  }

  // ---- everything but appending ----------------------------------------------------------------

  async #read(stream: Stream, reqId: number, from: number, to: number): Promise<void> {
    let pos = from;
    for (;;) {
      const data = pos < to ? await this.#segments.read(pos, Math.min(READ_CHUNK_BYTES, to - pos)) : new Uint8Array(0);
      const last = data.length === 0 || pos + data.length >= to;
      this.#report(stream, {
        $case: 'chunk',
        value: { reqId, pos, data: Buffer.from(data.buffer, data.byteOffset, data.length), last },
      });
      pos += data.length;
      if (last) return;
    }
  }

  async #endOfLog(pos: number): Promise<void> {
    await this.#prepared();
    await this.#insteadOfPreparing(async () => {
      for (const segno of await this.#segments.wipeBehind(pos)) await this.#status.forget(this.#segments.name(segno));
      await this.#failpoint('walwriter-after-wipe');
      this.#room = pos;
      this.#until = 0;
      this.#written = pos;
      this.#flushed = pos;
      this.#announced = Math.min(this.#announced, Math.floor(pos / XLOG_SEG_SIZE));
    });
    await this.#announceBefore(pos);
    this.#prepare();
    await this.#prepared();
  }

  /** Resolves when no segment is being made. */
  async #prepared(): Promise<void> {
    while (this.#preparation !== undefined) await this.#preparation;
  }

  /** Which segments are ready is changed by one at a time. Who begins this calls `#prepare` behind it: what it
   *  was asked for meanwhile was put off. */
  async #insteadOfPreparing(work: () => Promise<void>): Promise<void> {
    assert(this.#preparation === undefined, 'segments are being made');
    this.#preparation = work().finally(() => {
      this.#preparation = undefined;
    });
    await this.#preparation;
  }

  /** Prepares segments beside the loop: a segment that has no name yet concerns nobody. */
  #prepare(): void {
    if (this.#preparation !== undefined || this.#owner === undefined) return;
    this.#preparation = this.#makeRoom(this.#owner.stream).then(
      full => {
        this.#preparation = undefined;
        if (!full && this.#wanted() > this.#until) this.#prepare();
      },
      (error: unknown) => this.#failed(error),
    );
  }

  #wanted(): number {
    return (Math.floor(this.#room / XLOG_SEG_SIZE) + 1 + RESERVE_SEGMENTS) * XLOG_SEG_SIZE;
  }

  /** Resolves to true when the disk is full. */
  async #makeRoom(stream: Stream): Promise<boolean> {
    const wanted = this.#wanted();
    this.#until = Math.max(this.#until, Math.floor(this.#room / XLOG_SEG_SIZE) * XLOG_SEG_SIZE);
    while (this.#until < wanted) {
      try {
        await this.#segments.create(this.#until / XLOG_SEG_SIZE);
      } catch (error) {
        if (!(error instanceof DiskError) || error.code !== 'ENOSPC') throw error;
        // Once for a full disk, not for every try.
        if (!this.#diskFull) this.#env.log.write('WARNING', `no room for another WAL segment: ${error.message}`);
        this.#diskFull = true;
        this.#report(stream, { $case: 'roomLeft', value: { until: this.#until, diskFull: true } });
        this.#env.timers.after(FULL_DISK_RETRY_MS, () => this.#prepare());
        return true;
      }
      this.#diskFull = false;
      this.#until += XLOG_SEG_SIZE;
      this.#report(stream, { $case: 'roomLeft', value: { until: this.#until, diskFull: false } });
    }
    return false;
  }

  async #recycle(stream: Stream, keepFrom: number, keepBytes: number): Promise<void> {
    const old = this.#segments.before(Math.floor(keepFrom / XLOG_SEG_SIZE));
    const aheadUntil = this.#room + keepBytes;
    let recycled = 0;
    let removed = 0;
    for (const segno of old) {
      if (!(await this.#mayGo(segno))) continue;
      // Segments are handed out in order, so recycling only ever appends to what is ready.
      const next = this.#until / XLOG_SEG_SIZE;
      try {
        if (
          this.#preparation === undefined &&
          this.#until > 0 &&
          this.#until < aheadUntil &&
          !this.#segments.has(next)
        ) {
          await this.#insteadOfPreparing(async () => {
            await this.#segments.recycle(segno, next);
            this.#until += XLOG_SEG_SIZE;
          });
          recycled++;
        } else {
          await this.#segments.remove(segno);
          removed++;
        }
        await this.#status.forget(this.#segments.name(segno));
      } catch (error) {
        if (!(error instanceof DiskError)) throw error;
        // The next checkpoint tries again. Others may be removed.
        this.#env.log.write('WARNING', `could not remove or rename old WAL file "${error.path}": ${error.message}`);
      }
    }
    if (removed > 0) await this.#segments.syncFolder();
    if (recycled > 0) this.#report(stream, { $case: 'roomLeft', value: { until: this.#until, diskFull: false } });
    this.#report(stream, { $case: 'recycled', value: { removed, recycled } });
    this.#prepare();
  }
}
