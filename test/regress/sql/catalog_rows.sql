-- What is done to rows of system catalogs counts from the next statement on.
create table t (a int);
begin;
update pg_class set relname = 'u' where oid = 't'::regclass;
select * from u;
select * from t;
rollback;
select * from t;
update pg_class set relname = 'u' where oid = 't'::regclass;
select * from u;
select * from t;
update pg_attribute set attname = 'b' where attrelid = 'u'::regclass and attname = 'a';
select b from u;
with x as (update pg_class set relname = 't' where oid = 'u'::regclass returning relname) select * from x;
select * from t;
begin;
savepoint x;
update pg_class set relname = 'v' where oid = 't'::regclass;
select * from v;
rollback to x;
select * from t;
commit;
select * from t;
drop table t;
create role catalog_rows_1;
update pg_authid set rolname = 'catalog_rows_2' where rolname = 'catalog_rows_1';
alter role catalog_rows_2 nologin;
alter role catalog_rows_1 nologin;
delete from pg_authid where rolname = 'catalog_rows_2';
alter role catalog_rows_2 nologin;
insert into pg_db_role_setting values (0, 10, '{my.setting=5}');
alter role postgres set my.other = 6;
select * from pg_db_role_setting where setrole = 10;
copy pg_db_role_setting from stdin;
1	10	{my.setting=5}
\.
alter role postgres in database template1 reset my.setting;
alter role postgres reset all;
select * from pg_db_role_setting where setrole = 10;
