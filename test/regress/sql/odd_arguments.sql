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
