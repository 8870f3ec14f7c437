/** One simulated run: a load, faults, recovery, audit. */
import { DISK_SQLSTATE } from './disk-trouble.ts';
import { Nemesis, type Fault } from './nemesis.ts';
import { SimCluster } from './cluster.ts';
import { seededRandom } from './prng.ts';
import type { PlantedBug } from './planted.ts';
import { Losses } from './losses.ts';
import { Account, audit, type Book } from './ledger.ts';
import { Witness } from './witness.ts';

/** Between two faults: mostly short. */
const QUIET_MS = [3, 300] as const;
/** Share of rounds after which, in half of the seeds, everybody is silent for once: nothing may be held then. */
const SILENCES = 0.4;
/** A command that has failed three times is tried again after a minute; that may happen twice. */
const ARCHIVE_PATIENCE_MS = 300_000;

export interface RunOptions {
  readonly clients: number;
  readonly rounds: number;
  readonly instances: number;
  /** Default: chosen by the seed. */
  readonly faults?: readonly Fault[];
  readonly bug?: PlantedBug;
  /** WAL is archived. */
  readonly archiving?: boolean;
  /** Every other client commits asynchronously. A loss takes nothing that was answered longer before than this. */
  readonly asynchronous?: { readonly windowMs: number };
  /** Hears of the cluster before anything happens to it. */
  readonly onCluster?: (cluster: SimCluster) => void;
}

export interface Run {
  readonly cluster: SimCluster;
  readonly accounts: readonly Account[];
  readonly nemesis: Nemesis;
}

/** Ends after the audit, with the cluster up. */
export async function run(seed: number, book: Book, options: RunOptions): Promise<Run> {
  const undo = options.bug?.plant?.();
  try {
    return await runOnce(seed, book, options);
  } finally {
    undo?.();
  }
}

async function runOnce(seed: number, book: Book, options: RunOptions): Promise<Run> {
  const chance = seededRandom(seed ^ 0x5eed);
  const later = seededRandom(seed ^ 0x1a7e);
  const rarely = seededRandom(seed ^ 0x4a4e);
  const nemesis: Nemesis = new Nemesis(
    () => cluster,
    options.faults ??
      options.bug?.faults ??
      Nemesis.choose(
        () => chance.uniform(),
        () => later.uniform(),
        () => rarely.uniform(),
      ),
    book.tables,
  );
  const silences = later.uniform() < 0.5 ? SILENCES : 0;
  const cluster: SimCluster = await SimCluster.create(seed, {
    instances: options.instances,
    settings: {
      checkpoint_timeout: chance.uniform() < 0.5 ? '30' : '300',
      shared_buffers: chance.uniform() < 0.5 ? '64' : '256',
      bgwriter_delay: chance.uniform() < 0.5 ? '10' : '200',
      ...options.bug?.settings,
    },
    network: { busLoss: chance.uniform() < 0.5 ? 0.3 : 0 },
    trouble: nemesis.trouble,
    failpoint: process => nemesis.failpoint(process),
    archiving: options.archiving === true,
    ...(options.bug?.disk === undefined ? {} : { roleDisk: options.bug.disk }),
  });
  options.onCluster?.(cluster);
  const { world } = cluster;
  await cluster.untilReady();
  const setUp = cluster.client().client;
  await cluster.wait(book.setUp(setUp), 'set-up');
  setUp.close();
  const whims = nemesis.faults.filter(fault => fault === 'vanish' || fault === 'cancel');
  const excused = nemesis.faults.includes('disk-trouble') ? DISK_SQLSTATE : undefined;
  const windowMs = (options.bug ?? options).asynchronous?.windowMs;
  const losses = windowMs === undefined ? undefined : new Losses(windowMs);
  if (losses !== undefined) cluster.postmaster.onSharedMemoryLost = () => losses.lost(world.nowMs);
  const accounts = Array.from(
    { length: options.clients },
    (_, c) => new Account(cluster, c, { whims, excused, losses, asynchronous: losses !== undefined && c % 2 === 0 }),
  );
  nemesis.lull = begins => {
    for (const account of accounts) account.resting = begins;
  };
  nemesis.silence = () => silence(cluster, nemesis, [...accounts, ...witnesses]);
  const witnesses = summon(cluster, book, accounts, options.instances, excused, losses);
  for (const account of accounts) void account.run(cluster, book, accounts);
  for (let round = 0; round < options.rounds; round++) {
    await world.pass(QUIET_MS[0] * (QUIET_MS[1] / QUIET_MS[0]) ** world.random.uniform());
    for (const account of accounts) account.rouse();
    if (cluster.archive !== undefined) nemesis.switchSegment();
    await nemesis.strike();
    for (const account of accounts) account.rouse();
    if (later.uniform() < silences) await nemesis.silence();
    if (world.random.uniform() < 0.4) continue;
    await progress(cluster, nemesis, accounts, witnesses);
  }
  nemesis.rest();
  await progress(cluster, nemesis, accounts, witnesses);
  for (const each of [...accounts, ...witnesses]) each.stopped = true;
  await cluster.runUntil(() => [...accounts, ...witnesses].every(a => a.idle), {
    ms: 30_000,
    what: 'clients to finish',
  });
  // What was set off and has not struck yet.
  await world.pass(2000);
  await cluster.untilReady();
  await cluster.expectNoLeaks();
  await cluster.wait(audit(book, cluster.client().client, accounts), 'the audit', 600_000);
  await auditArchive(cluster);
  return { cluster, accounts, nemesis };
}

/** Everything that was logged comes into the archive. */
async function auditArchive(cluster: SimCluster): Promise<void> {
  const { archive } = cluster;
  if (archive === undefined) return;
  const { client } = cluster.client();
  await cluster.wait(client.query('SELECT pg_switch_wal()'), 'a switch');
  const [answer] = await cluster.wait(client.query('SELECT pg_walfile_name(pg_current_wal_lsn())'), 'its name');
  const last = answer!.rows[0]![0]!;
  await cluster.runUntil(() => archive.has(last), { ms: ARCHIVE_PATIENCE_MS, what: `${last} to be archived` });
  client.close();
  archive.readToEnd();
}

/** One witness per instance, where there are several. */
function summon(
  cluster: SimCluster,
  book: Book,
  accounts: readonly Account[],
  instances: number,
  excused: RegExp | undefined,
  losses: Losses | undefined,
): Witness[] {
  const seen = new Map<string, number>();
  const witnesses = Array.from(
    { length: instances > 1 ? instances : 0 },
    () => new Witness(cluster, book, accounts, { seen, excused, losses }),
  );
  for (const account of accounts) {
    account.onAcknowledged = number => {
      for (const witness of witnesses) witness.tell(account, number);
    };
  }
  for (const witness of witnesses) void witness.run();
  return witnesses;
}

/** In the middle of it all everybody ends what he is at, stays connected and holds nothing. */
async function silence(cluster: SimCluster, nemesis: Nemesis, all: readonly (Account | Witness)[]): Promise<void> {
  for (const each of all) each.resting = true;
  await cluster.runUntil(() => all.every(each => each.atRest), { ms: 60_000, what: 'everybody to be silent' });
  nemesis.endMaintenance();
  await cluster.expectNoLeaks();
  for (const each of all) each.resting = false;
}

/** Liveness: everybody gets something done. */
async function progress(
  cluster: SimCluster,
  nemesis: Nemesis,
  accounts: readonly Account[],
  witnesses: readonly Witness[],
): Promise<void> {
  const before = accounts.map(a => a.acknowledged);
  const surprised = (): Error | undefined =>
    [nemesis, ...accounts, ...witnesses].find(a => a.unexpected !== undefined)?.unexpected;
  await cluster.runUntil(() => surprised() !== undefined || accounts.every((a, n) => a.acknowledged > before[n]!), {
    ms: 60_000,
    what: 'everybody to go on',
  });
  const unexpected = surprised();
  if (unexpected !== undefined) throw unexpected;
}
