/**
 * Rights that a query needs before it runs and that do not stand in its range table: those on functions.
 */
import type { RoleReader } from '@pgtroupe/catalog/aclchk';
import { PROCOID } from '@pgtroupe/catalog/syscache';
import type { Oid } from '@pgtroupe/common/ids';
import { walkChildren } from '@pgtroupe/nodes/nodefuncs';
import type { Node, Query } from '@pgtroupe/nodes/parsenodes';

/** Functions of the query that not everybody may call: those with an access list. May throw CatalogMiss. */
export function guardedFunctions(catalog: RoleReader, query: Query): readonly Oid[] {
  const called = new Set<number>();
  const visit = (node: Node): boolean => {
    if (node.type === 'FuncExpr') called.add(node.funcid);
    else if (node.type === 'Aggref') called.add(node.aggfnoid);
    else if (node.type === 'WindowFunc') called.add(node.winfnoid);
    return walkChildren(node, visit);
  };
  visit(query);
  return ([...called] as Oid[]).filter(oid => (catalog.search(PROCOID, oid)?.proacl ?? null) !== null);
}
