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
