/**
 * A simulated client connection: two ends of a byte stream between two processes.
 *
 * FIFO per direction. Chunks may arrive cut in two, as TCP may cut them. A process that dies closes its
 * connections behind what it had already sent; a reader that pauses fills the writer's window.
 */
import type { Connection } from '@pgtroupe/actor/net';
import type { Host, Network } from './network.ts';

const WINDOW_BYTES = 64 * 1024;
/** Share of chunks that arrive in two pieces. */
const CUT = 0.05;

export class SimConnection implements Connection {
  readonly peer: { readonly address: string; readonly port: number } | undefined = undefined;
  onData: (chunk: Uint8Array) => void = () => {};
  onDrain: () => void = () => {};
  onEnd: () => void = () => {};
  readonly #network: Network;
  readonly #host: Host;
  #other!: SimConnection;
  #open = true;
  #paused = false;
  /** Arrived and not delivered: `onData` was not set yet, or the reader pauses. */
  #held: Uint8Array[] = [];
  #endHeld = false;
  #unread = 0;
  #wantsDrain = false;
  #lastArrivalMs = 0;

  private constructor(network: Network, host: Host) {
    this.#network = network;
    this.#host = host;
    network.track(host, this);
  }

  static pair(network: Network, client: Host, server: Host): readonly [SimConnection, SimConnection] {
    const a = new SimConnection(network, client);
    const b = new SimConnection(network, server);
    a.#other = b;
    b.#other = a;
    return [a, b];
  }

  write(bytes: Uint8Array): boolean {
    if (!this.#open || !this.#host.alive) return true;
    const cut = this.#network.world.random.uniform() < CUT ? Math.floor(bytes.length / 2) : 0;
    const chunk = Uint8Array.from(bytes);
    this.#unread += chunk.length;
    if (cut > 0) this.#send(other => other.#arrived(chunk.subarray(0, cut)));
    this.#send(other => other.#arrived(chunk.subarray(cut)));
    this.#wantsDrain = this.#unread > WINDOW_BYTES;
    return !this.#wantsDrain;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#host.deliver(0, () => this.#flush());
  }

  end(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#send(other => other.#finished());
    this.#host.deliver(0, () => this.onEnd());
  }

  leave(): void {
    this.end();
  }

  destroy(): void {
    this.end();
  }

  hostDied(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#send(other => other.#finished());
  }

  #arrived(chunk: Uint8Array): void {
    if (!this.#open) return;
    this.#held.push(chunk);
    this.#flush();
  }

  #finished(): void {
    if (!this.#open) return;
    if (this.#held.length > 0) {
      this.#endHeld = true;
      return;
    }
    this.#open = false;
    this.onEnd();
  }

  #flush(): void {
    while (!this.#paused && this.#open && this.#held.length > 0) {
      const chunk = this.#held.shift()!;
      this.onData(chunk);
      this.#send(other => other.#taken(chunk.length));
    }
    if (this.#endHeld && this.#held.length === 0) this.#finished();
  }

  #taken(bytes: number): void {
    this.#unread -= bytes;
    if (!this.#wantsDrain || this.#unread > 0 || !this.#open) return;
    this.#wantsDrain = false;
    this.onDrain();
  }

  #send(run: (other: SimConnection) => void): void {
    const { world } = this.#network;
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs, world.nowMs + this.#network.latencyMs(this.#host));
    const other = this.#other;
    other.#host.deliver(this.#lastArrivalMs - world.nowMs, () => run(other));
  }
}
