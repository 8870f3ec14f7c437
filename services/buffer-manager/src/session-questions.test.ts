import type { Timer, Timers } from '@pgtroupe/actor/env';
import { type DownOp, SESSION_QUESTIONS } from '@pgtroupe/rpc/attach/ops';
import { expect, it } from 'vitest';
import { SESSION_ANSWER_MS, SessionQuestions } from './session-questions.ts';

const ASK_ACTIVITY = SESSION_QUESTIONS.indexOf('activity');
const ASK_CANCEL = SESSION_QUESTIONS.indexOf('cancel');

class Recorder {
  readonly said: DownOp[] = [];
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
  put(op: DownOp): void {
    this.said.push(op);
  }
  get told(): DownOp | undefined {
    return this.said.find(({ op }) => op === 'sessionsTold');
  }
}

function setUp() {
  const [a, b] = [new Recorder('backend-1'), new Recorder('backend-2')];
  const instances = new Set([a, b]);
  const running = new Set<() => void>();
  const timers: Timers = {
    after(ms, fn): Timer {
      expect(ms).toBe(SESSION_ANSWER_MS);
      running.add(fn);
      return { cancel: () => running.delete(fn) };
    },
    soon: fn => fn(),
  };
  let sent = 0;
  const questions = new SessionQuestions(
    instances,
    timers,
    what => (what === 'locks' ? '"table"' : ''),
    () => sent++,
  );
  const late = (): void => {
    for (const fn of [...running]) fn();
  };
  return { a, b, instances, questions, late, running, sent: () => sent };
}

it('gathers what all say', () => {
  const { a, b, questions, running } = setUp();
  questions.ask(a, { op: 'askSessions', reqId: 7, what: ASK_ACTIVITY, pid: 0, about: '' });
  for (const each of [a, b])
    expect(each.said).toEqual([{ op: 'sessionsAsked', question: 1, what: ASK_ACTIVITY, pid: 0, about: '' }]);
  questions.said(b, { op: 'sessionsSaid', question: 1, said: '{"n":2}' });
  questions.said(b, { op: 'sessionsSaid', question: 1, said: '{"n":3}' });
  expect(a.told).toBeUndefined();
  questions.said(a, { op: 'sessionsSaid', question: 1, said: '{"n":1}' });
  expect(a.told).toEqual({ op: 'sessionsTold', reqId: 7, said: '[{"n":2},{"n":1}]', silent: '' });
  expect(running.size).toBe(0);
});

it('one session is known to one instance: nobody else is waited for', () => {
  const { a, b, questions } = setUp();
  questions.ask(a, { op: 'askSessions', reqId: 1, what: ASK_CANCEL, pid: 9, about: '' });
  questions.said(b, { op: 'sessionsSaid', question: 1, said: 'true' });
  expect(a.told).toEqual({ op: 'sessionsTold', reqId: 1, said: '[true]', silent: '' });
  questions.said(a, { op: 'sessionsSaid', question: 1, said: '' });
  expect(a.said).toHaveLength(2);
});

it('who is silent for too long is named, once', () => {
  const { a, b, questions, late, sent } = setUp();
  questions.ask(a, { op: 'askSessions', reqId: 1, what: ASK_ACTIVITY, pid: 0, about: '' });
  questions.said(a, { op: 'sessionsSaid', question: 1, said: '1' });
  late();
  expect(sent()).toBe(1);
  expect(a.told).toEqual({ op: 'sessionsTold', reqId: 1, said: '[1]', silent: 'backend-2' });
  questions.said(b, { op: 'sessionsSaid', question: 1, said: '2' });
  expect(a.said).toHaveLength(2);
});

it('who dies has no sessions, and is told nothing', () => {
  const { a, b, instances, questions, running } = setUp();
  questions.ask(a, { op: 'askSessions', reqId: 1, what: ASK_ACTIVITY, pid: 0, about: '' });
  questions.ask(b, { op: 'askSessions', reqId: 2, what: ASK_ACTIVITY, pid: 0, about: '' });
  for (const question of [1, 2]) questions.said(a, { op: 'sessionsSaid', question, said: '1' });
  instances.delete(b);
  questions.died(b);
  expect(a.told).toEqual({ op: 'sessionsTold', reqId: 1, said: '[1]', silent: '' });
  expect(b.told).toBeUndefined();
  expect(running.size).toBe(0);
});

it('the lock table is read when all have said what they hold', () => {
  const { a, b, questions } = setUp();
  questions.ask(a, { op: 'askSessions', reqId: 1, what: SESSION_QUESTIONS.indexOf('locks'), pid: 0, about: '' });
  questions.said(a, { op: 'sessionsSaid', question: 1, said: '1' });
  questions.said(b, { op: 'sessionsSaid', question: 1, said: '2' });
  expect(a.told).toEqual({ op: 'sessionsTold', reqId: 1, said: '[1,2,"table"]', silent: '' });
});
