-- What is counted of a table, by the outcome of transactions. Each look is a transaction of its own, after what was counted is reported.
create table counted (i int, t text) with (autovacuum_enabled = off);
create view counts as select n_tup_ins, n_tup_upd, n_tup_del, n_tup_hot_upd, n_live_tup, n_dead_tup, n_mod_since_analyze, n_ins_since_vacuum, seq_scan, seq_tup_read, vacuum_count, analyze_count from pg_stat_user_tables where relname = 'counted';
insert into counted select g, 'x' from generate_series(1, 100) g;
select pg_stat_force_next_flush();
select * from counts;
-- What is rolled back is dead.
begin;
insert into counted select g, 'y' from generate_series(101, 150) g;
delete from counted where i <= 10;
update counted set t = 'z' where i = 20;
rollback;
select pg_stat_force_next_flush();
select * from counts;
-- So is what a subtransaction did that is rolled back; one that is released belongs to the one around it.
begin;
savepoint a;
delete from counted where i <= 10;
rollback to a;
update counted set t = 'z' where i <= 5;
savepoint b;
insert into counted values (1000, 'q');
savepoint c;
delete from counted where i = 1000;
release c;
insert into counted values (1001, 'q');
release b;
select 1/0;
rollback to a;
insert into counted values (1002, 'q'), (1003, 'r');
savepoint d;
delete from counted where i = 1002;
select pg_stat_force_next_flush();
commit;
select * from counts;
vacuum counted;
select * from counts;
select last_vacuum is not null, last_autovacuum is null, last_analyze is null from pg_stat_user_tables where relname = 'counted';
-- ANALYZE counts what its own transaction did only once.
begin;
insert into counted select g, 'a' from generate_series(2001, 2010) g;
delete from counted where i between 30 and 32;
analyze counted;
select pg_stat_force_next_flush();
commit;
select * from counts;
analyze counted (i);
select * from counts;
-- TRUNCATE, and one that is rolled back.
begin;
insert into counted values (1, 'q');
truncate counted;
insert into counted values (2, 'r');
select pg_stat_force_next_flush();
rollback;
select * from counts;
begin;
insert into counted values (1, 'q');
savepoint t;
truncate counted;
insert into counted values (2, 'r'), (3, 'r');
release t;
delete from counted where i = 2;
select pg_stat_force_next_flush();
commit;
select * from counts;
truncate counted;
select pg_stat_force_next_flush();
select * from counts;
-- In a transaction the first look is kept, until it is told to forget.
begin;
select n_live_tup from counts;
insert into counted values (1, 'q');
select n_tup_ins, n_live_tup from counts;
select pg_stat_clear_snapshot();
select n_tup_ins, n_live_tup from counts;
commit;
copy counted from stdin;
5	a
6	b
\.
select pg_stat_force_next_flush();
select n_tup_ins, n_live_tup from counts;
set track_counts = off;
insert into counted values (7, 'q');
reset track_counts;
select pg_stat_force_next_flush();
select n_tup_ins, n_live_tup from counts;
-- Indexes.
alter table counted add primary key (i);
set enable_seqscan = off;
select t from counted where i = 5;
select t from counted where i in (5, 6, 77);
select pg_stat_force_next_flush();
select idx_scan, idx_tup_fetch from pg_stat_user_tables where relname = 'counted';
-- What is gone has no counts.
select pg_stat_get_tuples_inserted('counted'::regclass), pg_stat_get_tuples_inserted(1), pg_stat_get_last_vacuum_time(1);
begin;
drop table counted cascade;
rollback;
select pg_stat_get_tuples_inserted('counted'::regclass);
begin;
drop table counted cascade;
select pg_stat_force_next_flush();
commit;
select count(*) from pg_stat_user_tables where relname = 'counted';
