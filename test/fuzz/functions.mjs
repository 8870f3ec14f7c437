/**
 * Calls of every function of pg_proc and every operator of pg_operator. What such a call does to others, waits for, or says of the
 * moment is not asked, or only whether it fails as it must (`vague`).
 */
import { value } from './values.mjs';

/** Changes the server, its files or other sessions, waits, or keeps something beyond its statement. */
const NEVER = new RegExp(
  `^(?:${[
    'pg_sleep.*|pg_(?:try_)?advisory.*|pg_terminate_backend|pg_cancel_backend|pg_reload_conf|pg_rotate_logfile.*|pg_promote',
    'pg_switch_wal|pg_create_restore_point|pg_backup_.*|pg_wal_replay_.*|pg_log_backend_memory_contexts|pg_stat_reset.*',
    'pg_create_.*slot|pg_drop_replication_slot|pg_copy_.*slot|pg_logical_.*|pg_replication_.*|pg_export_snapshot|lo_.*|lo(?:read|write)|',
    'binary_upgrade.*|pg_read_.*file.*|pg_ls_.*|pg_stat_file|pg_current_logfile|set_config|setseed|setval|nextval|currval|lastval',
    'pg_import_system_collations|pg_nextoid|pg_stop_making_pinned_objects|brin_.*|gin_clean_pending_list|pg_notify|pg_extension_config_dump',
    'pg_event_trigger_.*|query_to_xml.*|table_to_xml.*|schema_to_xml.*|database_to_xml.*|cursor_to_xml.*|dblink.*|currtid2',
  ].join('|')})$`,
);
/** Says something of this server or this moment: the answer's kind counts, not its values. */
const OF_THE_MOMENT = new RegExp(
  `^(?:${[
    'pg_stat_.*|pg_.*(?:_size|filepath|filenode|relation)|pg_get_(?:wal_.*|shmem_.*|backend_memory_contexts|replication_slots)|pg_lock_status|pg_blocking_pids',
    'pg_control_.*|pg_(?:config|settings|hba_file_rules|ident_file_mappings|show_all_.*|timezone_.*|postmaster_start_time|conf_load_time)|version',
    'pg_backend_pid|inet_(?:client|server)_.*|txid_.*|pg_(?:current_)?(?:xact|snapshot|wal).*|now|transaction_timestamp|current_.*|statement_timestamp|pg_xact_.*|mxid_age|age',
    'pg_last_.*|pg_is_in_.*|pg_safe_snapshot.*|pg_isolation.*|pg_prepared_.*|pg_cursor|pg_available_extension.*|pg_collation_actual_version',
    'pg_database_collation_actual_version|pg_tablespace_.*|pg_describe_object|pg_identify_object.*|pg_get_object_address|pg_jit_available|show_all_.*',
    'pg_listening_channels|pg_notification_queue_usage|pg_trigger_depth|pg_my_temp_schema|pg_is_other_temp_schema|pg_partition_.*|pg_sequence_.*',
    'getdatabaseencoding|pg_walfile_.*|pg_get_multixact_members|database_to_.*|pg_get_publication_tables|icu_.*|pg_options_to_table_.*',
  ].join('|')})$`,
);

/** Parameters that only Debian has, or that somebody made. */
const ELSEWHERE = /\.|^extension_destdir$/;

/** Functions and operators as the server's catalogs have them, in the order of their OIDs. */
export async function readCatalogs(client) {
  const rows = async text => (await client.query(text)).rows;
  const types = Object.fromEntries(
    (await rows('select oid::int8 as oid, typname from pg_type where oid < 16384')).map(t => [t.oid, t.typname]),
  );
  const procs = await rows(
    `select oid::int8 as oid, proname, prokind, proretset, provolatile, proargtypes::text as args, provariadic::int8 as variadic,
            prosrc, prolang::int8 as lang, prorettype::int8 as result
       from pg_proc where oid < 16384 order by oid`,
  );
  const operators = await rows(
    `select o.oid::int8 as oid, oprname, oprleft::int8 as l, oprright::int8 as r, p.prosrc, p.prolang::int8 as lang
       from pg_operator o join pg_proc p on p.oid = oprcode where o.oid < 16384 order by 1`,
  );
  const settings = (await rows('select name, extra_desc from pg_settings order by name')).filter(
    ({ name, extra_desc: extra }) => !ELSEWHERE.test(name) && !(extra ?? '').endsWith('pgtroupe only.'),
  );
  const argTypes = text => (text === '' ? [] : text.split(' ').map(oid => types[oid]));
  return {
    functions: procs
      .filter(p => !NEVER.test(p.proname))
      .map(p => ({ ...p, args: argTypes(p.args), result: types[p.result] })),
    operators: operators.map(o => ({ ...o, left: types[o.l], right: types[o.r] })),
    types: Object.values(types)
      .filter(
        name =>
          !name.startsWith('_') && !/^(?:pg_(?!lsn|snapshot|ndistinct|dependencies|mcv|node)|sql_|any)/.test(name),
      )
      .sort(),
    settings,
  };
}

const ident = name => `"${name.replaceAll('"', '""')}"`;

/** {sql, vague}: a call of a function. */
export function call(random, { proname, prokind, proretset, args, variadic, provolatile }) {
  const given = args.map(type => value(random, type));
  if (random.chance(0.03)) given.push(value(random, 'int4'));
  if (given.length > 0 && random.chance(0.03)) given.pop();
  if (variadic !== '0' && given.length > 0 && random.chance(0.5)) given[given.length - 1] = `variadic ${given.at(-1)}`;
  // Values of arrays for VARIADIC type: one or two of its elements.
  else if (variadic !== '0' && args.at(-1)?.startsWith('_'))
    given.splice(-1, 1, value(random, args.at(-1).slice(1)), value(random, args.at(-1).slice(1)));
  const name = `pg_catalog.${ident(proname)}`;
  const vague = provolatile === 'v' || OF_THE_MOMENT.test(proname);
  return { sql: textOf(random, name, given, { prokind, proretset }), vague };
}

function textOf(random, name, given, { prokind, proretset }) {
  const called = `${name}(${given.join(', ')})`;
  if (prokind === 'w') return `select ${called} over (order by g) from generate_series(1, 3) g`;
  if (prokind === 'a') {
    if (given.length === 0) return `select ${name}(*) from generate_series(1, ${random.pick([0, 1, 3])}) g`;
    const columns = given.map((_, i) => `c${i}`);
    const from = `(values (${given.map(untyped).join(', ')}), (${given.map(untyped).join(', ')})) v(${columns.join(', ')})`;
    return random.weighted([
      [3, `select ${called}`],
      [1, `select ${called} from generate_series(1, 3)`],
      [1, `select ${called} filter (where g > 2) from generate_series(1, 3) g`],
      [1, `select ${called} over (order by g rows between 1 preceding and current row) from generate_series(1, 3) g`],
      [1, `select ${name}(${columns.join(', ')}) from ${from}`],
      [
        1,
        `select ${name}(${columns
          .slice(0, -1)
          .map(c => `${c}, `)
          .join('')}${columns.at(-1)}) within group (order by ${columns[0]}) from ${from}`,
      ],
      [1, `select ${name}(${given.slice(0, -1).join(', ')}) within group (order by ${given.at(-1)})`],
    ]);
  }
  if (proretset) return random.chance(0.5) ? `select * from ${called} limit 20` : `select ${called} limit 20`;
  return random.chance(0.1) ? `select * from ${called}` : `select ${called}`;
}

const untyped = text => text.replace(/^variadic /, '');

export function operation(random, { oprname, left, right }) {
  const name = `operator(pg_catalog.${oprname})`;
  const [l, r] = [left === undefined ? '' : `${value(random, left)} `, value(random, right)];
  if (left !== undefined && random.chance(0.05)) return { sql: `select ${l}${name} any (array[${r}, null])` };
  return { sql: `select ${l}${name} ${r}` };
}
