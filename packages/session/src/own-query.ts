/**
 * Queries that a command runs for itself.
 */
import { assert } from '@pgtroupe/common/assert';
import type { CommandQuery } from '@pgtroupe/commands/command-runner';
import type { Datum } from '@pgtroupe/common/datum';
import type { RowSink } from '@pgtroupe/executor/rowsink';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { unanalyzed, withoutLiterals } from './prepared-statement.ts';
import type { StatementRunner } from './statement-runner.ts';

export async function openQuery(runner: StatementRunner, raw: RawNode, text: string): Promise<CommandQuery> {
  const statement = unanalyzed(withoutLiterals(raw, text), 0, text, { allowParams: false, raw });
  await runner.analysis.analyze(statement);
  const { analyzed } = statement;
  assert(analyzed.kind === 'query', 'a command runs only queries');
  return {
    columns: analyzed.columns,
    run: async sink => {
      const run = runner.execution.startInto(statement, sink);
      try {
        await run.run(0);
      } finally {
        run.close();
      }
      return run.rows;
    },
  };
}

class Rows implements RowSink {
  readonly taken = 0;
  readonly found: Datum[][] = [];

  rows(readers: readonly ((row: number) => Datum)[], n: number): void {
    for (let row = 0; row < n; row++) {
      this.found.push(
        readers.map(read => {
          const value = read(row);
          return value instanceof Uint8Array ? value.slice() : value;
        }),
      );
    }
  }

  ready(): boolean {
    return true;
  }

  wait(): Promise<void> {
    return Promise.resolve();
  }
}

/** All of its rows, copied. */
export async function selectAll(
  runner: StatementRunner,
  raw: RawNode,
  text: string,
): Promise<readonly (readonly Datum[])[]> {
  const sink = new Rows();
  await (await openQuery(runner, raw, text)).run(sink);
  return sink.found;
}
