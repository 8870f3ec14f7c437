/**
 * The same insertions in PostgreSQL 15 and here: the same WAL records, byte for byte. PostgreSQL's
 * records replay to PostgreSQL's pages, and PostgreSQL finds our files sound.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Datum } from '@pgtroupe/common/datum';
import { BLCKSZ, formatLsn, type FullTransactionId } from '@pgtroupe/common/ids';
import {
  pageGetItemId,
  pageGetLower,
  pageGetMaxOffsetNumber,
  pageGetSpecial,
  pageGetUpper,
  pageIsVerified,
  pageSetItemId,
} from '@pgtroupe/storage/page/bufpage';
import { itemIdGetLength, itemIdGetOffset, LP_NORMAL, makeItemId } from '@pgtroupe/storage/page/itemid';
import { RM_BTREE_ID } from '@pgtroupe/transam/rmgr';
import type { XactView } from '@pgtroupe/transam/xactview';
import type { XLogRecord } from '@pgtroupe/transam/xlogrecord';
import { type TupleMemory, tupleMemory } from '../common/htup.ts';
import { VACUUM_DONE } from '../common/indexvacuum.ts';
import { HeapContext } from '../heap/heapam-context.ts';
import { amcheck, copyWithFiles, holdWal, oracleIndex } from '@pgtroupe/testkit/nbtree-oracle';
import { oracleMissing, parseLsn, pgWaldump, psql, readRelation, readWal } from '@pgtroupe/testkit/oracle';
import { SoloPages, SoloRedo } from '@pgtroupe/testkit/access/solo-pages';
import { btVerify } from '@pgtroupe/testkit/access/verify-nbtree';
import type { BTIndex } from './btindex.ts';
import { BT_INSERTED, btInsert } from './nbtinsert.ts';
import { btreeRmgr } from './nbtredo.ts';
import { BTScan } from './nbtscan.ts';
import { BTBuild } from './nbtsort.ts';
import {
  btInitMetaPage,
  BTP_HAS_GARBAGE,
  BTP_SPLIT_END,
  btpoFlags,
  btpoSetCycleid,
  btpoSetFlags,
  emptyMeta,
  isLeaf,
} from './nbtree.ts';
import { SIZE_OF_BTREE_METADATA } from './nbtxlog.ts';
import { vacuumableBTree } from './nbtvacuum.ts';

interface Row {
  readonly values: Datum[];
  readonly block: number;
  readonly offset: number;
}

interface Case {
  readonly what: string;
  /** Of table t. */
  readonly columns: string;
  readonly index: string;
  /** Rows in order of insertion, as an SQL query. */
  readonly rows: string;
  readonly keys: readonly string[];
  readonly read: readonly ((text: string | null) => Datum)[];
}

const number = (text: string | null): Datum => (text === null ? null : Number(text));
const text = (value: string | null): Datum => (value === null ? null : Buffer.from(value));

const CASES: readonly Case[] = [
  {
    what: 'ascending int4',
    columns: 'a int',
    index: 'unique index i on t(a)',
    rows: 'select g from generate_series(1, 3000) g',
    keys: ['a'],
    read: [number],
  },
  {
    what: 'descending int4',
    columns: 'a int',
    index: 'unique index i on t(a)',
    rows: 'select -g from generate_series(1, 3000) g',
    keys: ['a'],
    read: [number],
  },
  {
    what: 'shuffled int8',
    columns: 'a int8',
    index: 'unique index i on t(a)',
    rows: 'select (g * 7919) % 6007 from generate_series(1, 6000) g',
    keys: ['a'],
    read: [number],
  },
  {
    what: 'long texts, many levels',
    columns: 'a text',
    index: 'index i on t(a)',
    rows: `select repeat(md5((g * 7919 % 1009)::text), 1 + g % 15) || g from generate_series(1, 1500) g`,
    keys: ['a'],
    read: [text],
  },
  {
    what: 'few values',
    columns: 'a int',
    index: 'index i on t(a) with (deduplicate_items = off)',
    rows: 'select g * 31 % 7 from generate_series(1, 4000) g',
    keys: ['a'],
    read: [number],
  },
  {
    what: 'one value',
    columns: 'a int',
    index: 'index i on t(a) with (deduplicate_items = off)',
    rows: 'select 42 from generate_series(1, 2000) g',
    keys: ['a'],
    read: [number],
  },
  {
    what: 'few values, deduplicated',
    columns: 'a int',
    index: 'index i on t(a)',
    rows: 'select g * 31 % 7 from generate_series(1, 9000) g',
    keys: ['a'],
    read: [number],
  },
  {
    what: 'groups of duplicates',
    columns: 'a int',
    index: 'index i on t(a)',
    rows: 'select g * 7919 % 601 from generate_series(1, 12000) g',
    keys: ['a'],
    read: [number],
  },
  {
    what: 'one value, deduplicated',
    columns: 'a text',
    index: 'index i on t(a)',
    rows: `select 'the one' from generate_series(1, 9000) g`,
    keys: ['a'],
    read: [text],
  },
  {
    what: 'ascending within groups',
    columns: 'a int, b int',
    index: 'unique index i on t(a, b)',
    rows: 'select g % 8, g from generate_series(1, 5000) g',
    keys: ['a', 'b'],
    read: [number, number],
  },
  {
    what: 'nulls, descending, INCLUDE',
    columns: 'a int, b text, c text',
    index: 'index i on t(a desc nulls last, b) include (c)',
    rows: `select nullif(g * 7 % 50, 3), nullif('k' || g * 31 % 20, 'k5'), 'include' || g from generate_series(1, 4000) g`,
    keys: ['a', 'b', 'c'],
    read: [number, text, text],
  },
  {
    what: 'numeric and bool',
    columns: 'a float8, b bool',
    index: 'index i on t(b, a)',
    rows: `select (g * 7919 % 1000) / 8.0, g % 3 = 0 from generate_series(1, 3000) g`,
    keys: ['b', 'a'],
    read: [value => (value === null ? null : value === 'true'), number],
  },
];

/** An index of ours in memory. */
class Mirror {
  readonly solo = new SoloPages({ pages: 600 });
  readonly rel = this.solo.relation(16385);
  readonly index: BTIndex;
  readonly ctx: HeapContext;

  constructor(describe: (rnode: typeof this.rel.rnode) => BTIndex) {
    const described = describe(this.rel.rnode);
    this.index = Object.assign(described, { rel: this.rel });
    this.ctx = new HeapContext(this.solo, this.solo.wal, { oldestXmin: 1000 as FullTransactionId } as XactView);
    btInitMetaPage(this.solo.mem, this.solo.addPage(this.rel, 0), emptyMeta(this.index.allequalimage));
  }

  insert({ values, block, offset }: Row): void {
    expect(btInsert(this.index, this.ctx, undefined, values, block, offset, 'no')).toBe(BT_INSERTED);
  }

  file(): Uint8Array {
    const fork = this.rel.forks[0]!;
    const bytes = new Uint8Array(fork.blocks * BLCKSZ);
    for (let blk = 0; blk < fork.blocks; blk++) {
      const page = fork.slots[blk]! * BLCKSZ;
      bytes.set(this.solo.mem.u8.subarray(page, page + BLCKSZ), blk * BLCKSZ);
      // What the record numbers of this small world say, PostgreSQL would take for its own.
      bytes.fill(0, blk * BLCKSZ, blk * BLCKSZ + 8);
    }
    return bytes;
  }
}

function rowsOf(lines: readonly string[], read: Case['read']): Row[] {
  return lines.map(line => {
    const [tid, ...values] = JSON.parse(line) as (string | null)[];
    const [block, offset] = tid!.slice(1, -1).split(',').map(Number) as [number, number];
    return { values: values.map((value, i) => read[i]!(value)), block, offset };
  });
}

/** What a record says; block data only where PostgreSQL did not replace it by an image. */
function describeRecord(record: XLogRecord, images: XLogRecord): Record<string, unknown> {
  const bytes = (at: number, length: number): string =>
    Buffer.from(record.bytes.subarray(at, at + length)).toString('hex');
  return {
    what: btreeRmgr.identify(record.info),
    desc: btreeRmgr.desc(record),
    main: bytes(record.mainAt, record.mainLength),
    blocks: record.blocks.flatMap(block =>
      block === undefined ? [] : [`${block.id}: blk ${block.blkno} flags ${block.flags & 0x40}`],
    ),
    // Metadata end in padding, in which PostgreSQL leaves what was on its stack.
    data: record.blocks.flatMap(block =>
      block === undefined || images.blocks[block.id]?.hasImage !== false
        ? []
        : [bytes(block.dataAt, block.blkno === 0 ? SIZE_OF_BTREE_METADATA - 3 : block.dataLength)],
    ),
  };
}

/** A page without what replay does not reproduce. */
function masked(mem: TupleMemory, page: number): string {
  const copy = tupleMemory(mem.u8.slice(page, page + BLCKSZ));
  if (pageGetSpecial(copy, 0) === 0) return 'new';
  copy.u8.fill(0, 0, 12);
  btpoSetFlags(copy, 0, btpoFlags(copy, 0) & ~(BTP_HAS_GARBAGE | BTP_SPLIT_END));
  btpoSetCycleid(copy, 0, 0);
  copy.u8.fill(0, pageGetLower(copy, 0), pageGetUpper(copy, 0));
  if (isLeaf(copy, 0)) {
    for (let off = 1; off <= pageGetMaxOffsetNumber(copy, 0); off++) {
      const id = pageGetItemId(copy, 0, off);
      pageSetItemId(copy, 0, off, makeItemId(itemIdGetOffset(id), LP_NORMAL, itemIdGetLength(id)));
    }
  }
  return Buffer.from(copy.u8)
    .toString('hex')
    .replace(/(0{64})+/g, run => `<${run.length / 2} zeros>`);
}

const missing = oracleMissing();

describe.skipIf(missing !== undefined)(
  `against PostgreSQL 15${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    const database = `pgtroupe_nbtree_${process.pid}`;

    let release = (): void => {};

    beforeAll(() => {
      release = holdWal(`pgtroupe_nbtree_${process.pid}`);
      psql(`create database ${database}`);
      psql('create extension amcheck', database);
    });

    afterAll(() => {
      release();
      psql(`drop database if exists ${database}_copy with (force)`);
      psql(`drop database if exists ${database} with (force)`);
    });

    /** Runs the script in a fresh table and returns the records of its index i. */
    function record(script: string): {
      readonly records: XLogRecord[];
      readonly from: string;
      readonly to: string;
      readonly relNode: number;
    } {
      const lines = psql(
        `checkpoint;\nselect pg_current_wal_insert_lsn();\n${script};\nselect pg_relation_filenode('i');\nselect pg_current_wal_insert_lsn();\nselect pg_switch_wal() is null;`,
        database,
      )
        .split('\n')
        .filter(line => line !== '');
      const [from, relNode, to] = [lines[0]!, Number(lines.at(-3)), lines.at(-2)!];
      const records = readWal(parseLsn(from), parseLsn(to)).filter(
        r => r.rmid === RM_BTREE_ID && r.blocks.some(block => block?.rnode.relNode === relNode),
      );
      return { records, from, to, relNode };
    }

    /** The oracle's file of index i in our hands. */
    function mirrorOf(bytes: Uint8Array): Mirror {
      const mirror = new Mirror(rnode => oracleIndex(database, 'i', rnode));
      while (mirror.rel.forks[0]!.blocks < bytes.length / BLCKSZ) mirror.solo.addPage(mirror.rel, 0);
      mirror.solo.mem.u8.set(bytes, 0);
      return mirror;
    }

    function scanAll(index: BTIndex, solo: SoloPages, forward: boolean): string[] {
      const scan = new BTScan(index, solo, []);
      const tids: string[] = [];
      scan.rescan([], forward);
      for (let count = scan.nextBatch(); count > 0; count = scan.nextBatch()) {
        for (let i = 0; i < count; i++) tids.push(`(${scan.tids[2 * i]},${scan.tids[2 * i + 1]})`);
      }
      return tids;
    }

    test.for(CASES)(
      'the same records are written: $what',
      { timeout: 60_000 },
      ({ columns, index, rows, keys, read }) => {
        psql(
          `drop table if exists t;\ncreate table t (${columns}, n serial) with (autovacuum_enabled = off);\ncreate ${index}`,
          database,
        );
        const { records: theirs } = record(`insert into t ${rows} order by g`);
        const mirror = new Mirror(rnode => oracleIndex(database, 'i', rnode));
        const lines = psql(
          `select json_build_array(ctid::text, ${keys.map(key => `(${key})::text`).join(', ')}) from t order by n`,
          database,
        ).split('\n');
        for (const row of rowsOf(lines, read)) mirror.insert(row);
        const mine = mirror.solo.records;
        expect(theirs.length).toBeGreaterThan(lines.length);
        for (let i = 0; i < theirs.length; i++) {
          expect(describeRecord(mine[i]!, theirs[i]!), `record ${i}`).toEqual(describeRecord(theirs[i]!, theirs[i]!));
        }
        expect(mine.length).toBe(theirs.length);
      },
    );

    const HISTORY = `
    create table h (a int, b text) with (autovacuum_enabled = off);
    create index i on h(a);
    insert into h select g * 7919 % 50, 'x' from generate_series(1, 8000) g;
    delete from h where ctid in (select ctid from h where a % 5 = 2);
    vacuum h;
    insert into h select g % 50, 'y' from generate_series(1, 3000) g;
    update h set a = a + 1 where a % 3 = 0;
    delete from h where a between 10 and 30;
    vacuum h;
    insert into h select g * 31 % 60, 'z' from generate_series(1, 4000) g;
    delete from h where a > 5;
    vacuum h;
    vacuum h;
    insert into h select g * 17 % 90, 'w' from generate_series(1, 9000) g`;

    test('its records replay to its pages: posting lists, deduplication, vacuum, page deletion', () => {
      psql('drop table if exists t; drop table if exists h', database);
      const { records, from, to, relNode } = record(HISTORY);
      const path = psql("checkpoint;\nselect pg_relation_filepath('i')", database);
      const redo = new SoloRedo(300 * BLCKSZ);
      const meta = redo.page(records[0]!.blocks[0]!.rnode, 0, 0);
      btInitMetaPage(redo.mem, meta, emptyMeta(true));
      for (const r of records) redo.apply(r, btreeRmgr);
      const names = new Set(records.map(r => btreeRmgr.identify(r.info)));
      for (const name of [
        'INSERT_LEAF',
        'INSERT_POST',
        'DEDUP',
        'SPLIT_L',
        'SPLIT_R',
        'VACUUM',
        'NEWROOT',
        'UNLINK_PAGE',
        'MARK_PAGE_HALFDEAD',
      ])
        expect([...names]).toContain(name);
      const onDisk = tupleMemory(readRelation(path));
      for (let blk = 0; blk < onDisk.u8.length / BLCKSZ; blk++) {
        expect(pageIsVerified(onDisk, blk * BLCKSZ, blk)).toBe(true);
        expect(masked(redo.mem, redo.page(records[0]!.blocks[0]!.rnode, 0, blk)), `block ${blk}`).toBe(
          masked(onDisk, blk * BLCKSZ),
        );
      }
      // Its deleted pages and posting lists are no hindrance to our scans, either way.
      const { index, solo } = mirrorOf(onDisk.u8);
      const inOrder = psql('select h.ctid::text from h order by a, h.ctid', database).split('\n');
      expect(scanAll(index, solo, true)).toEqual(inOrder);
      expect(scanAll(index, solo, false)).toEqual(inOrder.toReversed());
      const printed = pgWaldump(from, to, ['Btree']).filter(line => new RegExp(`/${relNode}[ ,]`).test(line));
      const cut = (line: string): string =>
        line.replace(/.*(lsn: \S+), prev \S+ (desc: .*?),? blkref.*/, '$1, $2').trim();
      const described = records.map(r =>
        `lsn: ${formatLsn(r.lsn).replace(/\/(.*)/, (_, low: string) => `/${low.padStart(8, '0')}`)}, desc: ${btreeRmgr.identify(r.info)} ${btreeRmgr.desc(r)}`.trim(),
      );
      expect(described).toEqual(printed.map(cut));
    }, 60_000);

    test('it finds our indexes sound: built, inserted into, vacuumed', () => {
      psql(
        `drop table if exists t;
      create table t (a int, b text, c int8);
      insert into t select g * 7919 % 2003, repeat('x', case g % 100 when 7 then 4000 else g % 40 end) || g % 500, (g * 31337::int8) % 100003 from generate_series(1, 30000) g;
      create index built on t(b, a); create index grown on t(c); create index mixed on t(a); create unique index desc_nulls on t(a desc nulls first, c, b)`.replaceAll(
          '; ',
          ';\n',
        ),
        database,
      );
      const lines = psql(
        `select json_build_array(ctid::text, a::text, b, c::text) from t order by md5(ctid::text)`,
        database,
      ).split('\n');
      const rows = rowsOf(lines, [number, text, number]);
      const files = new Map<string, Uint8Array>();
      const grow = (name: string, pick: (v: Datum[]) => Datum[], build: number): Mirror => {
        const mirror = new Mirror(rnode => oracleIndex(database, name, rnode));
        const entries = rows.map(row => ({ ...row, values: pick(row.values) }));
        if (build > 0) {
          const builder = new BTBuild(mirror.index, (page, blk) => {
            while (mirror.rel.forks[0]!.blocks <= blk) mirror.solo.addPage(mirror.rel, 0);
            mirror.solo.mem.u8.set(page, mirror.rel.forks[0]!.slots[blk]! * BLCKSZ);
          });
          const first = entries.slice(0, build).sort((x, y) => compareRows(x, y));
          for (const row of first) builder.add(row.values, row.block, row.offset);
          builder.finish();
        }
        for (const row of entries.slice(build)) mirror.insert(row);
        expect(btVerify(mirror.index, mirror.solo)).toBe(rows.length);
        return mirror;
      };
      files.set('built', grow('built', v => [v[1]!, v[0]!], rows.length).file());
      files.set('grown', grow('grown', v => [v[2]!], 0).file());
      files.set('desc_nulls', grow('desc_nulls', v => [v[0]!, v[2]!, v[1]!], 0).file());
      const mixed = grow('mixed', v => [v[0]!], 20_000);
      // Entries of rows that do not exist come and go.
      for (let i = 0; i < 3000; i++) mixed.insert({ values: [i % 2003], block: 5000 + i, offset: 3 });
      const vacuumed = vacuumableBTree(mixed.index, mixed.ctx, {
        take: () => 900 as FullTransactionId,
        giveBack: () => {},
        renewHorizon: () => 0,
      });
      const vacuum = vacuumed.bulkDelete({
        count: 1,
        has: block => block >= 5000,
      });
      while (vacuum.step() !== VACUUM_DONE);
      expect(vacuumed.stats!.tuplesRemoved).toBe(3000);
      files.set('mixed', mixed.file());
      const copy = copyWithFiles(database, files);
      for (const name of files.keys()) expect(amcheck(copy, name), name).toBe('');
      const counts = psql(
        `set enable_seqscan = off; set enable_bitmapscan = off;
      select count(*) from t where a = 17; select count(*) from t where c between 100 and 5000; insert into t values (17, 'new', 3); select count(*) from t where a = 17`.replaceAll(
          '; ',
          ';\n',
        ),
        copy,
      )
        .split('\n')
        .map(Number);
      const ofA = rows.filter(row => row.values[0] === 17).length;
      expect(counts).toEqual([
        ofA,
        rows.filter(row => (row.values[2] as number) >= 100 && (row.values[2] as number) <= 5000).length,
        ofA + 1,
      ]);
      // And it does notice what is wrong.
      const damaged = mixed.file();
      damaged.copyWithin(3 * BLCKSZ + 24, 3 * BLCKSZ + 28, 3 * BLCKSZ + 32);
      expect(amcheck(copyWithFiles(database, new Map([['mixed', damaged]])), 'mixed')).not.toBe('');
    }, 120_000);
  },
);

function compareRows(x: Row, y: Row): number {
  for (let i = 0; i < x.values.length; i++) {
    const [a, b] = [x.values[i]!, y.values[i]!];
    const order = a instanceof Uint8Array ? Buffer.compare(a, b as Uint8Array) : (a as number) - (b as number);
    if (order !== 0) return order;
  }
  return x.block - y.block || x.offset - y.offset;
}
