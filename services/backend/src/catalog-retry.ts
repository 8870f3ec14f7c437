/**
 * Pure work over the catalogs, run again after each entry it lacked has been read.
 */
import { CatalogMiss } from '@pgtroupe/catalog/catalogmiss';

export async function retryCatalog<T>(work: () => T): Promise<T> {
  for (;;) {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof CatalogMiss)) throw error;
      await error.load();
    }
  }
}
