/** Weak relation locks between an instance and the buffer-manager: whoever granted them, they end when they should. */
import type { Oid } from '@pgtroupe/common/ids';
import { ACCESS_SHARE_LOCK, relationTag } from '@pgtroupe/storage/lmgr/locktag';
import { expect, it } from 'vitest';
import type { Attachment } from './attachment.ts';
import { InstanceLocks, LockOwner } from './instance-locks.ts';

const [DB, REL] = [5 as Oid, 16384 as Oid];

function setUp() {
  const receivers = new Map<string, (op: object) => void>();
  const sent: { readonly op: string; readonly mode?: number }[] = [];
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
  const receive = (name: string): void => receivers.get(name)!({ db: DB, rel: REL });
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
