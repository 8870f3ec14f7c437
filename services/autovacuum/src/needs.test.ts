/** relation_needs_vacanalyze's arithmetic, by PostgreSQL's documentation and source. */
import type { GucName } from '@pgtroupe/common/guc';
import type { Oid, TransactionId } from '@pgtroupe/common/ids';
import { describe, expect, it } from 'vitest';
import { costLimits, needsOf, storageParameters, type TableCounters, vacuumParameters } from './needs.ts';

const DEFAULTS: Readonly<Record<string, number>> = {
  autovacuum_freeze_max_age: 200_000_000,
  autovacuum_multixact_freeze_max_age: 400_000_000,
  autovacuum_vacuum_threshold: 50,
  autovacuum_vacuum_scale_factor: 0.2,
  autovacuum_vacuum_insert_threshold: 1000,
  autovacuum_vacuum_insert_scale_factor: 0.2,
  autovacuum_analyze_threshold: 50,
  autovacuum_analyze_scale_factor: 0.1,
  autovacuum_vacuum_cost_delay: 2,
  autovacuum_vacuum_cost_limit: -1,
  vacuum_cost_delay: 0,
  vacuum_cost_limit: 200,
  vacuum_freeze_min_age: 50_000_000,
  vacuum_freeze_table_age: 150_000_000,
  vacuum_multixact_freeze_min_age: 5_000_000,
  vacuum_multixact_freeze_table_age: 150_000_000,
};
const settings = (changed: Readonly<Record<string, number | boolean>> = {}) => ({
  number: (name: GucName): number => (changed[name] ?? DEFAULTS[name]) as number,
  bool: (name: GucName): boolean => (changed[name] ?? true) as boolean,
});
const table = (changed: object = {}) => ({
  oid: 16400 as Oid,
  relkind: 'r',
  reltuples: 1000,
  relfrozenxid: 1000 as TransactionId,
  relminmxid: 1 as TransactionId,
  ...changed,
});
const NEXT = { xid: 2000 as TransactionId, multi: 1 };
const counters = (changed: Partial<TableCounters>): TableCounters => ({
  deadTuples: 0,
  insertsSinceVacuum: 0,
  changesSinceAnalyze: 0,
  ...changed,
});
const NONE = storageParameters(null);
const nothing = { vacuum: false, analyze: false, wraparound: false };

describe('a table needs', () => {
  it('VACUUM when more than 50 and a fifth of its rows are dead', () => {
    expect(needsOf(table(), NONE, counters({ deadTuples: 250 }), settings(), NEXT)).toEqual(nothing);
    expect(needsOf(table(), NONE, counters({ deadTuples: 251 }), settings(), NEXT)).toMatchObject({ vacuum: true });
    // Never vacuumed: nobody knows how many rows there are.
    const fresh = table({ reltuples: -1 });
    expect(needsOf(fresh, NONE, counters({ deadTuples: 51 }), settings(), NEXT)).toMatchObject({ vacuum: true });
  });

  it('VACUUM when more than 1000 and a fifth of its rows came, unless the threshold is -1', () => {
    const came = counters({ insertsSinceVacuum: 1201 });
    expect(needsOf(table(), NONE, came, settings(), NEXT)).toMatchObject({ vacuum: true });
    const less = counters({ insertsSinceVacuum: 1200 });
    expect(needsOf(table(), NONE, less, settings(), NEXT)).toEqual(nothing);
    const off = settings({ autovacuum_vacuum_insert_threshold: -1 });
    expect(needsOf(table(), NONE, counters({ insertsSinceVacuum: 1e9 }), off, NEXT)).toEqual(nothing);
  });

  it('ANALYZE when more than 50 and a tenth of its rows were changed, but no TOAST table and not pg_statistic', () => {
    const changes = counters({ changesSinceAnalyze: 151 });
    expect(needsOf(table(), NONE, changes, settings(), NEXT)).toEqual({ ...nothing, analyze: true });
    expect(needsOf(table(), NONE, counters({ changesSinceAnalyze: 150 }), settings(), NEXT)).toEqual(nothing);
    expect(needsOf(table({ relkind: 't' }), NONE, changes, settings(), NEXT)).toEqual(nothing);
    expect(needsOf(table({ oid: 2619 }), NONE, changes, settings(), NEXT)).toEqual(nothing);
  });

  it('what its storage parameters say; they may tighten autovacuum_freeze_max_age, not loosen it', () => {
    const own = storageParameters([
      'fillfactor=70',
      'autovacuum_vacuum_threshold=10',
      'autovacuum_vacuum_scale_factor=0',
    ]);
    expect(needsOf(table(), own, counters({ deadTuples: 11 }), settings(), NEXT)).toMatchObject({ vacuum: true });
    const tight = storageParameters(['autovacuum_freeze_max_age=100000']);
    const later = { xid: 101_001 as TransactionId, multi: 1 };
    expect(needsOf(table(), tight, undefined, settings(), later)).toMatchObject({ vacuum: true, wraparound: true });
    const loose = storageParameters(['autovacuum_freeze_max_age=2000000000']);
    const muchLater = { xid: 200_001_001 as TransactionId, multi: 1 };
    expect(needsOf(table(), loose, undefined, settings(), muchLater)).toMatchObject({ wraparound: true });
  });

  it('only what prevents wraparound where autovacuum is off, or the statistics know nothing', () => {
    const dead = counters({ deadTuples: 1e9, changesSinceAnalyze: 1e9 });
    const disabled = storageParameters(['autovacuum_enabled=off']);
    expect(needsOf(table(), disabled, dead, settings(), NEXT)).toEqual(nothing);
    expect(needsOf(table(), NONE, dead, settings({ autovacuum: false }), NEXT)).toEqual(nothing);
    expect(needsOf(table(), NONE, undefined, settings(), NEXT)).toEqual(nothing);
    const old = { xid: 200_001_001 as TransactionId, multi: 1 };
    const forced = { vacuum: true, analyze: false, wraparound: true };
    expect(needsOf(table(), disabled, dead, settings(), old)).toEqual(forced);
    // Across the end of the ids.
    const before = table({ relfrozenxid: 0xffffff00 });
    expect(needsOf(before, NONE, undefined, settings(), { ...old, xid: 199_999_000 as TransactionId })).toEqual(
      nothing,
    );
    expect(needsOf(before, NONE, undefined, settings(), { ...old, xid: 200_000_000 as TransactionId })).toEqual(forced);
    const multis = { xid: 2000 as TransactionId, multi: 400_000_002 };
    expect(needsOf(table(), NONE, undefined, settings(), multis)).toEqual(forced);
  });
});

it('a table is vacuumed by its storage parameters', () => {
  const by = (options: readonly string[], freezeAll = false): Record<string, string> =>
    Object.fromEntries(vacuumParameters(storageParameters(options), settings(), freezeAll));
  expect(by([])).toMatchObject({ vacuum_freeze_min_age: '50000000' });
  const own = ['autovacuum_freeze_min_age=5'];
  expect(by(own)).toMatchObject({ vacuum_freeze_min_age: '5' });
  expect(by([], true)).toMatchObject({ vacuum_freeze_min_age: '0' });
});

describe('costLimits', () => {
  const limits = (options: readonly string[], changed: Readonly<Record<string, number>> = {}) => {
    const { delayMs, limit, sharers } = costLimits(storageParameters(options), settings(changed), () => 3);
    return [delayMs, limit, sharers()];
  };

  it("are the table's, autovacuum's or those of VACUUM", () => {
    expect(limits([])).toEqual([2, 200, 3]);
    expect(limits([], { autovacuum_vacuum_cost_delay: -1, vacuum_cost_delay: 7 })).toEqual([7, 200, 3]);
    expect(limits([], { autovacuum_vacuum_cost_limit: 900 })).toEqual([2, 900, 3]);
  });

  it('are divided among workers, but for tables that have their own', () => {
    expect(limits(['autovacuum_vacuum_cost_delay=5'])).toEqual([5, 200, 1]);
    expect(limits(['autovacuum_vacuum_cost_limit=50'])).toEqual([2, 50, 1]);
    // Without any pause there is nothing to divide.
    expect(limits(['autovacuum_vacuum_cost_delay=0'])).toEqual([0, 200, 3]);
  });
});
