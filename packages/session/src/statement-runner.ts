/**
 * Runs a session's statements: the simple and the extended protocol (postgres.c).
 *
 * A method returns undefined when it finished at once, or a promise; the session takes no further
 * message until it resolves. What is thrown is the statement's error; the session reports it.
 */
import { type Oid } from '@pgtroupe/common/ids';
import { isUtf8 } from 'node:buffer';
import type { Datum } from '@pgtroupe/common/datum';
import { CatalogMiss } from '@pgtroupe/catalog/catalogmiss';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import { CMD_DELETE, CMD_INSERT, CMD_UPDATE } from '@pgtroupe/nodes/nodes';
import type { BodyReader } from '@pgtroupe/libpq/pqformat';
import { invalidByteSequence } from '@pgtroupe/adt/varlena';
import { BACKEND } from '@pgtroupe/libpq/protocol';
import type { LookedUp, StatementCache } from '@pgtroupe/parser/statement';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { Analysis } from './analysis.ts';
import type { KernelCatalogSource } from './catalog-source.ts';
import type { Login } from './instance.ts';
import { decodeParameters } from './parameters.ts';
import {
  type ColumnInfo,
  formatOf,
  type Portal,
  type PreparedStatement,
  refuseUndetermined,
  unanalyzed,
  withoutLiterals,
} from './prepared-statement.ts';
import type { OutputFunction } from './field-encoder.ts';
import { describeFolded } from './folded-columns.ts';
import { plannerEnv } from './planner-env.ts';
import { QueryExecution, type RunningPortal } from './query-execution.ts';
import type { Session } from './session.ts';
import { SessionFunctions } from './session-functions.ts';
import { endsBlock, endsFailedBlock } from './utility/transaction-stmt.ts';
import { processUtility, utilityEndsTransaction } from './utility/utility.ts';
import type { CommandQuery, CommandRunner } from '@pgtroupe/commands/command-runner';
import type { ExecEnv } from '@pgtroupe/executor/estate';
import { openQuery } from './own-query.ts';
import { SessionToast } from './session-toast.ts';
import { parametersDetail, parseText, portalText, StatementLog } from './statement-log.ts';
import type { ToastReader } from './toast-fetcher.ts';

const TEXT_ONLY: readonly number[] = [];
/** A longer text is parsed beside the main loop. */
const LONG_TEXT_BYTES = 8192;
const STATEMENTS_A_TURN = 32;

export class StatementRunner implements CommandRunner {
  readonly session: Session;
  readonly analysis: Analysis;
  readonly execution: QueryExecution;
  /** What built-in functions know of this session. */
  readonly functions: SessionFunctions;
  /** Reads catalogs of the session's database. */
  readonly source: KernelCatalogSource;
  readonly toast: ToastReader;
  readonly #texts: StatementCache;
  readonly statements = new Map<string, PreparedStatement>();
  readonly portals = new Map<string, Portal>();
  readonly #log: StatementLog;

  constructor(session: Session, login: Login) {
    this.session = session;
    this.source = login.context.source;
    this.#texts = login.context.statements;
    this.functions = new SessionFunctions(session);
    this.analysis = new Analysis(session, login, this.functions);
    this.execution = new QueryExecution(session, this.analysis, this.functions);
    this.toast = new SessionToast(this.source, this.analysis);
    this.#log = new StatementLog(session, this);
    session.block.onEnd = (committed, invals) => this.#transactionEnded(committed, invals);
  }

  // ---- simple protocol ---------------------------------------------------------------------------

  async simpleQuery(bytes: Uint8Array): Promise<void> {
    const { session } = this;
    const timing = this.#log.begin();
    session.log.text = bytes;
    this.statements.delete('');
    this.functions.statements.current = undefined;
    const found = this.#lookUp(bytes);
    const parsed = found instanceof Promise ? await found : found;
    const { stmts } = parsed.statement;
    const text =
      stmts.length === 1 && parsed.literals.values.length === 0 ? parsed.statement.text : Buffer.from(bytes).toString();
    this.functions.beginStatement(text);
    timing?.query(stmts, text);
    if (stmts.length === 0) {
      session.out.begin(BACKEND.EmptyQueryResponse);
      session.out.end();
      timing?.queryDone(stmts, text);
      return;
    }
    for (let n = 0; n < stmts.length; n++) {
      session.checkForInterrupts();
      session.log.running = stmts[n]!.stmt;
      this.#mayRun(stmts[n]!.stmt);
      session.timeouts.statementStarted();
      session.block.startCommand(endsBlock(stmts[n]!.stmt));
      this.#dropUnnamedPortal();
      if (stmts.length > 1) session.block.accompany('query string');
      const statement = unanalyzed(parsed, n, text, { allowParams: false });
      this.functions.statements.current = statement;
      if (!this.analysis.tryAnalyze(statement)) await this.analysis.analyze(statement);
      // A long text has much to analyze, or many statements: neighbours have their turn in between.
      const long = bytes.length >= LONG_TEXT_BYTES && (stmts.length === 1 || n % STATEMENTS_A_TURN === 0);
      if (long) await session.turn();
      const tag = await this.#runToEnd(statement, n === stmts.length - 1, long);
      await session.catchUp();
      session.timeouts.statementEnded();
      this.#commandComplete(tag);
    }
    timing?.queryDone(stmts, text);
  }

  /** The text's statements, parsed unless something of its shape was before. */
  #lookUp(bytes: Uint8Array): LookedUp | Promise<LookedUp> {
    if (!isUtf8(bytes)) throw invalidByteSequence(bytes);
    const { session } = this;
    const conforming = session.settings.bool('standard_conforming_strings');
    const { offLoop } = session.instance;
    if (bytes.length < LONG_TEXT_BYTES || offLoop === undefined) {
      return this.#noticed(this.#texts.lookup(bytes, 0, bytes.length, conforming));
    }
    const elsewhere = async (text: string): Promise<string> => {
      const job = offLoop.start({ task: 'parse', text });
      await this.execution.env.awaitHeavyCall(job);
      return job.json();
    };
    const breathe = (): Promise<void> => session.turn();
    const found = this.#texts.lookupLarge(bytes, conforming, elsewhere, breathe);
    return found.then(parsed => this.#noticed(parsed));
  }

  /** What the lexer has to say, each time. */
  #noticed(found: LookedUp): LookedUp {
    for (const notice of found.statement.notices) this.session.notice('NOTICE', ERRCODE.NAME_TOO_LONG, notice);
    return found;
  }

  /** Runs one statement of a simple query; commits before its tag is known to the client. */
  async #runToEnd(statement: PreparedStatement, last: boolean, long: boolean): Promise<string> {
    const { session } = this;
    const { analyzed } = statement;
    let tag: string;
    if (analyzed.kind === 'utility') {
      tag = await this.functions.statements.utility(statement, () =>
        processUtility(this, analyzed.raw, statement.text, columns => this.rowDescription(columns, TEXT_ONLY)),
      );
      await this.#utilityEnded(analyzed.raw, last);
      return tag;
    }
    if (analyzed.kind !== 'query') return '';
    const run = this.execution.start(statement, statement.literals, TEXT_ONLY);
    try {
      const waiting = run.prepare();
      if (waiting !== undefined) await waiting;
      if (long) await session.turn();
      const { columns } = run;
      if (columns !== undefined) this.rowDescription(columns, TEXT_ONLY);
      await run.run(0);
      tag = run.tag;
    } finally {
      run.close();
    }
    if (last) await session.block.finishCommand();
    else session.block.tx.commandCounterIncrement();
    return tag;
  }

  /** A failed transaction block takes only what ends it, and no parameter values. */
  #mayRun(raw: RawNode | undefined, params = 0): void {
    if (raw?.type === 'TransactionStmt' && raw['kind'] === 'TRANS_STMT_ROLLBACK') this.session.block.forgetLost();
    if (this.session.block.failed && (raw === undefined || params > 0 || !endsFailedBlock(raw))) {
      throw ereport(
        ERRCODE.IN_FAILED_SQL_TRANSACTION,
        'current transaction is aborted, commands ignored until end of transaction block',
      );
    }
  }

  // ---- extended protocol -------------------------------------------------------------------------

  parse(reader: BodyReader): Promise<void> | undefined {
    this.functions.messageArrived();
    const timing = this.#log.begin();
    const name = reader.cstring();
    const bytes = reader.cstringBytes();
    this.session.log.text = bytes;
    this.session.log.running = 'PARSE';
    const givenTypes = Array.from({ length: reader.uint16() }, () => reader.uint32() as Oid);
    reader.done();
    if (name === '') this.statements.delete('');
    else if (this.statements.has(name)) {
      throw ereport(ERRCODE.DUPLICATE_PSTATEMENT, `prepared statement "${name}" already exists`);
    }
    const found = this.#lookUp(bytes);
    const work =
      found instanceof Promise
        ? found.then(parsed => this.#parsed(name, bytes, givenTypes, parsed))
        : this.#parsed(name, bytes, givenTypes, found);
    return timing === undefined ? work : timing.around(work, () => parseText(name, Buffer.from(bytes).toString()));
  }

  #parsed(name: string, bytes: Uint8Array, givenTypes: readonly Oid[], parsed: LookedUp): Promise<void> | undefined {
    const { session } = this;
    if (parsed.statement.stmts.length > 1) {
      throw ereport(ERRCODE.SYNTAX_ERROR, 'cannot insert multiple commands into a prepared statement');
    }
    const raw = parsed.statement.stmts[0]?.stmt;
    if (raw !== undefined) this.#mayRun(raw);
    session.block.startCommand(raw !== undefined && endsBlock(raw));
    const statement = unanalyzed(parsed, 0, Buffer.from(bytes).toString(), { name, givenTypes, allowParams: true });
    if (this.analysis.tryAnalyze(statement)) {
      this.#prepared(statement);
      return undefined;
    }
    return this.analysis.analyze(statement).then(() => this.#prepared(statement));
  }

  #prepared(statement: PreparedStatement): void {
    this.functions.queryString = statement.text;
    refuseUndetermined(statement);
    this.statements.set(statement.name, statement);
    this.#simpleMessage(BACKEND.ParseComplete);
  }

  /** PREPARE: analyzes a statement that is part of another, and keeps it under its name. */
  async prepare(name: string, text: string, raw: RawNode, givenTypes: readonly Oid[]): Promise<PreparedStatement> {
    const statement = unanalyzed(withoutLiterals(raw, text), 0, text, { name, givenTypes, allowParams: true, raw });
    await this.analysis.analyze(statement);
    refuseUndetermined(statement);
    this.statements.set(name, statement);
    return statement;
  }

  bind(reader: BodyReader): Promise<void> | undefined {
    this.functions.messageArrived();
    const timing = this.#log.begin();
    const portalName = reader.cstring();
    const statement = this.statement(reader.cstring());
    this.session.log.text = statement.text;
    this.session.log.running = 'BIND';
    this.functions.queryString = statement.text;
    const { session } = this;
    this.#mayRun(statement.raw, statement.paramTypes.length);
    session.block.startCommand(statement.raw !== undefined && endsBlock(statement.raw));
    const params = decodeParameters(reader, statement, this.execution, portalName);
    const resultFormats = Array.from({ length: reader.uint16() }, () => reader.int16());
    reader.done();
    const finish = (values: readonly Datum[]): void => {
      timing?.done(
        () => portalText('bind', { name: portalName, statement }),
        () => parametersDetail(this, statement, values),
      );
      const columns = statement.analyzed.kind === 'empty' ? 0 : (statement.analyzed.columns?.length ?? 0);
      if (resultFormats.length > 1 && resultFormats.length !== columns) {
        throw ereport(
          ERRCODE.PROTOCOL_VIOLATION,
          `bind message has ${resultFormats.length} result formats but query has ${columns} columns`,
        );
      }
      const old = this.portals.get(portalName);
      if (old !== undefined) {
        if (portalName !== '') throw ereport(ERRCODE.DUPLICATE_CURSOR, `cursor "${portalName}" already exists`);
        this.dropPortal(old);
      }
      this.portals.set(portalName, {
        name: portalName,
        statement,
        params: values,
        resultFormats,
        depth: session.block.running ? session.block.tx.depth : 1,
        state: { kind: 'ready' },
      });
      this.#simpleMessage(BACKEND.BindComplete);
    };
    const stale = this.analysis.revalidate(statement);
    if (stale === undefined && !(params instanceof Promise)) {
      finish(params);
      return undefined;
    }
    return Promise.resolve(stale)
      .then(() => params)
      .then(finish);
  }

  describe(reader: BodyReader): Promise<void> | undefined {
    const what = reader.byte();
    const name = reader.cstring();
    reader.done();
    if (what === 0x53) {
      const statement = this.statement(name);
      const { out, block } = this.session;
      const { analyzed } = statement;
      if (analyzed.kind !== 'empty' && analyzed.columns !== undefined) this.#mayRun(undefined);
      out.begin(BACKEND.ParameterDescription);
      out.int16(statement.paramTypes.length);
      for (const type of statement.paramTypes) out.int32(type);
      out.end();
      if (block.failed) {
        this.#simpleMessage(BACKEND.NoData);
        return undefined;
      }
      block.startCommand();
      const stale = this.analysis.revalidate(statement);
      if (stale !== undefined) return stale.then(() => this.#describeColumns(statement, TEXT_ONLY));
      this.#describeColumns(statement, TEXT_ONLY);
    } else if (what === 0x50) {
      const portal = this.portal(name);
      const { analyzed } = portal.statement;
      if (analyzed.kind !== 'empty' && analyzed.columns !== undefined) this.#mayRun(undefined);
      return this.#describePortal(portal);
    } else throw ereport(ERRCODE.PROTOCOL_VIOLATION, `invalid DESCRIBE message subtype ${what}`);
    return undefined;
  }

  /** As it will run with its parameters' values. */
  #describePortal(portal: Portal): Promise<void> | undefined {
    const { statement, params, resultFormats } = portal;
    const { analyzed } = statement;
    if (analyzed.kind !== 'query' || analyzed.folded === undefined) {
      this.#describeColumns(statement, resultFormats);
      return undefined;
    }
    const unknown = this.execution.unknownParams(statement);
    const all = [...params, ...statement.literals];
    try {
      this.rowDescription(
        describeFolded(analyzed.columns!, analyzed.folded, plannerEnv(this.execution), all, unknown),
        resultFormats,
      );
      return undefined;
    } catch (error) {
      if (!(error instanceof CatalogMiss)) throw error;
      return error.load().then(() => this.#describePortal(portal));
    }
  }

  #describeColumns({ analyzed }: PreparedStatement, formats: readonly number[]): void {
    const columns = analyzed.kind === 'empty' ? undefined : analyzed.columns;
    if (columns === undefined) this.#simpleMessage(BACKEND.NoData);
    else this.rowDescription(columns, formats);
  }

  execute(reader: BodyReader): Promise<void> | undefined {
    const timing = this.#log.begin();
    const name = reader.cstring();
    const maxRows = Math.max(0, reader.int32());
    reader.done();
    const portal = this.portal(name);
    this.session.log.text = portal.statement.text;
    this.session.log.running = portal.statement.raw;
    if (timing === undefined) return this.#execute(portal, maxRows);
    const verb = portal.state.kind === 'suspended' ? 'execute fetch from' : 'execute';
    const text = (): string => portalText(verb, portal);
    const detail = (): string | undefined => parametersDetail(this, portal.statement, portal.params);
    if (portal.statement.raw !== undefined) timing.statement([portal.statement.raw], text, detail);
    return timing.around(this.#execute(portal, maxRows), text, detail);
  }

  #execute(portal: Portal, maxRows: number): Promise<void> | undefined {
    const { statement } = portal;
    const { session } = this;
    const { analyzed } = statement;
    if (analyzed.kind === 'empty') {
      this.#simpleMessage(BACKEND.EmptyQueryResponse);
      return undefined;
    }
    this.#mayRun(statement.raw!);
    this.functions.beginStatement(statement.text, statement);
    if (analyzed.kind === 'utility') return this.#executeUtility(portal, analyzed.raw);
    switch (portal.state.kind) {
      case 'failed':
        throw cannotRun(portal);
      case 'done':
        if (analyzed.columns === undefined) throw cannotRun(portal);
        this.#commandComplete(emptyTag(analyzed.query.commandType));
        return undefined;
      case 'ready': {
        session.block.startCommand();
        const { literals } = statement;
        const params = literals.length === 0 ? portal.params : [...portal.params, ...literals];
        const run = this.execution.start(statement, params, portal.resultFormats);
        return this.#advance(portal, run, maxRows);
      }
      case 'suspended':
        return this.#advance(portal, portal.state.run, maxRows);
    }
  }

  #advance(portal: Portal, run: RunningPortal, maxRows: number): Promise<void> | undefined {
    const settle = (outcome: 'done' | 'suspended'): void => {
      if (outcome === 'suspended') {
        portal.state = { kind: 'suspended', run };
        this.session.block.accompany('pipeline');
        this.#simpleMessage(BACKEND.PortalSuspended);
        return;
      }
      portal.state = { kind: 'done' };
      run.close();
      this.session.timeouts.statementEnded();
      this.#commandComplete(run.tag);
      this.session.block.tx.commandCounterIncrement();
      this.session.block.accompany('pipeline');
    };
    const fail = (error: unknown): never => {
      portal.state = { kind: 'failed' };
      run.close();
      throw error;
    };
    try {
      const outcome = run.run(maxRows);
      if (!(outcome instanceof Promise)) {
        settle(outcome);
        return undefined;
      }
      return outcome.then(settle).catch(fail);
    } catch (error) {
      return fail(error);
    }
  }

  async #executeUtility(portal: Portal, raw: RawNode): Promise<void> {
    if (portal.state.kind !== 'ready') {
      const { analyzed } = portal.statement;
      const tag = portal.state.kind === 'done' ? portal.state.tag : undefined;
      if (analyzed.kind !== 'utility' || analyzed.columns === undefined || tag === undefined) throw cannotRun(portal);
      this.#commandComplete(tag);
      return;
    }
    portal.state = { kind: 'failed' };
    this.session.block.startCommand(endsBlock(raw));
    const { statement, params } = portal;
    const tag = await this.functions.statements.utility(statement, () =>
      processUtility(this, raw, statement.text, () => {}, { types: statement.paramTypes, values: params }),
    );
    await this.#utilityEnded(raw, false);
    portal.state = { kind: 'done', tag };
    this.session.timeouts.statementEnded();
    this.session.block.accompany('pipeline');
    this.#commandComplete(tag);
  }

  /** A utility statement may have left no transaction behind it. */
  async #utilityEnded(raw: RawNode, last: boolean): Promise<void> {
    const { block } = this.session;
    if (!block.running) return;
    if (last || utilityEndsTransaction(raw)) await block.finishCommand();
    else block.tx.commandCounterIncrement();
  }

  close(reader: BodyReader): Promise<void> | undefined {
    const what = reader.byte();
    const name = reader.cstring();
    reader.done();
    if (what === 0x53) this.statements.delete(name);
    else if (what === 0x50) {
      const portal = this.portals.get(name);
      if (portal !== undefined) this.dropPortal(portal);
    } else throw ereport(ERRCODE.PROTOCOL_VIOLATION, `invalid CLOSE message subtype ${what}`);
    this.#simpleMessage(BACKEND.CloseComplete);
    return undefined;
  }

  /** End of a pipeline: what ran without a block commits. */
  sync(): Promise<void> | undefined {
    return this.session.block.indicator === 'I' && this.session.block.running
      ? this.session.block.finishCommand()
      : undefined;
  }

  // ---- names ---------------------------------------------------------------------------------------

  statement(name: string): PreparedStatement {
    const statement = this.statements.get(name);
    if (statement === undefined) {
      throw ereport(
        ERRCODE.INVALID_SQL_STATEMENT_NAME,
        name === '' ? 'unnamed prepared statement does not exist' : `prepared statement "${name}" does not exist`,
      );
    }
    return statement;
  }

  portal(name: string): Portal {
    const portal = this.portals.get(name);
    if (portal === undefined) throw ereport(ERRCODE.INVALID_CURSOR_NAME, `portal "${name}" does not exist`);
    return portal;
  }

  dropPortal(portal: Portal): void {
    if (portal.state.kind === 'suspended') portal.state.run.close();
    portal.state = { kind: 'done' };
    this.portals.delete(portal.name);
  }

  // ---- messages ------------------------------------------------------------------------------------

  rowDescription(columns: readonly ColumnInfo[], formats: readonly number[]): void {
    const { out } = this.session;
    out.begin(BACKEND.RowDescription);
    out.int16(columns.length);
    columns.forEach((column, n) => {
      out.cstring(column.name);
      out.int32(column.tableOid);
      out.int16(column.attnum);
      out.int32(column.typid);
      out.int16(column.typlen);
      out.int32(column.typmod);
      out.int16(formatOf(formats, n));
    });
    out.end();
  }

  #commandComplete(tag: string): void {
    const { out } = this.session;
    out.begin(BACKEND.CommandComplete);
    out.cstring(tag);
    out.end();
  }

  #simpleMessage(type: number): void {
    this.session.out.begin(type);
    this.session.out.end();
  }

  // ---- what commands ask for (CommandRunner) ----------------------------------------------------------

  textOutput(typid: Oid): OutputFunction {
    return this.execution.output(typid, 0);
  }

  execEnv(): ExecEnv {
    const { env } = this.execution;
    env.beginTransaction(this.session.block.tx, this.session.block.isolation);
    return env;
  }

  get hasSuspendedPortal(): boolean {
    return [...this.portals.values()].some(({ state }) => state.kind === 'suspended');
  }

  openQuery(raw: RawNode, text: string): Promise<CommandQuery> {
    return openQuery(this, raw, text);
  }

  // ---- events --------------------------------------------------------------------------------------

  /** How to wake a command that waits for something of its own. */
  interruptible: (() => void) | undefined;

  /** The statement under way shall stop; it looks at session.interrupt wherever it can. */
  interrupted(): void {
    this.interruptible?.();
  }

  /** It lasts until the next simple query. */
  #dropUnnamedPortal(): void {
    const unnamed = this.portals.get('');
    if (unnamed !== undefined) this.dropPortal(unnamed);
  }

  /** Levels of savepoints from `depth` on are undone (1 is the transaction proper): portals of theirs are gone, others go on. */
  levelsUndone(depth: number): void {
    for (const portal of [...this.portals.values()]) if (portal.depth >= depth) this.dropPortal(portal);
  }

  /** Levels deeper than `depth` became part of it. */
  levelsJoined(depth: number): void {
    for (const portal of this.portals.values()) portal.depth = Math.min(portal.depth, depth);
  }

  #transactionEnded(committed: boolean, invals: Uint8Array): void {
    for (const portal of [...this.portals.values()]) this.dropPortal(portal);
    this.functions.uncommittedEnums.clear();
    this.session.settings.transactionEnded(committed);
    this.analysis.transactionEnded(committed, invals);
  }

  discardPlans(): void {
    for (const statement of this.statements.values()) statement.validity = '';
  }

  discardAll(): void {
    for (const portal of [...this.portals.values()]) this.dropPortal(portal);
    this.statements.clear();
  }

  end(): void {
    for (const portal of [...this.portals.values()]) this.dropPortal(portal);
    this.session.block.abandon();
    this.execution.env.temp.close();
    this.execution.env.arena.close();
  }
}

/** Its rows, if it had any, are all sent; it does nothing twice. */
function cannotRun({ name }: Portal): Error {
  return ereport(ERRCODE.OBJECT_NOT_IN_PREREQUISITE_STATE, `portal "${name}" cannot be run`);
}

/** Tag of a portal that has no rows left. */
function emptyTag(commandType: number): string {
  switch (commandType) {
    case CMD_INSERT:
      return 'INSERT 0 0';
    case CMD_UPDATE:
      return 'UPDATE 0';
    case CMD_DELETE:
      return 'DELETE 0';
    default:
      return 'SELECT 0';
  }
}
