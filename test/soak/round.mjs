/** One round of definitions and their use, in a schema of its own that is gone at the end. */

const pick = (random, from) => from[Math.floor(random() * from.length)];
let serial = 0;

/**
 * @param client a connected pg client
 * @param random numbers of [0, 1)
 * @param n the worker's number
 * @param failed told of every statement that failed, as text
 */
export async function round(client, random, n, failed) {
  const id = `${n}_${++serial}`;
  const schema = `soak_${id}`;
  const role = `soak_role_${id}`;
  const run = async (text, values) => {
    try {
      await client.query(text, values);
    } catch (error) {
      failed(
        `${error.code} ${error.message.replaceAll(/soak\w*?\d+_\d+/g, 'N')} in ${text.slice(0, 60).replaceAll(/\d+_\d+/g, 'N')}`,
      );
    }
  };
  await run(`create schema ${schema}`);
  await run(`set search_path = ${schema}, public`);
  await run(`create role ${role}`);
  await run(`create type mood_${id} as enum ('sad', 'ok', 'happy')`);
  await run(`create domain positive_${id} as int check (value > 0)`);
  for (let t = 0; t < 3; t++) {
    await run(
      `create table t${t} (id serial primary key, a int, b text default 'x', m mood_${id}, p positive_${id}, d numeric(10, 2), unique (a))`,
    );
    await run(`create index t${t}_b on t${t} (b, a)`);
    await run(
      `insert into t${t} (a, b, m, p, d) select g, repeat('v', g % 50), 'ok', g, g / 3.0 from generate_series(1, 200) g`,
    );
  }
  await run(`create view v as select t0.a, t1.b, t2.m from t0 join t1 using (a) join t2 using (a)`);
  await run(`grant select on t0, t1 to ${role}`);
  await run(`comment on table t0 is 'soak ${id}'`);
  for (let i = 0; i < 5; i++) {
    const column = pick(random, ['a', 'b', 'd', 'p']);
    await run(`select count(*), max(${column}) from v natural join t0 where a > ${Math.floor(random() * 100)}`);
    await run(`select $1::int + ${Math.floor(random() * 1e6)} as c${Math.floor(random() * 1e6)}`, [i]);
    await run(`update t${i % 3} set b = b || 'y', d = d + 1 where a % 10 = $1`, [i]);
  }
  await run(`insert into t0 (a, b) values (1000, repeat('toast', 20000))`);
  await run(`alter table t1 add column extra int default ${Math.floor(random() * 100)}`);
  await run(`alter table t1 rename column extra to more`);
  await run(`alter table t2 alter column d set default 1.5`);
  await run(`select * from t1 where more > 0 limit 5`);
  await run(`prepare p_${id} as select * from t0 where a = $1`);
  await run(`execute p_${id}(5)`);
  if (random() < 0.5) await run(`deallocate p_${id}`);
  await run('begin');
  await run('savepoint s');
  await run(`delete from t2 where a < 50`);
  await run('rollback to s');
  await run(`create table gone (x int)`);
  await run(random() < 0.5 ? 'rollback' : 'commit');
  await run(`truncate t2`);
  await run(
    `select relname, pg_catalog.pg_get_indexdef(indexrelid) from pg_index join pg_class c on c.oid = indexrelid where indrelid = 't0'::regclass`,
  );
  await run(`analyze t0`);
  await run(`vacuum t1`);
  await run(`drop index t0_b`);
  await run(`drop view v`);
  await run(`set search_path = public`);
  await run(`revoke all on ${schema}.t0, ${schema}.t1 from ${role}`);
  await run(`drop schema ${schema} cascade`);
  await run(`drop role ${role}`);
}
