/**
 * What a session lends to its executors: one live object, whose transaction changes under it.
 */
import { HeapContext } from '@pgtroupe/access/heap/heapam-context';
import type { CatCache } from '@pgtroupe/catalog/catcache';
import type { RelationDesc } from '@pgtroupe/catalog/relcache';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import type { Timer } from '@pgtroupe/actor/env';
import type { Datum } from '@pgtroupe/common/datum';
import { detach } from '@pgtroupe/executor/batch';
import type { ExecEnv } from '@pgtroupe/executor/estate';
import type { FunctionCatalog } from '@pgtroupe/adt/cache/functioncatalog';
import type { HeavyCall } from '@pgtroupe/executor/execOffLoop';
import { heavinessOf } from '@pgtroupe/executor/heavy';
import type { FunctionCall, SessionSettings } from '@pgtroupe/adt/fmgr';
import type { Job, OffLoop } from './offloop/offloop.ts';
import { Arena } from '@pgtroupe/storage/arena';
import { type Memory, MISS, type PageAccess } from '@pgtroupe/storage/buffer/pages';
import { ReadonlyXact } from '@pgtroupe/instance/readonly-xact';
import type { Transaction } from '@pgtroupe/instance/xact';
import type { XLogInserter } from '@pgtroupe/transam/xloginsert';
import type { Expr } from '@pgtroupe/nodes/primnodes';
import { evalConstExpressions } from '@pgtroupe/optimizer/constfold';
import type { Analysis } from './analysis.ts';
import { plannerEnv } from './planner-env.ts';
import { type MemoryAccount, memoryExhausted } from './memory-guard.ts';
import type { Session } from './session.ts';
import { SessionTempFiles } from './temp-files.ts';
import type { SessionFunctions } from './session-functions.ts';
import type { IsolationLevel } from './transaction-block.ts';

const LONE_SLICE_MS = 5;
const SHARED_SLICE_MS = 0.3;
const INTERRUPT_POLL_MS = 20;
const BYTES_PER_KB = 1024;

export class SessionExecEnv implements ExecEnv, MemoryAccount {
  readonly #session: Session;
  readonly #analysis: Analysis;
  readonly mem: Memory;
  readonly arena: Arena;
  readonly pages: PageAccess;
  readonly wal: XLogInserter;
  readonly heap: HeapContext;
  readonly settings: SessionSettings;
  readonly lookup: FunctionCatalog;
  usesTransactionSnapshot = false;
  readonly temp: SessionTempFiles;
  /** OIDs obtained and not yet used. */
  readonly #oids: Oid[] = [];
  /** What the statement added to the process' memory. */
  grownBytes = 0;
  sliceBeganMs = 0;
  #sliceEndMs = 0;
  #messagesSeen = 0;

  constructor(session: Session, analysis: Analysis, functions: SessionFunctions) {
    const { kernel, arenaSpace } = session.instance;
    this.#session = session;
    this.#analysis = analysis;
    this.mem = kernel.pages.mem;
    this.arena = new Arena(arenaSpace);
    this.temp = new SessionTempFiles(session);
    this.pages = kernel.pages;
    this.wal = kernel.wal;
    this.heap = new HeapContext(kernel.pages, kernel.wal, new ReadonlyXact(kernel));
    this.settings = functions;
    this.lookup = functions.lookup;
    const { offLoop } = session.instance;
    if (offLoop !== undefined) {
      this.startHeavyCall = (prosrc, fc, args) =>
        startCall(
          offLoop,
          prosrc,
          fc,
          args.map(arg => this.#kept(arg)),
        );
      this.startCompression = plain => offLoop.start({ task: 'compress', args: [this.#kept(plain)] });
    }
  }

  beginTransaction(tx: Transaction, isolation: IsolationLevel): void {
    this.heap.xact = tx;
    this.usesTransactionSnapshot = isolation === 'repeatable read' || isolation === 'serializable';
  }

  simplify(expr: Expr): Expr {
    return evalConstExpressions(plannerEnv(this.#session.runner.execution), expr);
  }

  get rows(): CatCache {
    return this.#analysis.catalog.rows;
  }

  relation(oid: Oid): RelationDesc {
    const relation = this.#analysis.catalog.relation(oid);
    if (relation === null) throw ereport(ERRCODE.UNDEFINED_TABLE, `could not open relation with OID ${oid}`);
    return relation;
  }

  startHeavyCall?: (prosrc: string, fc: FunctionCall, args: readonly Datum[]) => HeavyCall;

  startCompression?: (plain: Uint8Array) => HeavyCall;

  /** A call may have to wait for its thread, longer than a view of a page lasts. */
  #kept(arg: Datum): Datum {
    return arg instanceof Uint8Array && arg.buffer !== this.mem.u8.buffer ? arg : detach(arg);
  }

  /** A call outside of a plan, beside the main loop; undefined: it is not worth that. */
  callIfHeavy(prosrc: string, fc: FunctionCall, args: readonly Datum[]): Promise<Datum> | undefined {
    if (this.startHeavyCall === undefined || heavinessOf(prosrc)?.(args, fc) !== true) return undefined;
    const call = this.startHeavyCall(prosrc, fc, args);
    return this.awaitHeavyCall(call).then(() => call.result());
  }

  /** Polls for an interrupt: whatever it is, it need not know of calls. */
  async awaitHeavyCall(call: HeavyCall): Promise<void> {
    const { env } = this.#session.instance;
    const { settled } = call as Job;
    while (!call.done) {
      let timer: Timer | undefined;
      const soon = new Promise<void>(resolve => (timer = env.timers.after(INTERRUPT_POLL_MS, resolve)));
      await Promise.race([settled, soon]);
      timer?.cancel();
      if (this.#session.interrupt !== undefined) {
        call.abandon();
        throw this.#session.interrupt;
      }
    }
  }

  /** Shared memory was lost, and with it what it gave out ahead. */
  forgetOids(): void {
    this.#oids.length = 0;
  }

  /** For a TOAST value. */
  newOid(): number {
    const oid = this.#oids.pop();
    if (oid !== undefined) return oid;
    const { kernel } = this.#session.instance;
    kernel.pages.want = { kind: 'await', run: async () => void this.#oids.push(await kernel.newOid()) };
    return MISS;
  }

  get workMemBytes(): number {
    return this.#session.settings.number('work_mem') * BYTES_PER_KB;
  }

  get hashMemBytes(): number {
    return this.workMemBytes * this.#session.settings.number('hash_mem_multiplier');
  }

  outOfMemory(): void {
    this.#session.outOfMemory(memoryExhausted(this));
    this.grownBytes = 0;
  }

  /** Short slices while other sessions have work, long ones alone. */
  beginSlice(): void {
    const { instance } = this.#session;
    instance.watchMemory(this.#session);
    const lone = instance.messages === this.#messagesSeen;
    this.#messagesSeen = instance.messages;
    this.sliceBeganMs = this.nowMs();
    this.#sliceEndMs = this.sliceBeganMs + (lone ? LONE_SLICE_MS : SHARED_SLICE_MS);
  }

  nowMs(): number {
    return this.#session.instance.env.clock.nowMs();
  }

  shouldYield(): boolean {
    const session = this.#session;
    return session.interrupt !== undefined || session.block.producer.mustWait || this.nowMs() >= this.#sliceEndMs;
  }
}

function startCall(offLoop: OffLoop, prosrc: string, fc: FunctionCall, args: readonly Datum[]): HeavyCall {
  const { settings } = fc;
  const { byteaOutput, extraFloatDigits, dateStyle, dateOrder, intervalStyle, timeZone } = settings;
  const { transactionTimestamp, statementTimestamp } = settings;
  return offLoop.start({
    task: 'call',
    prosrc,
    collation: fc.collation,
    argTypes: fc.argTypes,
    resultType: fc.resultType,
    variadic: fc.variadic === true,
    settings: {
      byteaOutput,
      extraFloatDigits,
      dateStyle,
      dateOrder,
      intervalStyle,
      timeZone,
      transactionTimestamp,
      statementTimestamp,
    },
    args,
  });
}
