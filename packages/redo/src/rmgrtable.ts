/**
 * Resource managers whose records change pages of relations, by id: the one place that knows all redo
 * routines. XLOG, Transaction, Storage, CLOG, Standby (and what is like them) concern no page; whoever
 * drives recovery replays them itself. An id without an entry cannot be replayed.
 *
 * A routine is called with a RedoContext (access/common/xlogutils.ts) for crash recovery of all blocks
 * of a record, and for one block only when the page of a dead instance is rebuilt.
 */
import type { RmgrRoutine } from '@pgtroupe/access/common/xlogutils';
import { heap2Rmgr, heapRmgr } from '@pgtroupe/access/heap/heapam-desc';
import { btreeRmgr } from '@pgtroupe/access/nbtree/nbtredo';
import { seqRmgr } from '@pgtroupe/access/sequence/sequence';
import {
  RM_BTREE_ID,
  RM_HEAP2_ID,
  RM_HEAP_ID,
  RM_LOGICALMSG_ID,
  RM_MAX_BUILTIN_ID,
  RM_SEQ_ID,
} from '@pgtroupe/transam/rmgr';

/** Messages for logical decoding: nothing to replay. */
const logicalMessageRmgr: RmgrRoutine = {
  redo: () => {},
  desc: () => '',
  identify: () => 'MESSAGE',
};

function makeTable(): readonly (RmgrRoutine | undefined)[] {
  const table = Array.from<RmgrRoutine | undefined>({ length: RM_MAX_BUILTIN_ID + 1 });
  table[RM_HEAP2_ID] = heap2Rmgr;
  table[RM_HEAP_ID] = heapRmgr;
  table[RM_BTREE_ID] = btreeRmgr;
  table[RM_SEQ_ID] = seqRmgr;
  table[RM_SEQ_ID] = seqRmgr;
  table[RM_LOGICALMSG_ID] = logicalMessageRmgr;
  return table;
}

export const rmgrTable: readonly (RmgrRoutine | undefined)[] = makeTable();
