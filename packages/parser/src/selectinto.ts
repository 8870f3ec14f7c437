/**
 * SELECT … INTO, which is CREATE TABLE AS in other words. The INTO stands in the leftmost of the SELECTs that a set
 * operation joins.
 */
import type { RawNode } from '@pgtroupe/nodes/rawnodes';

export function selectsInto(raw: RawNode): boolean {
  return intoClauseOf(raw) !== undefined;
}

/** The CREATE TABLE AS that a SELECT INTO means; undefined: it is none. */
export function createTableAsOf(raw: RawNode): RawNode | undefined {
  const into = intoClauseOf(raw);
  if (into === undefined) return undefined;
  return {
    type: 'CreateTableAsStmt',
    query: withoutInto(raw),
    into,
    objtype: 'OBJECT_TABLE',
    is_select_into: true,
  };
}

function intoClauseOf(raw: RawNode): RawNode | undefined {
  if (raw.type !== 'SelectStmt') return undefined;
  let leftmost = raw;
  while (leftmost.larg) leftmost = leftmost.larg;
  return leftmost.intoClause;
}

function withoutInto(raw: RawNode): RawNode {
  if (raw.larg) return { ...raw, larg: withoutInto(raw.larg) };
  const { intoClause: _, ...rest } = raw;
  return rest as RawNode;
}
