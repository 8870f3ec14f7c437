/**
 * Binary send and receive of fixed-width values, big-endian as on the wire. A receive function gets
 * the value's bytes only; too few or too many are a protocol violation, as in PostgreSQL.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, PgError } from '@pgtroupe/common/ereport';
import { BodyReader } from '@pgtroupe/libpq/pqformat';
import { int8Datum } from './numutils.ts';

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Of bytes that a receive function did not ask for. Who called it says whose value it was. */
export const LEFT_OVER = 'incorrect binary data format';

/** A value's bytes, taken one part after the other. */
export class WireReader extends BodyReader {
  constructor(bytes: Uint8Array) {
    super(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  }

  override byte(): number {
    if (this.remaining === 0) throw ereport(ERRCODE.PROTOCOL_VIOLATION, 'no data left in message');
    return super.byte();
  }

  /** As a number, where `byte` is a character: PostgreSQL words their lack differently. */
  uint8(): number {
    return super.byte();
  }

  override done(): void {
    if (this.remaining > 0) throw ereport(ERRCODE.INVALID_BINARY_REPRESENTATION, LEFT_OVER);
  }
}

/** A value that is part of another: what it leaves over is told as the part's. */
export function receivePart<T>(receive: () => T, part: string): T {
  try {
    return receive();
  } catch (error) {
    if (!isLeftOver(error)) throw error;
    throw ereport(ERRCODE.INVALID_BINARY_REPRESENTATION, `improper binary format in ${part}`);
  }
}

export function isLeftOver(error: unknown): error is PgError {
  return (
    error instanceof PgError && error.sqlstate === ERRCODE.INVALID_BINARY_REPRESENTATION && error.message === LEFT_OVER
  );
}

/** Types' OIDs from here on differ from one database to the next: another server's array or row may have others. */
const FIRST_GENBKI_OBJECT_ID = 10000;

/** May a value that was sent as of type `sent` be one of type `wanted`? */
export function mayBeType(sent: number, wanted: number): boolean {
  return sent === wanted || sent >= FIRST_GENBKI_OBJECT_ID || wanted >= FIRST_GENBKI_OBJECT_ID;
}

export function wireView(bytes: Uint8Array, width: number): DataView {
  if (bytes.length < width) throw ereport(ERRCODE.PROTOCOL_VIOLATION, 'insufficient data left in message');
  if (bytes.length > width) throw ereport(ERRCODE.INVALID_BINARY_REPRESENTATION, LEFT_OVER);
  return viewOf(bytes);
}

export function sendInt16(value: number): Uint8Array {
  const out = new Uint8Array(2);
  out[0] = value >> 8;
  out[1] = value;
  return out;
}

export function sendInt32(value: number): Uint8Array {
  const out = new Uint8Array(4);
  out[0] = value >>> 24;
  out[1] = value >>> 16;
  out[2] = value >>> 8;
  out[3] = value;
  return out;
}

export function sendInt64(value: number | bigint): Uint8Array {
  const out = new Uint8Array(8);
  viewOf(out).setBigInt64(0, BigInt(value));
  return out;
}

/** A value of one byte. */
export function recvByte(bytes: Uint8Array): number {
  const reader = new WireReader(bytes);
  const value = reader.byte();
  reader.done();
  return value;
}

export function recvInt32(bytes: Uint8Array): number {
  return wireView(bytes, 4).getInt32(0);
}

export function recvUint32(bytes: Uint8Array): number {
  return wireView(bytes, 4).getUint32(0);
}

export function recvInt64(bytes: Uint8Array): number | bigint {
  return int8Datum(wireView(bytes, 8).getBigInt64(0));
}
