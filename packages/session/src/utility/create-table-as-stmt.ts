/**
 * CREATE TABLE AS and SELECT INTO: the query is prepared, then the table made, then the rows stored.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported } from '@pgtroupe/common/ereport';
import { assert } from '@pgtroupe/common/assert';
import type { Datum } from '@pgtroupe/common/datum';
import { CMD_SELECT } from '@pgtroupe/nodes/nodes';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { commandTag } from '@pgtroupe/commands/commandtag';
import { createIntoRelation, IntoRelation, intoRelationExists } from '@pgtroupe/commands/createas';
import { preventIfReadOnly } from '@pgtroupe/commands/read-only';
import type { RelationDesc } from '@pgtroupe/catalog/relcache';
import type { RowSink } from '@pgtroupe/executor/rowsink';
import { type BoundParameters, type PreparedStatement, unanalyzed, withoutLiterals } from '../prepared-statement.ts';
import type { StatementRunner } from '../statement-runner.ts';
import { executedStatement } from './prepare-stmt.ts';

interface Source {
  readonly statement: PreparedStatement;
  readonly params: readonly Datum[];
}

export async function createTableAsStmt(
  runner: StatementRunner,
  raw: RawNode,
  text: string,
  parameters: BoundParameters,
): Promise<string> {
  const { session, analysis } = runner;
  const tag = commandTag(raw);
  if (raw['objtype'] === 'OBJECT_MATVIEW') throw notSupported(tag);
  preventIfReadOnly(session.block, tag);
  const query = raw['query'] as RawNode;
  // EXECUTE is looked at when it is run; everything else when it is parsed.
  const analyzed = query.type === 'ExecuteStmt' ? undefined : await analyzeQuery(runner, query, text, parameters);
  let exists = false;
  await analysis.changeCatalogs(text, async context => {
    exists = await intoRelationExists(context, raw);
  });
  if (exists) return tag;
  const source = analyzed ?? (await executedStatement(runner, query, text));
  const { statement } = source;
  assert(statement.analyzed.kind === 'query', 'what CREATE TABLE AS stores are the rows of a query');
  if (statement.analyzed.query.commandType !== CMD_SELECT)
    throw ereport(ERRCODE.WRONG_OBJECT_TYPE, 'prepared statement is not a SELECT');
  const { targetList } = statement.analyzed.source;
  let table!: RelationDesc;
  const create = (): Promise<void> =>
    analysis.changeCatalogs(text, async context => {
      table = await createIntoRelation(context, raw, targetList);
    });
  if ((raw['into'] as RawNode)['skipData'] !== true)
    return `SELECT ${await storeRows(runner, source, create, () => table)}`;
  await create();
  return query.type === 'ExecuteStmt' ? 'SELECT 0' : tag;
}

async function analyzeQuery(
  { analysis }: StatementRunner,
  query: RawNode,
  text: string,
  { types, values }: BoundParameters,
): Promise<Source> {
  const statement = unanalyzed(withoutLiterals(query, text), 0, text, {
    allowParams: types.length > 0,
    givenTypes: types,
    raw: query,
  });
  await analysis.analyze(statement);
  return { statement, params: values };
}

/** The query does not see what CREATE TABLE changes: its snapshot is from before. Answers the number of rows. */
async function storeRows(
  runner: StatementRunner,
  { statement, params }: Source,
  create: () => Promise<void>,
  table: () => RelationDesc,
): Promise<number> {
  const { execution, session } = runner;
  let into: IntoRelation | undefined;
  const sink: RowSink = {
    taken: 0,
    rows: (readers, n) => into!.rows(readers, n),
    ready: () => into!.ready(),
    wait: () => into!.wait(),
  };
  const run = execution.startInto(statement, sink, params);
  try {
    await run.prepare();
    await create();
    into = await IntoRelation.open(runner, table());
    session.enter();
    await run.run(0);
    await into.flush();
    return run.rows;
  } finally {
    into?.close();
    run.close();
  }
}
