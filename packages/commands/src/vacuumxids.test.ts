import type { TransactionId } from '@pgtroupe/common/ids';
import { describe, expect, it } from 'vitest';
import { vacuumXidLimits } from './vacuumxids.ts';

const settings = {
  number: (name: string): number =>
    ({
      autovacuum_freeze_max_age: 200_000_000,
      vacuum_freeze_min_age: 50_000_000,
      vacuum_freeze_table_age: 150_000_000,
    })[name]!,
};
const at = (oldestXmin: number, nextXid: number, relfrozenxid: number) => ({
  oldestXmin,
  nextXid,
  relfrozenxid: relfrozenxid as TransactionId,
});

describe('what a vacuum freezes', () => {
  it('is what is older than vacuum_freeze_min_age, and with FREEZE all that nobody can ask about', () => {
    const ids = at(120_000_000, 120_000_100, 100_000_000);
    expect(vacuumXidLimits(settings, ids, false)).toMatchObject({ freezeLimit: 70_000_000, aggressive: false });
    expect(vacuumXidLimits(settings, ids, true)).toMatchObject({ freezeLimit: 120_000_000, aggressive: true });
  });

  it('visits every page of a table older than vacuum_freeze_table_age, also across the end of the ids', () => {
    expect(vacuumXidLimits(settings, at(160_000_000, 160_000_000, 9_000_000), false).aggressive).toBe(true);
    expect(vacuumXidLimits(settings, at(160_000_000, 160_000_000, 11_000_000), false).aggressive).toBe(false);
    const next = 2 ** 32 + 100_000_000;
    expect(vacuumXidLimits(settings, at(next, next, 2 ** 32 - 60_000_000), false).aggressive).toBe(true);
    expect(vacuumXidLimits(settings, at(next, next, 2 ** 32 - 40_000_000), false).aggressive).toBe(false);
  });

  it('says so when an old transaction holds the horizon back', () => {
    expect(vacuumXidLimits(settings, at(1000, 300_000_000, 900), false)).toMatchObject({
      tooOld: true,
      freezeLimit: 1000,
    });
  });
});
