/**
 * Type pg_snapshot (xid8funcs.c), also by its old name txid_snapshot: which transactions a snapshot sees.
 *
 *   nxip:u32 xmin:u64 xmax:u64 xip:u64*       little-endian, behind the length word; xip ascending
 *
 * A snapshot taken here names what shared memory takes for running: subtransactions, and ids that instances have in reserve,
 * are among them.
 */
import type { Datum } from '@pgtroupe/common/datum';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported } from '@pgtroupe/common/ereport';
import { INT8OID } from '@pgtroupe/common/oids';
import type { FunctionCall, FunctionTable, SetFunctionTable } from './fmgr.ts';
import { stringToText, textToString } from './mb/mbutils.ts';
import { int8Datum } from './numutils.ts';
import { viewOf, WireReader } from './pqwire.ts';

type Xid8 = number | bigint;

interface Snapshot {
  readonly xmin: bigint;
  readonly xmax: bigint;
  readonly xip: readonly bigint[];
}

const HEAD_BYTES = 20;
const MAX_U64 = 0xffffffffffffffffn;
/** So many fit into a value (PG_SNAPSHOT_MAX_NXIP). */
const MAX_NXIP = Math.floor((0x3fffffff - 24) / 8);

function pack({ xmin, xmax, xip }: Snapshot): Uint8Array {
  const bytes = new Uint8Array(HEAD_BYTES + 8 * xip.length);
  const view = viewOf(bytes);
  view.setUint32(0, xip.length, true);
  view.setBigUint64(4, xmin, true);
  view.setBigUint64(12, xmax, true);
  for (const [n, xid] of xip.entries()) view.setBigUint64(HEAD_BYTES + 8 * n, xid, true);
  return bytes;
}

function unpack(bytes: Uint8Array): Snapshot {
  const view = viewOf(bytes);
  const xip = Array.from({ length: view.getUint32(0, true) }, (_, n) => view.getBigUint64(HEAD_BYTES + 8 * n, true));
  return { xmin: view.getBigUint64(4, true), xmax: view.getBigUint64(12, true), xip };
}

/** strtoull at a place: the number, 0 where there is none, and where it ends. */
function numberAt(text: string, at: number): { readonly value: bigint; readonly end: number } {
  const found = /^[\t-\r ]*([+-]?)(\d+)/.exec(text.slice(at));
  if (found === null) return { value: 0n, end: at };
  const digits = BigInt(found[2]!);
  const value = digits > MAX_U64 ? MAX_U64 : BigInt.asUintN(64, found[1] === '-' ? -digits : digits);
  return { value, end: at + found[0].length };
}

/** FullTransactionIdIsValid looks at the lower half alone. */
const isValid = (xid: bigint): boolean => (xid & 0xffffffffn) !== 0n;

function parse(bytes: Uint8Array): Uint8Array {
  const text = textToString(bytes);
  const bad = (rest: string): Error =>
    ereport(ERRCODE.INVALID_TEXT_REPRESENTATION, `invalid input syntax for type pg_snapshot: "${rest}"`);
  const { value: xmin, end: minEnd } = numberAt(text, 0);
  if (text[minEnd] !== ':') throw bad(text);
  const { value: xmax, end: maxEnd } = numberAt(text, minEnd + 1);
  if (text[maxEnd] !== ':' || !isValid(xmin) || !isValid(xmax) || xmax < xmin) throw bad(text);
  const xip: bigint[] = [];
  let last = 0n;
  for (let at = maxEnd + 1; at < text.length; ) {
    const { value, end } = numberAt(text, at);
    if (value < xmin || value >= xmax || value < last) throw bad(text);
    if (value !== last) xip.push(value);
    last = value;
    at = end;
    if (text[at] === ',') at++;
    else if (at < text.length) throw bad(text);
  }
  return pack({ xmin, xmax, xip });
}

function receive(bytes: Uint8Array): Uint8Array {
  const bad = (): Error => ereport(ERRCODE.INVALID_BINARY_REPRESENTATION, 'invalid external pg_snapshot data');
  const reader = new WireReader(bytes);
  const next = (): bigint => reader.bytes(8).readBigUInt64BE(0);
  const count = reader.int32();
  if (count < 0 || count > MAX_NXIP) throw bad();
  const [xmin, xmax] = [next(), next()];
  if (!isValid(xmin) || !isValid(xmax) || xmax < xmin) throw bad();
  const xip: bigint[] = [];
  let last = 0n;
  for (let n = 0; n < count; n++) {
    const xid = next();
    if (xid < last || xid < xmin || xid > xmax) throw bad();
    if (xid !== last) xip.push(xid);
    last = xid;
  }
  reader.done();
  return pack({ xmin, xmax, xip });
}

function send(value: Uint8Array): Uint8Array {
  const { xmin, xmax, xip } = unpack(value);
  const bytes = new Uint8Array(HEAD_BYTES + 8 * xip.length);
  const view = viewOf(bytes);
  view.setUint32(0, xip.length);
  view.setBigUint64(4, xmin);
  view.setBigUint64(12, xmax);
  for (const [n, xid] of xip.entries()) view.setBigUint64(HEAD_BYTES + 8 * n, xid);
  return bytes;
}

/** As the type says that the caller's name of the function has: xid8 is unsigned, bigint is not. */
const xid8 = (fc: FunctionCall, xid: bigint): Datum =>
  int8Datum(fc.resultType === INT8OID ? BigInt.asIntN(64, xid) : xid);

function visible(value: Xid8, snapshot: Snapshot): boolean {
  const xid = BigInt.asUintN(64, BigInt(value));
  if (xid < snapshot.xmin) return true;
  return xid < snapshot.xmax && !snapshot.xip.includes(xid);
}

function current(fc: FunctionCall): Uint8Array {
  const snapshot = fc.settings.transactionIds?.snapshot;
  if (snapshot === undefined) throw notSupported('pg_current_snapshot where no statement has a snapshot');
  const { xmin, xmax, xip } = snapshot;
  return pack({ xmin: BigInt(xmin), xmax: BigInt(xmax), xip: xip.map(BigInt) });
}

export const snapshotFunctions: FunctionTable = {
  pg_snapshot_in: (_fc: FunctionCall, text: Uint8Array) => parse(text),
  pg_snapshot_out: (_fc: FunctionCall, value: Uint8Array) => {
    const { xmin, xmax, xip } = unpack(value);
    return stringToText(`${xmin}:${xmax}:${xip.join(',')}`);
  },
  pg_snapshot_recv: (_fc: FunctionCall, bytes: Uint8Array) => receive(bytes),
  pg_snapshot_send: (_fc: FunctionCall, value: Uint8Array) => send(value),
  pg_current_snapshot: current,
  pg_snapshot_xmin: (fc: FunctionCall, value: Uint8Array) => xid8(fc, unpack(value).xmin),
  pg_snapshot_xmax: (fc: FunctionCall, value: Uint8Array) => xid8(fc, unpack(value).xmax),
  pg_visible_in_snapshot: (_fc: FunctionCall, xid: Xid8, value: Uint8Array) => visible(xid, unpack(value)),
};

export const snapshotSetFunctions: SetFunctionTable = {
  pg_snapshot_xip: (fc: FunctionCall, value: Uint8Array) => unpack(value).xip.map(xid => xid8(fc, xid)),
};
