/** psycopg2 and the JDBC driver: connecting, preparing, types, transactions, COPY; the same output as against PostgreSQL 15. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
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

const DATABASE = 'pgtroupe_clients_drivers';
const PYTHON = ['/usr/bin/python3', 'python3'].find(python => hasProgram(python, '-c', 'import psycopg2'));
const JDBC = ['/usr/share/java/postgresql.jar', '/usr/share/java/postgresql-jdbc4.jar'].find(jar => existsSync(jar));
const hasJava = JDBC !== undefined && hasProgram('java', '-version') && hasProgram('javac', '-version');

const PSYCOPG2 = `
import psycopg2, psycopg2.extras, datetime, decimal, io
c = psycopg2.connect('', connect_timeout=5)
cur = c.cursor()
def q(s, a=None):
    try:
        cur.execute(s, a)
        print(cur.statusmessage, cur.rowcount, [[bytes(v) if isinstance(v, memoryview) else v for v in row] for row in cur.fetchall()] if cur.description else None, [(d.name, d.type_code) for d in cur.description or []])
    except psycopg2.Error as e:
        print(e.pgcode, str(e).split('\\n')[0])
        c.rollback()
q('create table py(i int, t text, n numeric, d date, ts timestamp, tz timestamptz, b bool, f float8, a int[], ta text[], bin bytea, iv interval)')
q('insert into py values (%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s)', (1, "o'b\\\\x", decimal.Decimal('1.23'), datetime.date(2020,1,2),
  datetime.datetime(2020,1,2,3,4,5,6), datetime.datetime(2020,1,2,3,4,5,tzinfo=datetime.timezone.utc), True, 1.5, [1,2], ['x','y z'], b'\\x00\\xff',
  datetime.timedelta(days=1, seconds=5)))
c.commit()
q('select * from py')
q('select %s::int, %s', (None, 'é'))
q('select 1/0')
q('select * from py where i = any(%s)', ([1, 2],))
cur.copy_expert('copy py(i,t) from stdin', io.StringIO('2\\ttwo\\n3\\t\\\\N\\n'))
print(cur.rowcount)
s = io.StringIO()
cur.copy_expert('copy (select i,t from py order by i) to stdout with csv header', s)
print(s.getvalue())
try:
    cur.copy_expert('copy py(i,t) from stdin', io.StringIO('x\\ttwo\\n'))
except psycopg2.Error as e:
    print(e.pgcode, str(e).split('\\n')[0])
    c.rollback()
psycopg2.extras.execute_values(cur, 'insert into py(i,t) values %s', [(i, str(i)) for i in range(500)])
c.commit()
q('select count(*), sum(i) from py')
c.rollback()
c.set_session(isolation_level='REPEATABLE READ')
q('show transaction_isolation')
q("select 'a'::text, 1::smallint, '{1,2}'::int[], null, true, 'x'::char(3)")
q('drop table py')
c.commit()
`;

const JAVA = `
import java.sql.*;
public class Driver {
  static void dump(ResultSet r) throws Exception {
    int n = r.getMetaData().getColumnCount();
    while (r.next()) { for (int i = 1; i <= n; i++) System.out.print(r.getString(i) + "|"); System.out.println(); }
  }
  static void q(Connection c, String s) throws Exception {
    try (Statement st = c.createStatement()) { if (st.execute(s)) dump(st.getResultSet()); else System.out.println(st.getUpdateCount()); }
    catch (SQLException e) { System.out.println(e.getSQLState() + " " + e.getMessage().split("\\n")[0]); }
  }
  public static void main(String[] a) throws Exception {
    Connection c = DriverManager.getConnection("jdbc:postgresql://" + a[0] + ":" + a[1] + "/" + a[2] + "?user=postgres&connectTimeout=5&socketTimeout=20");
    System.out.println(c.getMetaData().getDatabaseProductName() + " " + c.getMetaData().getDatabaseMajorVersion());
    q(c, "create table jt(i int primary key, t text, n numeric(10,2), ts timestamp, d date, b boolean, f float8, l bigint)");
    PreparedStatement p = c.prepareStatement("insert into jt values (?,?,?,?,?,?,?,?)");
    for (int i = 0; i < 20; i++) {
      p.setInt(1, i); p.setString(2, "t" + i); p.setBigDecimal(3, new java.math.BigDecimal("12.5")); p.setTimestamp(4, Timestamp.valueOf("2020-01-02 03:04:05"));
      p.setDate(5, Date.valueOf("2020-01-02")); p.setBoolean(6, i % 2 == 0); p.setDouble(7, i / 3.0); p.setLong(8, 1L << 40); p.addBatch();
    }
    int sum = 0;
    for (int x : p.executeBatch()) sum += x;
    System.out.println(sum);
    // Prepared on the server, and in binary, from the fifth time on.
    p = c.prepareStatement("select i,t,b,f,l,n,ts,d from jt where i < ? order by i");
    for (int k = 0; k < 7; k++) {
      p.setInt(1, 3);
      ResultSet r = p.executeQuery();
      while (r.next()) System.out.println(r.getInt(1) + r.getString(2) + r.getBoolean(3) + r.getDouble(4) + r.getLong(5) + r.getBigDecimal(6) + r.getTimestamp(7) + r.getDate(8));
    }
    c.setAutoCommit(false);
    Statement st = c.createStatement();
    st.setFetchSize(3);
    dump(st.executeQuery("select i from jt order by i"));
    c.commit();
    q(c, "update jt set t = 'x' where i < 5");
    Savepoint sp = c.setSavepoint();
    q(c, "select 1/0");
    c.rollback(sp);
    q(c, "select count(*) from jt where t = 'x'");
    c.rollback();
    c.setAutoCommit(true);
    q(c, "select count(*) from jt where t = 'x'");
    c.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
    q(c, "show transaction_isolation");
    c.setReadOnly(true);
    q(c, "insert into jt values (100)");
    c.setReadOnly(false);
    dump(c.getMetaData().getTables(null, "public", "jt", new String[]{"TABLE"}));
    dump(c.getMetaData().getColumns(null, "public", "jt", "%"));
    dump(c.getMetaData().getSchemas());
    Statement slow = c.createStatement();
    slow.setQueryTimeout(1);
    try { slow.executeQuery("select count(*) from generate_series(1, 1000000000)"); } catch (SQLException e) { System.out.println(e.getSQLState() + " " + e.getMessage()); }
    PreparedStatement keys = c.prepareStatement("insert into jt(i, t) values (?, ?)", Statement.RETURN_GENERATED_KEYS);
    keys.setInt(1, 500); keys.setString(2, "z"); keys.executeUpdate(); dump(keys.getGeneratedKeys());
    PreparedStatement array = c.prepareStatement("select count(*) from jt where i = any(?)");
    array.setArray(1, c.createArrayOf("int4", new Integer[]{1, 2, 3}));
    dump(array.executeQuery());
    q(c, "drop table jt");
  }
}
`;

const why = isBuilt ? missingOracle : 'until `npm run build`';
describe.skipIf(why !== undefined)(`drivers (skipped: ${why})`, () => {
  const cluster = new TestCluster();
  let servers: readonly Server[];

  beforeAll(async () => {
    await cluster.create();
    await cluster.start();
    servers = [ours(cluster), oracleDatabase(DATABASE)];
  });
  afterAll(async () => {
    await cluster.destroy();
    dropOracleDatabase(DATABASE);
  });

  it.skipIf(PYTHON === undefined)('psycopg2 (skipped without python3-psycopg2)', async () => {
    const script = join(cluster.folder, 'client.py');
    writeFileSync(script, PSYCOPG2);
    const [mine, theirs] = await Promise.all(servers.map(server => runClient(PYTHON!, [script], server)));
    expect(theirs).not.toContain('Traceback');
    expect(mine).toBe(theirs);
  });

  it.skipIf(!hasJava)('JDBC (skipped without java, javac and the PostgreSQL driver)', async () => {
    const source = join(cluster.folder, 'Driver.java');
    writeFileSync(source, JAVA);
    expect(await runClient('javac', ['-d', cluster.folder, source], servers[0]!)).toBe('');
    const [mine, theirs] = await Promise.all(
      servers.map(server =>
        runClient(
          'java',
          ['-cp', `${cluster.folder}:${JDBC}`, 'Driver', server.host, String(server.port), server.database],
          server,
        ),
      ),
    );
    expect(theirs).not.toContain('Exception in');
    expect(mine!.replaceAll('postgres|public', 'DB|public')).toBe(
      theirs!.replaceAll(`${DATABASE}|public`, 'DB|public'),
    );
  });
});
