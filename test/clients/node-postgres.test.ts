/** node-postgres: a pool with parameters, errors, pipelining, COPY, cancel. */
import { connect as connectSocket } from 'node:net';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isBuilt, sleep, TestCluster } from '@pgtroupe/testkit/test-cluster';
import {
  cancelRequest,
  connect,
  dropOracleDatabase,
  missingOracle,
  oracleDatabase,
  ours,
  type Server,
} from './clients.ts';

const DATABASE = 'pgtroupe_clients_node';

/** Text, parameters. */
type Statement = readonly [sql: string | pg.QueryConfig, values?: readonly unknown[]];

const when = new Date(Date.UTC(2020, 1, 29, 1, 2, 3));
const STATEMENTS: readonly Statement[] = [
  [
    'create table nt (i int, b bigint, t text, n numeric(12,3), ts timestamp, tz timestamptz, d date, f float8, bo bool, ia int[], ta text[], vc varchar(5), bi bytea, u uuid)',
  ],
  [
    'insert into nt values ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13) returning *',
    [
      1,
      '9007199254740993',
      'häß\'"\\',
      '123.4567',
      when,
      when,
      '2021-12-31',
      1.5e-7,
      true,
      [1, 2, null],
      ['a', 'b,c', '"q"', null],
      'abc',
      Buffer.from([0, 1, 255]),
    ],
  ],
  ['insert into nt(i) values ($1) returning i, t', [null]],
  ['select * from nt where i = $1', [1]],
  [
    'select $1::int + 1 as x, $2::text as y, $3::numeric * 2 as z, $4::timestamp as w, $5::int[] as a, $6::bool',
    [41, 'hi', '1.50', '2020-01-01 00:00:00', [1, 2], null],
  ],
  ['select * from nt where i = any($1)', [[1, 2, 3]]],
  ['select * from nt where t = any($1::text[])', [['häß\'"\\']]],
  ['select count(*), sum(i), avg(i), max(ts), min(d), array_agg(i), string_agg(t, $1) from nt', [',']],
  ['select 1/0'],
  ['select * from nosuch'],
  ['selec 1'],
  ['select 1 +'],
  ['select nocol from nt'],
  ['select $1::int', ['abc']],
  ['select $1::int', ['99999999999']],
  ['insert into nt(vc) values ($1)', ['toolong']],
  ['select i + t from nt'],
  ["select 'x'::int"],
  ["select '2020-13-01'::date"],
  ['create table nt2 (id int primary key, v int not null check (v > 0), u text unique)'],
  ['insert into nt2 values (1,1,$1)', ['a']],
  ['insert into nt2 values (1,1,$1)', ['b']],
  ['insert into nt2 values (2,1,$1)', ['a']],
  ['insert into nt2 values (3,$1)', [null]],
  ['insert into nt2 values (3,$1)', [-1]],
  [
    'insert into nt2 values (1,1,$1) on conflict (id) do update set v = excluded.v + nt2.v, u = excluded.u returning *',
    ['z'],
  ],
  ['insert into nt2 values (1,1) on conflict do nothing'],
  ['update nt2 set v = v + $1 where id = $2 returning *', [5, 1]],
  ['delete from nt2 where id = $1', [77]],
  ['delete from nt2 returning id'],
  ['select generate_series($1::int, $2::int) g', [1, 3]],
  ['with x as (select $1::int as a) select a, a * 2 b from x', [4]],
  ['select case when $1 then 1 else 2 end', [true]],
  ['select coalesce($1, $2)', [null, 'x']],
  ['select $1 || $2', ['a', 'b']],
  ["select 'a' || 1, 1 || 'a', round(1.5), lpad('a', 3), quote_literal(5)"],
  ['select length($1), upper($1), $1 like $2', ['abc', 'a%']],
  ['select * from nt order by i limit $1 offset $2', [1, 0]],
  ['select 1; select 2'],
  [''],
  [';'],
  ['begin; select 1; commit'],
  ['select 1; select 1/0; select 3'],
  ['insert into nt2 values (10,1); insert into nt2 values (10,1)'],
  ['select count(*) from nt2'],
  [{ text: 'select $1::int as a', rowMode: 'array' } as pg.QueryConfig, [5]],
  [{ name: 'named', text: 'select $1::int as a' }, [5]],
  [{ name: 'named', text: 'select $1::int as a' }, [6]],
  ["values (1,'a'),(2,'b')"],
  ["select interval '1 day 2 hours' i, time '10:00' as t, '{}'::int[] e, array[[1,2],[3,4]] m"],
  ['select current_setting($1)', ['DateStyle']],
  ['truncate nt2'],
  ['alter table nt2 add column zz int default 5'],
  ['insert into nt2 values (1,1)'],
  ['select * from nt2'],
  ['alter table nt2 drop column u'],
  ['select * from nt2'],
  ['drop table nt2'],
  ['drop table nt2'],
  ['drop table if exists nt2'],
  ['select i, row_number() over (order by i), count(*) over () from nt'],
  ['select a.i from nt a join nt b on a.i = b.i left join nt c on c.i = b.i + 1 where a.i is not null'],
  [
    'select exists(select 1 from nt where i = $1), (select max(i) from nt), i in (select i from nt) from nt where i = $1',
    [1],
  ],
  ['prepare pp(int) as select $1 + 1; execute pp(4); deallocate pp'],
  // What is told of a column's modifier is that of what is left to run.
  ["select c from (select coalesce(''::char(3), (select max('a'::char(3)))) as c from generate_series(1, 1)) q"],
  ["select c from (select coalesce(random()::text::varchar(3), 'abc'::varchar(5)) as c from generate_series(1, 0)) q"],
  ["select 'a'::varchar(3) as c, 1::numeric(10,2) as n union all select 'b', 1.5 where null::bool"],
  ["select 'a'::varchar(3) as c union all select 'b'::varchar(5) union all select 'c'::varchar(7) from nt where 1 > 2"],
  ["select 'a'::varchar(3) as c from nt left join nt u on false where false union all select 'b'::varchar(5)"],
  ["select 'a'::varchar(3) as c, 1::numeric(10,2) as n union all select 'b', 1.5 from nt where null::bool"],
  ["select count(*)::text::varchar(3) as c from nt where false union all select 'b'::varchar(5) from nt where true"],
  ["select 'a'::varchar(3) as c from nt where i > 5 union all (select 'b'::varchar(5) from nt where false limit 3)"],
  ["select 'a'::varchar(3) as c from nt where i > 5 union select 'b'::varchar(5) where false"],
  ['drop table nt'],
];

async function outcome(pool: pg.Pool, [sql, values]: Statement): Promise<unknown> {
  try {
    const result = await pool.query(sql as string, values as unknown[] | undefined);
    const results = (Array.isArray(result) ? result : [result]) as pg.QueryResult[];
    return results.map(({ command, rowCount, rows, fields }) => ({
      command,
      rowCount,
      rows,
      fields: fields?.map(f => [f.name, f.dataTypeID, f.dataTypeSize, f.dataTypeModifier]),
    }));
  } catch (error) {
    const { code, message, position, detail, hint, severity, schema, table, column, constraint } =
      error as pg.DatabaseError;
    return { code, message, position, detail, hint, severity, schema, table, column, constraint };
  }
}

describe.skipIf(!isBuilt)('node-postgres (skipped until `npm run build`)', () => {
  const cluster = new TestCluster();
  let mine: Server;
  const client = (): Promise<pg.Client> => connect(mine);

  beforeAll(async () => {
    await cluster.create();
    await cluster.start();
    mine = ours(cluster);
  });
  afterAll(() => cluster.destroy());

  it.skipIf(missingOracle !== undefined)(`a pool gets PostgreSQL's answers (skipped: ${missingOracle})`, async () => {
    const pools = [mine, oracleDatabase(DATABASE)].map(server => new pg.Pool({ ...server, user: 'postgres', max: 5 }));
    try {
      for (const statement of STATEMENTS) {
        const [a, b] = await Promise.all(pools.map(pool => outcome(pool, statement)));
        expect([statement, a]).toEqual([statement, b]);
      }
    } finally {
      for (const pool of pools) await pool.end();
      dropOracleDatabase(DATABASE);
    }
  });

  it('pipelined messages after an error are skipped until Sync, and what came before is undone', async () => {
    const setup = await client();
    await setup.query('create table piped (i int)');
    const socket = connectSocket(mine.port, mine.host);
    const text = (value: string): Buffer => Buffer.from(`${value}\0`);
    const message = (type: string, ...parts: Buffer[]): Buffer => {
      const body = Buffer.concat(parts);
      const head = Buffer.alloc(5);
      head.write(type);
      head.writeInt32BE(body.length + 4, 1);
      return Buffer.concat([head, body]);
    };
    const none = Buffer.alloc(2);
    const run = (sql: string): Buffer =>
      Buffer.concat([
        message('P', text(''), text(sql), none),
        message('B', text(''), text(''), none, none, none),
        message('E', text(''), Buffer.alloc(4)),
      ]);
    const startUp = Buffer.concat([Buffer.from([0, 3, 0, 0]), Buffer.from('user\0postgres\0database\0postgres\0\0')]);
    const length = Buffer.alloc(4);
    length.writeInt32BE(startUp.length + 4);
    const types: string[] = [];
    let rest = Buffer.alloc(0);
    const ready = new Promise<void>((resolve, reject) => {
      socket.on('error', reject);
      socket.on('data', chunk => {
        rest = Buffer.concat([rest, chunk]);
        while (rest.length >= 5 && rest.length > rest.readInt32BE(1)) {
          types.push(String.fromCharCode(rest[0]!));
          rest = rest.subarray(rest.readInt32BE(1) + 1);
        }
        if (types.filter(type => type === 'Z').length === 3) resolve();
      });
    });
    socket.write(
      Buffer.concat([
        length,
        startUp,
        run('insert into piped values (1)'),
        run('select 1/0'),
        run('insert into piped values (2)'),
        message('S'),
        run('insert into piped values (3)'),
        message('S'),
      ]),
    );
    await ready;
    socket.end();
    // Parse, bind, insert done; parse, bind, error; nothing until ready; then the third insert alone.
    expect(types.slice(types.indexOf('Z') + 1).join('')).toMatch(/^12C(12|1)EZ12CZ$/);
    expect((await setup.query('select i from piped')).rows).toEqual([{ i: 3 }]);
    await setup.end();
  });

  it.each([
    'select count(*) from generate_series(1, 1000000000)',
    'select pg_sleep(30)',
    'select count(*) from (select g from generate_series(1, 5000000) g order by g desc offset 1) x, generate_series(1, 1000) y',
    'select count(*) from generate_series(1, 3000) a join generate_series(1, 3000000) b on a < b',
  ])('a CancelRequest ends `%s` with 57014, and the session goes on', async sql => {
    const victim = await client();
    const { processID, secretKey } = victim as unknown as { processID: number; secretKey: number };
    const answer = victim.query(sql).then(
      () => 'done',
      (error: pg.DatabaseError) => error.code,
    );
    await sleep(300);
    const started = performance.now();
    cancelRequest(mine, processID, secretKey);
    expect(await answer).toBe('57014');
    expect(performance.now() - started).toBeLessThan(3_000);
    expect((await victim.query('select 1 as x')).rows).toEqual([{ x: 1 }]);
    await victim.end();
  });

  it('a CancelRequest ends a wait for a row; a wrong key cancels nothing', async () => {
    const [holder, waiter] = [await client(), await client()];
    await holder.query('create table held (i int); insert into held values (1)');
    await holder.query('begin; update held set i = 2');
    const { processID, secretKey } = waiter as unknown as { processID: number; secretKey: number };
    let ended = false;
    const answer = waiter
      .query('update held set i = 3')
      .then(
        () => 'done',
        (error: pg.DatabaseError) => error.code,
      )
      .finally(() => (ended = true));
    await sleep(200);
    cancelRequest(mine, processID, secretKey ^ 1);
    await sleep(200);
    expect(ended).toBe(false);
    cancelRequest(mine, processID, secretKey);
    expect(await answer).toBe('57014');
    await holder.query('rollback');
    await Promise.all([holder.end(), waiter.end()]);
  });
});
