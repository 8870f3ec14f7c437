/**
 * What the planner does with values in pg_statistic: takes arrays apart and calls operators.
 */
import { arrayElemType, deconstructArray } from '@pgtroupe/adt/arrayutils';
import { typeFacts } from '@pgtroupe/adt/cache/typcache';
import { type FunctionCall, lookupBuiltin } from '@pgtroupe/adt/fmgr';
import type { CatCache } from '@pgtroupe/catalog/catcache';
import { OPEROID, PROCOID } from '@pgtroupe/catalog/syscache';
import { DEFAULT_COLLATION_OID, FLOAT8OID } from '@pgtroupe/common/oids';
import type { StatisticValues } from '@pgtroupe/optimizer/pathnodes';

/** `call`: a call of a function in the session that plans. */
export function statisticValues(rows: CatCache, call: () => FunctionCall): StatisticValues {
  return {
    elements: array => deconstructArray(array, typeFacts(call(), arrayElemType(array))),
    operator: opno => {
      const operator = rows.search(OPEROID, opno);
      const proc = operator === null ? null : rows.search(PROCOID, operator.oprcode);
      const fn = proc === null ? undefined : lookupBuiltin(proc.prosrc);
      if (operator === null || fn === undefined) return undefined;
      const argTypes = [operator.oprleft, operator.oprright];
      const fc = { ...call(), collation: DEFAULT_COLLATION_OID, argTypes, resultType: operator.oprresult };
      return (a, b) => fn(fc, a, b);
    },
    numeric: value => lookupBuiltin('numeric_float8')!({ ...call(), resultType: FLOAT8OID }, value) as number,
  };
}
