import { DiskError } from '@pgtroupe/actor/env';
import type { Oid, TransactionId, XLogRecPtr } from '@pgtroupe/common/ids';
import { MemoryDisk } from '@pgtroupe/testkit/sim/memory-disk';
import type { MultiXactMember, MultiXactStatus } from '@pgtroupe/transam/multixact';
import { RM_MULTIXACT_ID } from '@pgtroupe/transam/rmgr';
import { formRecord } from '@pgtroupe/transam/xlogform';
import { decodeXLogRecord, type XLogRecord } from '@pgtroupe/transam/xlogrecord';
import { expect, test } from 'vitest';
import { type LogMultiXact, type MultiXactCounters, MultiXacts } from './multixacts.ts';

const FRESH: MultiXactCounters = { nextMulti: 1, nextMultiOffset: 0, oldestMulti: 1, oldestMultiDB: 1 as Oid };
const noFlush = (): Promise<void> => Promise.resolve();

async function freshDisk(): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  for (const folder of ['pg_multixact', 'pg_multixact/offsets', 'pg_multixact/members']) await disk.mkdir(folder);
  return disk;
}

async function open(
  disk: MemoryDisk,
  counters: MultiXactCounters,
  records: readonly XLogRecord[],
): Promise<MultiXacts> {
  const multixacts = new MultiXacts(disk);
  multixacts.begin(counters);
  for (const record of records) await multixacts.redo(record);
  await multixacts.trim();
  return multixacts;
}

class Log {
  readonly records: XLogRecord[] = [];
  readonly write: LogMultiXact = (info, mainData) => {
    const bytes = formRecord(RM_MULTIXACT_ID, info, 0 as TransactionId, mainData);
    this.records.push(decodeXLogRecord(bytes, 8 as XLogRecPtr, 16 as XLogRecPtr));
    return this.records.length;
  };
}

function members(seed: number): MultiXactMember[] {
  return Array.from({ length: 2 + (seed % 5) }, (_, i) => ({
    xid: (1000 + seed * 7 + i) as TransactionId,
    status: ((seed + i) % (i === 0 ? 6 : 4)) as MultiXactStatus,
  }));
}

async function expectAll(multixacts: MultiXacts, made: ReadonlyMap<number, number>): Promise<void> {
  for (const [multi, seed] of made) expect(await multixacts.membersOf(multi)).toEqual(members(seed));
}

test('what was made is found again: from memory, from WAL, from the files and WAL', async () => {
  const disk = await freshDisk();
  const log = new Log();
  const live = await open(disk, FRESH, []);
  const made = new Map<number, number>();
  let checkpoint = { counters: FRESH, records: 0 };
  let atCheckpoint = disk.clone();
  for (let seed = 0; seed < 6000; seed++) {
    made.set(live.create(members(seed), seed, log.write), seed);
    if (seed % 1700 !== 1699) continue;
    checkpoint = { counters: live.counters, records: log.records.length };
    await live.write();
    atCheckpoint = disk.clone();
  }
  await expectAll(live, made);
  await expectAll(await open(await freshDisk(), FRESH, log.records), made);
  const recovered = await open(atCheckpoint, checkpoint.counters, log.records.slice(checkpoint.records));
  await expectAll(recovered, made);
  expect(recovered.counters).toEqual(live.counters);
  // The files run ahead of WAL that was lost: what lies behind the next id must not be taken for it.
  await live.write();
  const behind = await open(disk, checkpoint.counters, []);
  const again = behind.create(members(9), 9, new Log().write);
  expect(again).toBe(checkpoint.counters.nextMulti);
  expect(await behind.membersOf(again)).toEqual(members(9));
});

test('numbers begin anew behind the last one; offset 0 is stepped over', async () => {
  const start = {
    nextMulti: 0xfffffffe,
    nextMultiOffset: 0xfffffff9,
    oldestMulti: 0xfffffffe,
    oldestMultiDB: 1 as Oid,
  };
  const disk = await freshDisk();
  const log = new Log();
  const live = await open(disk, start, []);
  const made = new Map(Array.from({ length: 10 }, (_, seed) => [live.create(members(seed), seed, log.write), seed]));
  expect([...made.keys()].slice(0, 4)).toEqual([0xfffffffe, 0xffffffff, 1, 2]);
  await expectAll(live, made);
  await expectAll(await open(await freshDisk(), start, log.records), made);
});

test('what nobody refers to any more is cut off, in redo too', async () => {
  const disk = await freshDisk();
  const log = new Log();
  const live = await open(disk, FRESH, []);
  for (let seed = 0; seed < 140_000; seed++) live.create(members(0), seed, log.write);
  await live.write();
  const exists = async (name: string): Promise<boolean> => (await disk.stat(`pg_multixact/${name}`)) !== undefined;
  expect(await Promise.all(['offsets/0000', 'offsets/0001', 'members/0000', 'members/0004'].map(exists))).toEqual([
    true,
    true,
    true,
    true,
  ]);
  const before = disk.clone();
  await live.truncate(130_000, 5 as Oid, log.write, noFlush);
  expect(await Promise.all(['offsets/0000', 'offsets/0001', 'members/0000', 'members/0004'].map(exists))).toEqual([
    false,
    true,
    false,
    true,
  ]);
  expect(live.counters).toMatchObject({ oldestMulti: 130_000, oldestMultiDB: 5 });
  await expect(live.membersOf(129_999)).rejects.toThrow('does no longer exist');
  expect(await live.membersOf(130_000)).toEqual(members(0));
  const recovered = await open(before, { ...live.counters, oldestMulti: 1 }, log.records.slice(-1));
  expect(await before.stat('pg_multixact/offsets/0000')).toBeUndefined();
  expect(recovered.counters).toEqual(live.counters);
});

test('a transaction is in no multixact older than itself', async () => {
  const live = await open(await freshDisk(), FRESH, []);
  const log = new Log();
  expect(live.oldestRunning(100)).toBe(1);
  // 1 to 3 were made when 110 was the next transaction id, 4 when 120 was.
  for (const next of [110, 110, 110, 120]) live.create(members(1), next, log.write);
  expect(live.oldestRunning(100)).toBe(1);
  expect(live.oldestRunning(110)).toBe(4);
  expect(live.oldestRunning(120)).toBe(5);
  for (let next = 200; next < 4000; next++) live.create(members(1), next, log.write);
  for (const running of [300, 2000, 3999]) expect(live.oldestRunning(running)).toBeLessThanOrEqual(5 + running - 199);
  expect(live.oldestRunning(4000)).toBe(live.counters.nextMulti);
});

test('a failed write is done again', async () => {
  const disk = await freshDisk();
  let failing = true;
  const faulty = new Proxy(disk, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      return async (...args: unknown[]): Promise<unknown> => {
        if (failing && name === 'syncDir') throw new DiskError('ENOSPC', String(args[0]), 'no space left');
        return (value as (...a: unknown[]) => unknown).apply(target, args);
      };
    },
  });
  const live = await open(faulty, FRESH, []);
  const multi = live.create(members(3), 3, new Log().write);
  await expect(live.write()).rejects.toThrow('no space left');
  await disk.unlink('pg_multixact/offsets/0000');
  failing = false;
  await live.write();
  const recovered = await open(disk, live.counters, []);
  expect(await recovered.membersOf(multi)).toEqual(members(3));
});
