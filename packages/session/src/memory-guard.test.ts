import { expect, test } from 'vitest';
import type { Clock } from '@pgtroupe/actor/env';
import { MemoryGuard } from './memory-guard.ts';

const GB = 2 ** 30;

function world() {
  let nowMs = 0;
  const use = { heapBytes: GB / 8, heapLimit: 4 * GB, externalBytes: GB };
  const clock: Clock = { nowMs: () => nowMs, startedMs: 0, wallMicros: () => 0 };
  const guard = new MemoryGuard({ use: () => use }, clock);
  const accounts = [{ grownBytes: 0 }, { grownBytes: 0 }, { grownBytes: 0 }];
  const slice = (n: number, heap: number, external = 0) => {
    nowMs += 100;
    use.heapBytes += heap;
    use.externalBytes += external;
    return accounts.indexOf(guard.look(accounts[n]!, () => accounts)!);
  };
  return { slice, accounts };
}

test('the statement that grew most ends, not the one that looks', () => {
  const { slice } = world();
  expect(slice(0, 0.1 * GB)).toBe(-1);
  expect(slice(1, 2.5 * GB)).toBe(-1);
  expect(slice(2, 0.5 * GB)).toBe(1);
});

test('values outside of the heap count too, the page cache does not', () => {
  const { slice } = world();
  expect(slice(0, 0, 3 * GB)).toBe(-1);
  expect(slice(0, 0, 1.5 * GB)).toBe(0);
});

test('garbage that was collected is taken off', () => {
  const { slice, accounts } = world();
  slice(0, 2 * GB);
  slice(0, -1.9 * GB);
  expect(accounts[0]!.grownBytes).toBeLessThan(0.3 * GB);
});

test('nobody ends for what nobody there has gathered', () => {
  const { slice, accounts } = world();
  slice(0, 3.5 * GB);
  accounts[0]!.grownBytes = 0;
  expect(slice(1, 0.1 * GB)).toBe(-1);
});
