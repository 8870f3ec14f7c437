/**
 * The first bytes of a client, before anybody trusts it: a pure step over what has arrived.
 *
 *   packet := length:u32 (itself included) code:u32 rest
 *
 * Limits: 10,000 bytes, one SSLRequest and one GSSENCRequest (each answered `N`), then a start-up
 * packet of protocol 3 or a CancelRequest. Numbers are big-endian.
 */
const MAX_STARTUP_PACKET_LENGTH = 10_000;
const HEADER = 8;
const CANCEL_REQUEST_CODE = 80877102;
const NEGOTIATE_SSL_CODE = 80877103;
const NEGOTIATE_GSS_CODE = 80877104;
const CANCEL_REQUEST_LENGTH = 16;

export interface Greeting {
  bytes: Buffer;
  sslAsked: boolean;
  gssAsked: boolean;
}

export const newGreeting = (): Greeting => ({ bytes: Buffer.alloc(0), sslAsked: false, gssAsked: false });

export type GreetingResult =
  | { readonly result: 'more' }
  /** Send `N` and go on. */
  | { readonly result: 'refuseEncryption' }
  | { readonly result: 'cancel'; readonly pid: number; readonly secret: number }
  /** The start-up packet and whatever came behind it. */
  | { readonly result: 'startup'; readonly initial: Buffer }
  /** Hang up; with an ErrorResponse when `message` is there. */
  | { readonly result: 'reject'; readonly log: string; readonly message?: string };

/** Takes one packet off `greeting.bytes`, if it is complete. Call again after `refuseEncryption`. */
export function readGreeting(greeting: Greeting): GreetingResult {
  const { bytes } = greeting;
  if (bytes.length < 4) return { result: 'more' };
  const length = bytes.readUInt32BE(0);
  if (length < HEADER || length > MAX_STARTUP_PACKET_LENGTH) {
    return { result: 'reject', log: 'invalid length of startup packet' };
  }
  if (bytes.length < length) return { result: 'more' };
  const code = bytes.readUInt32BE(4);
  if (code === CANCEL_REQUEST_CODE) {
    if (length !== CANCEL_REQUEST_LENGTH) return { result: 'reject', log: 'invalid length of query cancel packet' };
    return { result: 'cancel', pid: bytes.readUInt32BE(8), secret: bytes.readUInt32BE(12) };
  }
  if (length === HEADER && code === NEGOTIATE_SSL_CODE && !greeting.sslAsked) {
    greeting.sslAsked = true;
    greeting.bytes = bytes.subarray(length);
    return { result: 'refuseEncryption' };
  }
  if (length === HEADER && code === NEGOTIATE_GSS_CODE && !greeting.gssAsked) {
    greeting.gssAsked = true;
    greeting.bytes = bytes.subarray(length);
    return { result: 'refuseEncryption' };
  }
  if (code >>> 16 !== 3) {
    const message = `unsupported frontend protocol ${code >>> 16}.${code & 0xffff}: server supports 3.0 to 3.0`;
    return { result: 'reject', log: message, message };
  }
  return { result: 'startup', initial: bytes };
}

/** ErrorResponse with severity FATAL. */
export function fatalResponse(sqlstate: string, message: string): Buffer {
  const fields = `SFATAL\0VFATAL\0C${sqlstate}\0M${message}\0\0`;
  const body = Buffer.from(fields, 'utf8');
  const response = Buffer.alloc(5 + body.length);
  response.write('E', 0, 'latin1');
  response.writeUInt32BE(4 + body.length, 1);
  body.copy(response, 5);
  return response;
}
