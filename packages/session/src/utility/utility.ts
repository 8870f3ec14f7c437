/**
 * Utility statements: everything that is not a query (utility.c).
 */
import { notSupported } from '@pgtroupe/common/ereport';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { type BoundParameters, type ColumnInfo, NO_PARAMETERS } from '../prepared-statement.ts';
import type { StatementRunner } from '../statement-runner.ts';
import { alterSystemStmt } from './alter-system-stmt.ts';
import { withCatalog } from '@pgtroupe/catalog/catalogmiss';
import { checkpointStmt } from './checkpoint-stmt.ts';
import { commandTag } from '@pgtroupe/commands/commandtag';
import { copyStmt } from '@pgtroupe/commands/copy';
import { createTableAsStmt } from './create-table-as-stmt.ts';
import { definitionStmt, isDefinition } from './definition-stmt.ts';
import { explainColumns, explainStmt } from './explain-stmt.ts';
import { lockStmt } from './lock-stmt.ts';
import { deallocateStmt, executeColumns, executeStmt, prepareStmt } from './prepare-stmt.ts';
import { sendTextRows, textColumns } from './text-rows.ts';
import { transactionStmt } from './transaction-stmt.ts';
import { vacuumStmt } from '@pgtroupe/commands/vacuum';
import { discardStmt, showColumns, showRows, variableSetStmt } from './variable-stmt.ts';

/** Runs one statement. `describe` is called before the first row of a statement that answers rows (the
 *  simple protocol announces them). Returns the command tag. */
export async function processUtility(
  runner: StatementRunner,
  raw: RawNode,
  text: string,
  describe: (columns: readonly ColumnInfo[]) => void,
  parameters: BoundParameters = NO_PARAMETERS,
): Promise<string> {
  const { session } = runner;
  switch (raw.type) {
    case 'TransactionStmt':
      return transactionStmt(session, raw);
    case 'VariableSetStmt':
      return variableSetStmt(session, raw);
    case 'VariableShowStmt': {
      const rows = await withCatalog(() => showRows(session, raw));
      describe(textColumns(showColumns(raw)));
      sendTextRows(session, rows);
      return 'SHOW';
    }
    case 'DiscardStmt':
      return discardStmt(session, raw);
    case 'PrepareStmt':
      return prepareStmt(runner, raw, text);
    case 'ExecuteStmt':
      return executeStmt(runner, raw, text, describe);
    case 'ExplainStmt':
      return explainStmt(runner, raw, text, describe, parameters);
    case 'CreateTableAsStmt':
      return createTableAsStmt(runner, raw, text, parameters);
    case 'DeallocateStmt':
      return deallocateStmt(runner, raw);
    case 'CopyStmt':
      return copyStmt(runner, raw, text);
    case 'VacuumStmt':
      return vacuumStmt(runner, raw, text);
    case 'AlterSystemStmt':
      return alterSystemStmt(session, raw);
    case 'CheckPointStmt':
      return checkpointStmt(runner);
    case 'LockStmt':
      return lockStmt(runner, raw);
    default:
      if (isDefinition(raw)) return definitionStmt(runner, raw, text);
      throw notSupported(commandTag(raw));
  }
}

/** Result columns, for Describe; undefined: no rows. */
export function utilityColumns(runner: StatementRunner, raw: RawNode): readonly ColumnInfo[] | undefined {
  switch (raw.type) {
    case 'VariableShowStmt':
      return textColumns(showColumns(raw));
    case 'ExplainStmt':
      return explainColumns();
    case 'ExecuteStmt':
      return executeColumns(runner, raw);
    default:
      return undefined;
  }
}

/** Statements whose effect on the transaction is immediate, also inside a pipeline. */
export function utilityEndsTransaction(raw: RawNode): boolean {
  return raw.type === 'TransactionStmt' || raw.type === 'VacuumStmt';
}
