import type { DownOp } from '@pgtroupe/rpc/attach/ops';
import { expect, it } from 'vitest';
import { LockQuestions } from './lock-questions.ts';
import { LockTable } from './lock-table.ts';

class Recorder {
  readonly said: DownOp[] = [];
  put(op: DownOp): void {
    this.said.push(op);
  }
}

function setUp() {
  const [a, b] = [new Recorder(), new Recorder()];
  const instances = new Set([a, b]);
  const silent = { granted() {}, notAvailable() {}, tokenGranted() {}, recallToken() {} };
  const table = new LockTable<Recorder>(silent, { runs: () => false, owner: () => undefined }, 100);
  const tag = { locktype: 0, f1: 5, f2: 16384, f3: 0, f4: 0 };
  const lock = (pid: number, instance: Recorder) =>
    table.acquire(table.owner(pid, instance), tag, 8, { reqId: pid, nowait: false, session: false });
  return { a, b, instances, lock, questions: new LockQuestions(table, instances) };
}

it('answers when every instance has brought its waits: holders first, then who queues in front', () => {
  const { a, b, lock, questions } = setUp();
  lock(1, a);
  lock(2, b);
  questions.ask(a, { op: 'getBlockers', reqId: 9, pid: 3 });
  expect([a.said, b.said]).toEqual([[{ op: 'showWaits', question: 1 }], [{ op: 'showWaits', question: 1 }]]);
  questions.shown(a, { op: 'waitsShown', question: 1 });
  expect(a.said).toHaveLength(1);
  // What it brings before it says so counts.
  lock(3, b);
  questions.shown(b, { op: 'waitsShown', question: 1 });
  expect(a.said[1]).toEqual({ op: 'blockers', reqId: 9, pids: [1, 2] });
});

it('nobody keeps waiting who has its lock, or is not known', () => {
  const { a, b, lock, questions } = setUp();
  lock(1, a);
  for (const [n, pid] of [1, 77].entries()) {
    questions.ask(a, { op: 'getBlockers', reqId: n, pid });
    for (const each of [a, b]) questions.shown(each, { op: 'waitsShown', question: n + 1 });
    expect(a.said.at(-1)).toEqual({ op: 'blockers', reqId: n, pids: [] });
  }
});

it('an instance that dies is not waited for, and is told nothing', () => {
  const { a, b, instances, questions } = setUp();
  questions.ask(a, { op: 'getBlockers', reqId: 1, pid: 1 });
  questions.ask(b, { op: 'getBlockers', reqId: 2, pid: 1 });
  questions.shown(a, { op: 'waitsShown', question: 1 });
  questions.shown(a, { op: 'waitsShown', question: 2 });
  instances.delete(b);
  questions.died(b);
  expect(a.said.at(-1)).toEqual({ op: 'blockers', reqId: 1, pids: [] });
  expect(b.said.map(({ op }) => op)).toEqual(['showWaits', 'showWaits']);
});
