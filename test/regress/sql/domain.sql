-- A domain that is NOT NULL looks at columns that are left out, too.
create domain dnn as int not null;
create table tdn(a dnn, b int);
insert into tdn(b) values (1);
insert into tdn(b) values (1), (2);
insert into tdn(b) select 1;
insert into tdn default values;
insert into tdn values (default, 1);
insert into tdn values (1,1);
create domain chk as int check (value is not null);
create table tchk(a chk, b int);
insert into tchk(b) values (1);
insert into tdn values (null, 1);
update tdn set a = null;
update tdn set a = default;
-- Arrays that are no vectors.
select array[]::oidvector;
select array[1,2]::oid[]::oidvector, array[array[1,2]]::oid[]::int[];
select array[array[1,2]]::oid[]::oidvector;
select array[1,null]::oid[]::oidvector;
select array[]::int2vector;
alter table tdn add c dnn;
alter table tdn add c dnn default 7;
alter table tdn add d chk;
create schema elsewhere;
create domain elsewhere.low as int check (value < 10);
select 11::elsewhere.low;
select (null::elsewhere.low) is null;
drop domain elsewhere.low;
drop schema elsewhere;
-- A dropped attribute keeps its place in what a function answers.
create type ct as (a int, b text);
create table hasct(c ct);
insert into hasct values (row(1, 'x')), (row(2, 'y'));
alter type ct drop attribute a;
select u.* from (select array_agg(c) as all_of_them from hasct) s, unnest(s.all_of_them) u;
select u.b from (select array_agg(c) as all_of_them from hasct) s, unnest(s.all_of_them) with ordinality u order by ordinality desc;
create type no_such_part as (a int, b no_such_type);
create domain no_such_base as no_such_type;
