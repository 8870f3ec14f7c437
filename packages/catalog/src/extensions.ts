/**
 * The extensions that CREATE EXTENSION knows: what PostgreSQL keeps in control files and scripts. Functions are of language C
 * as in PostgreSQL, with the name of a library that a PostgreSQL which opens the directory may or may not have; here the
 * function is registered under its prosrc like any built-in one.
 */
export interface ExtensionControl {
  readonly name: string;
  readonly version: string;
  readonly comment: string;
  readonly trusted: boolean;
  readonly relocatable: boolean;
  /** Where its objects go; undefined: where the user says. */
  readonly schema: string | undefined;
  /** MODULE_PATHNAME */
  readonly library: string;
  /** undefined: it comes with initdb and cannot be made again. */
  readonly script: string | undefined;
}

const STATEMENTS_COLUMNS = `
  userid oid, dbid oid, toplevel bool, queryid bigint, query text, plans int8,
  total_plan_time float8, min_plan_time float8, max_plan_time float8, mean_plan_time float8, stddev_plan_time float8,
  calls int8,
  total_exec_time float8, min_exec_time float8, max_exec_time float8, mean_exec_time float8, stddev_exec_time float8,
  rows int8, shared_blks_hit int8, shared_blks_read int8, shared_blks_dirtied int8, shared_blks_written int8,
  local_blks_hit int8, local_blks_read int8, local_blks_dirtied int8, local_blks_written int8,
  temp_blks_read int8, temp_blks_written int8, blk_read_time float8, blk_write_time float8,
  temp_blk_read_time float8, temp_blk_write_time float8, wal_records int8, wal_fpi int8, wal_bytes numeric,
  jit_functions int8, jit_generation_time float8, jit_inlining_count int8, jit_inlining_time float8,
  jit_optimization_count int8, jit_optimization_time float8, jit_emission_count int8, jit_emission_time float8`;

const STATEMENTS_SCRIPT = `
CREATE FUNCTION pg_stat_statements_reset(IN userid oid DEFAULT 0, IN dbid oid DEFAULT 0, IN queryid bigint DEFAULT 0)
  RETURNS void AS 'MODULE_PATHNAME', 'pg_stat_statements_reset_1_7' LANGUAGE C STRICT PARALLEL SAFE;
REVOKE ALL ON FUNCTION pg_stat_statements_reset(oid, oid, bigint) FROM PUBLIC;
CREATE FUNCTION pg_stat_statements_info(OUT dealloc bigint, OUT stats_reset timestamp with time zone)
  RETURNS record AS 'MODULE_PATHNAME' LANGUAGE C STRICT VOLATILE PARALLEL SAFE;
CREATE VIEW pg_stat_statements_info AS SELECT * FROM pg_stat_statements_info();
GRANT SELECT ON pg_stat_statements_info TO PUBLIC;
CREATE FUNCTION pg_stat_statements(IN showtext boolean, ${STATEMENTS_COLUMNS.replace(/(\w+) (\w+)(?=,|$)/g, 'OUT $1 $2')})
  RETURNS SETOF record AS 'MODULE_PATHNAME', 'pg_stat_statements_1_10' LANGUAGE C STRICT VOLATILE PARALLEL SAFE;
CREATE VIEW pg_stat_statements AS SELECT * FROM pg_stat_statements(true);
GRANT SELECT ON pg_stat_statements TO PUBLIC`;

const PGTROUPE_SCRIPT = `
CREATE FUNCTION pgtroupe_launch_worker(IN worker text)
  RETURNS text AS 'MODULE_PATHNAME' LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION pgtroupe_launch_worker(text) FROM PUBLIC;
CREATE FUNCTION pgtroupe_roles(OUT name text, OUT role text, OUT epoch bigint, OUT pid int4, OUT state text,
  OUT since timestamp with time zone, OUT deaths int4, OUT adopted bool, OUT rss_bytes bigint, OUT config_version bigint,
  OUT sessions int4)
  RETURNS SETOF record AS 'MODULE_PATHNAME' LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;
CREATE FUNCTION pgtroupe_streams(OUT name text, OUT stream text, OUT sent bigint, OUT received bigint)
  RETURNS SETOF record AS 'MODULE_PATHNAME' LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;
CREATE FUNCTION pgtroupe_held(OUT name text, OUT what text, OUT count bigint)
  RETURNS SETOF record AS 'MODULE_PATHNAME' LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;
CREATE VIEW pgtroupe_roles AS SELECT * FROM pgtroupe_roles();
CREATE VIEW pgtroupe_instances AS
  SELECT name, epoch, pid, state, since, deaths, adopted, rss_bytes, sessions FROM pgtroupe_roles() WHERE role = 'backend';
CREATE VIEW pgtroupe_streams AS SELECT * FROM pgtroupe_streams();
CREATE VIEW pgtroupe_held AS SELECT * FROM pgtroupe_held();
REVOKE ALL ON FUNCTION pgtroupe_roles() FROM PUBLIC;
REVOKE ALL ON FUNCTION pgtroupe_streams() FROM PUBLIC;
REVOKE ALL ON FUNCTION pgtroupe_held() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgtroupe_roles() TO pg_monitor;
GRANT EXECUTE ON FUNCTION pgtroupe_streams() TO pg_monitor;
GRANT EXECUTE ON FUNCTION pgtroupe_held() TO pg_monitor;
GRANT SELECT ON pgtroupe_roles TO pg_monitor;
GRANT SELECT ON pgtroupe_instances TO pg_monitor;
GRANT SELECT ON pgtroupe_streams TO pg_monitor;
GRANT SELECT ON pgtroupe_held TO pg_monitor`;

export const EXTENSIONS: readonly ExtensionControl[] = [
  {
    name: 'pg_stat_statements',
    version: '1.10',
    comment: 'track planning and execution statistics of all SQL statements executed',
    trusted: false,
    relocatable: true,
    schema: undefined,
    library: '$libdir/pg_stat_statements',
    script: STATEMENTS_SCRIPT,
  },
  {
    name: 'pgtroupe',
    version: '1.0',
    comment: 'functions about the processes of pgtroupe, which PostgreSQL does not have',
    trusted: false,
    relocatable: true,
    schema: undefined,
    library: '$libdir/pgtroupe',
    script: PGTROUPE_SCRIPT,
  },
  {
    name: 'plpgsql',
    version: '1.0',
    comment: 'PL/pgSQL procedural language',
    trusted: true,
    relocatable: false,
    schema: 'pg_catalog',
    library: '$libdir/plpgsql',
    script: undefined,
  },
];
