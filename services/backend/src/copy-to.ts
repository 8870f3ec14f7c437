/**
 * COPY TO STDOUT: a query's rows as lines of CopyData.
 */
import { CSTRINGOID } from '@pgtroupe/common/oids';
import type { Datum } from '@pgtroupe/common/datum';
import type { Oid } from '@pgtroupe/common/ids';
import { BACKEND } from '@pgtroupe/libpq/protocol';
import type { CopyOptions } from '@pgtroupe/commands/copyoptions';
import { copyLine } from '@pgtroupe/commands/copytoformat';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { type OutputFunction, outputFunction } from '@pgtroupe/adt/cache/typcache';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import { retryCatalog } from './catalog-retry.ts';
import { unanalyzed, withoutLiterals } from './prepared-statement.ts';
import type { RowSink } from './query-execution.ts';
import type { Session } from './session.ts';
import type { StatementRunner } from './statement-runner.ts';

export async function copyTo(
  runner: StatementRunner,
  source: RawNode,
  options: CopyOptions,
  text: string,
): Promise<string> {
  const { session, analysis, execution, functions } = runner;
  const statement = unanalyzed(withoutLiterals(source, text), 0, text, { allowParams: false, raw: source });
  await analysis.analyze(statement);
  const { analyzed } = statement;
  if (analyzed.kind !== 'query' || analyzed.columns === undefined)
    throw ereport(ERRCODE.FEATURE_NOT_SUPPORTED, 'COPY query must have a RETURNING clause');
  const { columns } = analyzed;
  const outputs = await retryCatalog(() =>
    columns.map(({ typid }) => outputFunction(functions.call([typid as Oid], CSTRINGOID), typid as Oid)),
  );
  if (options.forceQuote !== 'all') checkForceQuote(options.forceQuote, columns);
  const forceQuote = columns.map(({ name }) => options.forceQuote === 'all' || options.forceQuote.includes(name));
  const { out } = session;
  out.begin(BACKEND.CopyOutResponse);
  out.byte(0);
  out.int16(columns.length);
  for (let n = 0; n < columns.length; n++) out.int16(0);
  out.end();
  const lines = new CopyLines(session, options, outputs, forceQuote);
  if (options.header !== false) lines.header(columns.map(({ name }) => Buffer.from(name)));
  const run = execution.startInto(statement, lines);
  try {
    await run.run(0);
  } finally {
    run.close();
  }
  out.begin(BACKEND.CopyDone);
  out.end();
  return `COPY ${run.rows}`;
}

function checkForceQuote(names: readonly string[], columns: readonly { readonly name: string }[]): void {
  names.forEach((name, i) => {
    if (!columns.some(column => column.name === name))
      throw ereport(ERRCODE.UNDEFINED_COLUMN, `column "${name}" does not exist`);
    if (names.indexOf(name) !== i) throw ereport(ERRCODE.DUPLICATE_COLUMN, `column "${name}" specified more than once`);
  });
}

class CopyLines implements RowSink {
  taken = 0;
  readonly #session: Session;
  readonly #options: CopyOptions;
  readonly #outputs: readonly OutputFunction[];
  readonly #forceQuote: readonly boolean[];

  constructor(
    session: Session,
    options: CopyOptions,
    outputs: readonly OutputFunction[],
    forceQuote: readonly boolean[],
  ) {
    this.#session = session;
    this.#options = options;
    this.#outputs = outputs;
    this.#forceQuote = forceQuote;
  }

  /** Names are quoted only where they must be. */
  header(names: readonly Uint8Array[]): void {
    const { out } = this.#session;
    out.begin(BACKEND.CopyData);
    copyLine(out, this.#options, names, []);
    out.end();
  }

  line(values: readonly (Uint8Array | null)[]): void {
    const { out } = this.#session;
    out.begin(BACKEND.CopyData);
    copyLine(out, this.#options, values, this.#forceQuote);
    out.end();
  }

  rows(readers: readonly ((row: number) => Datum)[], n: number): void {
    for (let row = 0; row < n; row++) {
      this.taken = row;
      this.line(
        this.#outputs.map((output, column) => {
          const value = readers[column]!(row);
          return value === null ? null : output(value);
        }),
      );
    }
  }

  ready(): boolean {
    return this.#session.writeSome();
  }

  wait(): Promise<void> {
    return this.#session.untilDrained();
  }
}
