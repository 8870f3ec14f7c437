/**
 * EXPLAIN: the plan of a statement as text; with ANALYZE it is run, its rows are counted and thrown away.
 */
import { defGetBoolean } from '@pgtroupe/commands/define';
import { VOIDOID } from '@pgtroupe/common/oids';
import { CatalogMiss } from '@pgtroupe/catalog/catalogmiss';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported } from '@pgtroupe/common/ereport';
import { explainPlan, instrument } from '@pgtroupe/executor/explain';
import { errorPosition } from '@pgtroupe/parser/position';
import { createTableAsOf } from '@pgtroupe/parser/selectinto';
import { intoRelationExists } from '@pgtroupe/commands/createas';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { type BoundParameters, type ColumnInfo, unanalyzed, withoutLiterals } from '../prepared-statement.ts';
import type { RowSink } from '@pgtroupe/executor/rowsink';
import { commandTag } from '@pgtroupe/commands/commandtag';
import type { StatementRunner } from '../statement-runner.ts';
import { sendTextRows, textColumns } from './text-rows.ts';

interface Options {
  analyze: boolean;
  verbose: boolean;
  costs: boolean;
  timing: boolean;
  summary: boolean;
}

export function explainColumns(): readonly ColumnInfo[] {
  return textColumns(['QUERY PLAN']);
}

export async function explainStmt(
  runner: StatementRunner,
  raw: RawNode,
  text: string,
  describe: (columns: readonly ColumnInfo[]) => void,
  { types, values }: BoundParameters,
): Promise<string> {
  const { session, analysis, functions, execution } = runner;
  const options = readOptions((raw['options'] as RawNode[] | undefined) ?? [], text);
  const inner = await explained(runner, raw['query'] as RawNode, text, options);
  const statement = unanalyzed(withoutLiterals(inner, text), 0, text, {
    allowParams: types.length > 0,
    givenTypes: types,
    raw: inner,
  });
  const { clock } = session.instance.env;
  const began = clock.nowMs();
  await analysis.analyze(statement);
  if (statement.analyzed.kind !== 'query') throw notSupported(`EXPLAIN ${commandTag(inner)}`);
  const run = execution.startInto(statement, nowhere, values);
  run.explainOnly = !options.analyze;
  try {
    await run.prepare();
    const state = run.state!;
    const planned = clock.nowMs();
    const measured = options.analyze ? instrument([state.root, ...state.est.subplans], () => clock.nowMs()) : undefined;
    if (measured !== undefined) await run.run(0);
    const ended = clock.nowMs();
    for (;;) {
      try {
        const lines = explainPlan(state.plan, functions.call([], VOIDOID), {
          costs: options.costs,
          verbose: options.verbose,
          timing: options.timing,
          ...(measured === undefined ? {} : { measured }),
        });
        const id = options.verbose ? functions.statements.explainedId(statement) : 0n;
        if (id !== 0n) lines.push(`Query Identifier: ${id}`);
        if (options.summary) lines.push(`Planning Time: ${(planned - began).toFixed(3)} ms`);
        if (options.summary && measured !== undefined) lines.push(`Execution Time: ${(ended - planned).toFixed(3)} ms`);
        describe(explainColumns());
        sendTextRows(
          session,
          lines.map(line => [line]),
        );
        return 'EXPLAIN';
      } catch (error) {
        if (!(error instanceof CatalogMiss)) throw error;
        await error.load();
      }
    }
  } finally {
    run.close();
  }
}

/** Of CREATE TABLE AS its query is explained, if the table could be made. */
async function explained(
  { analysis }: StatementRunner,
  query: RawNode,
  text: string,
  { analyze }: Options,
): Promise<RawNode> {
  const into = query.type === 'CreateTableAsStmt' ? query : createTableAsOf(query);
  if (into === undefined) return query;
  if (analyze || into['objtype'] === 'OBJECT_MATVIEW')
    throw notSupported(`EXPLAIN ${analyze ? 'ANALYZE ' : ''}${commandTag(into)}`);
  let exists = false;
  await analysis.changeCatalogs(text, async context => {
    exists = await intoRelationExists(context, into);
  });
  if (exists) throw notSupported(`EXPLAIN ${commandTag(into)} IF NOT EXISTS of a table that is there`);
  return into['query'] as RawNode;
}

const nowhere: RowSink = { rows: () => {}, taken: 0, ready: () => true, wait: () => Promise.resolve() };

function readOptions(list: readonly RawNode[], text: string): Options {
  const given = new Map(list.map(option => [option['defname'] as string, option['arg'] as RawNode | undefined]));
  const at = (name: string): number | undefined =>
    errorPosition(text, Number(list.find(option => option['defname'] === name)?.['location'] ?? -1));
  const flag = (name: string, otherwise: boolean): boolean =>
    given.has(name) ? defGetBoolean(name, given.get(name)) : otherwise;
  for (const name of given.keys()) {
    if (['analyze', 'verbose', 'costs', 'timing', 'summary', 'buffers', 'wal', 'settings', 'format'].includes(name))
      continue;
    throw ereport(ERRCODE.SYNTAX_ERROR, `unrecognized EXPLAIN option "${name}"`, { position: at(name) });
  }
  const format = given.has('format') ? String(given.get('format')?.['sval'] ?? '') : 'text';
  if (!['text', 'xml', 'json', 'yaml'].includes(format))
    throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `unrecognized value for EXPLAIN option "format": "${format}"`, {
      position: at('format'),
    });
  if (format !== 'text') throw notSupported(`EXPLAIN (FORMAT ${format})`);
  const analyze = flag('analyze', false);
  if (!analyze && given.has('timing') && flag('timing', false))
    throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, 'EXPLAIN option TIMING requires ANALYZE');
  return {
    analyze,
    verbose: flag('verbose', false),
    costs: flag('costs', true),
    timing: flag('timing', analyze),
    summary: flag('summary', analyze),
  };
}
