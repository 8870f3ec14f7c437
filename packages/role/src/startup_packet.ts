/**
 * The first bytes of a client, before anybody trusts it: a pure step over what has arrived. What a packet means is libpq/startup.ts's.
 *
 * Limits: 10,000 bytes, one SSLRequest and one GSSENCRequest (each answered `N`), then a start-up
 * packet of protocol 3 or a CancelRequest. Numbers are big-endian.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, PgError } from '@pgtroupe/common/ereport';
import { putReport } from '@pgtroupe/libpq/error-response';
import { OutBuffer } from '@pgtroupe/libpq/pqformat';
import { INVALID_LENGTH, parseStartupPacket, unsupportedProtocol } from '@pgtroupe/libpq/startup';

export interface Greeting {
  bytes: Buffer;
  sslAsked: boolean;
  gssAsked: boolean;
  /** The request for encryption that other bytes followed before it was answered. */
  followed: string | undefined;
}

export const newGreeting = (): Greeting => ({
  bytes: Buffer.alloc(0),
  sslAsked: false,
  gssAsked: false,
  followed: undefined,
});

export type GreetingResult =
  | { readonly result: 'more' }
  /** Send `N` and go on. */
  | { readonly result: 'refuseEncryption' }
  | { readonly result: 'cancel'; readonly pid: number; readonly secret: number }
  /** The start-up packet and whatever came behind it. */
  | { readonly result: 'startup'; readonly initial: Buffer }
  /** Hang up; with an ErrorResponse when `error` is there. */
  | { readonly result: 'reject'; readonly log: string; readonly error?: PgError };

/** Takes one packet off `greeting.bytes`, if it is complete. Call again after `refuseEncryption`. */
export function readGreeting(greeting: Greeting): GreetingResult {
  const { bytes, followed } = greeting;
  if (followed !== undefined) return rejected(unencrypted(followed));
  let found: ReturnType<typeof parseStartupPacket>;
  try {
    found = parseStartupPacket(bytes);
  } catch (error) {
    if (!(error instanceof PgError)) throw error;
    // Who does not even get the length right is told nothing: it need not be a client at all.
    if (error.message === INVALID_LENGTH) return { result: 'reject', log: error.message };
    return rejected(error);
  }
  if (found === undefined) return { result: 'more' };
  const { packet, lengthBytes } = found;
  switch (packet.kind) {
    case 'startup':
      return { result: 'startup', initial: bytes };
    case 'cancel':
      return { result: 'cancel', pid: packet.pid >>> 0, secret: packet.key >>> 0 };
    case 'ssl':
    case 'gssenc': {
      const asked = packet.kind === 'ssl' ? 'sslAsked' : 'gssAsked';
      // Asked again it is taken for a protocol of its number.
      if (greeting[asked]) return rejected(unsupportedProtocol(bytes.readUInt32BE(4)));
      greeting[asked] = true;
      greeting.bytes = bytes.subarray(lengthBytes);
      if (greeting.bytes.length > 0) greeting.followed = packet.kind === 'ssl' ? 'SSL' : 'GSSAPI encryption';
      return { result: 'refuseEncryption' };
    }
  }
}

const rejected = (error: PgError): GreetingResult => ({ result: 'reject', log: error.message, error });

/** Whatever the client sends before it hears the answer might be put there by somebody between. */
function unencrypted(request: string): PgError {
  return ereport(ERRCODE.PROTOCOL_VIOLATION, `received unencrypted data after ${request} request`, {
    severity: 'FATAL',
    detail: 'This could be either a client-software bug or evidence of an attempted man-in-the-middle attack.',
  });
}

/** ErrorResponse with severity FATAL. */
export function fatalResponse(sqlstate: string, message: string): Buffer {
  const out = new OutBuffer();
  putReport(out, { severity: 'FATAL', sqlstate, message });
  return Buffer.from(out.buffer.subarray(0, out.length));
}
