/**
 * Facts about a relation that planning needs: size and indexes (plancat.c).
 */
import { BTREE_AM_OID } from '@pgtroupe/common/oids';
import type { IndexDesc, RelationDesc } from '@pgtroupe/catalog/relcache';
import { BLCKSZ } from '@pgtroupe/common/ids';
import { makeVar } from '@pgtroupe/nodes/makefuncs';
import type { Expr } from '@pgtroupe/nodes/primnodes';
import { typeAvgWidth } from './lsyscache.ts';
import { makeAndsImplicit } from './clauses.ts';
import type { IndexOptInfo, PlannerEnv, PlannerInfo, RelOptInfo } from './pathnodes.ts';
import { mutateExpr } from './var.ts';

const TUPLE_OVERHEAD = 28;

/** Fills in pages, tuples and indexes of a table. */
export function getRelationInfo(root: PlannerInfo, rel: RelOptInfo): void {
  const { env } = root;
  const relation = env.relation(rel.rte!.relid);
  rel.relation = relation;
  const { pages, tuples } = estimateRelationSize(env, relation);
  rel.pages = pages;
  rel.tuples = tuples;
  if (!relation.rel.relhasindex) return;
  for (const index of relation.indexes) {
    if (!index.index.indisvalid || (index.rel.rel.relam as number) !== BTREE_AM_OID) continue;
    if (index.index.indcheckxmin) {
      const may = env.indexCheckXmin(index);
      if (may !== 'everybody') root.glob.transientPlan = true;
      if (may === 'not yet') continue;
    }
    rel.indexes.push(indexInfo(env, rel, index));
  }
}

function estimateRelationSize(env: PlannerEnv, relation: RelationDesc): { pages: number; tuples: number } {
  let pages = env.relationBlocks(relation);
  const { relpages, reltuples } = relation.rel;
  // A table never vacuumed and looking small is expected to grow.
  if (pages < 10 && reltuples < 0) pages = 10;
  if (pages === 0) return { pages, tuples: 0 };
  let density: number;
  if (reltuples >= 0 && relpages > 0) density = reltuples / relpages;
  else {
    let width = TUPLE_OVERHEAD;
    for (const att of relation.att.attrs) if (!att.dropped) width += typeAvgWidth(env.rows, att.typid, att.typmod);
    density = Math.floor((BLCKSZ - 24) / width);
  }
  return { pages, tuples: Math.round(density * pages) };
}

function indexInfo(env: PlannerEnv, rel: RelOptInfo, desc: IndexDesc): IndexOptInfo {
  const { relation } = rel;
  const toThisRel = (expr: Expr): Expr =>
    mutateExpr(expr, n =>
      n.type === 'Var' && n.varno === 1 && n.varlevelsup === 0
        ? { ...n, varno: rel.rtindex, varnosyn: rel.rtindex }
        : undefined,
    ) as Expr;
  const list = (text: string | null): readonly Expr[] => {
    if (text === null) return [];
    const tree = env.stringToExpr(text);
    return (Array.isArray(tree) ? (tree as readonly Expr[]) : makeAndsImplicit(tree as Expr)).map(toThisRel);
  };
  const expressions = [...list(desc.index.indexprs)];
  const keyExprs = desc.keys.map((key): Expr => {
    if (key.attnum === 0) return expressions.shift()!;
    const att = relation!.att.attrs[key.attnum - 1]!;
    return makeVar(rel.rtindex, key.attnum, att.typid, att.typmod, att.collation);
  });
  return {
    desc,
    oid: desc.index.indexrelid,
    unique: desc.index.indisunique,
    immediate: desc.index.indimmediate,
    pages: Math.max(1, Math.ceil((rel.tuples * (16 + keyExprs.length * 8)) / (BLCKSZ * 0.7))),
    keyExprs,
    predicate: list(desc.index.indpred).flatMap(makeAndsImplicit),
    predOk: false,
  };
}
