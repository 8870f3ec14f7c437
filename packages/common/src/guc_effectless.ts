/**
 * Parameters that no code reads. Whoever sets one is told so: a setting swallowed in silence is believed.
 *
 * Every parameter is read by code, refused (guc_unsupported.ts), told to have no effect, or kept by what is not there;
 * a tidy test asks which.
 */
import { type GucFacts, type GucValue, gucSetting } from './guc.ts';

const words = (text: string): string[] => text.trim().split(/\s+/);

/** What they promise would be noticed by nobody but who looks for it: speed, logs, statistics, standbys. */
export const EFFECTLESS: ReadonlySet<string> = new Set(
  words(`
    allow_system_table_mods archive_cleanup_command
    backend_flush_after
    backtrace_functions bgwriter_flush_after bonjour checkpoint_flush_after cluster_name
    commit_delay commit_siblings constraint_exclusion cpu_index_tuple_cost cpu_operator_cost
    cpu_tuple_cost cursor_tuple_fraction data_sync_retry db_user_namespace debug_discard_caches
    debug_print_parse debug_print_plan debug_print_rewritten default_toast_compression
    effective_cache_size effective_io_concurrency enable_sort external_pid_file geqo geqo_effort
    geqo_generations geqo_pool_size geqo_seed geqo_selection_bias geqo_threshold
    ignore_checksum_failure ignore_invalid_pages ignore_system_indexes local_preload_libraries
    log_executor_stats log_hostname log_parser_stats log_planner_stats log_recovery_conflict_waits
    log_replication_commands log_startup_progress_interval log_statement_stats log_transaction_sample_rate maintenance_io_concurrency
    max_files_per_process max_prepared_transactions max_stack_depth old_snapshot_threshold password_encryption
    pg_stat_statements.save pg_stat_statements.track_planning
    post_auth_delay pre_auth_delay primary_conninfo primary_slot_name promote_trigger_file
    random_page_cost recovery_end_command recovery_min_apply_delay recovery_target recovery_target_lsn
    recovery_target_name recovery_target_time recovery_target_timeline recovery_target_xid
    recursive_worktable_factor restart_after_crash restore_command restrict_nonsystem_relation_kind
    seq_page_cost session_preload_libraries synchronous_standby_names syslog_facility syslog_ident tcp_keepalives_count temp_tablespaces
    trace_notify trace_recovery_messages trace_sort
    track_commit_timestamp track_functions track_io_timing track_wal_io_timing unix_socket_group
    update_process_title
    vacuum_defer_cleanup_age wal_compression wal_consistency_checking wal_init_zero wal_level
    wal_log_hints wal_recycle wal_sync_method zero_damaged_pages
  `),
);

/** Kept at any value: they permit what is never done, or rule what there is none of. */
export const MOOT: ReadonlySet<string> = new Set(
  words(`
    allow_in_place_tablespaces bonjour_name check_function_bodies client_connection_check_interval
    composite_type_mismatch debug_pretty_print default_text_search_config default_transaction_deferrable
    default_with_oids dynamic_library_path dynamic_shared_memory_type enable_async_append enable_bitmapscan
    enable_gathermerge enable_incremental_sort enable_indexonlyscan enable_memoize enable_mergejoin
    enable_parallel_append enable_parallel_hash enable_partition_pruning enable_partitionwise_aggregate
    enable_partitionwise_join escape_string_warning event_source force_parallel_mode gin_fuzzy_search_limit
    gin_pending_list_limit hot_standby hot_standby_feedback huge_page_size huge_pages jit jit_above_cost
    jit_debugging_support jit_dump_bitcode jit_expressions jit_inline_above_cost jit_optimize_above_cost
    jit_profiling_support jit_provider jit_tuple_deforming krb_caseins_users krb_server_keyfile
    lo_compat_privileges logical_decoding_work_mem max_logical_replication_workers
    max_parallel_maintenance_workers max_parallel_workers max_parallel_workers_per_gather
    max_pred_locks_per_page max_pred_locks_per_relation max_pred_locks_per_transaction max_replication_slots
    max_slot_wal_keep_size max_standby_archive_delay max_standby_streaming_delay
    max_sync_workers_per_subscription max_wal_senders min_dynamic_shared_memory
    min_parallel_index_scan_size min_parallel_table_scan_size output_plugin_libraries
    parallel_leader_participation parallel_setup_cost parallel_tuple_cost recovery_init_sync_method
    recovery_prefetch recovery_target_action recovery_target_inclusive remove_temp_files_after_crash
    row_security session_replication_role shared_memory_type ssl_ca_file ssl_cert_file ssl_ciphers ssl_crl_dir
    ssl_crl_file ssl_dh_params_file ssl_ecdh_curve ssl_key_file ssl_max_protocol_version
    ssl_min_protocol_version ssl_passphrase_command ssl_passphrase_command_supports_reload
    ssl_prefer_server_ciphers ssl_renegotiation_limit synchronize_seqscans
    syslog_sequence_numbers syslog_split_messages temp_buffers transaction_deferrable
    wal_decode_buffer_size wal_keep_size wal_receiver_create_temp_slot wal_receiver_status_interval
    wal_receiver_timeout wal_retrieve_retry_interval wal_sender_timeout wal_skip_threshold xmlbinary
  `),
);

/** Values of the parameters that name a locale or a zone which are what the server does anyway. */
const AS_IT_IS: ReadonlyMap<string, RegExp> = new Map([
  ['lc_messages', /^(|C|POSIX|C\.UTF-?8|en_US.*|en_GB.*)$/i],
  ['lc_monetary', /^(|C|POSIX|C\.UTF-?8)$/i],
  ['lc_numeric', /^(|C|POSIX|C\.UTF-?8)$/i],
  ['lc_time', /^(|C|POSIX|C\.UTF-?8)$/i],
  ['log_timezone', /^(|GMT|UTC|Etc\/(GMT|UTC|UCT|Universal|Zulu))$/i],
]);
export const LOCALES: ReadonlySet<string> = new Set(AS_IT_IS.keys());

/** What to tell who set the parameter to this value; undefined: it does what it says, or nothing is asked of it. */
export function withoutEffect(facts: GucFacts, value: GucValue): string | undefined {
  const setting = gucSetting(facts, value);
  const asItIs = AS_IT_IS.get(facts.name);
  const ignored =
    asItIs === undefined ? EFFECTLESS.has(facts.name) && setting !== (facts.boot ?? '') : !asItIs.test(setting);
  return ignored ? `parameter "${facts.name}" has no effect here` : undefined;
}
