/**
 * Functions in FROM, several side by side (ROWS FROM), numbered with ORDINALITY.
 */
import type { Datum } from '@pgtroupe/common/datum';
import { INT4OID, RECORDOID } from '@pgtroupe/common/oids';
import { exprType } from '@pgtroupe/nodes/nodefuncs';
import type { RangeTblEntry, RangeTblFunction } from '@pgtroupe/nodes/parsenodes';
import type { Expr, FuncExpr } from '@pgtroupe/nodes/primnodes';
import type { FunctionScan } from '@pgtroupe/optimizer/plannodes';
import { lookupSetFunction } from '@pgtroupe/adt/fmgr';
import { baseTypeFacts } from './arrays.ts';
import { type Column, type ColumnType, LARGE_VALUE, type RowReader, ValueLane } from './batch.ts';
import type { ChangedParams, EState } from './estate.ts';
import { compileExpr, procRow } from './execExpr.ts';
import { ScanState } from './execScan.ts';
import { ExpectedRow } from './expectedrow.ts';
import { MANY_BYTES, type SubPlanFactory } from './scope.ts';
import { isSetCall, SetFunctionCall } from './srf.ts';
import { BATCH_ROWS, END, ROW } from './status.ts';
import { deformRecord, recordDesc } from './records.ts';

interface Source {
  readonly call: SetFunctionCall | null;
  readonly scalar: RowReader | null;
  readonly width: number;
  /** The value is a row, to be spread over the columns. */
  readonly composite: boolean;
  /** Where the query says what columns such a row has. */
  readonly expected: ExpectedRow | null;
  /** Its next row was taken, but not all of the others': one of them must wait. */
  taken: boolean;
  scalarDone: boolean;
}

const BIGINT: ColumnType = { typid: 20, typmod: -1, collation: 0 };

export class FunctionScanState extends ScanState {
  readonly #sources: readonly Source[];
  readonly #columns: { readonly type: ColumnType; readonly lane: ValueLane }[] = [];
  readonly #names: readonly string[];
  readonly #ordinality: boolean;
  #started = false;
  #count = 0;
  /** Rows of the batch being filled: a function that must wait between two rows loses none. */
  #filled = 0;
  /** Of large values in it. */
  #bytes = 0;
  readonly #row: Datum[];

  constructor(est: EState, plan: FunctionScan, factory: SubPlanFactory, rte: RangeTblEntry) {
    super(est, plan, factory);
    this.#names = rte.eref.colnames;
    this.#ordinality = plan.funcordinality;
    for (const f of plan.functions) {
      for (let i = 0; i < f.funccolcount; i++) {
        const type =
          f.funccoltypes.length > 0
            ? { typid: f.funccoltypes[i]!, typmod: f.funccoltypmods[i]!, collation: f.funccolcollations[i]! }
            : columnOfResult(est, f.funcexpr, i);
        this.#columns.push({ type, lane: this.input.addValueLane(new ValueLane()) });
      }
    }
    if (this.#ordinality) this.#columns.push({ type: BIGINT, lane: this.input.addValueLane(new ValueLane()) });
    this.#sources = plan.functions.map(f => this.#source(f));
    this.#row = new Array<Datum>(this.#columns.length).fill(null);
    this.compile();
  }

  #source(f: RangeTblFunction): Source {
    const { funcexpr: expr, funccolcount: width, funccoltypes: columnTypes } = f;
    const columns = columnTypes.map((type, i) => ({
      name: f.funccolnames[i]!,
      type,
      typmod: f.funccoltypmods[i]!,
      dropped: false,
    }));
    const registeredApart =
      expr.type === 'FuncExpr' && lookupSetFunction(procRow(this.est, expr.funcid).prosrc) !== undefined;
    const isSet = isSetCall(expr) || registeredApart;
    return {
      call: isSet ? new SetFunctionCall(expr as FuncExpr, this.scope, columns.length > 0 ? columns : undefined) : null,
      scalar: isSet ? null : compileExpr(expr, this.scope),
      width,
      composite: isComposite(this.est, exprType(expr)) || width > 1,
      expected: columnTypes.length > 0 ? new ExpectedRow(this.est, columnTypes) : null,
      taken: false,
      scalarDone: false,
    };
  }

  protected override scanColumn(attnum: number): Column {
    if (attnum > 0) return { kind: 'value', ...this.#columns[attnum - 1]! };
    return this.wholeRow(
      this.#columns.map((c, i) => ({ column: { kind: 'value', ...c }, name: this.#names[i] ?? '' })),
    );
  }

  protected override fill(max: number): number {
    if (!this.#started) {
      for (const source of this.#sources) {
        source.call?.start(0);
        source.taken = false;
        source.scalarDone = false;
      }
      this.#started = true;
    }
    const limit = Math.min(max, BATCH_ROWS);
    while (this.#filled < limit && this.#nextRow()) {
      for (let c = 0; c < this.#row.length; c++) {
        const value = this.#row[c]!;
        this.#columns[c]!.lane.values[this.#filled] = value;
        if (value instanceof Uint8Array && value.length >= LARGE_VALUE) this.#bytes += value.length;
      }
      this.#filled++;
      if (this.#bytes >= MANY_BYTES) break;
    }
    if (this.#bytes > 0) this.input.large = true;
    this.#bytes = 0;
    const n = this.#filled;
    this.input.n = n;
    this.#filled = 0;
    return n > 0 ? ROW : END;
  }

  /** One more row, as long as any function has one; the others are null then. */
  #nextRow(): boolean {
    let at = 0;
    let any = false;
    for (const source of this.#sources) {
      const has = source.call === null ? !source.scalarDone : (source.taken ||= source.call.next());
      let value: Datum | Datum[] = null;
      if (has) value = source.call === null ? source.scalar!(0) : source.call.value;
      if (has) any = true;
      this.#spread(source, value, at);
      at += source.width;
    }
    for (const source of this.#sources) {
      source.taken = false;
      source.scalarDone = true;
    }
    if (!any) return false;
    if (this.#ordinality) this.#row[at] = ++this.#count;
    return true;
  }

  #spread(source: Source, value: Datum | Datum[], at: number): void {
    let fields: readonly Datum[] | undefined;
    if (Array.isArray(value)) fields = value;
    else if (source.composite && value instanceof Uint8Array && source.width > 0) {
      const desc = source.expected?.desc(value) ?? recordDesc(this.est, value);
      fields = deformRecord(desc, value);
    }
    for (let i = 0; i < source.width; i++)
      this.#row[at + i] =
        fields === undefined ? (i === 0 && !source.composite ? (value as Datum) : null) : (fields[i] ?? null);
  }

  protected override reset(changed: ChangedParams): void {
    super.reset(changed);
    this.#started = false;
    this.#count = 0;
    this.#filled = 0;
    this.#bytes = 0;
  }
}

function isComposite(est: EState, typid: number): boolean {
  const { typtype } = baseTypeFacts(est, typid);
  return typtype === 'c' || typid === RECORDOID;
}

/** Column types of a function whose result type says them. */
function columnOfResult(est: EState, expr: Expr, i: number): ColumnType {
  const typid = exprType(expr);
  const { typrelid } = baseTypeFacts(est, typid);
  if (typrelid === 0) {
    const all = expr.type === 'FuncExpr' ? outTypes(est, expr) : [];
    return { typid: all[i] ?? typid, typmod: -1, collation: 0 };
  }
  const att = est.env.relation(typrelid).att.attrs[i]!;
  // A dropped one keeps its place and is null.
  if (att.dropped) return { typid: INT4OID, typmod: -1, collation: 0 };
  return { typid: att.typid, typmod: att.typmod, collation: att.collation };
}

function outTypes(est: EState, expr: FuncExpr): readonly number[] {
  const proc = procRow(est, expr.funcid);
  if (proc.proallargtypes === null || proc.proargmodes === null) return [];
  return proc.proallargtypes.filter((_, n) => 'obt'.includes(proc.proargmodes![n]!));
}
