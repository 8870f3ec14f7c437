/**
 * CREATE TABLE AS and SELECT INTO (createas.c): the table that a query's rows go to, and how they get there.
 */
import { RELNAMENSP } from '@pgtroupe/catalog/syscache';
import { withCatalog } from '@pgtroupe/catalog/catalogmiss';
import type { NewColumn } from '@pgtroupe/catalog/heap';
import type { RelationDesc } from '@pgtroupe/catalog/relcache';
import { createToastTable } from '@pgtroupe/catalog/toasting';
import type { Datum } from '@pgtroupe/common/datum';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import { detach } from '@pgtroupe/executor/batch';
import type { RowSink } from '@pgtroupe/executor/rowsink';
import { exprCollation, exprType, exprTypmod } from '@pgtroupe/nodes/nodefuncs';
import type { TargetEntry } from '@pgtroupe/nodes/primnodes';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { formatType } from '@pgtroupe/parser/format_type';
import { rawStrings } from '@pgtroupe/parser/parse_node';
import { BulkInsert } from './bulkinsert.ts';
import type { CommandContext } from './command-context.ts';
import type { CommandRunner } from './command-runner.ts';
import { transformRelOptions } from './reloptions.ts';
import { createTable, tableNamespace } from './tablecmds.ts';

/** So much is gathered before it is stored, unless the query's batches are larger. */
const GATHERED_ROWS = 1000;
const GATHERED_BYTES = 1 << 20;

/** The CREATE TABLE that an INTO clause means. */
function createStmtOf({ into }: RawNode): RawNode {
  const { rel, options, onCommit, tableSpaceName, accessMethod } = into as RawNode;
  return {
    type: 'CreateStmt',
    relation: rel,
    options,
    oncommit: onCommit,
    tablespacename: tableSpaceName,
    accessMethod,
  };
}

/** CreateTableAsRelExists: fails if there is a relation of that name; true, and a notice, with IF NOT EXISTS. */
export async function intoRelationExists(context: CommandContext, stmt: RawNode): Promise<boolean> {
  const { rel } = stmt.into as RawNode;
  const namespace = await context.creationNamespace(rel);
  if ((await context.w.search(RELNAMENSP, rel.relname as string, namespace)) === null) return false;
  const message = `relation "${rel.relname}" already exists`;
  if (!stmt.if_not_exists) throw ereport(ERRCODE.DUPLICATE_TABLE, message);
  context.notice(`${message}, skipping`, ERRCODE.DUPLICATE_TABLE);
  return true;
}

/** Creates the table that the query's rows go to. */
export async function createIntoRelation(
  context: CommandContext,
  stmt: RawNode,
  targetList: readonly TargetEntry[],
): Promise<RelationDesc> {
  const { w } = context;
  const create = createStmtOf(stmt);
  const columns = await w.read(() => intoColumns(context, targetList, rawStrings(stmt.into.colNames)));
  const relid = await createTable(context, create, await tableNamespace(context, create), columns);
  await createToastTable(w, await w.relation(relid), transformRelOptions(null, create.options, 'toast', 'toast'));
  w.commandCounterIncrement();
  return w.relation(relid);
}

/** `names`: instead of the query's own, as far as they reach. */
function intoColumns(
  { lookup }: CommandContext,
  targetList: readonly TargetEntry[],
  names: readonly string[],
): NewColumn[] {
  const visible = targetList.filter(entry => !entry.resjunk);
  const columns = visible.map(({ expr, resname }, n): NewColumn => {
    const name = names[n] ?? resname ?? '?column?';
    const typid = exprType(expr) as Oid;
    const collation = exprCollation(expr) as Oid;
    if (collation === 0 && lookup.typeIsCollatable(typid)) {
      throw ereport(
        ERRCODE.INDETERMINATE_COLLATION,
        `no collation was derived for column "${name}" with collatable type ${formatType(lookup, typid)}`,
        { hint: 'Use the COLLATE clause to set the collation explicitly.' },
      );
    }
    return { name, typid, typmod: exprTypmod(expr), collation, notNull: false, ndims: 0 };
  });
  if (names.length > visible.length) throw ereport(ERRCODE.SYNTAX_ERROR, 'too many column names were specified');
  return columns;
}

/** Stores a query's rows in a table that is new: it has no indexes and no rules. */
export class IntoRelation implements RowSink {
  readonly taken = 0;
  readonly #runner: CommandRunner;
  readonly #bulk: BulkInsert;
  #rows: Datum[][] = [];
  #bytes = 0;

  static open(runner: CommandRunner, table: RelationDesc): Promise<IntoRelation> {
    return withCatalog(() => new IntoRelation(runner, new BulkInsert(runner, table, { freeze: false })));
  }

  private constructor(runner: CommandRunner, bulk: BulkInsert) {
    this.#runner = runner;
    this.#bulk = bulk;
  }

  rows(readers: readonly ((row: number) => Datum)[], n: number): void {
    const rows: Datum[][] = [];
    let bytes = 0;
    for (let row = 0; row < n; row++) {
      const values = new Array<Datum>(readers.length);
      for (let column = 0; column < readers.length; column++) {
        const value = detach(readers[column]!(row));
        if (value instanceof Uint8Array) bytes += value.length;
        values[column] = value;
      }
      rows.push(values);
    }
    // Not before all of them could be read.
    this.#rows = this.#rows.length === 0 ? rows : this.#rows.concat(rows);
    this.#bytes += bytes;
  }

  ready(): boolean {
    return this.#rows.length < GATHERED_ROWS && this.#bytes < GATHERED_BYTES;
  }

  wait(): Promise<void> {
    return this.flush();
  }

  /** Stores what was gathered. */
  async flush(): Promise<void> {
    const bulk = this.#bulk;
    const rows = this.#rows;
    this.#rows = [];
    this.#bytes = 0;
    for (const values of rows) {
      if (!bulk.add(values)) await bulk.addLarge(values);
      if (bulk.full) await this.#store();
    }
    await this.#store();
  }

  async #store(): Promise<void> {
    await this.#bulk.store();
    this.#bulk.clear();
    await this.#runner.session.breathe();
  }

  close(): void {
    this.#bulk.close();
  }
}
