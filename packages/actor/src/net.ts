/**
 * A client's byte stream as a session sees it, and how sessions reach an instance. Over a real
 * socket in `node/connection.ts`, over a simulated link in testkit.
 *
 * Rules: handlers are set before yielding to the event loop; data that arrived before is delivered
 * then. `onEnd` is called exactly once, whatever ended the stream, and nothing is delivered after.
 */
export interface Connection {
  /** undefined for a Unix-domain socket. */
  readonly peer: { readonly address: string; readonly port: number } | undefined;
  /** The chunk is the receiver's to keep. */
  onData: (chunk: Uint8Array) => void;
  /** The bytes that made `write` say false are out. */
  onDrain: () => void;
  onEnd: () => void;
  /** false: too much is queued, wait for `onDrain` before producing more. The bytes belong to the
   *  connection from here on. */
  write(bytes: Uint8Array): boolean;
  /** Stops and resumes delivery of data; what a stopped reader does not take fills the peer's
   *  window, not our memory. */
  pause(): void;
  resume(): void;
  /** Sends what is queued, then closes. A peer that never reads is cut off after a while. */
  end(): void;
  /** The peer has said goodbye, nothing more comes from it: sends what is queued, then closes. */
  leave(): void;
  /** Closes at once. */
  destroy(): void;
}

/** A client the postmaster let in. */
export interface Arrival {
  readonly connection: Connection;
  /** The start-up packet with its length word, and whatever the client sent behind it. SSLRequest,
   *  GSSENCRequest and CancelRequest were dealt with before. */
  readonly initial: Uint8Array;
  /** Only `superuser_reserved_connections` slots were left: refuse (53300) who is no superuser. */
  readonly reserved: boolean;
  /** backend_type of a background worker, which is let in without authentication; undefined: a client. */
  readonly worker?: string | undefined;
}

/** The instance's side of admission; given to services/backend by runRole. */
export interface SessionIntake {
  /** Set once before the role reports ready. */
  onArrival: (arrival: Arrival) => void;
  /** A CancelRequest for one of our session PIDs; the secret is checked by whoever receives it. */
  onCancel: (pid: number, secret: number) => void;
  /** Tells the postmaster which session PIDs are ours, so that it can route CancelRequests. */
  leased(first: number, count: number): void;
  /** One arrival has passed authentication. */
  authenticated(): void;
  /** One arrival's session is over (exactly once per arrival); `authenticated`: as reported above. */
  ended(authenticated: boolean): void;
}
