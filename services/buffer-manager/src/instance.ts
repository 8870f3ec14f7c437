/**
 * One attached instance (a backend process) as the buffer-manager knows it. It lives from `hello` to
 * the end of its stream, and is never revived: a process that comes back is a new Instance.
 */
import type { RpcStream } from '@pgtroupe/actor/rpc';
import type { OpWriter } from '@pgtroupe/rpc/attach/codec';
import { ReadAccount, UpCredit } from '@pgtroupe/rpc/attach/credit';
import type { DownOp } from '@pgtroupe/rpc/attach/ops';
import { type SnapshotHolder, SnapshotToken } from './commit-queue.ts';
import type { PageEntry, TokenHolder } from './page-directory.ts';
import type { HorizonPin } from './proc-array.ts';

export type AttachStream = RpcStream<Uint8Array, Uint8Array>;

export class Instance implements TokenHolder, SnapshotHolder {
  readonly id: number;
  readonly name: string;
  readonly stream: AttachStream;
  readonly pin: HorizonPin;
  readonly pages = new Set<PageEntry>();
  readonly snapshot = new SnapshotToken();
  /** Number of its last WAL record: a gap means that the stream is broken. */
  lastSeq = 0;
  /** Ids reserved to it or run by it that have not ended. */
  readonly xids = new Set<number>();
  /** The same, as records carry them. */
  readonly #shortXids = new Set<number>();
  /** Last sign of life, on our clock. */
  heardMs: number;
  /** csn up to which it was told about invalidations. */
  invalidatedCsn: number;
  /** A snapshot is due before the next answers (it had one, and commits of its own became visible). */
  snapshotDue = false;
  dead = false;
  readonly up = new UpCredit();
  readonly down = new ReadAccount();
  readonly #out: OpWriter<DownOp>;

  constructor(
    id: number,
    name: string,
    stream: AttachStream,
    pin: HorizonPin,
    heardMs: number,
    csn: number,
    out: OpWriter<DownOp>,
  ) {
    this.id = id;
    this.name = name;
    this.stream = stream;
    this.pin = pin;
    this.heardMs = heardMs;
    this.invalidatedCsn = csn;
    this.#out = out;
  }

  addXid(fxid: number): void {
    this.xids.add(fxid);
    this.#shortXids.add(fxid >>> 0);
  }

  /** Its outcome is sequenced: nothing more is logged under it. */
  sealXid(fxid: number): void {
    this.#shortXids.delete(fxid >>> 0);
  }

  /** Does it run, without an outcome? */
  undecided(fxid: number): boolean {
    return this.xids.has(fxid) && this.#shortXids.has(fxid >>> 0);
  }

  removeXid(fxid: number): void {
    this.xids.delete(fxid);
    this.#shortXids.delete(fxid >>> 0);
  }

  /** May it log under this 32-bit id? */
  runs(xid: number): boolean {
    return this.#shortXids.has(xid);
  }

  put(op: DownOp): void {
    if (!this.dead) this.#out.put(op);
  }

  /** Sends what was put since the last time, as one message. */
  flush(): void {
    if (this.#out.lengthBytes === 0 || this.dead) return;
    const batch = this.#out.take();
    this.down.add(batch.length);
    this.stream.send(batch);
  }

  reply(reqId: number, sqlstate = '', message = ''): void {
    this.put({ op: 'reply', reqId, sqlstate, message });
  }
}
