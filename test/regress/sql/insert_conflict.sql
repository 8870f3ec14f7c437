-- At REPEATABLE READ a conflict with a row of one's own is no serialization failure.
create table conflict_own (k int primary key, v int);
begin isolation level repeatable read;
insert into conflict_own values (2, 1), (2, 2) on conflict do nothing;
insert into conflict_own values (2, 3), (3, 3) on conflict do nothing returning k;
savepoint s;
insert into conflict_own values (4, 4), (4, 5) on conflict (k) do nothing;
release s;
insert into conflict_own values (4, 6) on conflict (k) do update set v = excluded.v;
insert into conflict_own values (5, 6), (5, 7) on conflict (k) do update set v = excluded.v;
rollback to s;
commit;
begin isolation level repeatable read;
insert into conflict_own values (6, 1);
insert into conflict_own values (6, 2) on conflict (k) do update set v = excluded.v returning v;
commit;
select * from conflict_own order by k;
drop table conflict_own;
