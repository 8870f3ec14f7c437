/** Planted bugs of row locks: one that is lost, one that is seen where there is none any more, one that is kept. */
import { Transaction } from '@pgtroupe/instance/xact';
import { InstanceTupleLocks } from '@pgtroupe/instance/instance-tuple-locks';
import { newLocksBook } from './locks-book.ts';
import { type PlantedBug, replace } from './planted.ts';
import { queueBook } from './queue-book.ts';

/** A subtransaction's lock takes the place of its parent's: with ROLLBACK TO both are gone. */
const overwriteParent: PlantedBug = {
  name: "subtransaction's row lock overwrites its parent's",
  faults: ['checkpoint'],
  book: newLocksBook,
  plant: () =>
    replace(
      Transaction.prototype,
      'multiXactOf',
      real =>
        function (this: Transaction, members) {
          const [last] = members.slice(-1);
          return real.call(
            this,
            members.filter(member => member === last || !this.isCurrent(member.xid)),
          );
        },
    ),
};

/** NOWAIT and SKIP LOCKED believe what the instance remembers of who runs. */
const believeOldSnapshot: PlantedBug = {
  name: 'NOWAIT answers from an old snapshot',
  faults: ['clog-link'],
  book: newLocksBook,
  plant: () => replace(Transaction.prototype, 'confirmRunning', () => () => true),
};

/** Who gives up waiting for a row's holder goes on being first among those who wait. */
const keepTurn: PlantedBug = {
  name: 'who gives up a row keeps its tuple lock',
  faults: ['vanish', 'cancel'],
  book: () => queueBook,
  plant: () =>
    replace(
      InstanceTupleLocks.prototype,
      'release',
      real =>
        function (this: InstanceTupleLocks, owner, soon) {
          if (owner.interrupt === undefined) real.call(this, owner, soon);
          else owner.tuple = undefined;
        },
    ),
};

export const PLANTED_LOCKS: readonly PlantedBug[] = [overwriteParent, believeOldSnapshot, keepTurn];
