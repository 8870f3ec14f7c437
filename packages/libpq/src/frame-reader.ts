/**
 * Cuts the byte stream of a client into messages.
 *
 *   message := type:byte length:int32 body      length counts itself, not the type
 *
 * Memory follows the bytes that really came, never a length a client merely declared. In the common
 * case a message lies whole in one chunk and its body is a view into it.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import { FRONTEND, MAX_MESSAGE_BYTES, SMALL_MESSAGE_BYTES } from './protocol.ts';

const HEADER_BYTES = 5;
/** Up to here a loop is faster than a call. */
const SHORT_BODY_BYTES = 64;

/** Longest message per type. A type that is not here is not a message. */
const LIMITS: readonly number[] = (() => {
  const limits = new Array<number>(256).fill(0);
  const bulk = [FRONTEND.Bind, FRONTEND.CopyData, FRONTEND.FunctionCall, FRONTEND.Parse, FRONTEND.Query];
  for (const type of Object.values(FRONTEND)) limits[type] = SMALL_MESSAGE_BYTES;
  for (const type of bulk) limits[type] = MAX_MESSAGE_BYTES;
  limits[FRONTEND.Password] = 65535;
  return limits;
})();

export class FrameReader {
  /** Type of the message that `next` found. */
  type = 0;
  /** Bytes received and not consumed. */
  #data: Buffer = Buffer.alloc(0);
  #at = 0;
  /** Where its body is. */
  #bodyStart = 0;
  #bodyEnd = 0;
  /** Chunks of a message that is larger than what came so far. */
  #chunks: Buffer[] = [];
  #chunkBytes = 0;
  #needBytes = 0;

  /** Bytes held for messages that are not consumed yet. */
  get pendingBytes(): number {
    return this.#data.length - this.#at + this.#chunkBytes;
  }

  /** Its body; a view that is valid until the next call of `push` or `next`. */
  get body(): Buffer {
    return this.#data.subarray(this.#bodyStart, this.#bodyEnd);
  }

  get bodyLength(): number {
    return this.#bodyEnd - this.#bodyStart;
  }

  /** Copies the body without a view of it: COPY's messages are many and short. */
  copyBody(target: Buffer, to: number): void {
    const length = this.#bodyEnd - this.#bodyStart;
    if (length > SHORT_BODY_BYTES) {
      this.#data.copy(target, to, this.#bodyStart, this.#bodyEnd);
      return;
    }
    for (let i = 0; i < length; i++) target[to + i] = this.#data[this.#bodyStart + i]!;
  }

  push(chunk: Buffer): void {
    if (this.#needBytes > 0) {
      this.#chunks.push(chunk);
      this.#chunkBytes += chunk.length;
      if (this.#chunkBytes < this.#needBytes) return;
      this.#data = Buffer.concat(this.#chunks, this.#chunkBytes);
      this.#at = 0;
      this.#chunks = [];
      this.#chunkBytes = 0;
      this.#needBytes = 0;
      return;
    }
    if (this.#at === this.#data.length) this.#data = chunk;
    else this.#data = Buffer.concat([this.#data.subarray(this.#at), chunk]);
    this.#at = 0;
  }

  /** Moves to the next whole message. Throws FATAL 08P01 when the stream is not this protocol. */
  next(): boolean {
    const available = this.#data.length - this.#at;
    if (available < HEADER_BYTES) return this.#wait(HEADER_BYTES, available);
    const type = this.#data[this.#at]!;
    const limit = LIMITS[type]!;
    if (limit === 0) {
      throw ereport(ERRCODE.PROTOCOL_VIOLATION, `invalid frontend message type ${type}`, { severity: 'FATAL' });
    }
    const at = this.#at + 1;
    const length =
      (this.#data[at]! << 24) | (this.#data[at + 1]! << 16) | (this.#data[at + 2]! << 8) | this.#data[at + 3]!;
    if (length < 4 || length > limit) {
      throw ereport(ERRCODE.PROTOCOL_VIOLATION, 'invalid message length', { severity: 'FATAL' });
    }
    if (available < length + 1) return this.#wait(length + 1, available);
    this.type = type;
    this.#bodyStart = this.#at + HEADER_BYTES;
    this.#bodyEnd = this.#at + 1 + length;
    this.#at = this.#bodyEnd;
    return true;
  }

  #wait(needBytes: number, available: number): false {
    if (available > 0 && needBytes > available) {
      this.#chunks = [this.#data.subarray(this.#at)];
      this.#chunkBytes = available;
      this.#needBytes = needBytes;
      this.#data = Buffer.alloc(0);
      this.#at = 0;
    }
    return false;
  }
}
