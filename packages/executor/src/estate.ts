/**
 * What one running plan knows: its session's surroundings, parameters, snapshot; and the base of all
 * plan node states.
 *
 * An EState with its tree of PlanStates is built once from an immutable plan and run many times: `start`
 * sets parameters and snapshot, `rescan` forgets the last run. Nothing is rebuilt between runs.
 */
import type { Expr } from '@pgtroupe/nodes/primnodes';
import { stringToNode } from '@pgtroupe/nodes/readfuncs';
import type { HeapContext } from '@pgtroupe/access/heap/heapam-context';
import type { CatCache } from '@pgtroupe/catalog/catcache';
import type { RelationDesc } from '@pgtroupe/catalog/relcache';
import type { Datum } from '@pgtroupe/common/datum';
import type { Oid } from '@pgtroupe/common/ids';
import type { Arena } from '@pgtroupe/storage/arena';
import type { Memory, PageAccess } from '@pgtroupe/storage/buffer/pages';
import type { Snapshot } from '@pgtroupe/transam/xactview';
import type { Plan } from '@pgtroupe/optimizer/plannodes';
import type { FunctionCatalog } from '@pgtroupe/adt/cache/functioncatalog';
import type { FunctionCall, SessionSettings } from '@pgtroupe/adt/fmgr';
import { Batch } from './batch.ts';
import type { HeavyCall } from './execOffLoop.ts';
import { Pace, type PaceClock } from './pace.ts';
import { BATCH_ROWS, END, ROW } from './status.ts';
import type { TempFiles } from './tempfile.ts';

/** What the session lends to its executors. */
export interface ExecEnv extends PaceClock {
  readonly mem: Memory;
  readonly arena: Arena;
  readonly pages: PageAccess;
  /** The session's; its `xact` is the current transaction. */
  readonly heap: HeapContext;
  /** One live object per session: its values may change between runs, the object not. */
  readonly settings: SessionSettings;
  readonly lookup: FunctionCatalog;
  readonly rows: CatCache;
  relation(oid: Oid): RelationDesc;
  /** Is the time slice used up, or a cancel pending? Asked once per batch; must be cheap. */
  shouldYield(): boolean;
  /** For what takes more than work_mem; absent where there is no disk. */
  readonly temp?: TempFiles | undefined;
  /** Of one sort or materialisation. */
  readonly workMemBytes: number;
  /** Of one hash table. */
  readonly hashMemBytes: number;
  /** An OID for a TOAST value; MISS (want says what for). Without it large values cannot be stored. */
  newOid?(): number;
  /** A stored expression as the planner would leave it: SQL functions written out. */
  simplify?(expr: Expr): Expr;
  /** Begins a call beside the main loop; absent where there is no other thread. */
  startHeavyCall?(prosrc: string, fc: FunctionCall, args: readonly Datum[]): HeavyCall;
  /** The compressed image of a value, null when it saves nothing; absent where there is no other thread. */
  startCompression?(plain: Uint8Array): HeavyCall;
  /** Resolves when it is done; rejects, and gives it up, when the session is interrupted. */
  awaitHeavyCall?(call: HeavyCall): Promise<void>;
  /** Isolation level of the transaction is REPEATABLE READ or SERIALIZABLE. */
  readonly usesTransactionSnapshot: boolean;
}

export interface ParamSetter {
  /** Computes the parameter; throws SUSPEND when it cannot yet. */
  setParam(): void;
}

/** An expression from the catalogs, ready to be compiled. */
export function storedExpr(env: ExecEnv, text: string): Expr {
  return simplified(env, stringToNode(text) as Expr);
}

export function simplified(env: ExecEnv, expr: Expr): Expr {
  return env.simplify?.(expr) ?? expr;
}

export class EState {
  readonly env: ExecEnv;
  snapshot!: Snapshot;
  /** Values of $1, $2, ... */
  params: readonly Datum[] = [];
  readonly execParams: Datum[];
  /** InitPlans that compute a parameter when it is first asked for. */
  readonly execPlans: (ParamSetter | null)[];
  /** The plans behind SubPlans, InitPlans and CTEs. */
  readonly subplans: PlanState[] = [];
  /** Counts runs: what expressions kept from an earlier one is void. */
  generation = 0;
  /** Stores that belong to expressions. */
  readonly stores: { free(): void }[] = [];
  /** What expressions keep beyond a row, to be dropped when the run ends. */
  readonly releases: (() => void)[] = [];
  /** What a node that threw SUSPEND was waiting for: MISS or YIELD. */
  suspended = -1;
  /** Counts the times that an expression began to wait for a call beside the main loop. */
  heavySuspensions = 0;
  /** Rows changed by the ModifyTable that sets the command tag. */
  processed = 0;
  readonly pace: Pace;
  /** Set while a row's newer version is checked again (EvalPlanQual). */
  epq: EpqSubstitution | null = null;

  constructor(env: ExecEnv, paramCount: number) {
    this.env = env;
    this.pace = new Pace(env);
    this.execParams = new Array<Datum>(paramCount).fill(null);
    this.execPlans = new Array<ParamSetter | null>(paramCount).fill(null);
  }
}

/** What scans answer instead of scanning, by range table index. */
export interface EpqSubstitution {
  /** Tuples of tables; 0 means no row. */
  readonly tuples: ReadonlyMap<number, { readonly ptr: number; readonly tid: number }>;
  /** Whole rows of everything else; null means no row. Who is here is known when the plan's state is built. */
  readonly rows: ReadonlyMap<number, Datum>;
}

/** Ids of changed PARAM_EXEC parameters; null for all of them. */
export type ChangedParams = ReadonlySet<number> | null;

/** Is any of these among those that changed? */
export function changes(params: ReadonlySet<number>, changed: ChangedParams): boolean {
  if (changed === null) return true;
  for (const id of changed) if (params.has(id)) return true;
  return false;
}

export interface InitPlanState {
  readonly setParams: readonly number[];
  /** Forgets the value if it depends on what changed; answers whether it does. */
  reset(changed: ChangedParams): boolean;
}

/** Until the node is asked for its next rows. */
export const ROWS_STAY_UNTIL_NEXT = 0;
/** Until it begins anew. */
export const ROWS_STAY_UNTIL_RESCAN = 1;
/** Until the end of the stretch. */
export const ROWS_STAY = 2;
export type RowsStay = 0 | 1 | 2;

/** Base of plan node states. */
export abstract class PlanState {
  readonly est: EState;
  readonly plan: Plan;
  readonly out = new Batch();
  readonly children: PlanState[] = [];
  /** For EXPLAIN ANALYZE. */
  rows = 0;
  loops = 0;

  constructor(est: EState, plan: Plan) {
    this.est = est;
    this.plan = plan;
  }

  /** Fills `out` with 1 to `max` (<= BATCH_ROWS) rows, or says why not; see status.ts. */
  abstract next(max: number): number;

  /** What EXPLAIN ANALYZE tells of the last run beside its rows. */
  explain(): readonly string[] {
    return [];
  }

  #asked = 0;

  /** The next rows: as many as the pace says, at most `limit`. Called again after it had to wait for something, a node is
   *  asked for the same number: it keeps what it has of them. */
  pull(limit = BATCH_ROWS): number {
    if (this.#asked === 0) this.#asked = Math.min(limit, this.est.pace.take());
    const status = this.next(this.#asked);
    if (status === ROW || status === END) this.#asked = 0;
    return status;
  }

  /** Contexts of the node's expressions: what they remember for a row is void when the node begins anew. */
  readonly contexts: ExprContext[] = [];

  /** InitPlans attached here: their parameters are computed when first asked for. */
  readonly initPlans: InitPlanState[] = [];

  /**
   * Starts from the beginning. `changed` are the parameters that differ from the last time; null: a new
   * run, everything differs.
   */
  rescan(changed: ChangedParams): void {
    this.#asked = 0;
    for (const ec of this.contexts) ec.serial++;
    let all = changed;
    // One InitPlan may read another's result.
    const kept = new Set(this.initPlans);
    for (let again = kept.size > 0; again; ) {
      again = false;
      for (const init of kept) {
        if (!init.reset(all)) continue;
        kept.delete(init);
        again = true;
        if (all !== null) all = new Set([...all, ...init.setParams]);
      }
    }
    this.reset(all);
  }

  /** What a node does on rescan; by default only its children begin anew. */
  protected reset(changed: ChangedParams): void {
    for (const child of this.children) child.rescan(changed);
  }

  /** Would the node's result differ after this change? */
  dependsOn(changed: ChangedParams): boolean {
    return changes(this.plan.allParam, changed);
  }

  /** How long rows that the node handed out can be read, if nothing suspends. */
  get rowsStay(): RowsStay {
    let least: RowsStay = ROWS_STAY;
    for (const child of this.children) if (child.rowsStay < least) least = child.rowsStay;
    return least;
  }

  /** Pointers into pages are about to become invalid: hold what is still needed. */
  /** Of a suspension: the rows of the first child from `row` on are still to be read. */
  protected holdInput(row: number): void {
    const { out } = this.children[0]!;
    out.hold(Math.min(row, out.n), this.est.env.arena);
  }

  suspend(): void {
    for (const child of this.children) child.suspend();
  }

  /** Gives back arena memory; the node can still be rescanned. */
  release(): void {
    this.out.release();
    for (const child of this.children) child.release();
  }
}

/**
 * State that the expressions of one node share. A value that is remembered while its row is repeated (after a
 * suspension) belongs to (serial, row): whoever puts another row in the place of an evaluated one advances the
 * serial, be it by a new batch or by a new row in the same slot.
 */
export class ExprContext {
  serial = 0;
}

/** Name of one evaluation: unique per node, batch and row. */
export function evaluationKey(ec: ExprContext, row: number): number {
  return ec.serial * 512 + row;
}
