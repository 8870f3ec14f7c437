-- Where EXPLAIN says a column's relation, what stands in parentheses, and what a subplan's parameters are.
create table a (id int primary key, v int, b bool, t text);
create table c (id int, v int);
explain (costs off) select a.id, (select count(*) from c where a.id > 6) from a;
explain (costs off) select a.id, (select count(*) from c where c.v = a.v + 1) from a;
explain (costs off) select a.id, (select c.v from c where c.id = a.v order by (select count(*) from c d where d.v = a.id and d.id = c.id) limit 1) from a;
explain (costs off) select sum(v), (select count(*) from c where c.v > max(a.v)) from a;
explain (costs off) select * from a where b and t like 'x%' and starts_with(t, 'x') and v is null and v in (1, 2);
explain (costs off) select * from a where b;
explain (costs off) select * from a where starts_with(t, 'x');
explain (costs off) select v, count(*) from a group by v order by count(*) desc, v;
explain (costs off) select v + 1, count(*) from a group by v + 1 having count(*) > 2 order by 1;
explain (costs off) select * from a where exists (select 1 from c where c.v = a.v limit 1 offset 1);
explain (costs off) select 1 where now() > '2000-01-01' and random() > 2;
drop table a, c;
