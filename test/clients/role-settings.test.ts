/** Sessions begin with what ALTER ROLE and ALTER DATABASE have set and with the roles and rights of now, in every instance. */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isBuilt, TestCluster } from '@pgtroupe/testkit/test-cluster';
import { connect, ours } from './clients.ts';

describe.skipIf(!isBuilt)('what sessions begin with (an instance for each)', () => {
  const cluster = new TestCluster();
  let admin: pg.Client;
  /** Keeps its instance, which knows the catalogs of before. */
  let bystander: pg.Client;

  beforeAll(async () => {
    await cluster.create();
    await cluster.start('-c', 'sessions_per_instance=1');
    admin = await connect(ours(cluster));
    bystander = await connect(ours(cluster));
    await admin.query('create role clerk login');
  }, 90_000);

  afterAll(async () => {
    await bystander.end();
    await admin.end();
    await cluster.destroy();
  }, 30_000);

  const connectAs = async (as: object): Promise<pg.Client> => {
    const client = new pg.Client({ ...ours(cluster), ...as });
    await client.connect();
    return client;
  };
  const rows = async (as: object, sql: string): Promise<unknown[][]> => {
    const client = await connectAs(as);
    try {
      return (await client.query({ text: sql, rowMode: 'array' })).rows as unknown[][];
    } finally {
      await client.end();
    }
  };
  const clerk = { user: 'clerk' };
  const setting = (name: string): string => `select setting, source from pg_settings where name = '${name}'`;

  it('the closer setting wins; the start-up packet wins over all, RESET goes back to it', async () => {
    await admin.query("alter role all set work_mem = '1MB'");
    expect(await rows(clerk, setting('work_mem'))).toEqual([['1024', 'global']]);
    await admin.query("alter database postgres set work_mem = '2MB'");
    expect(await rows(clerk, setting('work_mem'))).toEqual([['2048', 'database']]);
    await admin.query("alter role clerk set work_mem = '3MB'");
    expect(await rows(clerk, setting('work_mem'))).toEqual([['3072', 'user']]);
    await admin.query("alter role clerk in database postgres set work_mem = '4MB'");
    expect(await rows(clerk, setting('work_mem'))).toEqual([['4096', 'database user']]);
    expect(await rows({ ...clerk, options: '-c work_mem=5MB' }, setting('work_mem'))).toEqual([['5120', 'client']]);
    expect(await rows({ ...clerk, database: 'template1' }, setting('work_mem'))).toEqual([['3072', 'user']]);
    const client = await connectAs(clerk);
    await client.query("set work_mem = '9MB'; reset work_mem");
    expect((await client.query('show work_mem')).rows).toEqual([{ work_mem: '4MB' }]);
    await client.end();
    for (const what of ['role clerk in database postgres', 'role clerk', 'database postgres', 'role all'])
      await admin.query(`alter ${what} reset all`);
    expect(await rows(clerk, setting('work_mem'))).toEqual([['4096', 'default']]);
  });

  it('what has become no value is a warning, and the session begins', async () => {
    await admin.query("insert into pg_db_role_setting values (0, 0, '{work_mem=much,no_such=1,port=1,my.x=a=b}')");
    const client = new pg.Client({ ...ours(cluster), ...clerk });
    const said: (string | undefined)[] = [];
    client.on('notice', ({ message }) => said.push(message));
    await client.connect();
    expect((await client.query('show my.x')).rows).toEqual([{ 'my.x': 'a=b' }]);
    await client.end();
    expect(said).toEqual([
      'invalid value for parameter "work_mem": "much"',
      'unrecognized configuration parameter "no_such"',
      'parameter "port" cannot be changed without restarting the server',
    ]);
    await admin.query('alter role all reset all');
  });

  it('a role that is made, changed or dropped is so for the next connection, whichever instance takes it', async () => {
    const connects = async (user: string): Promise<string> => {
      try {
        await rows({ user }, 'select 1');
        return 'in';
      } catch (error) {
        return (error as Error).message;
      }
    };
    for (let n = 0; n < 5; n++) {
      await admin.query('create role passer login');
      expect(await connects('passer')).toBe('in');
      await admin.query('alter role passer nologin');
      expect(await connects('passer')).toBe('role "passer" is not permitted to log in');
      await admin.query('drop role passer');
      expect(await connects('passer')).toBe('role "passer" does not exist');
    }
  });

  it('rows of catalogs that one session changes are changed for all', async () => {
    await admin.query('create table t (a int)');
    const seen = async (table: string): Promise<string> => {
      try {
        return `${(await bystander.query(`select * from ${table}`)).rows.length} rows`;
      } catch (error) {
        return (error as pg.DatabaseError).code!;
      }
    };
    expect(await seen('t')).toBe('0 rows');
    await admin.query("update pg_class set relname = 'u' where oid = 't'::regclass");
    expect([await seen('t'), await seen('u')]).toEqual(['42P01', '0 rows']);
    await admin.query("begin; update pg_class set relname = 't' where oid = 'u'::regclass; rollback");
    expect([await seen('t'), await seen('u')]).toEqual(['42P01', '0 rows']);
    await admin.query('drop table u');
  });
});
