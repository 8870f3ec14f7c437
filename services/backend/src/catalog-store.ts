/**
 * Changes catalog rows in a transaction (CatalogStore): each row change is one attempt after another
 * of heap and index steps, until it is done.
 */
import { heapComputeTupleSize, heapFormTuple, type TupleLayout, tupleLayout } from '@pgtroupe/access/common/heaptuple';
import { heapDelete } from '@pgtroupe/access/heap/heapam-delete';
import { heapInsert } from '@pgtroupe/access/heap/heapam-insert';
import { HeapContext, type HeapRelation, TM_OK } from '@pgtroupe/access/heap/heapam-context';
import { heapUpdate, type UpdateAttributes } from '@pgtroupe/access/heap/heapam-update';
import type { BTIndex } from '@pgtroupe/access/nbtree/btindex';
import { BTInserter } from '@pgtroupe/access/nbtree/nbtinsert';
import type { Catalog, ItemPointer } from '@pgtroupe/catalog/catalog';
import type { CatalogStore } from '@pgtroupe/catalog/catalogwriter';
import type { IndexDesc, RelationDesc } from '@pgtroupe/catalog/relcache';
import { assert } from '@pgtroupe/common/assert';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported } from '@pgtroupe/common/ereport';
import type { Datum } from '@pgtroupe/common/datum';
import { MAIN_FORKNUM, type Oid, type RelFileNode, type TransactionId, xidFromFull } from '@pgtroupe/common/ids';
import { MISS } from '@pgtroupe/storage/buffer/pages';
import type { BackendInstance } from './instance.ts';
import { type CatalogReader, KernelCatalogSource } from './catalog-source.ts';
import type { Session } from './session.ts';

/** The largest tuple a page takes. */
const MAX_TUPLE_BYTES = 8160;
const WORKSPACE_BYTES = 16 * 1024;
