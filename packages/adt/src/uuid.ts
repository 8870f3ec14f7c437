/**
 * Type uuid (16 bytes as on disk and on the wire), and gen_random_uuid().
 */
import type { FunctionCall, FunctionTable } from './fmgr.ts';
import { compareBytes, equalBytes, stringToText, textToString } from './mb/mbutils.ts';
import { invalidSyntax } from './numutils.ts';
import { wireView } from './pqwire.ts';

type Bytes = Uint8Array;

/** 32 hex digits, dashes allowed after every fourth, braces around all. */
function parseUuid(text: Bytes): Bytes {
  let s = textToString(text);
  if (s.startsWith('{')) {
    if (!s.endsWith('}')) throw invalidSyntax('uuid', text);
    s = s.slice(1, -1);
  }
  if (!/^[0-9a-fA-F]{4}(?:-?[0-9a-fA-F]{4}){7}$/.test(s)) throw invalidSyntax('uuid', text);
  const hex = s.replaceAll('-', '');
  return Uint8Array.from({ length: 16 }, (_, i) => Number.parseInt(hex.slice(i * 2, i * 2 + 2), 16));
}

function formatUuid(uuid: Bytes): string {
  let hex = '';
  for (let i = 0; i < 16; i++) {
    if (i === 4 || i === 6 || i === 8 || i === 10) hex += '-';
    hex += (uuid[i] < 16 ? '0' : '') + uuid[i].toString(16);
  }
  return hex;
}

function randomUuid(fc: FunctionCall): Bytes {
  const out = new Uint8Array(16);
  for (let i = 0; i < 16; i++) out[i] = Math.floor(fc.settings.random() * 256);
  out[6] = (out[6] & 0x0f) | 0x40;
  out[8] = (out[8] & 0x3f) | 0x80;
  return out;
}

export const uuidFunctions: FunctionTable = {
  uuid_in: (_fc: FunctionCall, text: Bytes) => parseUuid(text),
  uuid_out: (_fc: FunctionCall, uuid: Bytes) => stringToText(formatUuid(uuid)),
  uuid_recv: (_fc: FunctionCall, bytes: Bytes) => {
    wireView(bytes, 16);
    return bytes;
  },
  uuid_send: (_fc: FunctionCall, uuid: Bytes) => uuid,
  uuid_eq: (_fc: FunctionCall, a: Bytes, b: Bytes) => equalBytes(a, b),
  uuid_ne: (_fc: FunctionCall, a: Bytes, b: Bytes) => !equalBytes(a, b),
  uuid_lt: (_fc: FunctionCall, a: Bytes, b: Bytes) => compareBytes(a, b) < 0,
  uuid_le: (_fc: FunctionCall, a: Bytes, b: Bytes) => compareBytes(a, b) <= 0,
  uuid_gt: (_fc: FunctionCall, a: Bytes, b: Bytes) => compareBytes(a, b) > 0,
  uuid_ge: (_fc: FunctionCall, a: Bytes, b: Bytes) => compareBytes(a, b) >= 0,
  uuid_cmp: (_fc: FunctionCall, a: Bytes, b: Bytes) => compareBytes(a, b),
  gen_random_uuid: randomUuid,
};
