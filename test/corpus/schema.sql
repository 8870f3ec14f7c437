-- Tables for analyze.sql and errors.sql.
create type mood as enum ('sad', 'ok', 'happy');
create type comp as (a int, b text);
create domain posint as int check (value > 0);
create domain shorttext as varchar(5);
create table t (id int primary key, name text, amount numeric(10,2) default 0, ts timestamp default now(), flag bool default true,
  arr int[], arr2 int[][], v varchar(10), c char(3));
create table u (id int, a int, b text);
create table w (id bigint, z float8);
create table c (id int, comp comp, comps comp[], c comp);
alter table c drop column c;
create table dom (d posint, tx shorttext);
create table en (e mood);
create table inh (like t);
create table inhc () inherits (inh);
create table part (id int, x text) partition by list (id);
create sequence s;
create function f1(x int, y int default 5) returns int language sql as 'select $1 + $2';
create function fv(variadic a int[]) returns int language sql as 'select 1';
create function fp(a anyarray) returns anyelement language sql as 'select $1[1]';
create function ft(t) returns int language sql as 'select 1';
create function ft(int) returns int language sql as 'select 1';
create function fs(int) returns setof t language sql as 'select * from t limit $1';
create function fo(int, out x int) language sql as 'select 1';
create function fo2(int, out x int, out y text) language sql as 'select 1, ''a''::text';
create function amb(int, bigint) returns int language sql as 'select 1';
create function amb(bigint, int) returns int language sql as 'select 1';
create table id1 (id int generated always as identity, g int generated always as (5) stored, n int);
