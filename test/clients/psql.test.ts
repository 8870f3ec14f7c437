/** psql's backslash commands print what they print against PostgreSQL 15, on the same schema. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isBuilt, TestCluster } from '@pgtroupe/testkit/test-cluster';
import {
  dropOracleDatabase,
  hasProgram,
  missingOracle,
  oracleDatabase,
  ours,
  runClient,
  type Server,
} from './clients.ts';

const DATABASE = 'pgtroupe_clients_psql';
const why = !isBuilt ? 'until `npm run build`' : !hasProgram('psql') ? 'no psql' : missingOracle;

const SCHEMA = `
create type mood as enum ('sad', 'ok', 'happy');
create domain posint as int check (value > 0);
create table a (id int primary key, name text not null default 'x', amount numeric(10,2) default 0, ts timestamp default now(),
  flag bool default true, v varchar(10), c char(3), m mood, p posint, constraint chk check (amount >= 0));
create unique index a_name on a (name, id desc);
create index a_ts on a (ts);
create table b (x bigint, y float8, z date);
create view va as select id, name from a where flag;
create sequence sq;
create schema s2;
create table s2.t (q int);
comment on table b is 'the b table';
create table ser (id serial primary key, id2 int generated always as identity);
insert into a(id, name) select g, 'n' || g from generate_series(1, 10) g;`;

const COMMANDS = [
  '\\dt',
  '\\di',
  '\\dn',
  '\\df',
  '\\d',
  '\\d+',
  '\\d a',
  '\\d+ a',
  '\\d b',
  '\\d+ b',
  '\\d va',
  '\\d+ va',
  '\\d ser',
  '\\d sq',
  '\\d a_name',
  '\\d s2.t',
  '\\dT',
  '\\dT+',
  '\\dv',
  '\\ds',
  '\\dt+',
  '\\dn+',
  '\\df lower',
  '\\dD',
  '\\dx',
  '\\dp',
  '\\z',
  '\\db',
  '\\sv va',
  '\\da sum',
  '\\dS pg_am',
  '\\d pg_class',
  '\\ddp',
  '\\dL',
  '\\dO',
  '\\dc',
  '\\dC',
  '\\dA',
  '\\dd',
  '\\drds',
  '\\dm',
  '\\dE',
  '\\dF',
  '\\dconfig work_mem',
  '\\dt s2.*',
  '\\dti',
  '\\encoding',
  '\\dRp',
  'table va',
  'select * from pg_tables where schemaname = $$public$$ order by 2',
  'select * from pg_indexes where schemaname = $$public$$ order by 2, 3',
];

describe.skipIf(why !== undefined)(`psql (skipped: ${why})`, () => {
  const cluster = new TestCluster();
  let mine: Server;
  let theirs: Server;

  beforeAll(async () => {
    await cluster.create();
    await cluster.start();
    mine = ours(cluster);
    theirs = oracleDatabase(DATABASE);
    for (const server of [mine, theirs])
      expect(await runClient('psql', ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-c', SCHEMA], server)).toBe('');
  });
  afterAll(async () => {
    await cluster.destroy();
    dropOracleDatabase(DATABASE);
  });

  it.each(COMMANDS)('%s', async command => {
    const [a, b] = await Promise.all([mine, theirs].map(server => runClient('psql', ['-X', '-c', command], server)));
    expect(a).toBe(b);
  });

  it('\\l and \\du list the same template databases and the same superuser', async () => {
    for (const command of ['\\l template0', '\\du postgres']) {
      const [a, b] = await Promise.all(
        [mine, theirs].map(server => runClient('psql', ['-X', '-At', '-c', command], server)),
      );
      expect(a).toBe(b);
    }
  });
});
