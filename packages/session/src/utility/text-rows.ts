/**
 * Results that a command makes up itself: rows of text.
 */
import { TEXTOID } from '@pgtroupe/common/oids';
import { BACKEND } from '@pgtroupe/libpq/protocol';
import type { ColumnInfo } from '../prepared-statement.ts';
import type { Session } from '../session.ts';

export function textColumns(names: readonly string[]): readonly ColumnInfo[] {
  return names.map(name => ({ name, tableOid: 0, attnum: 0, typid: TEXTOID, typlen: -1, typmod: -1 }));
}

export function sendTextRows(session: Session, rows: readonly (readonly string[])[]): void {
  const { out } = session;
  for (const row of rows) {
    out.begin(BACKEND.DataRow);
    out.int16(row.length);
    for (const value of row) {
      const bytes = Buffer.from(value);
      out.int32(bytes.length);
      out.bytes(bytes);
    }
    out.end();
  }
}
