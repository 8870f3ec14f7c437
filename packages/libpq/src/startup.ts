/**
 * Start-up packets: what a client says before it is a session.
 *
 *   packet := length:int32 code:int32 rest      length counts itself, 8 … 10000
 *
 * A client may ask once for SSL and once for GSSAPI encryption (each answered with one byte), may
 * turn out to be a cancel request, and otherwise names its user, database and settings.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';
import {
  CANCEL_REQUEST_CODE,
  GSSENC_REQUEST_CODE,
  MAX_STARTUP_PACKET_BYTES,
  PROTOCOL_3_0,
  SSL_REQUEST_CODE,
} from './protocol.ts';

export type StartupPacket =
  | { readonly kind: 'ssl' }
  | { readonly kind: 'gssenc' }
  | { readonly kind: 'cancel'; readonly pid: number; readonly key: number }
  | {
      readonly kind: 'startup';
      readonly minor: number;
      /** Settings by name, `user` and `database` among them. */
      readonly parameters: ReadonlyMap<string, string>;
      /** Options this server does not know (`_pq_.…`). */
      readonly unknownOptions: readonly string[];
    };

/** What PostgreSQL logs, and does not tell, about a packet of a length that cannot be. */
export const INVALID_LENGTH = 'invalid length of startup packet';

const protocolViolation = (message: string): PgError =>
  ereport(ERRCODE.PROTOCOL_VIOLATION, message, { severity: 'FATAL' });

/** What a client begins with: `user`, `database` and settings by name. */
export function startupPacket(parameters: Readonly<Record<string, string>>): Buffer {
  const body = Buffer.from(
    `${Object.entries(parameters)
      .flat()
      .map(text => `${text}\0`)
      .join('')}\0`,
  );
  const packet = Buffer.alloc(8 + body.length);
  packet.writeInt32BE(packet.length, 0);
  packet.writeInt32BE(PROTOCOL_3_0, 4);
  body.copy(packet, 8);
  return packet;
}

/**
 * Looks for a whole packet at the start of `received`.
 * @returns undefined while more bytes are needed. Throws FATAL 08P01 on nonsense.
 */
export function parseStartupPacket(
  received: Buffer,
): { readonly packet: StartupPacket; readonly lengthBytes: number } | undefined {
  if (received.length < 4) return undefined;
  const length = received.readInt32BE(0);
  if (length < 8 || length > MAX_STARTUP_PACKET_BYTES) {
    throw protocolViolation(INVALID_LENGTH);
  }
  if (received.length < length) return undefined;
  const code = received.readInt32BE(4);
  const packet = parse(code, received.subarray(8, length));
  return { packet, lengthBytes: length };
}

export function unsupportedProtocol(code: number): PgError {
  return ereport(
    ERRCODE.FEATURE_NOT_SUPPORTED,
    `unsupported frontend protocol ${code >>> 16}.${code & 0xffff}: server supports 3.0 to 3.0`,
    { severity: 'FATAL' },
  );
}

function parse(code: number, body: Buffer): StartupPacket {
  switch (code) {
    case SSL_REQUEST_CODE:
      return { kind: 'ssl' };
    case GSSENC_REQUEST_CODE:
      return { kind: 'gssenc' };
    case CANCEL_REQUEST_CODE:
      if (body.length !== 8) throw protocolViolation(INVALID_LENGTH);
      return { kind: 'cancel', pid: body.readInt32BE(0), key: body.readInt32BE(4) };
  }
  const major = code >>> 16;
  const minor = code & 0xffff;
  if (major !== 3) throw unsupportedProtocol(code);
  return { kind: 'startup', minor, ...parseParameters(body) };
}

function parseParameters(body: Buffer): { parameters: Map<string, string>; unknownOptions: string[] } {
  const parameters = new Map<string, string>();
  const unknownOptions: string[] = [];
  let at = 0;
  const next = (): string => {
    const end = body.indexOf(0, at);
    if (end < 0) throw protocolViolation('invalid startup packet layout: expected terminator as last byte');
    const text = body.toString('utf8', at, end);
    at = end + 1;
    return text;
  };
  for (;;) {
    const name = next();
    if (name === '') break;
    const value = next();
    if (name.startsWith('_pq_.')) unknownOptions.push(name);
    else parameters.set(name, value);
  }
  if (at !== body.length) {
    throw protocolViolation('invalid startup packet layout: expected terminator as last byte');
  }
  return { parameters, unknownOptions };
}
