/**
 * Types inet and cidr: an IP address and how many of its bits are the network's.
 *
 * Payload: 0 family (2 IPv4, 3 IPv6)   1 bits   2 address, 4 or 16 bytes
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';
import type { FunctionCall, FunctionTable } from './fmgr.ts';
import { compareBytes, stringToText, textToString } from './mb/mbutils.ts';
import { int8Datum } from './numutils.ts';
import { WireReader } from './pqwire.ts';
import { hashBytes, hashBytesExtended } from './hash/hashfn.ts';

type Bytes = Uint8Array;

const IPV4 = 2;
const IPV6 = 3;

const family = (v: Bytes): number => v[0];
const bitsOf = (v: Bytes): number => v[1];
const address = (v: Bytes): Bytes => v.subarray(2);
const maxBits = (v: Bytes): number => (family(v) === IPV4 ? 32 : 128);

function make(fam: number, bits: number, addr: ArrayLike<number>): Bytes {
  const out = new Uint8Array(2 + addr.length);
  out[0] = fam;
  out[1] = bits;
  out.set(addr, 2);
  return out;
}

const invalid = (text: Bytes, typeName: string): PgError =>
  ereport(ERRCODE.INVALID_TEXT_REPRESENTATION, `invalid input syntax for type ${typeName}: "${textToString(text)}"`);

function parseIpv4(s: string, partial: boolean): number[] | undefined {
  const parts = s.split('.');
  if (parts.length > 4 || (!partial && parts.length < 4) || parts.some(p => !/^\d{1,3}$/.test(p) || Number(p) > 255))
    return undefined;
  return [...parts.map(Number), 0, 0, 0].slice(0, 4);
}

function parseIpv6(s: string): number[] | undefined {
  const halves = s.split('::');
  if (halves.length > 2) return undefined;
  const words = (half: string): number[] | undefined => {
    if (half === '') return [];
    const out: number[] = [];
    const parts = half.split(':');
    for (const [i, part] of parts.entries()) {
      if (part.includes('.') && i === parts.length - 1) {
        const v4 = parseIpv4(part, false);
        if (!v4) return undefined;
        out.push((v4[0] << 8) | v4[1], (v4[2] << 8) | v4[3]);
      } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) out.push(Number.parseInt(part, 16));
      else return undefined;
    }
    return out;
  };
  const head = words(halves[0]);
  const tail = halves.length === 2 ? words(halves[1]) : [];
  if (!head || !tail) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  return [...head, ...new Array<number>(missing).fill(0), ...tail].flatMap(w => [w >> 8, w & 255]);
}

/** Bits beyond the network are zero. */
function masked(addr: Bytes, bits: number): Bytes {
  return addr.map((b, i) => (bits >= i * 8 + 8 ? b : bits <= i * 8 ? 0 : b & (0xff << (i * 8 + 8 - bits))));
}

/** Classful default of a partial IPv4 network. */
function classBits(addr: readonly number[], given: number): number {
  const c = addr[0] >= 240 ? 32 : addr[0] >= 224 ? 8 : addr[0] >= 192 ? 24 : addr[0] >= 128 ? 16 : 8;
  const bits = Math.max(c, given * 8);
  return addr[0] >= 224 && addr[0] < 240 && bits === 8 && given === 1 ? 4 : bits;
}

function parse(text: Bytes, cidr: boolean): Bytes {
  const name = cidr ? 'cidr' : 'inet';
  const m = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(textToString(text));
  if (!m) throw invalid(text, name);
  const v6 = m[1].includes(':');
  const addr = v6 ? parseIpv6(m[1]) : parseIpv4(m[1], cidr || m[2] !== undefined);
  if (!addr) throw invalid(text, name);
  const max = v6 ? 128 : 32;
  const given = m[1].split('.').length;
  const bits = m[2] !== undefined ? Number(m[2]) : !v6 && cidr && given < 4 ? classBits(addr, given) : max;
  if (bits > max) throw invalid(text, name);
  const value = make(v6 ? IPV6 : IPV4, bits, addr);
  if (cidr && compareBytes(masked(address(value), bits), address(value)) !== 0) {
    throw ereport(ERRCODE.INVALID_TEXT_REPRESENTATION, `invalid cidr value: "${textToString(text)}"`, {
      detail: 'Value has bits set to right of mask.',
    });
  }
  return value;
}

function formatIpv6(addr: Bytes): string {
  const words = Array.from({ length: 8 }, (_, i) => (addr[i * 2] << 8) | addr[i * 2 + 1]);
  let best = { at: -1, length: 1 };
  for (let i = 0; i < 8; ) {
    let j = i;
    while (j < 8 && words[j] === 0) j++;
    if (j - i > best.length) best = { at: i, length: j - i };
    i = j + 1;
  }
  const v4 = best.at === 0 && (best.length === 6 || (best.length === 5 && words[5] === 0xffff));
  const shown = words.map(w => w.toString(16));
  if (v4) shown.splice(6, 2, Array.from(addr.subarray(12)).join('.'));
  if (best.at < 0) return shown.join(':');
  return `${shown.slice(0, best.at).join(':')}::${shown.slice(best.at + best.length).join(':')}`;
}

const host = (v: Bytes): string => (family(v) === IPV4 ? Array.from(address(v)).join('.') : formatIpv6(address(v)));
const show = (v: Bytes, always: boolean): string =>
  always || bitsOf(v) !== maxBits(v) ? `${host(v)}/${bitsOf(v)}` : host(v);

/** Bytes of common leading bits, up to `bits`. */
function compareBits(a: Bytes, b: Bytes, bits: number): number {
  return compareBytes(masked(a, bits), masked(b, bits));
}

/** Family, common network bits, length of the network, address. */
function compare(a: Bytes, b: Bytes): number {
  if (family(a) !== family(b)) return family(a) - family(b);
  const order = compareBits(address(a), address(b), Math.min(bitsOf(a), bitsOf(b)));
  return order || bitsOf(a) - bitsOf(b) || compareBytes(address(a), address(b));
}

/** Whether a lies within b's network, strictly or not. */
function within(a: Bytes, b: Bytes, strict: boolean): boolean {
  if (family(a) !== family(b) || (strict ? bitsOf(a) <= bitsOf(b) : bitsOf(a) < bitsOf(b))) return false;
  return compareBits(address(a), address(b), bitsOf(b)) === 0;
}

const netmask = (v: Bytes): Bytes => masked(new Uint8Array(maxBits(v) / 8).fill(255), bitsOf(v));

function bitwise(a: Bytes, b: Bytes, name: string, op: (x: number, y: number) => number): Bytes {
  if (family(a) !== family(b))
    throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `cannot ${name} inet values of different sizes`);
  return make(
    family(a),
    Math.max(bitsOf(a), bitsOf(b)),
    address(a).map((x, i) => op(x, address(b)[i]) & 255),
  );
}

function toBigInt(addr: Bytes): bigint {
  return addr.reduce((n, b) => (n << 8n) | BigInt(b), 0n);
}

function move(v: Bytes, by: bigint): Bytes {
  let n = toBigInt(address(v)) + by;
  if (n < 0n || n >= 1n << BigInt(maxBits(v)))
    throw ereport(ERRCODE.NUMERIC_VALUE_OUT_OF_RANGE, 'result is out of range');
  const out = new Uint8Array(maxBits(v) / 8);
  for (let i = out.length - 1; i >= 0; i--, n >>= 8n) out[i] = Number(n & 255n);
  return make(family(v), bitsOf(v), out);
}

function setMasklen(v: Bytes, bits: number, cidr: boolean): Bytes {
  const n = bits === -1 ? maxBits(v) : bits;
  if (n < 0 || n > maxBits(v)) throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `invalid mask length: ${bits}`);
  return make(family(v), n, cidr ? masked(address(v), n) : address(v));
}

function receive(bytes: Bytes, cidr: boolean): Bytes {
  const name = cidr ? 'cidr' : 'inet';
  const bad = (what: string): PgError =>
    ereport(ERRCODE.INVALID_BINARY_REPRESENTATION, `invalid ${what} in external "${name}" value`);
  const reader = new WireReader(bytes);
  const fam = reader.byte();
  if (fam !== IPV4 && fam !== IPV6) throw bad('address family');
  const size = fam === IPV4 ? 4 : 16;
  const bits = reader.byte();
  if (bits > size * 8) throw bad('bits');
  // Whether it was sent as cidr does not matter.
  reader.byte();
  if (reader.byte() !== size) throw bad('length');
  const value = make(
    fam,
    bits,
    Uint8Array.from({ length: size }, () => reader.byte()),
  );
  reader.done();
  if (cidr && compareBytes(masked(address(value), bits), address(value)) !== 0) {
    throw ereport(ERRCODE.INVALID_BINARY_REPRESENTATION, 'invalid external "cidr" value', {
      detail: 'Value has bits set to right of mask.',
    });
  }
  return value;
}

/** Wire form: family, bits, whether cidr, address length, address. */
function send(v: Bytes, cidr: boolean): Bytes {
  return Uint8Array.from([family(v), bitsOf(v), cidr ? 1 : 0, maxBits(v) / 8, ...address(v)]);
}

function merge(a: Bytes, b: Bytes): Bytes {
  if (family(a) !== family(b))
    throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, 'cannot merge addresses from different families');
  let bits = Math.min(bitsOf(a), bitsOf(b));
  while (bits > 0 && compareBits(address(a), address(b), bits) !== 0) bits--;
  return make(family(a), bits, masked(address(a), bits));
}

export const parseInet = (text: Bytes): Bytes => parse(text, false);

export const networkFunctions: FunctionTable = {
  inet_in: (_fc: FunctionCall, text: Bytes) => parseInet(text),
  inet_out: (_fc: FunctionCall, v: Bytes) => stringToText(show(v, false)),
  inet_recv: (_fc: FunctionCall, bytes: Bytes) => receive(bytes, false),
  inet_send: (_fc: FunctionCall, v: Bytes) => send(v, false),
  cidr_in: (_fc: FunctionCall, text: Bytes) => parse(text, true),
  cidr_out: (_fc: FunctionCall, v: Bytes) => stringToText(show(v, true)),
  cidr_recv: (_fc: FunctionCall, bytes: Bytes) => receive(bytes, true),
  cidr_send: (_fc: FunctionCall, v: Bytes) => send(v, true),
  inet_to_cidr: (_fc: FunctionCall, v: Bytes) => make(family(v), bitsOf(v), masked(address(v), bitsOf(v))),
  inet_set_masklen: (_fc: FunctionCall, v: Bytes, bits: number) => setMasklen(v, bits, false),
  cidr_set_masklen: (_fc: FunctionCall, v: Bytes, bits: number) => setMasklen(v, bits, true),
  network_eq: (_fc: FunctionCall, a: Bytes, b: Bytes) => compare(a, b) === 0,
  network_ne: (_fc: FunctionCall, a: Bytes, b: Bytes) => compare(a, b) !== 0,
  network_lt: (_fc: FunctionCall, a: Bytes, b: Bytes) => compare(a, b) < 0,
  network_le: (_fc: FunctionCall, a: Bytes, b: Bytes) => compare(a, b) <= 0,
  network_gt: (_fc: FunctionCall, a: Bytes, b: Bytes) => compare(a, b) > 0,
  network_ge: (_fc: FunctionCall, a: Bytes, b: Bytes) => compare(a, b) >= 0,
  network_cmp: (_fc: FunctionCall, a: Bytes, b: Bytes) => compare(a, b),
  network_larger: (_fc: FunctionCall, a: Bytes, b: Bytes) => (compare(a, b) > 0 ? a : b),
  network_smaller: (_fc: FunctionCall, a: Bytes, b: Bytes) => (compare(a, b) < 0 ? a : b),
  network_sub: (_fc: FunctionCall, a: Bytes, b: Bytes) => within(a, b, true),
  network_subeq: (_fc: FunctionCall, a: Bytes, b: Bytes) => within(a, b, false),
  network_sup: (_fc: FunctionCall, a: Bytes, b: Bytes) => within(b, a, true),
  network_supeq: (_fc: FunctionCall, a: Bytes, b: Bytes) => within(b, a, false),
  network_overlap: (_fc: FunctionCall, a: Bytes, b: Bytes) =>
    family(a) === family(b) && compareBits(address(a), address(b), Math.min(bitsOf(a), bitsOf(b))) === 0,
  network_host: (_fc: FunctionCall, v: Bytes) => stringToText(host(v)),
  network_show: (_fc: FunctionCall, v: Bytes) => stringToText(show(v, true)),
  network_masklen: (_fc: FunctionCall, v: Bytes) => bitsOf(v),
  network_family: (_fc: FunctionCall, v: Bytes) => (family(v) === IPV4 ? 4 : 6),
  network_network: (_fc: FunctionCall, v: Bytes) => make(family(v), bitsOf(v), masked(address(v), bitsOf(v))),
  network_netmask: (_fc: FunctionCall, v: Bytes) => make(family(v), maxBits(v), netmask(v)),
  network_hostmask: (_fc: FunctionCall, v: Bytes) =>
    make(
      family(v),
      maxBits(v),
      netmask(v).map(b => ~b),
    ),
  network_broadcast: (_fc: FunctionCall, v: Bytes) =>
    make(
      family(v),
      bitsOf(v),
      address(v).map((b, i) => (b | ~netmask(v)[i]) & 255),
    ),
  inet_same_family: (_fc: FunctionCall, a: Bytes, b: Bytes) => family(a) === family(b),
  inet_merge: (_fc: FunctionCall, a: Bytes, b: Bytes) => merge(a, b),
  inetnot: (_fc: FunctionCall, v: Bytes) =>
    make(
      family(v),
      bitsOf(v),
      address(v).map(b => ~b),
    ),
  inetand: (_fc: FunctionCall, a: Bytes, b: Bytes) => bitwise(a, b, 'AND', (x, y) => x & y),
  inetor: (_fc: FunctionCall, a: Bytes, b: Bytes) => bitwise(a, b, 'OR', (x, y) => x | y),
  inetpl: (_fc: FunctionCall, v: Bytes, by: number | bigint) => move(v, BigInt(by)),
  inetmi_int8: (_fc: FunctionCall, v: Bytes, by: number | bigint) => move(v, -BigInt(by)),
  inetmi: (_fc: FunctionCall, a: Bytes, b: Bytes) => {
    if (family(a) !== family(b))
      throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, 'cannot subtract inet values of different sizes');
    const n = toBigInt(address(a)) - toBigInt(address(b));
    if (BigInt.asIntN(64, n) !== n) throw ereport(ERRCODE.NUMERIC_VALUE_OUT_OF_RANGE, 'result is out of range');
    return int8Datum(n);
  },
  hashinet: (_fc: FunctionCall, v: Bytes) => hashBytes(v),
  hashinetextended: (_fc: FunctionCall, v: Bytes, seed: number | bigint) =>
    int8Datum(hashBytesExtended(v, BigInt(seed))),
};
