/**
 * Changes to whole queries: renumbering the range table, as when two range tables are joined.
 */
import { mutateChildren } from '@pgtroupe/nodes/nodefuncs';
import type { Node, Query } from '@pgtroupe/nodes/parsenodes';

/** A copy of the query in which every index of its own range table is raised by offset. */
export function offsetVarNodes(query: Query, offset: number): Query {
  const change = (node: Node, level: number): Node => {
    switch (node.type) {
      case 'Var':
        if (node.varlevelsup !== level) return node;
        return {
          ...node,
          varno: node.varno + offset,
          varnosyn: node.varnosyn > 0 ? node.varnosyn + offset : node.varnosyn,
        };
      case 'CurrentOfExpr':
        return level === 0 ? { ...node, cvarno: node.cvarno + offset } : node;
      case 'RangeTblRef':
        return level === 0 ? { ...node, rtindex: node.rtindex + offset } : node;
      case 'JoinExpr': {
        const copy = mutateChildren(node, child => change(child, level));
        return level === 0 && copy.rtindex > 0 ? { ...copy, rtindex: copy.rtindex + offset } : copy;
      }
      case 'RowMarkClause':
        return level === 0 ? { ...node, rti: node.rti + offset } : node;
      case 'OnConflictExpr': {
        const copy = mutateChildren(node, child => change(child, level));
        return level === 0 && copy.exclRelIndex > 0 ? { ...copy, exclRelIndex: copy.exclRelIndex + offset } : copy;
      }
      case 'Query':
        return mutateChildren(node, child => change(child, level + 1));
      default:
        return mutateChildren(node, child => change(child, level));
    }
  };
  const result = mutateChildren(query, child => change(child, 0));
  return { ...result, resultRelation: result.resultRelation > 0 ? result.resultRelation + offset : 0 };
}
