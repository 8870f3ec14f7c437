import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_UNREAD_BYTES, MIN_WINDOW_BYTES, ReadAccount, SendCredit, UpCredit, windowOf } from './credit.ts';

/** The most that goes out at once. */
const STEP = 40_000;

/** An instance, a buffer-manager and a walwriter, connected by queues that may rest for any time. */
class Conversation {
  readonly sender = new SendCredit();
  readonly up = new UpCredit();
  readonly window: number;
  /** On its way up: batches; on its way down: credits. */
  readonly #batches: number[] = [];
  readonly #credits: number[] = [];
  #end = 0;
  #flushed = 0;
  /** What the walwriter was asked to flush. */
  #asked = 0;
  bulk = 0;
  control = 0;
  /** Bytes of control operations that nothing held back, as the buffer-manager has them. */
  creditsSent = 0;

  constructor(window: number) {
    this.window = window;
  }

  /** A producer's step; it must wait when there is no credit. False: it waits. */
  produce(bytes: number): boolean {
    if (this.sender.left(0) <= 0) return false;
    this.#send(bytes);
    this.bulk += bytes;
    return true;
  }

  commit(bytes: number): void {
    this.#send(bytes);
    this.control += bytes;
  }

  #send(bytes: number): void {
    this.sender.sent(bytes);
    this.#batches.push(bytes);
  }

  process(): void {
    const bytes = this.#batches.shift();
    if (bytes === undefined) return;
    this.#end += bytes;
    this.up.processed(bytes, this.#end);
    this.endOfTurn();
  }

  /** Nothing is flushed that nobody asked for: that is where a producer could wait for ever. */
  flush(share: number): void {
    this.#flushed += Math.floor((this.#asked - this.#flushed) * share);
    this.endOfTurn();
  }

  endOfTurn(): void {
    this.up.durable(this.#flushed);
    this.#asked = Math.max(this.#asked, this.up.flushWanted(this.window));
    if (!this.up.due(this.window)) return;
    this.#credits.push(this.up.grant(this.window));
    this.creditsSent++;
  }

  hear(): void {
    const until = this.#credits.shift();
    if (until !== undefined) this.sender.granted(until);
  }

  settleAll(): void {
    while (this.#batches.length > 0) this.process();
    this.flush(1);
    while (this.#credits.length > 0) this.hear();
  }

  /** What the buffer-manager and the stream before it keep for the instance. */
  get kept(): number {
    return this.up.unsettled + this.#batches.reduce((sum, bytes) => sum + bytes, 0);
  }
}

const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('produce' as const), bytes: fc.integer({ min: 1, max: STEP }) }),
  },
  fc.record({ kind: fc.constant('commit' as const), bytes: fc.integer({ min: 1, max: 500 }) }),
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('process' as const) }) },
  fc.record({ kind: fc.constant('flush' as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
  fc.record({ kind: fc.constant('hear' as const) }),
);

describe('credit for what an instance sends', () => {
  it('bounds what is kept, whatever the order of things', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400 }), fc.integer({ min: 1, max: 8 }), (steps, instances) => {
        const conversation = new Conversation(windowOf(1024 * 1024, instances));
        conversation.endOfTurn();
        for (const move of steps) {
          if (move.kind === 'produce') conversation.produce(move.bytes);
          else if (move.kind === 'commit') conversation.commit(move.bytes);
          else if (move.kind === 'flush') conversation.flush(move.share);
          else conversation[move.kind]();
          // A window, what the step that used up the credit took too much, and what needs no credit. A
          // mark settles as a whole, which makes what counts as kept only larger.
          expect(conversation.kept).toBeLessThanOrEqual(conversation.window + STEP + conversation.control);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('is there again once what was asked for is durable', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 200 }),
        fc.array(fc.integer({ min: 1, max: 2_000_000 }), { maxLength: 5 }),
        (steps, commits) => {
          const conversation = new Conversation(MIN_WINDOW_BYTES);
          for (const move of steps) {
            if (move.kind === 'produce') conversation.produce(move.bytes);
            else if (move.kind === 'flush') conversation.flush(move.share);
            else if (move.kind !== 'commit') conversation[move.kind]();
          }
          // However far what needs no credit has overdrawn it.
          for (const bytes of commits) conversation.commit(bytes);
          conversation.settleAll();
          expect(conversation.up.unsettled).toBeLessThan(conversation.window / 2);
          expect(conversation.produce(1)).toBe(true);
        },
      ),
    );
  });

  it('costs few messages', () => {
    const conversation = new Conversation(windowOf(4 * 1024 * 1024, 1));
    for (let n = 0; n < 20_000; n++) {
      conversation.commit(1000);
      conversation.settleAll();
    }
    expect(conversation.creditsSent).toBeGreaterThan(0);
    expect(conversation.creditsSent).toBeLessThanOrEqual(20_000_000 / (1024 * 1024) + 1);
  });

  it('is shared by the instances, and every one has some', () => {
    expect(windowOf(4 * 1024 * 1024, 0)).toBe(4 * 1024 * 1024);
    expect(windowOf(4 * 1024 * 1024, 4)).toBe(1024 * 1024);
    expect(windowOf(64 * 1024, 3)).toBe(MIN_WINDOW_BYTES);
  });
});

describe('the account of what was read', () => {
  it('is confirmed in large steps, and an instance that reads is never behind by much', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 100_000 }), { maxLength: 300 }), batches => {
        const sender = new ReadAccount();
        const reader = new ReadAccount();
        let confirmations = 0;
        let total = 0;
        for (const bytes of batches) {
          sender.add(bytes);
          reader.add(bytes);
          total += bytes;
          const confirmed = reader.confirm();
          if (confirmed > 0) {
            expect(sender.confirmed(confirmed)).toBe(true);
            confirmations++;
          }
          expect(sender.unread).toBeLessThan(MAX_UNREAD_BYTES / 16);
        }
        expect(confirmations).toBeLessThanOrEqual(total / (1024 * 1024));
      }),
    );
  });

  it('believes nobody who read more than was sent, or less than before', () => {
    const sender = new ReadAccount();
    sender.add(100);
    expect(sender.confirmed(101)).toBe(false);
    expect(sender.confirmed(60)).toBe(true);
    expect(sender.confirmed(59)).toBe(false);
    expect(sender.unread).toBe(40);
  });
});
