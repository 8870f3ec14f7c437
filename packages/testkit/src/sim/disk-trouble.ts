/**
 * Spells of a machine's disk, by seed: it is full, there are no handles, it cannot read or write, it cannot sync, names
 * are not there.
 * For a while some calls of some roles fail, and then they do not any more. A role may die of what it met, with the
 * error on its lips; one that was told that a sync failed must.
 */
import type { FaultDisk } from '@pgtroupe/actor/fault-disk';
import type { Disk } from '@pgtroupe/actor/env';
import type { SimProcess } from './process.ts';
import { type DiskCall, TROUBLES, troubledDisk } from './troubled-disk.ts';
import type { World } from './world.ts';

const CALLS = Object.keys(TROUBLES) as DiskCall[];
/** What comes together. */
const SPELLS: Readonly<Record<string, { readonly codes: readonly string[]; readonly calls: readonly DiskCall[] }>> = {
  full: { codes: ['ENOSPC'], calls: CALLS },
  'no handles': { codes: ['EMFILE', 'ENFILE'], calls: CALLS },
  'bad sectors': { codes: ['EIO'], calls: CALLS },
  'no sync': { codes: ['EIO'], calls: ['sync'] },
  'no names': { codes: ['ENOENT'], calls: CALLS },
};
/** WAL often has a disk of its own. */
const PLACES: Readonly<Record<string, RegExp>> = {
  everywhere: /^/,
  'in pg_wal': /^pg_wal/,
  'but in pg_wal': /^(?!pg_wal)/,
  // What a checkpoint writes last, when all pages of tables are through.
  'in pg_xact': /^pg_xact/,
};
/** Places that roles seldom go to: in a spell there none of their calls works. */
const FEW_CALLS: ReadonlySet<string> = new Set(['in pg_xact']);
/** Share of calls that fail in a spell. */
const SHARES = [0.02, 0.2, 1];
/** From a failed sync to the end of its process: nothing but a disk call's latency is between them. */
const LAST_BREATH_MS = 5;
/** Of the error that a role dies of. */
const DISK_ERROR = /\b(ENOSPC|EMFILE|ENFILE|EIO|ENOENT): |No space left on device|No such file or directory/;
/** SQLSTATEs of statements that met it: disk_full, io_error, undefined_file, insufficient_resources. */
export const DISK_SQLSTATE = /^(53100|58030|58P01|53000)$/;

export class DiskTrouble {
  /** Roles that lived on after a failed sync. */
  readonly violations: string[] = [];
  /** Errors met, by call. */
  readonly met = new Map<DiskCall, number>();
  #world: World | undefined;
  #spell:
    | {
        readonly codes: readonly string[];
        readonly calls: ReadonlySet<DiskCall>;
        readonly place: RegExp;
        /** Does this call fail? Asked of those that may. */
        readonly strikes: () => boolean;
      }
    | undefined;
  #spells = 0;

  /** Some calls fail from now on, for `ms`. `quiet`: nobody is at work, so that it is mostly checkpoints that meet it.
   *  Returns what for. */
  begin(world: World, ms: number, quiet: boolean): string {
    this.#world = world;
    const pick = <T>(from: readonly T[]): T => from[Math.floor(world.random.uniform() * from.length)]!;
    const name = pick(Object.keys(SPELLS));
    const { codes, calls: some } = SPELLS[name]!;
    const able = some.filter(call => TROUBLES[call].some(code => codes.includes(code)));
    const place = quiet && world.random.uniform() < 0.7 ? 'in pg_xact' : pick(Object.keys(PLACES));
    const few = FEW_CALLS.has(place);
    const calls = !few && world.random.uniform() < 0.5 ? [pick(able)] : able;
    const share = few ? 1 : pick(SHARES);
    const strikes = (): boolean => world.random.uniform() < share;
    this.#spell = { codes, calls: new Set(calls), place: PLACES[place]!, strikes };
    const spell = ++this.#spells;
    world.schedule(ms, () => {
      if (this.#spells === spell) this.end();
    });
    return `${name}: ${Math.round(share * 100)} % of ${calls.join(', ')} ${place}`;
  }

  /** The n-th call from now on (from 0) that may meet this error does, no other. */
  aim(world: World, n: number, code: string): void {
    this.#world = world;
    this.#spells++;
    let calls = 0;
    this.#spell = { codes: [code], calls: new Set(CALLS), place: /^/, strikes: () => calls++ === n };
  }

  end(): void {
    this.#spell = undefined;
  }

  /** The machine's disk as this process meets it. */
  disk(machine: FaultDisk, process: () => SimProcess): Disk {
    return troubledDisk(
      machine,
      (call, path) => this.#meet(call, path, process()),
      path => machine.failSync(path),
    );
  }

  #meet(call: DiskCall, path: string, process: SimProcess): string | undefined {
    const spell = this.#spell;
    const world = this.#world;
    if (
      spell === undefined ||
      world === undefined ||
      !process.alive ||
      !spell.calls.has(call) ||
      !spell.place.test(path)
    )
      return undefined;
    const codes = TROUBLES[call].filter(code => spell.codes.includes(code));
    if (codes.length === 0 || !spell.strikes()) return undefined;
    const code = codes[Math.floor(world.random.uniform() * codes.length)]!;
    this.met.set(call, (this.met.get(call) ?? 0) + 1);
    world.note(`${process.name} meets ${code}: ${call} of ${path}`);
    if (call === 'sync') {
      world.schedule(LAST_BREATH_MS, () => {
        if (process.alive && !process.paused)
          this.violations.push(`${process.name} lives on after a failed sync of ${path}`);
      });
    }
    return code;
  }

  /** Did it die of what its disk did? */
  excuses(process: SimProcess): boolean {
    return this.#spells > 0 && DISK_ERROR.test(process.lastWords);
  }
}
