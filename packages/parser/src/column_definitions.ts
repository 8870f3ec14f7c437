/** Columns that a query gives a function that returns records: FROM f() AS t(a int, b text). */
import type { Oid } from '@pgtroupe/common/ids';
import { RECORDARRAYOID, RECORDOID } from '@pgtroupe/common/oids';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import type { ParseState } from './parse_node.ts';
import type { ResultColumn } from './rowtypes.ts';
import { lookupCollation, typenameType } from './parse_type.ts';

const MAX_HEAP_ATTRIBUTE_NUMBER = 1600;

export function columnDefinitions(pstate: ParseState, coldeflist: readonly RawNode[]): ResultColumn[] {
  if (coldeflist.length > MAX_HEAP_ATTRIBUTE_NUMBER) {
    throw pstate.error(
      ERRCODE.TOO_MANY_COLUMNS,
      `column definition lists can have at most ${MAX_HEAP_ATTRIBUTE_NUMBER} entries`,
      (coldeflist[0] as RawNode).location ?? 0,
    );
  }
  const columns = coldeflist.map((def, i) => {
    const location: number = def.location ?? 0;
    if (def.typeName.setof) {
      throw pstate.error(
        ERRCODE.INVALID_TABLE_DEFINITION,
        `column "${def.colname}" cannot be declared SETOF`,
        location,
      );
    }
    if (coldeflist.findIndex(other => other.colname === def.colname) < i) {
      throw pstate.error(ERRCODE.DUPLICATE_COLUMN, `column name "${def.colname}" specified more than once`);
    }
    const { type, typmod } = typenameType(pstate, def.typeName);
    const collation = columnCollation(pstate, def, type.oid, type.typcollation);
    return { name: def.colname as string, typid: type.oid, typmod, collation, dropped: false };
  });
  for (const { name, typid } of columns) checkColumnType(pstate, name, pstate.catalog.baseType(typid));
  return columns;
}

/** Only records may be anything. */
function checkColumnType(pstate: ParseState, name: string, type: Oid): void {
  if (type === RECORDOID || type === RECORDARRAYOID || pstate.catalog.type(type).typtype !== 'p') return;
  throw ereport(ERRCODE.INVALID_TABLE_DEFINITION, `column "${name}" has pseudo-type ${pstate.typeName(type)}`);
}

/** Collation of a column definition: its COLLATE, else its type's. */
function columnCollation(pstate: ParseState, def: RawNode, type: Oid, typcollation: Oid): Oid {
  let location: number = def.location ?? 0;
  let result = typcollation;
  if (def.collClause) {
    location = def.collClause.location ?? 0;
    result = lookupCollation(pstate, def.collClause.collname, location);
  }
  if (result !== 0 && typcollation === 0) {
    throw pstate.error(
      ERRCODE.DATATYPE_MISMATCH,
      `collations are not supported by type ${pstate.typeName(type)}`,
      location,
    );
  }
  return result;
}
