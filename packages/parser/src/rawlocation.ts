/**
 * Raw trees: where an expression begins, and whether two are the same but for their place.
 */
import type { RawNode } from '@pgtroupe/nodes/rawnodes';

function leftmost(a: number, b: number): number {
  if (a < 0) return b;
  return b < 0 ? a : Math.min(a, b);
}

/** Byte offset of the leftmost token, -1 if unknown. Also for lists. */
export function rawLocation(node: RawNode | readonly RawNode[] | null | undefined): number {
  if (node === null || node === undefined) return -1;
  if (Array.isArray(node)) {
    for (const item of node as readonly RawNode[]) {
      const location = rawLocation(item);
      if (location >= 0) return location;
    }
    return -1;
  }
  const raw = node as RawNode;
  const own = raw.location ?? 0;
  switch (raw.type) {
    case 'A_Expr':
      return leftmost(own, rawLocation(raw.lexpr));
    case 'FuncCall':
    case 'BoolExpr':
      return leftmost(own, rawLocation(raw.args));
    case 'TypeCast':
      return leftmost(rawLocation(raw.arg), leftmost(raw.typeName?.location ?? -1, own));
    case 'A_Indirection':
    case 'CollateClause':
      return rawLocation(raw.arg);
    case 'SubLink':
      return leftmost(rawLocation(raw.testexpr), own);
    case 'NullTest':
    case 'BooleanTest':
    case 'NamedArgExpr':
      return leftmost(own, rawLocation(raw.arg));
    case 'SortBy':
      return rawLocation(raw.node);
    case 'List':
      return rawLocation(raw.items);
    case 'RangeTableSample':
      return rawLocation(raw.relation);
    default:
      return own;
  }
}

/** Structural equality without locations. */
export function rawEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (a === undefined || b === undefined || a === null || b === null) return false;
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((item, i) => rawEqual(item, b[i]));
  if (typeof a !== 'object' || typeof b !== 'object') return false;
  const x = a as Record<string, unknown>;
  const y = b as Record<string, unknown>;
  const keys = (o: Record<string, unknown>) =>
    Object.keys(o).filter(
      k =>
        k !== 'location' &&
        k !== 'literal' &&
        k !== 'list_start' &&
        k !== 'list_end' &&
        k !== 'rexpr_list_start' &&
        k !== 'rexpr_list_end',
    );
  const kx = keys(x);
  return kx.length === keys(y).length && kx.every(key => rawEqual(x[key], y[key]));
}
