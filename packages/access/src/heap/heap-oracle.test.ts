/**
 * The same history in PostgreSQL 15 and here: the same WAL records, byte for byte; PostgreSQL's own
 * records replay to PostgreSQL's own pages.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Datum } from '@pgtroupe/common/datum';
import { BLCKSZ, formatLsn } from '@pgtroupe/common/ids';
import { pageIsNew, pageIsVerified } from '@pgtroupe/storage/page/bufpage';
import { RM_HEAP2_ID, RM_HEAP_ID } from '@pgtroupe/transam/rmgr';
import type { XLogRecord } from '@pgtroupe/transam/xlogrecord';
import { heapFormTuple, heapGetAttr, tupleLayout } from '../common/heaptuple.ts';
import { tupleMemory } from '../common/htup.ts';
import { VACUUM_DONE } from '../common/indexvacuum.ts';
import { describeRow } from '@pgtroupe/testkit/access/attributes';
import { maskedHeapPage } from '@pgtroupe/testkit/access/heap-mask';
import { copyWithFiles } from '@pgtroupe/testkit/nbtree-oracle';
import { oracleMissing, parseLsn, pgWaldump, psql, readRelation, readWal } from '@pgtroupe/testkit/oracle';
import { SoloPages, SoloRedo } from '@pgtroupe/testkit/access/solo-pages';
import { SoloTransactions, type SoloXact } from '@pgtroupe/testkit/access/solo-xact';
import { HeapContext, heapRelation, LOCK_TUPLE_EXCLUSIVE, LOCK_TUPLE_KEY_SHARE, TM_OK } from './heapam-context.ts';
import { heapDelete } from './heapam-delete.ts';
import { heap2Rmgr, heapRmgr } from './heapam-desc.ts';
import { heapInsert, heapMultiInsert } from './heapam-insert.ts';
import { heapLockTuple } from './heapam-lock.ts';
import { heapGetPage, HeapPageBatch } from './heapam-scan.ts';
import { heapUpdate } from './heapam-update.ts';
import {
  SIZE_OF_MULTI_INSERT_TUPLE,
  XLOG_HEAP2_FREEZE_PAGE,
  XLOG_HEAP2_MULTI_INSERT,
  XLOG_HEAP2_VISIBLE,
  XLOG_HEAP_LOCK,
  XLOG_HEAP_OPMASK,
  XLOG_HEAP_UPDATE,
} from './heapam-xlog.ts';
import { heapPruneQueued } from './pruneheap.ts';
import { LazyVacuum } from './vacuumlazy.ts';

const layout = tupleLayout(describeRow('int4', 'int4', 'text'));
const missing = oracleMissing();

/** Our side of the comparison: table t (id int4 primary key, balance int4, filler text). */
class Mirror {
  readonly solo = new SoloPages({ pages: 40 });
  readonly xacts = new SoloTransactions(this.solo);
  readonly rel = heapRelation(this.solo.relation(16384), 16384 as never);
  readonly ctx = new HeapContext(this.solo, this.solo.wal, this.xacts.begin());

  transaction(run: (x: SoloXact) => void): void {
    const x = this.xacts.begin();
    this.ctx.xact = x;
    this.solo.wal.xid = 0;
    run(x);
    x.commit();
  }

  /** As an index scan does: prunes the row's page on the way. */
  find(x: SoloXact, id: number): { blk: number; offnum: number; values: Datum[] } {
    const { blk } = this.search(x, id);
    const here = this.ctx.pruneBlocks.includes(blk);
    this.ctx.pruneBlocks.length = 0;
    this.ctx.pruneRelations.length = 0;
    if (here) {
      this.ctx.queuePrune(this.rel, blk);
      this.solo.wal.xid = x.xid;
      heapPruneQueued(this.ctx);
    }
    return this.search(x, id);
  }

  search(x: SoloXact, id: number): { blk: number; offnum: number; values: Datum[] } {
    const batch = new HeapPageBatch();
    for (let blk = 0; blk < this.solo.relation(16384).forks[0]!.blocks; blk++) {
      heapGetPage(this.ctx, this.rel, blk, x.snapshot(), batch);
      for (let i = 0; i < batch.count; i++) {
        const values = [0, 1, 2].map(att => heapGetAttr(layout, this.solo.mem, batch.tuples[i]!, att));
        const copied = values.map(value => (value instanceof Uint8Array ? value.slice() : value));
        if (values[0] === id) return { blk, offnum: batch.offnums[i]!, values: copied };
      }
    }
    throw new Error(`no row ${id}`);
  }

  form(values: Datum[]): number {
    return heapFormTuple(layout, values, this.solo.mem, this.solo.arenaStart);
  }

  insert(x: SoloXact, id: number, balance: number, filler: string | null): void {
    heapInsert(
      this.ctx,
      this.rel,
      this.solo.arenaStart,
      this.form([id, balance, filler === null ? null : Buffer.from(filler)]),
      x.curcid,
    );
  }

  update(x: SoloXact, id: number, change: (values: Datum[]) => Datum[]): void {
    const { blk, offnum, values } = this.find(x, id);
    const len = this.form(change(values));
    expect(
      heapUpdate(this.ctx, this.rel, blk, offnum, this.solo.arenaStart, len, x.curcid, {
        layout,
        indexed: [0],
        key: [0],
      }),
    ).toBe(TM_OK);
  }

  lock(x: SoloXact, id: number, mode: 0 | 3): void {
    const { blk, offnum } = this.find(x, id);
    expect(heapLockTuple(this.ctx, this.rel, blk, offnum, x.curcid, mode)).toBe(TM_OK);
  }

  copy(x: SoloXact, rows: Datum[][]): void {
    const tups = new Int32Array(rows.length);
    const lens = new Int32Array(rows.length);
    let at = this.solo.arenaStart;
    rows.forEach((values, i) => {
      tups[i] = at;
      lens[i] = heapFormTuple(layout, values, this.solo.mem, at);
      at += (lens[i]! + 7) & ~7;
    });
    for (let done = 0; done < rows.length; ) {
      done += heapMultiInsert(
        this.ctx,
        this.rel,
        tups,
        lens,
        done,
        rows.length,
        x.curcid,
        new Uint16Array(rows.length),
      );
    }
  }

  vacuum(freeze: boolean): void {
    const horizon = this.xacts.oldestXmin as never;
    const scan = () => ({ step: () => VACUUM_DONE });
    const index = { bulkDelete: scan, cleanup: scan, stats: undefined };
    this.solo.wal.xid = 0;
    this.ctx.xact = this.xacts.begin();
    const vacuum = new LazyVacuum(this.ctx, this.rel, [index], {
      oldestXmin: horizon,
      oldestMulti: 1,
      freezeLimits: { xid: freeze ? horizon : (3 as never), multi: 1 },
      aggressive: freeze,
      indexCleanup: 'on',
      maxDeadTids: 1e6,
    });
    while (vacuum.step() !== VACUUM_DONE);
  }
}

/** One step of the history: SQL for PostgreSQL, and the same in our words. */
interface Step {
  readonly sql: string;
  readonly run: (m: Mirror) => void;
}

const one = (sql: string, run: (m: Mirror, x: SoloXact) => void): Step => ({
  sql,
  run: m => m.transaction(x => run(m, x)),
});
const filler = 'f'.repeat(600);

const history: Step[] = [
  one("insert into t values (1, 0, 'abc');", (m, x) => m.insert(x, 1, 0, 'abc')),
  one('insert into t values (2, 0, null);', (m, x) => m.insert(x, 2, 0, null)),
  one("insert into t values (3, 0, repeat('x', 200));", (m, x) => m.insert(x, 3, 0, 'x'.repeat(200))),
  one('update t set balance = 77 where id = 3;', (m, x) => m.update(x, 3, v => [v[0]!, 77, v[2]!])),
  one('update t set balance = 5 where id = 2;', (m, x) => m.update(x, 2, v => [v[0]!, 5, v[2]!])),
  one("update t set filler = 'now there is one' where id = 2;", (m, x) =>
    m.update(x, 2, v => [v[0]!, v[1]!, Buffer.from('now there is one')]),
  ),
  one('update t set id = 30 where id = 3;', (m, x) => m.update(x, 3, v => [30, v[1]!, v[2]!])),
  one('begin; select from t where id = 2 for update; update t set balance = 6 where id = 2; commit;', (m, x) => {
    m.lock(x, 2, LOCK_TUPLE_EXCLUSIVE);
    m.update(x, 2, v => [v[0]!, 6, v[2]!]);
  }),
  one('select from t where id = 2 for key share;', (m, x) => m.lock(x, 2, LOCK_TUPLE_KEY_SHARE)),
  one('delete from t where id = 1;', (m, x) => {
    const { blk, offnum } = m.find(x, 1);
    heapDelete(m.ctx, m.rel, blk, offnum, x.curcid);
  }),
  one(
    "begin; insert into t values (4, 1, 'q'); update t set balance = 2 where id = 4; delete from t where id = 4; commit;",
    (m, x) => {
      m.insert(x, 4, 1, 'q');
      x.nextCommand();
      m.update(x, 4, v => [v[0]!, 2, v[2]!]);
      x.nextCommand();
      const { blk, offnum } = m.find(x, 4);
      heapDelete(m.ctx, m.rel, blk, offnum, x.curcid);
    },
  ),
  one(
    `copy t from stdin;\n${Array.from({ length: 25 }, (_, i) => `${100 + i}\t${i}\t${i % 3 === 0 ? '\\N' : filler.slice(0, 100 + 20 * i)}`).join('\n')}\n\\.\n`,
    (m, x) =>
      m.copy(
        x,
        Array.from({ length: 25 }, (_, i) => [
          100 + i,
          i,
          i % 3 === 0 ? null : Buffer.from(filler.slice(0, 100 + 20 * i)),
        ]),
      ),
  ),
  // The first page is full by now: the new version goes elsewhere.
  one("update t set filler = repeat('y', 1500) where id = 2;", (m, x) =>
    m.update(x, 2, v => [v[0]!, v[1]!, Buffer.from('y'.repeat(1500))]),
  ),
  { sql: 'vacuum t;', run: m => m.vacuum(false) },
  one('update t set balance = 9 where id = 110;', (m, x) => m.update(x, 110, v => [v[0]!, 9, v[2]!])),
  one('delete from t where id = 111;', (m, x) => {
    const { blk, offnum } = m.find(x, 111);
    heapDelete(m.ctx, m.rel, blk, offnum, x.curcid);
  }),
  { sql: 'vacuum freeze t;', run: m => m.vacuum(true) },
  one('select from t where id = 100 for update;', (m, x) => m.lock(x, 100, LOCK_TUPLE_EXCLUSIVE)),
];

describe.skipIf(missing !== undefined)(
  `against PostgreSQL 15${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    const database = `pgtroupe_heap_${process.pid}`;
    let from = '';
    let to = '';
    /** Records of table t, with the step that wrote them. */
    let theirs: { record: XLogRecord; step: number }[] = [];
    let relNode = 0;

    beforeAll(() => {
      psql(`create database ${database}`);
      const lines = psql(
        `create table t (id int4 primary key, balance int4, filler text) with (autovacuum_enabled = off);
       select pg_relation_filenode('t');
       select pg_current_wal_insert_lsn();
       ${history.map(({ sql }) => `${sql}\nselect pg_current_wal_insert_lsn();`).join('\n')}
       select pg_switch_wal() is null;`,
        database,
      )
        .split('\n')
        .filter(line => line !== '');
      relNode = Number(lines[0]);
      const marks = lines.slice(1, history.length + 2);
      expect(marks.length).toBe(history.length + 1);
      from = marks[0]!;
      to = marks.at(-1)!;
      const positions = marks.map(parseLsn);
      theirs = readWal(parseLsn(from), parseLsn(to))
        .filter(
          record =>
            (record.rmid === RM_HEAP_ID || record.rmid === RM_HEAP2_ID) && record.blocks[0]?.rnode.relNode === relNode,
        )
        .map(record => ({ record, step: positions.findIndex(position => position > record.lsn) - 1 }));
    }, 60_000);

    afterAll(() => {
      psql(`drop database if exists ${database} with (force)`);
    });

    test('the same records are written', () => {
      const mirror = new Mirror();
      expect(theirs.length).toBeGreaterThan(history.length);
      for (const [step, { sql, run }] of history.entries()) {
        const expected = theirs.filter(their => their.step === step).map(their => their.record);
        const xid = Math.max(0, ...expected.map(record => record.xid));
        // The horizon of a vacuum there is the next xid there.
        mirror.xacts.next = xid > 0 ? xid : Math.max(mirror.xacts.next, horizonOf(expected));
        run(mirror);
        const mine = mirror.solo.records.splice(0).map(describeRecord);
        expect(mine, sql.slice(0, 80)).toEqual(withoutInterimLocks(expected).map(describeRecord));
      }
    });

    test('they are described as pg_waldump does', () => {
      const printed = pgWaldump(from, to, ['Heap', 'Heap2']).filter(
        line => line.includes(`/${relNode} `) || line.includes(`/${relNode},`) || line.includes(`/${relNode}`),
      );
      const mine = theirs.map(({ record }) => {
        const rmgr = record.rmid === RM_HEAP_ID ? heapRmgr : heap2Rmgr;
        return `lsn: ${formatLsn(record.lsn).replace(/\/(.*)/, (_, low: string) => `/${low.padStart(8, '0')}`)}, desc: ${rmgr.identify(record.info)} ${rmgr.desc(record)}`;
      });
      const cut = (line: string): string => line.replace(/.*(lsn: \S+), prev \S+ (desc: .*?), blkref.*/, '$1, $2');
      expect(mine).toEqual(printed.map(cut));
    });

    test('PostgreSQL’s records replay to PostgreSQL’s pages', () => {
      const path = psql("checkpoint; select pg_relation_filepath('t')", database);
      const redo = new SoloRedo(64 * BLCKSZ);
      for (const { record } of theirs) redo.apply(record, record.rmid === RM_HEAP_ID ? heapRmgr : heap2Rmgr);
      const { rnode } = theirs[0]!.record.blocks[0]!;
      const onDisk = tupleMemory(readRelation(path));
      expect(onDisk.u8.length).toBeGreaterThan(BLCKSZ);
      for (let blk = 0; blk < onDisk.u8.length / BLCKSZ; blk++) {
        expect(pageIsVerified(onDisk, blk * BLCKSZ, blk)).toBe(true);
        expect(maskedHeapPage(redo.mem, redo.page(rnode, 0, blk))).toBe(maskedHeapPage(onDisk, blk * BLCKSZ));
      }
      const map = tupleMemory(readRelation(`${path}_vm`));
      const replayed = redo.page(rnode, 2, 0);
      expect(pageIsNew(map, 0)).toBe(false);
      expect(
        Buffer.from(redo.mem.u8.subarray(replayed + 24, replayed + BLCKSZ)).equals(map.u8.subarray(24, BLCKSZ)),
      ).toBe(true);
    });

    test('PostgreSQL finds our file sound, and our rows in it', () => {
      const ours = `pgtroupe_heap_${process.pid}_ours`;
      psql(`create database ${ours}`);
      try {
        // Transactions that have happened there, for ours to be called after.
        const [first] = psql(
          `create extension amcheck; create table t (id int4, balance int4, filler text) with (autovacuum_enabled = off);
         select relfrozenxid from pg_class where relname = 't';
         ${'select pg_current_xact_id() is null;\n'.repeat(history.length + 2)}`,
          ours,
        ).split('\n');
        const mirror = new Mirror();
        mirror.xacts.next = Number(first) + 1;
        for (const { run } of history) run(mirror);
        const fork = mirror.solo.relation(16384).forks[0]!;
        const file = new Uint8Array(fork.blocks * BLCKSZ);
        for (let blk = 0; blk < fork.blocks; blk++) {
          const page = fork.slotOf(blk as never) * BLCKSZ;
          file.set(mirror.solo.mem.u8.subarray(page, page + BLCKSZ), blk * BLCKSZ);
          // Positions in a WAL that is not there.
          file.fill(0, blk * BLCKSZ, blk * BLCKSZ + 8);
        }
        const copy = copyWithFiles(ours, new Map([['t', file]]));
        try {
          expect(psql("select * from verify_heapam('t')", copy)).toBe('');
          const theirs = psql(
            "select id || '=' || balance || '/' || coalesce(length(filler), -1) from t order by id",
            copy,
          ).split('\n');
          const batch = new HeapPageBatch();
          const x = mirror.xacts.begin();
          const mine: [number, string][] = [];
          for (let blk = 0; blk < fork.blocks; blk++) {
            heapGetPage(mirror.ctx, mirror.rel, blk, x.snapshot(), batch);
            for (let i = 0; i < batch.count; i++) {
              const [id, balance, text] = [0, 1, 2].map(att =>
                heapGetAttr(layout, mirror.solo.mem, batch.tuples[i]!, att),
              );
              mine.push([
                Number(id),
                `${Number(id)}=${Number(balance)}/${text === null ? -1 : (text as Uint8Array).length}`,
              ]);
            }
          }
          expect(theirs.length).toBeGreaterThan(20);
          expect(mine.sort((a, b) => a[0] - b[0]).map(([, row]) => row)).toEqual(theirs);
        } finally {
          psql(`drop database if exists ${copy} with (force)`);
        }
      } finally {
        psql(`drop database if exists ${ours} with (force)`);
      }
    }, 60_000);

    test('PostgreSQL reads our pages', () => {
      const mirror = new Mirror();
      let xid = 800;
      for (const { run } of history.slice(0, 13)) {
        mirror.xacts.next = xid;
        xid += 1;
        run(mirror);
      }
      psql('create extension if not exists pageinspect', database);
      for (let blk = 0; blk < mirror.solo.relation(16384).forks[0]!.blocks; blk++) {
        const page = mirror.solo.relation(16384).forks[0]!.slotOf(blk as never) * BLCKSZ;
        const hex = Buffer.from(mirror.solo.mem.u8.subarray(page, page + BLCKSZ)).toString('hex');
        const rows = psql(
          `select lp, lp_flags, (t_xmin::text || '/' || t_xmax::text), t_ctid, t_hoff, array_length(tuple_data_split('t'::regclass, t_data, t_infomask, t_infomask2, t_bits), 1)
         from heap_page_items(decode('${hex}', 'hex')) where lp_flags = 1`,
          database,
        ).split('\n');
        expect(rows.length).toBeGreaterThan(0);
        for (const row of rows) expect(row).toMatch(/^\d+\|1\|8\d\d\/(0|8\d\d)\|\(\d,\d+\)\|24\|3$/);
      }
    });
  },
);

/** What a record says, block references included; images and map references are each side's own business. */
function describeRecord(record: XLogRecord): Record<string, unknown> {
  const op = record.info & XLOG_HEAP_OPMASK;
  const visible = record.rmid === RM_HEAP2_ID && op === XLOG_HEAP2_VISIBLE;
  const rmgr = record.rmid === RM_HEAP_ID ? heapRmgr : heap2Rmgr;
  return {
    what: rmgr.identify(record.info),
    desc: rmgr.desc(record),
    xid: record.xid,
    main: maskPadding(record, Buffer.from(record.bytes.subarray(record.mainAt, record.mainAt + record.mainLength))),
    blocks: record.blocks
      .filter(block => block !== undefined && (visible || block.fork === 0))
      .map(block => `${block!.id}: fork ${block!.fork} blk ${block!.blkno}`),
    data: isMultiInsert(record)
      ? multiInsertTuples(record)
      : isFreeze(record)
        ? freezePlans(record)
        : record.blocks.flatMap(block =>
            block === undefined || block.fork !== 0 || block.hasImage
              ? []
              : [Buffer.from(record.bytes.subarray(block.dataAt, block.dataAt + block.dataLength)).toString('hex')],
          ),
  };
}

function isMultiInsert(record: XLogRecord): boolean {
  return record.rmid === RM_HEAP2_ID && (record.info & XLOG_HEAP_OPMASK) === XLOG_HEAP2_MULTI_INSERT;
}

function isFreeze(record: XLogRecord): boolean {
  return record.rmid === RM_HEAP2_ID && (record.info & XLOG_HEAP_OPMASK) === XLOG_HEAP2_FREEZE_PAGE;
}

/** 12 bytes each, of which the last is padding. */
function freezePlans(record: XLogRecord): string[] {
  const block = record.blocks[0]!;
  const text = Buffer.from(record.bytes.subarray(block.dataAt, block.dataAt + block.dataLength)).toString('hex');
  return text.match(/.{24}/g)?.map(plan => plan.slice(0, 22)) ?? [];
}

/** PostgreSQL leaves what was on its stack in the padding of this record. */
function maskPadding(record: XLogRecord, main: Buffer): string {
  if (isMultiInsert(record)) main[1] = 0;
  return main.toString('hex');
}

function multiInsertTuples(record: XLogRecord): string[] {
  const block = record.blocks[0]!;
  if (block.hasImage) return [];
  const tuples: string[] = [];
  for (let at = 0; at < block.dataLength; ) {
    at = (at + 1) & ~1;
    const length = record.view.getUint16(block.dataAt + at, true);
    tuples.push(
      Buffer.from(
        record.bytes.subarray(block.dataAt + at, block.dataAt + at + SIZE_OF_MULTI_INSERT_TUPLE + length),
      ).toString('hex'),
    );
    at += SIZE_OF_MULTI_INSERT_TUPLE + length;
  }
  return tuples;
}

/** PostgreSQL locks the old version while it looks for another page; here there is no such moment. */
function withoutInterimLocks(records: XLogRecord[]): XLogRecord[] {
  return records.filter((record, i) => {
    const next = records[i + 1];
    const isLock = record.rmid === RM_HEAP_ID && (record.info & XLOG_HEAP_OPMASK) === XLOG_HEAP_LOCK;
    return !(
      isLock &&
      next?.rmid === RM_HEAP_ID &&
      (next.info & XLOG_HEAP_OPMASK) === XLOG_HEAP_UPDATE &&
      next.blocks[1] !== undefined
    );
  });
}

/** The freeze limit that a vacuum's records name. */
function horizonOf(records: XLogRecord[]): number {
  const freeze = records.find(
    record => record.rmid === RM_HEAP2_ID && (record.info & XLOG_HEAP_OPMASK) === XLOG_HEAP2_FREEZE_PAGE,
  );
  return freeze === undefined ? 0 : freeze.view.getUint32(freeze.mainAt, true);
}
