/**
 * What a postmaster and an instance that it launched say to each other over Node's IPC channel, which alone
 * can carry sockets. In order each way; a socket or a listening handle comes with some.
 *
 * The door is lent so: `doorHandle` for each listening handle, answered by `doorCopy` with a copy of it,
 * then `grant`. The copies are what the postmaster keeps when it closes its own handles, so that it
 * can listen again at any moment, and nobody who waits in the kernel's queue is lost when the instance
 * dies. It is taken back by a grant of nothing, which the instance's next SessionsReport acknowledges
 * (`SessionsReport.grant`): from there on the postmaster's count of sessions is exact again.
 */
import type { Socket } from 'node:net';
import type { GreeterLimits, Peer, Visitor } from './greeter.ts';

/** A client the postmaster let in; with its socket. */
export interface HandOver {
  readonly kind: 'session';
  /** Bytes already read from the client, one character each. */
  readonly initial: string;
  readonly reserved: boolean;
  readonly peer?: Peer | undefined;
  /** No client: a background worker, which is shown as this. It counts for nobody's quota. */
  readonly worker?: string | undefined;
}

/** A client nobody has let in yet; with its socket. */
export interface VisitorMessage {
  readonly kind: 'visitor';
  readonly initial: string;
  readonly peer?: Peer | undefined;
}

export type ToInstance =
  | HandOver
  /** To the instance that has the door: it lets the client in or sends it back. */
  | VisitorMessage
  /** With a listening handle. */
  | { readonly kind: 'doorHandle'; readonly grant: number; readonly index: number }
  /** Accept as long as fewer than `quota` sessions are open; 0: no more. `grant` numbers these. */
  | {
      readonly kind: 'grant';
      readonly grant: number;
      readonly quota: number;
      readonly limits: GreeterLimits;
    };

export type ToPostmaster =
  | { readonly kind: 'doorCopy'; readonly grant: number; readonly index: number }
  /** The quota is used up. */
  | VisitorMessage
  /** A CancelRequest for a session of another instance. */
  | { readonly kind: 'cancel'; readonly pid: number; readonly secret: number };

export function visitorMessage({ initial, peer }: Visitor): VisitorMessage {
  return { kind: 'visitor', initial: initial.toString('latin1'), peer };
}

/** What `visitorMessage` made one of, with the socket that came along. */
export function visitorOf({ initial, peer }: VisitorMessage, socket: Socket): Visitor {
  return { socket, initial: Buffer.from(initial, 'latin1'), peer };
}

/** What lies below a net.Server. Unlike a Server it can be held and passed on without accepting: Node's
 *  cluster module passes these too. */
export interface ListeningHandle {
  close(): void;
}
