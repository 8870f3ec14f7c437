/**
 * Runs planned queries: the driver of synchronous plan nodes (packages/executor/src).
 *
 * One execution: a snapshot, relation locks, a plan that is still valid, plan states ready to run; then
 * `next` again and again. What a node lacks (MISS) is awaited here, time slices end here (YIELD), and
 * rows leave from here; a client that does not read stops the execution. Everything that is at
 * hand happens without a promise: a cached point select never leaves the synchronous path.
 */
import { CSTRINGOID } from '@pgtroupe/common/oids';
import { CatalogMiss } from '@pgtroupe/catalog/catalogmiss';
import { heapPruneQueued } from '@pgtroupe/access/heap/pruneheap';
import type { Datum } from '@pgtroupe/common/datum';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { Slices } from '@pgtroupe/common/slices';
import type { Oid } from '@pgtroupe/common/ids';
import { BACKEND } from '@pgtroupe/libpq/protocol';
import type { Fold } from '@pgtroupe/executor/execConstants';
import { initPlanInSlices, type QueryState } from '@pgtroupe/executor/execMain';
import { END, MISS, ROW, YIELD } from '@pgtroupe/executor/status';
import {
  CMD_DELETE,
  CMD_INSERT,
  CMD_SELECT,
  CMD_UPDATE,
  LCS_FORKEYSHARE,
  LCS_FORNOKEYUPDATE,
  LCS_FORSHARE,
  LCS_FORUPDATE,
} from '@pgtroupe/nodes/nodes';
import type { Query } from '@pgtroupe/nodes/parsenodes';
import { evalConstExpressions } from '@pgtroupe/optimizer/constfold';
import { planInSlices } from '@pgtroupe/optimizer/planner';
import { magnitudes } from '@pgtroupe/optimizer/selectivity/valueestimates';
import type { PlannedStmt } from '@pgtroupe/optimizer/plannodes';
import { outputFunction, sendFunction } from '@pgtroupe/adt/cache/typcache';
import type { LiveSnapshot } from '@pgtroupe/instance/instance-transactions';
import type { NeededLock } from '@pgtroupe/commands/needed-locks';
import { FIRST_UNPINNED_OBJECT_ID } from '@pgtroupe/catalog/pinned';
import { ROW_EXCLUSIVE_LOCK } from '@pgtroupe/storage/lmgr/locktag';
import type { Analysis } from './analysis.ts';
import { BINARY_FORMAT, type FieldEncoder, fieldEncoder, type OutputFunction } from './field-encoder.ts';
import { describeFolded } from './folded-columns.ts';
import { copyRows, HeldRows } from './held-rows.ts';
import { largeOutput } from './large-output.ts';
import { preventIfReadOnly } from '@pgtroupe/commands/read-only';
import { checkFunctionPermissions, checkRangeTablePermissions } from '@pgtroupe/commands/permissions';
import { guardedFunctions } from './needed-rights.ts';
import { plannerEnv } from './planner-env.ts';
import { type Analyzed, type ColumnInfo, formatOf, type PreparedStatement } from './prepared-statement.ts';
import type { Session } from './session.ts';
import { SessionExecEnv } from './session-exec-env.ts';
import type { StatementTally } from './session-statements.ts';
import type { SessionFunctions } from './session-functions.ts';
import { StatementWork } from './statement-work.ts';
import type { RowSink } from '@pgtroupe/executor/rowsink';

const COMMAND_NAMES: Readonly<Record<number, string>> = {
  [CMD_INSERT]: 'INSERT',
  [CMD_UPDATE]: 'UPDATE',
  [CMD_DELETE]: 'DELETE',
};
const ROW_LOCKS: Readonly<Record<number, string>> = {
  [LCS_FORKEYSHARE]: 'SELECT FOR KEY SHARE',
  [LCS_FORSHARE]: 'SELECT FOR SHARE',
  [LCS_FORNOKEYUPDATE]: 'SELECT FOR NO KEY UPDATE',
  [LCS_FORUPDATE]: 'SELECT FOR UPDATE',
};
const MAX_CUSTOM_PLANS = 5;
/** Plans of one statement for different values. */
const MAX_VARIANTS = 8;
/** States of one plan that wait for its next execution: as many as portals usually run at once. */
const MAX_IDLE = 4;
/** Held rows that are sent before anybody looks whether the client reads. */
const HELD_AT_ONCE = 500;

export type Outcome = 'done' | 'suspended';
type AnalyzedQuery = Extract<Analyzed, { kind: 'query' }>;

/** What is kept with an analyzed query between executions. */
export interface CachedPlan {
  readonly plan: PlannedStmt;
  /** Plans for other values of the parameters, by how many rows they are expected to mean; this one among them. */
  readonly variants: Map<string, CachedPlan>;
  /** Views in it are read with their owners' rights: superusers are judged too. */
  readonly asOwner: boolean;
  readonly guardedFunctions: readonly Oid[];
  /** System catalogs whose rows its INSERT, UPDATE or DELETE changes. */
  readonly changedCatalogs: readonly Oid[];
}

export class QueryExecution {
  readonly session: Session;
  readonly analysis: Analysis;
  readonly functions: SessionFunctions;
  readonly env: SessionExecEnv;

  constructor(session: Session, analysis: Analysis, functions: SessionFunctions) {
    this.session = session;
    this.analysis = analysis;
    this.functions = functions;
    this.env = new SessionExecEnv(session, analysis, functions);
  }

  /** Plan states of this session that no execution uses now, by plan. */
  readonly #idle = new WeakMap<CachedPlan, QueryState[]>();

  takeIdle(plan: CachedPlan): QueryState | undefined {
    return this.#idle.get(plan)?.pop();
  }

  keepIdle(plan: CachedPlan, state: QueryState): void {
    const idle = this.#idle.get(plan);
    if (idle === undefined) this.#idle.set(plan, [state]);
    else if (idle.length < MAX_IDLE) idle.push(state);
  }

  /** How values of a type are written. */
  output(typid: Oid, format: number): OutputFunction {
    const { functions, env } = this;
    const call = functions.call([typid], CSTRINGOID);
    if (format === BINARY_FORMAT) return sendFunction(call, typid);
    const { typoutput } = functions.lookup.type(typid)!;
    return largeOutput(env, typoutput, call, outputFunction(call, typid));
  }

  /**
   * How many of a statement's parameters its plan is good for any values of. As PostgreSQL's plan cache does: the first
   * executions are planned for the client's parameters.
   */
  unknownParams({ paramTypes, customPlans }: PreparedStatement): number {
    const mode = this.session.settings.string('plan_cache_mode');
    const generic = mode === 'auto' ? customPlans >= MAX_CUSTOM_PLANS : mode === 'force_generic_plan';
    return generic ? paramTypes.length : 0;
  }

  /** An execution whose rows become DataRow messages. */
  start(statement: PreparedStatement, params: readonly Datum[], formats: readonly number[]): RunningPortal {
    const portal = new RunningPortal(
      this,
      statement,
      params,
      encoders => new DataRows(this.session, encoders),
      formats,
    );
    portal.tally = this.functions.statements.begin(statement);
    return portal;
  }

  /** An execution with a sink of its own, rows as text. */
  startInto(statement: PreparedStatement, sink: RowSink, params = statement.literals): RunningPortal {
    return new RunningPortal(this, statement, params, () => sink, []);
  }
}

export class RunningPortal {
  readonly #execution: QueryExecution;
  readonly #statement: PreparedStatement;
  #params: readonly Datum[];
  readonly #makeSink: (encoders: readonly FieldEncoder[]) => RowSink;
  readonly #formats: readonly number[];
  #cached: CachedPlan | undefined;
  #planning: StatementWork<PlannedStmt> | undefined;
  /** States of the plan that was chosen, while they are being made. */
  #opening:
    | { readonly cached: CachedPlan; readonly validity: string; readonly work: StatementWork<QueryState> }
    | undefined;
  #state: QueryState | undefined;
  #snapshot: LiveSnapshot | undefined;
  #sink: RowSink | undefined;
  /** What a statement that changes rows returned and the client did not ask for yet. */
  #held: HeldRows | undefined;
  #columns: readonly ColumnInfo[] | undefined;
  #rows = 0;
  #tag = '';
  /** EXPLAIN without ANALYZE: it is prepared, and never run. */
  explainOnly = false;
  /** Where it is counted; undefined: nowhere. */
  tally: StatementTally | undefined;
  /** Rows that a statement without an answer has changed. */
  #changed = 0;

  constructor(
    execution: QueryExecution,
    statement: PreparedStatement,
    params: readonly Datum[],
    makeSink: (encoders: readonly FieldEncoder[]) => RowSink,
    formats: readonly number[],
  ) {
    this.#execution = execution;
    this.#statement = statement;
    this.#params = params;
    this.#makeSink = makeSink;
    this.#formats = formats;
  }

  /** Command tag; final when `run` said done. */
  get tag(): string {
    return this.#tag;
  }

  /** What its rows are told to be, when it was prepared; undefined: it has none. */
  get columns(): readonly ColumnInfo[] | undefined {
    return this.#columns;
  }

  /** The plan states, while the execution is open. */
  get state(): QueryState | undefined {
    return this.#state;
  }

  /** Number of rows that this Execute sent. */
  get rows(): number {
    return this.#rows;
  }

  /** Produces up to `maxRows` rows (0: all). */
  run(maxRows: number): Outcome | Promise<Outcome> {
    this.#rows = 0;
    const { tally } = this;
    if (tally === undefined) return this.#advance(maxRows);
    tally.begin();
    const outcome = this.#advance(maxRows);
    if (!(outcome instanceof Promise)) return tally.reached(outcome, this.#changed || this.#rows);
    return outcome.then(reached => tally.reached(reached, this.#changed || this.#rows));
  }

  #advance(maxRows: number): Outcome | Promise<Outcome> {
    if (this.#held !== undefined) return this.#sendHeld(this.#held, maxRows);
    if (this.#state === undefined) {
      const prepared = this.#tryPrepare();
      if (!prepared) return this.#prepare(true).then(() => this.#produce(maxRows));
    }
    return this.#produce(maxRows);
  }

  #produce(maxRows: number): Outcome | Promise<Outcome> {
    const { plan } = this.#cached!;
    this.#execution.session.block.activeSnapshot = this.#snapshot?.snapshot;
    const changes = plan.commandType !== CMD_SELECT || plan.hasModifyingCTE;
    if (maxRows === 0 || !changes || plan.resultColumns.length === 0) return this.#loop(maxRows, 0);
    const [held, sink] = [new HeldRows(), this.#sink!];
    this.#sink = held;
    const send = (): Promise<Outcome> => {
      this.#held = held;
      this.#sink = sink;
      return this.#sendHeld(held, maxRows);
    };
    const outcome = this.#loop(0, 0);
    return outcome instanceof Promise ? outcome.then(send) : send();
  }

  async #sendHeld(held: HeldRows, maxRows: number): Promise<Outcome> {
    const most = maxRows === 0 ? Infinity : maxRows;
    let sent = 0;
    while (!held.empty && sent < most) {
      const rows = held.take(Math.min(HELD_AT_ONCE, most - sent));
      sent += rows.length;
      await this.#sendKept(rows);
      if (!this.#sink!.ready()) await this.#sink!.wait();
    }
    this.#tag = tagOf(this.#cached!.plan, sent);
    return sent < most ? 'done' : 'suspended';
  }

  // ---- getting ready -------------------------------------------------------------------------------

  /** Without awaiting anything; false when something must be awaited first. */
  #tryPrepare(): boolean {
    const { session, analysis } = this.#execution;
    try {
      this.#snapshot ??= session.block.tryStatementSnapshot();
      if (this.#snapshot === undefined) return false;
      if (!analysis.isValid(this.#statement)) return false;
      const cached = this.#plan();
      if (cached === undefined) return false;
      if (!analysis.tryLocks(this.#statement)) return false;
      return this.#open(cached);
    } catch (error) {
      if (error instanceof CatalogMiss) return false;
      this.close();
      throw error;
    }
  }

  /** All that comes before the first row. The client was not told the columns yet: they may be others
   *  after a wait for locks. */
  prepare(): Promise<void> | undefined {
    return this.#tryPrepare() ? undefined : this.#prepare(false);
  }

  async #prepare(described: boolean): Promise<void> {
    const { session, analysis } = this.#execution;
    try {
      for (;;) {
        this.#snapshot ??= await session.block.statementSnapshot();
        if (!analysis.isValid(this.#statement) || !analysis.tryLocks(this.#statement)) {
          // What is read when the locks are there is as new as they are.
          session.block.releaseSnapshot(this.#snapshot);
          this.#snapshot = undefined;
          await analysis.lock(this.#statement, described);
          if (!described && this.#statement.paramTypes.length === 0) this.#params = this.#statement.literals;
          continue;
        }
        try {
          const cached = this.#plan();
          if (cached !== undefined && this.#open(cached)) return;
          await session.turn();
          session.enter();
        } catch (error) {
          if (!(error instanceof CatalogMiss)) throw error;
          await error.load();
        }
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** The statement's plan for these parameters, made now if there is none; undefined: others have their turn before it is
   *  complete. May throw CatalogMiss. */
  #plan(): CachedPlan | undefined {
    if (this.#opening?.validity === this.#statement.validity) return this.#opening.cached;
    const query = this.#statement.analyzed as AnalyzedQuery;
    const known = query.plan;
    if (known !== undefined && known.plan.valueEstimates.length === 0) return known;
    const { snapshot } = this.#snapshot!;
    const env = plannerEnv(this.#execution, snapshot, this.#estimatedParams());
    const variant = known?.variants.get(magnitudes(known.plan.valueEstimates, env));
    if (variant !== undefined) return variant;
    const basis = [query.query, this.#statement.validity, snapshot, this.#params];
    this.#planning ??= new StatementWork();
    const plan = this.#planning.run(basis, () => planInSlices(env, query.query), this.#execution.env);
    if (plan === undefined) return undefined;
    const cached: CachedPlan = {
      plan,
      variants: known?.variants ?? new Map<string, CachedPlan>(),
      asOwner: plan.rtable.some(rte => rte.checkAsUser !== 0 && rte.requiredPerms !== 0),
      guardedFunctions: guardedFunctions(this.#execution.analysis.catalog, query.query),
      changedCatalogs: query.locks.filter(isOfChangedCatalog).map(({ relid }) => relid),
    };
    if (plan.transientPlan) return cached;
    const first = (query.plan ??= cached);
    const { variants } = first;
    if (first.plan.valueEstimates.length > 0) {
      if (variants.size >= MAX_VARIANTS) variants.delete(variants.keys().next().value!);
      variants.set(magnitudes(first.plan.valueEstimates, env), cached);
    }
    return cached;
  }

  /** Parameters as estimates may look at them: literals always, what the client gives unless a generic plan is wanted. */
  #estimatedParams(): readonly (Datum | undefined)[] {
    const { session } = this.#execution;
    if (session.settings.string('plan_cache_mode') !== 'force_generic_plan') return this.#params;
    return this.#params.map((value, n) => (n < this.#statement.paramTypes.length ? undefined : value));
  }

  /** False: others have their turn before the plan's states are complete. May throw CatalogMiss. */
  #open(cached: CachedPlan): boolean {
    const { session, env, analysis, functions } = this.#execution;
    const state = this.#stateOf(cached);
    if (state === undefined) return false;
    const { query } = this.#statement.analyzed as AnalyzedQuery;
    const changed = session.block.readOnly && !this.explainOnly ? changes(cached.plan, query) : undefined;
    if (changed !== undefined) preventIfReadOnly(session.block, changed);
    if (cached.asOwner || !analysis.isSuperuser()) {
      checkRangeTablePermissions(analysis.acl(), analysis.catalog, functions.currentUserId, cached.plan.rtable);
      checkFunctionPermissions(analysis.acl(), analysis.catalog, functions.currentUserId, cached.guardedFunctions);
    }
    const { tx } = session.block;
    env.beginTransaction(tx, session.block.isolation);
    env.grownBytes = 0;
    state.start(this.#params, this.#snapshot!.snapshot, tx);
    this.#cached = cached;
    this.#state = state;
    this.#sink = this.#makeSink(this.#encoders(cached.plan));
    return true;
  }

  #stateOf(cached: CachedPlan): QueryState | undefined {
    const { columns, folded } = this.#statement.analyzed as AnalyzedQuery;
    const idle = this.#opening === undefined ? this.#execution.takeIdle(cached) : undefined;
    if (this.#opening === undefined) this.#columns = columns;
    if (idle !== undefined && cached.plan.constants.length === 0 && folded === undefined) return idle;
    const { validity } = this.#statement;
    if (this.#opening?.validity !== validity || this.#opening.cached !== cached)
      this.#opening = { cached, validity, work: new StatementWork() };
    const { work } = this.#opening;
    const state = work.run([], () => this.#makeState(cached, idle), this.#execution.env);
    if (!work.underWay) this.#opening = undefined;
    return state;
  }

  *#makeState(cached: CachedPlan, idle: QueryState | undefined): Slices<QueryState> {
    const state = idle ?? (yield* initPlanInSlices(this.#execution.env, cached.plan));
    const { folded } = this.#statement.analyzed as AnalyzedQuery;
    if (cached.plan.constants.length > 0 || folded !== undefined) yield* this.#computeConstants(state);
    return state;
  }

  /** What PostgreSQL finds wrong with constants while it plans, and which they leave of the columns. */
  *#computeConstants(state: QueryState): Slices<void> {
    const statement = this.#statement;
    const unknown = this.#execution.unknownParams(statement);
    statement.customPlans++;
    const fold: Fold = (expr, known) => evalConstExpressions(plannerEnv(this.#execution), expr, known);
    yield* state.computeConstants(this.#params, unknown, fold);
    const { columns, folded } = statement.analyzed as AnalyzedQuery;
    if (columns !== undefined && folded !== undefined)
      this.#columns = describeFolded(columns, folded, plannerEnv(this.#execution), this.#params, unknown);
  }

  #encoders(plan: PlannedStmt): readonly FieldEncoder[] {
    const { columns } = this.#statement.analyzed as AnalyzedQuery;
    if (columns === undefined || plan.resultColumns.length === 0) return [];
    return columns.map(({ typid }, n) => {
      const format = formatOf(this.#formats, n);
      if (format !== 0 && format !== BINARY_FORMAT) {
        throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `unsupported format code: ${format}`);
      }
      return fieldEncoder(typid, format, () => this.#execution.output(typid as Oid, format));
    });
  }
  // ---- running ---------------------------------------------------------------------------------------

  /** Runs on until done, the row limit, or something must be awaited. */
  #loop(maxRows: number, already: number): Outcome | Promise<Outcome> {
    const { session, env } = this.#execution;
    const state = this.#state!;
    const sink = this.#sink!;
    let sent = already;
    let batches = 0;
    env.beginSlice();
    for (;;) {
      session.checkForInterrupts();
      if (session.block.producer.mustWait) {
        state.suspend();
        return session.block.producer.wait().then(() => this.#loop(maxRows, sent));
      }
      session.enter();
      let status: number;
      try {
        status = state.pull(maxRows === 0 ? undefined : maxRows - sent);
      } catch (error) {
        if (!(error instanceof CatalogMiss)) throw error;
        state.suspend();
        return error.load().then(() => this.#loop(maxRows, sent));
      }
      switch (status) {
        case ROW: {
          const n = state.count;
          sent += n;
          this.#rows += n;
          try {
            sink.rows(state.readers, n);
          } catch (error) {
            if (!(error instanceof CatalogMiss)) throw error;
            const rest = copyRows(state.readers, sink.taken, n);
            state.suspend();
            return this.#sendKept(rest, error).then(() =>
              maxRows > 0 && sent >= maxRows ? 'suspended' : this.#loop(maxRows, sent),
            );
          }
          if (maxRows > 0 && sent >= maxRows) {
            state.suspend();
            return 'suspended';
          }
          const ready = sink.ready();
          // Few rows are over before anybody could look at a clock.
          if (ready && (batches++ === 0 || !env.shouldYield())) continue;
          state.suspend();
          return (ready ? session.breathe() : sink.wait()).then(() => this.#loop(maxRows, sent));
        }
        case END:
          return this.#finish();
        case MISS: {
          const { kernel } = session.instance;
          const { want } = kernel.pages;
          state.suspend();
          return kernel.satisfy(want, session.owner).then(() => this.#loop(maxRows, sent));
        }
        case YIELD:
          state.suspend();
          return session.breathe().then(() => this.#loop(maxRows, sent));
        default:
          throw new Error(`a plan node answered ${status}`);
      }
    }
  }

  /** Rows of a batch that is gone. `miss`: what their output lacks, as far as is known. */
  async #sendKept(rows: readonly (readonly Datum[])[], miss?: CatalogMiss): Promise<void> {
    const { session } = this.#execution;
    const sink = this.#sink!;
    let at = 0;
    const readers = (rows[0] ?? []).map((_, column) => (row: number) => rows[at + row]![column]!);
    for (let lacking = miss; ; ) {
      if (lacking !== undefined) {
        session.out.discardUnfinished();
        await lacking.load();
      }
      session.enter();
      try {
        sink.rows(readers, rows.length - at);
        return;
      } catch (error) {
        if (!(error instanceof CatalogMiss)) throw error;
        lacking = error;
        at += sink.taken;
      }
    }
  }

  #finish(): Outcome | Promise<Outcome> {
    const { plan, changedCatalogs } = this.#cached!;
    const state = this.#state!;
    // A row count is that of the last Execute; of what answers no rows, that of the statement.
    if (plan.resultColumns.length === 0) this.#changed = state.processed;
    this.#tag = tagOf(plan, plan.resultColumns.length > 0 ? this.#rows : state.processed);
    this.close(true);
    heapPruneQueued(this.#execution.env.heap);
    if (changedCatalogs.length === 0) return 'done';
    return this.#execution.analysis.catalogRowsChanged(changedCatalogs, this.#statement.text).then(() => 'done');
  }

  /** Gives back what the execution holds. A state that ran to its end serves again. */
  close(reusable = false): void {
    const { session } = this.#execution;
    if (!reusable) this.tally?.closed();
    const state = this.#state;
    this.#state = undefined;
    // Nobody may look at a table's pages without its lock.
    if (!reusable) this.#execution.env.heap.forgetPrunes();
    if (state !== undefined) {
      session.instance.kernel.locks.tuples.release(session.owner);
      state.release();
      if (reusable) this.#execution.keepIdle(this.#cached!, state);
    }
    if (this.#snapshot !== undefined) session.block.releaseSnapshot(this.#snapshot);
    this.#snapshot = undefined;
    session.block.activeSnapshot = undefined;
    this.#execution.session.instance.toast.trim();
  }
}

function isOfChangedCatalog({ relid, mode }: NeededLock): boolean {
  return relid < FIRST_UNPINNED_OBJECT_ID && mode === ROW_EXCLUSIVE_LOCK;
}

function tagOf({ commandType }: PlannedStmt, processed: number): string {
  return commandType === CMD_INSERT
    ? `INSERT 0 ${processed}`
    : `${COMMAND_NAMES[commandType] ?? 'SELECT'} ${processed}`;
}

/** What the plan would change, as a READ ONLY transaction's refusal names it (ExecCheckXactReadOnly). */
function changes({ commandType, hasModifyingCTE }: PlannedStmt, { rowMarks }: Query): string | undefined {
  return (
    COMMAND_NAMES[commandType] ??
    (rowMarks.length > 0 ? ROW_LOCKS[rowMarks[0]!.strength] : hasModifyingCTE ? 'SELECT' : undefined)
  );
}

/** Rows as DataRow messages of the session. */
class DataRows implements RowSink {
  taken = 0;
  readonly #session: Session;
  readonly #encoders: readonly FieldEncoder[];

  constructor(session: Session, encoders: readonly FieldEncoder[]) {
    this.#session = session;
    this.#encoders = encoders;
  }

  rows(readers: readonly ((row: number) => Datum)[], n: number): void {
    const { out } = this.#session;
    const encoders = this.#encoders;
    const columns = encoders.length;
    for (let row = 0; row < n; row++) {
      this.taken = row;
      out.begin(BACKEND.DataRow);
      out.int16(columns);
      for (let column = 0; column < columns; column++) {
        const value = readers[column]!(row);
        if (value === null) out.int32(-1);
        else encoders[column]!(out, value);
      }
      out.end();
    }
  }

  ready(): boolean {
    return this.#session.writeSome();
  }

  wait(): Promise<void> {
    return this.#session.untilDrained();
  }
}
