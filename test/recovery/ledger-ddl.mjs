/**
 * The ledger of data definition: clients that create, drop, truncate, alter and index tables in transactions, and
 * remember what the acknowledged ones made of them.
 *
 * A client has its tables to itself, so that its own book says what must be there. Each transaction leaves a mark in
 * ddl_mark. Of one whose COMMIT got no answer the mark tells whether it happened, and then everything of it must have.
 */
import { connectPatiently, note, pause, rolledBack, TransactionClient, vanish } from './ledger.mjs';

const TABLES = 3;
const ROWS = 40;
const RETRY_MS = 20;

export async function createDdlLedger(server) {
  const client = await connectPatiently(server);
  await client.query('create table ddl_mark (client int4 not null, seq int4 not null, primary key (client, seq))');
  await client.end();
}

/** One client with tables of its own: `stop` it, then `auditDdl`. */
export class DdlClient extends TransactionClient {
  /** Name of a table → { columns, rows: Set of ids, indexes, next: the id of the next row }. */
  book = new Map();
  /** What was done, by kind, how often. */
  counts = new Map();

  /** Whose statement hangs for a minute says so. */
  async connect() {
    const client = await connectPatiently(this.server, 1_000);
    await client.query("set statement_timeout = '60s'");
    return client;
  }

  async transaction(client, seq) {
    const after = new Map([...this.book].map(([name, table]) => [name, copyOf(table)]));
    const kinds = [];
    let asked = false;
    try {
      await client.query('begin');
      const steps = 1 + Math.floor(this.random() * 3);
      for (let n = 0; n < steps; n++) kinds.push(await this.#step(client, after));
      await client.query('insert into ddl_mark values ($1, $2)', [this.number, seq]);
      if (this.random() < 0.1) {
        await client.query('rollback');
        return true;
      }
      asked = true;
      const commit = client.query('commit');
      if (this.random() < this.vanishing) {
        this.vanished++;
        vanish(client, this.random);
      }
      await commit;
      this.#keep(after, kinds);
      this.acknowledge(seq);
      return true;
    } catch (error) {
      note(this.errors, error);
      const answered = error.code !== undefined && error.severity !== undefined;
      if (!answered) client.end().catch(() => {});
      const usable = answered && (await rolledBack(client));
      if (asked && (await this.#happened(seq))) this.#keep(after, kinds);
      await pause(RETRY_MS);
      return usable;
    }
  }

  #keep(after, kinds) {
    this.book = after;
    for (const kind of kinds) this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
  }

  /** Whether transaction `seq` committed. The same key waits for it if it is still under way. */
  async #happened(seq) {
    for (;;) {
      let client;
      try {
        client = await connectPatiently(this.server, 60_000);
        await client.query('begin');
        const { rowCount } = await client.query('insert into ddl_mark values ($1, $2) on conflict do nothing', [
          this.number,
          seq,
        ]);
        await client.query('rollback');
        await client.end();
        return rowCount === 0;
      } catch (error) {
        note(this.errors, error);
        client?.end().catch(() => {});
        await pause(RETRY_MS);
      }
    }
  }

  /** One statement or two, done to the book `after` too; what it was. */
  async #step(client, after) {
    const name = `d${this.number}_${Math.floor(this.random() * TABLES)}`;
    const table = after.get(name);
    const dice = this.random();
    if (table === undefined) {
      await client.query(`create table ${name} (id int4 primary key, v text)`);
      after.set(name, { columns: ['id', 'v'], rows: new Set(), indexes: 0, next: 1 });
      await insert(client, name, after.get(name));
      return 'create table';
    }
    if (dice < 0.15) {
      await client.query(`drop table ${name}`);
      after.delete(name);
      return 'drop table';
    }
    if (dice < 0.35) {
      await client.query(`truncate ${name}`);
      table.rows.clear();
      await insert(client, name, table);
      return 'truncate';
    }
    if (dice < 0.5 && table.columns.length < 8) {
      const column = `c${table.columns.length}`;
      await client.query(`alter table ${name} add column ${column} int4 default ${table.columns.length}`);
      table.columns.push(column);
      return 'alter table';
    }
    if (dice < 0.65 && table.indexes < 3) {
      await client.query(`create index on ${name} (v, id)`);
      table.indexes++;
      return 'create index';
    }
    if (dice < 0.8) {
      await client.query(`delete from ${name} where id % 3 = 0`);
      for (const id of table.rows) if (id % 3 === 0) table.rows.delete(id);
      return 'delete';
    }
    await insert(client, name, table);
    return 'insert';
  }
}

function copyOf(table) {
  return { ...table, columns: [...table.columns], rows: new Set(table.rows) };
}

async function insert(client, name, table) {
  const first = table.next;
  table.next += ROWS;
  await client.query(
    `insert into ${name} (id, v) select g, 'v' || g from generate_series(${first}, ${table.next - 1}) g`,
  );
  for (let id = first; id < table.next; id++) table.rows.add(id);
}

/** While no client runs. @returns what is wrong, as sentences. */
export async function auditDdl(server, clients) {
  const client = await connectPatiently(server);
  const problems = [];
  const marks = await client.query('select client, seq from ddl_mark');
  const marked = new Set(marks.rows.map(row => `${row.client}/${row.seq}`));
  const found = await client.query(
    `select c.relname, (select array_agg(a.attname::text order by a.attnum) from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns,
       (select count(*)::int4 from pg_index i where i.indrelid = c.oid) as indexes
     from pg_class c where c.relkind = 'r' and c.relname ~ '^d[0-9]+_'`,
  );
  const there = new Map(found.rows.map(row => [row.relname, row]));
  for (const { number, acknowledged, book } of clients) {
    for (const seq of acknowledged) {
      if (!marked.has(`${number}/${seq}`)) problems.push(`definition ${number}/${seq} was acknowledged and is lost`);
    }
    for (const [name, table] of book) {
      const row = there.get(name);
      there.delete(name);
      if (row === undefined) {
        problems.push(`table ${name} is lost`);
        continue;
      }
      if (row.columns.join() !== table.columns.join()) {
        problems.push(`${name} has columns ${row.columns.join()} instead of ${table.columns.join()}`);
      }
      if (row.indexes !== 1 + table.indexes) {
        problems.push(`${name} has ${row.indexes} indexes instead of ${1 + table.indexes}`);
      }
      for (const path of ['enable_indexscan = off', 'enable_seqscan = off']) {
        await client.query(`set ${path}`);
        const { rows } = await client.query(`select id, v from ${name} where id > 0 order by id`);
        await client.query(path.replace('off', 'on').replace(/^/, 'set '));
        const ids = rows.map(r => r.id).join();
        const wanted = [...table.rows].sort((a, b) => a - b).join();
        if (ids !== wanted)
          problems.push(`${name} (${path}) holds ${rows.length} rows, not the ${table.rows.size} it should`);
        if (rows.some(r => r.v !== `v${r.id}`)) problems.push(`${name} (${path}) holds wrong values`);
      }
    }
  }
  for (const name of there.keys()) problems.push(`table ${name} is there and should not be`);
  await client.end();
  return problems;
}
