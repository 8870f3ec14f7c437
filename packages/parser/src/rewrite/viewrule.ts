/**
 * The rule that makes a relation a view: its query with two more range table entries in front, named old and
 * new, which every rule has.
 */
import type { Form_pg_attribute } from '@pgtroupe/catalog/catalogs/pg_attribute';
import type { Form_pg_class } from '@pgtroupe/catalog/catalogs/pg_class';
import { makeRangeTblEntry } from '@pgtroupe/nodes/makefuncs';
import type { Query, RangeTblEntry } from '@pgtroupe/nodes/parsenodes';
import { offsetVarNodes } from './rewriteManip.ts';

/** The query to store in pg_rewrite.ev_action (as a list of one) for a view. */
export function makeViewRule(query: Query, rel: Form_pg_class, attrs: readonly Form_pg_attribute[]): Query {
  const colnames = attrs.map(a => (a.attisdropped ? '' : a.attname));
  const placeholder = (aliasname: string): RangeTblEntry =>
    makeRangeTblEntry({
      alias: { type: 'Alias', aliasname, colnames: [] },
      eref: { type: 'Alias', aliasname, colnames },
      relid: rel.oid,
      relkind: rel.relkind,
      rellockmode: 1,
    });
  const shifted = offsetVarNodes(query, 2);
  return { ...shifted, rtable: [placeholder('old'), placeholder('new'), ...shifted.rtable] };
}
