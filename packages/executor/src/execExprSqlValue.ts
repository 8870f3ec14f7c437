/**
 * CURRENT_DATE, CURRENT_TIMESTAMP, CURRENT_USER and their like: constants of the transaction or session.
 */
import { TIMESTAMPTZOID } from '@pgtroupe/common/oids';
import type { Datum } from '@pgtroupe/common/datum';
import { notSupported } from '@pgtroupe/common/ereport';
import * as N from '@pgtroupe/nodes/nodes';
import type { SQLValueFunction } from '@pgtroupe/nodes/primnodes';
import { lookupBuiltin } from '@pgtroupe/adt/fmgr';
import type { RowReader } from './batch.ts';
import { type ExprScope, makeCall } from './execExpr.ts';

export function compileSqlValueFunction(expr: SQLValueFunction, scope: ExprScope): RowReader {
  const { est } = scope;
  const { settings } = est.env;
  const call = (prosrc: string): ((...args: Datum[]) => Datum) => {
    const fn = lookupBuiltin(prosrc);
    if (fn === undefined) throw notSupported(`function ${prosrc}`);
    const fc = makeCall(est, [TIMESTAMPTZOID], expr.type_, 0);
    return (...args) => fn(fc, ...args);
  };
  const scaled = (convert: string | undefined, scale: string): RowReader => {
    const converted = convert === undefined ? undefined : call(convert);
    const scaling = expr.typmod >= 0 ? call(scale) : undefined;
    return () => {
      let value: Datum = settings.transactionTimestamp;
      if (converted) value = converted(value);
      return scaling ? scaling(value, expr.typmod) : value;
    };
  };
  switch (expr.op) {
    case N.SVFOP_CURRENT_DATE:
      return scaled('timestamptz_date', '');
    case N.SVFOP_CURRENT_TIME:
    case N.SVFOP_CURRENT_TIME_N:
      return scaled('timestamptz_timetz', 'timetz_scale');
    case N.SVFOP_CURRENT_TIMESTAMP:
    case N.SVFOP_CURRENT_TIMESTAMP_N:
      return scaled(undefined, 'timestamptz_scale');
    case N.SVFOP_LOCALTIME:
    case N.SVFOP_LOCALTIME_N:
      return scaled('timestamptz_time', 'time_scale');
    case N.SVFOP_LOCALTIMESTAMP:
    case N.SVFOP_LOCALTIMESTAMP_N:
      return scaled('timestamptz_timestamp', 'timestamp_scale');
    case N.SVFOP_CURRENT_ROLE:
    case N.SVFOP_CURRENT_USER:
    case N.SVFOP_USER:
      return () => Buffer.from(settings.currentUser);
    case N.SVFOP_SESSION_USER:
      return () => Buffer.from(settings.sessionUser);
    case N.SVFOP_CURRENT_CATALOG:
      return () => Buffer.from(settings.databaseName);
    case N.SVFOP_CURRENT_SCHEMA:
      return () => (settings.searchPath.length === 0 ? null : Buffer.from(settings.searchPath[0]!));
  }
}
