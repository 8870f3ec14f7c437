/**
 * Multixacts as one instance knows them. Members never change, so what was asked once is remembered (mXactCache),
 * by id and by set; bounded: of two generations the older one goes.
 *
 * A remembered id may be used again for the same set: every caller puts a running transaction of its own into
 * the set, and no multixact younger than a running member is ever cut off.
 */
import { assert } from '@pgtroupe/common/assert';
import type { Oid, TransactionId } from '@pgtroupe/common/ids';
import { replyError } from './replyerror.ts';
import type { Attachment } from './attachment.ts';
import type { DownOp, UpOp } from '@pgtroupe/rpc/attach/ops';
import { MISS, type PageAccess } from '@pgtroupe/storage/buffer/pages';
import type { MultiXactId, MultiXactMember, MultiXactStatus } from '@pgtroupe/transam/multixact';

/** More than one page of tuples can name, so that no attempt pushes out what it has just asked for. */
const GENERATION = 4096;

interface Known {
  readonly multi: MultiXactId;
  readonly members: readonly MultiXactMember[];
}

export class InstanceMultiXacts {
  readonly #attachment: Attachment;
  readonly #pages: PageAccess;
  #byId = new Map<MultiXactId, Known>();
  #bySet = new Map<string, Known>();
  #olderById = new Map<MultiXactId, Known>();
  #olderBySet = new Map<string, Known>();

  constructor(attachment: Attachment, pages: PageAccess) {
    this.#attachment = attachment;
    this.#pages = pages;
  }

  /** A new life of the buffer-manager. */
  reset(): void {
    this.#byId = new Map();
    this.#bySet = new Map();
    this.#olderById = new Map();
    this.#olderBySet = new Map();
  }

  membersOf(multi: MultiXactId): readonly MultiXactMember[] | -1 {
    const known = this.#byId.get(multi) ?? this.#olderById.get(multi);
    if (known !== undefined) return known.members;
    this.#pages.want = { kind: 'await', run: () => this.#fetch(multi) };
    return MISS;
  }

  /** The multixact of these members; MISS while there is none yet. */
  idOf(members: readonly MultiXactMember[]): number {
    const sorted = [...members].sort((a, b) => a.xid - b.xid || a.status - b.status);
    const key = keyOf(sorted);
    const known = this.#bySet.get(key) ?? this.#olderBySet.get(key);
    if (known !== undefined) return known.multi;
    this.#pages.want = { kind: 'await', run: () => this.#create(sorted) };
    return MISS;
  }

  async #fetch(multi: MultiXactId): Promise<void> {
    const op = await this.#call(reqId => ({ op: 'getMultiXactMembers', reqId, multi }));
    assert(op.op === 'multiXactMembers', `answer ${op.op} to getMultiXactMembers`);
    const members: MultiXactMember[] = [];
    for (let n = 0; n < op.members.length; n += 2)
      members.push({ xid: op.members[n] as TransactionId, status: op.members[n + 1] as MultiXactStatus });
    this.#remember({ multi, members });
  }

  async #create(sorted: readonly MultiXactMember[]): Promise<void> {
    const members = sorted.flatMap(({ xid, status }) => [xid as number, status]);
    const op = await this.#call(reqId => ({ op: 'createMultiXact', reqId, members }));
    assert(op.op === 'multiXactCreated', `answer ${op.op} to createMultiXact`);
    this.#remember({ multi: op.multi, members: sorted });
  }

  #remember(known: Known): void {
    if (this.#byId.size >= GENERATION) {
      this.#olderById = this.#byId;
      this.#olderBySet = this.#bySet;
      this.#byId = new Map();
      this.#bySet = new Map();
    }
    this.#byId.set(known.multi, known);
    this.#bySet.set(keyOf(known.members), known);
  }

  // ---- for VACUUM ----------------------------------------------------------------------------------

  /** `oldest`: multixacts before it have no running members; `next`: the next one to be given out. */
  async horizon(): Promise<{ readonly next: MultiXactId; readonly oldest: MultiXactId }> {
    const op = await this.#call(reqId => ({ op: 'getMultiXactHorizon', reqId }));
    assert(op.op === 'multiXactHorizon', `answer ${op.op} to getMultiXactHorizon`);
    return op;
  }

  /** Nothing in the cluster refers to a multixact before `oldest`. */
  async truncate(oldest: MultiXactId, db: Oid): Promise<void> {
    await this.#call(reqId => ({ op: 'truncateMultiXact', reqId, oldest, db }));
  }

  async #call(make: (reqId: number) => UpOp): Promise<DownOp> {
    const op = await this.#attachment.request(make);
    if (op.op === 'reply' && op.sqlstate !== '') throw replyError(op);
    return op;
  }
}

function keyOf(sorted: readonly MultiXactMember[]): string {
  let key = '';
  for (const { xid, status } of sorted) key += `${xid}:${status} `;
  return key;
}
