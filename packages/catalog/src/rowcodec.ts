/**
 * Between a stored row's Datums and a decoded row object. Field representations are listed in
 * catalog.ts, Datum representations in common/datum.ts.
 */
import type { Datum } from '@pgtroupe/common/datum';
import type { TransactionId } from '@pgtroupe/common/ids';
import {
  CHAR_ELEMENT,
  decodeArray,
  decodeTextArray,
  encodeArray,
  encodeTextArray,
  FLOAT4_ELEMENT,
  INT2_ELEMENT,
  OID_ELEMENT,
} from './arrays.ts';
import { decodeAcl, encodeAcl } from './acl.ts';
import type { AclItem, Catalog, CatalogRow, ColumnType, ItemPointer } from './catalog.ts';

function utf8(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8');
}

/** Row field from Datum. Bytes are copied, since the Datum may be a view of a page. */
export function decodeField(type: ColumnType, datum: Datum): unknown {
  if (datum === null) return null;
  switch (type) {
    case 'char':
      return datum === 0 ? '' : String.fromCharCode((datum as number) & 0xff);
    case 'name':
    case 'text':
    case 'pg_node_tree':
      return utf8(datum as Uint8Array);
    case 'int2vector':
    case '_int2':
      return decodeArray(INT2_ELEMENT, datum as Uint8Array);
    case 'oidvector':
    case '_oid':
      return decodeArray(OID_ELEMENT, datum as Uint8Array);
    case '_float4':
      return decodeArray(FLOAT4_ELEMENT, datum as Uint8Array);
    case '_char':
      return decodeArray(CHAR_ELEMENT, datum as Uint8Array);
    case '_text':
      return decodeTextArray(datum as Uint8Array);
    case '_aclitem':
      return decodeAcl(datum as Uint8Array);
    default:
      return datum instanceof Uint8Array ? datum.slice() : datum;
  }
}

/** Datum from row field. */
export function encodeField(type: ColumnType, value: unknown): Datum {
  if (value === null || value === undefined) return null;
  switch (type) {
    case 'char':
      return value === '' ? 0 : ((value as string).charCodeAt(0) << 24) >> 24;
    case 'name':
    case 'text':
    case 'pg_node_tree':
      return Buffer.from(value as string, 'utf8');
    case 'int2vector':
      return encodeArray(INT2_ELEMENT, value as number[], 0);
    case '_int2':
      return encodeArray(INT2_ELEMENT, value as number[], 1);
    case 'oidvector':
      return encodeArray(OID_ELEMENT, value as number[], 0);
    case '_oid':
      return encodeArray(OID_ELEMENT, value as number[], 1);
    case '_float4':
      return encodeArray(FLOAT4_ELEMENT, value as number[], 1);
    case '_char':
      return encodeArray(CHAR_ELEMENT, value as string[], 1);
    case '_text':
      return encodeTextArray(value as string[]);
    case '_aclitem':
      return encodeAcl(value as AclItem[]);
    default:
      return value as Datum;
  }
}

export function decodeRow<Row extends CatalogRow>(
  catalog: Catalog<Row>,
  values: readonly Datum[],
  ctid?: ItemPointer,
  xmin?: TransactionId,
): Row {
  const row: Record<string, unknown> = {};
  const { columns } = catalog;
  for (let i = 0; i < columns.length; i++) row[columns[i]!.name] = decodeField(columns[i]!.type, values[i] ?? null);
  if (ctid !== undefined) row['ctid'] = ctid;
  if (xmin !== undefined) row['xmin'] = xmin;
  return row as unknown as Row;
}

export function encodeRow<Row extends CatalogRow>(catalog: Catalog<Row>, row: Row): Datum[] {
  const fields = row as unknown as Readonly<Record<string, unknown>>;
  return catalog.columns.map(column => encodeField(column.type, fields[column.name]));
}
