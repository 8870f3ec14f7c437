/** What log_statement counts a statement as (GetCommandLogLevel, utility.c). */
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { selectsInto } from '@pgtroupe/parser/selectinto';
import { defGetBoolean } from './define.ts';

export type LogStmtLevel = 'ddl' | 'mod' | 'all';

const MOD: ReadonlySet<string> = new Set(['InsertStmt', 'DeleteStmt', 'UpdateStmt', 'MergeStmt', 'TruncateStmt']);

/** What neither defines nor changes. */
const ALL: ReadonlySet<string> = new Set([
  'CallStmt',
  'CheckPointStmt',
  'ClosePortalStmt',
  'ConstraintsSetStmt',
  'DeallocateStmt',
  'DeclareCursorStmt',
  'DiscardStmt',
  'DoStmt',
  'FetchStmt',
  'ListenStmt',
  'LoadStmt',
  'LockStmt',
  'NotifyStmt',
  'PLAssignStmt',
  'ReindexStmt',
  'TransactionStmt',
  'UnlistenStmt',
  'VacuumStmt',
  'VariableSetStmt',
  'VariableShowStmt',
]);

/** `prepared` finds what EXECUTE runs. */
export function commandLogLevel(raw: RawNode, prepared: (name: string) => RawNode | undefined): LogStmtLevel {
  const { type } = raw;
  if (MOD.has(type)) return 'mod';
  if (ALL.has(type)) return 'all';
  switch (type) {
    case 'SelectStmt':
      return selectsInto(raw) ? 'ddl' : 'all';
    case 'CopyStmt':
      return raw['is_from'] === true ? 'mod' : 'all';
    case 'PrepareStmt':
      return commandLogLevel(raw['query'] as RawNode, prepared);
    case 'ExecuteStmt': {
      const run = prepared(raw['name'] as string);
      return run === undefined ? 'all' : commandLogLevel(run, prepared);
    }
    case 'ExplainStmt':
      return isAnalyze(raw) ? commandLogLevel(raw['query'] as RawNode, prepared) : 'all';
    default:
      return 'ddl';
  }
}

/** EXPLAIN (ANALYZE …), unless it is turned off in the same breath. */
function isAnalyze(raw: RawNode): boolean {
  const options = (raw['options'] as readonly RawNode[] | undefined) ?? [];
  const analyze = options.findLast(option => option['defname'] === 'analyze');
  return analyze !== undefined && defGetBoolean('analyze', analyze['arg'] as RawNode | undefined);
}

/** Is a statement of this level to be logged? `wanted` is log_statement's value. */
export function logStatementWanted(level: LogStmtLevel, wanted: string): boolean {
  switch (wanted) {
    case 'all':
      return true;
    case 'mod':
      return level !== 'all';
    case 'ddl':
      return level === 'ddl';
    default:
      return false;
  }
}
