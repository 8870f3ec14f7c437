-- arguments that functions are rarely called with
-- what the database was made with
show lc_collate;
show lc_ctype;
show data_checksums;
select name, setting, boot_val, reset_val from pg_settings where name in ('lc_collate', 'lc_ctype', 'data_checksums', 'server_encoding') order by 1;
-- states of aggregates, by hand
select float8_var_pop('{1.5,NaN,NULL}');
select float8_avg('{1,2}');
select float4_accum('{1,2}', 'NaN');
select float8_regr_sxx('{0,2}');
select float8_combine('{1,2,3}', '{1,2}');
-- infinity
select covar_pop('Infinity'::float8, 1e308::float8) from generate_series(1, 3);
select corr(x, y), regr_r2(x, y), regr_slope(x, y), regr_intercept(x, y) from (values (1::float8, 'NaN'::float8), (2, 3)) v(x, y);
-- bytes that are no characters
select like_escape('\xff00ff'::bytea, '\xe9'::bytea);
select '\xff5fff'::bytea like '\xffe95fff'::bytea escape '\xe9'::bytea, '\xff41ff'::bytea like '\xffe95fff'::bytea escape '\xe9'::bytea;
-- no NUL byte becomes text
select ''::"char"::bpchar, length(''::"char"::bpchar), ''::"char"::text, ''::"char"::varchar(2);
-- states of aggregates with nulls, by hand
select interval_accum('{NULL}', '1 day');
select interval_avg('{NULL,NULL}');
select interval_combine('{1 day,00:00:02}', '{NULL}');
select int8_sum('-Infinity'::numeric, 1), int8_sum('NaN', 1), int8_sum(null, null), int8_sum('1.5', -1), int8_sum(null, 7);
select int4_sum(9223372036854775807, 1);
-- records and enums of no type
select record_in('', 0, 0);
select record_in('(1)', 23, -1);
-- access lists
select aclexplode('{NULL}'::aclitem[]);
select aclexplode('{}'::aclitem[]);
select has_sequence_privilege('no_such', 'no such');
select has_parameter_privilege('no_such', 'work_mem', 'no such');
select has_table_privilege('xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', 'select');
select pg_options_to_table('{a,NULL}');
-- bits
select overlay(B'0', B'0', 2147483647, 2);
select bit_in('NULL'::cstring, 1, 2147483647);
-- encodings
select length('abc'::bytea, '');
select length('\xff'::bytea, 'UTF8'), 1;
select length('\xff'::bytea, 'LATIN1'), length('\xc3a9'::bytea, 'UTF8');
-- keys of json do not depend on DateStyle
select json_object_agg(timestamptz '2020-01-01 00:00 UTC', 1), jsonb_object_agg(timestamp 'infinity', 1), json_build_object(date '2020-01-01', true);
-- integers are oids of the same bits
select (-1)::oid = 4294967295::oid, (-1)::int4::regclass, 4294967295::oid::int4;
select x::oid, x::oid > 5, x::regclass, x::regproc::oid::int4 from (values (-1), (1259)) v(x);
-- pseudo-types
select null::internal;
select null::trigger;
select internal_in('a');
select array_agg_finalfn(null);
select * from json_to_record('{"a":1}') as t(a unknown);
-- precisions and time zones
select timestamptz('2000-01-01'::timestamptz, 7);
select timezone('-1 mon'::interval, now());
select timezone('1 mon 1 day 01:00'::interval, '00:00'::time);
select date_trunc('XXXXXÉXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXÉÉÉÉÉ', now());
-- parameters whose values are names
set lc_time = 'xx';
set lc_messages = '';
set temp_tablespaces = 'x, y';
set temp_tablespaces = no_such;
set default_text_search_config = 'no_such';
set default_text_search_config = 'English';
show default_text_search_config;
set restrict_nonsystem_relation_kind = 'View, x';
set wal_consistency_checking = 'all,x';
set max_stack_depth = '1GB';
set jit_above_cost = '0x1.8p3';
show jit_above_cost;
set jit_above_cost = 2147483648;
show jit_above_cost;
set log_transaction_sample_rate = 2147483647;
set output_plugin_libraries = 'a b';
show output_plugin_libraries;
set default_text_search_config = default;
-- one-time filters
create table gate (id int);
explain select 1, 'a'::text;
explain (costs off) select * from gate where 1 = 0;
explain (costs off) delete from gate where null;
-- Encodings by name.
select convert_from('\xc3a9', 'FOO');
select convert_to('a', 'FOO');
select convert('a', 'FOO', 'UTF8');
select convert('a', 'UTF8', 'FOO');
select convert_from('\xe9', 'LATIN1'), convert_to('é', 'iso-8859-1'), convert('\xe9', 'LATIN1', 'UTF8'), convert_from('\xc3a9', 'SQL_ASCII');
select convert_to('€', 'LATIN1');
select convert_from('\xe900', 'LATIN1');
select convert('\xe9', 'UTF8', 'LATIN1');
