/**
 * The ledger: clients that write numbers and remember which were acknowledged.
 *
 * Each client notes a number before it sends it and again when COMMIT was acknowledged. Whatever
 * happens to the server, in the end the table must hold every acknowledged number, and no number that
 * was never sent. A number whose COMMIT got no answer may be there or not. The transaction also moves
 * money between two accounts, so that a half-done one would show in the sum.
 */
import pg from 'pg';

const RETRY_MS = 20;
const ACCOUNTS = 100;

export async function createLedger(server) {
  const client = await connect(server);
  await client.query('create table ledger (client int4 not null, seq int4 not null, primary key (client, seq))');
  await client.query('create table account (id int4 primary key, balance int8 not null)');
  await client.query(`insert into account select g, 1000 from generate_series(1, ${ACCOUNTS}) g`);
  await client.end();
}

export async function connect(server) {
  const client = new pg.Client({
    host: server.host,
    port: server.port,
    user: server.user,
    database: server.database,
    connectionTimeoutMillis: 5000,
  });
  client.on('error', () => {});
  await client.connect();
  return client;
}

/** The postmaster may be on its way back. */
export async function connectPatiently(server, patienceMs = 15_000) {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    try {
      return await connect(server);
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await pause(RETRY_MS);
    }
  }
}

/** Its machine is gone: at once, in the middle of what it just sent, or a few milliseconds later. */
export function vanish(client, random) {
  const { stream } = client.connection;
  const reset = random() < 0.5;
  const go = () => (reset ? stream.resetAndDestroy() : stream.destroy());
  const dice = random();
  if (dice < 0.3) go();
  else if (dice < 0.5) setImmediate(go);
  else setTimeout(go, 8 * random());
}

/** Counts an error by its SQLSTATE, or by its text where it has none. */
export function note(errors, error) {
  const key = error.code ?? error.message;
  errors.set(key, (errors.get(key) ?? 0) + 1);
}

/** A client that does one transaction after the other: `start` and let it run, `stop`, then look at `sent` and
 *  `acknowledged`. Its kind says how to `connect`, and what a `transaction` is: false when the connection is gone. */
export class TransactionClient {
  constructor(server, number, random, { vanishing = 0 } = {}) {
    this.server = server;
    this.number = number;
    this.random = random;
    /** In how many of its transactions it goes away without a word. */
    this.vanishing = vanishing;
    this.vanished = 0;
    this.sent = 0;
    this.acknowledged = new Set();
    /** Time of the last acknowledgement, for measuring outages. */
    this.lastAckMs = 0;
    this.errors = new Map();
    this.running = false;
  }

  start() {
    this.running = true;
    this.done = this.#run();
  }

  async stop() {
    this.running = false;
    await this.done;
  }

  async #run() {
    let client;
    while (this.running) {
      try {
        client ??= await this.connect();
      } catch (error) {
        note(this.errors, error);
        await pause(RETRY_MS);
        continue;
      }
      if (!(await this.transaction(client, ++this.sent))) client = undefined;
    }
    await client?.end().catch(() => {});
  }

  acknowledge(seq) {
    this.acknowledged.add(seq);
    this.lastAckMs = performance.now();
  }
}

/** Whether the connection can go on. */
export async function rolledBack(client) {
  try {
    await client.query('rollback');
    return true;
  } catch {
    client.end().catch(() => {});
    return false;
  }
}

/** It vanishes somewhere between BEGIN and the answer to COMMIT. */
export class LedgerClient extends TransactionClient {
  connect() {
    return connect(this.server);
  }

  async transaction(client, seq) {
    try {
      await this.#transfer(client, seq);
      this.acknowledge(seq);
      return true;
    } catch (error) {
      note(this.errors, error);
      return rolledBack(client);
    }
  }

  async #transfer(client, seq) {
    const from = 1 + Math.floor(this.random() * ACCOUNTS);
    const to = 1 + Math.floor(this.random() * ACCOUNTS);
    const [first, second] = from < to ? [from, to] : [to, from];
    // 5: while COMMIT is under way, where it hurts most.
    const leaves = this.random() < this.vanishing ? Math.min(5, 1 + Math.floor(8 * this.random())) : 0;
    let number = 0;
    const query = (...statement) => {
      const answer = client.query(...statement);
      if (++number === leaves) {
        this.vanished++;
        vanish(client, this.random);
      }
      return answer;
    };
    await query('begin');
    await query('update account set balance = balance - 1 where id = $1', [first]);
    if (second !== first) await query('update account set balance = balance + 1 where id = $1', [second]);
    else await query('update account set balance = balance + 1 where id = $1', [first]);
    await query('insert into ledger values ($1, $2)', [this.number, seq]);
    await query('commit');
  }
}

/** @returns what is wrong, as sentences; nothing when the ledger is whole. */
export async function audit(server, clients) {
  // Clients may go on meanwhile: what was acknowledged before the question must be in the answer.
  const acknowledgedBefore = clients.map(c => ({ number: c.number, seqs: [...c.acknowledged] }));
  const client = await connectPatiently(server);
  const { rows } = await client.query('select client, seq from ledger');
  const sum = await client.query('select sum(balance)::text as sum, count(*)::int4 as n from account');
  await client.end();
  const problems = [];
  const found = new Map(clients.map(c => [c.number, new Set()]));
  for (const { client: number, seq } of rows) {
    const set = found.get(number);
    if (set === undefined || seq > clients.find(c => c.number === number).sent)
      problems.push(`${number}/${seq} was never sent`);
    else if (set.has(seq)) problems.push(`${number}/${seq} is there twice`);
    else set.add(seq);
  }
  for (const { number, seqs } of acknowledgedBefore) {
    for (const seq of seqs) {
      if (!found.get(number).has(seq)) problems.push(`${number}/${seq} was acknowledged and is lost`);
    }
  }
  if (sum.rows[0].sum !== String(1000 * ACCOUNTS) || sum.rows[0].n !== ACCOUNTS) {
    problems.push(`balances sum up to ${sum.rows[0].sum} in ${sum.rows[0].n} accounts`);
  }
  return problems;
}

export function pause(ms) {
  return new Promise(resolve => setTimeout(resolve, ms));
}

/** The same numbers for the same seed. */
export function seeded(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
