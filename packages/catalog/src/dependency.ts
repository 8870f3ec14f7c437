/**
 * Dropping objects with everything that belongs to them.
 *
 * Deletion collects, by walking pg_depend, what depends on the object; complains under RESTRICT if
 * anything does that is no part of it; then deletes, dependents first. An object that is an internal
 * part of another cannot be dropped by itself.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import { RelationRelationId } from './catalogs/pg_class.ts';
import { DependDependerIndexId, DependReferenceIndexId, pgDepend } from './catalogs/pg_depend.ts';
import type { CatalogWriter } from './catalogwriter.ts';
import { deleteOneObject } from './deletion.ts';
import { objectAddress, sameObject } from './objectaddress.ts';
import type { ObjectAddress } from './objectaddress.ts';
import {
  DEPENDENCY_AUTO,
  DEPENDENCY_AUTO_EXTENSION,
  DEPENDENCY_EXTENSION,
  DEPENDENCY_INTERNAL,
  DEPENDENCY_NORMAL,
} from './pg_depend.ts';
import { isPinnedObject } from './pinned.ts';

export type DropBehavior = 'restrict' | 'cascade';

/** Why an object is to be deleted; the bits accumulate. */
const DEPFLAG_ORIGINAL = 1;
const DEPFLAG_NORMAL = 2;
const DEPFLAG_AUTO = 4;
const DEPFLAG_INTERNAL = 8;
const DEPFLAG_PARTITION = 16;
const DEPFLAG_EXTENSION = 32;
const DEPFLAG_REVERSE = 64;
/** A column of a table that is deleted as a whole. */
const DEPFLAG_SUBOBJECT = 128;
const SILENT = DEPFLAG_AUTO | DEPFLAG_INTERNAL | DEPFLAG_PARTITION | DEPFLAG_EXTENSION;

const ACCESS_EXCLUSIVE_LOCK = 8;
const MAX_REPORTED = 100;

interface Target {
  readonly object: ObjectAddress;
  readonly dependee: ObjectAddress | undefined;
  flags: number;
}

interface Visit {
  readonly object: ObjectAddress;
  readonly next: Visit | undefined;
  flags: number;
}

interface Dependent {
  readonly dependent: ObjectAddress;
  readonly flags: number;
}

/** Drops the objects as one request, like `DROP TABLE a, b`. */
export async function performDeletions(
  w: CatalogWriter,
  objects: readonly ObjectAddress[],
  behavior: DropBehavior,
): Promise<void> {
  const search = new DependencySearch(w, objects);
  for (const object of objects) {
    await w.store.lockObject(object, ACCESS_EXCLUSIVE_LOCK);
    await search.visit(object, DEPFLAG_ORIGINAL, undefined);
  }
  await report(w, search.targets, behavior, objects);
  for (const { object, flags } of search.targets) {
    if ((flags & DEPFLAG_SUBOBJECT) === 0) await deleteOneObject(w, object);
  }
}

export function performDeletion(w: CatalogWriter, object: ObjectAddress, behavior: DropBehavior): Promise<void> {
  return performDeletions(w, [object], behavior);
}

class DependencySearch {
  readonly targets: Target[] = [];
  readonly #w: CatalogWriter;
  /** Requested together: one may be part of another. */
  readonly #requested: readonly ObjectAddress[];
  /** Whose locks this search took. */
  readonly #locked: ObjectAddress[] = [];

  constructor(w: CatalogWriter, requested: readonly ObjectAddress[]) {
    this.#w = w;
    this.#requested = requested;
  }

  async visit(object: ObjectAddress, objectFlags: number, stack: Visit | undefined): Promise<void> {
    if (beingVisited(object, objectFlags, stack) || this.#alreadyTarget(object, objectFlags)) return;
    if (isPinnedObject(object.classId, object.objectId)) {
      throw ereport(
        ERRCODE.DEPENDENT_OBJECTS_STILL_EXIST,
        `cannot drop ${await this.#w.describe(object)} because it is required by the database system`,
      );
    }
    const { catalog } = this.#w;
    const { version } = catalog;
    const owner = await this.#owner(object, stack);
    if (owner === 'requested too') return;
    if (owner !== undefined) {
      // Deleting a part means deleting the whole; its own visit comes back to this object.
      // A part's lock is not held while the whole's is waited for: whoever has that may want it.
      this.#unlock(object);
      await this.#lock(owner);
      const now = catalog.version === version ? owner : await this.#owner(object, stack);
      if (typeof now !== 'object' || !sameObject(now, owner)) {
        // Whoever had the lock dropped it, and the part with it.
        this.#unlock(owner);
        return;
      }
      await this.visit(owner, DEPFLAG_REVERSE, stack);
      this.#alreadyTarget(object, objectFlags);
      return;
    }
    const here: Visit = { object, flags: objectFlags, next: stack };
    for (const { dependent, flags } of await this.#dependents(object)) await this.visit(dependent, flags, here);
    this.targets.push({ object, dependee: stack?.object, flags: here.flags });
  }

  /** The object this one is an internal part of, unless we came from there. */
  async #owner(object: ObjectAddress, stack: Visit | undefined): Promise<ObjectAddress | 'requested too' | undefined> {
    const key =
      object.objectSubId === 0
        ? [object.classId, object.objectId]
        : [object.classId, object.objectId, object.objectSubId];
    let owner: ObjectAddress | undefined;
    for (const row of await this.#w.scan(pgDepend, DependDependerIndexId, ...key)) {
      const other = objectAddress(row.refclassid, row.refobjid, row.refobjsubid);
      if (isPartOf(other, object)) continue;
      if (row.deptype !== DEPENDENCY_INTERNAL && row.deptype !== DEPENDENCY_EXTENSION) continue;
      if (stack !== undefined) {
        if (beingVisited(other, 0, stack)) continue;
        return other;
      }
      if (this.#requested.some(requested => sameObject(requested, other))) return 'requested too';
      if (owner === undefined || row.deptype === DEPENDENCY_EXTENSION) owner = other;
    }
    if (owner === undefined) return undefined;
    const whole = await this.#w.describe(owner);
    throw ereport(
      ERRCODE.DEPENDENT_OBJECTS_STILL_EXIST,
      `cannot drop ${await this.#w.describe(object)} because ${whole} requires it`,
      {
        hint: `You can drop ${whole} instead.`,
      },
    );
  }

  /** AcquireDeletionLock. */
  async #lock(object: ObjectAddress): Promise<void> {
    if (await this.#w.store.lockObject(object, ACCESS_EXCLUSIVE_LOCK)) this.#locked.push(object);
  }

  /** Gives back a lock that this search took. */
  #unlock(object: ObjectAddress): void {
    const at = this.#locked.findIndex(each => each.classId === object.classId && each.objectId === object.objectId);
    if (at < 0) return;
    this.#locked.splice(at, 1);
    this.#w.store.unlockObject(object, ACCESS_EXCLUSIVE_LOCK);
  }

  /** What directly depends on the object, newest first, locked. A dependency may be gone when the lock is there, and the
   *  dependent with it: then it is left alone. */
  async #dependents(object: ObjectAddress): Promise<Dependent[]> {
    const { catalog } = this.#w;
    let { version } = catalog;
    const all = await this.#dependentsNow(object);
    let now = new Set(all.map(keyOf));
    const found: Dependent[] = [];
    for (const each of all) {
      // What is no relation and goes with its whole is changed under the whole's lock.
      if (each.dependent.classId === RelationRelationId || each.flags === DEPFLAG_NORMAL)
        await this.#lock(each.dependent);
      if (catalog.version !== version) {
        ({ version } = catalog);
        now = new Set((await this.#dependentsNow(object)).map(keyOf));
      }
      if (now.has(keyOf(each))) found.push(each);
      else this.#unlock(each.dependent);
    }
    return found;
  }

  async #dependentsNow(object: ObjectAddress): Promise<Dependent[]> {
    const key =
      object.objectSubId === 0
        ? [object.classId, object.objectId]
        : [object.classId, object.objectId, object.objectSubId];
    const rows = await this.#w.scan(pgDepend, DependReferenceIndexId, ...key);
    return rows
      .map(row => ({
        dependent: objectAddress(row.classid, row.objid, row.objsubid),
        flags: flagsOf(row.deptype),
      }))
      .filter(({ dependent }) => !isPartOf(dependent, object))
      .sort((a, b) => compareAddresses(a.dependent, b.dependent));
  }

  /** Adds the reason to what is to be deleted anyway. A whole object covers its columns. */
  #alreadyTarget(object: ObjectAddress, flags: number): boolean {
    let present = false;
    for (const target of this.targets) {
      if (target.object.classId !== object.classId || target.object.objectId !== object.objectId) continue;
      if (target.object.objectSubId === object.objectSubId) {
        target.flags |= flags;
        present = true;
      } else if (target.object.objectSubId === 0) present = true;
      // The whole object comes after all: its column, collected before, goes with it.
      else if (object.objectSubId === 0 && flags !== 0) target.flags |= flags | DEPFLAG_SUBOBJECT;
    }
    return present;
  }
}

function keyOf({ dependent, flags }: Dependent): string {
  return `${dependent.classId}/${dependent.objectId}/${dependent.objectSubId}/${flags}`;
}

function flagsOf(deptype: string): number {
  switch (deptype) {
    case DEPENDENCY_NORMAL:
      return DEPFLAG_NORMAL;
    case DEPENDENCY_AUTO:
    case DEPENDENCY_AUTO_EXTENSION:
      return DEPFLAG_AUTO;
    case DEPENDENCY_INTERNAL:
      return DEPFLAG_INTERNAL;
    case DEPENDENCY_EXTENSION:
      return DEPFLAG_EXTENSION;
    default:
      return DEPFLAG_PARTITION;
  }
}

/** Same object, or one of its columns. */
function isPartOf(part: ObjectAddress, whole: ObjectAddress): boolean {
  return whole.objectSubId === 0 && part.classId === whole.classId && part.objectId === whole.objectId;
}

function beingVisited(object: ObjectAddress, flags: number, stack: Visit | undefined): boolean {
  let present = false;
  for (let visit = stack; visit !== undefined; visit = visit.next) {
    if (visit.object.classId !== object.classId || visit.object.objectId !== object.objectId) continue;
    if (visit.object.objectSubId === object.objectSubId) {
      visit.flags |= flags;
      present = true;
    } else if (visit.object.objectSubId === 0) present = true;
  }
  return present;
}

function compareAddresses(a: ObjectAddress, b: ObjectAddress): number {
  return b.objectId - a.objectId || a.classId - b.classId || a.objectSubId - b.objectSubId;
}

async function report(
  w: CatalogWriter,
  targets: readonly Target[],
  behavior: DropBehavior,
  requested: readonly ObjectAddress[],
): Promise<void> {
  const lines: string[] = [];
  for (const target of [...targets].reverse()) {
    if ((target.flags & (DEPFLAG_ORIGINAL | DEPFLAG_SUBOBJECT | SILENT)) !== 0) continue;
    const description = await w.describe(target.object);
    if (behavior === 'cascade') lines.push(`drop cascades to ${description}`);
    else if (target.dependee !== undefined)
      lines.push(`${description} depends on ${await w.describe(target.dependee)}`);
  }
  if (lines.length === 0) return;
  const more = lines.length - MAX_REPORTED;
  const detail = [
    ...lines.slice(0, MAX_REPORTED),
    ...(more > 0 ? [`and ${more} other object${more === 1 ? '' : 's'} (see server log for list)`] : []),
  ].join('\n');
  if (behavior === 'cascade') {
    if (lines.length === 1) w.store.notice(lines[0]!);
    else w.store.notice(`drop cascades to ${lines.length} other objects`, { detail });
    return;
  }
  const what =
    requested.length === 1
      ? `cannot drop ${await w.describe(requested[0]!)} because other objects depend on it`
      : 'cannot drop desired object(s) because other objects depend on them';
  throw ereport(ERRCODE.DEPENDENT_OBJECTS_STILL_EXIST, what, {
    detail,
    hint: 'Use DROP ... CASCADE to drop the dependent objects too.',
  });
}
