/**
 * Bugs to plant, one at a time: proof that the simulator would find them. They are put into the real
 * classes from outside, for the length of one run; the product knows nothing of them.
 */
import type { Disk } from '@pgtroupe/actor/env';
import type { RoleName } from '@pgtroupe/actor/lifecycle';
import { type Handler, handle, type RpcStream } from '@pgtroupe/actor/rpc';
import { CommitQueue } from '@pgtroupe/buffer-manager/commit-queue';
import type { WalOrder, WalReport } from '@pgtroupe/rpc/generated/walwriter';
import { REGBUF_FORCE_IMAGE, REGBUF_NO_IMAGE } from '@pgtroupe/transam/xloginsert';
import { XLogRecordBuilder } from '@pgtroupe/instance/xlogrecord-builder';
import { WAL_WRITE } from '@pgtroupe/rpc/wal-write';
import { WalWriter } from '@pgtroupe/walwriter/walwriter';
import { type Book, churnBook } from './ledger.ts';
import type { Fault } from './nemesis.ts';

export interface PlantedBug {
  readonly name: string;
  /** What brings it to light. */
  readonly faults: readonly Fault[];
  /** The first seed to try, where those before are known to find nothing. */
  readonly firstSeed?: number;
  readonly settings?: Readonly<Record<string, string>>;
  /** Every other client commits asynchronously (RunOptions). */
  readonly asynchronous?: { readonly windowMs: number };
  /** What clients do; rows, if nothing is said. */
  readonly book?: () => Book;
  /** A role's disk may be made to lie. */
  readonly disk?: (role: RoleName, disk: Disk) => Disk;
  /** Changes a class; returns what undoes it. */
  readonly plant?: () => () => void;
}

/** Puts another method in a class's place; returns what undoes it. */
export function replace<C, K extends keyof C>(prototype: C, name: K, make: (real: C[K]) => C[K]): () => void {
  const real = prototype[name];
  prototype[name] = make(real);
  return () => {
    prototype[name] = real;
  };
}

type AnyCommitQueue = typeof CommitQueue.prototype;

/** The walwriter reports WAL durable while its fsync is still to come. */
const acknowledgeBeforeFsync: PlantedBug = {
  name: 'acknowledge before fsync',
  faults: ['lose-power'],
  disk: (role, disk) => {
    if (role !== 'walwriter') return disk;
    return {
      ...disk,
      open: async (path, mode) => {
        const file = await disk.open(path, mode === 'durable' ? 'write' : mode);
        return { ...file, datasync: async () => {} };
      },
    };
  },
};

/** Pages are logged as changes only, so that a torn page cannot be mended. */
const skipFullPageImage: PlantedBug = {
  name: 'skip full-page image',
  faults: ['tear-checkpoint'],
  // Pages are written all the time, not only by checkpoints.
  settings: { shared_buffers: '64', bgwriter_delay: '10', checkpoint_timeout: '300' },
  plant: () =>
    replace(
      XLogRecordBuilder.prototype,
      'registerBuffer',
      real =>
        function (this: XLogRecordBuilder, blockId, page, flags) {
          const without = (flags & REGBUF_FORCE_IMAGE) === 0 ? flags | REGBUF_NO_IMAGE : flags;
          real.call(this, blockId, page, without);
        },
    ),
};

/** The walwriter takes what an older buffer-manager sent for what the present one sends. */
const skipEpochCheck: PlantedBug = {
  name: 'skip epoch check',
  faults: ['clog-and-kill'],
  plant: () =>
    replace(
      WalWriter.prototype,
      'handlers',
      handlers =>
        function (this: WalWriter): Handler[] {
          const [real] = handlers.call(this);
          let owner: RpcStream<WalReport, WalOrder> | undefined;
          return [
            handle(WAL_WRITE, stream => {
              const front: RpcStream<WalReport, WalOrder> = {
                send: message => stream.send(message),
                onMessage: () => {},
                onEnd: () => {},
                end: () => stream.end(),
                // Nobody is turned away.
                abort: () => {},
              };
              real!.accept(front as RpcStream<unknown, unknown>);
              stream.onMessage = message => {
                if (message.order?.$case === 'hello') owner = front;
                (message.order?.$case === 'append' ? owner! : front).onMessage(message);
              };
              stream.onEnd = end => front.onEnd(end);
            }),
          ];
        },
    ),
};

/** A commit becomes visible, and is answered, without its record being durable. */
const visibleBeforeDurable: PlantedBug = {
  name: 'visible before durable',
  faults: ['kill-all', 'lose-power'],
  plant: () =>
    replace(
      CommitQueue.prototype,
      'next',
      real =>
        function (this: AnyCommitQueue, _flushed, holders) {
          return real.call(this, Infinity, holders);
        },
    ),
};

/** A commit becomes visible, and is answered, while other instances may still take snapshots without it. */
const visibleBeforeRecalled: PlantedBug = {
  name: 'visible before snapshots are recalled',
  faults: ['clog-link'],
  plant: () =>
    replace(
      CommitQueue.prototype,
      'next',
      real =>
        function (this: AnyCommitQueue, flushed) {
          return real.call(this, flushed, []);
        },
    ),
};

/** What was committed asynchronously lies around until somebody waits for a flush. */
const flushOnlyForWaiters: PlantedBug = {
  name: 'asynchronous commits wait for a synchronous one',
  faults: ['kill-all', 'lose-power'],
  asynchronous: { windowMs: 3 * 200 },
  settings: { wal_writer_delay: '10000' },
  book: () => churnBook,
};

export const PLANTED_BUGS: readonly PlantedBug[] = [
  acknowledgeBeforeFsync,
  skipFullPageImage,
  skipEpochCheck,
  visibleBeforeDurable,
  visibleBeforeRecalled,
  flushOnlyForWaiters,
];
