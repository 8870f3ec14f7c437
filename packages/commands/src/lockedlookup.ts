/**
 * From a name to an object that is locked (RangeVarGetRelidExtended, get_object_address): who waits for a lock may find
 * that the name means another object by then, or none. It is looked up again until what was locked is what the name
 * means; the lock of what it meant before is given back.
 */
import type { Oid } from '@pgtroupe/common/ids';

interface LockedLookup {
  /** What the name means now; 0: nothing. */
  readonly find: () => Promise<Oid>;
  /** Throws when the user must not even wait for a lock of it: who has no rights keeps nobody waiting. Asked again after
   *  each wait, for rights may have changed. */
  readonly mayLock?: ((oid: Oid) => Promise<void>) | undefined;
  /** Locks it; afterwards the catalogs tell what whoever had the lock before has changed. False: the transaction had
   *  the lock already. */
  readonly lock: (oid: Oid) => Promise<boolean>;
  readonly unlock: (oid: Oid) => void;
}

/** The OID, locked, or 0. */
export async function lockWhatIsMeant({ find, mayLock, lock, unlock }: LockedLookup): Promise<Oid> {
  let locked = 0 as Oid;
  let mine = false;
  for (;;) {
    const oid = await find();
    if (oid !== 0) await mayLock?.(oid);
    if (oid === locked) return oid;
    if (mine) unlock(locked);
    if (oid === 0) return oid;
    mine = await lock(oid);
    locked = oid;
  }
}
