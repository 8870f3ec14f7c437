/**
 * npm run torture: kill -9 under load, role by role, and count what is lost.
 *
 *   node test/recovery/torture.mjs [--cycles 20] [--clients 16] [--instances 1] [--roles a,b] [--seed 1]
 *     [--ddl 3] [--vanishing 3] [--full-disk data|wal|none] [--patience 30] [--plant NAME]
 *
 * For each role: while 16 clients write the ledger and bystander sessions sit idle, the role is killed with -9; the troupe
 * must recover by itself; then again, `cycles` times. `all` is all roles at once; `disk` fills the small disk on which the
 * data directory (or pg_wal) lies, and gives the room back. Beside them `--ddl` clients define and drop tables in
 * transactions (ledger-ddl.mjs), and `--vanishing` clients go away in the middle of theirs.
 *
 * After each role both ledgers are audited. At the end, with nobody in a transaction, `status --json` must show that
 * nothing is held; then everything is killed at once, and PostgreSQL 15 recovers a copy of what is left and answers the
 * same questions; so do pgtroupe, and PostgreSQL again on a copy after a clean stop, and once more where it recovers the
 * directory of before from the archive of all that was written. Exits 1 when anything was lost or
 * leaked. The same seed makes the same choices (not the same timing).
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { PG_BIN } from '../../packages/testkit/dist/oracle-address.js';
import { createDirectory, startPgtroupe } from '../bench/servers.mjs';
import { ask as query } from '../bench/measure.mjs';
import { readTraffic } from '../bench/traffic.mjs';
import { Archive } from './archive.mjs';
import { canMount, SmallDisk, uncleanErrors } from './full-disk.mjs';
import { judgeCopy } from './judge-copy.mjs';
import { auditDdl, createDdlLedger, DdlClient } from './ledger-ddl.mjs';
import { audit, connect, createLedger, LedgerClient, pause, seeded } from './ledger.mjs';
import { PLANTS } from './plants.mjs';

const { values: options } = parseArgs({
  options: {
    cycles: { type: 'string', default: '20' },
    clients: { type: 'string', default: '16' },
    instances: { type: 'string', default: '1' },
    roles: {
      type: 'string',
      default: 'logger,bgwriter,checkpointer,archiver,walwriter,buffer-manager,backend,postmaster,all,disk',
    },
    seed: { type: 'string', default: '1' },
    ddl: { type: 'string', default: '3' },
    vanishing: { type: 'string', default: '3' },
    'full-disk': { type: 'string', default: 'data' },
    patience: { type: 'string', default: '30' },
    plant: { type: 'string' },
  },
});
const CYCLES = Number(options.cycles);
const CLIENTS = Number(options.clients);
const INSTANCES = Number(options.instances);
const FULL_DISK = canMount() ? options['full-disk'] : 'none';
const ROLES = options.roles.split(',').filter(role => role !== 'disk' || FULL_DISK !== 'none');
const RECOVERY_LIMIT_MS = 1000 * Number(options.patience);
const SMALL_DISK_MB = 640;
/** Commands that fail are tried again after up to a minute. */
const PATIENCE_ARCHIVER_MS = 90_000;
/** In how many of its transactions a vanishing client vanishes. */
const VANISHING = 0.4;
const judgesThere = existsSync(join(PG_BIN, 'pg_amcheck'));

const random = seeded(Number(options.seed));
const settings = ['checkpoint_timeout=30s', 'max_wal_size=64MB'];
const everybody = CLIENTS + Number(options.ddl) + Number(options.vanishing);
if (INSTANCES > 1) settings.push(`sessions_per_instance=${Math.ceil((2 * everybody) / INSTANCES)}`);
if (options.plant !== undefined) {
  if (!PLANTS.includes(options.plant)) throw new Error(`plants are ${PLANTS.join(', ')}`);
  process.env.TORTURE_PLANT = options.plant;
  process.env.PGTROUPE_NODE_OPTIONS = `--import=${fileURLToPath(new URL('plants.mjs', import.meta.url))}`;
}
if (options['full-disk'] !== 'none' && FULL_DISK === 'none') console.log('skipped: a full disk (mounting needs root)');
if (!judgesThere) console.log("skipped: PostgreSQL's judgement (its programs are not installed)");
const disk = FULL_DISK === 'none' ? undefined : new SmallDisk(SMALL_DISK_MB);
let failed = false;
let server;
/** Where everything lies. */
let folder;
/** Where the archive lies: never on the disk that gets full. */
const archiveFolder = mkdtempSync(join(tmpdir(), 'pgtroupe-torture-archive-'));
let archive;
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    void (server?.stop({ keep: true }) ?? Promise.resolve()).finally(() => {
      disk?.remove();
      process.exit(1);
    });
  });
}
try {
  folder = await createDirectory(FULL_DISK === 'data' ? disk.path : undefined);
  if (FULL_DISK === 'wal') disk.take(join(folder, 'data', 'pg_wal'));
  archive = new Archive(archiveFolder, join(folder, 'data'));
  settings.push(...archive.settings);
  server = await startPgtroupe(settings, folder);
  await run();
} finally {
  await server?.stop({ keep: true });
  disk?.remove();
  if (failed && FULL_DISK !== 'data' && options.plant === undefined)
    console.log(`the data directory is left in ${folder}, the archive in ${archiveFolder}`);
  else for (const made of [folder, archiveFolder]) rmSync(made, { recursive: true, force: true });
}
console.log(failed ? `FAILED; again with --seed ${options.seed}` : 'nothing lost, nothing leaked');
process.exit(failed ? 1 : 0);

async function run() {
  await createLedger(server);
  await createDdlLedger(server);
  const clients = Array.from({ length: CLIENTS }, (_, i) => new LedgerClient(server, i + 1, seeded(i + 1)));
  const vanishing = Array.from({ length: Number(options.vanishing) }, (_, i) => {
    const number = CLIENTS + i + 1;
    return new LedgerClient(server, number, seeded(Number(options.seed) * 1000 + number), { vanishing: VANISHING });
  });
  const ddl = Array.from({ length: Number(options.ddl) }, (_, i) => {
    return new DdlClient(server, i + 1, seeded(Number(options.seed) * 2000 + i), { vanishing: VANISHING / 2 });
  });
  const ledgers = [...clients, ...vanishing];
  for (const client of [...ledgers, ...ddl]) client.start();
  console.log(
    `seed ${options.seed}, ${CYCLES} cycles a role, ${CLIENTS} clients, ${vanishing.length} that vanish, ${ddl.length} that define tables, ` +
      `over ${INSTANCES} instance(s), small disk: ${FULL_DISK}${options.plant === undefined ? '' : `, PLANTED ${options.plant}`}`,
  );
  console.log('role            kills  commits after (ms): median   worst   bystanders lost of  verdict');
  for (const role of ROLES) {
    await torture(role, { clients, ledgers, ddl });
    // What comes after a loss or a hang says nothing more.
    if (failed) break;
  }
  await transfers();
  for (const client of [...ledgers, ...ddl]) await client.stop();
  tell(ledgers, ddl);
  wrong('leaked', await leaks());
  // A planted bug was found already.
  if (options.plant === undefined || !failed) await judgement(ledgers, ddl);
}

async function torture(role, { clients, ledgers, ddl }) {
  const outages = [];
  let lost = 0;
  let watched = 0;
  for (let cycle = 0; cycle < CYCLES; cycle++) {
    await pause(50 + 400 * random());
    const bystanders = await Promise.all(Array.from({ length: 4 }, () => connect(server).catch(() => undefined)));
    const before = role === 'disk' ? await fullDisk(clients) : await killOne(role);
    const back = await recovered(clients, before);
    if (back === undefined) {
      console.log(`${role}: no commit within ${RECOVERY_LIMIT_MS} ms after kill ${cycle + 1}`);
      failed = true;
      break;
    }
    outages.push(back);
    for (const bystander of bystanders) {
      if (bystander === undefined) continue;
      watched++;
      try {
        await bystander.query('select 1');
        await bystander.end();
      } catch {
        lost++;
      }
    }
  }
  for (const client of ddl) await client.stop();
  const problems = await ask(server, ledgers, ddl);
  for (const client of ddl) client.start();
  outages.sort((a, b) => a - b);
  const median = outages[outages.length >> 1] ?? NaN;
  console.log(
    `${role.padEnd(15)} ${String(CYCLES).padStart(5)} ${Math.round(median).toString().padStart(26)} ${Math.round(
      outages.at(-1) ?? NaN,
    )
      .toString()
      .padStart(9)}` +
      `${String(lost).padStart(13)} of ${String(watched).padEnd(6)} ${problems.length === 0 ? 'nothing lost' : 'LOST'}`,
  );
  wrong('lost', problems);
}

function wrong(what, problems) {
  if (problems.length > 0) failed = true;
  for (const problem of problems.slice(0, 10)) console.log(`  ${what}: ${problem}`);
}

/** Both ledgers of a server; what is wrong. */
async function ask(where, ledgers, ddl) {
  try {
    return [...(await audit(where, ledgers)), ...(await auditDdl(where, ddl))];
  } catch (error) {
    return [`the ledgers cannot be read: ${error.message}`];
  }
}

/** When it was. */
async function killOne(role) {
  const victims = await running(role);
  const victim = role === 'all' ? victims : [victims[Math.floor(random() * victims.length)]];
  const before = performance.now();
  for (const p of victim) kill(p.pid);
  return before;
}

/** No room for some seconds; when there was room again. */
async function fullDisk(clients) {
  const errors = clients.map(c => new Map(c.errors));
  const until = performance.now() + 1000 + 3000 * random();
  while (performance.now() < until) {
    // Checkpoints and dropped tables make room meanwhile.
    disk.fill();
    await pause(100);
  }
  disk.empty();
  const before = performance.now();
  wrong('full disk', [...new Set(clients.flatMap((c, n) => uncleanErrors(errors[n], c.errors)))]);
  return before;
}

/** What the clients did and were told. */
function tell(ledgers, ddl) {
  const errors = new Map();
  for (const { errors: own } of [...ledgers, ...ddl]) {
    for (const [code, count] of own) errors.set(code, (errors.get(code) ?? 0) + count);
  }
  const sum = (all, of) => all.reduce((n, client) => n + of(client), 0);
  const done = new Map();
  for (const { counts } of ddl) for (const [kind, n] of counts) done.set(kind, (done.get(kind) ?? 0) + n);
  const listed = map => [...map].map(([what, n]) => `${what} ${n}`).join(', ');
  console.log(
    `rows: ${sum(ledgers, c => c.acknowledged.size)} transactions acknowledged of ${sum(ledgers, c => c.sent)}`,
  );
  console.log(
    `definitions: ${sum(ddl, c => c.acknowledged.size)} transactions acknowledged of ${sum(ddl, c => c.sent)}: ${listed(done)}`,
  );
  console.log(`clients vanished: ${sum([...ledgers, ...ddl], c => c.vanished)}`);
  console.log(`clients were told: ${listed(errors)}`);
  if (ROLES.includes('disk') && !errors.has('53100')) wrong('full disk', ['nobody was told so']);
}

/** What is held where nobody is in a transaction. Counts come with heartbeats, ids after a moment of rest. */
async function leaks() {
  let left = ['nobody could be asked'];
  for (let tries = 0; tries < 40 && left.length > 0; tries++) {
    await pause(250);
    const status = await server.status().catch(() => undefined);
    if (status?.pmState !== 'PM_RUN' || status.roles.some(role => role.state !== 'ready')) continue;
    left = status.roles.flatMap(({ name, held }) =>
      held.filter(({ count }) => count > 0).map(({ what, count }) => `${name}: ${count} ${what}`),
    );
  }
  if (left.length === 0) console.log('nothing leaked');
  return left;
}

/** Everything is killed; then PostgreSQL, pgtroupe, and after a clean stop PostgreSQL again say what is there. */
async function judgement(ledgers, ddl) {
  const data = join(folder, 'data');
  const judge = async clean => {
    if (!judgesThere) return;
    const problems = await judgeCopy(data, { clean, ask: where => ask(where, ledgers, ddl) });
    console.log(
      `PostgreSQL on a copy after ${clean ? 'a clean stop' : 'kill -9 of everything'}: ${problems.length === 0 ? 'every row, every table' : 'LOST'}`,
    );
    wrong('PostgreSQL', problems);
  };
  const pids = [server.child.pid, ...(await running('all')).map(({ pid }) => pid)];
  // All stand still first: who is left sees the others die, and launches them again.
  for (const signal of ['SIGSTOP', 'SIGKILL']) for (const pid of pids) kill(pid, signal);
  await pause(500);
  await judge(false);
  server = await startPgtroupe(settings, folder);
  wrong('lost', await ask(server, ledgers, ddl));
  await archived();
  await server.stop({ keep: true });
  server = undefined;
  judgeFiles();
  await judge(true);
  await judgeArchive(ledgers, ddl);
}

/** Waits until all that was written by now is in the archive. */
async function archived() {
  const last = (await query(server, 'SELECT pg_walfile_name(pg_switch_wal())')).trim();
  const patient = performance.now() + PATIENCE_ARCHIVER_MS;
  while (!archive.names().includes(last) && performance.now() < patient) await pause(200);
  if (!archive.names().includes(last)) wrong('archive', [`${last} was not archived`]);
}

/** No gap, no double; and PostgreSQL, with the directory of before and the archive, finds the same rows and tables. */
async function judgeArchive(ledgers, ddl) {
  const problems = archive.problems();
  if (judgesThere && problems.length === 0) {
    try {
      archive.lastRecord();
      problems.push(...(await archive.recovered(where => ask(where, ledgers, ddl))));
    } catch (error) {
      problems.push(`${error.message} ${error.stdout ?? ''}${error.stderr ?? ''}`);
    }
  }
  const found = problems.length === 0 ? 'no gap, no double' : 'WRONG';
  console.log(`archive of ${archive.names().length} segments, and PostgreSQL's recovery from it: ${found}`);
  wrong('archive', problems);
}

/** Pages that changed hands since the instances that live now were launched. */
async function transfers() {
  const { pagesDown, pagesUp } = await readTraffic(server);
  console.log(`page transfers: ${pagesDown} to instances, ${pagesUp} from them`);
}

/** Processes of a role. One that is just being replaced has no pid yet (0, which would be everybody here). */
async function running(role) {
  for (;;) {
    // Without a postmaster there is no status.
    const status = (await server.status().catch(() => undefined)) ?? { postmasterPid: 0 };
    const cast = [
      ...(status.roles ?? []).map(({ role, osPid }) => ({ role, pid: osPid })),
      { role: 'postmaster', pid: status.postmasterPid },
    ];
    const found = cast.filter(p => p.pid > 0 && p.role !== 'broker' && (role === 'all' || p.role === role));
    if (found.length > 0) return found;
    await pause(20);
  }
}

function kill(pid, signal = 'SIGKILL') {
  try {
    process.kill(pid, signal);
  } catch {
    // Just replaced.
  }
}

/** Waits until every client has committed again; milliseconds since the kill. */
async function recovered(clients, sinceMs) {
  const settle = performance.now();
  for (;;) {
    if (clients.every(c => c.lastAckMs > settle)) return Math.min(...clients.map(c => c.lastAckMs)) - sinceMs;
    if (performance.now() - sinceMs > RECOVERY_LIMIT_MS) return undefined;
    await pause(5);
  }
}

/** PostgreSQL's own programs look at what is left. */
function judgeFiles() {
  if (!judgesThere) return;
  const wal = join(folder, 'data', 'pg_wal');
  const segments = readdirSync(wal)
    .filter(name => /^[0-9A-F]{24}$/.test(name))
    .sort();
  try {
    const control = execFileSync(join(PG_BIN, 'pg_controldata'), [join(folder, 'data')], { encoding: 'utf8' });
    const redo = /REDO location:\s+(\S+)/.exec(control)[1];
    const checksums = execFileSync(join(PG_BIN, 'pg_checksums'), ['--check', '-D', join(folder, 'data')], {
      encoding: 'utf8',
    });
    const dump = execFileSync(join(PG_BIN, 'pg_waldump'), ['-p', wal, '-s', redo, '-n', '1'], { encoding: 'utf8' });
    console.log(`${segments.length} WAL segments, last checkpoint: ${dump.trim()}`);
    console.log(
      checksums
        .split('\n')
        .filter(line => /checked|Bad/.test(line))
        .join(', '),
    );
  } catch (error) {
    failed = true;
    console.log(`PostgreSQL's programs refuse the directory: ${error.stderr ?? error.message}`);
  }
}
