/**
 * `/pgtroupe.WalWriter/Write` as a StreamMethod. All WAL crosses here once, so the two messages that
 * carry it (WalAppend, WalChunk) are put together and taken apart by hand: one copy on the way out,
 * none on the way in. Bytes on the wire are those of the generated codec, which does all the rest.
 *
 *   append := 0x12 length:varint  [0x08 pos:varint] [0x12 length:varint byte*] [0x18 sync]
 *   chunk  := 0x1a length:varint  [0x08 reqId:varint] [0x10 pos:varint] [0x1a length:varint byte*] [0x20 last]
 */
import type { Codec, StreamMethod } from '@pgtroupe/actor/rpc';
import { type WalAppend, type WalChunk, WalOrder, WalReport, WalWriterDefinition } from './generated/walwriter.ts';
import { streamMethod } from './method.ts';

const ORDER_APPEND = 0x12;
const REPORT_CHUNK = 0x1a;
const EMPTY = Buffer.alloc(0);

const generated = streamMethod(WalWriterDefinition, 'write');

const up: Codec<WalOrder> = {
  encode(message) {
    if (message.order?.$case !== 'append') return generated.up.encode(message);
    const { pos, data, sync } = message.order.value;
    return encode(ORDER_APPEND, [[0x08, pos]], 0x12, data, 0x18, sync);
  },
  decode(bytes) {
    if (bytes[0] === ORDER_APPEND) {
      const value: WalAppend = { pos: 0, data: EMPTY, sync: false };
      const known = decode(
        bytes,
        (tag, number) => {
          if (tag === 0x08) value.pos = number;
          else if (tag === 0x18) value.sync = number !== 0;
          else return false;
          return true;
        },
        0x12,
        data => {
          value.data = data;
        },
      );
      if (known) return { order: { $case: 'append', value } };
    }
    return generated.up.decode(bytes);
  },
};

const down: Codec<WalReport> = {
  encode(message) {
    if (message.report?.$case !== 'chunk') return generated.down.encode(message);
    const { reqId, pos, data, last } = message.report.value;
    return encode(
      REPORT_CHUNK,
      [
        [0x08, reqId],
        [0x10, pos],
      ],
      0x1a,
      data,
      0x20,
      last,
    );
  },
  decode(bytes) {
    if (bytes[0] === REPORT_CHUNK) {
      const value: WalChunk = { reqId: 0, pos: 0, data: EMPTY, last: false };
      const known = decode(
        bytes,
        (tag, number) => {
          if (tag === 0x08) value.reqId = number;
          else if (tag === 0x10) value.pos = number;
          else if (tag === 0x20) value.last = number !== 0;
          else return false;
          return true;
        },
        0x1a,
        data => {
          value.data = data;
        },
      );
      if (known) return { report: { $case: 'chunk', value } };
    }
    return generated.down.decode(bytes);
  },
};

export const WAL_WRITE: StreamMethod<WalOrder, WalReport> = { path: generated.path, up, down };

// ---- writing -----------------------------------------------------------------------------------------

/** Fields with their default value are left out, as proto3 does. */
function encode(
  outerTag: number,
  numbers: readonly (readonly [tag: number, value: number])[],
  dataTag: number,
  data: Uint8Array,
  flagTag: number,
  flag: boolean,
): Uint8Array {
  let length = flag ? 2 : 0;
  for (const [, value] of numbers) if (value !== 0) length += 1 + varintBytes(value);
  if (data.length > 0) length += 1 + varintBytes(data.length) + data.length;
  const out = Buffer.allocUnsafe(1 + varintBytes(length) + length);
  out[0] = outerTag;
  let at = putVarint(out, 1, length);
  for (const [tag, value] of numbers) {
    if (value === 0) continue;
    out[at] = tag;
    at = putVarint(out, at + 1, value);
  }
  if (data.length > 0) {
    out[at] = dataTag;
    at = putVarint(out, at + 1, data.length);
    out.set(data, at);
    at += data.length;
  }
  if (flag) {
    out[at] = flagTag;
    out[at + 1] = 1;
  }
  return out;
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest > 0x7f; rest = Math.floor(rest / 128)) bytes++;
  return bytes;
}

function putVarint(out: Uint8Array, at: number, value: number): number {
  let rest = value;
  while (rest > 0x7f) {
    out[at++] = (rest % 128) | 0x80;
    rest = Math.floor(rest / 128);
  }
  out[at++] = rest;
  return at;
}

// ---- reading -----------------------------------------------------------------------------------------

let varintEnd = 0;

/** The number at `at`, whose end is left in varintEnd; -1 when it is none of ours. */
function getVarint(bytes: Uint8Array, at: number): number {
  let value = 0;
  let scale = 1;
  for (let n = at; n < bytes.length && scale <= 2 ** 49; n++) {
    const byte = bytes[n]!;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) {
      varintEnd = n + 1;
      return value;
    }
    scale *= 128;
  }
  return -1;
}

/** Takes a message apart whose only field is at bytes[0]. False: not what we write ourselves, the
 *  generated codec shall look at it. Data is a view. */
function decode(
  bytes: Uint8Array,
  number: (tag: number, value: number) => boolean,
  dataTag: number,
  data: (view: Buffer) => void,
): boolean {
  const length = getVarint(bytes, 1);
  if (length < 0 || varintEnd + length !== bytes.length) return false;
  for (let at = varintEnd; at < bytes.length; ) {
    const tag = bytes[at]!;
    const value = getVarint(bytes, at + 1);
    if (value < 0) return false;
    at = varintEnd;
    if (tag !== dataTag) {
      if (!number(tag, value)) return false;
      continue;
    }
    if (at + value > bytes.length) return false;
    data(Buffer.from(bytes.buffer, bytes.byteOffset + at, value));
    at += value;
  }
  return true;
}
