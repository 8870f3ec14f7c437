/**
 * Messages between the roles, as `pgtroupe status --json` counts them, per transaction.
 *
 * A role reports with its heartbeat, so a reading waits for one. The heartbeats themselves are messages too and
 * are not taken out: a few per second, which is 0.00 per transaction unless transactions are rare.
 */
const HEARTBEAT_MS = 500;
const ATTACH = '/pgtroupe.BufferManager/Attach';
const WAL = '/pgtroupe.WalWriter/Write';
/** The postmaster's end, which status does not count: what roles send there, it receives. */
const ATTEND = '/pgtroupe.Postmaster/Attend';

/** Sums over the cast since it was launched. */
export async function readTraffic(server) {
  await new Promise(resolve => setTimeout(resolve, 1.5 * HEARTBEAT_MS));
  const { roles } = await server.status();
  // Workers that come and go are not what is measured. A program that is not ours (nats-server) attends to nobody.
  const lasting = roles.filter(role => role.role !== 'autovacuum-worker');
  const counted = lasting.filter(role => role.traffic !== undefined);
  const sum = (those, count) => those.reduce((total, role) => total + count(role.traffic), 0);
  const method = (traffic, path) => traffic.rpc.find(m => m.method === path) ?? { sent: 0, received: 0 };
  const backends = counted.filter(role => role.role === 'backend');
  const bufferManager = counted.filter(role => role.role === 'buffer-manager');
  return {
    launches: lasting.map(role => `${role.name}/${role.epoch}`).join(' '),
    attachUp: sum(backends, t => method(t, ATTACH).sent),
    attachUnawaited: sum(backends, t => t.unawaitedMessages),
    attachDown: sum(backends, t => method(t, ATTACH).received),
    operationsUp: sum(backends, t => t.operations.sent),
    operationsDown: sum(backends, t => t.operations.received),
    walUp: sum(bufferManager, t => method(t, WAL).sent),
    walDown: sum(bufferManager, t => method(t, WAL).received),
    grpc: sum(counted, t => t.rpc.reduce((n, m) => n + m.received, 0) + method(t, ATTEND).sent),
    pagesDown: sum(backends, t => t.pageImages.received),
    pagesUp: sum(backends, t => t.pageImages.sent),
    nats: sum(counted, t => t.bus.sent),
  };
}

/** Adds to `total` what happened between two readings. */
export function addTraffic(total, before, after, transactions) {
  if (before.launches !== after.launches)
    throw new Error(`a role was launched anew meanwhile: ${before.launches} -> ${after.launches}`);
  total.transactions += transactions;
  for (const what of Object.keys(before)) {
    if (what !== 'launches') total[what] = (total[what] ?? 0) + after[what] - before[what];
  }
}

/** `total` as text, per transaction. */
export function perTransaction(total) {
  const each = what => (total[what] / total.transactions).toFixed(2);
  return {
    attach: `${each('attachUp')} / ${each('attachDown')}`,
    lazy: each('attachUnawaited'),
    operations: `${each('operationsUp')} / ${each('operationsDown')}`,
    wal: `${each('walUp')} / ${each('walDown')}`,
    grpc: each('grpc'),
    pages: `${each('pagesUp')} / ${each('pagesDown')}`,
    nats: each('nats'),
  };
}
