/**
 * Model checking of the protocol's pure modules: the real PageDirectory, FpiWindow and CommitQueue,
 * driven through every interleaving (up to bounds) of instances that behave like the real ones, with
 * crashes and zombies. Each planted bug must be found, or "nothing found" would mean nothing.
 *
 * A state is the path of actions that leads to it (replayed from the start), told apart by its
 * fingerprint.
 */
import { TOKEN_EXCLUSIVE, TOKEN_SHARED } from '@pgtroupe/rpc/attach/ops';
import type { Oid, RelFileNode } from '@pgtroupe/common/ids';
import { describe, expect, it } from 'vitest';
import {
  CommitQueue,
  JoiningInstances,
  type PendingCommit,
  type SnapshotHolder,
  SnapshotToken,
} from './commit-queue.ts';
import { FpiWindow } from './fpi-window.ts';
import { ForkEntry, PageDirectory, PageEntry, type TokenHolder } from './page-directory.ts';

class Violation extends Error {
  override readonly name = 'Violation';
}

interface Model {
  /** Actions possible now, by name; running one may throw Violation. */
  actions(): Map<string, () => void>;
  fingerprint(): string;
  /** Called when nothing can happen any more. */
  atRest(): void;
}

/** Visits every reachable state, breadth first. Returns their number, or throws with the path. */
function explore(make: () => Model, maxStates: number): number {
  const seen = new Set<string>([make().fingerprint()]);
  let frontier: string[][] = [[]];
  while (frontier.length > 0) {
    const next: string[][] = [];
    for (const path of frontier) {
      const names = [...replay(make, path).actions().keys()];
      if (names.length === 0) guard(path, () => replay(make, path).atRest());
      for (const name of names) {
        const model = replay(make, path);
        const longer = [...path, name];
        guard(longer, () => model.actions().get(name)!());
        const print = model.fingerprint();
        if (seen.has(print)) continue;
        seen.add(print);
        if (seen.size >= maxStates) return seen.size;
        next.push(longer);
      }
    }
    frontier = next;
  }
  return seen.size;
}

function replay(make: () => Model, path: readonly string[]): Model {
  const model = make();
  for (const name of path) model.actions().get(name)!();
  return model;
}

function guard(path: readonly string[], run: () => void): void {
  try {
    run();
  } catch (error) {
    throw new Violation(`${(error as Error).message}\n  ${path.join('\n  ')}`);
  }
}

// ---- page tokens -----------------------------------------------------------------------------------

interface Copy {
  mode: number;
  version: number;
  gen: number;
  /** The highest mode that was asked for, and how many requests have no answer yet. */
  asked: number;
  outstanding: number;
  changed: boolean;
}

type Up =
  | { readonly op: 'read'; readonly p: number; readonly mode: number }
  | { readonly op: 'record'; readonly pages: readonly { readonly p: number; readonly version: number }[] }
  | {
      readonly op: 'release';
      readonly p: number;
      readonly gen: number;
      readonly to: number;
      readonly version: number | undefined;
    }
  | { readonly op: 'image'; readonly p: number; readonly gen: number; readonly version: number };
type Down =
  | {
      readonly op: 'grant';
      readonly p: number;
      readonly mode: number;
      readonly gen: number;
      readonly version: number | undefined;
    }
  | { readonly op: 'recall'; readonly p: number; readonly gen: number; readonly to: number }
  | { readonly op: 'writeback'; readonly p: number; readonly gen: number };

interface PageBounds {
  readonly instances: number;
  readonly pages: number;
  readonly requests: number;
  readonly writes: number;
  readonly crashes: number;
  readonly zombies?: boolean;
  readonly writebacks?: number;
  /** The directory takes every holder for the only one, which is true of none. */
  readonly alone?: boolean;
  readonly bugs?: {
    readonly grantBeforeAllAcks?: boolean;
    readonly forgetChain?: boolean;
    readonly acceptZombies?: boolean;
    readonly imageBeforeRecord?: boolean;
  };
}

class ModelInstance implements TokenHolder {
  readonly id: number;
  readonly pages = new Set<PageEntry>();
  readonly copies: Copy[];
  readonly up: Up[] = [];
  readonly down: Down[] = [];
  requests = 0;
  writes = 0;
  state: 'alive' | 'fenced zombie' | 'dead' = 'alive';

  constructor(id: number, pages: number) {
    this.id = id;
    this.copies = Array.from({ length: pages }, () => ({
      mode: 0,
      version: 0,
      gen: 0,
      asked: 0,
      outstanding: 0,
      changed: false,
    }));
  }
}

class TokenModel implements Model {
  readonly #bounds: PageBounds;
  readonly #directory: PageDirectory;
  readonly #pages: PageEntry[];
  readonly #instances: ModelInstance[];
  /** By page: version of the base image, and of all records sequenced. */
  readonly #base: number[];
  readonly #sequenced: number[];
  #lsn = 0;
  #crashes = 0;
  #writebacks = 0;

  constructor(bounds: PageBounds) {
    this.#bounds = bounds;
    const fork = new ForkEntry({ spcNode: 1 as Oid, dbNode: 1 as Oid, relNode: 1 as Oid } as RelFileNode, 0);
    this.#pages = Array.from({ length: bounds.pages }, (_, p) => {
      const page = new PageEntry(fork, p as never);
      page.slot = p;
      return page;
    });
    this.#base = new Array<number>(bounds.pages).fill(0);
    this.#sequenced = new Array<number>(bounds.pages).fill(0);
    this.#instances = Array.from({ length: bounds.instances }, (_, n) => new ModelInstance(n, bounds.pages));
    this.#directory = new PageDirectory(
      {
        grant: (holder, page, mode, gen, withImage) => {
          const version = this.#base[page.blk]!;
          if (withImage && version !== this.#sequenced[page.blk]) {
            throw new Violation(
              `granted version ${version} of page ${page.blk}, sequenced is ${this.#sequenced[page.blk]}`,
            );
          }
          (holder as ModelInstance).down.push({
            op: 'grant',
            p: page.blk,
            mode,
            gen,
            version: withImage ? version : undefined,
          });
        },
        recall: (holder, page, gen, to) => (holder as ModelInstance).down.push({ op: 'recall', p: page.blk, gen, to }),
        writeback: (holder, page, gen) => (holder as ModelInstance).down.push({ op: 'writeback', p: page.blk, gen }),
        load: page => {
          if (page.rebuild) {
            this.#base[page.blk]! += page.chain.length;
            this.#directory.rebuilt(page);
          }
          page.loading = false;
        },
      },
      bounds.bugs ?? {},
    );
    this.#directory.alone = bounds.alone === true;
  }

  /** load() answers at once, so whoever waited is served by another pump. */
  #pumpAll(): void {
    for (const page of this.#pages) this.#directory.pump(page);
  }

  actions(): Map<string, () => void> {
    const actions = new Map<string, () => void>();
    const { bounds } = { bounds: this.#bounds };
    const add = (name: string, run: () => void): void => {
      actions.set(name, () => {
        run();
        this.#pumpAll();
        this.#check();
      });
    };
    for (const i of this.#instances) {
      if (i.state === 'dead') continue;
      for (let p = 0; p < bounds.pages; p++) {
        const copy = i.copies[p]!;
        if (i.requests < bounds.requests && copy.asked < TOKEN_EXCLUSIVE) {
          if (copy.mode === 0 && copy.asked === 0) add(`${i.id} asks S(${p})`, () => this.#ask(i, p, TOKEN_SHARED));
          if (copy.mode < TOKEN_EXCLUSIVE) add(`${i.id} asks X(${p})`, () => this.#ask(i, p, TOKEN_EXCLUSIVE));
        }
        if (copy.mode !== 0 && copy.outstanding === 0) add(`${i.id} evicts ${p}`, () => this.#give(i, p, 0));
      }
      if (i.writes < bounds.writes) {
        const held = i.copies.flatMap((copy, p) => (copy.mode === TOKEN_EXCLUSIVE ? [p] : []));
        for (const p of held) add(`${i.id} writes ${p}`, () => this.#write(i, [p]));
        if (held.length > 1) add(`${i.id} writes ${held.join('+')}`, () => this.#write(i, held));
      }
      if (i.down.length > 0) add(`${i.id} receives ${i.down[0]!.op}(${i.down[0]!.p})`, () => this.#receive(i));
      if (i.up.length > 0) add(`server receives ${i.up[0]!.op} of ${i.id}`, () => this.#serve(i));
      if (i.state === 'alive' && this.#crashes < bounds.crashes) {
        add(`${i.id} dies`, () => {
          this.#crashes++;
          i.state = bounds.zombies === true ? 'fenced zombie' : 'dead';
          if (i.state === 'dead') i.up.length = 0;
          i.down.length = 0;
          this.#directory.fence(i);
        });
      }
    }
    if (this.#writebacks < (bounds.writebacks ?? 0)) {
      for (const page of this.#pages) {
        if (page.exclusiveHolder !== undefined && !page.writebackAsked) {
          add(`writeback of ${page.blk}`, () => {
            this.#writebacks++;
            this.#directory.askWriteback(page);
          });
        }
      }
    }
    return actions;
  }

  #ask(i: ModelInstance, p: number, mode: number): void {
    i.requests++;
    i.copies[p]!.asked = mode;
    i.copies[p]!.outstanding++;
    i.up.push({ op: 'read', p, mode });
  }

  #give(i: ModelInstance, p: number, to: number): void {
    const copy = i.copies[p]!;
    const message: Up = { op: 'release', p, gen: copy.gen, to, version: copy.changed ? copy.version : undefined };
    const last = i.up[i.up.length - 1];
    // The planted bug: the image overtakes the record it contains.
    if (this.#bounds.bugs?.imageBeforeRecord === true && last?.op === 'record')
      i.up.splice(i.up.length - 1, 0, message);
    else i.up.push(message);
    copy.changed = false;
    copy.mode = to;
  }

  #write(i: ModelInstance, pages: readonly number[]): void {
    i.writes++;
    for (const p of pages) {
      i.copies[p]!.version++;
      i.copies[p]!.changed = true;
    }
    i.up.push({ op: 'record', pages: pages.map(p => ({ p, version: i.copies[p]!.version })) });
  }

  #receive(i: ModelInstance): void {
    const message = i.down.shift()!;
    const copy = i.copies[message.p]!;
    switch (message.op) {
      case 'grant':
        if (message.version === undefined) {
          if (copy.mode === 0) throw new Violation(`grant without image to ${i.id}, which has no copy`);
        } else {
          copy.version = message.version;
          copy.changed = false;
        }
        copy.mode = message.mode;
        copy.gen = message.gen;
        if (--copy.outstanding === 0) copy.asked = 0;
        return;
      case 'recall':
        if (copy.mode !== 0 && copy.gen === message.gen)
          this.#give(
            i,
            message.p,
            message.to === TOKEN_SHARED && copy.mode === TOKEN_EXCLUSIVE ? TOKEN_SHARED : message.to,
          );
        return;
      case 'writeback':
        if (copy.mode !== TOKEN_EXCLUSIVE || copy.gen !== message.gen) return;
        i.up.push({ op: 'image', p: message.p, gen: copy.gen, version: copy.version });
        copy.changed = false;
    }
  }

  #serve(i: ModelInstance): void {
    const message = i.up.shift()!;
    if (i.state !== 'alive' && this.#bounds.bugs?.acceptZombies !== true) return;
    switch (message.op) {
      case 'read':
        return this.#directory.request(i, this.#pages[message.p]!, message.mode);
      case 'record': {
        const start = ++this.#lsn;
        for (const { p, version } of message.pages) {
          const page = this.#pages[p]!;
          this.#sequenced[p]!++;
          if (version !== this.#sequenced[p])
            throw new Violation(`lost update: version ${version} of page ${p} sequenced as ${this.#sequenced[p]}`);
          this.#directory.recordSequenced(page, start, start + 1, false);
        }
        this.#lsn++;
        return;
      }
      case 'release': {
        const page = this.#pages[message.p]!;
        const owns = this.#directory.ownsExclusively(i, page, message.gen);
        if (message.version !== undefined && owns) this.#store(page, message.version);
        this.#directory.release(i, page, message.gen, message.to, message.version !== undefined && owns);
        return;
      }
      case 'image': {
        const page = this.#pages[message.p]!;
        if (!this.#directory.ownsExclusively(i, page, message.gen)) return;
        this.#store(page, message.version);
        this.#directory.imageReceived(page);
      }
    }
  }

  #store(page: PageEntry, version: number): void {
    if (version !== this.#sequenced[page.blk])
      throw new Violation(`image of version ${version}, sequenced is ${this.#sequenced[page.blk]}`);
    this.#base[page.blk] = version;
  }

  #check(): void {
    for (let p = 0; p < this.#bounds.pages; p++) {
      const live = this.#instances.filter(i => i.state === 'alive');
      const x = live.filter(i => i.copies[p]!.mode === TOKEN_EXCLUSIVE);
      const s = live.filter(i => i.copies[p]!.mode === TOKEN_SHARED);
      if (x.length > 1 || (x.length > 0 && s.length > 0))
        throw new Violation(`page ${p} held X by ${x.length} and S by ${s.length}`);
      if (x.length > 0) continue;
      for (const i of s) {
        const ownInFlight = live.some(j => j.up.some(m => m.op === 'record' && m.pages.some(w => w.p === p)));
        if (!ownInFlight && i.copies[p]!.version !== this.#sequenced[p])
          throw new Violation(
            `${i.id} reads version ${i.copies[p]!.version} of page ${p}, there is ${this.#sequenced[p]}`,
          );
      }
    }
  }

  atRest(): void {
    for (const i of this.#instances) {
      if (i.state !== 'alive') continue;
      for (const [p, copy] of i.copies.entries())
        if (copy.outstanding !== 0) throw new Violation(`${i.id} waits for page ${p} for ever`);
    }
  }

  fingerprint(): string {
    // Generations matter only by whether they are equal.
    const gens = new Map<number, number>();
    const gen = (g: number): number => {
      if (!gens.has(g)) gens.set(g, gens.size);
      return gens.get(g)!;
    };
    const message = (m: Up | Down): unknown => ('gen' in m ? { ...m, gen: gen(m.gen) } : m);
    return JSON.stringify([
      this.#pages.map(page => [
        page.holdings.map(h => [h.holder.id, h.mode, gen(h.gen), h.recalledTo]),
        page.queue.map(r => [r.holder.id, r.mode]),
        page.chain.length,
        page.rebuild,
        page.writebackAsked,
      ]),
      this.#base,
      this.#sequenced,
      this.#crashes,
      this.#writebacks,
      this.#instances.map(i => [
        i.state,
        i.requests,
        i.writes,
        i.copies.map(c => [c.mode, c.version, c.mode === 0 ? 0 : gen(c.gen), c.asked, c.outstanding, c.changed]),
        i.up.map(message),
        i.down.map(message),
      ]),
    ]);
  }
}

describe('page tokens', () => {
  const states = (bounds: PageBounds, max = 60_000): number => explore(() => new TokenModel(bounds), max);
  it.each<[string, PageBounds]>([
    [
      'two instances, one page, writebacks',
      { instances: 2, pages: 1, requests: 2, writes: 2, crashes: 0, writebacks: 1 },
    ],
    ['three instances, two pages', { instances: 3, pages: 2, requests: 2, writes: 1, crashes: 0 }],
    ['a crash', { instances: 3, pages: 2, requests: 2, writes: 2, crashes: 1 }],
    ['a crash with writebacks', { instances: 2, pages: 1, requests: 3, writes: 2, crashes: 1, writebacks: 1 }],
    ['a zombie', { instances: 2, pages: 2, requests: 2, writes: 2, crashes: 1, zombies: true }],
    ['X for whoever asks', { instances: 2, pages: 1, requests: 3, writes: 1, crashes: 0, writebacks: 1, alone: true }],
    ['X for whoever asks, and a crash', { instances: 3, pages: 2, requests: 2, writes: 1, crashes: 1, alone: true }],
  ])(
    '%s',
    (_, bounds) => {
      expect(states(bounds, 15_000)).toBeGreaterThan(1000);
    },
    120_000,
  );

  it.each<[string, PageBounds, RegExp]>([
    [
      'X before all S are back',
      { instances: 2, pages: 1, requests: 1, writes: 1, crashes: 0, bugs: { grantBeforeAllAcks: true } },
      /held X by 1 and S by 1|reads version/,
    ],
    [
      'forgotten records of a dead instance',
      { instances: 2, pages: 1, requests: 1, writes: 1, crashes: 1, bugs: { forgetChain: true } },
      /granted version 0/,
    ],
    [
      'records of a zombie',
      { instances: 2, pages: 1, requests: 1, writes: 1, crashes: 1, zombies: true, bugs: { acceptZombies: true } },
      /lost update|granted version|image of version/,
    ],
    [
      'an image before its record',
      { instances: 2, pages: 1, requests: 1, writes: 1, crashes: 0, bugs: { imageBeforeRecord: true } },
      /image of version/,
    ],
  ])('finds the planted bug: %s', (_, bounds, what) => {
    expect(() => states(bounds)).toThrow(what);
  });
});

// ---- force-FPI window ------------------------------------------------------------------------------

class FpiModel implements Model {
  readonly #window: FpiWindow<number>;
  readonly #instances = [0, 1].map(() => ({
    number: 0,
    redo: 0,
    open: false,
    writes: 0,
    up: [] as { w?: boolean; ack?: number }[],
    down: [] as { force?: number; n?: number; redo?: number }[],
  }));
  #owner = 0;
  /** Checkpoint number that the page's last image follows, as its holder knows. */
  #imageOf = 0;
  /** Since redo no image has been sequenced. */
  #needsImage = false;
  #lsn = 0;
  #pageLsn = 0;
  #checkpoints = 0;

  constructor(bugs: { readonly closeEarly?: boolean } = {}) {
    this.#window = new FpiWindow<number>(
      {
        forceFpi: (i, n) => this.#instances[i]!.down.push({ force: n }),
        close: n => {
          this.#needsImage = true;
          for (const i of this.#instances) i.down.push({ n, redo: this.#lsn });
        },
      },
      0,
      bugs,
    );
  }

  actions(): Map<string, () => void> {
    const actions = new Map<string, () => void>();
    for (const [n, i] of this.#instances.entries()) {
      if (this.#owner === n && i.writes < 3) {
        actions.set(`${n} writes`, () => {
          i.writes++;
          const image = i.open || this.#imageOf !== i.number;
          // Images inside the window may land before redo and do not count.
          if (image && !i.open) this.#imageOf = i.number;
          i.up.push({ w: image });
        });
      }
      if (i.up.length > 0) {
        actions.set(`server receives from ${n}`, () => {
          const message = i.up.shift()!;
          if (message.ack !== undefined) return this.#window.acked(n, message.ack);
          if (this.#needsImage && message.w === false) throw new Violation('first change after redo without an image');
          this.#needsImage &&= message.w !== true;
          this.#pageLsn = ++this.#lsn;
        });
      }
      if (i.down.length > 0) {
        actions.set(`${n} receives`, () => {
          const message = i.down.shift()!;
          if (message.force !== undefined) {
            i.open = true;
            i.up.push({ ack: message.force });
          } else {
            i.open = false;
            i.number = message.n!;
            i.redo = message.redo!;
          }
        });
      }
    }
    // The page travels behind the records of its holder; its new holder tells by pd_lsn whether it has an image.
    const from = this.#instances[this.#owner]!;
    if (from.up.every(m => m.w === undefined)) {
      actions.set('page moves', () => {
        this.#owner = 1 - this.#owner;
        const to = this.#instances[this.#owner]!;
        this.#imageOf = this.#pageLsn > to.redo ? to.number : to.number - 1;
      });
    }
    if (!this.#window.open && this.#checkpoints < 2) {
      actions.set('checkpoint', () => {
        this.#checkpoints++;
        this.#window.begin([0, 1]);
      });
    }
    return actions;
  }

  atRest(): void {
    if (this.#window.open) throw new Violation('the window never closes');
  }

  fingerprint(): string {
    return JSON.stringify([
      this.#window.number,
      this.#window.open,
      this.#instances,
      this.#owner,
      this.#imageOf,
      this.#needsImage,
      this.#checkpoints,
      this.#lsn,
      this.#pageLsn,
    ]);
  }
}

describe('force-FPI window', () => {
  it('the first change after redo has an image', () => {
    expect(explore(() => new FpiModel(), 200_000)).toBeGreaterThan(1000);
  }, 120_000);
  it('finds the planted bug: redo before all acks', () => {
    expect(() => explore(() => new FpiModel({ closeEarly: true }), 200_000)).toThrow(/without an image/);
  });
});

// ---- commit and snapshots --------------------------------------------------------------------------

class Holder implements SnapshotHolder {
  readonly snapshot = new SnapshotToken();
  alive = true;
  /** Commits its snapshot contains, and whether the client may still take new ones from it. */
  seen = 0;
  asked = 0;
  usable: boolean;
  readonly up: 'ack'[] = [];
  readonly down: ({ readonly recall: true } | { readonly snapshot: number } | { readonly committed: number })[] = [];

  constructor(joined: boolean) {
    this.usable = joined;
    if (!joined) return;
    this.snapshot.join();
    this.snapshot.sent();
  }

  recall(): void {
    this.snapshot.recalled();
    this.down.push({ recall: true });
  }

  grant(visible: number): void {
    this.snapshot.sent();
    this.down.push({ snapshot: visible });
  }
}

interface CommitBounds {
  /** Only instance 0 has a snapshot in the beginning. */
  readonly alone?: boolean;
  readonly noRecall?: boolean;
  readonly noFlush?: boolean;
  readonly ownKept?: boolean;
  readonly joinsAtOnce?: boolean;
}

/** Instances 0 and 1 commit, 2 reads. */
class CommitModel implements Model {
  readonly #queue = new CommitQueue<Holder, PendingCommit<Holder>>();
  readonly #joining = new JoiningInstances<Holder>();
  readonly #holders: readonly Holder[];
  readonly #bounds: CommitBounds;
  /** Who committed what became visible next. */
  readonly #order: Holder[] = [];
  #sequenced = 0;
  #flushed = 0;
  #visible = 0;
  /** Commits whose clients were told, or which some client was shown. */
  #known = 0;
  #commits = [0, 0];
  #crashed = false;

  constructor(bounds: CommitBounds = {}) {
    this.#bounds = bounds;
    this.#holders = [0, 1, 2].map(n => new Holder(n === 0 || bounds.alone !== true));
  }

  #live(): Set<Holder> {
    return new Set(this.#holders.filter(h => h.alive));
  }

  /** Whose snapshots commits wait for. */
  #waitedFor(): Set<Holder> {
    const { noRecall, ownKept } = this.#bounds;
    const live = noRecall === true ? new Set<Holder>() : this.#live();
    if (ownKept === true) live.delete(this.#order[this.#visible]!);
    return live;
  }

  #settle(): void {
    for (;;) {
      const flushed = this.#bounds.noFlush === true ? Number.MAX_SAFE_INTEGER : this.#flushed;
      const commit = this.#queue.next(flushed, this.#waitedFor());
      if (commit === undefined) break;
      if (commit.lsn > this.#flushed) throw new Violation('visible before it is durable');
      if (commit.lsn !== this.#visible + 1) throw new Violation('visibility order is not LSN order');
      this.#visible = commit.lsn;
      const { instance } = commit;
      if (instance === undefined) continue;
      if (instance.snapshot.granted) instance.grant(this.#visible);
      instance.down.push({ committed: commit.lsn });
    }
    for (const h of this.#joining.ready(this.#live())) this.#grant(h);
  }

  #grant(h: Holder): void {
    h.grant(this.#visible);
    if (this.#queue.mustRecall(h, this.#live())) h.recall();
  }

  actions(): Map<string, () => void> {
    const actions = new Map<string, () => void>();
    const add = (name: string, run: () => void): void => {
      actions.set(name, () => {
        run();
        this.#settle();
      });
    };
    for (const [n, h] of this.#holders.entries()) {
      if (!h.alive) continue;
      if (n < 2 && this.#commits[n]! < 2) {
        add(`${n} commits`, () => {
          this.#commits[n]!++;
          const lsn = ++this.#sequenced;
          this.#queue.add({ instance: h, reqId: 0, owner: 0, fxid: lsn, children: [], lsn, sync: true });
          this.#order.push(h);
          for (const holder of this.#live()) {
            if (holder === h && this.#bounds.ownKept === true) continue;
            if (this.#queue.mustRecall(holder, this.#live())) holder.recall();
          }
        });
      }
      if (h.usable) {
        actions.set(`${n} takes a snapshot`, () => {
          if (h.seen < this.#known)
            throw new Violation(`${n} takes a snapshot without commit ${this.#known}, which is known`);
          this.#known = h.seen;
        });
      }
      if (h.down.length > 0) {
        actions.set(`${n} receives`, () => {
          const message = h.down.shift()!;
          if ('recall' in message) {
            h.usable = false;
            h.up.push('ack');
          } else if ('snapshot' in message) {
            h.seen = message.snapshot;
            h.usable = true;
          } else this.#known = Math.max(this.#known, message.committed);
        });
      }
      if (h.up.length > 0) {
        add(`server receives ack of ${n}`, () => {
          h.up.shift();
          h.snapshot.acked();
        });
      }
      if (!h.snapshot.granted && n !== 1 && h.asked < 2) {
        // It may cross with a recall: an instance whose lease ran out asks while it holds one.
        add(`${n} asks for a snapshot`, () => {
          h.asked++;
          const atOnce = this.#joining.asked(h, this.#live(), other => other.recall());
          if (atOnce || this.#bounds.joinsAtOnce === true) this.#grant(h);
        });
      }
    }
    if (this.#flushed < this.#sequenced) add('flush', () => (this.#flushed = this.#sequenced));
    if (!this.#crashed) {
      add('0 dies', () => {
        this.#crashed = true;
        const h = this.#holders[0]!;
        h.alive = false;
        this.#queue.orphan(h, () => {});
      });
    }
    return actions;
  }

  atRest(): void {
    if (this.#visible !== this.#sequenced) throw new Violation('a commit never became visible');
  }

  fingerprint(): string {
    return JSON.stringify([
      this.#holders.map(h => [h, h.snapshot.granted, h.snapshot.held]),
      this.#sequenced,
      this.#flushed,
      this.#visible,
      this.#known,
      this.#commits,
      this.#crashed,
    ]);
  }
}

describe('commit and snapshots', () => {
  it.each<[string, CommitBounds]>([
    ['beside others', {}],
    ['of an instance that was alone', { alone: true }],
  ])(
    'a commit that somebody knows of is in every later snapshot: %s',
    (_, bounds) => {
      expect(explore(() => new CommitModel(bounds), 20_000)).toBeGreaterThan(1000);
    },
    120_000,
  );
  it.each<[string, CommitBounds, RegExp]>([
    ['other instances are not recalled', { noRecall: true }, /which is known/],
    ['the flush is not awaited', { noFlush: true }, /before it is durable/],
    ['the instance that commits keeps its snapshot', { ownKept: true }, /which is known/],
    ['who joins waits for nobody', { alone: true, joinsAtOnce: true }, /which is known/],
  ])('finds the planted bug: %s', (_, bounds, what) => {
    expect(() => explore(() => new CommitModel(bounds), 60_000)).toThrow(what);
  });
});
