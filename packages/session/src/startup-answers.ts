/** What a client is told on its way to the first ReadyForQuery. */
import type { OutBuffer } from '@pgtroupe/libpq/pqformat';
import { BACKEND, PROTOCOL_3_0 } from '@pgtroupe/libpq/protocol';

/** Minor versions and options that are not known here. */
export function putNegotiation(out: OutBuffer, unknownOptions: readonly string[]): void {
  out.begin(BACKEND.NegotiateProtocolVersion);
  // PostgreSQL 15 names the whole version here, not the minor part alone.
  out.int32(PROTOCOL_3_0);
  out.int32(unknownOptions.length);
  for (const option of unknownOptions) out.cstring(option);
  out.end();
}

export function putAuthenticationOk(out: OutBuffer): void {
  out.begin(BACKEND.Authentication);
  out.int32(0);
  out.end();
}

/** What a CancelRequest must say. */
export function putBackendKeyData(out: OutBuffer, pid: number, secret: number): void {
  out.begin(BACKEND.BackendKeyData);
  out.int32(pid);
  out.int32(secret);
  out.end();
}
