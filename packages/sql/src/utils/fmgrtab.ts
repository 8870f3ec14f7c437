/**
 * The list of built-in function tables, one or more per file of adt, and those of ruleutils. Whoever loads this file can call them all: a
 * program that runs SQL imports it once, at its root.
 */
import { registerFunctions } from './fmgr.ts';
import { aclFunctions, aclSetFunctions } from './adt/acl.ts';
import { arrayUserFunctions } from './adt/array_userfuncs.ts';
import { arrayFunctions, arraySetFunctions } from './adt/arrayfuncs.ts';
import { boolFunctions } from './adt/bool.ts';
import { charFunctions } from './adt/char.ts';
import { cryptohashFunctions } from './adt/cryptohashfuncs.ts';
import { dateFunctions } from './adt/date.ts';
import { encodeFunctions } from './adt/encode.ts';
import { enumFunctions } from './adt/enum.ts';
import { floatFunctions } from './adt/float.ts';
import { floatMathFunctions } from './adt/floatmath.ts';
import { formatTypeFunctions } from './adt/format_type.ts';
import { formattingDateFunctions } from './adt/formatting_date.ts';
import { formattingNumberFunctions } from './adt/formatting_number.ts';
import { hashFunctions } from './adt/hashfunc.ts';
import { intFunctions, intSetFunctions } from './adt/int.ts';
import { int8Functions, int8SetFunctions } from './adt/int8.ts';
import { intervalFunctions } from './adt/interval.ts';
import { jsonFunctions, jsonSetFunctions } from './adt/json.ts';
import { jsonbFunctions, jsonbSetFunctions } from './adt/jsonb.ts';
import { likeFunctions } from './adt/like.ts';
import { miscFunctions, miscSetFunctions } from './adt/misc.ts';
import { nameFunctions } from './adt/name.ts';
import { networkFunctions } from './adt/network.ts';
import { numericFunctions, numericSetFunctions } from './adt/numeric.ts';
import { numericAggFunctions } from './adt/numericagg.ts';
import { oidFunctions } from './adt/oid.ts';
import { oracleCompatFunctions } from './adt/oracle_compat.ts';
import { pgLsnFunctions } from './adt/pg_lsn.ts';
import { pseudotypeFunctions } from './adt/pseudotypes.ts';
import { quoteFunctions } from './adt/quote.ts';
import { regexpFunctions, regexpSetFunctions } from './adt/regexp.ts';
import { regFunctions, visibilityFunctions } from './adt/regproc.ts';
import { rowtypeFunctions } from './adt/rowtypes.ts';
import { sequenceFunctions } from './adt/sequencefuncs.ts';
import { serverFunctions, serverSetFunctions } from './adt/serverfuncs.ts';
import { textFunctions, textSetFunctions } from './adt/textfuncs.ts';
import { timestampFunctions, timestampSetFunctions } from './adt/timestamp.ts';
import { uuidFunctions } from './adt/uuid.ts';
import { varbitFunctions } from './adt/varbit.ts';
import { varcharFunctions } from './adt/varchar.ts';
import { varlenaFunctions } from './adt/varlena.ts';
import { ruleutilsFunctions } from './ruleutils/ruleutils.ts';

registerFunctions(
  [
    aclFunctions,
    arrayUserFunctions,
    arrayFunctions,
    boolFunctions,
    charFunctions,
    cryptohashFunctions,
    dateFunctions,
    encodeFunctions,
    enumFunctions,
    floatFunctions,
    floatMathFunctions,
    formatTypeFunctions,
    formattingDateFunctions,
    formattingNumberFunctions,
    hashFunctions,
    intFunctions,
    int8Functions,
    intervalFunctions,
    jsonFunctions,
    jsonbFunctions,
    likeFunctions,
    miscFunctions,
    nameFunctions,
    networkFunctions,
    numericFunctions,
    numericAggFunctions,
    oidFunctions,
    oracleCompatFunctions,
    pgLsnFunctions,
    pseudotypeFunctions,
    quoteFunctions,
    regexpFunctions,
    regFunctions,
    visibilityFunctions,
    rowtypeFunctions,
    ruleutilsFunctions,
    sequenceFunctions,
    serverFunctions,
    textFunctions,
    timestampFunctions,
    uuidFunctions,
    varbitFunctions,
    varcharFunctions,
    varlenaFunctions,
  ],
  [
    aclSetFunctions,
    arraySetFunctions,
    intSetFunctions,
    int8SetFunctions,
    jsonSetFunctions,
    jsonbSetFunctions,
    miscSetFunctions,
    numericSetFunctions,
    regexpSetFunctions,
    serverSetFunctions,
    textSetFunctions,
    timestampSetFunctions,
  ],
);
