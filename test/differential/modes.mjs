/**
 * Ways a statement is planned and run, each for a block of statements. PostgreSQL answers in its own way: an answer must not
 * depend on any of this.
 */
const off = (...names) => names.map(name => `set enable_${name} = off`);

export const MODES = [
  { name: 'default', settings: [] },
  { name: 'no hash', settings: off('hashjoin', 'hashagg') },
  { name: 'prepared', settings: [], prepared: true },
  { name: 'no nestloop', settings: off('nestloop', 'material') },
  { name: 'one row at a time', settings: [], rows: 1 },
  { name: 'no index', settings: off('indexscan', 'indexonlyscan', 'bitmapscan') },
  { name: 'prepared, generic', settings: ['set plan_cache_mode = force_generic_plan'], prepared: true },
  { name: 'no sequential scan', settings: off('seqscan', 'sort') },
  { name: 'three rows at a time', settings: off('hashjoin'), rows: 3 },
  { name: 'little memory', settings: ["set work_mem = '64kB'"] },
  { name: 'prepared, custom', settings: ['set plan_cache_mode = force_custom_plan'], prepared: true },
  { name: 'nested loops only', settings: off('hashjoin', 'mergejoin', 'hashagg', 'material') },
];

/** Where answers differ PostgreSQL is asked whether its own does under other plans. */
export const OTHER_PLANS = [
  { settings: [] },
  { settings: off('hashjoin', 'hashagg') },
  { settings: off('nestloop', 'material', 'memoize') },
  { settings: off('hashjoin', 'mergejoin', 'material', 'memoize') },
  { settings: off('seqscan', 'sort') },
  { settings: [...off('indexscan', 'indexonlyscan', 'bitmapscan', 'mergejoin'), 'set join_collapse_limit = 1'] },
  // What has parameters is not computed while the plan is made.
  { settings: ['set plan_cache_mode = force_generic_plan'], prepared: true },
];
