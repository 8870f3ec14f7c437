/**
 * Resident memory, from /proc: of each role, and of an instance without and with idle sessions.
 */
import { readFileSync } from 'node:fs';
import pg from 'pg';

const SESSIONS = 200;
const SETTLE_MS = 1500;

/** Settings of the cluster that is asked for so many sessions. */
export const SESSIONS_SETTINGS = [`max_connections=${SESSIONS + 20}`];

function residentKib(pid) {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
  } catch {
    // Gone meanwhile.
    return 0;
  }
}

const mib = kib => String(Math.round(kib / 1024));

/** Name and MiB of each role, as rows. */
export async function residentRoles(server) {
  const { roles, postmasterPid } = await server.status();
  const all = [{ name: 'postmaster', osPid: postmasterPid }, ...roles];
  return [
    ...all.map(({ name, osPid }) => [name, mib(residentKib(osPid))]),
    ['all', mib(all.reduce((sum, { osPid }) => sum + residentKib(osPid), 0))],
  ];
}

async function residentInstances(server) {
  await new Promise(resolve => setTimeout(resolve, SETTLE_MS));
  const { roles } = await server.status();
  return roles.filter(role => role.role === 'backend').reduce((sum, { osPid }) => sum + residentKib(osPid), 0);
}

async function session({ host, port, user, database }) {
  const client = new pg.Client({ host, port, user, database });
  await client.connect();
  await client.query('select count(*) from pg_class');
  return client;
}

/** Of the instances: MiB with no session and with SESSIONS idle ones, KiB for each. */
export async function idleSessions(server) {
  // What the first session ever brings into memory is not the price of a session.
  await (await session(server)).end();
  const without = await residentInstances(server);
  const clients = [];
  for (let n = 0; n < SESSIONS; n++) clients.push(await session(server));
  const within = await residentInstances(server);
  await Promise.all(clients.map(client => client.end()));
  return [
    ['backend, 0 sessions', `${mib(without)} MiB`],
    [`backend, ${SESSIONS} idle sessions`, `${mib(within)} MiB`],
    ['per idle session', `${Math.round((within - without) / SESSIONS)} KiB`],
  ];
}
