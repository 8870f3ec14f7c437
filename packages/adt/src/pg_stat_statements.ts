/**
 * Functions of the extension pg_stat_statements 1.10: what was counted of statements, as rows. Blocks, temporary files and
 * planning are not counted here, there is no JIT: these columns are 0.
 */
import { ROLE_PG_READ_ALL_STATS } from '@pgtroupe/common/oids';
import type { Datum } from '@pgtroupe/common/datum';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported } from '@pgtroupe/common/ereport';
import { judge } from './acl.ts';
import { ask } from './asking.ts';
import type { FunctionCall, FunctionTable, SetFunctionTable } from './fmgr.ts';
import { stringToText } from './mb/mbutils.ts';
import { int8ToNumeric } from './numeric.ts';

/** Of one user, database and query. Times in milliseconds. */
export interface StatementCounts {
  readonly userid: number;
  readonly dbid: number;
  /** 64 bits with a sign, decimal. */
  readonly queryid: string;
  readonly query: string;
  readonly calls: number;
  readonly totalMs: number;
  readonly minMs: number;
  readonly maxMs: number;
  readonly meanMs: number;
  /** Sum of squared distances from the mean. */
  readonly squaresMs: number;
  readonly rows: number;
  readonly walRecords: number;
  readonly walImages: number;
  readonly walBytes: number;
}

/** What all instances have counted together. */
export interface StatementsTold {
  readonly statements: readonly StatementCounts[];
  readonly dealloc: number;
  /** Microseconds since 2000. */
  readonly resetAt: number;
}

/** What a session can ask (SessionSettings.statements). */
export interface Statements {
  /** pg_stat_statements is in shared_preload_libraries. */
  readonly loaded: boolean;
  told(): Promise<StatementsTold>;
  /** 0 means any. */
  reset(userid: number, dbid: number, queryid: bigint): Promise<void>;
}

function statements({ settings }: FunctionCall): Statements {
  const found = settings.statements;
  if (found === undefined) throw notSupported('asking for statements here');
  if (!found.loaded) {
    const message = 'pg_stat_statements must be loaded via shared_preload_libraries';
    throw ereport(ERRCODE.OBJECT_NOT_IN_PREREQUISITE_STATE, message);
  }
  return found;
}

/** int8 as the rest of adt has it. */
function int8(value: bigint): Datum {
  const narrow = Number(value);
  return Number.isSafeInteger(narrow) ? narrow : value;
}

const NONE = (count: number): Datum[] => new Array<Datum>(count).fill(0);

function* all(fc: FunctionCall, showText: boolean): Iterable<Datum[]> {
  const { currentUserId } = fc.settings;
  const source = statements(fc);
  const told = ask(fc, () => source.told());
  const acl = judge(fc);
  const seesAll = acl.isSuperuser(currentUserId) || acl.hasPrivsOfRole(currentUserId, ROLE_PG_READ_ALL_STATS);
  for (const s of told.statements) {
    const shown = seesAll || s.userid === currentUserId;
    const query = shown ? (showText ? stringToText(s.query) : null) : showText ? HIDDEN : null;
    yield [
      s.userid,
      s.dbid,
      true,
      shown ? int8(BigInt(s.queryid)) : null,
      query,
      ...NONE(6),
      s.calls,
      s.totalMs,
      s.minMs,
      s.maxMs,
      s.meanMs,
      Math.sqrt(s.squaresMs / s.calls),
      s.rows,
      ...NONE(14),
      s.walRecords,
      s.walImages,
      int8ToNumeric(s.walBytes),
      ...NONE(8),
    ];
  }
}

const HIDDEN = stringToText('<insufficient privilege>');

function* info(fc: FunctionCall): Iterable<Datum[]> {
  const source = statements(fc);
  const { dealloc, resetAt } = ask(fc, () => source.told());
  yield [dealloc, resetAt];
}

function reset(fc: FunctionCall, userid: number, dbid: number, queryid: number | bigint): Datum {
  const source = statements(fc);
  ask(fc, () => source.reset(userid, dbid, BigInt(queryid)));
  return null;
}

export const statementsFunctions: FunctionTable = {
  pg_stat_statements_reset_1_7: reset,
};

export const statementsSetFunctions: SetFunctionTable = {
  pg_stat_statements_1_10: all,
  pg_stat_statements_info: info,
};
