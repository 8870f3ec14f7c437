/**
 * The TOAST table of a table whose rows may become too long for a page.
 */
import {
  BITOID,
  BPCHAROID,
  BYTEAOID,
  INT4OID,
  NUMERICOID,
  OIDOID,
  PG_TOAST_NAMESPACE,
  VARBITOID,
  VARCHAROID,
} from '@pgtroupe/common/oids';
import type { Oid } from '@pgtroupe/common/ids';
import { maxAlign } from '@pgtroupe/common/ids';
import type { Form_pg_attribute } from './catalogs/pg_attribute.ts';
import {
  pgClass,
  RELKIND_RELATION,
  RELKIND_MATVIEW,
  RELKIND_TOASTVALUE,
  RelationRelationId,
} from './catalogs/pg_class.ts';
import type { CatalogWriter } from './catalogwriter.ts';
import { heapCreateWithCatalog } from './heap.ts';
import type { NewColumn } from './heap.ts';
import { indexCreate } from './index.ts';
import { objectAddress } from './objectaddress.ts';
import { DEPENDENCY_INTERNAL, recordDependencyOn } from './pg_depend.ts';
import type { RelationDesc } from './relcache.ts';
import { RELOID } from './syscache.ts';

const TOAST_TUPLE_THRESHOLD = 2032;
const SIZEOF_HEAP_TUPLE_HEADER = 23;
const VARHDRSZ = 4;
const MAX_CHAR_BYTES = 4;
const OID_BTREE_OPS = 1981 as Oid;
const INT4_BTREE_OPS = 1978 as Oid;

/** Longest value of a variable-length type, or -1. */
function typeMaximumSize(typid: Oid, typmod: number): number {
  if (typmod < 0) return -1;
  switch (typid) {
    case BPCHAROID:
    case VARCHAROID:
      return (typmod - VARHDRSZ) * MAX_CHAR_BYTES + VARHDRSZ;
    case NUMERICOID: {
      const precision = ((typmod - VARHDRSZ) >>> 16) & 0xffff;
      return 2 * VARHDRSZ + 2 * Math.floor((precision + 6) / 4);
    }
    case BITOID:
    case VARBITOID:
      return Math.ceil(typmod / 8) + 2 * VARHDRSZ;
    default:
      return -1;
  }
}

function needsToastTable(attributes: readonly Form_pg_attribute[]): boolean {
  let length = 0;
  let unlimited = false;
  let toastable = false;
  for (const att of attributes) {
    if (att.attisdropped) continue;
    const align = { c: 1, s: 2, i: 4, d: 8 }[att.attalign as 'c' | 's' | 'i' | 'd'];
    length = Math.ceil(length / align) * align;
    if (att.attlen > 0) {
      length += att.attlen;
      continue;
    }
    const most = typeMaximumSize(att.atttypid, att.atttypmod);
    if (most < 0) unlimited = true;
    else length += most;
    if (att.attstorage !== 'p') toastable = true;
  }
  if (!toastable) return false;
  return (
    unlimited ||
    maxAlign(SIZEOF_HEAP_TUPLE_HEADER + Math.ceil(attributes.length / 8)) + maxAlign(length) > TOAST_TUPLE_THRESHOLD
  );
}

const CHUNK = { typmod: -1, collation: 0 as Oid, notNull: false, ndims: 0, storage: 'p' };
const COLUMNS: readonly NewColumn[] = [
  { ...CHUNK, name: 'chunk_id', typid: OIDOID },
  { ...CHUNK, name: 'chunk_seq', typid: INT4OID },
  { ...CHUNK, name: 'chunk_data', typid: BYTEAOID },
];

/** Gives the table a TOAST table if it needs one and has none. */
export async function createToastTable(
  w: CatalogWriter,
  table: RelationDesc,
  reloptions: readonly string[] | null = null,
): Promise<void> {
  const { rel } = table;
  if (rel.reltoastrelid !== 0 || (rel.relkind !== RELKIND_RELATION && rel.relkind !== RELKIND_MATVIEW)) return;
  if (!needsToastTable(table.attributes)) return;
  const toastOid = await heapCreateWithCatalog(w, {
    name: `pg_toast_${table.oid}`,
    namespace: PG_TOAST_NAMESPACE,
    owner: rel.relowner,
    relkind: RELKIND_TOASTVALUE,
    persistence: rel.relpersistence,
    columns: COLUMNS,
    reloptions,
    tablespace: rel.reltablespace,
  });
  await indexCreate(w, await w.relation(toastOid), {
    name: `pg_toast_${table.oid}_index`,
    columns: [
      { attnum: 1, name: 'chunk_id', opclass: OID_BTREE_OPS, collation: 0 as Oid, option: 0 },
      { attnum: 2, name: 'chunk_seq', opclass: INT4_BTREE_OPS, collation: 0 as Oid, option: 0 },
    ],
    keyCount: 2,
    unique: true,
    primary: true,
    nullsNotDistinct: false,
    tablespace: rel.reltablespace,
    reloptions: null,
    indexprs: null,
    indpred: null,
    references: [],
  });
  await w.update(pgClass, (await w.search(RELOID, table.oid))!, { reltoastrelid: toastOid });
  await recordDependencyOn(
    w,
    objectAddress(RelationRelationId, toastOid),
    objectAddress(RelationRelationId, table.oid),
    DEPENDENCY_INTERNAL,
  );
  w.commandCounterIncrement();
}
