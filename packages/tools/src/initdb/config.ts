/**
 * The configuration files of a fresh data directory. postgresql.conf names every parameter, with its
 * default commented out, in PostgreSQL's categories; PostgreSQL itself can start with these files.
 */
import { allGucs, fileGucName, showGuc, parseGuc } from '@pgtroupe/common/guc';
import type { GucFacts } from '@pgtroupe/common/guc';

/** What initdb sets, as PostgreSQL's does. */
const SET: Readonly<Record<string, string>> = {
  max_connections: '100',
  shared_buffers: '128MB',
  dynamic_shared_memory_type: 'posix',
  max_wal_size: '1GB',
  min_wal_size: '80MB',
  log_timezone: "'Etc/UTC'",
  DateStyle: "'iso, mdy'",
  TimeZone: "'Etc/UTC'",
  lc_messages: "'C.UTF-8'",
  lc_monetary: "'C.UTF-8'",
  lc_numeric: "'C.UTF-8'",
  lc_time: "'C.UTF-8'",
  default_text_search_config: "'pg_catalog.english'",
};

function line(guc: GucFacts): string {
  const set = SET[guc.name];
  const value = set ?? quoted(guc);
  return (
    `${set === undefined ? '#' : ''}${fileGucName(guc)} = ${value}`.padEnd(40) +
    `# ${guc.short}${guc.context === 'postmaster' ? ' (change requires restart)' : ''}\n`
  );
}

function quoted(guc: GucFacts): string {
  const shown = guc.boot === null ? '' : showGuc(guc, parseGuc(guc, guc.boot));
  return guc.vartype === 'string' ? `'${shown.replaceAll("'", "''")}'` : shown;
}

export function postgresqlConf(): string {
  let text = `# pgtroupe configuration file, in the format of postgresql.conf
#
#   name = value
#
# Commented lines show the defaults. Changes take effect on reload (pg_reload_conf()) unless a restart
# is asked for. Memory: B kB MB GB TB; time: us ms s min h d.
`;
  let category = '';
  const shown = [...allGucs()].filter(
    guc => !guc.flags?.includes('NOT_IN_SAMPLE') && !guc.flags?.includes('DISALLOW_IN_FILE'),
  );
  for (const guc of shown.sort((a, b) =>
    a.category === b.category ? (a.name < b.name ? -1 : 1) : a.category < b.category ? -1 : 1,
  )) {
    if (guc.category !== category) text += `\n# ---- ${(category = guc.category)} ----\n\n`;
    text += line(guc);
  }
  return text;
}

export function pgHbaConf(authLocal: string, authHost: string): string {
  const method = authLocal === 'trust' || authHost === 'trust';
  return `# PostgreSQL client authentication: the first line that matches decides.
#
# TYPE  DATABASE        USER            ADDRESS                 METHOD
${method ? '# "trust" lets any local user connect as any database user.\n' : ''}
local   all             all                                     ${authLocal}
host    all             all             127.0.0.1/32            ${authHost}
host    all             all             ::1/128                 ${authHost}
local   replication     all                                     ${authLocal}
host    replication     all             127.0.0.1/32            ${authHost}
host    replication     all             ::1/128                 ${authHost}
`;
}

export const PG_IDENT_CONF = `# User name maps: operating system user to database user.
#
# MAPNAME       SYSTEM-USERNAME         PG-USERNAME
`;
