/**
 * FOR UPDATE and its weaker kin: which range table entries they mean, and where they make no sense.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import {
  ACL_SELECT_FOR_UPDATE,
  LCS_FORKEYSHARE,
  LCS_FORNOKEYUPDATE,
  LCS_FORSHARE,
  LCS_FORUPDATE,
  LOCK_WAIT_BLOCK,
  LOCK_WAIT_ERROR,
  LOCK_WAIT_SKIP,
  RTE_CTE,
  RTE_FUNCTION,
  RTE_JOIN,
  RTE_NAMEDTUPLESTORE,
  RTE_RELATION,
  RTE_SUBQUERY,
  RTE_TABLEFUNC,
  RTE_VALUES,
  type LockClauseStrength,
  type LockWaitPolicy,
} from '@pgtroupe/nodes/nodes';
import type { Query, RangeTblEntry } from '@pgtroupe/nodes/parsenodes';
import type { ParseState } from './parse_node.ts';

const STRENGTHS: Readonly<Record<string, LockClauseStrength>> = {
  LCS_FORKEYSHARE,
  LCS_FORSHARE,
  LCS_FORNOKEYUPDATE,
  LCS_FORUPDATE,
};
const POLICIES: Readonly<Record<string, LockWaitPolicy>> = {
  LockWaitBlock: LOCK_WAIT_BLOCK,
  LockWaitSkip: LOCK_WAIT_SKIP,
  LockWaitError: LOCK_WAIT_ERROR,
};

/** Rows of such a query do not correspond to rows of a table. */
function checkSelectLocking(pstate: ParseState, query: Query, lock: string): void {
  const reason = query.setOperations
    ? 'UNION/INTERSECT/EXCEPT'
    : query.distinctClause.length > 0
      ? 'DISTINCT clause'
      : query.groupClause.length > 0 || query.groupingSets.length > 0
        ? 'GROUP BY clause'
        : query.havingQual
          ? 'HAVING clause'
          : query.hasAggs
            ? 'aggregate functions'
            : query.hasWindowFuncs
              ? 'window functions'
              : query.hasTargetSRFs
                ? 'set-returning functions in the target list'
                : null;
  if (reason !== null) throw pstate.error(ERRCODE.FEATURE_NOT_SUPPORTED, `${lock} is not allowed with ${reason}`);
}

const NOT_LOCKABLE: ReadonlyMap<number, string> = new Map([
  [RTE_JOIN, 'a join'],
  [RTE_FUNCTION, 'a function'],
  [RTE_TABLEFUNC, 'a table function'],
  [RTE_VALUES, 'VALUES'],
  [RTE_CTE, 'a WITH query'],
  [RTE_NAMEDTUPLESTORE, 'a named tuplestore'],
]);

export function transformLockingClause(pstate: ParseState, query: Query, locking: RawNode, pushedDown: boolean): void {
  const lock = lockStrengthName(locking);
  checkSelectLocking(pstate, query, lock);
  const lockEntry = (rte: RangeTblEntry, index: number): boolean => {
    if (rte.rtekind === RTE_RELATION) {
      applyLockingClause(query, index, locking, pushedDown);
      rte.requiredPerms |= ACL_SELECT_FOR_UPDATE;
      return true;
    }
    if (rte.rtekind === RTE_SUBQUERY) {
      applyLockingClause(query, index, locking, pushedDown);
      const { lockedRels: _, ...all } = locking;
      transformLockingClause(pstate, rte.subquery as Query, all as RawNode, true);
      return true;
    }
    return false;
  };
  const lockedRels: readonly RawNode[] | undefined = locking.lockedRels;
  if (!lockedRels) {
    query.rtable.forEach((rte, i) => {
      if (rte.inFromCl) lockEntry(rte, i + 1);
    });
    return;
  }
  for (const rel of lockedRels) {
    const location: number = rel.location ?? 0;
    if (rel.catalogname || rel.schemaname) {
      throw pstate.error(ERRCODE.SYNTAX_ERROR, `${lock} must specify unqualified relation names`, location);
    }
    const index = query.rtable.findIndex(rte => rte.inFromCl && lockName(rte) === rel.relname);
    if (index < 0) {
      throw pstate.error(
        ERRCODE.UNDEFINED_TABLE,
        `relation "${rel.relname}" in ${lock} clause not found in FROM clause`,
        location,
      );
    }
    const rte = query.rtable[index] as RangeTblEntry;
    if (!lockEntry(rte, index + 1)) {
      throw pstate.error(
        ERRCODE.FEATURE_NOT_SUPPORTED,
        `${lock} cannot be applied to ${NOT_LOCKABLE.get(rte.rtekind)}`,
        location,
      );
    }
  }
}

/** The name by which FOR UPDATE OF can mean the entry; null for a join without one. */
function lockName(rte: RangeTblEntry): string | null {
  if (rte.rtekind === RTE_JOIN && rte.alias === null) return rte.join_using_alias?.aliasname ?? null;
  return rte.eref.aliasname;
}

function applyLockingClause(query: Query, rti: number, locking: RawNode, pushedDown: boolean): void {
  const strength = STRENGTHS[locking.strength as string] as LockClauseStrength;
  const waitPolicy = POLICIES[locking.waitPolicy as string] as LockWaitPolicy;
  if (!pushedDown) query.hasForUpdate = true;
  const existing = query.rowMarks.find(mark => mark.rti === rti);
  if (existing) {
    // The strongest of several clauses for one table counts.
    existing.strength = Math.max(existing.strength, strength) as LockClauseStrength;
    existing.waitPolicy = Math.max(existing.waitPolicy, waitPolicy) as LockWaitPolicy;
    existing.pushedDown &&= pushedDown;
    return;
  }
  query.rowMarks = [...query.rowMarks, { type: 'RowMarkClause', rti, strength, waitPolicy, pushedDown }];
}

export function lockStrengthName(locking: RawNode): string {
  return LOCK_NAMES[locking.strength as string] ?? 'FOR some';
}

const LOCK_NAMES: Readonly<Record<string, string>> = {
  LCS_FORKEYSHARE: 'FOR KEY SHARE',
  LCS_FORSHARE: 'FOR SHARE',
  LCS_FORNOKEYUPDATE: 'FOR NO KEY UPDATE',
  LCS_FORUPDATE: 'FOR UPDATE',
};
