/** Overwriting rows of catalogs in place, as VACUUM and ANALYZE do: not transactional. */
import { heapComputeTupleSize, heapFormTuple, tupleLayout } from '@pgtroupe/access/common/heaptuple';
import { type HeapContext, TM_BEING_MODIFIED, TM_OK } from '@pgtroupe/access/heap/heapam-context';
import { heapInplaceUpdate } from '@pgtroupe/access/heap/heapam-inplace';
import type { Catalog, CatalogRow } from '@pgtroupe/catalog/catalog';
import { encodeInvals, rowMessages } from '@pgtroupe/catalog/inval';
import { encodeRow } from '@pgtroupe/catalog/rowcodec';
import { assert } from '@pgtroupe/common/assert';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import type { BackendSession } from './command-runner.ts';
import type { CommandRunner } from './command-runner.ts';

const WORKSPACE_BYTES = 8192;

export function attempt(session: BackendSession, work: () => number): Promise<number> {
  return session.instance.kernel.attempt(work, session.owner, () => session.enter());
}

/** So often a row may change between being read and being overwritten. */
const MAX_TRIES = 1000;

/**
 * Overwrites the row that `find` finds with what `change` makes of it; undefined: it is to stay as it is. Who is changing it
 * is waited for, and then it is the new version's turn (systable_inplace_update_begin). The row as it is now.
 */
export async function overwriteCatalogRow<Row extends CatalogRow>(
  runner: CommandRunner,
  context: HeapContext,
  catalog: Catalog,
  find: () => Promise<Row | null>,
  change: (row: Row) => Row | undefined,
): Promise<Row | null> {
  const { session, analysis } = runner;
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const row = await find();
    const after = row === null ? undefined : change(row);
    if (row === null || after === undefined) return row;
    if (await overwritten(runner, context, catalog, row, after)) {
      // Other instances hear of it with this transaction's end.
      const messages = encodeInvals(rowMessages(session.database.oid as Oid, catalog, row, after));
      session.block.tx.invals = Buffer.concat([session.block.tx.invals, messages]);
      session.instance.applyInvalidations(messages);
      return after;
    }
    await session.breathe();
    await analysis.refresh();
  }
  throw ereport(ERRCODE.OBJECT_IN_USE, 'giving up after too many tries to overwrite row');
}

/** False: it is not the row's last version any more. */
async function overwritten(
  runner: CommandRunner,
  context: HeapContext,
  catalog: Catalog,
  { ctid, xmin }: CatalogRow,
  after: CatalogRow,
): Promise<boolean> {
  const { session } = runner;
  const { arena, kernel } = session.instance;
  assert(ctid !== undefined && xmin !== undefined, 'the row was read from its table');
  const layout = tupleLayout(catalog.tupdesc);
  const heap = await runner.source.relations.heap(catalog);
  const values = encodeRow(catalog, after);
  const version = { ...ctid, xmin, cid: session.block.tx.curcid };
  const workspace = arena.alloc(WORKSPACE_BYTES);
  try {
    const result = await attempt(session, () => {
      const length = heapComputeTupleSize(layout, values);
      heapFormTuple(layout, values, kernel.pages.mem, workspace);
      const done = heapInplaceUpdate(context, heap, version, workspace, length);
      return done === TM_BEING_MODIFIED ? context.wantXactWait() : done;
    });
    return result === TM_OK;
  } finally {
    arena.free(workspace, WORKSPACE_BYTES);
  }
}
