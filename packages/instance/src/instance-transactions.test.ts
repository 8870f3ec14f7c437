import type { Env } from '@pgtroupe/actor/env';
import type { CommandId } from '@pgtroupe/common/ids';
import type { Attachment } from './attachment.ts';
import type { UpOp } from '@pgtroupe/rpc/attach/ops';
import { MISS, type PageAccess } from '@pgtroupe/storage/buffer/pages';
import { expect, it } from 'vitest';
import { InstanceTransactions } from './instance-transactions.ts';

/** Transactions of an instance whose clock stands at `now()`, and what it sends. */
function transactions(now: () => number) {
  const receivers = new Map<string, (op: unknown) => void>();
  const sent: UpOp[] = [];
  const attachment = {
    leaseValid: true,
    attached: true,
    beforeFlush: () => {},
    on: (name: string, receive: (op: unknown) => void) => receivers.set(name, receive),
    put: (op: UpOp) => sent.push(op),
    putUnawaited: (op: UpOp) => sent.push(op),
  };
  const env = { timers: { soon: () => {}, after: () => ({ cancel: () => {} }) }, clock: { nowMs: now } };
  const shared = new InstanceTransactions(
    env as unknown as Env,
    attachment as unknown as Attachment,
    {} as unknown as PageAccess,
  );
  return { shared, attachment, sent, receive: (name: string, op: unknown) => receivers.get(name)!(op) };
}

/** Uses `count` ids, one each `everyMs`; answers what is asked for at once. Tells how often it was asked. */
function writeTransactions(count: number, everyMs: number): { asked: number; reserved: number } {
  let nowMs = 1000;
  const { shared, sent, receive } = transactions(() => nowMs);
  let asked = 0;
  let next = 700;
  const answer = (): void => {
    for (const op of sent.splice(0)) {
      if (op.op !== 'reserveXids') continue;
      asked++;
      receive('xidsReserved', { first: next, count: op.count, left: 0, db: 0 });
      next += op.count;
    }
  };
  for (let used = 0; used < count; ) {
    if (shared.takeXid() !== MISS) {
      used++;
      nowMs += everyMs;
    }
    answer();
  }
  return { asked, reserved: next - 700 - count };
}

it('a busy writer has one message for several ids, one who writes now and then no more ids than it uses', () => {
  expect(writeTransactions(800, 1).asked).toBeLessThanOrEqual(110);
  expect(writeTransactions(20, 6)).toEqual({ asked: 20, reserved: 0 });
});

it('a snapshot that comes with its recall holds the horizon from the moment it is here', async () => {
  const { shared, attachment, sent, receive } = transactions(() => 0);
  const taken = shared.takeSnapshot(0 as CommandId);
  // One batch; what leaves next was planned by an operation before these two.
  receive('snapshot', { csn: 7, xmin: 50, xmax: 60, xip: [50], oldestXmin: 50, invals: new Uint8Array(0) });
  receive('recallSnapshot', {});
  attachment.beforeFlush();
  const horizon = sent.filter(op => op.op === 'horizon');
  expect(horizon).toEqual([{ op: 'horizon', snapshots: 1, xmin: 50 }]);
  expect((await taken).snapshot.xmin).toBe(50);
});
