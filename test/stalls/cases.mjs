/**
 * Statements that have much to do in one place: in the lexer and the grammar, in analysis, in planning, in one function on one large value, in an
 * aggregate, on the way to the client or from it. `cheap`: part of the tests. Where PostgreSQL's answer cannot be compared
 * `answer` says why and what is right.
 */
const list = (n, make = i => i) => Array.from({ length: n }, (_, i) => make(i + 1));
const MB = 1_000_000;

function* pieces(make, n) {
  for (let i = 0; i < n; i++) yield Buffer.from(make(i));
}

/** Tables that cheap cases read. */
export const SMALL_SETUP = [
  'create table stalls_copy (a text)',
  'create table stalls_j (a int primary key, b int)',
  'insert into stalls_j select g, g from generate_series(1, 100) g',
];

/** Tables that all cases read. */
export const SETUP = [
  'drop table if exists stalls_million, stalls_wide, stalls_copy, stalls_j',
  ...SMALL_SETUP,
  'create table stalls_million (a int, b text, c int)',
  "insert into stalls_million select g, 'row ' || g, g % 1000 from generate_series(1, 1000000) g",
  `create table stalls_wide (${list(1600, i => `c${i} int`).join(', ')})`,
  'insert into stalls_wide (c1) select g from generate_series(1, 200) g',
];

const joined = n =>
  `select count(*) from ${list(n, i => `stalls_j j${i}`).join(', ')} where ${list(n - 1, i => `j${i}.a = j${i + 1}.b`).join(' and ')}`;
const ctes = n =>
  `with a0 as (select 1 as x)${list(n, i => `, a${i} as (select x from a${i - 1})`).join('')} select x from a${n}`;

export const CASES = [
  // ---- text, grammar, analysis, planning
  {
    name: 'IN list of 20,000 integers',
    cheap: true,
    sql: () => `select count(*) from generate_series(1, 10) g where g in (${list(20_000)})`,
  },
  {
    name: 'IN list of 100,000 integers',
    sql: () => `select count(*) from generate_series(1, 10) g where g in (${list(100_000)})`,
  },
  {
    name: 'IN list of 100,000 strings',
    sql: () => `select count(*) from stalls_j where b::text in (${list(100_000, i => `'${i}'`)})`,
  },
  {
    name: 'IN list of 20,000 expressions',
    sql: () => `select count(*) from stalls_j where b in (${list(20_000, i => `a + ${i}`)})`,
  },
  {
    name: 'VALUES of 50,000 rows',
    cheap: true,
    sql: () => `select count(*) from (values ${list(50_000, i => `(${i}, 'x${i}')`)}) v`,
  },
  {
    name: 'INSERT of 20,000 rows of VALUES',
    sql: () => `insert into stalls_copy values ${list(20_000, i => `('row ${i}')`)}`,
  },
  { name: 'ARRAY[] of 100,000', sql: () => `select cardinality(array[${list(100_000)}])` },
  { name: 'a literal of 20 MB', cheap: true, sql: () => `select length('${'x'.repeat(20 * MB)}')` },
  { name: 'a literal of 100 MB', sql: () => `select length('${'x'.repeat(100 * MB)}')` },
  { name: 'a comment of 50 MB', sql: () => `select 1 /* ${'x'.repeat(50 * MB)} */` },
  { name: 'a syntax error behind 20 MB', sql: () => `select '${'x'.repeat(20 * MB)}' from from` },
  { name: '400 WITH queries, each of the one before', sql: () => ctes(400) },
  { name: 'a join of 12 tables', cheap: true, sql: () => joined(12) },
  { name: 'a join of 31 tables', sql: () => joined(31) },
  { name: 'a join of 300 tables', sql: () => joined(300) },
  {
    name: 'a left join of 300 tables',
    sql: () =>
      `select count(*) from stalls_j j0 ${list(299, i => `left join stalls_j j${i} on j${i - 1}.a = j${i}.b`).join(' ')}`,
  },
  {
    name: 'a cross join of 300 tables read by their keys',
    sql: () =>
      `select count(*) from ${list(300, i => `stalls_j j${i}`).join(', ')} where ${list(300, i => `j${i}.a = ${i % 100} + 1`).join(' and ')}`,
  },
  { name: 'a subquery that joins 200 tables', cheap: true, sql: () => `select (${joined(200)})` },
  {
    name: 'a WITH query that joins 200 tables',
    sql: () => `with c as materialized (${joined(200)}) select * from c, c d`,
  },
  {
    name: 'two subqueries in FROM that join 150 tables',
    sql: () => `select * from (${joined(150)}) a, (${joined(150)}) b`,
  },
  {
    name: '300 subqueries in the select list',
    sql: () => `select ${list(300, i => `(select max(b) from stalls_j where a = ${i})`)}`,
  },
  {
    name: '300 correlated subqueries in the select list',
    sql: () =>
      `select ${list(300, i => `(select max(b) from stalls_j k where k.a = j.a + ${i})`)} from stalls_j j limit 1`,
  },
  { name: 'EXISTS of 300 tables', sql: () => `select count(*) from stalls_j where exists (${joined(300)})` },
  { name: 'UNION ALL of 1,000 queries', sql: () => list(1000, i => `select ${i} as x`).join(' union all ') },
  {
    name: 'UNION ALL of 500 table scans',
    sql: () =>
      `select count(*) from (${list(500, i => `select a from stalls_j where b = ${i}`).join(' union all ')}) s`,
  },
  {
    name: 'EXPLAIN of 500 table scans',
    sql: () => `explain (costs off) ${list(500, i => `select a from stalls_j where b = ${i}`).join(' union all ')}`,
  },
  { name: 'a chain of 3,000 terms', cheap: true, sql: () => `select ${list(3000).join(' + ')}` },
  { name: 'a chain of 50,000 terms', cheap: true, sql: () => `select ${'1+'.repeat(50_000)}1` },
  {
    name: 'AND of 20,000 conditions',
    sql: () => `select count(*) from stalls_j where ${list(20_000, i => `a <> ${i + 1000}`).join(' and ')}`,
  },
  {
    name: 'OR of 5,000 conditions',
    sql: () => `select count(*) from stalls_j where ${list(5000, i => `(a = ${i} and b = ${i})`).join(' or ')}`,
  },
  {
    name: 'CASE of 5,000 branches',
    sql: () => `select sum(case ${list(5000, i => `when a = ${i} then ${i}`).join(' ')} end) from stalls_j`,
  },
  { name: '1,664 columns', cheap: true, sql: () => `select ${list(1664)}` },
  { name: '1,665 columns', cheap: true, sql: () => `select ${list(1665)}` },
  { name: 'VALUES of 1,665 columns', cheap: true, sql: () => `values (${list(1665)})` },
  {
    name: 'UNION of 3,000 queries',
    sql: () => `select count(*) from (${list(3000, i => `select ${i} as x`).join(' union ')}) s`,
  },
  { name: 'a table of 1,600 columns', sql: () => 'select * from stalls_wide' },
  { name: '10,000 statements in one text', sql: () => list(10_000, i => `select ${i}`).join('; ') },
  {
    name: '65,535 parameters',
    sql: () => `select count(*) from generate_series(1, 10) g where g in (${list(65_535, i => `$${i}::int`)})`,
    params: () => list(65_535, i => Buffer.from(String(i))),
  },
  { name: 'a parameter of 100 MB', sql: () => 'select length($1)', params: () => [Buffer.alloc(100 * MB, 'x')] },
  {
    name: 'an array parameter of 1,000,000',
    sql: () => 'select count(*) from generate_series(1, 10) g where g = any($1::int[])',
    params: () => [Buffer.from(`{${list(1_000_000)}}`)],
  },

  // ---- one large value
  { name: "length(repeat('x', 500000000))", sql: () => "select length(repeat('x', 500000000))" },
  { name: 'repeat beyond 1 GB', cheap: true, sql: () => "select length(repeat('x', 1073741824))" },
  { name: 'repeat of two bytes to 200 MB', sql: () => "select length(repeat('é', 100000000))" },
  { name: 'concatenation of 200 MB', sql: () => "select length(repeat('x', 100000000) || repeat('y', 100000000))" },
  { name: 'lpad to 100 MB', sql: () => "select length(lpad('x', 100000000, 'ab'))" },
  { name: 'lpad to 10 MB', cheap: true, sql: () => "select length(lpad('x', 10000000, 'ab'))" },
  {
    name: 'format of 100 MB',
    sql: () => "select length(format('%s %s', repeat('x', 50000000), repeat('y', 50000000)))",
  },
  { name: 'concat of 200 MB', sql: () => "select length(concat(repeat('x', 100000000), repeat('y', 100000000)))" },
  { name: 'translate of 100 MB', sql: () => "select length(translate(repeat('ab', 50000000), 'a', 'c'))" },
  { name: 'replace in 100 MB', sql: () => "select length(replace(repeat('ab', 50000000), 'a', 'cd'))" },
  { name: 'upper of 6 MB', cheap: true, sql: () => "select length(upper(repeat('aé', 2000000)))" },
  { name: 'upper of 100 MB', sql: () => "select length(upper(repeat('ab', 50000000)))" },
  { name: 'reverse of 100 MB', sql: () => "select length(reverse(repeat('ab', 50000000)))" },
  { name: 'substr of 200 MB', sql: () => "select length(substr(repeat('é', 100000000), 50000000))" },
  { name: 'position in 200 MB', sql: () => "select position('z' in repeat('é', 100000000))" },
  { name: 'trim of 100 MB', sql: () => "select length(btrim(repeat(' ', 100000000)))" },
  { name: 'a comparison of 200 MB', sql: () => "select repeat('x', 100000000) < repeat('x', 99999999) || 'y'" },
  { name: 'md5 of 200 MB', sql: () => "select md5(repeat('x', 200000000))" },
  { name: 'LIKE on 100 MB', sql: () => "select repeat('ab', 50000000) like '%ba%c%'" },
  {
    name: 'regexp_replace of 4 MB',
    cheap: true,
    sql: () => "select length(regexp_replace(repeat('ab', 2000000), 'a', 'c', 'g'))",
  },
  {
    name: 'regexp_replace of 100 MB',
    sql: () => "select length(regexp_replace(repeat('ab', 50000000), 'a', 'c', 'g'))",
  },
  {
    name: 'regexp_split_to_table of 5 MB',
    sql: () => "select count(*) from regexp_split_to_table(repeat('ab', 2500000), 'a')",
  },
  { name: 'string_to_array of 20 MB', sql: () => "select cardinality(string_to_array(repeat('ab,', 7000000), ','))" },
  { name: 'string_to_table of 20 MB', sql: () => "select count(*) from string_to_table(repeat('ab,', 7000000), ',')" },
  { name: 'a catastrophic regexp', cheap: true, sql: () => "select repeat('a', 3000) ~ '^(a*)*b$'" },
  { name: 'a catastrophic regexp of groups', sql: () => "select regexp_matches(repeat('x', 2000), '(x+x+)+y')" },
  { name: 'a regexp with many states', sql: () => "select 'a' ~ '((a{1,100}){1,100}){1,10}'" },
  {
    name: 'convert_to and encode of 50 MB',
    sql: () => "select length(encode(convert_to(repeat('ab', 25000000), 'UTF8'), 'hex'))",
  },
  { name: 'a row of 300 MB', sql: () => "select repeat('x', 300000000)" },
  {
    name: 'a row of three times 100 MB',
    sql: () => "select repeat('x', 100000000), repeat('é', 50000000), repeat('z', 100000000)",
  },
  { name: 'a bytea of 100 MB as hex', sql: () => "select decode(repeat('ab', 100000000), 'hex')" },
  {
    name: 'two byteas and an array of 2 MB in three rows',
    cheap: true,
    sql: () =>
      "select decode(repeat('ab', 2000000), 'hex'), 1, decode(repeat('cd', 2000000), 'hex'), array_fill(g, array[500000]) from generate_series(1, 3) g",
  },
  { name: '100 rows of 10 MB', sql: () => "select repeat('x', 10000000) from generate_series(1, 100)" },
  { name: 'a row type around 100 MB', sql: () => "select length(row(repeat('x', 100000000), 1)::text)" },
  { name: 'a record 100 deep', cheap: true, sql: () => `select ${'row('.repeat(100)}1${')'.repeat(100)}` },
  {
    name: 'TOAST: 100 MB in and out',
    sql: () =>
      "begin; insert into stalls_copy select repeat('x', 100000000); select length(a) from stalls_copy where length(a) > 1000000; rollback",
  },
  {
    name: "TOAST: 20 MB that doesn't compress",
    sql: () =>
      "begin; insert into stalls_copy select string_agg(md5(g::text), '') from generate_series(1, 600000) g; select length(a) from stalls_copy where length(a) > 1000000; rollback",
  },

  // ---- arrays, json, numeric
  { name: 'an array literal of 1,000,000', sql: () => `select cardinality('{${list(1_000_000)}}'::int[])` },
  { name: 'array_agg of 1,000,000', sql: () => 'select cardinality(array_agg(g)) from generate_series(1, 1000000) g' },
  {
    name: 'an array of 1,000,000 as text',
    sql: () => 'select length(array_agg(g)::text) from generate_series(1, 1000000) g',
  },
  {
    name: 'array_to_string of 1,000,000',
    sql: () => "select length(array_to_string(array_agg(g), ',')) from generate_series(1, 1000000) g",
  },
  {
    name: 'array_agg of 300 MB',
    sql: () => "select cardinality(array_agg(repeat('x', 1000000))) from generate_series(1, 300)",
  },
  {
    name: 'array_agg of 20 MB',
    cheap: true,
    sql: () => "select cardinality(array_agg(repeat('x', 10000))) from generate_series(1, 2000)",
  },
  {
    name: 'array_agg beyond 1 GB',
    sql: () => "select cardinality(array_agg(repeat('x', 1000000))) from generate_series(1, 1100)",
  },
  {
    name: 'array_agg of 200,000 arrays',
    sql: () => 'select array_length(array_agg(array[g, g + 1]), 1) from generate_series(1, 200000) g',
  },
  {
    name: 'array_agg(DISTINCT) of 500,000',
    sql: () => 'select cardinality(array_agg(distinct c)) from stalls_million where a <= 500000',
  },
  { name: 'unnest of 1,000,000', sql: () => 'select count(*) from unnest(array(select generate_series(1, 1000000)))' },
  {
    name: 'array_append in a loop of 3,000',
    sql: () =>
      'with recursive r(n, a) as (select 1, array[1] union all select n + 1, a || n from r where n < 3000) select max(cardinality(a)) from r',
  },
  {
    name: 'an array within an array of 100,000',
    sql: () =>
      'select count(*) from generate_series(1, 1000) g where g = any(array(select generate_series(1, 100000)))',
  },
  {
    name: 'jsonb of 5 MB',
    cheap: true,
    sql: () => `select jsonb_array_length(('[' || repeat('"aaaaaaaa",', 500000) || '1]')::jsonb)`,
  },
  {
    name: 'jsonb of 50 MB',
    sql: () => `select jsonb_array_length(('[' || repeat('"aaaaaaaa",', 4500000) || '1]')::jsonb)`,
  },
  {
    name: 'jsonb as text of 50 MB',
    sql: () => `select length(('[' || repeat('"aaaaaaaa",', 4500000) || '1]')::jsonb::text)`,
  },
  {
    name: 'jsonb 6,000 deep',
    cheap: true,
    sql: () => "select length((repeat('[', 6000) || repeat(']', 6000))::jsonb::text)",
  },
  {
    name: 'jsonb 100,000 deep',
    cheap: true,
    sql: () => "select length((repeat('[', 100000) || repeat(']', 100000))::jsonb::text)",
  },
  {
    name: 'jsonb_array_elements of 1,000,000',
    sql: () => `select count(*) from jsonb_array_elements(('[' || repeat('"aaaaaaaa",', 1000000) || '1]')::jsonb)`,
  },
  {
    name: 'jsonb_agg of 300,000',
    sql: () => 'select jsonb_array_length(jsonb_agg(g)) from generate_series(1, 300000) g',
  },
  {
    name: 'json_agg of 300,000 rows',
    sql: () => 'select length(json_agg(m)::text) from (select * from stalls_million limit 300000) m',
  },
  {
    name: 'json_object_agg of 300,000',
    sql: () => "select length(json_object_agg('k' || g, g)::text) from generate_series(1, 300000) g",
  },
  {
    name: 'json_agg of 200 MB',
    sql: () => "select length(json_agg(repeat('x', 1000000))::text) from generate_series(1, 200)",
  },
  {
    name: 'to_jsonb of an array of 1,000,000',
    sql: () => 'select jsonb_array_length(to_jsonb(array(select generate_series(1, 1000000))))',
  },
  {
    name: 'jsonb_object_agg of 300,000',
    sql: () => "select length(jsonb_object_agg('k' || g, g)::text) from generate_series(1, 300000) g",
  },
  { name: 'factorial of 20000', cheap: true, sql: () => 'select length(factorial(20000)::text)' },
  { name: 'a power of 95442 digits', cheap: true, sql: () => 'select length((9.0::numeric ^ 100000)::text)' },
  {
    name: '60,000 digits times 60,000',
    cheap: true,
    sql: () => "select length((('1' || repeat('3', 60000))::numeric * ('1' || repeat('7', 60000))::numeric)::text)",
  },
  {
    name: '100,000 digits by 50,000',
    sql: () => "select length((('1' || repeat('3', 100000))::numeric / ('3' || repeat('7', 50000))::numeric)::text)",
  },
  { name: 'sqrt of 100,000 digits', sql: () => "select length(sqrt(('1' || repeat('3', 100000))::numeric)::text)" },
  { name: 'ln of 20,000 digits', sql: () => "select length(ln(('1' || repeat('3', 20000))::numeric)::text)" },
  {
    name: 'sums of numerics with 100,000 digits',
    sql: () => "select length(sum(('1' || repeat('3', 100000))::numeric + g)::text) from generate_series(1, 1000) g",
  },

  // ---- many rows
  {
    name: 'string_agg of 300 MB',
    sql: () => "select length(string_agg(repeat('x', 1000), '')) from generate_series(1, 300000)",
  },
  {
    name: 'string_agg of 10 MB',
    cheap: true,
    sql: () => "select length(string_agg(repeat('x', 1000), '')) from generate_series(1, 10000)",
  },
  {
    name: 'string_agg beyond 1 GB',
    sql: () => "select length(string_agg(repeat('x', 10000000), '')) from generate_series(1, 108)",
  },
  {
    name: 'generate_series of 10,000,000 in the select list',
    sql: () => 'select count(*) from (select generate_series(1, 10000000)) s',
  },
  { name: 'generate_series of 10,000,000 in FROM', sql: () => 'select count(*) from generate_series(1, 10000000)' },
  {
    name: 'generate_series of 1,000,000 in FROM',
    cheap: true,
    sql: () => 'select count(*) from generate_series(1, 1000000)',
  },
  { name: 'generate_series of 1,000,000 to the client', sql: () => 'select generate_series(1, 1000000)' },
  { name: '1,000,000 rows to the client', sql: () => 'select * from stalls_million' },
  {
    name: 'sort of 1,000,000 integers',
    sql: () => 'select count(*) from (select a from stalls_million order by c, a desc offset 0) s',
  },
  {
    name: 'sort of 1,000,000 texts',
    sql: () => 'select count(*) from (select b from stalls_million order by md5(b) offset 0) s',
  },
  {
    name: 'hash join of 1,000,000',
    sql: () => 'select count(*) from generate_series(1, 1000000) a join generate_series(1, 1000000) b on a = b',
  },
  {
    name: 'hash join of two tables of 1,000,000',
    sql: () => 'select count(*) from stalls_million a join stalls_million b using (a)',
  },
  {
    name: 'GROUP BY of 1,000,000 groups',
    sql: () => 'select count(*) from (select b, count(*) from stalls_million group by b) s',
  },
  { name: 'count(distinct) of 1,000,000', sql: () => 'select count(distinct b) from stalls_million' },
  {
    name: 'string_agg ordered, of 1,000,000',
    sql: () => "select length(string_agg(b, ',' order by a desc)) from stalls_million",
  },
  {
    name: 'percentile of 1,000,000',
    sql: () => 'select percentile_cont(0.5) within group (order by a) from stalls_million',
  },
  {
    name: 'a window over 1,000,000',
    sql: () => 'select sum(r) from (select row_number() over (order by a desc) r from stalls_million) s',
  },
  {
    name: 'a window of one partition with a frame',
    sql: () =>
      'select sum(s) from (select sum(a) over (order by a rows between 10 preceding and current row) s from stalls_million) s',
  },
  {
    name: 'EXCEPT of 1,000,000',
    sql: () => 'select count(*) from (select a from stalls_million except select a + 5 from stalls_million) s',
  },
  {
    name: 'a recursive query of 300,000',
    sql: () =>
      'with recursive r(n) as (select 1 union all select n + 1 from r where n < 300000) select count(*) from r',
  },
  {
    name: 'a cross join of 30,000,000',
    sql: () => 'select count(*) from stalls_million, (select a from stalls_j limit 30) j',
  },
  {
    name: 'correlated subqueries',
    sql: () => 'select count(*) from stalls_million m where exists (select from stalls_j where a = m.c)',
  },
  {
    name: 'NOT IN of 1,000,000',
    sql: () => 'select count(*) from stalls_j where a not in (select a + 50 from stalls_million)',
  },
  { name: 'UPDATE of 100,000', sql: () => 'begin; update stalls_million set c = c + 1 where a <= 100000; rollback' },
  {
    name: 'INSERT of 300,000 from a query',
    sql: () => "begin; insert into stalls_copy select 'row ' || g from generate_series(1, 300000) g; rollback",
  },
  { name: 'CREATE INDEX on 1,000,000', sql: () => 'begin; create index on stalls_million (b); rollback' },
  { name: 'VACUUM of 1,000,000', sql: () => 'vacuum stalls_million' },
  { name: 'ANALYZE of 1,000,000', sql: () => 'analyze stalls_million' },
  {
    name: 'EXPLAIN ANALYZE of 1,000,000',
    sql: () => 'explain (analyze, costs off, timing off, summary off) select count(*) from generate_series(1, 1000000)',
    answer: 'PostgreSQL writes to a temporary file; figures differ',
  },

  // ---- COPY
  {
    name: 'COPY of 1,000,000 lines',
    sql: () => 'begin; truncate stalls_copy; copy stalls_copy from stdin',
    tail: 'rollback',
    copy: () => pieces(i => list(1000, n => `row ${i * 1000 + n}\n`).join(''), 1000),
  },
  {
    name: 'COPY of a line of 50 MB',
    sql: () => 'begin; truncate stalls_copy; copy stalls_copy from stdin',
    tail: 'rollback',
    copy: () => pieces(i => (i < 50 ? 'x'.repeat(MB) : '\n'), 51),
  },
  {
    name: 'COPY of a line of 50 MB in one message',
    sql: () => 'begin; truncate stalls_copy; copy stalls_copy from stdin',
    tail: 'rollback',
    copy: () => [Buffer.from(`${'ab\\t'.repeat(12_500_000)}\n`)],
  },
  {
    name: 'COPY of 50 MB of CSV in one field',
    sql: () => 'begin; truncate stalls_copy; copy stalls_copy from stdin with (format csv)',
    tail: 'rollback',
    copy: () => pieces(i => (i === 0 ? '"' : i < 51 ? 'x""y\n'.repeat(MB / 5) : '"\n'), 52),
  },
  { name: 'COPY of 1,000,000 rows to the client', sql: () => 'copy stalls_million to stdout' },
  {
    name: 'COPY of a value of 100 MB to the client as CSV',
    sql: () => "copy (select repeat('x\"', 50000000)) to stdout with (format csv)",
  },
  {
    name: 'COPY of a bytea of 50 MB to the client',
    sql: () => "copy (select decode(repeat('ab', 50000000), 'hex')) to stdout",
  },
  { name: 'COPY of a value of 100 MB to the client', sql: () => "copy (select repeat('x\\', 50000000)) to stdout" },
];
