/**
 * Credits of the Attach stream: what bounds memory in either direction. Pure.
 *
 * Both ends count the bytes of the batches (codec.ts) that went each way on this stream; nobody puts
 * counts on the wire but the two operations `credit` and `received`.
 *
 *   up     The buffer-manager keeps what an instance sends until it is *settled*: processed, and all WAL
 *          sequenced by then durable. It lets each instance have a window of unsettled bytes and says how
 *          far that reaches (`credit`). Only producers of bulk WAL heed it (instance/wal-credit.ts): they
 *          wait between steps, where they hold no page that could not be recalled. Everything else
 *          (commits, aborts, releases, answers to recalls, heartbeats) is sent whatever the credit
 *          says, and is counted all the same.
 *   down   Nobody ever waits. What is put out for an instance is what it asked for and recalls of what
 *          it holds, which is bounded; one that does not read in spite of that (`received` lags behind
 *          by more than MAX_UNREAD_BYTES) is expelled.
 *
 * No deadlock: the only wait is a producer's, for the walwriter, by way of the buffer-manager's loop.
 * Neither waits for any instance: settling needs no message from one. And it ends: what a waiting
 * producer lacks is being flushed, all but a quarter of a window at most (property test in credit.test.ts).
 *
 * The messages are few: a credit is worth a quarter of a window at least, and both operations ride
 * on batches that go out anyway if there are any.
 */

/** Output that an instance has not read before it counts as one that does not read. */
export const MAX_UNREAD_BYTES = 32 * 1024 * 1024;
/** An instance confirms what it has read in steps of this much. */
const CONFIRM_BYTES = 1024 * 1024;
/** The least that every instance has, however many share the window. */
export const MIN_WINDOW_BYTES = 256 * 1024;

/** An instance's part of what all may have unsettled. */
export function windowOf(totalBytes: number, instances: number): number {
  return Math.max(MIN_WINDOW_BYTES, Math.floor(totalBytes / Math.max(1, instances)));
}

/** The buffer-manager's account of one instance's batches. */
export class UpCredit {
  /** Bytes processed; of them settled; up to where the instance was given credit. */
  #received = 0;
  #settled = 0;
  #granted = 0;
  /** Up to where a flush was asked for. */
  #asked = 0;
  /** What was received up to `bytes` is settled when WAL up to `lsn` is durable. Both rise. */
  readonly #marks: { bytes: number; lsn: number; readonly from: number }[] = [];

  get unsettled(): number {
    return this.#received - this.#settled;
  }

  /** A batch was processed; WAL now ends at `end`. */
  processed(bytes: number, end: number): void {
    const from = this.#received;
    this.#received += bytes;
    const last = this.#marks.at(-1);
    // Small batches share a mark. One that grew for ever would never be settled.
    if (last !== undefined && from > this.#asked && this.#received - last.from <= MIN_WINDOW_BYTES / 4) {
      last.bytes = this.#received;
      last.lsn = end;
    } else this.#marks.push({ bytes: this.#received, lsn: end, from });
  }

  /** WAL up to `flushed` is durable. */
  durable(flushed: number): void {
    let over = 0;
    while (over < this.#marks.length && this.#marks[over]!.lsn <= flushed) over++;
    if (over === 0) return;
    this.#settled = this.#marks[over - 1]!.bytes;
    this.#marks.splice(0, over);
  }

  /** WAL that should be flushed though no COMMIT waits for it, or 0: for every quarter of a window once. Who
   *  waits for credit would wait for wal_writer_delay otherwise. */
  flushWanted(window: number): number {
    if (this.unsettled < window / 4 || this.#received - this.#asked < window / 4) return 0;
    this.#asked = this.#received;
    return this.#marks.at(-1)!.lsn;
  }

  /** Is there a credit worth telling the instance? */
  due(window: number): boolean {
    return this.#settled + window - this.#granted >= window / 4;
  }

  /** The instance is told: it may send up to here. */
  grant(window: number): number {
    this.#granted = this.#settled + window;
    return this.#granted;
  }
}

/** The instance's account of what it sent. */
export class SendCredit {
  #sent = 0;
  #until = 0;

  sent(bytes: number): void {
    this.#sent += bytes;
  }

  granted(until: number): void {
    this.#until = until;
  }

  /** Bytes that may be sent yet, less those that are about to be; negative when overdrawn. */
  left(pendingBytes: number): number {
    return this.#until - this.#sent - pendingBytes;
  }
}

/** Either end's account of the buffer-manager's output. */
export class ReadAccount {
  #total = 0;
  #confirmed = 0;

  add(bytes: number): void {
    this.#total += bytes;
  }

  /** The sender: output that nobody confirmed. */
  get unread(): number {
    return this.#total - this.#confirmed;
  }

  /** The sender hears how much was read. False: it cannot have been. */
  confirmed(total: number): boolean {
    if (total < this.#confirmed || total > this.#total) return false;
    this.#confirmed = total;
    return true;
  }

  /** The reader: the total to confirm now, or 0. */
  confirm(): number {
    if (this.unread < CONFIRM_BYTES) return 0;
    this.#confirmed = this.#total;
    return this.#total;
  }
}
