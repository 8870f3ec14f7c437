/**
 * The instance's end of the Attach stream.
 *
 * Operations put in one callback leave as one message at its end. (Not at the end of the event loop's
 * turn: HTTP/2 writes in the next one, and a COMMIT that waits for two turns of a busy instance waits longer
 * than for the disk.) What nobody waits for (`putLazily`: WAL records above all) waits for
 * the next message, at most twice LAZY_MS or LAZY_BYTES: a transaction's records leave with its COMMIT. Nothing
 * depends on the delay: order is kept, and every page goes out behind the records that changed it.
 *
 * When the stream ends, everything the instance knew of shared state is void: listeners are told, then the
 * instance attaches anew until it is welcome again. There is no resume (invariant 22).
 *
 * Zombie rule (invariant 17): the right to take new snapshots lapses SNAPSHOT_LEASE_MS after the last
 * acknowledged heartbeat was *sent*. Before that no snapshot is given, and no commit becomes visible, that this
 * instance was not asked about: not by the buffer-manager after it fenced it, and not by its successor.
 */
import type { Env } from '@pgtroupe/actor/env';
import type { RpcStream } from '@pgtroupe/actor/rpc';
import { assert } from '@pgtroupe/common/assert';
import { downReader, type OpReader, type OpWriter, upWriter } from '@pgtroupe/rpc/attach/codec';
import { ReadAccount, SendCredit } from '@pgtroupe/rpc/attach/credit';
import { ATTACH } from '@pgtroupe/rpc/attach/method';
import type { DownOp, UpOp } from '@pgtroupe/rpc/attach/ops';

export const ATTACH_PROTOCOL = 1;
const HEARTBEAT_MS = 500;
export const SNAPSHOT_LEASE_MS = 1000;
const REATTACH_MS = 50;
const LAZY_MS = 10;
const LAZY_BYTES = 32 * 1024;

export type Welcome = Extract<DownOp, { op: 'welcome' }>;
type OpName = DownOp['op'];
type Receiver<K extends OpName> = (op: Extract<DownOp, { op: K }>) => void;

type State =
  | { readonly kind: 'detached' }
  | { readonly kind: 'connecting'; readonly stream: RpcStream<Uint8Array, Uint8Array> }
  | { readonly kind: 'attached'; readonly stream: RpcStream<Uint8Array, Uint8Array>; readonly welcome: Welcome }
  | { readonly kind: 'closed' };

export interface AttachmentOptions {
  readonly endpoint: string;
  /** `backend-3`. */
  readonly name: string;
  readonly osPid: number;
}

export class Attachment {
  readonly #env: Env;
  readonly #options: AttachmentOptions;
  readonly #receivers = new Map<string, (op: DownOp) => void>();
  readonly #reader: OpReader<DownOp>;
  readonly #writer: OpWriter<UpOp>;
  #state: State = { kind: 'detached' };
  #flushPlanned = false;
  #lazyFlushPlanned = false;
  #batches = 0;
  /** A session here waits for what is gathered. */
  #awaited = false;
  #turns = 0;
  #leaseUntilMs = 0;
  /** Heartbeats under way: counter to send time. */
  readonly #beats = new Map<number, number>();
  /** Runs right before a batch leaves: adds what should ride along. */
  beforeFlush: () => void = () => {};
  /** A new life: called with the welcome before any other operation of it. */
  onAttach: (welcome: Welcome) => void = () => {};
  /** All shared state is void. */
  onDetach: (why: string) => void = () => {};
  /** Producers of bulk WAL may go on. */
  onCredit: () => void = () => {};
  /** Requests awaiting an answer that carries their reqId. */
  readonly #requests = new Map<number, { resolve(op: DownOp): void; reject(error: Error): void }>();
  #lastReqId = 0;
  readonly #detachedError: () => Error;
  // Of this stream.
  #credit = new SendCredit();
  #read = new ReadAccount();

  constructor(env: Env, options: AttachmentOptions, detachedError: () => Error) {
    this.#env = env;
    this.#reader = downReader(env.traffic);
    this.#writer = upWriter(env.traffic);
    this.#options = options;
    this.#detachedError = detachedError;
  }

  /** Registers who handles one kind of operation. */
  on<K extends OpName>(name: K, receive: Receiver<K>): void {
    assert(!this.#receivers.has(name), `two receivers of ${name}`);
    this.#receivers.set(name, receive as (op: DownOp) => void);
  }

  get attached(): boolean {
    return this.#state.kind === 'attached';
  }

  /** May a remembered snapshot still be used? */
  get leaseValid(): boolean {
    return this.#state.kind === 'attached' && this.#env.clock.nowMs() < this.#leaseUntilMs;
  }

  /** Bytes that producers of bulk WAL may yet put. */
  get creditBytes(): number {
    return this.#credit.left(this.#writer.lengthBytes);
  }

  start(): void {
    this.#connect();
  }

  close(): void {
    const state = this.#state;
    this.#state = { kind: 'closed' };
    if (state.kind === 'attached' || state.kind === 'connecting') state.stream.end();
  }

  put(op: UpOp): void {
    if (this.#state.kind !== 'attached') return;
    this.#awaited = true;
    this.putUnawaited(op);
  }

  /** Like `put`, for what no session here waits for and should not be late all the same: heartbeats, answers to
   *  recalls, ids ahead of need. Only the count of messages knows the difference. */
  putUnawaited(op: UpOp): void {
    if (this.#state.kind !== 'attached') return;
    this.#writer.put(op);
    this.#planFlush();
  }

  /** Like `put`, for an operation that may wait for another one's message. */
  putLazily(op: UpOp): void {
    if (this.#state.kind !== 'attached') return;
    this.#writer.put(op);
    if (this.#writer.lengthBytes >= LAZY_BYTES) return this.#planFlush();
    if (!this.#lazyFlushPlanned) this.#planLazyFlush();
  }

  #planLazyFlush(): void {
    this.#lazyFlushPlanned = true;
    const sent = this.#batches;
    this.#env.timers.after(LAZY_MS, () => {
      this.#lazyFlushPlanned = false;
      if (this.#writer.lengthBytes === 0) return;
      // What is gathered now came after another message: its own time begins now.
      if (this.#batches === sent) this.flush();
      else this.#planLazyFlush();
    });
  }

  /** A request whose answer carries its reqId. Rejects when the stream ends first. */
  request(make: (reqId: number) => UpOp): Promise<DownOp> {
    if (this.#state.kind !== 'attached') return Promise.reject(this.#detachedError());
    const reqId = (this.#lastReqId = (this.#lastReqId % 0xffffffff) + 1);
    const answer = new Promise<DownOp>((resolve, reject) => this.#requests.set(reqId, { resolve, reject }));
    this.put(make(reqId));
    return answer;
  }

  /** Sends what is gathered now instead of at the end of the turn. */
  flush(): void {
    const state = this.#state;
    if (state.kind !== 'attached') return;
    const awaited = this.#awaited;
    this.#awaited = false;
    this.beforeFlush();
    if (this.#writer.lengthBytes === 0) return;
    const batch = this.#writer.take();
    this.#batches++;
    if (!awaited) this.#env.traffic.unawaitedMessages++;
    this.#credit.sent(batch.length);
    state.stream.send(batch);
  }

  #planFlush(): void {
    if (this.#flushPlanned) return;
    this.#flushPlanned = true;
    queueMicrotask(() => {
      this.#flushPlanned = false;
      this.flush();
    });
  }

  #connect(): void {
    const stream = this.#env.rpc.open(this.#options.endpoint, ATTACH);
    this.#state = { kind: 'connecting', stream };
    this.#credit = new SendCredit();
    this.#read = new ReadAccount();
    stream.onMessage = batch => this.#receive(stream, batch);
    stream.onEnd = end => this.#ended(stream, end.kind === 'broken' ? end.why : 'the buffer-manager closed the stream');
    const hello = upWriter(this.#env.traffic);
    hello.put({
      op: 'hello',
      protocol: ATTACH_PROTOCOL,
      name: this.#options.name,
      uuid: Buffer.from(this.#env.random.bytes(16)).toString('hex'),
      osPid: this.#options.osPid,
    });
    const batch = hello.take();
    this.#credit.sent(batch.length);
    stream.send(batch);
  }

  #receive(stream: RpcStream<Uint8Array, Uint8Array>, batch: Uint8Array): void {
    this.#read.add(batch.length);
    this.#reader.read(batch, op => {
      if (op.op === 'welcome') this.#welcomed(stream, op);
      else if (op.op === 'heartbeatAck') this.#beatAcked(op.counter);
      else if (op.op === 'credit') this.#credited(op.until);
      else if (this.#receivers.has(op.op)) this.#receivers.get(op.op)!(op);
      else if ('reqId' in op) this.answer(op.reqId, op);
    });
    const bytes = this.#read.confirm();
    if (bytes > 0) this.putUnawaited({ op: 'received', bytes });
  }

  /** Hands a request its answer; receivers of answers that also change state here call it themselves. */
  answer(reqId: number, op: DownOp): void {
    const request = this.#requests.get(reqId);
    if (request === undefined) return;
    this.#requests.delete(reqId);
    request.resolve(op);
  }

  /** connecting -> attached */
  #welcomed(stream: RpcStream<Uint8Array, Uint8Array>, welcome: Welcome): void {
    assert(this.#state.kind === 'connecting', 'welcome on a stream that was not connecting');
    this.#state = { kind: 'attached', stream, welcome };
    this.#beats.clear();
    this.#leaseUntilMs = 0;
    this.onAttach(welcome);
    this.#beat(stream);
  }

  #credited(until: number): void {
    this.#credit.granted(until);
    this.onCredit();
  }

  /** Heartbeats until this stream ends. */
  #beat(stream: RpcStream<Uint8Array, Uint8Array>): void {
    const state = this.#state;
    if (state.kind !== 'attached' || state.stream !== stream) return;
    this.#turns++;
    this.#beats.set(this.#turns, this.#env.clock.nowMs());
    this.putUnawaited({ op: 'heartbeat', counter: this.#turns });
    this.#env.timers.after(HEARTBEAT_MS, () => this.#beat(stream), { background: true });
  }

  #beatAcked(counter: number): void {
    const sentMs = this.#beats.get(counter);
    if (sentMs === undefined) return;
    for (const earlier of this.#beats.keys()) if (earlier <= counter) this.#beats.delete(earlier);
    this.#leaseUntilMs = sentMs + SNAPSHOT_LEASE_MS;
  }

  /** attached | connecting -> detached, and another try */
  #ended(stream: RpcStream<Uint8Array, Uint8Array>, why: string): void {
    const state = this.#state;
    if (state.kind === 'closed' || state.kind === 'detached' || state.stream !== stream) return;
    this.#state = { kind: 'detached' };
    if (this.#writer.lengthBytes > 0) this.#writer.take();
    this.#awaited = false;
    if (state.kind === 'attached') {
      this.onDetach(why);
      const requests = [...this.#requests.values()];
      this.#requests.clear();
      for (const request of requests) request.reject(this.#detachedError());
    }
    this.#env.timers.after(REATTACH_MS, () => {
      if (this.#state.kind === 'detached') this.#connect();
    });
  }
}
