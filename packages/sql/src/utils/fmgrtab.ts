/**
 * The list of built-in function tables, one per file of utils/adt. Functions rather than arrays:
 * fmgr and the adt files import each other, and nothing may be read before all are loaded.
 */
import type { FunctionTable, SetFunctionTable } from './fmgr.ts';
import { boolFunctions } from './adt/bool.ts';
import { charFunctions } from './adt/char.ts';
import { floatFunctions } from './adt/float.ts';
import { floatMathFunctions } from './adt/floatmath.ts';
import { intFunctions, intSetFunctions } from './adt/int.ts';
import { int8Functions, int8SetFunctions } from './adt/int8.ts';
import { nameFunctions } from './adt/name.ts';
import { numericAggFunctions } from './adt/numericagg.ts';
import { numericFunctions, numericSetFunctions } from './adt/numeric.ts';
import { oidFunctions } from './adt/oid.ts';
import { pseudotypeFunctions } from './adt/pseudotypes.ts';
import { varcharFunctions } from './adt/varchar.ts';
import { varlenaFunctions } from './adt/varlena.ts';

export function builtinTables(): readonly FunctionTable[] {
  return [
    boolFunctions,
    charFunctions,
    floatFunctions,
    floatMathFunctions,
    intFunctions,
    int8Functions,
    nameFunctions,
    numericFunctions,
    numericAggFunctions,
    oidFunctions,
    pseudotypeFunctions,
    varcharFunctions,
    varlenaFunctions,
  ];
}

export function builtinSetTables(): readonly SetFunctionTable[] {
  return [intSetFunctions, int8SetFunctions, numericSetFunctions];
}
