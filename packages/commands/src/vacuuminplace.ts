/** Overwriting rows of catalogs in place, as VACUUM and ANALYZE do: not transactional. */
import { heapComputeTupleSize, heapFormTuple, tupleLayout } from '@pgtroupe/access/common/heaptuple';
import type { HeapContext } from '@pgtroupe/access/heap/heapam-context';
import { heapInplaceUpdate } from '@pgtroupe/access/heap/heapam-inplace';
import type { Catalog, CatalogRow } from '@pgtroupe/catalog/catalog';
import { encodeInvals, rowMessages } from '@pgtroupe/catalog/inval';
import { encodeRow } from '@pgtroupe/catalog/rowcodec';
import { assert } from '@pgtroupe/common/assert';
import type { Oid } from '@pgtroupe/common/ids';
import { MISS } from '@pgtroupe/storage/buffer/pages';
import type { BackendSession } from './command-runner.ts';
import type { CommandRunner } from './command-runner.ts';

const WORKSPACE_BYTES = 8192;

export function attempt(session: BackendSession, work: () => number): Promise<number> {
  return session.instance.kernel.attempt(work, session.owner, () => session.enter());
}

export async function overwriteCatalogRow(
  runner: CommandRunner,
  context: HeapContext,
  catalog: Catalog,
  row: CatalogRow,
  after: CatalogRow,
): Promise<void> {
  const { session } = runner;
  const { instance } = session;
  const { kernel } = instance;
  assert(row.ctid !== undefined, 'the row was read from its table');
  const layout = tupleLayout(catalog.tupdesc);
  const heap = await runner.source.relations.heap(catalog);
  const values = encodeRow(catalog, after);
  const { blk, off } = row.ctid;
  const workspace = instance.arena.alloc(WORKSPACE_BYTES);
  try {
    await attempt(session, () => {
      const length = heapComputeTupleSize(layout, values);
      heapFormTuple(layout, values, kernel.pages.mem, workspace);
      return heapInplaceUpdate(context, heap, blk, off, workspace, length) === MISS ? MISS : 0;
    });
  } finally {
    instance.arena.free(workspace, WORKSPACE_BYTES);
  }
  // Other instances hear of it with this transaction's end.
  const messages = rowMessages(session.database.oid as Oid, catalog, row, after);
  session.block.tx.invals = Buffer.concat([session.block.tx.invals, encodeInvals(messages)]);
  instance.applyInvalidations(encodeInvals(messages));
}
