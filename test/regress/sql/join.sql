-- LATERAL behind outer joins: the inside of an outer join must be whole before what refers to it.
create table words (f1 text);
insert into words values ('foo'), ('bar');
select tt1.f1, tt2.f1, tt3.f1, ss1.c0 from words as tt1 inner join words as tt2 on (tt1.f1 = 'foo') left join words as tt3 on (tt3.f1 = 'foo') left join words as tt4 on (tt3.f1 = tt4.f1), lateral (select tt4.f1 as c0 from words as tt5 limit 1) as ss1 where tt1.f1 = ss1.c0 order by 2;
select tt1.f1, tt2.f1, tt4.f1, ss1.c0 from words as tt1 cross join words as tt2 left join (words as tt3 cross join words as tt4) on (tt3.f1 = 'foo'), lateral (select tt4.f1 || tt2.f1 as c0 from words as tt5 limit 1) as ss1 order by 1, 2, 3;
select a.f1, b.f1, c.f1, s.n from words a cross join words b left join words c on c.f1 = 'bar' cross join lateral (select count(*) + length(c.f1) as n from words d where d.f1 >= c.f1) s order by 1, 2;
drop table words;
