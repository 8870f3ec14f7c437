/**
 * The list of built-in function tables, one or more per file of adt, and those of ruleutils. Whoever loads this file can call them all: a
 * program that runs SQL imports it once, at its root.
 */
import { registerFunctions } from '@pgtroupe/adt/fmgr';
import { aclFunctions, aclSetFunctions } from '@pgtroupe/adt/acl';
import { arraySlicedFunctions, arrayUserFunctions } from '@pgtroupe/adt/array_userfuncs';
import { arrayFunctions, arraySetFunctions } from '@pgtroupe/adt/arrayfuncs';
import { boolFunctions } from '@pgtroupe/adt/bool';
import { charFunctions } from '@pgtroupe/adt/char';
import { cryptohashFunctions } from '@pgtroupe/adt/cryptohashfuncs';
import { dateFunctions } from '@pgtroupe/adt/date';
import { encodeFunctions } from '@pgtroupe/adt/encode';
import { enumFunctions } from '@pgtroupe/adt/enum';
import { extensionSetFunctions } from '@pgtroupe/adt/extension';
import { floatFunctions } from '@pgtroupe/adt/float';
import { floatMathFunctions } from '@pgtroupe/adt/floatmath';
import { formatTypeFunctions } from '@pgtroupe/adt/format_type';
import { formattingDateFunctions } from '@pgtroupe/adt/formatting_date';
import { formattingNumberFunctions } from '@pgtroupe/adt/formatting_number';
import { hashFunctions } from '@pgtroupe/adt/hashfunc';
import { intFunctions, intSetFunctions } from '@pgtroupe/adt/int';
import { int8Functions, int8SetFunctions } from '@pgtroupe/adt/int8';
import { intervalFunctions } from '@pgtroupe/adt/interval';
import { intervalAggFunctions } from '@pgtroupe/adt/intervalagg';
import { jsonPopulateSetFunctions } from '@pgtroupe/adt/json_populate';
import { jsonFunctions, jsonSetFunctions, jsonSlicedFunctions } from '@pgtroupe/adt/json';
import { jsonbFunctions, jsonbSetFunctions, jsonbSlicedFunctions } from '@pgtroupe/adt/jsonb';
import { likeFunctions } from '@pgtroupe/adt/like';
import { lockFunctions } from '@pgtroupe/adt/lockfuncs';
import { xid8Functions } from '@pgtroupe/adt/xid8funcs';
import { miscFunctions, miscSetFunctions } from '@pgtroupe/adt/misc';
import { nameFunctions } from '@pgtroupe/adt/name';
import { networkFunctions } from '@pgtroupe/adt/network';
import { numericFunctions, numericSetFunctions } from '@pgtroupe/adt/numeric';
import { numericAggFunctions } from '@pgtroupe/adt/numericagg';
import { oidFunctions } from '@pgtroupe/adt/oid';
import { asciiFunctions } from '@pgtroupe/adt/ascii';
import { oracleCompatFunctions } from '@pgtroupe/adt/oracle_compat';
import { pgLsnFunctions } from '@pgtroupe/adt/pg_lsn';
import { pseudotypeFunctions } from '@pgtroupe/adt/pseudotypes';
import { statementsFunctions, statementsSetFunctions } from '@pgtroupe/adt/pg_stat_statements';
import { quoteFunctions } from '@pgtroupe/adt/quote';
import { regexpFunctions, regexpSetFunctions } from '@pgtroupe/adt/regexp';
import { regFunctions, visibilityFunctions } from '@pgtroupe/adt/regproc';
import { rowtypeFunctions } from '@pgtroupe/adt/rowtypes';
import { sequenceFunctions } from '@pgtroupe/adt/sequencefuncs';
import { logFunctions } from '@pgtroupe/adt/logfuncs';
import { pgstatArchiverSetFunctions } from '@pgtroupe/adt/pgstat_archiver';
import { pgstatDatabaseFunctions } from '@pgtroupe/adt/pgstat_database';
import { pgstatRelationFunctions } from '@pgtroupe/adt/pgstat_relation';
import { pgstatSharedFunctions, pgstatSharedSetFunctions } from '@pgtroupe/adt/pgstat_shared';
import { sizeFunctions } from '@pgtroupe/adt/dbsize';
import { castFunctions, castSetFunctions } from '@pgtroupe/adt/castfuncs';
import { serverFunctions, serverSetFunctions } from '@pgtroupe/adt/serverfuncs';
import { xlogFunctions, xlogSetFunctions } from '@pgtroupe/adt/xlogfuncs';
import { signalFunctions } from '@pgtroupe/adt/signalfuncs';
import { lockStatusFunctions, lockStatusSetFunctions } from '@pgtroupe/adt/lockstatus';
import { statFunctions, statSetFunctions } from '@pgtroupe/adt/pgstatfuncs';
import { snapshotFunctions, snapshotSetFunctions } from '@pgtroupe/adt/pg_snapshot';
import { textFunctions, textSetFunctions, textSlicedFunctions } from '@pgtroupe/adt/textfuncs';
import { timestampFunctions, timestampSetFunctions } from '@pgtroupe/adt/timestamp';
import { uuidFunctions } from '@pgtroupe/adt/uuid';
import { varbitFunctions } from '@pgtroupe/adt/varbit';
import { varcharFunctions } from '@pgtroupe/adt/varchar';
import { varlenaFunctions } from '@pgtroupe/adt/varlena';
import { ruleutilsFunctions } from '@pgtroupe/ruleutils/ruleutils';

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
    intervalAggFunctions,
    jsonFunctions,
    jsonbFunctions,
    likeFunctions,
    lockFunctions,
    xid8Functions,
    miscFunctions,
    nameFunctions,
    networkFunctions,
    numericFunctions,
    numericAggFunctions,
    oidFunctions,
    asciiFunctions,
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
    castFunctions,
    sizeFunctions,
    logFunctions,
    signalFunctions,
    snapshotFunctions,
    lockStatusFunctions,
    statFunctions,
    statementsFunctions,
    textFunctions,
    timestampFunctions,
    uuidFunctions,
    varbitFunctions,
    varcharFunctions,
    varlenaFunctions,
    xlogFunctions,
    pgstatDatabaseFunctions,
    pgstatRelationFunctions,
    pgstatSharedFunctions,
  ],
  [
    aclSetFunctions,
    arraySetFunctions,
    extensionSetFunctions,
    intSetFunctions,
    int8SetFunctions,
    jsonSetFunctions,
    jsonPopulateSetFunctions,
    jsonbSetFunctions,
    miscSetFunctions,
    pgstatArchiverSetFunctions,
    pgstatSharedSetFunctions,
    numericSetFunctions,
    regexpSetFunctions,
    serverSetFunctions,
    castSetFunctions,
    lockStatusSetFunctions,
    statSetFunctions,
    statementsSetFunctions,
    xlogSetFunctions,
    snapshotSetFunctions,
    textSetFunctions,
    timestampSetFunctions,
  ],
  [arraySlicedFunctions, jsonSlicedFunctions, jsonbSlicedFunctions, textSlicedFunctions],
);
