/**
 * The list of built-in function tables, one per file of utils/adt. Functions rather than arrays:
 * fmgr and the adt files import each other, and nothing may be read before all are loaded.
 */
import type { FunctionTable, SetFunctionTable } from './fmgr.ts';
import { boolFunctions } from './adt/bool.ts';

export function builtinTables(): readonly FunctionTable[] {
  return [boolFunctions];
}

export function builtinSetTables(): readonly SetFunctionTable[] {
  return [];
}
