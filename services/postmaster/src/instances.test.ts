import { describe, expect, it } from 'vitest';
import {
  chooseDoorkeeper,
  chooseInstance,
  type InstanceLoad,
  retirable,
  sessionsOf,
  wantedInstances,
} from './instances.ts';

const load = (instance: number, open: number, more: Partial<InstanceLoad> = {}): InstanceLoad => ({
  name: `backend-${instance}`,
  instance,
  ready: true,
  direct: true,
  sent: open,
  receivedBefore: 0,
  received: open,
  open,
  authenticated: open,
  idleSinceMs: 0,
  ...more,
});
const limits = { sessionsPerInstance: 10, maxConnections: 100 };

describe('instances', () => {
  it('counts who is on the way', () => {
    expect(sessionsOf(load(1, 3, { sent: 8, received: 5 }))).toBe(6);
    // An adopted instance had received 40 before this postmaster sent two.
    expect(sessionsOf(load(1, 7, { sent: 2, received: 41, receivedBefore: 40 }))).toBe(8);
  });

  it('packs: the first with room, one that takes sockets before one that is spliced to', () => {
    expect(chooseInstance([load(1, 10), load(2, 3), load(3, 0)], 10)?.name).toBe('backend-2');
    expect(chooseInstance([load(1, 0, { direct: false }), load(2, 3)], 10)?.name).toBe('backend-2');
    expect(chooseInstance([load(1, 10), load(2, 0, { ready: false })], 10)).toBeUndefined();
  });

  it('keeps one warm, within max_connections, and numbers stay', () => {
    expect(wantedInstances([], 0, limits)).toBe(1);
    expect(wantedInstances([load(1, 9)], 0, limits)).toBe(1);
    expect(wantedInstances([load(1, 10)], 0, limits)).toBe(2);
    expect(wantedInstances([load(1, 9)], 5, limits)).toBe(2);
    expect(wantedInstances([load(1, 100)], 50, limits)).toBe(10);
    expect(wantedInstances([load(1, 0), load(2, 0), load(3, 1)], 0, limits)).toBe(3);
  });

  it('retires an empty one beyond what is wanted, after a minute', () => {
    expect(retirable([load(1, 0), load(2, 0)], 1, 59_000)).toBeUndefined();
    expect(retirable([load(1, 0), load(2, 0)], 1, 61_000)).toBe('backend-2');
    expect(retirable([load(1, 0), load(2, 1)], 1, 61_000)).toBeUndefined();
    expect(retirable([load(1, 0), load(2, 0)], 2, 61_000)).toBeUndefined();
  });

  it('lends the door to the first with a good deal of room, without the reserved slots', () => {
    const limits = { sessionsPerInstance: 50, maxConnections: 100, reserved: 3 };
    expect(chooseDoorkeeper([load(1, 10), load(2, 0)], limits)).toEqual({ name: 'backend-1', quota: 50 });
    expect(chooseDoorkeeper([load(1, 45), load(2, 5)], limits)).toEqual({ name: 'backend-2', quota: 50 });
    // 97 - 50 of the other one.
    expect(chooseDoorkeeper([load(1, 50), load(2, 5)], limits)).toEqual({ name: 'backend-2', quota: 47 });
    expect(chooseDoorkeeper([load(1, 50), load(2, 40)], limits)).toBeUndefined();
    expect(chooseDoorkeeper([load(1, 0, { ready: false }), load(2, 0, { direct: false })], limits)).toBeUndefined();
  });

  it('who has the door keeps it to the last slot, unless an earlier one has room', () => {
    const limits = { sessionsPerInstance: 50, maxConnections: 100, reserved: 3 };
    const keeper = { name: 'backend-2', quota: 47 };
    expect(chooseDoorkeeper([load(1, 50), load(2, 46)], limits, keeper)).toEqual(keeper);
    expect(chooseDoorkeeper([load(1, 50), load(2, 47)], limits, keeper)).toBeUndefined();
    expect(chooseDoorkeeper([load(1, 45), load(2, 20)], limits, keeper)).toEqual(keeper);
    expect(chooseDoorkeeper([load(1, 42), load(2, 20)], limits, keeper)?.name).toBe('backend-1');
  });
});
