/**
 * PREPARE, EXECUTE and DEALLOCATE: the extended protocol's statements under SQL names.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import type { Datum } from '@pgtroupe/common/datum';
import type { ColumnInfo, PreparedStatement } from '../prepared-statement.ts';
import { executeArguments } from './execute-arguments.ts';
import type { StatementRunner } from '../statement-runner.ts';

export async function prepareStmt(runner: StatementRunner, raw: RawNode, text: string): Promise<string> {
  const name = raw['name'] as string;
  if (runner.statements.has(name)) {
    throw ereport(ERRCODE.DUPLICATE_PSTATEMENT, `prepared statement "${name}" already exists`);
  }
  const types = await runner.analysis.typeNames((raw['argtypes'] as RawNode[] | undefined) ?? [], text);
  await runner.prepare(name, text, raw['query'] as RawNode, types);
  return 'PREPARE';
}

export async function executeStmt(
  runner: StatementRunner,
  raw: RawNode,
  text: string,
  describe: (columns: readonly ColumnInfo[]) => void,
): Promise<string> {
  const { statement, params } = await executedStatement(runner, raw, text);
  if (statement.analyzed.kind === 'query' && statement.analyzed.columns !== undefined)
    describe(statement.analyzed.columns);
  const run = runner.execution.start(statement, params, []);
  try {
    await run.run(0);
    return run.tag;
  } finally {
    run.close();
  }
}

/** What an EXECUTE runs, valid now, and the values of all its parameters. */
export async function executedStatement(
  runner: StatementRunner,
  raw: RawNode,
  text: string,
): Promise<{ readonly statement: PreparedStatement; readonly params: readonly Datum[] }> {
  const statement = runner.statement(raw['name']);
  await runner.analysis.revalidate(statement);
  const params = await executeArguments(runner, statement, (raw['params'] as RawNode[] | undefined) ?? [], text);
  if (statement.analyzed.kind !== 'query') {
    throw ereport(ERRCODE.FEATURE_NOT_SUPPORTED, 'EXECUTE of a utility statement is not supported by pgtroupe yet');
  }
  return { statement, params: [...params, ...statement.literals] };
}

export function executeColumns(runner: StatementRunner, raw: RawNode): readonly ColumnInfo[] | undefined {
  const { analyzed } = runner.statement(raw['name']);
  return analyzed.kind === 'empty' ? undefined : analyzed.columns;
}

export function deallocateStmt(runner: StatementRunner, raw: RawNode): string {
  if (raw['isall'] === true || raw['name'] === undefined) {
    runner.statements.clear();
    return 'DEALLOCATE ALL';
  }
  runner.statement(raw['name']);
  runner.statements.delete(raw['name']);
  return 'DEALLOCATE';
}
