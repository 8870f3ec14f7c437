create type mood as enum ('sad', 'ok');
create table cp (a int, b text, m mood);
copy cp from stdin;
1	x	ok
2	\N	\N
3	a\tb	sad
\.
select * from cp order by 1;
copy cp to stdout (format csv, header, force_quote (b));
copy cp to stdout (format csv, header, force_quote *);
copy cp (m, a) to stdout (header);
copy cp to stdout (format nope);
copy cp to stdout (nope);
copy cp to stdout (format csv, format text);
copy cp to stdout (delimiter 'ab');
copy cp to stdout (format csv, quote 'ab');
copy cp to stdout (format csv, escape 'ab');
copy cp to stdout (quote 'x');
copy cp to stdout (escape 'x');
copy cp to stdout (delimiter 'x');
copy cp to stdout (null E'a\n');
copy cp to stdout (null 'a|b', delimiter '|');
copy cp to stdout (format csv, null '"');
copy cp to stdout (format csv, delimiter '"');
copy cp to stdout (format csv, force_null (a));
copy cp to stdout (format csv, force_not_null (a));
copy cp from stdin (force_null (a));
copy cp from stdin (format csv, force_quote (a));
copy cp to stdout (force_quote (a));
copy cp to stdout (format csv, force_quote a);
copy cp from stdin (format csv, force_null *);
copy cp to stdout (header match);
copy cp to stdout (header nonsense);
copy cp to stdout (freeze nonsense);
copy cp to stdout (format binary, delimiter 'x');
copy cp to stdout (format binary, header);
copy cp to stdout (encoding 'nosuch');
copy cp to stdout (format);
copy cp to stdout (null);
copy cp to stdout (delimiter);
copy cp from stdin (on_error ignore);
copy cp from stdin (default 'x');
copy (delete from cp where a = 30) to stdout;
copy (delete from cp where a = 3 returning *) to stdout;
copy (select m, b from cp order by a) to stdout (format csv, escape '\');
copy nosuch to stdout;
copy cp (nosuch) to stdout;
copy cp (a, a) to stdout;
copy cp from stdin;
x	y	ok
\.
copy cp from stdin;
1	y	happy
\.
copy cp from stdin;
1	y\0z	ok
\.
copy cp (b) from stdin;
a\x00b
\.
copy cp from stdin;
1	y
\.
copy cp from stdin;
1	y	ok	z
\.
copy cp from stdin (format csv, header match);
a,b,c
\.
create type pair as (x int, m mood);
create table cq (p pair, ms mood[], c regclass);
copy cq from stdin;
(1,ok)	{ok,sad}	pg_class
\.
copy cq to stdout;
explain (nosuch) select 1;
explain (analyze nonsense) select 1;
explain (format nonsense) select 1;
-- What is forced to be null, or not to be; and the header's null.
create table forced (a int not null, b text not null, c text, d text);
copy forced (a, b, c) from stdin with (format csv, force_not_null (b), force_null (c));
1,,""
2,"",
\.
copy forced (a, b, c, d) from stdin with (format csv, header, null 'nil', force_not_null (c, d), force_null (c, d));
a,b,nil,"nil"
3,x,nil,"nil"
4,"nil","x",y
\.
select a, b, b = '', c, c is null, d from forced order by a;
copy forced (a, b, c) from stdin with (format csv, force_null (b));
5,"",x
\.
copy forced (c, d) from stdin with (format csv, force_not_null (b));
copy forced (c, d) from stdin with (format csv, force_null (b));
copy forced (c, d) from stdin with (format csv, force_null (c, c));
copy forced (c, d) from stdin with (format csv, force_null (nope));
copy forced (c, d) to stdout with (format csv, force_quote (b));
copy forced (a, c) to stdout with (format csv, force_quote (c));
copy (select a, c from forced) to stdout with (format csv, force_quote (d));
copy (select a, c from forced) to stdout with (format csv, force_quote (c, c));
copy forced (a, b, c) from stdin with (header match);
a	b	\N
\.
copy forced (a, b, c) from stdin with (header match, null 'nil');
a	nil	c
\.
drop table forced;
-- Generated columns are not copied.
create table gen (a int, b int generated always as (a * 2) stored, c text);
insert into gen (a, c) values (1, 'x'), (2, 'y');
copy gen to stdout;
copy gen to stdout with (format csv, header, force_quote *);
copy gen (a, b) to stdout;
copy gen to stdout with (format csv, force_quote (b));
copy (select a, b from gen) to stdout;
copy gen (a, b) from stdin;
\.
drop table gen;
