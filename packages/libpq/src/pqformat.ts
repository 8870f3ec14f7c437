/**
 * Reading and writing message bodies. Writing gathers everything a session owes its client in one
 * buffer, so that one turn costs one write.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';

/** Enough for what a start-up answers; sessions that never need more stay small. */
const INITIAL_BYTES = 1024;
const KEEP_BYTES = 256 * 1024;
/** Longer values with memory of their own are not copied. */
const LARGE_BYTES = 1 << 16;
/** What PostgreSQL gathers a message in is no longer (MaxAllocSize). */
const MAX_MESSAGE_OUT = 0x3fffffff;

/** Messages on their way to a client. */
export class OutBuffer {
  // From Node's pool: no memory of its own to make and to collect for each connection.
  buffer: Buffer = Buffer.allocUnsafe(INITIAL_BYTES);
  length = 0;
  #messageAt = 0;
  #finished = true;
  /** What comes before `buffer`: bytes gathered earlier and large values, as they are. */
  #parts: Buffer[] = [];
  #partBytes = 0;
  /** The message begun last has large values: where it began, and its bytes so far. */
  #large: { readonly head: Buffer; readonly parts: number; readonly partBytes: number; bytes: number } | undefined;

  /** Messages that came up inside of another one. */
  #late: (() => void)[] | undefined;

  /** All that is gathered. */
  get pendingBytes(): number {
    return this.#partBytes + this.length;
  }

  /** Room for `bytes` more; call before writing to `buffer` directly. */
  reserve(bytes: number): void {
    const needed = this.length + bytes;
    if (needed <= this.buffer.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.buffer.length));
    this.buffer.copy(grown, 0, 0, this.length);
    this.buffer = grown;
  }

  begin(type: number): void {
    this.reserve(5);
    this.#messageAt = this.length;
    this.#finished = false;
    this.buffer[this.length] = type;
    this.length += 5;
  }

  /** Fills in the length of the message begun last. */
  end(): void {
    this.#finished = true;
    if (this.#large !== undefined) this.#endLarge(this.#large);
    else this.buffer.writeInt32BE(this.length - this.#messageAt - 1, this.#messageAt + 1);
    if (this.#late !== undefined) this.#putLate();
  }

  /** `put` writes messages of its own: now, or behind the one that is under way. A row's values are computed
   *  while it is written, and a function may have something to tell. */
  between(put: () => void): void {
    if (this.#finished) put();
    else (this.#late ??= []).push(put);
  }

  #putLate(): void {
    const late = this.#late!;
    this.#late = undefined;
    for (const put of late) put();
  }

  #endLarge({ head, bytes }: { readonly head: Buffer; readonly bytes: number }): void {
    head.writeInt32BE(bytes + this.length - 1, this.#messageAt + 1);
    this.#large = undefined;
  }

  /** A value that stays where it is. */
  #byReference(value: Uint8Array): void {
    const { buffer, length } = this;
    this.#large ??= { head: buffer, parts: this.#parts.length, partBytes: this.#partBytes, bytes: -this.#messageAt };
    const large = this.#large;
    large.bytes += length + value.length;
    if (large.bytes > MAX_MESSAGE_OUT) {
      const have = large.bytes - value.length - 5;
      throw ereport(ERRCODE.PROGRAM_LIMIT_EXCEEDED, 'out of memory', {
        detail: `Cannot enlarge string buffer containing ${have} bytes by ${value.length} more bytes.`,
      });
    }
    this.#parts.push(buffer.subarray(0, length), Buffer.from(value.buffer, value.byteOffset, value.length));
    this.#partBytes += length + value.length;
    this.buffer = Buffer.allocUnsafe(INITIAL_BYTES);
    this.length = 0;
  }

  /** Takes back the message begun last (an error struck in the middle of it). */
  discard(): void {
    if (this.#large !== undefined) {
      this.buffer = this.#large.head;
      this.#parts.length = this.#large.parts;
      this.#partBytes = this.#large.partBytes;
      this.#large = undefined;
    }
    this.length = this.#messageAt;
    this.#finished = true;
    if (this.#late !== undefined) this.#putLate();
  }

  discardUnfinished(): void {
    if (!this.#finished) this.discard();
  }

  byte(value: number): void {
    this.reserve(1);
    this.buffer[this.length++] = value;
  }

  int16(value: number): void {
    this.reserve(2);
    this.buffer[this.length] = value >>> 8;
    this.buffer[this.length + 1] = value;
    this.length += 2;
  }

  int32(value: number): void {
    this.reserve(4);
    const at = this.length;
    this.buffer[at] = value >>> 24;
    this.buffer[at + 1] = value >>> 16;
    this.buffer[at + 2] = value >>> 8;
    this.buffer[at + 3] = value;
    this.length = at + 4;
  }

  /** The value must not change afterwards. */
  bytes(value: Uint8Array): void {
    if (value.length >= LARGE_BYTES && value.length === value.buffer.byteLength) return this.#byReference(value);
    this.reserve(value.length);
    this.buffer.set(value, this.length);
    this.length += value.length;
  }

  /** UTF-8 text with the terminating zero. */
  cstring(text: string): void {
    const bytes = Buffer.byteLength(text);
    this.reserve(bytes + 1);
    this.buffer.write(text, this.length, 'utf8');
    this.length += bytes;
    this.buffer[this.length++] = 0;
  }

  /** What is gathered, for writing; it is not gathered any more. */
  take(): Buffer[] {
    const bytes = Buffer.allocUnsafe(this.length);
    this.buffer.copy(bytes, 0, 0, this.length);
    const taken = this.#parts;
    taken.push(bytes);
    this.#parts = [];
    this.#partBytes = 0;
    this.#reset();
    return taken;
  }

  #reset(): void {
    this.length = 0;
    if (this.buffer.length > KEEP_BYTES) this.buffer = Buffer.allocUnsafeSlow(INITIAL_BYTES);
  }
}

/** Reads one message body. Every shortage is 08P01, never a read beyond the message. */
export class BodyReader {
  #body: Buffer;
  #at = 0;

  constructor(body: Buffer) {
    this.#body = body;
  }

  get remaining(): number {
    return this.#body.length - this.#at;
  }

  byte(): number {
    return this.#body[this.#take(1)]!;
  }

  int16(): number {
    return this.#body.readInt16BE(this.#take(2));
  }

  uint16(): number {
    return this.#body.readUInt16BE(this.#take(2));
  }

  int32(): number {
    return this.#body.readInt32BE(this.#take(4));
  }

  uint32(): number {
    return this.#body.readUInt32BE(this.#take(4));
  }

  bytes(length: number): Buffer {
    const at = this.#take(length);
    return this.#body.subarray(at, at + length);
  }

  cstring(): string {
    return this.cstringBytes().toString();
  }

  /** A zero-terminated string as a view of the message. */
  cstringBytes(): Buffer {
    const end = this.#body.indexOf(0, this.#at);
    if (end < 0) throw malformed('invalid string in message');
    const bytes = this.#body.subarray(this.#at, end);
    this.#at = end + 1;
    return bytes;
  }

  /** The message must be used up. */
  done(): void {
    if (this.remaining !== 0) throw invalidMessageFormat();
  }

  #take(length: number): number {
    if (length < 0 || length > this.remaining) throw malformed('insufficient data left in message');
    const at = this.#at;
    this.#at += length;
    return at;
  }
}

/** A message is longer than what it says. */
export function invalidMessageFormat(): PgError {
  return malformed('invalid message format');
}

function malformed(message: string): PgError {
  return ereport(ERRCODE.PROTOCOL_VIOLATION, message);
}
