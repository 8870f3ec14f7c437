/**
 * COPY TO STDOUT: a query's rows as lines of CopyData.
 */
import { CatalogMiss, withCatalog } from '@pgtroupe/catalog/catalogmiss';
import type { Datum } from '@pgtroupe/common/datum';
import type { Oid } from '@pgtroupe/common/ids';
import { BACKEND } from '@pgtroupe/libpq/protocol';
import type { CopyOptions } from './copyoptions.ts';
import { copyLine, FormattedField, formatLarge, isLargeField } from './copytoformat.ts';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { selectsInto } from '@pgtroupe/parser/selectinto';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { RowSink } from '@pgtroupe/executor/rowsink';
import type { OutputFunction } from '@pgtroupe/adt/cache/typcache';
import { PROGRESS_COPY_TYPE_PIPE } from './copyfrom.ts';
import type { BackendSession, CommandRunner } from './command-runner.ts';

/** What is to be copied; `relation` 0: a query's rows. */
export interface CopySource {
  readonly source: RawNode;
  readonly relation: Oid;
}

const PROGRESS_COPY_COMMAND_TO = 2;
const COPY_DATA_HEADER_BYTES = 5;

export async function copyTo(
  runner: CommandRunner,
  { source, relation }: CopySource,
  options: CopyOptions,
  text: string,
): Promise<string> {
  const { session } = runner;
  if (selectsInto(source)) throw ereport(ERRCODE.FEATURE_NOT_SUPPORTED, 'COPY (SELECT INTO) is not supported');
  const query = await runner.openQuery(source, text);
  const { columns } = query;
  if (columns === undefined) throw ereport(ERRCODE.FEATURE_NOT_SUPPORTED, 'COPY query must have a RETURNING clause');
  const outputs = await withCatalog(() => columns.map(({ typid }) => runner.textOutput(typid as Oid)));
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
  session.progress = () => {
    const params = [lines.bytes, 0, lines.count, 0, PROGRESS_COPY_COMMAND_TO, PROGRESS_COPY_TYPE_PIPE];
    return { command: 'COPY', relation, params };
  };
  let rows: number;
  try {
    rows = await query.run(lines);
  } finally {
    session.progress = undefined;
  }
  out.begin(BACKEND.CopyDone);
  out.end();
  return `COPY ${rows}`;
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
  /** Lines and bytes that were made, without headers of messages. */
  count = 0;
  bytes = 0;
  readonly #session: BackendSession;
  readonly #options: CopyOptions;
  readonly #outputs: readonly OutputFunction[];
  readonly #forceQuote: readonly boolean[];
  /** Large fields of the line at work: a line that waits for one is begun again. */
  readonly #large = new Map<number, { readonly text: Uint8Array; readonly field: FormattedField }>();

  constructor(
    session: BackendSession,
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

  #line(values: readonly (Uint8Array | FormattedField | null)[]): void {
    const { out } = this.#session;
    const before = out.pendingBytes;
    out.begin(BACKEND.CopyData);
    copyLine(out, this.#options, values, this.#forceQuote);
    out.end();
    this.bytes += out.pendingBytes - before - COPY_DATA_HEADER_BYTES;
    this.count++;
  }

  rows(readers: readonly ((row: number) => Datum)[], n: number): void {
    for (let row = 0; row < n; row++) {
      this.taken = row;
      this.#line(
        this.#outputs.map((output, column) => {
          const value = readers[column]!(row);
          if (value === null) return null;
          const text = output(value);
          return isLargeField(text) ? this.#formatted(column, text) : text;
        }),
      );
      this.#large.clear();
    }
  }

  /** Not there yet, as a catalog entry would not be, until it has been made in slices. */
  #formatted(column: number, text: Uint8Array): FormattedField {
    const known = this.#large.get(column);
    if (known?.text === text) return known.field;
    const work = formatLarge(this.#options, text, this.#forceQuote[column] === true);
    throw new CatalogMiss(async () => {
      for (let step = work.next(); ; step = work.next()) {
        if (step.done === true) return void this.#large.set(column, { text, field: step.value });
        await this.#session.breathe();
      }
    });
  }

  ready(): boolean {
    return this.#session.writeSome();
  }

  wait(): Promise<void> {
    return this.#session.untilDrained();
  }
}
