/**
 * Index entries of new rows: keys from columns or expressions, partial indexes, unique violations.
 */
import { BTREE_AM_OID } from '@pgtroupe/common/oids';
import type { HeapRelation } from '@pgtroupe/access/heap/heapam-context';
import type { BTIndex } from '@pgtroupe/access/nbtree/btindex';
import {
  BT_DUPLICATE,
  BT_INSERTED,
  btFindConflict,
  btInsert,
  uniqueViolation,
} from '@pgtroupe/access/nbtree/nbtinsert';
import type { IndexDesc, RelationDesc } from '@pgtroupe/catalog/relcache';
import type { Datum } from '@pgtroupe/common/datum';
import { notSupported } from '@pgtroupe/common/ereport';
import type { Expr } from '@pgtroupe/nodes/primnodes';
import { stringToNode } from '@pgtroupe/nodes/readfuncs';
import { makeAndsImplicit } from '@pgtroupe/optimizer/clauses';
import { pullVars } from '@pgtroupe/optimizer/var';
import type { RowReader } from './batch.ts';
import { outputText, schemaName } from './constraints.ts';
import type { EState } from './estate.ts';
import { compileExpr, compileQual, type ExprScope } from './execExpr.ts';
import { btreeOf } from './relations.ts';
import { MISS } from './status.ts';

function expressionsOf(index: IndexDesc): readonly Expr[] {
  return index.index.indexprs === null ? [] : ([stringToNode(index.index.indexprs)].flat() as Expr[]);
}

function predicateOf(index: IndexDesc): Expr[] {
  return index.index.indpred === null
    ? []
    : ([stringToNode(index.index.indpred)].flat() as Expr[]).flatMap(makeAndsImplicit);
}

/** Attribute numbers that an index's entries depend on. */
export function indexColumns(index: IndexDesc): number[] {
  const columns = index.index.indkey.filter(attnum => attnum !== 0);
  for (const expr of [...expressionsOf(index), ...predicateOf(index)])
    for (const v of pullVars(expr)) columns.push(v.varattno);
  return columns;
}

class OpenIndex {
  readonly bt: BTIndex;
  readonly desc: IndexDesc;
  readonly #columns: readonly (number | RowReader)[];
  readonly #predicate: ((row: number) => boolean) | null;
  readonly values: Datum[];

  constructor(est: EState, relation: RelationDesc, desc: IndexDesc, scope: ExprScope) {
    this.desc = desc;
    this.bt = btreeOf(est, relation, desc);
    const expressions = [...expressionsOf(desc)];
    this.#columns = desc.index.indkey.map(attnum =>
      attnum !== 0 ? attnum - 1 : compileExpr(expressions.shift()!, scope),
    );
    this.#predicate = compileQual(predicateOf(desc), scope);
    this.values = new Array<Datum>(this.#columns.length).fill(null);
  }

  /** Computes the entry's values; false when the row is not in this (partial) index. */
  form(row: readonly Datum[]): boolean {
    if (this.#predicate !== null && !this.#predicate(0)) return false;
    for (let i = 0; i < this.#columns.length; i++) {
      const column = this.#columns[i]!;
      this.values[i] = typeof column === 'number' ? row[column]! : column(0);
    }
    return true;
  }
}

export class TableIndexes {
  readonly #est: EState;
  readonly #relation: RelationDesc;
  readonly #heap: HeapRelation;
  readonly #indexes: readonly OpenIndex[];
  /** Where an interrupted insertion goes on. */
  #next = 0;

  /** `scope` reads the new row as row 0. */
  constructor(est: EState, relation: RelationDesc, heap: HeapRelation, scope: ExprScope) {
    this.#est = est;
    this.#relation = relation;
    this.#heap = heap;
    this.#indexes = relation.indexes
      .filter(index => index.index.indisready)
      .map(index => {
        if ((index.rel.rel.relam as number) !== BTREE_AM_OID) throw notSupported('an index that is not a btree');
        return new OpenIndex(est, relation, index, scope);
      });
  }

  get count(): number {
    return this.#indexes.length;
  }

  start(): void {
    this.#next = 0;
  }

  /** Inserts entries for the row stored at (blk, offnum). MISS: call again. */
  insert(values: readonly Datum[], blk: number, offnum: number): number {
    const { heap } = this.#est.env;
    for (; this.#next < this.#indexes.length; this.#next++) {
      const index = this.#indexes[this.#next]!;
      if (!index.form(values)) continue;
      const unique = index.bt.unique ? 'yes' : 'no';
      const answer = btInsert(index.bt, heap, this.#heap, index.values, blk, offnum, unique);
      if (answer === MISS) return MISS;
      if (answer === BT_DUPLICATE) throw this.#duplicate(index);
    }
    return BT_INSERTED;
  }

  #duplicate(index: OpenIndex): Error {
    const keys = index.values.slice(0, index.bt.nkeyatts).map((value, i) => {
      const typid =
        index.desc.keys[i]!.attnum > 0
          ? this.#relation.att.attrs[index.desc.keys[i]!.attnum - 1]!.typid
          : index.desc.rel.att.attrs[i]!.typid;
      return value === null ? null : outputText(this.#est, typid, value);
    });
    return uniqueViolation(index.bt, schemaName(this.#est, this.#relation), keys);
  }

  /**
   * Does a live row stand in the way of this one in the given indexes (all unique ones if none are named)?
   * BT_DUPLICATE with the row in the heap context, BT_INSERTED for no, MISS.
   */
  findConflict(values: readonly Datum[], arbiters: readonly number[]): number {
    for (const index of this.#indexes) {
      if (!index.bt.unique || (arbiters.length > 0 && !arbiters.includes(index.desc.index.indexrelid))) continue;
      if (!index.form(values)) continue;
      const answer = btFindConflict(index.bt, this.#est.env.heap, this.#heap, index.values);
      if (answer !== BT_INSERTED) return answer;
    }
    return BT_INSERTED;
  }

  /** Obtains everything an insertion will need, so that row and entries go in without a pause. */
  prepare(values: readonly Datum[]): number {
    for (const index of this.#indexes) {
      if (!index.form(values)) continue;
      const answer = btInsert(
        index.bt,
        this.#est.env.heap,
        this.#heap,
        index.values,
        0,
        1,
        index.bt.unique ? 'yes' : 'no',
        true,
      );
      if (answer === MISS) return MISS;
      if (answer === BT_DUPLICATE) throw this.#duplicate(index);
    }
    return BT_INSERTED;
  }
}
