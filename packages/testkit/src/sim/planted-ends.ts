/**
 * Planted bugs of sessions and instances that end: what was given away too early, or never given back.
 */
import { LockTable } from '@pgtroupe/buffer-manager/lock-table';
import { HorizonPin } from '@pgtroupe/buffer-manager/proc-array';
import { PageDirectory } from '@pgtroupe/buffer-manager/page-directory';
import { Session } from '@pgtroupe/session/session';
import { InstanceLocks } from '@pgtroupe/instance/instance-locks';
import { ddlBook } from './ddl-book.ts';
import { readersBook } from './readers-book.ts';
import { type PlantedBug, replace } from './planted.ts';

/** A client that goes away has its transaction undone at once, whatever is under way: COMMIT too. */
const endAtOnce: PlantedBug = {
  name: 'abort behind a commit in flight',
  faults: ['vanish'],
  plant: () =>
    replace(
      Session.prototype,
      'close',
      real =>
        function (this: Session, saidGoodbye) {
          const starting = this.runner === undefined;
          real.call(this, saidGoodbye);
          if (!starting) this.runner.end();
        },
    ),
};

/** A lock that is granted to somebody who has just given up waiting stays his: what he gives back is not heard. */
const keepCrossingGrant: PlantedBug = {
  name: 'grant that crosses a cancel is kept',
  faults: ['vanish', 'cancel'],
  book: () => ddlBook,
  plant: () => replace(LockTable.prototype, 'release', () => () => {}),
};

/** What a recall hands over behind a COMMIT is never released. */
const forgetHandedOver: PlantedBug = {
  name: 'recall that crosses COMMIT leaks a lock',
  faults: ['lock-in-commit'],
  plant: () =>
    replace(
      InstanceLocks.prototype,
      'releaseAll',
      real =>
        function (this: InstanceLocks, owner, remoteDone) {
          owner.handedOver = false;
          real.call(this, owner, remoteDone);
        },
    ),
};

/** Locks of a dead instance are free before its commits are visible. */
const freeLocksOfTheDead: PlantedBug = {
  name: 'locks of a dead instance freed before its commits',
  faults: ['slow-wal-and-kill'],
  book: () => ddlBook,
  plant: () =>
    replace(
      LockTable.prototype,
      'instanceDied',
      real =>
        function (this: LockTable<unknown>, instance) {
          real.call(this, instance);
        },
    ),
};

/** Nobody who is at work on a page hears that its relation was dropped. */
const rebuildWhatIsDropped: PlantedBug = {
  name: 'rebuild of a dropped page goes on',
  faults: ['drop-in-rebuild'],
  plant: () =>
    replace(
      PageDirectory.prototype,
      'drop',
      real =>
        function (this: PageDirectory, page) {
          const waiting = real.call(this, page);
          page.dropped = false;
          return waiting;
        },
    ),
};

/** Snapshots hold the rows that they see until they have arrived, and no longer. */
const letGoOfWhatIsUsed: PlantedBug = {
  name: 'snapshots in use hold no rows',
  faults: ['vacuum', 'clog-link'],
  book: () => readersBook,
  plant: () =>
    replace(
      HorizonPin.prototype,
      'reported',
      real =>
        function (this: HorizonPin, count) {
          real.call(this, count, Number.MAX_SAFE_INTEGER);
        },
    ),
};

export const PLANTED_ENDS: readonly PlantedBug[] = [
  endAtOnce,
  keepCrossingGrant,
  forgetHandedOver,
  freeLocksOfTheDead,
  rebuildWhatIsDropped,
  letGoOfWhatIsUsed,
];
