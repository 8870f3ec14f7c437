import { describe, expect, it } from 'vitest';
import { Schedule } from './schedule.ts';

const LIMITS = { active: true, naptimeMs: 60_000, maxWorkers: 2, freezeMaxAge: 1000, multixactFreezeMaxAge: 1000 };
const YOUNG = { nextXid: 1003, oldestXid: 3, oldestXidDb: 1, nextMulti: 1, oldestMulti: 1, oldestMultiDb: 1 };
const NOBODY = { running: [], unfinished: [] };
const busy = (changes: number) => [5, 6].map(database => ({ database, changes }));

describe('the launcher chooses', () => {
  it('who was visited longest ago, once per naptime, and only if something was counted since', () => {
    const schedule = new Schedule();
    const choose = (nowMs: number, changes: number, workers = NOBODY as Parameters<Schedule['choose']>[4]) =>
      schedule.choose(nowMs, LIMITS, YOUNG, busy(changes), workers);
    expect(choose(0, 1)).toBe(5);
    expect(choose(1, 1)).toBe(6);
    expect(choose(59_999, 2)).toBeUndefined();
    expect(choose(60_002, 2)).toBe(5);
    expect(choose(60_003, 2)).toBe(6);
    expect(choose(200_000, 2)).toBeUndefined();
    expect(choose(200_000, 2, { running: [], unfinished: [6] })).toBe(6);
    schedule.forget();
    expect(choose(260_001, 2)).toBe(5);
  });

  it('nobody while all workers are at work', () => {
    const running = [1, 2].map(slot => ({ slot, database: 7 }));
    expect(new Schedule().choose(0, LIMITS, YOUNG, busy(1), { running, unfinished: [] })).toBeUndefined();
  });

  it('who is in danger of wraparound before all others, and not again while its worker is there', () => {
    const schedule = new Schedule();
    const old = { ...YOUNG, nextXid: 1004 };
    expect(schedule.choose(0, LIMITS, old, busy(1), NOBODY)).toBe(1);
    expect(schedule.choose(1, LIMITS, old, busy(1), NOBODY)).toBeUndefined();
    const running = [{ slot: 1, database: 1 }];
    expect(schedule.choose(60_001, LIMITS, old, busy(1), { running, unfinished: [] })).toBeUndefined();
    // The next one is known as soon as the first is younger.
    expect(schedule.choose(2, LIMITS, { ...old, oldestXidDb: 4 }, busy(1), NOBODY)).toBe(4);
    const multis = { ...YOUNG, nextMulti: 1002, oldestMultiDb: 9 };
    expect(new Schedule().choose(0, LIMITS, multis, busy(1), NOBODY)).toBe(9);
  });

  it('by what all databases share as well', () => {
    const schedule = new Schedule();
    const shared = (changes: number) => [...busy(1), { database: 0, changes }];
    for (const _ of [5, 6]) schedule.choose(0, LIMITS, YOUNG, shared(1), NOBODY);
    expect(schedule.choose(70_000, LIMITS, YOUNG, shared(1), NOBODY)).toBeUndefined();
    expect(schedule.choose(70_000, LIMITS, YOUNG, shared(2), NOBODY)).toBe(5);
  });
});
