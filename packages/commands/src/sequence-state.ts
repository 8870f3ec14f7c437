/**
 * What a session remembers of sequences: values drawn ahead, the last one given, and lastval.
 *
 * nextval and setval touch pages, which may have to be awaited, while expressions are synchronous. So
 * they throw CatalogMiss with the work inside; the executor awaits it and evaluates the row again,
 * which then finds the value here. A row evaluated once more for another reason skips a value, which a
 * sequence may.
 */
import type { SequenceRules } from '@pgtroupe/access/sequence/sequence';
import { ACL_SELECT, ACL_UPDATE, ACL_USAGE } from '@pgtroupe/catalog/acl';
import { CatalogMiss, withCatalog } from '@pgtroupe/catalog/catalogmiss';
import type { RelationDesc } from '@pgtroupe/catalog/relcache';
import { RELKIND_SEQUENCE } from '@pgtroupe/catalog/catalogs/pg_class';
import { SEQRELID } from '@pgtroupe/catalog/syscache';
import type { SystemCatalog } from '@pgtroupe/catalog/systemcatalog';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import type { SequenceFunctions } from '@pgtroupe/adt/sequencefuncs';
import type { SequenceIo } from './sequence-io.ts';
import { int8Datum } from './sequence-options.ts';

interface Known {
  /** File the values came from: a new one means a restart. */
  readonly filenode: Oid;
  /** Last value given; undefined before the first. */
  last: bigint | undefined;
  /** Values drawn and not given yet: the next one, and the last. */
  ahead: { next: bigint; readonly last: bigint; readonly increment: bigint } | undefined;
}

/** Locks for the session's current transaction. */
export interface SequenceLocks {
  /** False: `lock` must be awaited. */
  tryLock(oid: Oid): boolean;
  lock(oid: Oid): Promise<void>;
}

export class SequenceState implements SequenceFunctions {
  readonly #catalog: () => SystemCatalog;
  readonly #io: () => SequenceIo;
  readonly #locks: SequenceLocks;
  readonly #checkRight: (rel: RelationDesc, right: number) => void;
  readonly #mayChange: (command: string) => void;
  readonly #known = new Map<Oid, Known>();
  #lastUsed: Oid | undefined;
  /** A setval that was carried out and whose row is about to be evaluated again. */
  #setDone: string | undefined;

  /** `io` and `catalog` of the session's current transaction; `checkRight` throws when its user may not, `mayChange`
   *  when the transaction is READ ONLY. */
  constructor(
    catalog: () => SystemCatalog,
    io: () => SequenceIo,
    locks: SequenceLocks,
    checkRight: (rel: RelationDesc, right: number) => void,
    mayChange: (command: string) => void,
  ) {
    this.#catalog = catalog;
    this.#io = io;
    this.#locks = locks;
    this.#mayChange = mayChange;
    this.#checkRight = checkRight;
  }

  #open(oid: Oid, right: number): RelationDesc {
    const rel = this.#catalog().relation(oid);
    if (rel === null) throw ereport(ERRCODE.UNDEFINED_TABLE, `could not open relation with OID ${oid}`);
    if (rel.rel.relkind !== RELKIND_SEQUENCE)
      throw ereport(ERRCODE.WRONG_OBJECT_TYPE, `"${rel.name}" is not a sequence`);
    // RowExclusiveLock to the transaction's end, which ALTER SEQUENCE waits for. What it says is read behind the lock.
    if (!this.#locks.tryLock(oid)) throw new CatalogMiss(() => this.#locks.lock(oid));
    this.#checkRight(rel, right);
    return rel;
  }

  #rules(rel: RelationDesc): SequenceRules {
    const form = this.#catalog().search(SEQRELID, rel.oid)!;
    return {
      name: rel.name,
      increment: BigInt(form.seqincrement),
      min: BigInt(form.seqmin),
      max: BigInt(form.seqmax),
      cycle: form.seqcycle,
      cache: BigInt(form.seqcache),
    };
  }

  #entry(rel: RelationDesc): Known {
    let known = this.#known.get(rel.oid);
    if (known === undefined || known.filenode !== rel.rel.relfilenode) {
      known = { filenode: rel.rel.relfilenode, last: known?.last, ahead: undefined };
      this.#known.set(rel.oid, known);
    }
    return known;
  }

  nextval(oid: Oid): number | bigint {
    const rel = this.#open(oid, ACL_USAGE | ACL_UPDATE);
    this.#mayChange('nextval()');
    const known = this.#entry(rel);
    if (known.ahead === undefined) throw new CatalogMiss(() => this.#draw(oid));
    const { next, last, increment } = known.ahead;
    if (next === last) known.ahead = undefined;
    else known.ahead.next = next + increment;
    known.last = next;
    this.#lastUsed = oid;
    return int8Datum(next);
  }

  async #draw(oid: Oid): Promise<void> {
    const { rel, rules } = await withCatalog(() => {
      const opened = this.#open(oid, ACL_USAGE | ACL_UPDATE);
      return { rel: opened, rules: this.#rules(opened) };
    });
    const { first, last } = await this.#io().draw(rel, rules);
    this.#entry(rel).ahead = { next: first, last, increment: rules.increment };
  }

  currval(oid: Oid): number | bigint {
    const rel = this.#open(oid, ACL_SELECT | ACL_USAGE);
    const last = this.#known.get(oid)?.last;
    if (last !== undefined) return int8Datum(last);
    throw ereport(
      ERRCODE.OBJECT_NOT_IN_PREREQUISITE_STATE,
      `currval of sequence "${rel.name}" is not yet defined in this session`,
    );
  }

  /** Shared memory was lost: what was drawn ahead may be drawn again by others. */
  forgetAhead(): void {
    for (const known of this.#known.values()) known.ahead = undefined;
  }

  lastval(): number | bigint {
    const last = this.#lastUsed === undefined ? undefined : this.#known.get(this.#lastUsed)?.last;
    if (last !== undefined) {
      this.#open(this.#lastUsed!, ACL_SELECT | ACL_USAGE);
      return int8Datum(last);
    }
    throw ereport(ERRCODE.OBJECT_NOT_IN_PREREQUISITE_STATE, 'lastval is not yet defined in this session');
  }

  setval(oid: Oid, value: bigint, isCalled: boolean): void {
    const what = `${oid} ${value} ${isCalled}`;
    if (this.#setDone === what) {
      this.#setDone = undefined;
      return;
    }
    const rel = this.#open(oid, ACL_UPDATE);
    this.#mayChange('setval()');
    const { min, max } = this.#rules(rel);
    if (value < min || value > max) {
      throw ereport(
        ERRCODE.NUMERIC_VALUE_OUT_OF_RANGE,
        `setval: value ${value} is out of bounds for sequence "${rel.name}" (${min}..${max})`,
      );
    }
    throw new CatalogMiss(async () => {
      await this.#io().set(rel, { lastValue: value, isCalled });
      const known = this.#entry(rel);
      known.ahead = undefined;
      if (isCalled) {
        known.last = value;
        this.#lastUsed = oid;
      }
      this.#setDone = what;
    });
  }

  /** DISCARD SEQUENCES. */
  discard(): void {
    this.#known.clear();
    this.#lastUsed = undefined;
  }
}
