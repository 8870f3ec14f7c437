/**
 * The stream of COPY FROM STDIN: CopyData messages, bounded in memory, until CopyDone or CopyFail.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, PgError } from '@pgtroupe/common/ereport';
import type { FrameReader } from '@pgtroupe/libpq/frame-reader';
import { BACKEND, FRONTEND } from '@pgtroupe/libpq/protocol';
import type { BackendSession } from './command-runner.ts';

/** Received and not yet worked on; beyond this the client is made to wait. */
const QUEUE_BYTES = 1024 * 1024;
const CHUNK_BYTES = 64 * 1024;
/** A larger message is worked on in pieces. */
const PIECE_BYTES = 1024 * 1024;

export class CopyInStream {
  readonly #session: BackendSession;
  readonly #queue: Buffer[] = [];
  /** Small messages (psql sends a row each) are gathered here. */
  #tail: Buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  #tailLength = 0;
  #queuedBytes = 0;
  /** Given out so far. */
  bytes = 0;
  #end: 'open' | 'done' | PgError = 'open';
  #wake: (() => void) | undefined;
  readonly #stop: () => void;

  /** Announces COPY to the client; `columns` all in text format. */
  constructor(session: BackendSession, columns: number) {
    this.#session = session;
    const { out } = session;
    out.begin(BACKEND.CopyInResponse);
    out.byte(0);
    out.int16(columns);
    for (let n = 0; n < columns; n++) out.int16(0);
    out.end();
    session.write();
    this.#stop = session.takeCopyMessages(message => this.#receive(message));
    session.resumeInput();
  }

  #receive(message: FrameReader): void {
    const { type } = message;
    switch (type) {
      case FRONTEND.CopyData:
        this.#append(message);
        if (this.#queuedBytes > QUEUE_BYTES) this.#session.pauseInput();
        break;
      case FRONTEND.CopyDone:
        this.#finish('done');
        break;
      case FRONTEND.CopyFail: {
        const reason = message.body.toString('utf8', 0, Math.max(0, message.bodyLength - 1));
        this.#finish(ereport(ERRCODE.QUERY_CANCELED, `COPY from stdin failed: ${reason}`));
        break;
      }
      case FRONTEND.Flush:
      case FRONTEND.Sync:
        return;
      default:
        this.#finish(
          ereport(
            ERRCODE.PROTOCOL_VIOLATION,
            `unexpected message type 0x${type.toString(16).toUpperCase()} during COPY from stdin`,
            {
              severity: 'FATAL',
            },
          ),
        );
    }
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  /** Copies the body, which dies with the call. */
  #append(message: FrameReader): void {
    const length = message.bodyLength;
    this.#queuedBytes += length;
    if (this.#tailLength + length > this.#tail.length) this.#closeTail();
    if (length > this.#tail.length) {
      this.#queue.push(Buffer.from(message.body));
      return;
    }
    message.copyBody(this.#tail, this.#tailLength);
    this.#tailLength += length;
  }

  #closeTail(): void {
    if (this.#tailLength === 0) return;
    this.#queue.push(this.#tail.subarray(0, this.#tailLength));
    this.#tail = Buffer.allocUnsafeSlow(CHUNK_BYTES);
    this.#tailLength = 0;
  }

  #finish(end: 'done' | PgError): void {
    this.#end = end;
    this.#stop();
  }

  /** What CopyFail said. */
  get failure(): PgError | undefined {
    return this.#end instanceof PgError ? this.#end : undefined;
  }

  /** The next chunk, undefined at the end of the data. Throws what CopyFail said. */
  async next(): Promise<Buffer | undefined> {
    for (;;) {
      if (this.#queue.length === 0) this.#closeTail();
      let chunk = this.#queue.shift();
      if (chunk !== undefined) {
        if (chunk.length > PIECE_BYTES) {
          this.#queue.unshift(chunk.subarray(PIECE_BYTES));
          chunk = chunk.subarray(0, PIECE_BYTES);
        }
        this.bytes += chunk.length;
        this.#queuedBytes -= chunk.length;
        if (this.#queuedBytes < QUEUE_BYTES / 2) this.#session.resumeInput();
        return chunk;
      }
      this.#session.checkForInterrupts();
      if (this.#end === 'done') return undefined;
      if (this.#end !== 'open') throw this.#end;
      await new Promise<void>(resolve => {
        this.#wake = resolve;
      });
    }
  }

  /** A cancel or the client's death ends the wait. */
  interrupt(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  /** The command failed: what still comes is thrown away by the session until it ends. */
  abandon(): void {
    this.#stop();
    this.#session.resumeInput();
  }
}
