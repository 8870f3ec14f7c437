/** Ends of transactions that should never come: the sequencer decides once. */
import { noFailpoint } from '@pgtroupe/actor/failpoint';
import type { Oid } from '@pgtroupe/common/ids';
import { expect, it } from 'vitest';
import { Instance } from './instance.ts';
import { LockTable } from './lock-table.ts';
import { ProcArray } from './proc-array.ts';
import { Transactions } from './transactions.ts';
import { ProtocolViolation } from './wal-insert.ts';

function setUp() {
  const log: string[] = [];
  const wal = { flushed: 0, diskFull: false, room: 1e9 };
  const procs = new ProcArray(100);
  const instances = new Set<Instance>();
  const locks: LockTable<Instance> = new LockTable<Instance>(
    {
      granted: waiter => log.push(`granted ${waiter.owner.pid}`),
      notAvailable: () => {},
      tokenGranted: () => {},
      recallToken: () => {},
    },
    { runs: fxid => procs.isRunning(fxid), owner: fxid => transactions.ownerOf(fxid) },
    100,
  );
  let lsn = 1000;
  const transactions: Transactions = new Transactions({
    procs,
    wal: wal as never,
    insert: {
      fromInstance: () => {
        log.push('record');
        return (lsn += 10);
      },
      own: () => (lsn += 10),
    } as never,
    clog: { setStatus: (xid: number, status: number) => log.push(`${xid} ${status}`), has: () => true } as never,
    clock: { nowMs: () => 0, startedMs: 0, wallMicros: () => 0 },
    files: { drop: () => {}, keepCreated: () => {}, dropCreated: () => log.push('files dropped') },
    failpoint: noFailpoint,
    instances,
    onAsyncCommit: () => {},
    oldestXid: 3,
    oldestXidDB: 1 as Oid,
    disk: {} as never,
    log: { write: () => {} },
    locks,
  });
  const instance = (id: number): Instance => {
    const put = (op: { readonly op: string }): void => void log.push(`${id} hears ${op.op}`);
    const made = new Instance(id, `backend-${id}`, {} as never, procs.pin(), 0, 0, { put, take: () => [] } as never);
    instances.add(made);
    return made;
  };
  const begin = (of: Instance, pid: number): number => {
    const fxid = procs.allocate();
    of.addXid(fxid);
    transactions.assigned(of, { op: 'xidAssigned', fxid, top: fxid, owner: pid });
    return fxid;
  };
  const commit = (of: Instance, pid: number, fxid: number, children: number[] = [], invalBytes = 0): void =>
    transactions.commit(of, {
      op: 'commit',
      reqId: 1,
      owner: pid,
      fxid,
      children,
      sync: 1,
      seq: 1,
      record: new Uint8Array(1),
      drop: [],
      invals: new Uint8Array(invalBytes),
    } as never);
  const abort = (of: Instance, pid: number, fxid: number): void =>
    transactions.abort(of, {
      op: 'abort',
      owner: pid,
      fxid,
      children: [],
      top: true,
      seq: 2,
      record: new Uint8Array(1),
    } as never);
  return { log, wal, procs, locks, transactions, instances, instance, begin, commit, abort };
}

const TABLE = { locktype: 0, f1: 5, f2: 20000, f3: 0, f4: 0 };
const ACCESS_EXCLUSIVE = 8;
const ROW_EXCLUSIVE = 3;
const REQUEST = { reqId: 1, nowait: false, session: false };

it('no end follows a commit that was sequenced: it leaves nothing in WAL and drops no file', () => {
  const t = setUp();
  const a = t.instance(1);
  const child = t.begin(a, 7);
  const fxid = t.begin(a, 7);
  t.commit(a, 7, fxid, [child]);
  for (const id of [fxid, child]) {
    expect(() => t.abort(a, 7, id)).toThrow(ProtocolViolation);
    expect(() => t.commit(a, 7, id)).toThrow(ProtocolViolation);
  }
  expect(t.log).toEqual(['record']);
  t.wal.flushed = 1e6;
  t.transactions.settleCommits();
  expect(t.procs.runningCount).toBe(0);
  expect(() => t.abort(a, 7, fxid)).toThrow(ProtocolViolation);
});

it('locks of a dead instance are free when its sequenced commits are visible, all others at once', () => {
  const t = setUp();
  const a = t.instance(1);
  const b = t.instance(2);
  const fxid = t.begin(a, 7);
  const idle = { ...TABLE, f2: 20001 };
  t.locks.acquire(t.locks.owner(7, a), TABLE, ACCESS_EXCLUSIVE, REQUEST);
  t.locks.acquire(t.locks.owner(8, a), idle, ACCESS_EXCLUSIVE, REQUEST);
  t.locks.tokenRequested(a, { ...TABLE, f2: 20002 });
  expect(t.locks.acquire(t.locks.owner(9, b), TABLE, ROW_EXCLUSIVE, REQUEST)).toBe('waiting');
  expect(t.locks.acquire(t.locks.owner(10, b), idle, ROW_EXCLUSIVE, REQUEST)).toBe('waiting');
  // What the dead instance granted by itself, only it knew.
  expect(t.locks.acquire(t.locks.owner(11, b), { ...TABLE, f2: 20002 }, ACCESS_EXCLUSIVE, REQUEST)).toBe('waiting');
  t.commit(a, 7, fxid);
  a.dead = true;
  t.instances.delete(a);
  t.transactions.instanceDied(a);
  expect(t.log.filter(line => line.startsWith('granted'))).toEqual(['granted 10']);
  t.wal.flushed = 1e6;
  t.transactions.settleCommits();
  expect(t.log.filter(line => line.startsWith('granted'))).toEqual(['granted 10', 'granted 9', 'granted 11']);
  for (const pid of [9, 10, 11]) t.locks.releaseAll(t.locks.owner(pid, b), true);
  expect(Object.values(t.locks.held(instance => instance.dead))).toEqual([0, 0, 0, 0]);
});

it('an instance that takes no snapshots hears of invalidations before they are many', () => {
  const t = setUp();
  const a = t.instance(1);
  t.instance(2);
  t.wal.flushed = 1e6;
  const define = (): void => {
    t.commit(a, 7, t.begin(a, 7), [], 100_000);
    t.transactions.settleCommits();
    t.transactions.forgetInvalidations();
  };
  define();
  define();
  expect(t.log).not.toContain('2 hears snapshot');
  define();
  // It begins to show what is committed, so the other one gives back what it may use.
  t.transactions.snapshotAcked(a);
  expect(t.log).toContain('2 hears snapshot');
});
