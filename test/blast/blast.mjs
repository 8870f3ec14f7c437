/**
 * npm run blast: what the death of each process costs those who are not concerned, beside PostgreSQL 15.
 *
 *   node test/blast/blast.mjs [--kills 30] [--pauses 1] [--pause 15] [--idle 40] [--busy 16] [--instances 4]
 *     [--roles a,b] [--servers pgtroupe,PostgreSQL] [--judged pgtroupe] [--seed 1]
 *
 * `--idle` sessions wait and `--busy` ones write the ledger, over several instances. Each process in turn is killed with -9,
 * `--kills` times, then `--pauses` times stopped for `--pause` seconds and continued. Told for each: sessions of others
 * that were lost (a backend's own sessions die with it), what the busy clients were told, and how long after the blow the first
 * transaction that began behind it was committed: median and worst. In the end the ledger is audited. Exits 1 when a row was
 * lost, or one of the `--judged` lost a session that was no victim's own. (PostgreSQL drops all sessions when one process dies.)
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { postgresAvailable, startPgtroupe, startPostgres } from '../bench/servers.mjs';
import { audit, connectPatiently, createLedger, LedgerClient, pause, seeded } from '../recovery/ledger.mjs';

const { values: options } = parseArgs({
  options: {
    kills: { type: 'string', default: '30' },
    pauses: { type: 'string', default: '1' },
    pause: { type: 'string', default: '15' },
    idle: { type: 'string', default: '40' },
    busy: { type: 'string', default: '16' },
    instances: { type: 'string', default: '4' },
    roles: { type: 'string' },
    servers: { type: 'string', default: 'pgtroupe,PostgreSQL' },
    judged: { type: 'string', default: 'pgtroupe' },
    seed: { type: 'string', default: '1' },
  },
});
const KILLS = Number(options.kills);
const PAUSES = Number(options.pauses);
const PAUSE_MS = 1000 * Number(options.pause);
const IDLE = Number(options.idle);
const BUSY = Number(options.busy);
const RECOVERY_LIMIT_MS = 60_000;
const random = seeded(Number(options.seed));
let failed = false;

/** A busy client that knows when what it last committed began, and how often its connection was lost. */
class BusyClient extends LedgerClient {
  lost = 0;
  /** What comes first of what began after `mark`. */
  markMs = Infinity;
  committedMs = undefined;
  pid = 0;

  async connect() {
    const client = await super.connect();
    this.pid = client.processID;
    client.on('end', () => {
      if (this.running) this.lost++;
    });
    return client;
  }

  async transaction(client, seq) {
    const beganMs = performance.now();
    const goesOn = await super.transaction(client, seq);
    if (this.acknowledged.has(seq) && beganMs >= this.markMs) this.committedMs ??= performance.now();
    return goesOn;
  }

  mark() {
    this.committedMs = undefined;
    this.markMs = performance.now();
  }
}

/** Sessions that do nothing, made anew when they were lost. */
class IdleSessions {
  #clients = [];
  #server;

  constructor(server) {
    this.#server = server;
  }

  async fill() {
    this.#clients = this.#clients.filter(({ gone }) => !gone);
    while (this.#clients.length < IDLE) {
      const session = { client: await connectPatiently(this.#server), gone: false };
      session.client.on('end', () => (session.gone = true));
      this.#clients.push(session);
    }
  }

  /** Those that do not answer any more, by pid. */
  async lost() {
    const found = await Promise.all(
      this.#clients.map(async session => {
        const { client } = session;
        if (!session.gone && (await client.query('select 1').catch(() => undefined)) !== undefined) return undefined;
        session.gone = true;
        return client.processID;
      }),
    );
    return found.filter(pid => pid !== undefined);
  }

  async end() {
    for (const { client } of this.#clients) await client.end().catch(() => {});
  }
}

/** Each process by the name under which it is told. */
async function pgtroupeCast(server) {
  const status = await server.status();
  const roles = status.roles.map(({ name, osPid, role }) => ({ name: role ?? name, pid: osPid }));
  return [...roles, { name: 'postmaster', pid: status.postmasterPid }].filter(({ pid }) => pid > 0);
}

async function postgresCast(server) {
  const client = await connectPatiently(server);
  const { rows } = await client.query('select pid, backend_type from pg_stat_activity where pid <> pg_backend_pid()');
  await client.end();
  const [postmaster] = readFileSync(`${server.data}/postmaster.pid`, 'utf8').split('\n');
  const names = {
    'client backend': 'backend',
    'background writer': 'bgwriter',
    'autovacuum launcher': 'autovacuum',
    'autovacuum worker': 'autovacuum-worker',
  };
  const cast = rows.map(({ pid, backend_type: type }) => ({ name: names[type] ?? type, pid }));
  return [...cast, { name: 'postmaster', pid: Number(postmaster) }];
}

/** Waits until a transaction that began behind the blow is committed; milliseconds since the blow. */
async function firstCommit(clients, sinceMs) {
  for (;;) {
    const times = clients.map(({ committedMs }) => committedMs).filter(ms => ms !== undefined);
    if (times.length > 0) return Math.min(...times) - sinceMs;
    if (performance.now() - sinceMs > RECOVERY_LIMIT_MS) return undefined;
    await pause(2);
  }
}

function signal(pid, name) {
  try {
    process.kill(pid, name);
    return true;
  } catch {
    // Just replaced.
    return false;
  }
}

const sum = map => [...map.values()].reduce((a, b) => a + b, 0);

/** One process, struck again and again. */
async function strike(server, cast, role, blow, times, { idle, busy }) {
  const row = { own: 0, idle: 0, busy: 0, errors: 0, commits: [] };
  for (let n = 0; n < times; n++) {
    await idle.fill();
    await pause(100 + 300 * random());
    const victims = (await cast(server)).filter(({ name }) => name === role);
    if (victims.length === 0) continue;
    const victim = victims[Math.floor(random() * victims.length)];
    const errors = busy.map(client => sum(client.errors));
    const lost = busy.map(client => client.lost);
    const before = performance.now();
    for (const client of busy) client.mark();
    if (!signal(victim.pid, blow === 'kill' ? 'SIGKILL' : 'SIGSTOP')) continue;
    const resumed = blow === 'pause' ? pause(PAUSE_MS).then(() => signal(victim.pid, 'SIGCONT')) : undefined;
    const back = await firstCommit(busy, before);
    await resumed;
    if (back === undefined) {
      console.log(`${role}: no commit within ${RECOVERY_LIMIT_MS} ms`);
      failed = true;
      return row;
    }
    row.commits.push(back);
    await pause(200);
    const gone = (await idle.lost()).length;
    const busyGone = busy.reduce((all, client, i) => all + client.lost - lost[i], 0);
    row.errors += busy.reduce((all, client, i) => all + sum(client.errors) - errors[i], 0);
    // An instance takes its own sessions with it: no more than it may have.
    if (role === 'backend') {
      row.own += gone + busyGone;
      const most = server.name === 'pgtroupe' ? Math.ceil((IDLE + BUSY) / Number(options.instances)) : 1;
      row.idle += Math.max(0, gone + busyGone - most);
    } else {
      row.idle += gone;
      row.busy += busyGone;
    }
  }
  return row;
}

function tell(name, role, blow, row) {
  const sorted = [...row.commits].sort((a, b) => a - b);
  const ms = value => (value === undefined ? '-' : String(Math.round(value)));
  console.log(
    [
      name.padEnd(11),
      role.padEnd(20),
      blow.padEnd(6),
      String(row.commits.length).padStart(5),
      ms(sorted[sorted.length >> 1]).padStart(9),
      ms(sorted.at(-1)).padStart(7),
      String(row.idle).padStart(6),
      String(row.busy).padStart(6),
      String(row.own).padStart(6),
      String(row.errors).padStart(8),
    ].join(' '),
  );
}

async function blast(server, cast) {
  const mayLose = !options.judged.split(',').includes(server.name);
  await createLedger(server);
  const busy = Array.from({ length: BUSY }, (_, i) => new BusyClient(server, i + 1, seeded(i + 1)));
  const idle = new IdleSessions(server);
  await idle.fill();
  for (const client of busy) client.start();
  while (busy.some(({ acknowledged }) => acknowledged.size === 0)) await pause(20);
  for (const { errors } of busy) errors.clear();
  const there = [...new Set((await cast(server)).map(({ name }) => name))];
  const roles = options.roles === undefined ? there : options.roles.split(',').filter(role => there.includes(role));
  const blows = [['kill', KILLS], ...(PAUSES > 0 ? [['pause', PAUSES]] : [])];
  for (const role of roles) {
    // Without a postmaster PostgreSQL's sessions go on, and nobody starts another one.
    if (role === 'postmaster' && server.name === 'PostgreSQL') continue;
    for (const [blow, times] of blows) {
      const row = await strike(server, cast, role, blow, times, { idle, busy });
      tell(server.name, role, blow, row);
      if (!mayLose && row.idle + row.busy > 0 && role !== 'buffer-manager') failed = true;
      if (!mayLose && role === 'buffer-manager' && row.idle > 0) failed = true;
    }
  }
  for (const client of busy) await client.stop();
  await idle.end();
  const problems = await audit(server, busy);
  for (const problem of problems.slice(0, 10)) console.log(`  LOST: ${problem}`);
  if (problems.length > 0) failed = true;
  const told = new Map();
  for (const { errors } of busy) for (const [code, n] of errors) told.set(code, (told.get(code) ?? 0) + n);
  const acknowledged = busy.reduce((all, client) => all + client.acknowledged.size, 0);
  const words = [...told].map(([code, n]) => `${code} ${n}`).join(', ');
  console.log(
    `${server.name}: ${acknowledged} transactions acknowledged, nothing lost: ${problems.length === 0}; told: ${words}`,
  );
}

console.log(
  `${IDLE} idle and ${BUSY} busy sessions; columns: blows, first commit after (ms): median, worst; sessions of others lost: idle, busy; its own; errors told`,
);
const wanted = options.servers.split(',');
const settings = [
  `sessions_per_instance=${Math.ceil((IDLE + BUSY) / Number(options.instances))}`,
  'max_connections=200',
  'logging_collector=on',
];
if (wanted.includes('pgtroupe')) await run(await startPgtroupe(settings), pgtroupeCast);
if (wanted.includes('PostgreSQL')) {
  if (postgresAvailable()) await run(await startPostgres(), postgresCast);
  else console.log('skipped: PostgreSQL beside it (its programs are not installed)');
}
console.log(failed ? 'FAILED' : 'the death of each concerned only its own');
process.exit(failed ? 1 : 0);

async function run(server, cast) {
  try {
    await blast(server, cast);
  } finally {
    await server.stop();
  }
}
