-- What pg_settings knows of parameters that do not depend on the machine.
select name, unit, category, short_desc, extra_desc from pg_settings
  where name !~ '^(background_workers|extension_destdir|instance_|role_timeout|sessions_per_)' order by name collate "C";
select name, context, vartype, min_val, max_val, enumvals, boot_val from pg_settings
  where name !~ '^(background_workers|extension_destdir|instance_|role_timeout|sessions_per_|krb_server_keyfile|server_version|unix_socket_dir)'
  order by name collate "C";
select name, source from pg_settings where name in
  ('transaction_isolation', 'DateStyle', 'max_wal_size', 'config_file', 'work_mem', 'server_encoding', 'hba_file') order by 1;
-- Where a value comes from.
set work_mem = '4MB';
select setting, source, boot_val, reset_val, sourcefile, sourceline, pending_restart from pg_settings where name = 'work_mem';
reset work_mem;
select setting, source from pg_settings where name = 'work_mem';
select name, setting, applied, error from pg_file_settings where name in ('max_wal_size', 'min_wal_size', 'lc_messages') order by 1;
select type, database, user_name, address, netmask, options, error from pg_hba_file_rules order by line_number;
select count(*) from pg_ident_file_mappings;
-- What is refused.
begin;
alter system set work_mem = '1MB';
rollback;
alter system set block_size = 1;
alter system set data_directory = '/x';
alter system set transaction_isolation = 'serializable';
alter system set nope = 1;
alter system set app.thing = 'x';
alter system set work_mem = '1';
alter system reset work_mem;
alter system set work_mem = 'x';
alter system set work_mem = '1 parsec';
alter system set port = 70000;
alter system set wal_level = 'most';
alter system set fsync = 'perhaps';
alter system set work_mem to 1, 2;
alter system set application_name = E'a\nb';
alter system reset nope;
set block_size = 1;
set port = 1;
set checkpoint_timeout = 60;
set log_connections = on;
set nope = 1;
reset nope;
show nope;
select current_setting('nope');
select current_setting('nope', true);
select set_config('nope', 'x', false);
