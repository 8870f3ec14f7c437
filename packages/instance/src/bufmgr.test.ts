/** The page cache where answers and recalls come in one batch. */
import type { Env } from '@pgtroupe/actor/env';
import { BLCKSZ, MAIN_FORKNUM, type RelFileNode } from '@pgtroupe/common/ids';
import type { DownOp } from '@pgtroupe/rpc/attach/ops';
import { type Memory, MISS } from '@pgtroupe/storage/buffer/pages';
import { expect, it } from 'vitest';
import type { Attachment } from './attachment.ts';
import { PageCache } from './bufmgr.ts';

const RNODE = { spcNode: 1663, dbNode: 5, relNode: 16384 } as RelFileNode;
const SLOTS = 4;

/** An attachment whose answers are read like its other operations: a batch in one stretch. */
function setUp() {
  const receivers = new Map<string, (op: DownOp) => void>();
  const waiting = new Map<number, (op: DownOp) => void>();
  const sent: string[] = [];
  const put = (op: { readonly op: string }): void => void sent.push(op.op);
  let lastReqId = 0;
  const answer = (reqId: number, op: DownOp): void => waiting.get(reqId)?.(op);
  const attachment = {
    on: (name: string, receive: (op: DownOp) => void) => receivers.set(name, receive),
    put,
    putUnawaited: put,
    putLazily: put,
    answer,
    request: (make: (reqId: number) => { readonly op: string }) => {
      const reqId = ++lastReqId;
      put(make(reqId));
      return new Promise<DownOp>(resolve => waiting.set(reqId, resolve));
    },
  };
  const mem = { u8: new Uint8Array(SLOTS * BLCKSZ) } as Memory;
  const pages = new PageCache({} as Env, attachment as never as Attachment, mem, SLOTS);
  const receive = (...batch: readonly DownOp[]): void => {
    for (const op of batch) {
      const receiver = receivers.get(op.op);
      if (receiver !== undefined) receiver(op);
      else if ('reqId' in op) answer(op.reqId, op);
    }
  };
  return { pages, receive, sent };
}

it('a length that is recalled in the batch that tells it is not remembered', async () => {
  const { pages, receive, sent } = setUp();
  const rel = pages.relations.smgropen(RNODE);
  const fork = rel.forks[MAIN_FORKNUM]!;
  const told = { op: 'nblocks', reqId: 1, rel: RNODE, fork: MAIN_FORKNUM, blocks: 7 } as const;
  const asked = pages.fetchNblocks(fork);
  receive(told, { op: 'recallNblocks', rel: RNODE, fork: MAIN_FORKNUM });
  await asked;
  expect(sent).toEqual(['nblocks', 'nblocksAck']);
  expect(pages.nblocks(rel, MAIN_FORKNUM)).toBe(MISS);

  const again = pages.fetchNblocks(fork);
  receive({ ...told, reqId: 2 });
  await again;
  expect(pages.nblocks(rel, MAIN_FORKNUM)).toBe(7);
});

it('a length told in the batch in which the end of the relation goes is not remembered', async () => {
  const { pages, receive } = setUp();
  const rel = pages.relations.smgropen(RNODE);
  const asked = pages.fetchNblocks(rel.forks[MAIN_FORKNUM]!);
  receive(
    { op: 'nblocks', reqId: 1, rel: RNODE, fork: MAIN_FORKNUM, blocks: 7 },
    { op: 'dropRelationBuffers', rel: RNODE, fork: MAIN_FORKNUM, from: 3 },
  );
  await asked;
  expect(pages.nblocks(rel, MAIN_FORKNUM)).toBe(MISS);
});
