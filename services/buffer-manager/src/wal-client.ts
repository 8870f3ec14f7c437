/**
 * The buffer-manager's end of the walwriter stream: sends what was sequenced, hears what is durable,
 * reads WAL back. Keeps every byte until it is durable; when the walwriter dies, sends what was not
 * reported to its successor (invariant 10).
 */
import type { Env, Timer } from '@pgtroupe/actor/env';
import type { RpcStream } from '@pgtroupe/actor/rpc';
import { assert } from '@pgtroupe/common/assert';
import type { XLogRecPtr } from '@pgtroupe/common/ids';
import type { WalOrder, WalReport } from '@pgtroupe/rpc/generated/walwriter';
import { WAL_WRITE } from '@pgtroupe/rpc/wal-write';
import type { XLogBuffers } from '@pgtroupe/transam/xlogbuffers';
import { XLOG_SEG_SIZE, type XLogStream } from '@pgtroupe/transam/xlogpage';
import { WalEnd, XLogReader } from '@pgtroupe/transam/xlogreader';
import type { XLogRecord } from '@pgtroupe/transam/xlogrecord';
import { ArchiverView } from './archiver-view.ts';

const REOPEN_MS = 50;
/** Unsent WAL goes out without waiting for a commit once there is this much. */
const EAGER_BYTES = 128 * 1024;
/** Flushes asked for and not reported: one that runs and one that waits for it. Commits of meanwhile
 *  gather here and share the next. */
const MAX_FLUSHES = 2;
/** Single records are read back by windows of so much; so many are kept. */
const WINDOW_BYTES = 256 * 1024;
const MAX_WINDOWS = 8;
const READ_BYTES = 4 * 1024 * 1024;

interface Read {
  readonly from: number;
  readonly to: number;
  /** Forget what arrived: it is asked for again. */
  readonly restart: () => void;
  readonly chunk: (data: Uint8Array) => void;
  readonly end: () => void;
}

export class WalClient {
  readonly #env: Env;
  readonly #endpoint: string;
  readonly #epoch: number;
  readonly #log: XLogStream;
  readonly #flushDelayMs: () => number;
  #stream: RpcStream<WalOrder, WalReport> | undefined;
  #welcome = false;
  #buffers: XLogBuffers | undefined;
  /** End of what was sent on this stream; of what a flush was asked for; of what is durable. */
  #sent = 0;
  #syncAsked = 0;
  /** LSNs of the flushes that were asked for; and of the one that is asked for when they are fewer. */
  #flushes: number[] = [];
  #flushLater = 0;
  flushed = 0 as XLogRecPtr;
  /** A record's end up to which all is durable: of the last that ended behind a segment's end. 0: not known yet. */
  #complete = 0;
  /** Ends of records behind segments' ends that are not durable yet. */
  readonly #completing: number[] = [];
  readonly archiver = new ArchiverView(() => this.#send({ $case: 'archiverReset', value: {} }));
  #roomUntil = 0;
  #roomTold = 0;
  #diskFull = false;
  #delayed: Timer | undefined;
  readonly #flushWaiters: { readonly lsn: number; resolve(): void }[] = [];
  readonly #welcomeWaiters: ((oldest: number) => void)[] = [];
  readonly #reads = new Map<number, Read>();
  /** WAL read back lately, by where it starts: the records of a dead instance's pages lie side by side. */
  readonly #windows = new Map<number, Promise<Uint8Array>>();
  #lastReqId = 0;
  #recycled: ((counts: { removed: number; recycled: number }) => void) | undefined;
  #endOfLog: { readonly pos: number; resolve(): void } | undefined;
  #closed = false;
  /** More is durable. */
  onFlushed: (lsn: XLogRecPtr) => void = () => {};
  /** There is more room for WAL. */
  onRoom: () => void = () => {};

  constructor(
    env: Env,
    options: {
      readonly endpoint: string;
      readonly epoch: number;
      readonly log: XLogStream;
      readonly flushDelayMs: () => number;
    },
  ) {
    this.#env = env;
    this.#endpoint = options.endpoint;
    this.#epoch = options.epoch;
    this.#log = options.log;
    this.#flushDelayMs = options.flushDelayMs;
  }

  /** Opens the stream and fences every older buffer-manager; resolves with the oldest LSN there is. */
  open(): Promise<number> {
    this.#connect();
    return new Promise(resolve => this.#welcomeWaiters.push(resolve));
  }

  close(): void {
    this.#closed = true;
    this.#delayed?.cancel();
    this.#stream?.end();
  }

  /** From here on WAL is inserted into these buffers; everything before is durable. */
  use(buffers: XLogBuffers): void {
    this.#buffers = buffers;
    // What recovery read behind the end of the log is about to be written.
    this.#windows.clear();
    this.#sent = buffers.end;
    this.#syncAsked = buffers.end;
    this.flushed = buffers.end;
    this.#complete = buffers.end;
  }

  #connect(): void {
    const stream = this.#env.rpc.open(this.#endpoint, WAL_WRITE);
    this.#stream = stream;
    this.#welcome = false;
    stream.onMessage = ({ report }) => {
      if (report !== undefined) this.#receive(report);
    };
    stream.onEnd = () => {
      if (this.#stream !== stream) return;
      this.#stream = undefined;
      this.#welcome = false;
      if (this.#closed) return;
      this.#env.timers.after(REOPEN_MS, () => {
        if (!this.#closed && this.#stream === undefined) this.#connect();
      });
    };
    this.#send({
      $case: 'hello',
      value: {
        epoch: this.#epoch,
        timeline: this.#log.tli,
        systemIdentifier: String(this.#log.systemIdentifier),
        complete: this.#complete,
      },
    });
  }

  #send(order: NonNullable<WalOrder['order']>): void {
    this.#stream?.send({ order });
  }

  #receive(report: NonNullable<WalReport['report']>): void {
    switch (report.$case) {
      case 'welcome':
        return this.#welcomed(report.value.oldest);
      case 'flushed':
        return this.#flushedUpTo(report.value.lsn);
      case 'chunk': {
        const { reqId, data, last } = report.value;
        const read = this.#reads.get(reqId);
        if (read === undefined) return;
        if (last) this.#reads.delete(reqId);
        read.chunk(data);
        if (last) read.end();
        return;
      }
      case 'roomLeft':
        this.#roomUntil = report.value.until;
        this.#diskFull = report.value.diskFull;
        if (this.#endOfLog !== undefined && this.#roomUntil > this.#endOfLog.pos) {
          this.#endOfLog.resolve();
          this.#endOfLog = undefined;
        }
        return this.onRoom();
      case 'recycled':
        this.#recycled?.(report.value);
        this.#recycled = undefined;
        return;
      case 'archiver':
        return this.archiver.told(report.value);
    }
  }

  /** A new walwriter (or the first): it knows nothing that was not durable. */
  #welcomed(oldest: number): void {
    this.#welcome = true;
    for (const [reqId, read] of [...this.#reads]) {
      this.#reads.delete(reqId);
      read.restart();
      this.#startRead(read);
    }
    this.archiver.attached();
    if (this.#endOfLog !== undefined) this.#send({ $case: 'endOfLog', value: { pos: this.#endOfLog.pos } });
    if (this.#recycled !== undefined) {
      // What was recycled before it died is recycled; the rest goes with the next checkpoint.
      this.#recycled({ removed: 0, recycled: 0 });
      this.#recycled = undefined;
    }
    if (this.#buffers !== undefined) {
      this.#sent = this.flushed;
      const asked = Math.max(this.#syncAsked, this.#flushLater);
      this.#syncAsked = this.flushed;
      this.#flushes = [];
      this.#flushLater = 0;
      this.#send({ $case: 'room', value: { pos: this.#buffers.end } });
      this.push(asked);
    }
    for (const resolve of this.#welcomeWaiters.splice(0)) resolve(oldest);
  }

  #flushedUpTo(lsn: number): void {
    if (lsn <= this.flushed) return;
    assert(lsn <= this.#sent, 'flushed more than was sent');
    this.flushed = lsn as XLogRecPtr;
    this.#buffers!.release(lsn);
    this.#tellComplete();
    while (this.#flushes.length > 0 && this.#flushes[0]! <= lsn) this.#flushes.shift();
    for (let n = 0; n < this.#flushWaiters.length; ) {
      const waiter = this.#flushWaiters[n]!;
      if (waiter.lsn > lsn) n++;
      else {
        this.#flushWaiters.splice(n, 1);
        waiter.resolve();
      }
    }
    this.onFlushed(this.flushed);
    if (this.#flushLater > 0 && this.#flushes.length < MAX_FLUSHES) {
      const later = this.#flushLater;
      this.#flushLater = 0;
      this.push(later);
    }
  }

  // ---- writing -----------------------------------------------------------------------------------

  /** Bytes that can still be sequenced before WAL meets space that is not prepared. */
  get room(): number {
    return this.#roomUntil - this.#buffers!.end;
  }

  get diskFull(): boolean {
    return this.#diskFull;
  }

  /** Sends what was sequenced. `wanted`: somebody waits for the WAL before this LSN (0: nobody). */
  push(wanted: number): void {
    const buffers = this.#buffers!;
    const end = buffers.end;
    let wantSync = wanted > this.#syncAsked;
    if (wantSync && this.#flushes.length >= MAX_FLUSHES) {
      this.#flushLater = Math.max(this.#flushLater, wanted);
      wantSync = false;
    }
    if (end > this.#sent && !wantSync && end - this.#sent < EAGER_BYTES) return this.#delay();
    if (!this.#welcome) {
      // The next walwriter is asked as soon as it is there.
      if (wantSync) this.#syncAsked = end;
      return;
    }
    if (end === this.#sent && !wantSync) return;
    const from = this.#sent;
    for (const { pos, bytes } of buffers.pieces(from, end)) {
      const last = pos + bytes.length === end;
      this.#send({
        $case: 'append',
        value: { pos, data: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), sync: wantSync && last },
      });
    }
    if (from === end) this.#send({ $case: 'append', value: { pos: end, data: Buffer.alloc(0), sync: true } });
    // Whatever the pieces are, `end` is a record's.
    if (Math.floor(from / XLOG_SEG_SIZE) !== Math.floor(end / XLOG_SEG_SIZE)) this.#completing.push(end);
    this.#sent = end;
    if (wantSync) {
      this.#syncAsked = end;
      this.#flushes.push(end);
    } else this.#delay();
    if (end - this.#roomTold > XLOG_SEG_SIZE / 2) {
      this.#roomTold = end;
      this.#send({ $case: 'room', value: { pos: end } });
    }
  }

  #tellComplete(): void {
    const before = this.#complete;
    while (this.#completing.length > 0 && this.#completing[0]! <= this.flushed)
      this.#complete = this.#completing.shift()!;
    if (this.#complete > before) this.#send({ $case: 'complete', value: { pos: this.#complete } });
  }

  /** What nobody waits for becomes durable within wal_writer_delay. */
  #delay(): void {
    this.#delayed ??= this.#env.timers.after(
      this.#flushDelayMs(),
      () => {
        this.#delayed = undefined;
        if (!this.#closed) this.push(this.#buffers!.end);
      },
      { background: true },
    );
  }

  /** Resolves when everything before `lsn` is durable. */
  flush(lsn: number): Promise<void> {
    if (lsn <= this.flushed) return Promise.resolve();
    assert(lsn <= this.#buffers!.end, `flush of WAL up to ${lsn} that was not written yet`);
    this.push(lsn);
    return new Promise(resolve => this.#flushWaiters.push({ lsn, resolve }));
  }

  /** Tells the walwriter where the log really ends and resolves when it has room behind it. */
  endOfLog(pos: number): Promise<void> {
    return new Promise(resolve => {
      this.#endOfLog = { pos, resolve };
      this.#roomUntil = 0;
      if (this.#welcome) this.#send({ $case: 'endOfLog', value: { pos } });
    });
  }

  recycle(keepFrom: number, keepBytes: number): Promise<{ removed: number; recycled: number }> {
    if (!this.#welcome) return Promise.resolve({ removed: 0, recycled: 0 });
    return new Promise(resolve => {
      this.#recycled = resolve;
      this.#send({ $case: 'recycle', value: { keepFrom, keepBytes } });
    });
  }

  // ---- reading -----------------------------------------------------------------------------------

  #startRead(read: Read): void {
    const reqId = ++this.#lastReqId;
    this.#reads.set(reqId, read);
    if (this.#welcome) this.#send({ $case: 'read', value: { reqId, from: read.from, to: read.to } });
  }

  /** Bytes [from, to), fewer when the log has no more. A walwriter that dies in between is asked anew. */
  read(from: number, to: number): Promise<Uint8Array> {
    let parts: Uint8Array[] = [];
    return new Promise(resolve =>
      this.#startRead({
        from,
        to,
        restart: () => {
          parts = [];
        },
        chunk: data => parts.push(Uint8Array.from(data)),
        end: () => resolve(parts.length === 1 ? parts[0]! : Buffer.concat(parts)),
      }),
    );
  }

  /** The record that starts at `lsn`, which must be durable. */
  async readRecord(stream: XLogStream, lsn: XLogRecPtr): Promise<XLogRecord> {
    const reader = new XLogReader(stream, lsn);
    for (;;) {
      const got = reader.next();
      if (got instanceof WalEnd) throw new Error(`no record at ${lsn}: ${got.why}`);
      if (got !== undefined) return got;
      const data = await this.#window(reader.wants);
      assert(data.length > 0, `WAL ends before ${reader.wants}`);
      reader.feed(data);
    }
  }

  /** Durable bytes from `from` on, to the end of their window at most. */
  async #window(from: number): Promise<Uint8Array> {
    const start = Math.floor(from / WINDOW_BYTES) * WINDOW_BYTES;
    for (let asked = this.#windows.get(start); asked !== undefined; ) {
      const known = await asked;
      if (start + known.length > from) return known.subarray(from - start);
      // Too short by now; perhaps somebody has asked for more meanwhile.
      const again = this.#windows.get(start);
      asked = again === asked ? undefined : again;
    }
    // In recovery nothing is known to be durable, and nothing is being written.
    const end = start + WINDOW_BYTES;
    const window = this.read(start, this.#buffers === undefined ? end : Math.min(end, this.flushed));
    this.#windows.delete(start);
    this.#windows.set(start, window);
    if (this.#windows.size > MAX_WINDOWS) this.#windows.delete(this.#windows.keys().next().value!);
    return (await window).subarray(from - start);
  }

  /** Records from `start` to the end of the log. The next piece is fetched while one is replayed. */
  async *records(reader: XLogReader): AsyncGenerator<XLogRecord> {
    let next = this.read(reader.wants, reader.wants + READ_BYTES);
    for (;;) {
      const data = await next;
      if (data.length === 0) return;
      reader.feed(data);
      next = this.read(reader.wants, reader.wants + READ_BYTES);
      for (;;) {
        const got = reader.next();
        if (got === undefined) break;
        if (got instanceof WalEnd) {
          await next;
          return;
        }
        yield got;
      }
    }
  }
}
