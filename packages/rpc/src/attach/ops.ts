/**
 * The conversation between an instance (a backend process) and the buffer-manager: one
 * bidirectional stream, `/pgtroupe.BufferManager/Attach`. Every message is a batch of operations,
 * coalesced per event-loop turn and hand-packed (see codec.ts) inside the protobuf field `ops`.
 *
 * Both directions are FIFO and the order is the protocol: a WAL record precedes the page image it
 * changed, a grant precedes the recall of it. End of stream is the death of the instance. Credits
 * bound both directions (credit.ts).
 *
 * This file is the whole vocabulary. An operation is its name and its fields in wire order; the
 * position in the list is its number on the wire, so new operations are appended.
 *
 * Field types: u8 u16 u32; u64 (LSN, full xid, csn: a number); bool; str (UTF-8); bytes;
 * page (bytes: the image of a page, or none); rel (RelFileNode); u32s, u64s (lists); rels (list of RelFileNode).
 */

/** Page token modes. */
export const TOKEN_SHARED = 1;
export const TOKEN_EXCLUSIVE = 2;
/** Instead of a fork's number: the relation is gone. */
export const ALL_FORKS = 255;

/** `askSessions`, by number: what sessions are doing; which locks they hold; whose session `pid` is; end its statement;
 *  end it; what was counted of statements; forget that (`about` says of which); end what it does if that may wait
 *  (autovacuum, whose lock somebody waits for: nobody waits for the answer). */
export const SESSION_QUESTIONS = [
  'activity',
  'locks',
  'who',
  'cancel',
  'terminate',
  'statements',
  'resetStatements',
  'yield',
] as const;
export type SessionQuestion = (typeof SESSION_QUESTIONS)[number];

/** `lockWaitChecked`, by number. */
export const LOCK_WAIT_STATES = ['still waiting', 'avoided deadlock', 'detected deadlock'] as const;

/** Instance to buffer-manager. */
export const UP = {
  // ---- session of the instance -------------------------------------------------------------
  /** First operation. `name` is `backend-3`; `uuid` identifies this incarnation. */
  hello: { protocol: 'u32', name: 'str', uuid: 'str', osPid: 'u32' },
  /** Every 500 ms. `counter` counts turns of the main loop: a stuck loop stops counting. */
  heartbeat: { counter: 'u64' },
  /** Asks for another range of session PIDs when the lease of `welcome` is used up. */
  leasePids: { reqId: 'u32' },

  // ---- pages ---------------------------------------------------------------------------------
  /** Asks for a token. An upgrade S→X is a plain request for X while holding S. */
  readBuffer: { rel: 'rel', fork: 'u8', blk: 'u32', mode: 'u8' },
  /** Gives a token up (`to` 0) or down to shared (`to` 1). `image` is the page when it changed
   *  under this token since it was granted or last sent, else empty. Answers a recall, or is
   *  voluntary (eviction). */
  releaseBuffer: { rel: 'rel', fork: 'u8', blk: 'u32', gen: 'u32', to: 'u8', image: 'page' },
  /** Answers `writeback`: a copy; the token stays. */
  bufferImage: { rel: 'rel', fork: 'u8', blk: 'u32', gen: 'u32', image: 'page' },
  /** Asks for the relation's length and the right to remember it. */
  nblocks: { reqId: 'u32', rel: 'rel', fork: 'u8' },
  /** Answers `recallNblocks`: the remembered length is forgotten. */
  nblocksAck: { rel: 'rel', fork: 'u8' },
  /** Appends `count` zero pages; the answer grants them exclusively, without images. */
  extend: { reqId: 'u32', rel: 'rel', fork: 'u8', count: 'u32' },
  /** Asks the free space map for a page with `need` free bytes. */
  getFreePage: { reqId: 'u32', rel: 'rel', need: 'u32' },
  recordFreeSpace: { rel: 'rel', blk: 'u32', avail: 'u32' },
  /** Creates a fork's file. The buffer-manager logs SMGR CREATE when `logged`, and unlinks the file
   *  if `fxid` does not commit. */
  smgrCreate: { reqId: 'u32', fxid: 'u64', rel: 'rel', fork: 'u8', logged: 'bool' },
  /** Cuts a fork to `blocks` (logs SMGR TRUNCATE); every copy of the pages behind is dropped first. The visibility map
   *  has no bits of them any more: who asks has seen to it. */
  smgrTruncate: { reqId: 'u32', rel: 'rel', fork: 'u8', blocks: 'u32' },

  // ---- WAL -------------------------------------------------------------------------------------
  /** One complete record: xl_prev is 0 and xl_crc holds the CRC-32C register (not inverted) after
   *  the body; the buffer-manager fills xl_prev, continues the CRC over the header, places the
   *  record. `seq` counts the instance's records from 1. */
  xlogInsert: { seq: 'u64', record: 'bytes' },
  /** Answers `forceFpi`: every record after this one in the stream carries full-page images. */
  forceFpiAck: { n: 'u32' },
  /** Asks to be told when everything sent so far is durable. Answered by `reply`. */
  xlogFlush: { reqId: 'u32' },

  // ---- transactions ------------------------------------------------------------------------------
  /** Reserved xids count as running in every snapshot until they end. */
  reserveXids: { count: 'u32' },
  /** Unused reserved xids; they are burned (marked aborted), never issued again. */
  returnXids: { first: 'u64', count: 'u32' },
  /** No database has a table with an id before `oldestXid`; `db` is the one that holds it. Answered by `reply`. */
  oldestXid: { reqId: 'u32', oldestXid: 'u32', db: 'u32' },
  /** `owner` (a session PID) now runs `fxid`, a child of `top` (equal to fxid when it is top).
   *  Lets the deadlock detector name who holds a transaction's lock. */
  xidAssigned: { fxid: 'u64', top: 'u64', owner: 'u32' },
  /** At most one in flight per instance; serves every waiter that was there when it was sent. */
  getSnapshot: {},
  /** Answers `recallSnapshot`: no new statement will use the remembered snapshot. */
  snapshotAck: {},
  /** Oldest xmin of any snapshot in use here, as of having got `snapshots` of them since Welcome. */
  horizon: { snapshots: 'u64', xmin: 'u64' },
  /** The whole of COMMIT. `record` is XLOG_XACT_COMMIT as in xlogInsert. `sync` 0 = answer before
   *  the flush. `drop`: relations to unlink. `invals`: for other instances, opaque here. */
  commit: {
    reqId: 'u32',
    owner: 'u32',
    fxid: 'u64',
    children: 'u64s',
    sync: 'u8',
    seq: 'u64',
    record: 'bytes',
    drop: 'rels',
    invals: 'bytes',
  },
  /** Ends `fxid` and `children` as aborted; a subtransaction names only itself and its children.
   *  `record` may be empty (nothing was logged). Releases the owner's locks when `top`. No answer. */
  abort: { owner: 'u32', fxid: 'u64', children: 'u64s', top: 'bool', seq: 'u64', record: 'bytes' },
  /** Asks for a page of pg_xact. */
  clogPage: { reqId: 'u32', page: 'u32' },
  /** Reserves OIDs; answered by `oids`. */
  allocOids: { reqId: 'u32', count: 'u32' },

  // ---- locks -------------------------------------------------------------------------------------
  /** Heavyweight lock. Tag fields as LOCKTAG (field1..4), `locktype` as LockTagType. Waiting for a
   *  transaction is ShareLock on its transaction tag (field1 = low 32 bits, field2 = epoch). `deadlockMs`: after so
   *  long a wait somebody looks whether it can end.
   *  Answered by `lockGranted` or `lockFailed`. */
  lockAcquire: {
    reqId: 'u32',
    owner: 'u32',
    locktype: 'u8',
    f1: 'u32',
    f2: 'u32',
    f3: 'u32',
    f4: 'u32',
    mode: 'u8',
    nowait: 'bool',
    session: 'bool',
    deadlockMs: 'u32',
  },
  /** The waiter gives up (cancel, timeout). */
  lockCancel: { reqId: 'u32', owner: 'u32' },
  lockRelease: {
    owner: 'u32',
    locktype: 'u8',
    f1: 'u32',
    f2: 'u32',
    f3: 'u32',
    f4: 'u32',
    mode: 'u8',
    session: 'bool',
  },
  /** Releases the owner's transaction locks, or all of them. */
  lockReleaseAll: { owner: 'u32', session: 'bool' },
  /** Asks for the right to grant weak locks (AccessShare, RowShare, RowExclusive) on a relation
   *  locally. Answered by `relLockToken` once no strong lock is held or awaited. */
  relLockToken: { db: 'u32', rel: 'u32' },
  /** Answers `recallRelLock`: who holds what locally, as pairs (owner, bit mask of 1 << mode).
   *  From here on these locks are the buffer-manager's and released there. */
  localHolders: { db: 'u32', rel: 'u32', holders: 'u32s' },

  // ---- relation map --------------------------------------------------------------------------------
  /** Asks for a database's pg_filenode.map (0: the shared one): where mapped catalogs are stored. */
  relmap: { reqId: 'u32', db: 'u32' },

  // ---- checkpoints ---------------------------------------------------------------------------------
  /** CHECKPOINT and what else needs one now. Answered by `reply` when it is complete. */
  checkpoint: { reqId: 'u32' },

  // ---- credits (credit.ts) ---------------------------------------------------------------------------
  /** Bytes of batches read on this stream. Once per MB of them, so that the buffer-manager knows who
   *  does not read. */
  received: { bytes: 'u64' },

  // ---- multixacts ------------------------------------------------------------------------------------
  /** A new multixact of these members: pairs (xid, MultiXactStatus). Answered by `multiXactCreated`, or
   *  `reply` when there are none to be had (54000). */
  createMultiXact: { reqId: 'u32', members: 'u32s' },
  /** Asks for a multixact's members, which never change. Answered by `multiXactMembers`, or `reply`. */
  getMultiXactMembers: { reqId: 'u32', multi: 'u32' },
  /** Asks which multixacts may still have running members. */
  getMultiXactHorizon: { reqId: 'u32' },
  /** No table of the cluster has multixacts before `oldest` any more; `db` has the oldest one. */
  truncateMultiXact: { reqId: 'u32', oldest: 'u32', db: 'u32' },

  // ---- ends ------------------------------------------------------------------------------------------
  /** Asks for a `reply` as soon as everything before it was taken: what an abort ended and what lockReleaseAll gave
   *  back is free for others from then on. */
  processed: { reqId: 'u32' },

  // ---- who waits for whom ----------------------------------------------------------------------------
  /** Asks which sessions keep session `pid` waiting. Answered by `blockers`. */
  getBlockers: { reqId: 'u32', pid: 'u32' },
  /** Answers `showWaits`: every row wait of this instance's sessions was asked for with `lockAcquire`. */
  waitsShown: { question: 'u32' },
  /** Who holds a row's tuple lock, which the instance gave out by itself while it was alone: pairs as in
   *  `localHolders`. From here on the lock is the buffer-manager's. */
  localTupleHolders: { db: 'u32', rel: 'u32', blk: 'u32', off: 'u32', holders: 'u32s' },

  // ---- where WAL is --------------------------------------------------------------------------------
  /** pg_switch_wal. Answered by `walSwitched` when it is durable, or `reply` (53100). */
  switchWal: { reqId: 'u32' },
  /** Answered by `walLocation`. */
  getWalLocation: { reqId: 'u32' },
  /** pg_stat_archiver, or with `reset` pg_stat_reset_shared('archiver'). Answered by `archiverCounts`. */
  getArchiverCounts: { reqId: 'u32', reset: 'bool' },
  // ---- sessions --------------------------------------------------------------------------------------
  /** Asks all instances about their sessions (`what`: SESSION_QUESTIONS); with a `pid`, whoever serves that session. Answered by
   *  `sessionsTold`. */
  askSessions: { reqId: 'u32', what: 'u8', pid: 'u32', about: 'str' },
  /** Answers `sessionsAsked`: JSON; nothing when it does not serve the session. */
  sessionsSaid: { question: 'u32', said: 'str' },

  // ---- who waits for a lock ----------------------------------------------------------------------------
  /** Does anybody wait for what a holder of this mode is in the way of (LockHasWaiters)? Answered by `lockWaiters`. */
  lockHasWaiters: { reqId: 'u32', locktype: 'u8', f1: 'u32', f2: 'u32', f3: 'u32', f4: 'u32', mode: 'u8' },

  // ---- catalogs without a commit -----------------------------------------------------------------------
  /** A transaction without an id is over that has overwritten rows of catalogs in place. `invals`: as of `commit`. */
  invalidate: { invals: 'bytes' },

  // ---- sizes -------------------------------------------------------------------------------------------
  /** How long the files of a tablespace are, or (`db` not 0) those of one database in it. Answered by `folderSize`, or
   *  `reply`. */
  getFolderSize: { reqId: 'u32', spc: 'u32', db: 'u32' },
} as const satisfies OpTable;

/** Buffer-manager to instance. */
export const DOWN = {
  // ---- session of the instance -------------------------------------------------------------
  /** Answers `hello`. Session PIDs pidFirst … pidFirst+pidCount-1 are this instance's. `fpiN` and
   *  `redo`: the current checkpoint's number and redo pointer. `fpiOpen`: a force-FPI window is open. */
  welcome: {
    clusterEpoch: 'u64',
    instanceEpoch: 'u64',
    systemIdentifier: 'str',
    pidFirst: 'u32',
    pidCount: 'u32',
    fpiN: 'u32',
    fpiOpen: 'bool',
    redo: 'u64',
  },
  heartbeatAck: { counter: 'u64' },
  pidsLeased: { reqId: 'u32', first: 'u32', count: 'u32' },
  /** Generic answer; sqlstate '' is success. */
  reply: { reqId: 'u32', sqlstate: 'str', message: 'str' },

  // ---- pages ---------------------------------------------------------------------------------
  /** `image` is empty when the instance's copy is current (S→X upgrade with S never recalled). */
  grantBuffer: { rel: 'rel', fork: 'u8', blk: 'u32', mode: 'u8', gen: 'u32', image: 'page' },
  /** No such block, or an unreadable one. */
  readFailed: { rel: 'rel', fork: 'u8', blk: 'u32', sqlstate: 'str', message: 'str' },
  /** Give up (`to` 0) or downgrade to shared (`to` 1). Ignored by who holds no such generation. */
  recallBuffer: { rel: 'rel', fork: 'u8', blk: 'u32', gen: 'u32', to: 'u8' },
  /** Send a copy, keep the token. */
  writeback: { rel: 'rel', fork: 'u8', blk: 'u32', gen: 'u32' },
  /** Every token on this relation's fork from block `from` on is void; no answer. `fork` ALL_FORKS: the relation is gone. */
  dropRelationBuffers: { rel: 'rel', fork: 'u8', from: 'u32' },
  nblocks: { reqId: 'u32', rel: 'rel', fork: 'u8', blocks: 'u32' },
  recallNblocks: { rel: 'rel', fork: 'u8' },
  /** Pages first … first+count-1 are granted exclusively with generation `gen`, all zeros. */
  extended: { reqId: 'u32', rel: 'rel', fork: 'u8', first: 'u32', count: 'u32', gen: 'u32' },
  /** 0xffffffff: none. */
  freePage: { reqId: 'u32', blk: 'u32' },

  // ---- WAL -------------------------------------------------------------------------------------
  /** Records up to `seq` are placed; `lsn` is the end of the last. */
  inserted: { seq: 'u64', lsn: 'u64' },
  /** Everything before `lsn` is durable. */
  flushed: { lsn: 'u64' },
  /** A checkpoint wants its redo point: from your ack on, full-page images in every record. */
  forceFpi: { n: 'u32' },
  /** The window closed: checkpoint `n` starts redo at `lsn`; pages not yet changed since need an image. */
  redoRecPtr: { n: 'u32', lsn: 'u64' },

  // ---- transactions ------------------------------------------------------------------------------
  /** Ids [first, first + count). `left` not 0: so many more, counted from the first, may be given out before database
   *  `db` must have been vacuumed; whoever uses one is warned. */
  xidsReserved: { first: 'u64', count: 'u32', left: 'u32', db: 'u32' },
  /** What is running now. The instance may go on using it for new snapshots until it is recalled.
   *  Sent as the answer to getSnapshot and, to who had one, before the `committed` of its own commits (later
   *  while other commits wait for its recall).
   *  `xip` is sorted. `oldestXmin`: below it every transaction's outcome is settled for everyone
   *  (pruning horizon). `invals` must be applied before the snapshot is used. */
  snapshot: { csn: 'u64', xmin: 'u64', xmax: 'u64', xip: 'u64s', oldestXmin: 'u64', invals: 'bytes' },
  recallSnapshot: {},
  /** COMMIT is durable and visible. */
  committed: { reqId: 'u32', lsn: 'u64' },
  /** `image`: 8192 bytes, two bits per transaction. Zero bits: not finished when this was sent. */
  clogPage: { reqId: 'u32', page: 'u32', image: 'bytes' },
  oids: { reqId: 'u32', first: 'u32', count: 'u32' },

  // ---- locks -------------------------------------------------------------------------------------
  lockGranted: { reqId: 'u32' },
  /** Deadlock (40P01), lock not available (55P03). */
  lockFailed: { reqId: 'u32', sqlstate: 'str', message: 'str', detail: 'str', hint: 'str' },
  relLockToken: { db: 'u32', rel: 'u32' },
  recallRelLock: { db: 'u32', rel: 'u32' },

  // ---- relation map --------------------------------------------------------------------------------
  /** `image`: the 512 bytes of the file, checked. */
  relmap: { reqId: 'u32', image: 'bytes' },

  // ---- refusals ------------------------------------------------------------------------------------
  /** Answers reserveXids when no ids are given out: disk full (53100), wraparound (54000). `db` not 0: the message
   *  is to end with this database. */
  reserveFailed: { sqlstate: 'str', message: 'str', hint: 'str', db: 'u32' },

  // ---- credits (credit.ts) ---------------------------------------------------------------------------
  /** Producers of bulk WAL may go on until the instance has sent `until` bytes of batches on this
   *  stream; then they wait for the next credit. Nothing else ever does. */
  credit: { until: 'u64' },

  // ---- multixacts ------------------------------------------------------------------------------------
  multiXactCreated: { reqId: 'u32', multi: 'u32' },
  /** Pairs (xid, MultiXactStatus). */
  multiXactMembers: { reqId: 'u32', members: 'u32s' },
  /** `next` will be given out next; members of those before `oldest` are all over. */
  multiXactHorizon: { reqId: 'u32', next: 'u32', oldest: 'u32' },

  // ---- who waits for whom ----------------------------------------------------------------------------
  blockers: { reqId: 'u32', pids: 'u32s' },
  /** Waits for rows that a session of the same instance holds are to be brought before the lock table now, not only
   *  after deadlock_timeout: somebody asks who waits for whom. Answered by `waitsShown`. */
  showWaits: { question: 'u32' },
  /** Behind the welcome, and when it changes: are there other instances? */
  company: { others: 'bool' },

  // ---- where WAL is --------------------------------------------------------------------------------
  /** `lsn`: end of the switch's record, or where WAL ends when a segment had just begun. */
  walSwitched: { reqId: 'u32', lsn: 'u64' },
  /** Where the next record goes, and what is durable. */
  walLocation: { reqId: 'u32', insert: 'u64', flush: 'u64', timeline: 'u32' },
  /** Times are microseconds since 1970-01-01; 0 and '': never. */
  archiverCounts: {
    reqId: 'u32',
    archivedCount: 'u64',
    lastArchivedWal: 'str',
    lastArchivedTime: 'u64',
    failedCount: 'u64',
    lastFailedWal: 'str',
    lastFailedTime: 'u64',
    statsReset: 'u64',
  },
  // ---- sessions --------------------------------------------------------------------------------------
  /** `askSessions`, passed on. Answered by `sessionsSaid`, at once. */
  sessionsAsked: { question: 'u32', what: 'u8', pid: 'u32', about: 'str' },
  /** What the instances said, and the buffer-manager itself: a JSON array. `silent`: names of instances that did not
   *  answer in time. */
  sessionsTold: { reqId: 'u32', said: 'str', silent: 'str' },

  // ---- who waits for a lock ----------------------------------------------------------------------------
  lockWaiters: { reqId: 'u32', waiting: 'bool' },
  /** deadlock_timeout of the wait `reqId` is over: how it stands (LOCK_WAIT_STATES, by number), for `lock`
   *  (`ShareLock on transaction 739`). The answer is still to come. */
  lockWaitChecked: { reqId: 'u32', state: 'u8', lock: 'str', holders: 'u32s', queue: 'u32s' },

  // ---- sizes -------------------------------------------------------------------------------------------
  /** `known`: there is such a folder. */
  folderSize: { reqId: 'u32', known: 'bool', bytes: 'u64' },
} as const satisfies OpTable;

import type { RelFileNode } from '@pgtroupe/common/ids';

interface FieldTypes {
  u8: number;
  u16: number;
  u32: number;
  u64: number;
  bool: boolean;
  str: string;
  bytes: Uint8Array;
  page: Uint8Array;
  rel: RelFileNode;
  u32s: readonly number[];
  u64s: readonly number[];
  rels: readonly RelFileNode[];
}
export type FieldType = keyof FieldTypes;
export type OpTable = Readonly<Record<string, Readonly<Record<string, FieldType>>>>;

type OpOf<T extends OpTable> = {
  [K in keyof T]: { readonly op: K } & { readonly [F in keyof T[K]]: FieldTypes[T[K][F]] };
}[keyof T];
export type UpOp = OpOf<typeof UP>;
export type DownOp = OpOf<typeof DOWN>;
