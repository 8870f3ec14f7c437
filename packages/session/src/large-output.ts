/**
 * Output functions of values that take long to print: they run beside the main loop. Rows are handed out in one stretch, so the
 * output says that it is not there yet as a catalog entry would: whoever hands out rows awaits it and begins that row again.
 */
import { CatalogMiss } from '@pgtroupe/catalog/catalogmiss';
import type { Datum } from '@pgtroupe/common/datum';
import { heavinessOf } from '@pgtroupe/executor/heavy';
import type { FunctionCall } from '@pgtroupe/adt/fmgr';
import type { OutputFunction } from './field-encoder.ts';
import type { SessionExecEnv } from './session-exec-env.ts';

/** `output`, which is the function `prosrc`. */
export function largeOutput(
  env: SessionExecEnv,
  prosrc: string,
  call: FunctionCall,
  output: OutputFunction,
): OutputFunction {
  const isHeavy = env.startHeavyCall === undefined ? undefined : heavinessOf(prosrc);
  if (isHeavy === undefined) return output;
  /** Of the last large value: a row that waits for several is begun again for each. */
  let printed: { readonly value: Datum; readonly text: Uint8Array } | undefined;
  return value => {
    if (printed !== undefined && printed.value === value) return printed.text;
    if (!isHeavy([value], call)) return output(value);
    throw new CatalogMiss(async () => {
      printed = { value, text: (await env.callIfHeavy(prosrc, call, [value])) as Uint8Array };
    });
  };
}
