import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dataDirectory, oracleMissing } from '@pgtroupe/testkit/oracle';
import { PG_BIN } from '@pgtroupe/testkit/oracle-address';
import type { FullTransactionId, Oid, TimeLineID, TransactionId, XLogRecPtr } from '@pgtroupe/common/ids';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { initialFiles } from './initialwal.ts';
import { decodeControlFile, encodeControlFile } from './pg_control.ts';
import { RM_XACT_ID, RM_XLOG_ID } from './rmgr.ts';
import { decodeXactEnd, xactEndBody, xactEndInfo } from './xactrecord.ts';
import { XLogBuffers } from './xlogbuffers.ts';
import { formRecord } from './xlogform.ts';
import { XLOG_SEG_SIZE, xlogFileName } from './xlogpage.ts';
import { WalEnd, XLogReader } from './xlogreader.ts';
import { BlockRefs, decodeXLogRecord, type XLogRecord } from './xlogrecord.ts';
import { XLOG_SWITCH } from './xlogrmgr.ts';

const hasPg = spawnSync(`${PG_BIN}/pg_waldump`, ['--version']).status === 0;
const stream = { systemIdentifier: 7_000_000_000_000_000_001n, tli: 1 as TimeLineID };
const initial = () =>
  initialFiles({
    systemIdentifier: stream.systemIdentifier,
    time: 1_700_000_000,
    nextXid: 731 as FullTransactionId,
    nextOid: 12000 as Oid,
    oldestXidDB: 1 as Oid,
    nonce: new Uint8Array(32).fill(7),
  });

/** Everything the buffers hold from `from` on. */
function bytesOf(buffers: XLogBuffers, from: number): Uint8Array {
  return Buffer.concat([...buffers.pieces(from, buffers.end)].map(piece => Buffer.from(piece.bytes)));
}

describe('control file', () => {
  it('round-trips and refuses every flipped bit of what counts', () => {
    const bytes = initial().controlFile;
    const control = decodeControlFile(bytes);
    expect(encodeControlFile(control)).toEqual(bytes);
    expect(control.checkPoint).toBe(0x1000028);
    for (let at = 0; at < 292; at++) {
      const broken = bytes.slice();
      broken[at]! ^= 1;
      expect(() => decodeControlFile(broken), `byte ${at}`).toThrow();
    }
  });
});

describe('WAL', () => {
  it('what was inserted is read back, across pages and segments', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 30_000 }), { minLength: 1, maxLength: 60 }),
        fc.integer({ min: 1, max: 5 }),
        (sizes, feedPages) => {
          const startAt = 2 * XLOG_SEG_SIZE - 3 * 8192;
          const buffers = new XLogBuffers(stream, startAt as XLogRecPtr, 0 as XLogRecPtr);
          const sent = sizes.map((size, i) => {
            const record = formRecord(RM_XLOG_ID, 0x20, i as TransactionId, Buffer.alloc(size, i));
            return { size, end: buffers.insert(record, 0, record.length), start: buffers.lastStart };
          });
          const all = bytesOf(buffers, startAt);
          const reader = new XLogReader(stream, startAt as XLogRecPtr);
          let fed = 0;
          for (const [i, expected] of sent.entries()) {
            let got = reader.next();
            while (got === undefined) {
              expect(fed).toBeLessThan(all.length);
              reader.feed(all.subarray(fed, fed + feedPages * 8192));
              fed += feedPages * 8192;
              got = reader.next();
            }
            if (got instanceof WalEnd) throw new Error(got.why);
            expect([got.lsn, got.endLsn, got.xid, got.mainLength]).toEqual([
              expected.start,
              expected.end,
              i,
              expected.size,
            ]);
          }
          reader.feed(new Uint8Array(8192));
          expect(reader.next()).toBeInstanceOf(WalEnd);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('a switch takes the rest of its segment, and reading goes on in the next one', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.integer({ min: 0, max: 30_000 }), fc.constant('switch' as const)), {
          minLength: 1,
          maxLength: 12,
        }),
        // Up to a few bytes before a page's or segment's end.
        fc.integer({ min: 1, max: 5 }).map(n => 8 * n),
        fc.integer({ min: 1, max: 5 }),
        (steps, gap, feedPages) => {
          const startAt = 2 * XLOG_SEG_SIZE - 8192;
          const buffers = new XLogBuffers(stream, startAt as XLogRecPtr, 0 as XLogRecPtr);
          const put = (size: number): void => {
            const record = formRecord(RM_XLOG_ID, 0x20, 0 as TransactionId, Buffer.alloc(size, 1));
            buffers.insert(record, 0, record.length);
          };
          put(8192 - 24 - 24 - 5 - gap);
          const starts = [buffers.lastStart];
          for (const step of steps) {
            const before = buffers.end;
            if (step !== 'switch') put(step);
            else {
              const record = formRecord(RM_XLOG_ID, XLOG_SWITCH, 0 as TransactionId, new Uint8Array(0));
              const told = buffers.switchSegment(record, false);
              expect(buffers.end % XLOG_SEG_SIZE).toBe(0);
              if (before % XLOG_SEG_SIZE === 0) {
                expect([told, buffers.end]).toEqual([before, before]);
                continue;
              }
              expect(told).toBeGreaterThan(buffers.lastStart);
            }
            starts.push(buffers.lastStart);
          }
          const all = bytesOf(buffers, startAt);
          const reader = new XLogReader(stream, startAt as XLogRecPtr);
          for (const start of starts) {
            let got = reader.next();
            while (got === undefined) {
              const at = reader.wants - startAt;
              expect(at).toBeLessThan(all.length);
              reader.feed(all.subarray(at, at + feedPages * 8192));
              got = reader.next();
            }
            if (got instanceof WalEnd) throw new Error(got.why);
            expect(got.lsn).toBe(start);
          }
          expect(reader.end).toBe(buffers.end);
        },
      ),
      { numRuns: 30 },
    );
  });

  it('a forced switch is no activity', () => {
    const buffers = new XLogBuffers(stream, (XLOG_SEG_SIZE + 64) as XLogRecPtr, (XLOG_SEG_SIZE + 40) as XLogRecPtr);
    buffers.switchSegment(formRecord(RM_XLOG_ID, XLOG_SWITCH, 0 as TransactionId, new Uint8Array(0)), false);
    expect([buffers.prev, buffers.lastImportant]).toEqual([XLOG_SEG_SIZE + 64, XLOG_SEG_SIZE + 40]);
  });

  it('ends at the first damaged byte', () => {
    const buffers = new XLogBuffers(stream, XLOG_SEG_SIZE as XLogRecPtr, 0 as XLogRecPtr);
    const ends: number[] = [];
    for (let i = 0; i < 40; i++) {
      const record = formRecord(RM_XLOG_ID, 0x20, 5 as TransactionId, Buffer.alloc(899, i)); // 928 bytes: no padding
      ends.push(buffers.insert(record, 0, record.length));
    }
    const all = bytesOf(buffers, XLOG_SEG_SIZE);
    for (let at = 40; at < all.length; at += 97) {
      if (at % 8192 < 24) continue; // page headers have padding of their own
      const broken = Uint8Array.from(all);
      broken[at]! ^= 0x40;
      const reader = new XLogReader(stream, XLOG_SEG_SIZE as XLogRecPtr);
      reader.feed(broken);
      let got: XLogRecord | WalEnd | undefined;
      do got = reader.next();
      while (got !== undefined && !(got instanceof WalEnd));
      expect(reader.end).toBeLessThanOrEqual(XLOG_SEG_SIZE + Math.max(at, 40));
      // Nothing intact in front of the damage is lost, up to the page before.
      const intact = ends.filter(end => end <= XLOG_SEG_SIZE + Math.floor(at / 8192) * 8192).at(-1) ?? 0;
      expect(reader.end).toBeGreaterThanOrEqual(intact);
    }
  });

  it('keeps the chunks of a commit record in order', () => {
    const fields = {
      wallMicros: 1_700_000_000_123_456,
      children: [8, 9] as TransactionId[],
      drops: [{ spcNode: 1663 as Oid, dbNode: 5 as Oid, relNode: 16384 as Oid }],
    };
    const record = formRecord(RM_XACT_ID, xactEndInfo(fields), 7 as TransactionId, xactEndBody(fields));
    const decoded = decodeXLogRecord(record, 8 as XLogRecPtr, 100 as XLogRecPtr);
    expect(decodeXactEnd(decoded)).toEqual({ xid: 7, children: fields.children, drops: fields.drops });
  });
});

describe.skipIf(!hasPg)('judged by PostgreSQL', () => {
  it('pg_controldata and pg_waldump read what initdb would write', () => {
    const folder = mkdtempSync(join(tmpdir(), 'pgtroupe-wal-'));
    try {
      const { controlFile, segment, segmentName } = initial();
      mkdirSync(join(folder, 'global'));
      mkdirSync(join(folder, 'pg_wal'));
      writeFileSync(join(folder, 'global/pg_control'), controlFile);
      const buffers = new XLogBuffers(stream, 0x10000a0 as XLogRecPtr, 0x1000028 as XLogRecPtr);
      const fields = { wallMicros: 1_700_000_000_000_000, children: [8] as TransactionId[], drops: [] };
      const record = formRecord(RM_XACT_ID, xactEndInfo(fields), 7 as TransactionId, xactEndBody(fields));
      buffers.insert(record, 0, record.length);
      for (const piece of buffers.pieces(0x10000a0, buffers.end)) segment.set(piece.bytes, piece.pos - XLOG_SEG_SIZE);
      writeFileSync(join(folder, 'pg_wal', segmentName), segment);
      const env = { ...process.env, LC_ALL: 'C', TZ: 'UTC' };
      const control = execFileSync(`${PG_BIN}/pg_controldata`, [folder], { env, encoding: 'utf8' });
      expect(control).toMatch(/Database cluster state: +shut down/);
      expect(control).toMatch(/Latest checkpoint location: +0\/1000028/);
      expect(control).not.toMatch(/WARNING/);
      const dump = spawnSync(`${PG_BIN}/pg_waldump`, [join(folder, 'pg_wal', segmentName)], { env, encoding: 'utf8' });
      expect(dump.stdout).toMatch(/CHECKPOINT_SHUTDOWN redo 0\/1000028.*shutdown/);
      expect(dump.stdout).toMatch(
        /tx: +7, lsn: 0\/010000A0, prev 0\/01000028, desc: COMMIT 2023-11-14 22:13:20.*subxacts: 8/,
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  const missing = oracleMissing();
  it.skipIf(missing !== undefined)(
    `reads the WAL of a real server as pg_waldump does (${missing ?? 'it is there'})`,
    () => {
      const directory = dataDirectory();
      const walFolder = join(directory, 'pg_wal');
      const control = decodeControlFile(readFileSync(join(directory, 'global/pg_control')));
      const start = control.checkPointCopy.redo;
      const segno = Math.floor(start / XLOG_SEG_SIZE);
      const name = xlogFileName(1, segno);
      const bytes = readFileSync(join(walFolder, name));
      const from = Math.floor((start % XLOG_SEG_SIZE) / 8192) * 8192;
      const reader = new XLogReader({ systemIdentifier: control.systemIdentifier, tli: 1 as TimeLineID }, start);
      reader.feed(bytes.subarray(from));
      const ours: string[] = [];
      const refs = new BlockRefs();
      for (
        let got = reader.next();
        got !== undefined && !(got instanceof WalEnd) && ours.length < 5000;
        got = reader.next()
      ) {
        refs.read(got.bytes, 0, got.bytes.length);
        expect(refs.count).toBe(got.blocks.filter(block => block !== undefined).length);
        ours.push(lsn(got.lsn));
      }
      const dump = spawnSync(
        `${PG_BIN}/pg_waldump`,
        ['-p', walFolder, '-s', lsn(start), '-n', String(ours.length), '-e', lsn((segno + 1) * XLOG_SEG_SIZE)],
        { encoding: 'utf8' },
      );
      const theirs = [...dump.stdout.matchAll(/lsn: (\w+)\/(\w+)/g)].map(m => `${m[1]}/${m[2]!.replace(/^0+/, '')}`);
      expect(ours.length).toBeGreaterThan(0);
      expect(ours).toEqual(theirs.slice(0, ours.length));
    },
  );
});

function lsn(n: number): string {
  return `${Math.floor(n / 0x100000000)
    .toString(16)
    .toUpperCase()}/${(n >>> 0).toString(16).toUpperCase()}`;
}
