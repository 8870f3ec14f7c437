/**
 * Statements and how long they took (postgres.c, check_log_statement and check_log_duration): log_statement,
 * log_duration, log_min_duration_statement, log_min_duration_sample. Costs a comparison where nothing is to be logged.
 */
import type { Datum } from '@pgtroupe/common/datum';
import { commandLogLevel, logStatementWanted } from '@pgtroupe/commands/commandloglevel';
import { CatalogMiss } from '@pgtroupe/catalog/catalogmiss';
import type { RawNode, RawStmt } from '@pgtroupe/nodes/rawnodes';
import { clipUtf8 } from './parameters.ts';
import type { Portal, PreparedStatement } from './prepared-statement.ts';
import type { Session } from './session.ts';
import type { StatementRunner } from './statement-runner.ts';

export class StatementLog {
  readonly #session: Session;
  readonly #runner: StatementRunner;
  /** Settings it was derived under. */
  #derivedAt = -1;
  #wanted = false;

  constructor(session: Session, runner: StatementRunner) {
    this.#session = session;
    this.#runner = runner;
  }

  /** A message of the client's begins; undefined: there is nothing to log about it. */
  begin(): StatementTiming | undefined {
    return this.#isWanted() ? new StatementTiming(this.#session, this.#runner) : undefined;
  }

  #isWanted(): boolean {
    const { settings } = this.#session;
    if (settings.version !== this.#derivedAt) {
      this.#derivedAt = settings.version;
      this.#wanted =
        settings.string('log_statement') !== 'none' ||
        settings.bool('log_duration') ||
        settings.number('log_min_duration_statement') >= 0 ||
        settings.number('log_min_duration_sample') >= 0;
    }
    return this.#wanted;
  }
}

/** One message on its way. */
class StatementTiming {
  readonly #session: Session;
  readonly #runner: StatementRunner;
  readonly #startedMs: number;
  #logged = false;

  constructor(session: Session, runner: StatementRunner) {
    this.#session = session;
    this.#runner = runner;
    this.#startedMs = session.instance.env.clock.nowMs();
  }

  /** A simple query is about to run. */
  query(stmts: readonly RawStmt[], text: string): void {
    const raws = stmts.map(({ stmt }) => stmt);
    this.statement(
      raws,
      () => queryText(text),
      () => executedDetail(this.#runner, stmts),
    );
  }

  /** It is over. */
  queryDone(stmts: readonly RawStmt[], text: string): void {
    this.done(
      () => queryText(text),
      () => executedDetail(this.#runner, stmts),
    );
  }

  /** Logs what is about to run, if log_statement wants one of these. */
  statement(raws: readonly (RawNode | undefined)[], text: () => string, detail?: () => string | undefined): void {
    const wanted = this.#session.settings.string('log_statement');
    const prepared = (name: string): RawNode | undefined => this.#runner.statements.get(name)?.raw;
    const isWanted = raws.some(raw => raw !== undefined && logStatementWanted(commandLogLevel(raw, prepared), wanted));
    // `all` is all, also what says nothing.
    if (!isWanted && wanted !== 'all') return;
    this.#session.log.say(text(), { detail: detail?.() });
    this.#logged = true;
  }

  /** It is over: logs how long it took, with the statement if that is worth it and was not logged. */
  done(text: () => string, detail?: () => string | undefined): void {
    const { settings, instance } = this.#session;
    const ms = instance.env.clock.nowMs() - this.#startedMs;
    const exceeds = (limit: number): boolean => limit === 0 || (limit > 0 && ms >= limit);
    const rate = settings.number('log_statement_sample_rate');
    const exceeded =
      exceeds(settings.number('log_min_duration_statement')) ||
      (exceeds(settings.number('log_min_duration_sample')) && rate > 0 && instance.env.random.uniform() <= rate);
    if (!exceeded && !settings.bool('log_duration')) return;
    const duration = `duration: ${ms.toFixed(3)} ms`;
    if (exceeded && !this.#logged) this.#session.log.say(`${duration}  ${text()}`, { detail: detail?.() });
    else this.#session.log.say(duration);
  }

  /** Has `done` called when the work is done, not when it failed. */
  around(
    work: Promise<void> | undefined,
    text: () => string,
    detail?: () => string | undefined,
  ): Promise<void> | undefined {
    if (work !== undefined) return work.then(() => this.done(text, detail));
    this.done(text, detail);
    return undefined;
  }
}

const unnamed = (name: string): string => (name === '' ? '<unnamed>' : name);

const queryText = (text: string): string => `statement: ${text}`;

export function parseText(name: string, text: string): string {
  return `parse ${unnamed(name)}: ${text}`;
}

/** `verb`: bind, execute, execute fetch from. */
export function portalText(verb: string, { name, statement }: Pick<Portal, 'name' | 'statement'>): string {
  return `${verb} ${unnamed(statement.name)}${name === '' ? '' : `/${name}`}: ${statement.text}`;
}

/** What EXECUTE runs, if that is among these statements. */
function executedDetail(runner: StatementRunner, stmts: readonly RawStmt[]): string | undefined {
  const execute = stmts.find(({ stmt }) => stmt.type === 'ExecuteStmt')?.stmt;
  const prepared = execute === undefined ? undefined : runner.statements.get(String(execute['name']));
  return prepared === undefined ? undefined : `prepare: ${prepared.text}`;
}

/** `parameters: $1 = '5', $2 = NULL`, values cut at log_parameter_max_length bytes (-1: never). */
export function parametersDetail(
  runner: StatementRunner,
  { paramTypes }: Pick<PreparedStatement, 'paramTypes'>,
  values: readonly Datum[],
): string | undefined {
  const most = runner.session.settings.number('log_parameter_max_length');
  if (most === 0 || paramTypes.length === 0) return undefined;
  const shown = paramTypes.map((type, n) => {
    const value = values[n];
    if (value === null || value === undefined) return `$${n + 1} = NULL`;
    let bytes: Uint8Array;
    try {
      bytes = runner.textOutput(type)(value);
    } catch (error) {
      if (!(error instanceof CatalogMiss)) throw error;
      return `$${n + 1} = (not at hand)`;
    }
    const cut = most >= 0 && bytes.length > most;
    const text = (cut ? clipUtf8(Buffer.from(bytes), most) : Buffer.from(bytes)).toString();
    return `$${n + 1} = '${text.replaceAll("'", "''")}${cut ? '...' : ''}'`;
  });
  return `parameters: ${shown.join(', ')}`;
}
