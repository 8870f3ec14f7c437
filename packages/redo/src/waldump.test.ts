import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { holdWal } from '@pgtroupe/testkit/nbtree-oracle';
import { oracleMissing, parseLsn, pgWaldump, psql, readWal } from '@pgtroupe/testkit/oracle';
import { RM_BTREE_ID, RM_HEAP2_ID, RM_HEAP_ID, RM_SEQ_ID, rmgrName } from '@pgtroupe/transam/rmgr';
import { rmgrTable } from './rmgrtable.ts';
import { describeRecord } from './waldump.ts';

const missing = oracleMissing();
const RMGRS = [RM_HEAP_ID, RM_HEAP2_ID, RM_BTREE_ID, RM_SEQ_ID];

test('heap, btree and sequence records can be replayed, those of other index types cannot', () => {
  expect(rmgrTable.flatMap((routine, id) => (routine === undefined ? [] : [rmgrName(id)]))).toEqual([
    'Heap2',
    'Heap',
    'Btree',
    'Sequence',
    'LogicalMessage',
  ]);
});

describe.skipIf(missing !== undefined)(
  `against pg_waldump${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    const database = `pgtroupe_waldump_${process.pid}`;
    let release = (): void => {};
    beforeAll(() => {
      release = holdWal(`pgtroupe_waldump_${process.pid}`);
      psql(`create database ${database}`);
    });
    afterAll(() => {
      release();
      psql(`drop database if exists ${database} with (force)`);
    });

    test('records are printed as pg_waldump prints them', () => {
      const [from, to] = psql(
        `select pg_current_wal_insert_lsn();
       create table t (id serial primary key, v text) with (autovacuum_enabled = off);
       insert into t (v) select repeat('x', g % 90) from generate_series(1, 900) g;
       checkpoint;
       update t set v = 'new' where id % 7 = 0;
       delete from t where id % 5 = 0;
       vacuum t;
       select pg_current_wal_insert_lsn();
       select pg_switch_wal() is null;`,
        database,
      ).split('\n') as [string, string];
      const ours = readWal(parseLsn(from), parseLsn(to))
        .filter(record => RMGRS.includes(record.rmid))
        .map(describeRecord);
      const theirs = pgWaldump(from, to, ['Heap', 'Heap2', 'Btree', 'Sequence']);
      expect(theirs.length).toBeGreaterThan(1000);
      expect(ours.map(line => line.trimEnd())).toEqual(theirs.map(line => line.trimEnd()));
    }, 60_000);
  },
);
