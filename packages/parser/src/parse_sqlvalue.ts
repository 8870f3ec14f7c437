/**
 * CURRENT_DATE, CURRENT_USER and their kin: functions without parentheses, some with a precision.
 */
import { timePrecision } from '@pgtroupe/adt/typmod';
import type { Oid } from '@pgtroupe/common/ids';
import { DATEOID, NAMEOID, TIMEOID, TIMESTAMPOID, TIMESTAMPTZOID, TIMETZOID } from '@pgtroupe/common/oids';
import {
  SVFOP_CURRENT_CATALOG,
  SVFOP_CURRENT_DATE,
  SVFOP_CURRENT_ROLE,
  SVFOP_CURRENT_SCHEMA,
  SVFOP_CURRENT_TIME,
  SVFOP_CURRENT_TIMESTAMP,
  SVFOP_CURRENT_TIMESTAMP_N,
  SVFOP_CURRENT_TIME_N,
  SVFOP_CURRENT_USER,
  SVFOP_LOCALTIME,
  SVFOP_LOCALTIMESTAMP,
  SVFOP_LOCALTIMESTAMP_N,
  SVFOP_LOCALTIME_N,
  SVFOP_SESSION_USER,
  SVFOP_USER,
  type SQLValueFunctionOp,
} from '@pgtroupe/nodes/nodes';
import type { Expr } from '@pgtroupe/nodes/primnodes';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import type { ParseState } from './parse_node.ts';

const VALUE_FUNCTIONS: Readonly<Record<string, readonly [op: SQLValueFunctionOp, type: Oid]>> = {
  SVFOP_CURRENT_DATE: [SVFOP_CURRENT_DATE, DATEOID],
  SVFOP_CURRENT_TIME: [SVFOP_CURRENT_TIME, TIMETZOID],
  SVFOP_CURRENT_TIME_N: [SVFOP_CURRENT_TIME_N, TIMETZOID],
  SVFOP_CURRENT_TIMESTAMP: [SVFOP_CURRENT_TIMESTAMP, TIMESTAMPTZOID],
  SVFOP_CURRENT_TIMESTAMP_N: [SVFOP_CURRENT_TIMESTAMP_N, TIMESTAMPTZOID],
  SVFOP_LOCALTIME: [SVFOP_LOCALTIME, TIMEOID],
  SVFOP_LOCALTIME_N: [SVFOP_LOCALTIME_N, TIMEOID],
  SVFOP_LOCALTIMESTAMP: [SVFOP_LOCALTIMESTAMP, TIMESTAMPOID],
  SVFOP_LOCALTIMESTAMP_N: [SVFOP_LOCALTIMESTAMP_N, TIMESTAMPOID],
  SVFOP_CURRENT_ROLE: [SVFOP_CURRENT_ROLE, NAMEOID],
  SVFOP_CURRENT_USER: [SVFOP_CURRENT_USER, NAMEOID],
  SVFOP_USER: [SVFOP_USER, NAMEOID],
  SVFOP_SESSION_USER: [SVFOP_SESSION_USER, NAMEOID],
  SVFOP_CURRENT_CATALOG: [SVFOP_CURRENT_CATALOG, NAMEOID],
  SVFOP_CURRENT_SCHEMA: [SVFOP_CURRENT_SCHEMA, NAMEOID],
};

export function transformSQLValueFunction(pstate: ParseState, raw: RawNode): Expr {
  const [op, type] = VALUE_FUNCTIONS[raw.op as string] as readonly [SQLValueFunctionOp, Oid];
  let typmod: number = raw.typmod ?? 0;
  if ((raw.op as string).endsWith('_N')) {
    const name = type === TIMETZOID || type === TIMEOID ? 'TIME(%d)' : 'TIMESTAMP(%d)';
    const zone = type === TIMETZOID || type === TIMESTAMPTZOID ? ' WITH TIME ZONE' : '';
    typmod = timePrecision(pstate.warningCall(), typmod, name + zone);
  }
  return { type: 'SQLValueFunction', op, type_: type, typmod, location: raw.location ?? 0 };
}
