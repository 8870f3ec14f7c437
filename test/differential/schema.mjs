/**
 * The tables the generated statements ask: few values, many NULLs and duplicates, so that joins meet, groups
 * fill and comparisons are of equals as often as not. One is larger than a batch and than a page.
 */

export const SETUP = [
  `create table t1 (id int primary key, a int, b bigint, c text, d date, n numeric(10,2), o bool)`,
  `insert into t1 select g, nullif(g % 7, 3), nullif(g * 11 % 13, 5), nullif(chr(97 + g % 5), 'd'), date '2020-01-01' + g * 37 % 90,
    nullif(g % 9, 4) * 1.25, nullif(g % 3, 2) = 1 from generate_series(1, 24) g`,
  `create table t2 (id int primary key, t1_id int, x int, c text, ts timestamp, f float8, j jsonb)`,
  `create index t2_t1_id on t2 (t1_id)`,
  `insert into t2 select g, nullif(g * 5 % 29, 7), g % 6 - 2, case g % 4 when 0 then null else repeat(chr(97 + g % 6), g % 3) end,
    timestamp '2020-02-28 12:00' + g * interval '7 hours', (g % 8) * 0.5,
    case when g % 5 = 0 then null else jsonb_build_object('a', g % 3, 'b', jsonb_build_array(g % 2, 'x'), 'c', nullif(g % 4, 1)) end
    from generate_series(1, 40) g`,
  `create table t3 (k int, l int, c text, ia int[], n numeric)`,
  `create unique index t3_kl on t3 (k, l)`,
  `insert into t3 select nullif(g % 5, 2), g, nullif(chr(97 + g % 4), 'c'), case when g % 6 = 0 then null else array[g % 3, g % 4, nullif(g % 5, 0)] end,
    g * 7 % 11 * 0.25 from generate_series(1, 18) g`,
  `create table t4 (id bigint primary key, c varchar(20), d date, ta text[], o bool not null)`,
  `insert into t4 select g * 3, chr(97 + g % 6) || chr(97 + g % 3), case when g % 4 = 1 then null else date '2020-02-20' + g end,
    case when g % 5 = 2 then null else array[chr(97 + g % 4), 'z'] end, g % 2 = 0 from generate_series(1, 12) g`,
  `create table e0 (id int, a int, c text)`,
  `create table tb (id int primary key, g int, h int, c text)`,
  `create index tb_g on tb (g)`,
  `insert into tb select i, i * 7 % 40, nullif(i % 11, 6), 'row ' || i % 17 from generate_series(1, 1200) i`,
  `create table t5 (id int primary key, f float8, n numeric, d date, ts timestamp, i interval)`,
  `insert into t5 select g, (array['NaN', 'Infinity', '-Infinity', '0', '-0', '1.5', null])[1 + g % 7]::float8,
    (array['NaN', 'Infinity', '-Infinity', '0', '1.50', '1.5', '-2', null])[1 + g * 3 % 8]::numeric,
    (array['infinity', '-infinity', '2020-01-01', '2020-02-29', null])[1 + g % 5]::date,
    (array['infinity', '-infinity', '2020-02-28 12:00', null])[1 + g % 4]::timestamp,
    (array['1 mon', '30 days', '-1 day', '24:00', '1 day', null])[1 + g % 6]::interval from generate_series(1, 16) g`,
  `create index t5_f on t5 (f)`,
  `create type mood as enum ('sad', 'ok', 'happy')`,
  `create domain few as int check (value < 10)`,
  `create table t6 (id int primary key, s smallint, r real, tz timestamptz, tm time, y bytea, u uuid, p char(3), e mood default 'ok',
    x int generated always as (s * 2) stored)`,
  `insert into t6 select g, nullif(g % 5, 3), nullif(g % 7, 2) * 0.3, timestamptz '2020-03-28 20:00+00' + nullif(g % 9, 4) * interval '5 hours',
    time '08:00' + nullif(g % 4, 3) * interval '95 minutes', nullif(('\\x0' || g % 4)::bytea, 'x'), nullif(md5((g % 6)::text), md5('5'))::uuid,
    nullif(chr(97 + g % 4) || chr(97 + g % 2), 'bb'), (array['sad', 'ok', 'happy', null])[1 + g % 4]::mood from generate_series(1, 20) g`,
  `create index t6_p on t6 (p, s)`,
  `create index t6_tz on t6 (tz)`,
  `create view v1 as select t1.id, t1.a, t2.x, coalesce(t2.c, t1.c) as c from t1 left join t2 on t2.t1_id = t1.id`,
  `create view v2 as select a, count(*) as n, max(c) as c from t1 group by a`,
];

/** Columns the generator knows. */
export const TABLES = [
  {
    name: 't1',
    weight: 6,
    key: 'id',
    columns: { id: 'int', a: 'int', b: 'bigint', c: 'text', d: 'date', n: 'numeric', o: 'bool' },
  },
  {
    name: 't2',
    weight: 6,
    key: 'id',
    columns: { id: 'int', t1_id: 'int', x: 'int', c: 'text', ts: 'timestamp', f: 'float', j: 'jsonb' },
  },
  { name: 't3', weight: 4, key: null, columns: { k: 'int', l: 'int', c: 'text', ia: 'ints', n: 'numeric' } },
  { name: 't4', weight: 4, key: 'id', columns: { id: 'bigint', c: 'text', d: 'date', ta: 'texts', o: 'bool' } },
  {
    name: 't5',
    weight: 2,
    key: 'id',
    columns: { id: 'int', f: 'float', n: 'numeric', d: 'date', ts: 'timestamp', i: 'interval' },
  },
  {
    name: 't6',
    weight: 3,
    key: 'id',
    columns: {
      id: 'int',
      s: 'small',
      r: 'real',
      tz: 'tz',
      tm: 'time',
      y: 'bytea',
      u: 'uuid',
      p: 'char',
      e: 'mood',
    },
  },
  { name: 'e0', weight: 1, key: null, columns: { id: 'int', a: 'int', c: 'text' } },
  { name: 'tb', weight: 1, key: 'id', big: true, columns: { id: 'int', g: 'int', h: 'int', c: 'text' } },
  { name: 'v1', weight: 1, key: null, view: true, columns: { id: 'int', a: 'int', x: 'int', c: 'text' } },
  { name: 'v2', weight: 1, key: null, view: true, columns: { a: 'int', n: 'bigint', c: 'text' } },
];
