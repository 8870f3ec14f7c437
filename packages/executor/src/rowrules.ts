/**
 * What a table asks of rows that no plan makes (COPY FROM): defaults of the columns that are left out, NOT NULL,
 * CHECK. A value that must be awaited throws, as in expressions everywhere; the row is completed again then.
 */
import { heapComputeTupleSize, heapFormTuple, tupleLayout } from '@pgtroupe/access/common/heaptuple';
import type { RelationDesc } from '@pgtroupe/catalog/relcache';
import type { Datum } from '@pgtroupe/common/datum';
import { Arena } from '@pgtroupe/storage/arena';
import type { Snapshot } from '@pgtroupe/transam/xactview';
import type { Expr } from '@pgtroupe/nodes/primnodes';
import { detach, type RowReader, TupleLane } from './batch.ts';
import { TableConstraints } from './constraints.ts';
import { EState, type ExecEnv } from './estate.ts';
import { compileExpr, type ExprScope } from './execExpr.ts';
import { columnOf } from './resultrel.ts';
import { makeScope } from './scope.ts';

export interface OmittedColumn {
  /** 0-based. */
  readonly att: number;
  readonly default: Expr;
}

export class RowRules {
  readonly #est: EState;
  readonly #scope: ExprScope;
  readonly #layout;
  readonly #lane: TupleLane;
  readonly #defaults: readonly { readonly att: number; readonly read: RowReader }[];
  readonly #constraints: TableConstraints;
  #scratch = 0;
  #scratchSize = 0;

  constructor(env: ExecEnv, relation: RelationDesc, omitted: readonly OmittedColumn[], snapshot: Snapshot) {
    this.#est = new EState(env, 0);
    this.#est.snapshot = snapshot;
    this.#layout = tupleLayout(relation.att);
    this.#lane = new TupleLane(relation.att, relation.oid);
    const noSubplans = {
      subplan: (): never => {
        throw new Error('a default or CHECK constraint with a subquery');
      },
    };
    const scope = makeScope(this.#est, noSubplans, { scan: attnum => columnOf(relation, this.#lane, attnum) });
    this.#scope = scope;
    this.#defaults = omitted.map(({ att, default: expr }) => ({ att, read: compileExpr(expr, scope) }));
    this.#constraints = new TableConstraints(this.#est, relation, scope);
  }

  /** Fills in what was left out and checks the row. */
  complete(values: Datum[]): void {
    for (const { att, read } of this.#defaults) values[att] = detach(read(0));
    this.#constraints.notNull(values);
    if (this.#constraints.hasChecks) {
      this.#form(values);
      this.#constraints.check(values);
    }
    // A row that is completed again keeps what it drew; the next one draws anew.
    this.#scope.ec.serial++;
  }

  /** The row as CHECK's Vars read it. */
  #form(values: readonly Datum[]): void {
    const { arena, mem } = this.#est.env;
    const size = heapComputeTupleSize(this.#layout, values);
    if (size > this.#scratchSize) {
      this.close();
      this.#scratchSize = Arena.chunkSize(size);
      this.#scratch = arena.alloc(this.#scratchSize);
    }
    heapFormTuple(this.#layout, values, mem, this.#scratch);
    this.#lane.ptrs[0] = this.#scratch;
  }

  close(): void {
    if (this.#scratch !== 0) this.#est.env.arena.free(this.#scratch, this.#scratchSize);
    this.#scratch = 0;
  }
}
