select typname[0] from pg_type where oid = 23;
select ('abc'::name)[1], ('abc'::name)[70], ('abc'::name)[-1], ('abc'::name)[5];
select ('abc'::name)[1:2];
create table nn(n name); insert into nn values('hello'),(null); update nn set n[0]='J'; select * from nn; update nn set n[0] = null; update nn set n[77]='x'; 
update nn set n[1:2]='{a,b}';
select (aclexplode('{postgres=r/postgres}'::aclitem[])).privilege_type, (aclexplode('{postgres=r/postgres}'::aclitem[])).*, aclexplode('{postgres=r/postgres}'::aclitem[]);
select (jsonb_each('{"a": 1, "b":2}')).*, jsonb_each_text('{"a":1}');
select (pg_timezone_names()).name is not null limit 1;
select t::information_schema.sql_identifier from (values ('abc'::text),('b'),('aaaa')) v(t) order by 1;
create domain d4 as float4; create domain dn as name; create domain db as bool; create table td(a float4, b name, c bool); insert into td values(1.5,'x',true),(0.1,'yy',false); select a::d4, b::dn, c::db from td order by 1; select x.* , y.b from (select a::d4 a,b::dn b,c::db from td) x join (select b::dn b from td) y using (b) order by x.b; select max(a::d4), array_agg(b::dn order by b::dn) from td; select row(a::d4, b::dn) from td; select distinct b::dn from td order by 1;

-- A function's rows must be what the query says they are.
create table rr (a int, b text); insert into rr values (1,'x'),(2,null);
select * from unnest(array[row(1,'a'::text),row(2,'b')]) as t(x int, y text);
select * from unnest(array[row(1,'a'::text)]) as t(x text, y int);
select * from unnest(array[row(1,'a'::text)]) as t(x int);
select * from unnest(array[row(1,'a'::text)]) as t(x int, y text, z int);
select * from unnest(array[row(1,'a'::text)]) as t(x bigint, y text);
select * from unnest(array[row(1,'a'::text)]) as t(x int, y varchar);
select * from unnest(array[row(1,null::text)]) as t(x int, y text);
select * from unnest(array[row(1,null)]) as t(x int, y text);
select * from unnest((select array_agg(row(a,b)) from rr)) as t(x int, y text) order by 1;
select * from unnest((select array_agg(row(a,b)) from rr)) as t(x int, y int) order by 1;
select * from unnest((select array_agg(row(a,b)) from rr)) as t(x int) order by 1;
select * from unnest((select array_agg(rr) from rr)) as t order by 1;
select * from rows from (unnest(array[row(1,'a'::text)]) as (x int, y text), generate_series(1,2)) as t;
select * from rows from (unnest(array[row(1,'a'::text)]) as (x int, y int), generate_series(1,2)) as t;
select * from unnest(array[null, row(1,'a'::text)]::record[]) as t(x int, y text);
select * from unnest(array[row(1,1.5::numeric(5,2))]) as t(x int, y numeric(4,1));
select * from unnest(array[row(1,'abc'::varchar(5))]) as t(x int, y varchar(2));
select * from unnest(array[row(1,'2024-01-01'::date)]) as t(x int, y timestamp);
select * from rr, lateral unnest(array[row(a, b)]) as t(x int, y text) order by 1;
select * from rr, lateral unnest(array[row(a, b)]) as t(x int, y "char") order by 1;

-- Rows are hashed.
create type hct as (a int, b text, n numeric); create type hnest as (h hct, l int[]); create table hctt (id int, c hct);
insert into hctt values (1, row(1,'x',1.0)), (2, row(1,'x',1.00)), (3, null), (4, row(null,null,null)), (5, row(2,'x',null)), (6, row(null,null,null)), (7, null);
select c, count(*) from hctt group by c order by c;
select max(id), c from hctt group by c having (c).a is not null order by 1;
select a.id, b.id from hctt a join hctt b on a.c = b.c order by 1, 2;
select id from hctt where c in (select c from hctt where id in (1, 6)) order by 1;
select row(c, array[id % 2])::hnest as h, count(*) from hctt group by 1 order by 2 desc, 1 limit 3;
select c from hctt union select row(9,'u',null)::hct order by 1;
select c from hctt intersect select row(1,'x',1.0)::hct;
select hash_record(row(1,'x'::text)), hash_record(row()), hash_record(row(null::int, 2.5, array[1,2])), hash_record(row(row(1,2), 'a'::name));
select hash_record(row(1,'x',2)::hct), hash_record(row(1, '{}'::json));
select count(*) from (select row(g % 7, (g % 3)::text) r from generate_series(1, 1000) g) s group by r order by 1 desc limit 2;
create type hj as (a int, j json);
select x, count(*) from (values (row(1,'{}')::hj)) v(x) group by x;
