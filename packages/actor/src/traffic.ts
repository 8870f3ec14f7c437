/**
 * What a process has sent and received since it started, in messages. Whoever carries a message adds one
 * where it does so, and does nothing else; every heartbeat to the postmaster brings the sums, for
 * `pgtroupe status --json` and `npm run bench`.
 */

export interface Tally {
  sent: number;
  received: number;
}

export class Traffic {
  /** gRPC messages, by method: `/pgtroupe.BufferManager/Attach`. */
  readonly rpc = new Map<string, Tally>();
  /** NATS messages: published, asked, answered; delivered to a subscriber here. */
  readonly bus: Tally = { sent: 0, received: 0 };
  /** Of the messages of Attach that were sent: those that no session of the sender waits for. */
  unawaitedMessages = 0;
  /** Operations in the messages of Attach. */
  readonly operations: Tally = { sent: 0, received: 0 };
  /** Images of pages in these operations. */
  readonly pageImages: Tally = { sent: 0, received: 0 };

  /** The method's tally, to be kept by each of its streams. */
  ofMethod(path: string): Tally {
    let tally = this.rpc.get(path);
    if (tally === undefined) this.rpc.set(path, (tally = { sent: 0, received: 0 }));
    return tally;
  }
}
