/**
 * COPY FROM STDIN into a table (copyfrom.c): rows are gathered, put onto pages many at a time, then
 * indexed one by one.
 *
 * A row that breaks a constraint ends the command; what was stored goes away with the transaction.
 */
import { isUtf8 } from 'node:buffer';
import { orDetoastMiss } from '@pgtroupe/access/common/detoast';
import { heapGetAttr } from '@pgtroupe/access/common/heaptuple';
import { TOAST_TUPLE_THRESHOLD } from '@pgtroupe/access/heap/heaptoast';
import { BT_DUPLICATE, btInsert, uniqueViolation } from '@pgtroupe/access/nbtree/nbtinsert';
import type { BTIndex } from '@pgtroupe/access/nbtree/btindex';
import { btIndexOf } from '@pgtroupe/catalog/relaccess';
import type { IndexDesc, RelationDesc } from '@pgtroupe/catalog/relcache';
import type { Datum } from '@pgtroupe/common/datum';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported, PgError } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import { MISS } from '@pgtroupe/storage/buffer/pages';
import { BulkInsert } from './bulkinsert.ts';
import { CopyFromParser, type ForcedNulls } from './copyfromparse.ts';
import { invalidByteSequence } from '@pgtroupe/adt/varlena';
import type { CopyOptions } from './copyoptions.ts';
import { NAMESPACEOID } from '@pgtroupe/catalog/syscache';
import { CatalogMiss } from '@pgtroupe/catalog/catalogmiss';
import { withCatalog } from '@pgtroupe/catalog/catalogmiss';
import { type CopyPlace, copyContext } from './copycontext.ts';
import { CopyInStream } from './copyinstream.ts';
import { CopyRules } from './copyrules.ts';
import { CopyTupleFormer, NOT_PLAIN } from './copytuple.ts';
import { type InputFunction, inputFunction } from '@pgtroupe/adt/cache/iofunctions';
import { outputText } from '@pgtroupe/adt/cache/iofunctions';
import type { BackendSession } from './command-runner.ts';
import type { CommandRunner } from './command-runner.ts';

const PROGRESS_COPY_COMMAND_FROM = 1;
export const PROGRESS_COPY_TYPE_PIPE = 3;
/** What `#addRow` answers: the row went into the batch, or its large values must be moved out of it first. */
type Added = { readonly kind: 'added' } | { readonly kind: 'large'; readonly values: readonly Datum[] };
const ADDED: Added = { kind: 'added' };

/** Searched for the end of a line before others have their turn. */
const UNBROKEN_BYTES = 1024 * 1024;

interface OpenIndex {
  readonly desc: IndexDesc;
  readonly tree: BTIndex;
  /** 0-based columns of the table. */
  readonly columns: readonly number[];
}

export async function copyFrom(
  runner: CommandRunner,
  table: RelationDesc,
  columns: readonly number[],
  { options, forced }: { readonly options: CopyOptions; readonly forced: ForcedNulls },
): Promise<string> {
  await withCatalog(() => refuseUnsupported(table));
  if (options.freeze) checkFreeze(runner, table);
  const rules = await CopyRules.of(runner, table, columns);
  const target = await withCatalog(
    () => new CopyTarget(runner, table, columns, { rules, freeze: options.freeze }),
  ).catch((error: unknown) => {
    rules?.close();
    throw error;
  });
  const { session } = runner;
  const stream = new CopyInStream(session, columns.length);
  runner.interruptible = () => stream.interrupt();
  session.progress = () => {
    const params = [stream.bytes, 0, target.rows, 0, PROGRESS_COPY_COMMAND_FROM, PROGRESS_COPY_TYPE_PIPE];
    return { command: 'COPY', relation: table.oid, params };
  };
  try {
    const rows = await target.load(stream, options, forced);
    return `COPY ${rows}`;
  } catch (error) {
    stream.abandon();
    throw target.withContext(error, stream.failure === error);
  } finally {
    runner.interruptible = undefined;
    session.progress = undefined;
    target.close();
  }
}

class CopyTarget {
  readonly #session: BackendSession;
  readonly #functions: CommandRunner['functions'];
  readonly #table: RelationDesc;
  readonly #columns: readonly number[];
  readonly #schema: string;
  readonly #rules: CopyRules | undefined;
  readonly #inputs: readonly InputFunction[];
  readonly #indexes: readonly OpenIndex[];
  readonly #former: CopyTupleFormer;
  readonly #bulk: BulkInsert;
  /** Of each row of the batch. */
  readonly #lines: number[] = [];
  #parser: CopyFromParser | undefined;
  /** Field at work, -1 none; and row of the batch that is being indexed. */
  #field = -1;
  #storing = -1;
  rows = 0;

  constructor(
    runner: CommandRunner,
    table: RelationDesc,
    columns: readonly number[],
    { rules, freeze }: { readonly rules: CopyRules | undefined; readonly freeze: boolean },
  ) {
    const { session, analysis, functions } = runner;
    this.#session = session;
    this.#functions = functions;
    this.#table = table;
    this.#columns = columns;
    this.#schema = analysis.catalog.search(NAMESPACEOID, table.rel.relnamespace)?.nspname ?? '';
    this.#rules = rules;
    this.#inputs = columns.map(n => inputFunction(functions, table.att.attrs[n]!.typid));
    this.#indexes = table.indexes.map(desc => ({
      desc,
      tree: btIndexOf(analysis.catalog, desc, table),
      columns: desc.index.indkey.map(attnum => attnum - 1),
    }));
    this.#former = new CopyTupleFormer(table.att, columns, (parser, field) => {
      this.#field = field;
      const value = this.#input(parser, field);
      this.#field = -1;
      return value;
    });
    this.#bulk = new BulkInsert(runner, table, { freeze });
  }

  close(): void {
    this.#rules?.close();
    this.#bulk.close();
  }

  /** Stores everything the client sends; returns the number of rows. */
  async load(stream: CopyInStream, options: CopyOptions, forced: ForcedNulls): Promise<number> {
    const parser = new CopyFromParser(options);
    this.#parser = parser;
    let header = options.header !== false;
    /** Of a line whose end has not come: nothing gives way for it. */
    let unbroken = 0;
    for (;;) {
      const chunk = await stream.next();
      if (chunk === undefined) parser.endOfInput();
      else {
        unbroken += chunk.length;
        if (unbroken > UNBROKEN_BYTES) {
          unbroken = 0;
          await this.#session.breathe();
        }
        parser.push(chunk);
      }
      while (parser.nextRow()) {
        unbroken = 0;
        if (header) {
          header = false;
          if (options.header === 'match') this.#matchHeader(parser, options.nullText);
          continue;
        }
        parser.forceNulls(forced);
        const ruled = this.#rules === undefined ? undefined : await withCatalog(() => this.#readRow(parser));
        if (ruled !== undefined) await this.#rules!.apply(ruled);
        let added = this.#tryAddRow(parser, ruled);
        if (added instanceof CatalogMiss) {
          await added.load();
          added = await withCatalog(() => this.#addRow(parser, ruled));
        }
        if (added.kind === 'large') {
          await this.#bulk.addLarge(added.values);
          this.#added();
        }
        this.rows++;
        if (this.#bulk.full) await this.#store();
      }
      if (chunk === undefined) break;
    }
    await this.#store();
    return this.rows;
  }

  #matchHeader(parser: CopyFromParser, nullText: Buffer): void {
    const names = this.#columns.map(n => this.#table.att.attrs[n]!.name);
    if (parser.fieldCount !== names.length) {
      throw ereport(
        ERRCODE.BAD_COPY_FILE_FORMAT,
        `wrong number of fields in header line: got ${parser.fieldCount}, expected ${names.length}`,
      );
    }
    names.forEach((name, i) => {
      const found = parser.data.toString('utf8', parser.start[i], parser.end[i]);
      const isNull = parser.isNull[i] === 1;
      if (isNull || found !== name) {
        const got = isNull ? `null value ("${nullText.toString('utf8')}")` : `"${found}"`;
        throw ereport(
          ERRCODE.BAD_COPY_FILE_FORMAT,
          `column name mismatch in header line field ${i + 1}: got ${got}, expected "${name}"`,
        );
      }
    });
  }

  #readRow(parser: CopyFromParser): Datum[] {
    const { attrs } = this.#table.att;
    const fields = this.#columns.length;
    if (parser.fieldCount > fields)
      throw ereport(ERRCODE.BAD_COPY_FILE_FORMAT, 'extra data after last expected column');
    const values = new Array<Datum>(attrs.length).fill(null);
    for (let i = 0; i < fields; i++) {
      const column = this.#columns[i]!;
      if (i >= parser.fieldCount) {
        throw ereport(ERRCODE.BAD_COPY_FILE_FORMAT, `missing data for column "${attrs[column]!.name}"`);
      }
      if (parser.isNull[i] === 1) continue;
      this.#field = i;
      values[column] = this.#input(parser, i);
      this.#field = -1;
    }
    return values;
  }

  /** `#addRow`, or the catalog entry an input function lacked (an enum's labels, a row type). */
  #tryAddRow(parser: CopyFromParser, ruled: Datum[] | undefined): Added | CatalogMiss {
    try {
      return this.#addRow(parser, ruled);
    } catch (error) {
      if (error instanceof CatalogMiss) return error;
      throw error;
    }
  }

  /** `ruled`: the row's values, when the table has rules for them. */
  #addRow(parser: CopyFromParser, ruled: Datum[] | undefined): Added {
    const bulk = this.#bulk;
    const length =
      ruled === undefined ? this.#former.form(parser, bulk.mem, bulk.place, TOAST_TUPLE_THRESHOLD) : NOT_PLAIN;
    if (length === NOT_PLAIN) {
      const values = ruled ?? this.#plainRow(parser);
      if (!bulk.add(values)) return { kind: 'large', values };
    } else bulk.added(length);
    this.#added();
    return ADDED;
  }

  #added(): void {
    this.#lines[this.#bulk.count - 1] = this.#parser!.lineNumber;
  }

  /** The values of a row that the short way did not take, or what is wrong with it. */
  #plainRow(parser: CopyFromParser): Datum[] {
    const values = this.#readRow(parser);
    this.#checkNotNull(values);
    return values;
  }

  #input(parser: CopyFromParser, field: number): Datum {
    const { data } = parser;
    const from = parser.start[field]!;
    const to = parser.end[field]!;
    const att = this.#table.att.attrs[this.#columns[field]!]!;
    const { fn, call, ioparam } = this.#inputs[field]!;
    const bytes = data.subarray(from, to);
    if (!isUtf8(bytes) || bytes.includes(0)) throw invalidByteSequence(bytes);
    return fn(call, bytes, ioparam, att.typmod);
  }

  #checkNotNull(values: readonly Datum[]): void {
    const { attrs } = this.#table.att;
    for (let n = 0; n < attrs.length; n++) {
      const att = attrs[n]!;
      if (!att.notNull || att.dropped || values[n] !== null) continue;
      const row = values.flatMap((value, i) =>
        attrs[i]!.dropped ? [] : [value === null ? 'null' : outputText(this.#functions, attrs[i]!.typid, value)],
      );
      throw ereport(
        ERRCODE.NOT_NULL_VIOLATION,
        `null value in column "${att.name}" of relation "${this.#table.name}" violates not-null constraint`,
        {
          detail: `Failing row contains (${row.join(', ')}).`,
          schema: this.#schema,
          table: this.#table.name,
          column: att.name,
        },
      );
    }
  }

  /** Puts the batch onto pages, then into the indexes. */
  async #store(): Promise<void> {
    await this.#bulk.store();
    for (const index of this.#indexes) await this.#storeIndex(index);
    this.#bulk.clear();
    await this.#session.breathe();
  }

  async #storeIndex({ desc, tree, columns }: OpenIndex): Promise<void> {
    const session = this.#session;
    const { kernel } = session.instance;
    const { mem, layout, heap, context, tuples, blocks, offnums, count } = this.#bulk;
    const { producer } = session.block;
    const keys = new Array<Datum>(columns.length);
    let n = 0;
    await kernel.attempt(
      () => {
        for (; n < count; n++) {
          this.#storing = n;
          if (producer.mustWait) {
            session.checkForInterrupts();
            kernel.pages.want = { kind: 'await', run: () => producer.wait() };
            return MISS;
          }
          const status = orDetoastMiss(() => {
            for (let k = 0; k < columns.length; k++) keys[k] = heapGetAttr(layout, mem, tuples[n]!, columns[k]!);
            return 0;
          });
          if (status === MISS) return MISS;
          const result = btInsert(tree, context, heap, keys, blocks[n]!, offnums[n]!, tree.unique ? 'yes' : 'no');
          if (result < 0) return result;
          if (result === BT_DUPLICATE) throw this.#duplicate(desc, tree, keys);
        }
        this.#storing = -1;
        return 0;
      },
      session.owner,
      () => session.enter(),
    );
  }

  #duplicate(desc: IndexDesc, tree: BTIndex, keys: readonly Datum[]): Error {
    const texts = keys
      .slice(0, tree.nkeyatts)
      .map((key, n) => (key === null ? null : outputText(this.#functions, desc.rel.att.attrs[n]!.typid as Oid, key)));
    return uniqueViolation(tree, this.#schema, texts);
  }

  /** Adds where in the data it happened. `failed`: the client said CopyFail. */
  withContext(error: unknown, failed: boolean): unknown {
    const parser = this.#parser;
    if (!(error instanceof PgError) || error.severity !== 'ERROR' || parser === undefined) return error;
    if (error.sqlstate === ERRCODE.QUERY_CANCELED && !failed) return error;
    return new PgError(error.sqlstate, error.message, {
      ...error.fields,
      where: copyContext(this.#table.name, parser, this.#place(error, parser)),
    });
  }

  #place({ sqlstate }: PgError, { lineNumber, rawLine }: CopyFromParser): CopyPlace {
    if (this.#storing >= 0) return { kind: 'number', line: this.#lines[this.#storing]! };
    if (lineNumber === 0) return { kind: 'number', line: 1 };
    if (sqlstate === ERRCODE.CHARACTER_NOT_IN_REPERTOIRE) {
      // The line may be text and become none by its escapes.
      const text = rawLine !== undefined && isUtf8(rawLine) && !rawLine.includes(0);
      return text ? { kind: 'line' } : { kind: 'number', line: lineNumber };
    }
    if (this.#field < 0) return { kind: 'line' };
    return { kind: 'field', name: this.#table.att.attrs[this.#columns[this.#field]!]!.name, field: this.#field };
  }
}

/** Frozen rows are visible to everybody, old snapshots included: only a file that nobody else can see
 *  yet, and that goes away with this subtransaction, may get them. */
function checkFreeze({ session, hasSuspendedPortal }: CommandRunner, table: RelationDesc): void {
  if (hasSuspendedPortal) {
    throw ereport(
      ERRCODE.INVALID_TRANSACTION_STATE,
      'cannot perform COPY FREEZE because of prior transaction activity',
    );
  }
  if (!session.block.tx.createdHere(table.smgr.rnode)) {
    throw ereport(
      ERRCODE.OBJECT_NOT_IN_PREREQUISITE_STATE,
      'cannot perform COPY FREEZE because the table was not created or truncated in the current subtransaction',
    );
  }
}

/** What COPY FROM cannot do yet, said by name. */
function refuseUnsupported(table: RelationDesc): void {
  if (table.rel.relhastriggers) throw notSupported('COPY FROM into a table with triggers');
  for (const { attgenerated, attisdropped } of table.attributes) {
    if (!attisdropped && attgenerated !== '') throw notSupported('COPY FROM into a table with generated columns');
  }
  for (const { index } of table.indexes) {
    if (index.indexprs !== null || index.indpred !== null) {
      throw notSupported('COPY FROM into a table with an index on expressions or with a predicate');
    }
  }
}
