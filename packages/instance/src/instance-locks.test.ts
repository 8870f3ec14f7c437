/** Weak relation locks between an instance and the buffer-manager: whoever granted them, they end when they should. */
import type { Oid } from '@pgtroupe/common/ids';
import { ACCESS_EXCLUSIVE_LOCK, ACCESS_SHARE_LOCK, relationTag } from '@pgtroupe/storage/lmgr/locktag';
import { expect, it } from 'vitest';
import type { Attachment } from './attachment.ts';
import { InstanceLocks, LockOwner, MAX_TOKENS } from './instance-locks.ts';

const [DB, REL] = [5 as Oid, 16384 as Oid];

function setUp() {
  const receivers = new Map<string, (op: object) => void>();
  const sent: { readonly op: string; readonly mode?: number; readonly rel?: number }[] = [];
  const put = (op: { readonly op: string }): void => void sent.push(op);
  const attachment = {
    on: (name: string, receive: (op: object) => void) => receivers.set(name, receive),
    put,
    putUnawaited: put,
    putLazily: put,
    request: (make: (reqId: number) => { readonly op: string }) => {
      put(make(1));
      return Promise.resolve({ op: 'lockGranted' });
    },
  };
  const locks = new InstanceLocks(attachment as never as Attachment, {} as never);
  const receive = (name: string, rel: number = REL): void => receivers.get(name)!({ db: DB, rel });
  return { locks, sent, receive };
}

it('a lock that was handed over and taken again in the same savepoint ends with it in both places', () => {
  const { locks, sent, receive } = setUp();
  const owner = new LockOwner(7);
  owner.insideSavepoint = true;
  const take = (): boolean => locks.tryRelation(owner, DB, REL, ACCESS_SHARE_LOCK);
  receive('relLockToken');
  expect(take()).toBe(true);
  receive('recallRelLock');
  receive('relLockToken');
  expect(take()).toBe(true);
  locks.releaseSince(owner, 0);
  expect(sent.filter(({ op }) => op === 'lockRelease')).toMatchObject([{ mode: ACCESS_SHARE_LOCK }]);
  expect(locks.localCount).toBe(0);
  expect(locks.holds(owner, relationTag(DB, REL), ACCESS_SHARE_LOCK)).toBe(false);
});

it('of a relation whose lock somebody else wants for himself nothing is kept', () => {
  const { locks, receive } = setUp();
  const owner = new LockOwner(7);
  receive('relLockToken');
  expect(locks.relationCount).toBe(1);
  receive('recallRelLock');
  expect(locks.tryRelation(owner, DB, REL, ACCESS_SHARE_LOCK)).toBe(false);
  expect(locks.holds(owner, relationTag(DB, REL), ACCESS_SHARE_LOCK)).toBe(false);
  expect(locks.relationCount).toBe(0);
});

it('who has locked a relation for itself asks for no token, which nobody would recall when it is gone', async () => {
  const { locks, sent } = setUp();
  const owner = new LockOwner(7);
  await locks.relation(owner, DB, REL, ACCESS_EXCLUSIVE_LOCK);
  await locks.relation(owner, DB, REL, ACCESS_SHARE_LOCK);
  locks.releaseAll(owner, true);
  expect(sent.map(({ op }) => op)).toEqual(['lockAcquire', 'lockAcquire']);
  expect(locks.relationCount).toBe(0);
});

it('tokens of relations without end are given back, those in use are not', () => {
  const { locks, sent, receive } = setUp();
  const owner = new LockOwner(7);
  receive('relLockToken');
  expect(locks.tryRelation(owner, DB, REL, ACCESS_SHARE_LOCK)).toBe(true);
  for (let n = 1; n <= 3 * MAX_TOKENS; n++) receive('relLockToken', REL + n);
  expect(locks.relationCount).toBeLessThanOrEqual(MAX_TOKENS);
  expect(locks.holds(owner, relationTag(DB, REL), ACCESS_SHARE_LOCK)).toBe(true);
  const back = sent.filter(({ op }) => op === 'localHolders').map(({ rel }) => rel);
  expect(back.length + locks.relationCount).toBe(3 * MAX_TOKENS + 1);
  expect(back).not.toContain(REL);
});

it('a recall that crosses a token given back is answered by that alone', async () => {
  const { locks, sent, receive } = setUp();
  const owner = new LockOwner(7);
  for (let n = 0; n <= MAX_TOKENS; n++) receive('relLockToken', REL + n);
  const answers = (): number => sent.filter(({ op, rel }) => op === 'localHolders' && rel === REL).length;
  expect(answers()).toBe(1);
  receive('recallRelLock');
  await locks.relation(owner, DB, REL, ACCESS_SHARE_LOCK);
  receive('recallRelLock');
  expect(answers()).toBe(1);
  receive('relLockToken');
  receive('recallRelLock');
  expect(answers()).toBe(2);
});
