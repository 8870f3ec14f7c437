import type { Env } from '@pgtroupe/actor/env';
import type { CommandId } from '@pgtroupe/common/ids';
import type { Attachment } from './attachment.ts';
import type { UpOp } from '@pgtroupe/rpc/attach/ops';
import type { PageAccess } from '@pgtroupe/storage/buffer/pages';
import { expect, it } from 'vitest';
import { InstanceTransactions } from './instance-transactions.ts';

it('a snapshot that comes with its recall holds the horizon from the moment it is here', async () => {
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
  const env = { timers: { soon: () => {}, after: () => ({ cancel: () => {} }) }, clock: { nowMs: () => 0 } };
  const shared = new InstanceTransactions(
    env as unknown as Env,
    attachment as unknown as Attachment,
    {} as unknown as PageAccess,
  );
  const taken = shared.takeSnapshot(0 as CommandId);
  // One batch; what leaves next was planned by an operation before these two.
  receivers.get('snapshot')!({ csn: 7, xmin: 50, xmax: 60, xip: [50], oldestXmin: 50, invals: new Uint8Array(0) });
  receivers.get('recallSnapshot')!({});
  attachment.beforeFlush();
  const horizon = sent.filter(op => op.op === 'horizon');
  expect(horizon).toEqual([{ op: 'horizon', csn: 7, xmin: 50 }]);
  expect((await taken).snapshot.xmin).toBe(50);
});
