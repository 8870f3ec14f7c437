/**
 * A table's large values on their way into its TOAST table, and out of it again, for ModifyTable.
 */
import { HeapToaster, heapTupleHasExternal, TOAST_DONE, TOAST_TUPLE_THRESHOLD } from '@pgtroupe/access/heap/heaptoast';
import { toastCompressDatum } from '@pgtroupe/access/common/toast-compression';
import { VarlenaImage } from '@pgtroupe/access/common/tupmacs';
import type { RelationDesc } from '@pgtroupe/catalog/relcache';
import type { Datum } from '@pgtroupe/common/datum';
import { notSupported } from '@pgtroupe/common/ereport';
import type { CommandId } from '@pgtroupe/common/ids';
import { detach } from './batch.ts';
import type { EState } from './estate.ts';
import type { HeavyCall } from './execOffLoop.ts';
import { btreeOf, heapOf } from './relations.ts';
import { MISS } from './status.ts';

const CHUNK_SCRATCH = 8192;
const LARGE_BYTES = 1 << 18;

export class TableToaster {
  readonly #est: EState;
  readonly #relation: RelationDesc;
  #toaster: HeapToaster | undefined;
  #scratch = 0;
  #compression: HeavyCall | undefined;

  constructor(est: EState, relation: RelationDesc) {
    this.#est = est;
    this.#relation = relation;
  }

  /** Must a row of this size be made smaller? */
  wanted(size: number): boolean {
    return size > TOAST_TUPLE_THRESHOLD;
  }

  hasExternal(tuple: number): boolean {
    return heapTupleHasExternal(this.#est.env.mem, tuple);
  }

  open(): HeapToaster {
    if (this.#toaster !== undefined) return this.#toaster;
    const est = this.#est;
    const { arena, heap, newOid } = est.env;
    const { toast } = this.#relation;
    const table =
      toast === undefined
        ? undefined
        : { oid: toast.oid, heap: heapOf(toast), index: btreeOf(est, toast, toast.indexes[0]!) };
    // Not before what may throw for want of a catalog entry.
    this.#scratch = arena.alloc(CHUNK_SCRATCH);
    this.#toaster = new HeapToaster(
      heap,
      this.#relation.att,
      table,
      () => {
        if (newOid === undefined) throw notSupported('storing large values here');
        return newOid.call(est.env);
      },
      this.#scratch,
      plain => this.#compress(plain),
    );
    return this.#toaster;
  }

  /** Large values beside the main loop. One at a time is asked for, until it is there. */
  #compress(plain: Uint8Array): VarlenaImage | undefined | typeof MISS {
    const { env } = this.#est;
    if (this.#compression === undefined) {
      if (plain.length < LARGE_BYTES || env.startCompression === undefined) return toastCompressDatum(plain);
      this.#compression = env.startCompression(plain);
    }
    const call = this.#compression;
    if (!call.done) {
      env.pages.want = { kind: 'await', run: () => env.awaitHeavyCall!(call) };
      return MISS;
    }
    this.#compression = undefined;
    const image = call.result();
    return image === null ? undefined : new VarlenaImage(image as Uint8Array);
  }

  store(values: readonly Datum[], cid: CommandId): void {
    this.#abandon();
    this.open().store(values, cid);
  }

  remove(tuple: number, cid: CommandId): void {
    this.open().remove(tuple, cid);
  }

  /** Does what `store` or `remove` began: 0 when done, or MISS. */
  run(): number {
    for (;;) {
      const answer = this.#toaster!.step();
      if (answer === MISS) return MISS;
      if (answer === TOAST_DONE) return 0;
    }
  }

  /** What the row is to be formed from. */
  get values(): readonly Datum[] {
    return this.#toaster!.values;
  }

  /** Others run now: what stays in the row must not depend on pages. */
  suspend(): void {
    if (this.#toaster !== undefined) this.#toaster.values = this.#toaster.values.map(detach);
  }

  #abandon(): void {
    this.#compression?.abandon();
    this.#compression = undefined;
  }

  release(): void {
    this.#abandon();
    if (this.#scratch !== 0) this.#est.env.arena.free(this.#scratch, CHUNK_SCRATCH);
    this.#scratch = 0;
    this.#toaster = undefined;
  }
}
