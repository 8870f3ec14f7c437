/**
 * What the planner asks of a session.
 */
import { VOIDOID } from '@pgtroupe/common/oids';
import { CatalogMiss } from '@pgtroupe/catalog/catalogmiss';
import type { RelationDesc } from '@pgtroupe/catalog/relcache';
import type { Datum } from '@pgtroupe/common/datum';
import {
  type FullTransactionId,
  MAIN_FORKNUM,
  type Oid,
  transactionIdPrecedes,
  xidFromFull,
} from '@pgtroupe/common/ids';
import { evaluateConstant } from '@pgtroupe/executor/execConstants';
import { statisticValues } from '@pgtroupe/executor/statisticvalues';
import type { Expr } from '@pgtroupe/nodes/primnodes';
import { stringToNode } from '@pgtroupe/nodes/readfuncs';
import type { PlannerEnv } from '@pgtroupe/optimizer/pathnodes';
import { sqlFunctionBody } from '@pgtroupe/optimizer/sqlfunctions';
import type { Snapshot } from '@pgtroupe/transam/xactview';
import { MISS } from '@pgtroupe/storage/buffer/pages';
import type { QueryExecution } from './query-execution.ts';

/**
 * `snapshot`: what the plan is for; without one it may use no index that not everybody may use. `estimatedParams`: as far as
 * estimates may look at them.
 */
export function plannerEnv(
  execution: QueryExecution,
  snapshot?: Snapshot,
  estimatedParams: readonly (Datum | undefined)[] = [],
): PlannerEnv {
  const { env, session, analysis, functions } = execution;
  const { kernel } = session.instance;
  return {
    enabled: method => session.settings.bool(`enable_${method}`),
    collapseLimit: list => session.settings.number(`${list}_collapse_limit`),
    rows: env.rows,
    relation: oid => env.relation(oid as Oid),
    relationBlocks: (rel: RelationDesc) => {
      const blocks = kernel.pages.nblocks(rel.smgr, MAIN_FORKNUM);
      if (blocks !== MISS) return blocks;
      const { want } = kernel.pages;
      throw new CatalogMiss(() => kernel.satisfy(want, session.owner));
    },
    sqlFunctionBody: (oid, argTypes) =>
      sqlFunctionBody({ catalog: analysis.lookup(), fc: functions.call([], VOIDOID) }, env.rows, oid, argTypes),
    indexCheckXmin: ({ index }) => {
      const precedes = (oldest: number): boolean =>
        index.xmin !== undefined && transactionIdPrecedes(index.xmin, xidFromFull(oldest as FullTransactionId));
      if (precedes(kernel.shared.oldestXmin)) return 'everybody';
      return snapshot !== undefined && precedes(snapshot.xmin) ? 'this snapshot' : 'not yet';
    },
    estimatedParams,
    statisticValues: statisticValues(env.rows, () => functions.call([], VOIDOID)),
    evaluate: expr => evaluateConstant(env, expr),
    stringToExpr: text => stringToNode(text) as Expr | readonly Expr[],
  };
}
