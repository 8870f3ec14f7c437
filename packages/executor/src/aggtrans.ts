/**
 * One aggregate of an Agg node: its input expressions, transition and final function, and the states of all
 * groups. The commonest transitions are done here without a call; all others through pg_aggregate.
 */
import { ANYARRAYOID, ANYELEMENTOID, FLOAT8OID, RECORDOID } from '@pgtroupe/common/oids';
import { AGGFNOID, TYPEOID } from '@pgtroupe/catalog/syscache';
import type { Oid } from '@pgtroupe/common/ids';
import type { Datum } from '@pgtroupe/common/datum';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported } from '@pgtroupe/common/ereport';
import { exprCollation, exprType } from '@pgtroupe/nodes/nodefuncs';
import type { Aggref } from '@pgtroupe/nodes/primnodes';
import type { FunctionCall, PGFunction, SlicedFunction } from '@pgtroupe/adt/fmgr';
import { lookupBuiltin, lookupSliced } from '@pgtroupe/adt/fmgr';
import { type Slices, sortInSlices } from '@pgtroupe/common/slices';
import { typeFactsOf } from './arrays.ts';
import { type ColumnType, detach, type RowReader } from './batch.ts';
import type { EState } from './estate.ts';
import { compileExpr, type ExprScope, makeCall, procFunction, procRow, typeOf } from './execExpr.ts';
import type { AttrReader } from './heapattr.ts';
import { compareUnder, type Equal, equalityOf, notDistinct, sortKey } from './keys.ts';
import { ArgsSort, type ArgsOrder } from './aggsort.ts';
import { orderedSetFinal, type OrderedSetFinal, type SortedGroup } from './orderedsetaggs.ts';
import type { SubPlanFactory } from './scope.ts';
import { END, MISS, SUSPEND, YIELD } from './status.ts';

const FED_A_SLICE = 256;
/** A state that is a number, one that is anything else. */
const NUMBER_BYTES = 16;
const STATE_BYTES = 160;

/** Of a result that takes more than one time slice: MISS where something is waited for. */
type Finishing = Generator<number | void, Datum>;

type Fast = 'count' | 'countAny' | 'sumInt' | 'minNumber' | 'maxNumber' | null;

const FAST: Readonly<Record<string, Fast>> = {
  int8inc: 'count',
  int8inc_any: 'countAny',
  int4_sum: 'sumInt',
  int2_sum: 'sumInt',
  int4smaller: 'minNumber',
  int4larger: 'maxNumber',
  int2smaller: 'minNumber',
  int2larger: 'maxNumber',
  int8smaller: 'minNumber',
  int8larger: 'maxNumber',
  date_smaller: 'minNumber',
  date_larger: 'maxNumber',
  timestamp_smaller: 'minNumber',
  timestamp_larger: 'maxNumber',
  timestamptz_smaller: 'minNumber',
  timestamptz_larger: 'maxNumber',
  oidsmaller: 'minNumber',
  oidlarger: 'maxNumber',
};

export class AggTrans {
  readonly aggref: Aggref;
  readonly #est: EState;
  readonly #fast: Fast;
  readonly #fn: PGFunction | undefined;
  readonly #fc: FunctionCall;
  readonly #strict: boolean;
  readonly #final: PGFunction | undefined;
  readonly #sliced: SlicedFunction | undefined;
  readonly #finalCall: FunctionCall;
  readonly #finalStrict: boolean;
  readonly #finalExtra: number;
  readonly #direct: readonly RowReader[];
  /** What an ordered-set aggregate says of its sorted rows. */
  readonly #orderedSet: OrderedSetFinal | undefined;
  readonly #init: () => Datum;
  readonly #inputs: readonly RowReader[];
  readonly #filter: RowReader | null;
  readonly #sorted: boolean;
  readonly #sortKeys: readonly ArgsOrder[];
  readonly #distinct: readonly { readonly column: number; readonly equal: Equal }[];
  readonly #transInputs: number;
  /** Input values of the row being added; valid when `#wanted`. */
  readonly #args: Datum[];
  #wanted = false;
  /** Types of `args`. */
  readonly argTypes: readonly ColumnType[];
  /** Of byte strings in states, beside what every group takes. */
  bytes = 0;
  /** Its inputs differ each time they are evaluated. */
  readonly volatile: boolean;
  states: Datum[] = [];
  /** A result that takes more than one time slice, and the group it is for. */
  #work: Finishing | undefined;
  #workGroup = -1;
  /** Sorted rows of that group that are in its state already. */
  #fed = 0;
  #collected: Datum[][][] = [];
  /** Instead of them, where there is one group at a time. */
  #inOrder: ArgsSort | undefined;
  /** The row of it that is next, 0: not known; and, of DISTINCT, the one before. */
  #row = 0;
  #before: readonly Datum[] | undefined;

  /** `outside`: rows of the input; `ofGroup`: where a group's direct arguments are read. */
  constructor(est: EState, aggref: Aggref, outside: ExprScope, ofGroup: ExprScope) {
    const scope = Object.assign(Object.create(outside) as ExprScope, { volatile: false });
    const direct = Object.assign(Object.create(ofGroup) as ExprScope, { volatile: false });
    this.#est = est;
    this.aggref = aggref;
    const facts = est.env.rows.search(AGGFNOID, aggref.aggfnoid);
    if (facts === null) throw ereport(ERRCODE.INTERNAL_ERROR, `cache lookup failed for aggregate ${aggref.aggfnoid}`);
    const proc = procRow(est, facts.aggtransfn);
    const inputTypes = aggref.aggargtypes.slice(aggref.aggdirectargs.length);
    this.#transInputs = aggref.aggkind !== 'n' ? aggref.args.length : inputTypes.length;
    this.#sorted = aggref.aggorder.length > 0 || aggref.aggdistinct.length > 0;
    this.#fast = this.#sorted ? null : (FAST[proc.prosrc] ?? null);
    this.#fn = this.#fast === null ? procFunction(proc, aggref.inputcollid) : undefined;
    this.#strict = proc.proisstrict;
    const transtype = transitionType(est, facts.aggtranstype, aggref);
    this.#fc = makeCall(est, [transtype, ...inputTypes], transtype, aggref.inputcollid, aggref.aggvariadic);
    this.#inputs = aggref.args.map(tle => compileExpr(tle.expr, scope));
    this.argTypes = aggref.args.map(tle => typeOf(tle.expr));
    this.#args = new Array<Datum>(this.#inputs.length).fill(null);
    this.#filter = aggref.aggfilter === null ? null : compileExpr(aggref.aggfilter, scope);
    this.#direct = aggref.aggdirectargs.map(e => compileExpr(e, direct));
    this.volatile = scope.volatile || direct.volatile;
    const finalProc = (facts.aggfinalfn as number) === 0 ? undefined : procRow(est, facts.aggfinalfn);
    this.#final = finalProc === undefined ? undefined : procFunction(finalProc, aggref.inputcollid);
    this.#sliced = finalProc === undefined ? undefined : lookupSliced(finalProc.prosrc);
    this.#finalStrict = finalProc?.proisstrict ?? false;
    this.#finalExtra = facts.aggfinalextra ? inputTypes.length : 0;
    this.#finalCall = makeCall(est, [transtype, ...aggref.aggargtypes], aggref.aggtype, aggref.inputcollid);
    this.#orderedSet = aggref.aggkind === 'n' ? undefined : orderedSetFinal(finalProc?.prosrc ?? '');
    this.#init = initialValue(est, facts.agginitval, transtype);
    this.#sortKeys = this.#compileOrder(aggref);
    this.#distinct = aggref.aggdistinct.map(c => {
      const column = aggref.args.findIndex(t => t.ressortgroupref === c.tleSortGroupRef);
      return { column, equal: notDistinct(equalityOf(est, c.eqop, exprCollation(aggref.args[column]!.expr))) };
    });
  }

  /** DISTINCT sorts by its columns; ORDER BY by its own, which begin with them. */
  #compileOrder(aggref: Aggref): ArgsOrder[] {
    const clauses = aggref.aggorder.length >= aggref.aggdistinct.length ? aggref.aggorder : aggref.aggdistinct;
    return clauses.map(c => {
      const column = aggref.args.findIndex(t => t.ressortgroupref === c.tleSortGroupRef);
      return { column, key: sortKey(this.#est, c.sortop, exprCollation(aggref.args[column]!.expr), c.nulls_first) };
    });
  }

  /** There is one group at a time: what is gathered in order obeys work_mem. */
  oneGroup(factory: SubPlanFactory): void {
    if (!this.#sorted || this.#orderedSet !== undefined) return;
    if (this.argTypes.every(type => isStorable(this.#est, type)))
      this.#inOrder = new ArgsSort(this.#est, factory, this.argTypes, this.#sortKeys);
  }

  /** END: it can take more rows, a batch of them. */
  makeRoom(): number {
    return this.#inOrder === undefined ? END : this.#inOrder.makeRoom();
  }

  /** A new group. */
  start(group: number): void {
    const fast = this.#fast;
    this.states[group] = fast === 'count' || fast === 'countAny' ? 0 : fast !== null ? null : this.#init();
    if (!this.#sorted) return;
    if (this.#inOrder === undefined) this.#collected[group] = [];
    else this.#inOrder.clear();
    this.#row = 0;
    this.#before = undefined;
  }

  clear(): void {
    this.#seeded.clear();
    this.#work = undefined;
    this.#fed = 0;
    this.bytes = 0;
    this.states = [];
    this.#collected = [];
    this.#inOrder?.free();
  }

  /** Evaluates the inputs for a row: may throw SUSPEND, has changed nothing then. */
  evaluate(row: number): void {
    this.#wanted = this.#filter === null || this.#filter(row) === true;
    if (!this.#wanted) return;
    for (let i = 0; i < this.#inputs.length; i++) this.#args[i] = this.#inputs[i]!(row);
  }

  /** What was evaluated, to be kept: into `values` from `at` on; answers where the next one's begin. */
  giveArgs(values: Datum[], at: number): number {
    values[at++] = this.#wanted;
    for (const arg of this.#args) values[at++] = this.#wanted ? arg : null;
    return at;
  }

  /** What was kept of an evaluation: columns from `at` on of a stored row. */
  takeArgs(readers: readonly AttrReader[], row: number, at: number): number {
    this.#wanted = readers[at++]!(row) === true;
    for (let i = 0; i < this.#args.length; i++) this.#args[i] = readers[at++]!(row);
    return at;
  }

  /** What each group takes, about. */
  get groupBytes(): number {
    return this.#fast === null ? STATE_BYTES : NUMBER_BYTES;
  }

  /** Adds the evaluated row to a group. */
  advance(group: number): void {
    if (!this.#wanted) return;
    const states = this.states;
    const value = this.#args[0]!;
    switch (this.#fast) {
      case 'count':
        states[group] = (states[group] as number) + 1;
        return;
      case 'countAny':
        if (value !== null) states[group] = (states[group] as number) + 1;
        return;
      case 'sumInt':
        if (value !== null) states[group] = addInts(states[group]!, value as number);
        return;
      case 'minNumber':
        if (value !== null && (states[group] === null || (value as number) < (states[group] as number)))
          states[group] = value;
        return;
      case 'maxNumber':
        if (value !== null && (states[group] === null || (value as number) > (states[group] as number)))
          states[group] = value;
        return;
      case null:
        break;
    }
    if (this.#sorted) {
      if ((this.#strict || this.aggref.aggkind === 'o') && this.#hasNull()) return;
      if (this.#inOrder !== undefined) this.#inOrder.add(this.#args);
      else this.#collected[group]!.push(this.#args.map(detach));
      return;
    }
    this.#transition(group, this.#args);
  }

  #hasNull(): boolean {
    for (let i = 0; i < this.#transInputs; i++) if (this.#args[i] === null) return true;
    return false;
  }

  #transition(group: number, args: readonly Datum[]): void {
    const state = this.states[group]!;
    if (this.#strict) {
      for (let i = 0; i < this.#transInputs; i++) if (args[i] === null) return;
      if (state === null) {
        // Without an initial value the first input is the state; a state that became null stays so.
        if (!this.#seeded.has(group)) {
          this.#seeded.add(group);
          this.states[group] = detach(args[0] ?? null);
        }
        return;
      }
    }
    const fn = this.#fn!;
    let next: Datum;
    switch (this.#transInputs) {
      case 0:
        next = fn(this.#fc, state);
        break;
      case 1:
        next = fn(this.#fc, state, args[0]!);
        break;
      case 2:
        next = fn(this.#fc, state, args[0]!, args[1]!);
        break;
      default:
        next = fn(this.#fc, state, ...args.slice(0, this.#transInputs));
    }
    if (next !== state) {
      this.states[group] = detach(next);
      if (next instanceof Uint8Array) this.bytes += next.length - (state instanceof Uint8Array ? state.length : 0);
    } else if (args[0] instanceof Uint8Array) this.bytes += args[0].length;
    if (next === null) this.#seeded.add(group);
  }

  readonly #seeded = new Set<number>();

  /**
   * The result for a group. `row` is where direct arguments are read. Throws SUSPEND when the time slice is over before all is
   * done; called again for that group it goes on.
   */
  finish(group: number, row: number): Datum {
    if (this.#work === undefined || this.#workGroup !== group) {
      if (!this.#sorted && this.#sliced === undefined) return this.#callFinal(this.#finalArgs(group, row));
      this.#work = this.#finishing(group, row);
      this.#workGroup = group;
    }
    const { env } = this.#est;
    try {
      for (;;) {
        const step = this.#work.next();
        if (step.done === true) {
          this.#work = undefined;
          return step.value;
        }
        if (step.value === MISS) {
          this.#est.suspended = MISS;
          throw SUSPEND;
        }
        if (env.shouldYield()) break;
      }
    } catch (error) {
      if (error !== SUSPEND || this.#est.suspended !== MISS) this.#work = undefined;
      throw error;
    }
    this.#est.suspended = YIELD;
    throw SUSPEND;
  }

  *#finishing(group: number, row: number): Finishing {
    if (this.#orderedSet !== undefined) {
      const rows = this.#collected[group]!;
      yield* sortInSlices(rows, this.#compare);
      return this.#orderedSet(
        this.#sortedGroup(rows),
        this.#direct.map(read => read(row)),
      );
    }
    if (this.#inOrder !== undefined) yield* this.#feedInOrder(this.#inOrder, group);
    else if (this.#sorted) yield* this.#feedSorted(group);
    const args = this.#finalArgs(group, row);
    const sliced = this.#sliced?.(this.#finalCall, ...args);
    return sliced === undefined ? this.#callFinal(args) : yield* sliced;
  }

  /** The state first. */
  #finalArgs(group: number, row: number): Datum[] {
    const args: Datum[] = [this.states[group]!];
    if (this.#final === undefined) return args;
    for (const read of this.#direct) args.push(read(row));
    for (let i = 0; i < this.#finalExtra; i++) args.push(null);
    return args;
  }

  #callFinal(args: readonly Datum[]): Datum {
    if (this.#final === undefined) return args[0]!;
    if (this.#finalStrict && args.slice(0, 1 + this.#direct.length).includes(null)) return null;
    return this.#final(this.#finalCall, ...args);
  }

  *#feedSorted(group: number): Slices<void> {
    const rows = this.#collected[group]!;
    yield* sortInSlices(rows, this.#compare);
    while (this.#fed < rows.length) {
      const args = rows[this.#fed]!;
      const before = rows[this.#fed - 1];
      const again =
        before !== undefined &&
        this.#distinct.length > 0 &&
        this.#distinct.every(d => d.equal(before[d.column]!, args[d.column]!));
      if (!again) this.#transition(group, args);
      if (++this.#fed % FED_A_SLICE === 0) yield;
    }
    this.#fed = 0;
    this.#collected[group] = [];
  }

  *#feedInOrder(sort: ArgsSort, group: number): Generator<number | void, void> {
    yield* sort.finish();
    const { readers } = sort;
    const args = new Array<Datum>(readers.length).fill(null);
    for (let n = 1; ; n++) {
      if (this.#row === 0) this.#row = sort.next();
      if (this.#row === 0) break;
      if (this.#row === MISS) {
        this.#row = 0;
        yield MISS;
        continue;
      }
      for (let i = 0; i < args.length; i++) args[i] = readers[i]!(this.#row);
      if (!this.#isAgain(args)) {
        this.#transition(group, args);
        if (this.#distinct.length > 0) this.#before = args.map(detach);
      }
      this.#row = 0;
      if (n % FED_A_SLICE === 0) yield;
    }
    this.#before = undefined;
    sort.clear();
  }

  #isAgain(args: readonly Datum[]): boolean {
    const before = this.#before;
    if (before === undefined) return false;
    return this.#distinct.every(({ column, equal }) => equal(before[column]!, args[column]!));
  }

  #sortedGroup(rows: readonly (readonly Datum[])[]): SortedGroup {
    return {
      rows,
      compare: this.#compare,
      fc: this.#finalCall,
      element: typeFactsOf(this.#est, exprType(this.aggref.args[0]!.expr)),
      float8: typeFactsOf(this.#est, FLOAT8OID),
    };
  }

  readonly #compare = (a: readonly Datum[], b: readonly Datum[]): number => {
    for (const { column, key } of this.#sortKeys) {
      const c = compareUnder(key, a[column]!, b[column]!);
      if (c !== 0) return c;
    }
    return 0;
  };

  /** Forgets one group (a sorted Agg reuses number 0). */
  restart(group: number): void {
    this.#seeded.delete(group);
    this.#work = undefined;
    this.#fed = 0;
    this.start(group);
  }
}

/** Values of pseudo-types, but for rows, are kept as they are. */
function isStorable(est: EState, { typid }: ColumnType): boolean {
  const facts = est.env.lookup.type(typid as Oid);
  return facts !== undefined && (facts.typtype !== 'p' || facts.oid === RECORDOID) && facts.typlen !== -2;
}

function addInts(state: Datum, value: number): Datum {
  if (state === null) return value;
  if (typeof state === 'number') {
    const sum = state + value;
    if (Number.isSafeInteger(sum)) return sum;
  }
  const wide = BigInt(state as number | bigint) + BigInt(value);
  if (wide !== BigInt.asIntN(64, wide)) throw ereport(ERRCODE.NUMERIC_VALUE_OUT_OF_RANGE, 'bigint out of range');
  return wide >= BigInt(Number.MIN_SAFE_INTEGER) && wide <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(wide) : wide;
}

/** Type of the state: a polymorphic one follows the first argument (resolve_aggregate_transtype). */
function transitionType(est: EState, declared: number, aggref: Aggref): number {
  const [first] = aggref.aggargtypes;
  if (first === undefined) return declared;
  if (declared === ANYELEMENTOID) return first;
  if (declared !== ANYARRAYOID) return declared;
  const facts = est.env.lookup.type(first as Oid);
  return facts === undefined || facts.isArray ? first : facts.typarray;
}

function initialValue(est: EState, text: string | null, type: number): () => Datum {
  if (text === null) return () => null;
  const facts = typeFactsOf(est, type);
  const input = lookupBuiltin(facts.typinput);
  if (input === undefined) throw notSupported(`type ${est.env.rows.search(TYPEOID, type)?.typname}`);
  const fc = makeCall(est, [2275, 26, 23], type, 0);
  // Each group gets a state of its own: transition functions may modify theirs.
  return () => input(fc, Buffer.from(text), facts.typelem !== 0 ? facts.typelem : facts.oid, -1);
}
