/**
 * What a column that is added to a relation may be: no pseudo-type, and nothing that the relation's rows are part of.
 */
import { checkAttributeType, type NewColumn } from '@pgtroupe/catalog/heap';
import type { RelationDesc } from '@pgtroupe/catalog/relcache';
import { TYPEOID } from '@pgtroupe/catalog/syscache';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import type { CommandContext } from './command-context.ts';

export async function checkAddedAttribute(
  context: CommandContext,
  rel: RelationDesc,
  column: NewColumn,
): Promise<void> {
  const type = (await context.w.search(TYPEOID, column.typid))!;
  checkAttributeType(column, type);
  await refuseMember(context, column.typid, [rel.rel.reltype]);
}

/** Looks through domains, arrays and row types for the row types that it is already inside of. */
async function refuseMember(context: CommandContext, typid: Oid, containing: readonly Oid[]): Promise<void> {
  const { w } = context;
  if (containing.includes(typid)) {
    const name = await w.read(() => context.parseState().typeName(typid));
    throw ereport(ERRCODE.INVALID_TABLE_DEFINITION, `composite type ${name} cannot be made a member of itself`);
  }
  const type = (await w.search(TYPEOID, typid))!;
  if (type.typtype === 'd') return refuseMember(context, type.typbasetype, containing);
  if (type.typtype === 'c') {
    for (const { attisdropped, atttypid } of (await w.relation(type.typrelid)).attributes)
      if (!attisdropped) await refuseMember(context, atttypid, [...containing, typid]);
  } else if (type.typelem !== 0 && type.typlen === -1) await refuseMember(context, type.typelem, containing);
}
