/**
 * Binary send and receive of fixed-width values, big-endian as on the wire. A receive function gets
 * the value's bytes only; too few or too many are a protocol violation, as in PostgreSQL.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import { int8Datum } from './numutils.ts';

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function wireView(bytes: Uint8Array, width: number): DataView {
  if (bytes.length < width) throw ereport(ERRCODE.PROTOCOL_VIOLATION, 'insufficient data left in message');
  if (bytes.length > width) {
    throw ereport(ERRCODE.INVALID_BINARY_REPRESENTATION, 'incorrect binary data format');
  }
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

export function recvInt32(bytes: Uint8Array): number {
  return wireView(bytes, 4).getInt32(0);
}

export function recvUint32(bytes: Uint8Array): number {
  return wireView(bytes, 4).getUint32(0);
}

export function recvInt64(bytes: Uint8Array): number | bigint {
  return int8Datum(wireView(bytes, 8).getBigInt64(0));
}
