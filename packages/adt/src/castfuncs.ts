/**
 * The cast as the postmaster sees it: since when it and its configuration are there, and (extension pgtroupe, for superusers
 * and pg_monitor) who plays which role, what went over its streams and what it holds.
 */
import type { Datum } from '@pgtroupe/common/datum';
import { POSTGRES_EPOCH_MICROS } from '@pgtroupe/common/epoch';
import type { Cast, RoleStatus } from '@pgtroupe/rpc/generated/postmaster';
import { ask } from './asking.ts';
import type { FunctionCall, FunctionTable, SetFunctionTable } from './fmgr.ts';
import { stringToText } from './mb/mbutils.ts';
import { server } from './serverfuncs.ts';

function cast(fc: FunctionCall): Cast {
  const found = server(fc);
  return ask(fc, () => found.cast());
}

const time = (micros: number): Datum => (micros === 0 ? null : micros - POSTGRES_EPOCH_MICROS);
const roles = (fc: FunctionCall): readonly RoleStatus[] => cast(fc).status?.roles ?? [];

/** Of processes that are gone. */
function deaths({ launches, osPid, adopted }: RoleStatus): number {
  return launches - (osPid !== 0 && !adopted ? 1 : 0);
}

export const castFunctions: FunctionTable = {
  pg_postmaster_start_time: (fc: FunctionCall) => time(cast(fc).startedMicros),
  pg_conf_load_time: (fc: FunctionCall) => time(cast(fc).loadedMicros),
};

export const castSetFunctions: SetFunctionTable = {
  pgtroupe_roles: (fc: FunctionCall) =>
    roles(fc).map(role => [
      stringToText(role.name),
      stringToText(role.role),
      role.epoch,
      role.osPid === 0 ? null : role.osPid,
      stringToText(role.state),
      time(role.launchedMicros),
      deaths(role),
      role.adopted,
      role.rssBytes,
      role.configVersion,
      role.role === 'backend' ? role.sessions : null,
    ]),
  *pgtroupe_streams(fc: FunctionCall): Iterable<Datum[]> {
    for (const { name, traffic } of roles(fc)) {
      for (const { method, sent, received } of traffic?.rpc ?? [])
        yield [stringToText(name), stringToText(method), sent, received];
      for (const [kind, tally] of [
        ['NATS', traffic?.bus],
        ['operations of Attach', traffic?.operations],
        ['page images', traffic?.pageImages],
      ] as const)
        if (tally !== undefined) yield [stringToText(name), stringToText(kind), tally.sent, tally.received];
    }
  },
  pgtroupe_held: (fc: FunctionCall) =>
    roles(fc).flatMap(({ name, held }) =>
      held.map(({ what, count }) => [stringToText(name), stringToText(what), count]),
    ),
};
