/**
 * A query that a command runs for itself: all of its rows, copied.
 */
import { assert } from '@pgtroupe/common/assert';
import type { Datum } from '@pgtroupe/common/datum';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { unanalyzed, withoutLiterals } from './prepared-statement.ts';
import type { RowSink } from './query-execution.ts';
import type { StatementRunner } from './statement-runner.ts';

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

export async function selectAll(
  runner: StatementRunner,
  raw: RawNode,
  text: string,
): Promise<readonly (readonly Datum[])[]> {
  const statement = unanalyzed(withoutLiterals(raw, text), 0, text, { allowParams: false, raw });
  await runner.analysis.analyze(statement);
  assert(statement.analyzed.kind === 'query', 'a command runs only queries');
  const sink = new Rows();
  const run = runner.execution.startInto(statement, sink);
  try {
    await run.run(0);
  } finally {
    run.close();
  }
  return sink.found;
}
