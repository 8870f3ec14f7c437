/**
 * The simulated network: streams of encoded messages and a bus that may lose them.
 *
 * Streams are FIFO per direction and lose nothing before their end, as gRPC over TCP. When a process
 * dies, its peers learn of it after what was already on the way.
 */
import type { Bus } from '@pgtroupe/actor/env';
import type { Codec, Handler, Rpc, RpcListener, RpcStream, StreamEnd, StreamMethod } from '@pgtroupe/actor/rpc';
import type { Tally, Traffic } from '@pgtroupe/actor/traffic';
import { describe } from './describe.ts';
import type { World } from './world.ts';

export interface NetworkOptions {
  readonly minLatencyMs: number;
  readonly maxLatencyMs: number;
  /** Share of bus messages that are lost. */
  readonly busLoss: number;
}

/** Runs something as an event of one process; nothing runs once it is dead. */
export interface Host {
  readonly name: string;
  readonly alive: boolean;
  readonly traffic: Traffic;
  deliver(delayMs: number, run: () => void): void;
}

/** What ends with its process. */
export interface Mortal {
  hostDied(): void;
}

class End<Send, Receive> implements RpcStream<Send, Receive> {
  onMessage: (message: Receive) => void = () => {};
  onEnd: (reason: StreamEnd) => void = () => {};
  readonly host: Host;
  readonly #link: Link;
  readonly #encode: Codec<Send>;
  readonly #decode: Codec<Receive>;
  readonly #tally: Tally;
  peer: End<Receive, Send> | undefined;
  #open = true;
  #lastArrivalMs = 0;

  readonly #describe: (message: Send) => string;

  constructor(
    link: Link,
    host: Host,
    path: string,
    encode: Codec<Send>,
    decode: Codec<Receive>,
    describe: (message: Send) => string,
  ) {
    this.#tally = host.traffic.ofMethod(path);
    this.#link = link;
    this.#describe = describe;
    this.host = host;
    this.#encode = encode;
    this.#decode = decode;
  }

  send(message: Send): void {
    if (!this.#open || !this.host.alive) return;
    this.#tally.sent++;
    const bytes = new Uint8Array(this.#encode.encode(message));
    if (this.#link.world.verbose)
      this.#link.world.note(`${this.host.name} → ${this.peer?.host.name}: ${this.#describe(message)}`);
    const settle = this.#link.underWay(this.host, this.peer?.host, bytes.length);
    this.#toPeer(peer => {
      settle();
      peer.#receive(bytes);
    });
  }

  end(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#toPeer(peer => peer.finish({ kind: 'finished' }));
    this.host.deliver(0, () => this.onEnd({ kind: 'finished' }));
  }

  abort(why: string): void {
    this.finish({ kind: 'broken', why });
    this.#toPeer(peer => peer.finish({ kind: 'broken', why }));
  }

  /** The host died: the other side hears of it behind what was already sent. */
  hostDied(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#toPeer(peer => peer.finish({ kind: 'broken', why: `${this.host.name} died` }));
  }

  finish(reason: StreamEnd): void {
    if (!this.#open) return;
    this.#open = false;
    this.onEnd(reason);
  }

  #receive(bytes: Uint8Array): void {
    if (!this.#open) return;
    this.#tally.received++;
    this.onMessage(this.#decode.decode(bytes));
  }

  #toPeer(run: (peer: End<Receive, Send>) => void): void {
    const peer = this.peer;
    if (peer === undefined) return;
    this.#lastArrivalMs = Math.max(
      this.#lastArrivalMs,
      this.#link.world.nowMs + this.#link.latencyMs(this.host, peer.host),
    );
    peer.host.deliver(this.#lastArrivalMs - this.#link.world.nowMs, () => run(peer));
  }
}

interface Link {
  readonly world: World;
  latencyMs(from: Host, to: Host): number;
  /** Bytes are on their way until the returned function is called. */
  underWay(from: Host, to: Host | undefined, lengthBytes: number): () => void;
}

interface Listening {
  readonly host: Host;
  readonly handlers: readonly Handler[];
}

export class Network implements Link {
  readonly world: World;
  readonly #options: NetworkOptions;
  readonly #listeners = new Map<string, Listening>();
  readonly #ends = new Map<Host, Set<Mortal>>();
  readonly #subscriptions: {
    readonly host: Host;
    readonly subject: string;
    handle(payload: Uint8Array, subject: string, reply: string | undefined): void;
  }[] = [];
  readonly #clogs = new Map<string, { readonly extraMs: number; readonly untilMs: number }>();
  /** Bytes of streams that were sent and did not arrive yet, by `from>to`. */
  readonly #backlog = new Map<string, number>();
  #inboxes = 0;

  constructor(world: World, options: NetworkOptions) {
    this.world = world;
    this.#options = options;
  }

  /** Of a message that this process sends, to `to` if it matters. */
  latencyMs(from: Host, to?: Host): number {
    const usual = this.world.between(this.#options.minLatencyMs, this.#options.maxLatencyMs);
    return usual + this.#extraMs(from.name) + (to === undefined ? 0 : this.#extraMs(linkName(from.name, to.name)));
  }

  #extraMs(name: string): number {
    const clog = this.#clogs.get(name);
    if (clog === undefined) return 0;
    if (clog.untilMs > this.world.nowMs) return this.world.between(0, clog.extraMs);
    this.#clogs.delete(name);
    return 0;
  }

  underWay(from: Host, to: Host | undefined, lengthBytes: number): () => void {
    const key = `${from.name}>${to?.name}`;
    const add = (bytes: number): void => void this.#backlog.set(key, (this.#backlog.get(key) ?? 0) + bytes);
    add(lengthBytes);
    return () => add(-lengthBytes);
  }

  /** Bytes that one process sent to another and that wait in between, which they do while it is paused. */
  backlogBytes(from: string, to: string): number {
    return this.#backlog.get(`${from}>${to}`) ?? 0;
  }

  /** For a while, what this process sends takes up to so much longer. Order is kept per stream. */
  clog(name: string, extraMs: number, forMs: number): void {
    this.#clogs.set(name, { extraMs, untilMs: this.world.nowMs + forMs });
  }

  /** The same for what it sends to one other. */
  clogLink(from: string, to: string, extraMs: number, forMs: number): void {
    this.clog(linkName(from, to), extraMs, forMs);
  }

  rpc(host: Host): Rpc {
    return {
      serve: async (endpoint, handlers): Promise<RpcListener> => {
        this.#listeners.set(endpoint, { host, handlers });
        return {
          endpoint,
          close: async () => {
            this.#listeners.delete(endpoint);
          },
        };
      },
      open: <Up, Down>(endpoint: string, method: StreamMethod<Up, Down>): RpcStream<Up, Down> =>
        this.#connect(host, endpoint, method),
    };
  }

  #connect<Up, Down>(host: Host, endpoint: string, method: StreamMethod<Up, Down>): RpcStream<Up, Down> {
    const client = new End<Up, Down>(this, host, method.path, method.up, method.down, m =>
      describe(method.path, 'up', m),
    );
    this.track(host, client);
    const listening = this.#listeners.get(endpoint);
    const handler =
      listening?.host.alive === true ? listening.handlers.find(h => h.method.path === method.path) : undefined;
    if (listening === undefined || handler === undefined) {
      host.deliver(this.latencyMs(host), () =>
        client.finish({ kind: 'broken', why: `no ${method.path} at ${endpoint}` }),
      );
      return client;
    }
    const server = new End<Down, Up>(this, listening.host, method.path, method.down, method.up, m =>
      describe(method.path, 'down', m),
    );
    this.track(listening.host, server);
    client.peer = server;
    server.peer = client;
    const { accept } = handler;
    // Nothing the client sends can arrive before this: both use at least the minimum latency.
    listening.host.deliver(this.#options.minLatencyMs / 2, () => accept(server as RpcStream<unknown, unknown>));
    return client;
  }

  /** `end` is to hear of the death of its process. */
  track(host: Host, end: Mortal): void {
    let ends = this.#ends.get(host);
    if (ends === undefined) this.#ends.set(host, (ends = new Set()));
    ends.add(end);
  }

  /** A process is gone: its listeners, its streams, its subscriptions. */
  died(host: Host): void {
    for (const [endpoint, listening] of this.#listeners) if (listening.host === host) this.#listeners.delete(endpoint);
    for (const end of this.#ends.get(host) ?? []) end.hostDied();
    this.#ends.delete(host);
    for (let i = this.#subscriptions.length - 1; i >= 0; i--) {
      if (this.#subscriptions[i]!.host === host) this.#subscriptions.splice(i, 1);
    }
  }

  bus(host: Host): Bus {
    return {
      publish: (subject, payload) => this.#publish(host, subject, payload, undefined),
      subscribe: (subject, handle) => {
        const subscription = { host, subject, handle };
        this.#subscriptions.push(subscription);
        return () => {
          const at = this.#subscriptions.indexOf(subscription);
          if (at >= 0) this.#subscriptions.splice(at, 1);
        };
      },
      request: (subject, payload, timeoutMs) =>
        new Promise(resolve => {
          const inbox = `_INBOX.${this.#inboxes++}`;
          const stop = this.bus(host).subscribe(inbox, answer => {
            stop();
            resolve(answer);
          });
          host.deliver(timeoutMs, () => {
            stop();
            resolve(undefined);
          });
          this.#publish(host, subject, payload, inbox);
        }),
      respond: (reply, payload) => this.#publish(host, reply, payload, undefined),
    };
  }

  #publish(host: Host, subject: string, payload: Uint8Array, reply: string | undefined): void {
    host.traffic.bus.sent++;
    const bytes = new Uint8Array(payload);
    for (const subscription of [...this.#subscriptions]) {
      if (!subjectMatches(subscription.subject, subject)) continue;
      if (this.world.random.uniform() < this.#options.busLoss) continue;
      subscription.host.deliver(this.latencyMs(host), () => {
        subscription.host.traffic.bus.received++;
        subscription.handle(bytes, subject, reply);
      });
    }
  }
}

function linkName(from: string, to: string): string {
  return `${from} → ${to}`;
}

/** NATS's wildcards: `*` is one token, `>` is the rest. */
function subjectMatches(pattern: string, subject: string): boolean {
  const want = pattern.split('.');
  const have = subject.split('.');
  for (let i = 0; i < want.length; i++) {
    if (want[i] === '>') return have.length > i;
    if (i >= have.length || (want[i] !== '*' && want[i] !== have[i])) return false;
  }
  return want.length === have.length;
}
