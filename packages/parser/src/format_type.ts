/**
 * Type names over the catalogs that analysis reads: adt/format_type.ts spells them.
 */
import type { Oid } from '@pgtroupe/common/ids';
import { type FindType, type FormatTypeOptions, type NamedType, typeNameText } from '@pgtroupe/adt/format_type';
import type { Form_pg_type } from '@pgtroupe/catalog/catalogs/pg_type';
import type { CatalogLookup } from './catalog-lookup.ts';

function named(catalog: CatalogLookup, row: Form_pg_type): NamedType {
  return {
    oid: row.oid,
    typname: row.typname,
    typmodout: () => (row.typmodout === 0 ? '' : (catalog.procOrNull(row.typmodout)?.prosrc ?? '')),
    schema: () => catalog.namespaceName(row.typnamespace) ?? '',
    isVisible: () => catalog.typeIsVisible(row),
  };
}

export function formatType(catalog: CatalogLookup, oid: Oid, options: FormatTypeOptions = {}): string {
  const find: FindType = o => {
    const row = catalog.typeOrNull(o);
    if (row === null) return undefined;
    const isArray = catalog.isTrueArray(row) && row.typstorage !== 'p';
    return { type: named(catalog, isArray ? catalog.type(row.typelem) : row), isArray };
  };
  return typeNameText(find, oid, options);
}
