/** The OID counter: logged 8192 at a time, so that a crash skips some and repeats none. Pure. */
import { FIRST_NORMAL_OBJECT_ID } from '@pgtroupe/common/ids';
import type { Oid } from '@pgtroupe/common/ids';
import { VAR_OID_PREFETCH } from '@pgtroupe/transam/xlogrmgr';

/** OIDs below are for initdb; after 2^32 the counter goes on here. */

export class OidAllocator {
  next: number;
  /** OIDs before this one are covered by WAL. */
  loggedUntil: number;
  readonly #logNext: (nextOid: Oid) => void;

  constructor(next: number, logNext: (nextOid: Oid) => void) {
    this.next = next;
    this.loggedUntil = next;
    this.#logNext = logNext;
  }

  /** `count` OIDs in a row. */
  allocate(count: number): number {
    if (this.next < FIRST_NORMAL_OBJECT_ID || this.next + count > 0xffffffff) {
      this.next = FIRST_NORMAL_OBJECT_ID;
      this.loggedUntil = this.next;
    }
    if (this.next + count > this.loggedUntil) {
      this.loggedUntil = Math.min(this.next + Math.max(count, VAR_OID_PREFETCH), 0xffffffff);
      this.#logNext(this.loggedUntil as Oid);
    }
    const first = this.next;
    this.next += count;
    return first;
  }
}
