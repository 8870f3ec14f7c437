/**
 * A session's statements as pg_stat_statements and query identifiers see them: which are counted, and how long one takes.
 */
import { preloads } from '@pgtroupe/common/guc';
import { cleanQueryText, normalizedText } from '@pgtroupe/parser/normalizequery';
import { jumbleQuery, queryIdOfText } from '@pgtroupe/parser/queryjumble';
import type { Statements, StatementsTold } from '@pgtroupe/adt/pg_stat_statements';
import type { WalProducer } from '@pgtroupe/instance/wal-credit';
import type { PreparedStatement } from './prepared-statement.ts';
import { askStatements, resetStatements } from './session-questions.ts';
import type { Session } from './session.ts';
import type { StatementEntry, StatementKey } from './statement-statistics.ts';

const LIBRARY = 'pg_stat_statements';
/** PGSS_HANDLED_UTILITY: what they run is counted instead. */
const NOT_COUNTED: ReadonlySet<string> = new Set(['ExecuteStmt', 'PrepareStmt', 'DeallocateStmt']);
/** Rows of utility statements that have some. */
const ROWS = /^(?:COPY|FETCH|SELECT) (\d+)$/;

export class SessionStatements implements Statements {
  readonly #session: Session;
  /** Settings it was derived under. */
  #derivedAt = -1;
  #loaded = false;
  #identifies = false;
  #counts = false;
  #countsUtility = false;
  /** What runs, or ran last. */
  current: PreparedStatement | undefined;

  constructor(session: Session) {
    this.#session = session;
  }

  #derive(): void {
    const { settings } = this.#session;
    if (settings.version === this.#derivedAt) return;
    this.#derivedAt = settings.version;
    this.#loaded = preloads(settings.string('shared_preload_libraries'), LIBRARY);
    const wanted = settings.string('compute_query_id');
    this.#identifies = wanted === 'auto' ? this.#loaded : wanted !== 'off';
    this.#counts = this.#loaded && this.#identifies && settings.string('pg_stat_statements.track') !== 'none';
    this.#countsUtility = this.#counts && settings.bool('pg_stat_statements.track_utility');
  }

  // ---- counting --------------------------------------------------------------------------------------

  /** undefined: it is not counted. */
  begin(statement: PreparedStatement): StatementTally | undefined {
    this.#derive();
    return this.#counts ? new StatementTally(this.#session, this, statement) : undefined;
  }

  /** Runs a utility statement, which answers its tag, and counts it if that is wanted. */
  async utility(statement: PreparedStatement, run: () => Promise<string>): Promise<string> {
    this.#derive();
    const { raw } = statement;
    if (!this.#countsUtility || raw === undefined || NOT_COUNTED.has(raw.type)) return run();
    const tally = new StatementTally(this.#session, this, statement);
    tally.begin();
    const tag = await run();
    tally.reached('done', Number(ROWS.exec(tag)?.[1] ?? 0));
    return tag;
  }

  /** Where it is counted for the current user. */
  entryOf(statement: PreparedStatement): StatementEntry {
    const { analyzed } = statement;
    const { instance, database, runner } = this.#session;
    const userid = runner.functions.currentUserId;
    if (analyzed.kind !== 'query') {
      const queryid = this.#utilityId(statement);
      return instance.statements.entry({ userid, dbid: database.oid, queryid }, () => ownText(statement));
    }
    const known = analyzed.entry;
    if (known !== undefined && known.key.userid === userid && !known.gone) return known;
    const key: StatementKey = { userid, dbid: database.oid, queryid: this.#jumble(statement).queryId };
    analyzed.entry = instance.statements.entry(key, () => this.#normalized(statement));
    return analyzed.entry;
  }

  // ---- identifiers -----------------------------------------------------------------------------------

  /** 0 where none is computed. */
  queryId(statement: PreparedStatement | undefined): bigint {
    this.#derive();
    if (!this.#identifies || statement?.raw === undefined || statement.analyzed.kind === 'empty') return 0n;
    return statement.analyzed.kind === 'query' ? this.#jumble(statement).queryId : this.#utilityId(statement);
  }

  /** EXPLAIN tells none that was computed for tests of other things. */
  explainedId(statement: PreparedStatement): bigint {
    return this.#session.settings.string('compute_query_id') === 'regress' ? 0n : this.queryId(statement);
  }

  #jumble(statement: PreparedStatement) {
    const { analyzed } = statement;
    if (analyzed.kind !== 'query') throw new Error('only queries are jumbled');
    return (analyzed.jumble ??= jumbleQuery(analyzed.source, analyzed.literalBase));
  }

  #utilityId(statement: PreparedStatement): bigint {
    return this.#session.instance.statements.idOfText(ownText(statement), queryIdOfText);
  }

  #normalized(statement: PreparedStatement): string {
    const { text, from, length } = placeOf(statement);
    const bytes = Buffer.from(text);
    return normalizedText(bytes, cleanQueryText(bytes, from, length), this.#jumble(statement));
  }

  // ---- asking ----------------------------------------------------------------------------------------

  get loaded(): boolean {
    this.#derive();
    return this.#loaded;
  }

  told(): Promise<StatementsTold> {
    return askStatements(this.#session);
  }

  reset(userid: number, dbid: number, queryid: bigint): Promise<void> {
    return resetStatements(this.#session, { userid, dbid, queryid });
  }
}

/** The text that was parsed, of which literals that are parameters now are only the first ones seen. */
function placeOf({ parsed, index }: PreparedStatement): { text: string; from: number; length: number } {
  const { text, stmts } = parsed.statement;
  const { stmt_location: from, stmt_len: length } = stmts[index]!;
  return { text, from, length };
}

function ownText(statement: PreparedStatement): string {
  const { text, from, length } = placeOf(statement);
  const bytes = Buffer.from(text);
  const { at, end } = cleanQueryText(bytes, from, length);
  return bytes.toString('utf8', at, end);
}

/** One execution on its way. */
export class StatementTally {
  readonly #session: Session;
  readonly #statements: SessionStatements;
  readonly #statement: PreparedStatement;
  #state: 'running' | 'suspended' | 'over' = 'running';
  #startedMs = 0;
  #elapsedMs = 0;
  #rows = 0;
  #records = 0;
  #images = 0;
  #bytes = 0;

  constructor(session: Session, statements: SessionStatements, statement: PreparedStatement) {
    this.#session = session;
    this.#statements = statements;
    this.#statement = statement;
  }

  get #producer(): WalProducer {
    return this.#session.block.producer;
  }

  begin(): void {
    this.#state = 'running';
    const { records, images, loggedBytes } = this.#producer;
    this.#records -= records;
    this.#images -= images;
    this.#bytes -= loggedBytes;
    this.#startedMs = this.#session.instance.env.clock.nowMs();
  }

  /** `rows`: since `begin`. */
  reached<T extends 'done' | 'suspended'>(outcome: T, rows: number): T {
    this.#elapsedMs += this.#session.instance.env.clock.nowMs() - this.#startedMs;
    const { records, images, loggedBytes } = this.#producer;
    this.#records += records;
    this.#images += images;
    this.#bytes += loggedBytes;
    this.#rows += rows;
    this.#state = 'suspended';
    if (outcome === 'done') this.closed();
    return outcome;
  }

  /** The client wants no more of it. One that failed is not counted. */
  closed(): void {
    if (this.#state !== 'suspended') return;
    this.#state = 'over';
    const entry = this.#statements.entryOf(this.#statement);
    entry.add(this.#elapsedMs, this.#rows);
    entry.counts.walRecords += this.#records;
    entry.counts.walImages += this.#images;
    entry.counts.walBytes += this.#bytes;
  }
}
