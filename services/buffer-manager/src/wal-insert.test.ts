import type { ForkNumber, Oid, RelFileNode } from '@pgtroupe/common/ids';
import { BKPBLOCK_WILL_INIT, SIZE_OF_XLOG_RECORD } from '@pgtroupe/transam/xlogrecord';
import { expect, it } from 'vitest';
import type { Instance } from './instance.ts';
import type { PageDirectory } from './page-directory.ts';
import type { RelationDirectory } from './relation-directory.ts';
import { ProtocolViolation, WalInsert } from './wal-insert.ts';

const REL: RelFileNode = { spcNode: 1663 as Oid, dbNode: 5 as Oid, relNode: 20000 as Oid };
const XID = 100;

/** A record of transaction 100 that initialises these blocks of REL and says nothing else. */
function record(...blocks: number[]): Uint8Array {
  const bytes = Buffer.alloc(SIZE_OF_XLOG_RECORD + blocks.length * 20);
  bytes.writeUInt32LE(bytes.length, 0);
  bytes.writeUInt32LE(XID, 4);
  let at = SIZE_OF_XLOG_RECORD;
  for (const [id, block] of blocks.entries()) {
    bytes.writeUInt8(id, at);
    bytes.writeUInt8(BKPBLOCK_WILL_INIT, at + 1);
    bytes.writeUInt32LE(REL.spcNode, at + 4);
    bytes.writeUInt32LE(REL.dbNode, at + 8);
    bytes.writeUInt32LE(REL.relNode, at + 12);
    bytes.writeUInt32LE(block, at + 16);
    at += 20;
  }
  return bytes;
}

it('a record that changes a page without its token leaves nothing in WAL', () => {
  const inserted: Uint8Array[] = [];
  const sequenced: number[] = [];
  const instance = { lastSeq: 0, runs: (xid: number) => xid === XID } as unknown as Instance;
  const pages = new Map([
    [1, { blk: 1, exclusiveHolder: instance }],
    [2, { blk: 2, exclusiveHolder: undefined }],
  ]);
  const buffers = {
    lastStart: 0,
    insert: (bytes: Uint8Array) => inserted.push(bytes) * 100,
  };
  const insert = new WalInsert(
    buffers as never,
    { fork: (_s: number, _d: number, _r: number, _f: ForkNumber) => ({ pages }) } as unknown as RelationDirectory,
    { recordSequenced: (page: { blk: number }) => sequenced.push(page.blk) } as unknown as PageDirectory,
  );
  for (const blocks of [[2], [1, 2], [3]]) {
    expect(() => insert.fromInstance(instance, 1, record(...blocks))).toThrow(ProtocolViolation);
    expect(inserted).toEqual([]);
    expect(sequenced).toEqual([]);
  }
  insert.fromInstance(instance, 1, record(1));
  expect(inserted.length).toBe(1);
  expect(sequenced).toEqual([1]);
});
