/**
 * One database as an instance knows it: relation maps and the shared, committed view of its catalogs.
 * Made at the first login, kept for the instance's life: a new session costs no message.
 */
import { DEFAULTTABLESPACE_OID } from '@pgtroupe/common/oids';
import { assert } from '@pgtroupe/common/assert';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import { decodeRelationMap, type RelationMap } from '@pgtroupe/catalog/relmapper';
import { SystemCatalog } from '@pgtroupe/catalog/systemcatalog';
import type { RelationStorage } from '@pgtroupe/catalog/relcache';
import { StatementCache } from '@pgtroupe/parser/statement';
import type { InstanceKernel } from '@pgtroupe/instance/instance-kernel';
import type { CatalogFiles } from './catalog-relations.ts';
import { KernelCatalogSource } from './catalog-source.ts';
import type { InstanceToast } from './toast-fetcher.ts';

/** pg_default, where CREATE DATABASE puts a database unless told otherwise. */

export class DatabaseContext {
  readonly oid: Oid;
  readonly kernel: InstanceKernel;
  readonly catalog: SystemCatalog;
  readonly source: KernelCatalogSource;
  /** Texts that were parsed, with what they were found to mean. */
  readonly statements = new StatementCache();

  private constructor(
    kernel: InstanceKernel,
    toast: InstanceToast,
    storage: RelationStorage,
    mapped: CatalogFiles['mapped'],
  ) {
    this.oid = storage.databaseOid;
    this.kernel = kernel;
    this.source = KernelCatalogSource.shared(kernel, toast, storage, mapped);
    this.catalog = new SystemCatalog(this.source, storage);
  }

  /** `oid` 0: only what all databases share, enough to find a database and a role. */
  static async open(kernel: InstanceKernel, toast: InstanceToast, oid: Oid): Promise<DatabaseContext> {
    const shared = await relationMap(kernel, 0 as Oid);
    const local = oid === 0 ? new Map<Oid, Oid>() : await relationMap(kernel, oid);
    const mapped = (relation: Oid, isShared: boolean): Oid | undefined => (isShared ? shared : local).get(relation);
    const storage: RelationStorage = {
      databaseOid: oid,
      defaultTablespace: DEFAULTTABLESPACE_OID,
      smgropen: (rnode, relation) => {
        const files = kernel.pages.relations.smgropen(rnode);
        files.relation = relation;
        return files;
      },
      mappedFilenode: (relation, isShared) => {
        const filenode = mapped(relation, isShared);
        if (filenode === undefined) {
          throw ereport(ERRCODE.DATA_CORRUPTED, `could not find relation mapping for relation with OID ${relation}`);
        }
        return filenode;
      },
    };
    return new DatabaseContext(kernel, toast, storage, mapped);
  }
}

async function relationMap(kernel: InstanceKernel, db: Oid): Promise<RelationMap> {
  const op = await kernel.call(reqId => ({ op: 'relmap', reqId, db }));
  assert(op.op === 'relmap', `answer ${op.op} to relmap`);
  return decodeRelationMap(op.image, db === 0 ? 'global/pg_filenode.map' : `base/${db}/pg_filenode.map`);
}
