/**
 * Calls that would hold up the main loop for long run beside it (packages/session/src/offloop). The expression throws SUSPEND, and
 * repeated it finds the value: neither the arguments nor the call are evaluated again.
 */
import type { Datum } from '@pgtroupe/common/datum';
import type { IsHeavy } from './heavy.ts';
import { type FunctionCall, type PGFunction } from '@pgtroupe/adt/fmgr';
import type { RowReader } from './batch.ts';
import { evaluationKey } from './estate.ts';
import type { ExprScope } from './execExpr.ts';
import { MISS, SUSPEND } from './status.ts';

/** 'wait': it runs beside the main loop. 'refuse': SUSPEND, the value is not needed now. Neither: it runs here. */
export type HeavyCalls = 'wait' | 'refuse';

/** A call under way beside the main loop. */
export interface HeavyCall {
  readonly done: boolean;
  /** The value, or throws the call's error. */
  result(): Datum;
  abandon(): void;
}

export function heavyCall(
  prosrc: string,
  isHeavy: IsHeavy,
  fn: PGFunction,
  fc: FunctionCall,
  args: readonly RowReader[],
  strict: boolean,
  scope: ExprScope,
): RowReader {
  const { est, ec } = scope;
  const values = new Array<Datum>(args.length);
  let call: HeavyCall | undefined;
  /** The evaluation that `call` is for. */
  let key = -1;
  let generation = -1;
  /** Its value was used in an attempt at the row that something else may have suspended. */
  let usedAt = -1;
  const take = (current: HeavyCall): Datum => {
    if (!current.done) {
      est.env.pages.want = { kind: 'await', run: () => est.env.awaitHeavyCall!(current) };
      est.suspended = MISS;
      est.heavySuspensions++;
      throw SUSPEND;
    }
    usedAt = est.heavySuspensions;
    return current.result();
  };
  est.releases.push(() => {
    call?.abandon();
    call = undefined;
  });
  return row => {
    if (call !== undefined) {
      const same = generation === est.generation && key === evaluationKey(ec, row);
      if (same && (usedAt < 0 || usedAt !== est.heavySuspensions)) return take(call);
      call.abandon();
      call = undefined;
    }
    for (let i = 0; i < args.length; i++) values[i] = args[i]!(row);
    if (strict && values.includes(null)) return null;
    if (!isHeavy(values, fc)) return fn(fc, ...values);
    if (scope.heavyCalls === 'refuse') throw SUSPEND;
    call = est.env.startHeavyCall!(prosrc, fc, values);
    key = evaluationKey(ec, row);
    generation = est.generation;
    usedAt = -1;
    return take(call);
  };
}
