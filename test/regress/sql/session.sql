-- A transaction begins when the message came that starts it.
select statement_timestamp() = now();
begin;
select statement_timestamp() >= now();
commit;
-- SET takes a list only where the parameter is one.
set my.var to 'a', 'b';
set local my.var to 'a', 'b';
set work_mem to 1, 2;
set datestyle to 'iso', 'mdy';
with recursive x(n) as (select 1 union all select n+1 from x for update) select * from x;
