/**
 * What each place of a query is called, and what may not appear there. The words are PostgreSQL's:
 * each is used in messages like "aggregate functions are not allowed in WHERE".
 */
import type { ParseExprKind } from './parse_node.ts';

interface KindNames {
  /** ParseExprKindName: how the place is called in general. */
  readonly name: string;
  /** The noun used for aggregates, window functions and set-returning functions where it differs. */
  readonly place?: string;
  /** "cannot use subquery in …". */
  readonly noSubquery?: string;
}

const KINDS: Readonly<Record<ParseExprKind, KindNames>> = {
  NONE: { name: 'invalid expression context' },
  OTHER: { name: 'extension expression' },
  JOIN_ON: { name: 'JOIN/ON', place: 'JOIN conditions' },
  JOIN_USING: { name: 'JOIN/USING', place: 'JOIN conditions' },
  FROM_SUBSELECT: { name: 'sub-SELECT in FROM' },
  FROM_FUNCTION: { name: 'function in FROM', place: 'functions in FROM' },
  WHERE: { name: 'WHERE' },
  POLICY: { name: 'POLICY', place: 'policy expressions' },
  HAVING: { name: 'HAVING' },
  FILTER: { name: 'FILTER' },
  WINDOW_PARTITION: { name: 'window PARTITION BY' },
  WINDOW_ORDER: { name: 'window ORDER BY' },
  WINDOW_FRAME_RANGE: { name: 'window RANGE', place: 'window RANGE' },
  WINDOW_FRAME_ROWS: { name: 'window ROWS', place: 'window ROWS' },
  WINDOW_FRAME_GROUPS: { name: 'window GROUPS', place: 'window GROUPS' },
  SELECT_TARGET: { name: 'SELECT' },
  INSERT_TARGET: { name: 'INSERT' },
  UPDATE_SOURCE: { name: 'UPDATE' },
  UPDATE_TARGET: { name: 'UPDATE' },
  MERGE_WHEN: { name: 'MERGE WHEN', place: 'MERGE WHEN conditions' },
  GROUP_BY: { name: 'GROUP BY' },
  ORDER_BY: { name: 'ORDER BY' },
  DISTINCT_ON: { name: 'DISTINCT ON' },
  LIMIT: { name: 'LIMIT' },
  OFFSET: { name: 'OFFSET' },
  RETURNING: { name: 'RETURNING' },
  VALUES: { name: 'VALUES' },
  VALUES_SINGLE: { name: 'VALUES' },
  CHECK_CONSTRAINT: { name: 'CHECK', place: 'check constraints', noSubquery: 'check constraint' },
  DOMAIN_CHECK: { name: 'CHECK', place: 'check constraints', noSubquery: 'check constraint' },
  COLUMN_DEFAULT: { name: 'DEFAULT', place: 'DEFAULT expressions', noSubquery: 'DEFAULT expression' },
  FUNCTION_DEFAULT: { name: 'DEFAULT', place: 'DEFAULT expressions', noSubquery: 'DEFAULT expression' },
  INDEX_EXPRESSION: { name: 'index expression', place: 'index expressions', noSubquery: 'index expression' },
  INDEX_PREDICATE: { name: 'index predicate', place: 'index predicates', noSubquery: 'index predicate' },
  STATS_EXPRESSION: {
    name: 'statistics expression',
    place: 'statistics expressions',
    noSubquery: 'statistics expression',
  },
  ALTER_COL_TRANSFORM: { name: 'USING', place: 'transform expressions', noSubquery: 'transform expression' },
  EXECUTE_PARAMETER: { name: 'EXECUTE', place: 'EXECUTE parameters', noSubquery: 'EXECUTE parameter' },
  TRIGGER_WHEN: { name: 'WHEN', place: 'trigger WHEN conditions', noSubquery: 'trigger WHEN condition' },
  PARTITION_BOUND: { name: 'partition bound', place: 'partition bound', noSubquery: 'partition bound' },
  PARTITION_EXPRESSION: {
    name: 'PARTITION BY',
    place: 'partition key expressions',
    noSubquery: 'partition key expression',
  },
  CALL_ARGUMENT: { name: 'CALL', place: 'CALL arguments', noSubquery: 'CALL argument' },
  COPY_WHERE: { name: 'WHERE', place: 'COPY FROM WHERE conditions', noSubquery: 'COPY FROM WHERE condition' },
  GENERATED_COLUMN: {
    name: 'GENERATED AS',
    place: 'column generation expressions',
    noSubquery: 'column generation expression',
  },
  CYCLE_MARK: { name: 'CYCLE' },
};

export function parseExprKindName(kind: ParseExprKind): string {
  return KINDS[kind].name;
}

const AGGREGATES_ALLOWED: ReadonlySet<ParseExprKind> = new Set([
  'OTHER',
  'HAVING',
  'WINDOW_PARTITION',
  'WINDOW_ORDER',
  'SELECT_TARGET',
  'ORDER_BY',
  'DISTINCT_ON',
]);

/** Where aggregates are refused: the words after "are not allowed in"; null where they are allowed. */
export function aggregateForbiddenPlace(kind: ParseExprKind): string | null {
  if (AGGREGATES_ALLOWED.has(kind)) return null;
  if (kind === 'FROM_SUBSELECT') return 'FROM clause of their own query level';
  return KINDS[kind].place ?? KINDS[kind].name;
}

const WINDOW_FUNCTIONS_ALLOWED: ReadonlySet<ParseExprKind> = new Set([
  'OTHER',
  'SELECT_TARGET',
  'ORDER_BY',
  'DISTINCT_ON',
]);

export function windowFunctionForbiddenPlace(kind: ParseExprKind): string | null {
  if (WINDOW_FUNCTIONS_ALLOWED.has(kind)) return null;
  if (kind.startsWith('WINDOW_')) return 'window definitions';
  return KINDS[kind].place ?? KINDS[kind].name;
}

/** Kinds whose set-returning functions belong to the target list. */
const SRF_IN_TARGET: ReadonlySet<ParseExprKind> = new Set([
  'WINDOW_PARTITION',
  'WINDOW_ORDER',
  'SELECT_TARGET',
  'INSERT_TARGET',
  'GROUP_BY',
  'ORDER_BY',
  'DISTINCT_ON',
  'VALUES_SINGLE',
]);

export type SrfPlacement =
  | { readonly kind: 'target' | 'allowed' | 'top-of-from' }
  | { readonly kind: 'forbidden'; readonly place: string };

export function srfPlacement(kind: ParseExprKind): SrfPlacement {
  if (SRF_IN_TARGET.has(kind)) return { kind: 'target' };
  if (kind === 'OTHER') return { kind: 'allowed' };
  if (kind === 'FROM_FUNCTION') return { kind: 'top-of-from' };
  if (kind.startsWith('WINDOW_FRAME')) return { kind: 'forbidden', place: 'window definitions' };
  return { kind: 'forbidden', place: KINDS[kind].place ?? KINDS[kind].name };
}

/** The words after "cannot use subquery in"; null where subqueries are allowed. */
export function subqueryForbiddenPlace(kind: ParseExprKind): string | null {
  return KINDS[kind].noSubquery ?? null;
}

export function columnRefForbiddenPlace(kind: ParseExprKind): string | null {
  if (kind === 'COLUMN_DEFAULT') return 'DEFAULT expression';
  return kind === 'PARTITION_BOUND' ? 'partition bound expression' : null;
}
