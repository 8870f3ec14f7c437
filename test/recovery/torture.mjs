/**
 * npm run torture: kill -9 under load, role by role, and count what is lost.
 *
 *   node test/recovery/torture.mjs [--cycles 20] [--clients 16] [--instances 1] [--roles a,b] [--seed 1]
 *
 * For each role: while 16 clients write the ledger and bystander sessions sit idle, the role is
 * killed with -9; the troupe must recover by itself; then again, `cycles` times. At last all roles at
 * once. After each role the ledger is audited; at the end, after a clean stop, pg_waldump must read the
 * WAL and pg_checksums must find every page whole. Exits 1 when anything was lost.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { PG_BIN } from '../bench/measure.mjs';
import { startPgtroupe } from '../bench/servers.mjs';
import { readTraffic } from '../bench/traffic.mjs';
import { audit, connect, createLedger, LedgerClient, pause, seeded } from './ledger.mjs';

const { values: options } = parseArgs({
  options: {
    cycles: { type: 'string', default: '20' },
    clients: { type: 'string', default: '16' },
    instances: { type: 'string', default: '1' },
    roles: { type: 'string', default: 'logger,bgwriter,checkpointer,walwriter,buffer-manager,backend,postmaster,all' },
    seed: { type: 'string', default: '1' },
  },
});
const CYCLES = Number(options.cycles);
const CLIENTS = Number(options.clients);
const INSTANCES = Number(options.instances);
const RECOVERY_LIMIT_MS = 30_000;

const random = seeded(Number(options.seed));
const settings = ['checkpoint_timeout=30s', 'max_wal_size=64MB'];
if (INSTANCES > 1) settings.push(`sessions_per_instance=${Math.ceil((2 * CLIENTS) / INSTANCES)}`);
const server = await startPgtroupe(settings);
let failed = false;
try {
  await createLedger(server);
  const clients = Array.from({ length: CLIENTS }, (_, i) => new LedgerClient(server, i + 1, seeded(i + 1)));
  for (const client of clients) client.start();
  console.log(
    `seed ${options.seed}, ${CYCLES} cycles a role, ${CLIENTS} clients, sessions over ${INSTANCES} instance(s)`,
  );
  console.log('role            kills  commits after (ms): median   worst   bystanders lost of  verdict');
  for (const role of options.roles.split(',')) await torture(role, clients);
  await transfers();
  for (const client of clients) await client.stop();
} finally {
  await server.stop({ keep: true });
}
judgeFiles();
process.exit(failed ? 1 : 0);

async function torture(role, clients) {
  const outages = [];
  let lost = 0;
  let watched = 0;
  for (let cycle = 0; cycle < CYCLES; cycle++) {
    await pause(50 + 400 * random());
    const bystanders = await Promise.all(Array.from({ length: 4 }, () => connect(server).catch(() => undefined)));
    const victims = await running(role);
    const victim = role === 'all' ? victims : [victims[Math.floor(random() * victims.length)]];
    const before = performance.now();
    for (const p of victim) kill(p.pid);
    const back = await recovered(clients, before);
    if (back === undefined) {
      console.log(`${role}: no commit within ${RECOVERY_LIMIT_MS} ms after kill ${cycle + 1}`);
      failed = true;
      return;
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
  const problems = await audit(server, clients);
  if (problems.length > 0) failed = true;
  outages.sort((a, b) => a - b);
  const median = outages[outages.length >> 1];
  console.log(
    `${role.padEnd(15)} ${String(CYCLES).padStart(5)} ${Math.round(median).toString().padStart(26)} ${Math.round(outages.at(-1)).toString().padStart(9)}` +
      `${String(lost).padStart(13)} of ${String(watched).padEnd(6)} ${problems.length === 0 ? 'nothing lost' : 'LOST'}`,
  );
  for (const problem of problems.slice(0, 10)) console.log(`  ${problem}`);
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

function kill(pid) {
  try {
    process.kill(pid, 'SIGKILL');
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
  if (!existsSync(join(PG_BIN, 'pg_waldump'))) {
    console.log('skipped: pg_waldump and pg_checksums are not installed');
    return;
  }
  const wal = join(server.data, 'pg_wal');
  const segments = readdirSync(wal)
    .filter(name => /^[0-9A-F]{24}$/.test(name))
    .sort();
  try {
    const control = execFileSync(join(PG_BIN, 'pg_controldata'), [server.data], { encoding: 'utf8' });
    const redo = /REDO location:\s+(\S+)/.exec(control)[1];
    const checksums = execFileSync(join(PG_BIN, 'pg_checksums'), ['--check', '-D', server.data], { encoding: 'utf8' });
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
