/**
 * What goes wrong, by seed. Each seed enables some of the faults (a swarm), so that rare combinations
 * are not drowned in common ones.
 */
import type { Failpoint } from '@pgtroupe/actor/failpoint';
import { DISK_SQLSTATE, DiskTrouble } from './disk-trouble.ts';
import type { SimCluster } from './cluster.ts';
import { excused } from './ledger.ts';
import type { SimProcess } from './process.ts';

export const FAULTS = [
  'kill',
  'kill-at-failpoint',
  'pause',
  'clog',
  /** One instance hears of everything late. */
  'clog-link',
  /** The buffer-manager dies while what it sent is still on its way. */
  'clog-and-kill',
  /** An instance dies while WAL becomes durable late: commits of the dead are under way. */
  'slow-wal-and-kill',
  'kill-all',
  'lose-power',
  'tear-power',
  /** Power fails while a checkpoint writes pages. */
  'tear-checkpoint',
  /** Clients go away, or change their minds, in the middle of statements (Account). */
  'vanish',
  'cancel',
  /** Calls of the disk fail for a while; often power fails then (DiskTrouble). */
  'disk-trouble',
  /** No fault, but what makes the others bite. */
  'checkpoint',
  'vacuum',
] as const;
/** Chosen apart from the others. */
const LATER_FAULTS = [
  /** An instance dies and a checkpoint puts its pages together, while clients come back and go on. */
  'kill-and-checkpoint',
  /** A strong lock is asked for while COMMITs wait for WAL and an instance does not hear of it; then all is silent. */
  'lock-in-commit',
] as const;
/** Chosen apart from those, and seldom: it takes the time of several others. */
const RARE_FAULTS = [
  /** A table is dropped while a checkpoint puts together its pages, which died with an instance. */
  'drop-in-rebuild',
] as const;
export type Fault = (typeof FAULTS)[number] | (typeof LATER_FAULTS)[number] | (typeof RARE_FAULTS)[number];

/** Rows of a table that dies with its instance: each with a value that fills a window in which WAL is read. */
const DOOMED_ROWS = 5;
/** For maintenance that is waited for, ms. */
const PATIENCE_MS = 2000;
const DOOMED_VALUE = `(SELECT string_agg(md5(n::text), '') FROM generate_series(1, 9000) n)`;

/** Chance of death at each step that makes something durable, while armed. */
const FAILPOINT_DEATH = 0.1;

export class Nemesis {
  readonly faults: readonly Fault[];
  /** Clients stop after the transaction they are at, or go on. */
  lull: (begins: boolean) => void = () => {};
  /** Clients stop and nothing may be held; then they go on. */
  silence: () => Promise<void> = async () => {};
  readonly trouble = new DiskTrouble();
  readonly #cluster: () => SimCluster;
  /** Tables that clients write. */
  readonly #tables: readonly string[];
  #armed = false;
  #doomed = 0;
  readonly #maintenance = new Set<SimProcess>();
  /** What maintenance met that no fault excuses. */
  unexpected: Error | undefined;
  /** By kind, how often. */
  readonly done = new Map<Fault, number>();

  constructor(cluster: () => SimCluster, faults: readonly Fault[], tables: readonly string[]) {
    this.#cluster = cluster;
    this.#tables = tables;
    this.faults = faults;
  }

  /** Some of the faults, at least one; `later` and `rarely` choose those that were added since. */
  static choose(uniform: () => number, later: () => number, rarely: () => number): Fault[] {
    const chosen = [
      ...FAULTS.filter(() => uniform() < 0.5),
      ...LATER_FAULTS.filter(() => later() < 0.5),
      ...RARE_FAULTS.filter(() => rarely() < 0.1),
    ];
    return chosen.length > 0 ? chosen : ['kill'];
  }

  /** Given to the cluster, so that roles can die between two steps. */
  failpoint(process: SimProcess): Failpoint {
    return name => {
      if (!this.#armed || this.#cluster().world.random.uniform() >= FAILPOINT_DEATH) return;
      this.#armed = false;
      process.kill(`nemesis at ${name}`);
      return new Promise(() => {});
    };
  }

  async strike(): Promise<void> {
    const cluster = this.#cluster();
    const { world, postmaster, network } = cluster;
    const pick = <T>(from: readonly T[]): T => from[Math.floor(world.random.uniform() * from.length)]!;
    const fault = pick(this.faults);
    this.done.set(fault, (this.done.get(fault) ?? 0) + 1);
    const names = postmaster.names;
    if (names.length === 0) return;
    const name = pick(names);
    world.note(`nemesis: ${fault} ${name}`);
    switch (fault) {
      case 'kill':
        return cluster.process(name).kill('nemesis');
      case 'kill-at-failpoint':
        this.#armed = true;
        return;
      case 'kill-all':
        return postmaster.killAll('nemesis');
      case 'pause': {
        const process = cluster.process(name);
        process.pause();
        world.schedule(world.between(1, 500), () => process.resume());
        return;
      }
      case 'clog':
        return network.clog(
          world.random.uniform() < 0.5 ? 'buffer-manager' : name,
          world.between(1, 300),
          world.between(1, 1000),
        );
      case 'clog-link':
        return network.clogLink('buffer-manager', pick(names), world.between(50, 300), world.between(200, 1500));
      case 'clog-and-kill':
        network.clog('buffer-manager', world.between(50, 600), 600);
        world.schedule(world.between(0, 300), () => postmaster.process('buffer-manager')?.kill('nemesis'));
        return;
      case 'slow-wal-and-kill': {
        const backend = pick(names.filter(n => n.startsWith('backend')));
        network.clogLink('walwriter', 'buffer-manager', world.between(100, 400), world.between(300, 800));
        world.schedule(world.between(0, 300), () => postmaster.process(backend)?.kill('nemesis'));
        return;
      }
      case 'kill-and-checkpoint': {
        const backend = pick(names.filter(n => n.startsWith('backend')));
        postmaster.process(backend)?.kill('nemesis');
        await world.pass(world.between(0, 50));
        void this.#maintain('CHECKPOINT');
        return;
      }
      case 'lock-in-commit':
        return this.#lockInCommit();
      case 'drop-in-rebuild':
        return this.#dropInRebuild();
      case 'vanish':
      case 'cancel':
        return;
      case 'disk-trouble':
        return this.#diskTrouble();
      case 'tear-checkpoint':
        void this.#maintain('CHECKPOINT');
        await world.pass(world.between(1, 60));
        return cluster.powerFailure('tear');
      case 'checkpoint':
        void this.#maintain('CHECKPOINT');
        return;
      case 'vacuum':
        void this.#maintain('VACUUM');
        return;
      case 'lose-power':
        return cluster.powerFailure('lose');
      case 'tear-power':
        return cluster.powerFailure('tear');
    }
  }

  /**
   * What a checkpoint forgot in the trouble is missed after one that succeeds and a power failure; unless somebody
   * has touched the same page between them, so that there is often nobody at work.
   */
  async #diskTrouble(): Promise<void> {
    const cluster = this.#cluster();
    const { world } = cluster;
    const quiet = world.random.uniform() < 0.5;
    if (quiet) {
      this.lull(true);
      await world.pass(world.between(20, 100));
    }
    const ms = world.between(5, 400);
    world.note(`disk trouble for ${Math.round(ms)} ms: ${this.trouble.begin(world, ms, quiet)}`);
    void this.#maintain('CHECKPOINT');
    const until = world.nowMs + ms;
    if (!quiet && world.random.uniform() < 0.8) {
      // Who starts and who recovers meets it too.
      await world.pass(world.between(0, ms));
      await cluster.powerFailure('lose');
    }
    await world.pass(until - world.nowMs + world.between(0, 200));
    if (quiet || world.random.uniform() < 0.5) {
      void this.#maintain('CHECKPOINT');
      await world.pass(world.between(1, 200));
    }
    if (quiet || world.random.uniform() < 0.8) await cluster.powerFailure('lose');
    this.lull(false);
  }

  async #lockInCommit(): Promise<void> {
    const cluster = this.#cluster();
    const { world, postmaster, network } = cluster;
    const backends = postmaster.names.filter(name => name.startsWith('backend'));
    const backend = backends[Math.floor(world.random.uniform() * backends.length)];
    network.clogLink('walwriter', 'buffer-manager', world.between(50, 300), world.between(50, 300));
    this.lull(true);
    await world.pass(world.between(1, 40));
    const process = backend === undefined ? undefined : postmaster.process(backend);
    process?.pause();
    for (const table of this.#tables)
      void this.#maintain(`BEGIN; LOCK TABLE ${table} IN SHARE ROW EXCLUSIVE MODE; COMMIT`);
    await world.pass(world.between(50, 500));
    process?.resume();
    await world.pass(world.between(1, 50));
    await this.silence();
  }

  /** Each piece of WAL that the checkpoint reads comes late; the DROP's own COMMIT waits for one such time. */
  async #dropInRebuild(): Promise<void> {
    const cluster = this.#cluster();
    const { world, postmaster, network } = cluster;
    const table = `doomed_${++this.#doomed}`;
    const row = `INSERT INTO ${table} VALUES (${DOOMED_VALUE})`;
    if (!(await this.#maintained(`CREATE TABLE ${table} (value text)`))) return;
    await this.#maintained(Array.from({ length: DOOMED_ROWS }, () => row).join(';'));
    for (const name of postmaster.names) if (name.startsWith('backend')) postmaster.process(name)?.kill('nemesis');
    // Until the postmaster has seen them dead, and others are up.
    await world.pass(20);
    for (let waited = 0; waited < 500 && !postmaster.ready; waited++) await world.pass(1);
    network.clogLink('walwriter', 'buffer-manager', world.between(20, 80), 600);
    void this.#maintain('CHECKPOINT');
    await world.pass(world.between(0, 60));
    await this.#maintained(`DROP TABLE IF EXISTS ${table}`);
  }

  /** Time passes until it is done, or has failed, or takes too long. True: it is done. */
  async #maintained(command: string): Promise<boolean> {
    const { world } = this.#cluster();
    const until = world.nowMs + PATIENCE_MS;
    let done: boolean | undefined;
    void this.#maintain(command).then(ok => {
      done = ok;
    });
    while (done === undefined && world.nowMs < until) await world.pass(1);
    return done === true;
  }

  /** Resolves when it is done, or has failed (false). */
  #maintain(command: string): Promise<boolean> {
    const cluster = this.#cluster();
    const { client, process } = cluster.client();
    this.#maintenance.add(process);
    return client
      .query(command)
      .then(() => true)
      .catch((error: unknown) => {
        cluster.world.note(`${command}: ${(error as Error).message}`);
        const excuse = this.faults.includes('disk-trouble') ? DISK_SQLSTATE : undefined;
        if (!excused(error, excuse)) this.unexpected ??= error as Error;
        return false;
      })
      .finally(() => {
        this.#maintenance.delete(process);
        process.kill('done');
      });
  }

  /** Something to archive while things go wrong. */
  switchSegment(): void {
    void this.#maintain('SELECT pg_switch_wal()');
  }

  /** No more surprises. */
  rest(): void {
    this.#armed = false;
    this.trouble.end();
    this.endMaintenance();
  }

  /** One whose message got lost asks again after seconds. */
  endMaintenance(): void {
    for (const process of this.#maintenance) process.kill('not waited for');
  }
}
