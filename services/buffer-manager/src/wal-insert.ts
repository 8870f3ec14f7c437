/**
 * The sequencer: gives records their place in WAL and keeps the exact dirty-page table from their
 * block references (invariants 9 and 14). Synchronous.
 */
import { assert } from '@pgtroupe/common/assert';
import { FIRST_NORMAL_TRANSACTION_ID, type TransactionId, type XLogRecPtr } from '@pgtroupe/common/ids';
import { BKPIMAGE_APPLY, BKPBLOCK_WILL_INIT, BlockRefs, SIZE_OF_XLOG_RECORD } from '@pgtroupe/transam/xlogrecord';
import type { XLogBuffers } from '@pgtroupe/transam/xlogbuffers';
import { formRecord } from '@pgtroupe/transam/xlogform';
import { RM_XLOG_ID } from '@pgtroupe/transam/rmgr';
import { XLOG_SWITCH } from '@pgtroupe/transam/xlogrmgr';
import type { Instance } from './instance.ts';
import type { PageDirectory, PageEntry } from './page-directory.ts';
import type { SharedCounts } from './shared-counts.ts';
import type { RelationDirectory } from './relation-directory.ts';

export class ProtocolViolation extends Error {
  override readonly name = 'ProtocolViolation';
}

export class WalInsert {
  readonly buffers: XLogBuffers;
  readonly #relations: RelationDirectory;
  readonly #directory: PageDirectory;
  readonly #counts: SharedCounts | undefined;
  readonly #refs = new BlockRefs();
  /** Pages of the record at hand. */
  readonly #pages: PageEntry[] = [];

  constructor(buffers: XLogBuffers, relations: RelationDirectory, directory: PageDirectory, counts?: SharedCounts) {
    this.#counts = counts;
    this.buffers = buffers;
    this.#relations = relations;
    this.#directory = directory;
  }

  /** An instance's record. It must hold every page the record names exclusively (invariant 7); one that does
   *  not leaves nothing in WAL. */
  fromInstance(instance: Instance, seq: number, record: Uint8Array): XLogRecPtr {
    if (seq !== instance.lastSeq + 1) throw new ProtocolViolation(`record ${seq} follows ${instance.lastSeq}`);
    const length = record.length;
    if (length < SIZE_OF_XLOG_RECORD || lengthOf(record) !== length)
      throw new ProtocolViolation('record of the wrong length');
    const xid = xidOf(record);
    if (xid >= FIRST_NORMAL_TRANSACTION_ID && !instance.runs(xid))
      throw new ProtocolViolation(`record of transaction ${xid}, which it does not run`);
    const refs = this.#refs;
    refs.read(record, 0, length);
    const pages = this.#pages;
    for (let n = 0; n < refs.count; n++) {
      const fork = this.#relations.fork(refs.spcNode[n]!, refs.dbNode[n]!, refs.relNode[n]!, refs.fork[n]!);
      const page = fork.pages.get(refs.blkno[n]! as never);
      if (page === undefined || page.exclusiveHolder !== instance) {
        throw new ProtocolViolation(
          `record changes block ${refs.blkno[n]} of ${refs.relNode[n]} without its exclusive token`,
        );
      }
      pages[n] = page;
    }
    instance.lastSeq = seq;
    const end = this.buffers.insert(record, 0, length);
    const start = this.buffers.lastStart;
    let images = 0;
    for (let n = 0; n < refs.count; n++) {
      if ((refs.bimgInfo[n]! & BKPIMAGE_APPLY) !== 0) images++;
      const standsAlone = (refs.bimgInfo[n]! & BKPIMAGE_APPLY) !== 0 || (refs.flags[n]! & BKPBLOCK_WILL_INIT) !== 0;
      this.#directory.recordSequenced(pages[n]!, start, end, standsAlone);
    }
    this.#counts?.record(length, images);
    return end;
  }

  /** A record of our own that changes no page. */
  own(rmid: number, info: number, xid: TransactionId, mainData: Uint8Array): XLogRecPtr {
    const record = formRecord(rmid, info, xid, mainData);
    const end = this.buffers.insert(record, 0, record.length);
    assert(end > this.buffers.lastStart, 'a record has a length');
    this.#counts?.record(record.length, 0);
    return end;
  }

  /** As `own`, of a record that is no reason for a checkpoint or a switch. */
  unimportant(rmid: number, info: number, mainData: Uint8Array): XLogRecPtr {
    return this.buffers.insertUnimportant(formRecord(rmid, info, 0 as TransactionId, mainData));
  }

  /** RequestXLogSwitch, but for the flush; returns what pg_switch_wal tells. */
  switchSegment(important: boolean): XLogRecPtr {
    return this.buffers.switchSegment(
      formRecord(RM_XLOG_ID, XLOG_SWITCH, 0 as TransactionId, new Uint8Array(0)),
      important,
    );
  }
}

function xidOf(record: Uint8Array): number {
  return (record[4]! | (record[5]! << 8) | (record[6]! << 16) | (record[7]! << 24)) >>> 0;
}

function lengthOf(record: Uint8Array): number {
  return (record[0]! | (record[1]! << 8) | (record[2]! << 16) | (record[3]! << 24)) >>> 0;
}
