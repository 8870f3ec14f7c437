/** Parameters are kept or refused, never taken and forgotten: by SET, set_config, start-up packet and file. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isBuilt, TestCluster } from '@pgtroupe/testkit/test-cluster';
import { connect, ours } from './clients.ts';
import { Q, Wire } from './wire.ts';

const REFUSED = /^E (ERROR|FATAL) 0A000 /;

describe.skipIf(!isBuilt)('settings', () => {
  const cluster = new TestCluster();
  let wire: Wire;

  beforeAll(async () => {
    await cluster.create();
    await cluster.start();
    wire = await Wire.open(ours(cluster));
  }, 90_000);

  afterAll(async () => {
    wire.close();
    await cluster.destroy();
  }, 30_000);

  const failure = (lines: readonly string[]): string => lines.find(line => line.startsWith('E ')) ?? 'no error';
  const rows = (lines: readonly string[]): readonly string[] => lines.filter(line => line.startsWith('D '));

  it.each([
    "set default_transaction_isolation = 'serializable'",
    "set local default_transaction_isolation = 'Serializable'",
    'set session characteristics as transaction isolation level serializable',
    "select set_config('default_transaction_isolation', 'serializable', false)",
    "select set_config('transaction_isolation', 'serializable', true)",
    "set transaction_isolation = 'SERIALIZABLE'",
    'set standard_conforming_strings = off',
    'set array_nulls = off',
    'set transform_null_equals = on',
    'set backslash_quote = off',
  ])('%s is refused', async sql => {
    expect(failure(await wire.send(Q(sql)))).toMatch(REFUSED);
    expect(rows(await wire.send(Q('show default_transaction_isolation')))).toEqual(['D read committed']);
    expect(rows(await wire.send(Q('show standard_conforming_strings')))).toEqual(['D on']);
  });

  it('what SET LOCAL set ends with the transaction, whatever was rolled back behind it', async () => {
    const shown = async (sql: string): Promise<readonly string[]> => rows(await wire.send(Q(sql)));
    const mb = (n: number): string => `work_mem = '${n}MB'`;
    const back = 'rollback to s; show work_mem; commit';
    expect(await shown(`begin; set local ${mb(2)}; savepoint s; set ${mb(6)}; ${back}`)).toEqual(['D 2MB']);
    expect(await shown('show work_mem')).toEqual(['D 4MB']);
    expect(await shown(`begin; set local ${mb(2)}; savepoint s; reset work_mem; ${back}`)).toEqual(['D 2MB']);
    expect(await shown('show work_mem')).toEqual(['D 4MB']);
    expect(await shown(`begin; set ${mb(5)}; savepoint s; set local ${mb(6)}; ${back}`)).toEqual(['D 5MB']);
    expect(await shown('show work_mem')).toEqual(['D 5MB']);
    await wire.send(Q('reset work_mem'));
  });

  it('the start-up packet is refused what SET is', async () => {
    const client = connect({
      ...ours(cluster),
      options: '-c default_transaction_isolation=serializable',
    } as ReturnType<typeof ours>);
    await expect(client).rejects.toMatchObject({ code: '0A000' });
  });

  it('what belongs to the transaction is set and shown there', async () => {
    await wire.send(Q('begin'));
    await wire.send(Q("set transaction_isolation = 'Repeatable Read'"));
    expect(rows(await wire.send(Q("select current_setting('transaction_isolation')")))).toEqual(['D repeatable read']);
    await wire.send(Q('rollback; begin; set transaction_read_only = on'));
    expect(rows(await wire.send(Q('show transaction_read_only')))).toEqual(['D on']);
    expect(failure(await wire.send(Q('create table t()')))).toMatch(/^E ERROR 25006 /);
    await wire.send(Q('rollback'));
    expect(failure(await wire.send(Q("set transaction_isolation = 'junk'")))).toMatch(/^E ERROR 22023 /);
  });

  it.each([
    ['set time zone -5', '<-05>+05'],
    ['set time zone 5.5', '<+05:30>-05:30'],
    ["set timezone = '5.25'", '<+05:15>-05:15'],
    ['set time zone 0', '<+00>-00'],
    ["set time zone interval '-08:00' hour to minute", '<-08>+08'],
    ["set time zone interval '+02:30' hour to minute", '<+02:30>-02:30'],
    ["set time zone interval '3' hour", '<+03>-03'],
    ["set timezone = 'interval ''26 hours'''", '<+26>-26'],
    ["set timezone = 'utc'", 'UTC'],
    ["set timezone = 'america/new_york'", 'America/New_York'],
    ["set timezone = '+03:00'", '+03:00'],
  ])('%s shows %s', async (sql, shown) => {
    expect(failure(await wire.send(Q(sql)))).toBe('no error');
    expect(rows(await wire.send(Q('show timezone')))).toEqual([`D ${shown}`]);
  });

  it('an offset of SET TIME ZONE INTERVAL is used', async () => {
    await wire.send(Q("set time zone interval '-08:00' hour to minute"));
    const said = await wire.send(Q("select '2020-01-01 00:00:00+00'::timestamptz"));
    expect(rows(said)).toEqual(['D 2019-12-31 16:00:00-08']);
  });

  it.each([
    ["set time zone interval '1 month'", 'invalid value for parameter "TimeZone": "INTERVAL \'1 mon\'"'],
    ["set time zone interval '1 day'", 'invalid value for parameter "TimeZone": "INTERVAL \'1 day\'"'],
    ['set time zone 168', 'invalid value for parameter "TimeZone": "168"'],
    ["set timezone = 'foo/bar'", 'invalid value for parameter "TimeZone": "foo/bar"'],
    ["set IntervalStyle = 'x'", 'invalid value for parameter "intervalstyle": "x"'],
    ["set my.var to 'a', 'b'", 'SET my.var takes only one argument'],
    ['set work_mem to 1, 2', 'SET work_mem takes only one argument'],
  ])('%s is refused as PostgreSQL refuses it', async (sql, message) => {
    expect(failure(await wire.send(Q(sql)))).toContain(`E ERROR 22023 ${message}`);
  });

  it('a rule for daylight saving time is not taken for UTC', async () => {
    const noons = "select '2026-01-15 12:00+00'::timestamptz, '2026-07-15 12:00+00'::timestamptz";
    for (const [zone, winter, summer] of [
      ['CST7CDT,M4.1.0,M10.5.0', '05:00:00-07', '06:00:00-06'],
      ['<-03>3<-02>,M3.2.0,M11.1.0', '09:00:00-03', '10:00:00-02'],
    ]) {
      expect(rows(await wire.send(Q(`set timezone = '${zone}'; ${noons}`)))).toEqual([
        `D 2026-01-15 ${winter}|2026-07-15 ${summer}`,
      ]);
    }
    await wire.send(Q('reset timezone'));
  });

  it('unknown parameters of the class pgtroupe are refused, its own are shown under both names', async () => {
    expect(failure(await wire.send(Q('set pgtroupe.nope = 1')))).toMatch(/^E ERROR 42602 /);
    expect(failure(await wire.send(Q('show pgtroupe.pg_hba_conf')))).toMatch(/^E ERROR 42602 /);
    expect(rows(await wire.send(Q('show pgtroupe.sessions_per_instance; show sessions_per_instance')))).toEqual([
      'D 1000',
      'D 1000',
    ]);
  });
});
