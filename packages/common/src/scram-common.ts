/**
 * What is stored of a password for SCRAM-SHA-256 (RFC 5802, 7677), in PostgreSQL's form:
 *
 *     SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>        (base64)
 *
 * Nobody who reads it can log in with it, and the password cannot be computed back.
 */
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';

export const SCRAM_DEFAULT_ITERATIONS = 4096;
export const SCRAM_DEFAULT_SALT_LEN = 16;
const KEY_LEN = 32;

export interface ScramSecret {
  readonly iterations: number;
  readonly salt: Uint8Array;
  readonly storedKey: Uint8Array;
  readonly serverKey: Uint8Array;
}

function hmac(key: Uint8Array, text: string): Buffer {
  return createHmac('sha256', key).update(text, 'utf8').digest();
}

export function scramSecret(password: string, salt: Uint8Array, iterations = SCRAM_DEFAULT_ITERATIONS): ScramSecret {
  // SASLprep's normalisation; for ASCII it changes nothing.
  const salted = pbkdf2Sync(password.normalize('NFKC'), salt, iterations, KEY_LEN, 'sha256');
  const storedKey = createHash('sha256').update(hmac(salted, 'Client Key')).digest();
  return { iterations, salt, storedKey, serverKey: hmac(salted, 'Server Key') };
}

export function formatScramSecret(secret: ScramSecret): string {
  const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
  return `SCRAM-SHA-256$${secret.iterations}:${base64(secret.salt)}$${base64(secret.storedKey)}:${base64(secret.serverKey)}`;
}

/** undefined when the text is no such secret. */
export function parseScramSecret(text: string): ScramSecret | undefined {
  const match = /^SCRAM-SHA-256\$(\d+):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)$/.exec(text);
  if (match === null) return undefined;
  const [salt, storedKey, serverKey] = [match[2]!, match[3]!, match[4]!].map(part => Buffer.from(part, 'base64')) as [
    Buffer,
    Buffer,
    Buffer,
  ];
  if (storedKey.length !== KEY_LEN || serverKey.length !== KEY_LEN) return undefined;
  return { iterations: Number(match[1]), salt, storedKey, serverKey };
}
