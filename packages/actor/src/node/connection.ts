/**
 * Connection over a socket of this machine.
 *
 * A peer that does not read is not buffered for without bound: `write` answers false once the
 * socket's queue is full, and `end` gives the peer END_PATIENCE_MS to take what is queued.
 */
import type { Socket } from 'node:net';
import type { Connection } from '../net.ts';

const END_PATIENCE_MS = 10_000;

export class SocketConnection implements Connection {
  readonly peer: { readonly address: string; readonly port: number } | undefined;
  onData: (chunk: Uint8Array) => void = () => {};
  onDrain: () => void = () => {};
  onEnd: () => void = () => {};
  readonly #socket: Socket;
  #over = false;

  /** `peer` overrides what the socket says (a spliced client's own address). */
  constructor(socket: Socket, peer?: { readonly address: string; readonly port: number }) {
    this.#socket = socket;
    this.peer =
      peer ??
      (socket.remoteAddress === undefined
        ? undefined
        : { address: socket.remoteAddress, port: socket.remotePort ?? 0 });
    socket.setNoDelay(true);
    socket.on('data', chunk => {
      if (!this.#over) this.onData(chunk);
    });
    socket.on('drain', () => {
      if (!this.#over) this.onDrain();
    });
    socket.on('error', () => this.#finish());
    socket.on('end', () => this.#finish());
    socket.on('close', () => this.#finish());
  }

  write(bytes: Uint8Array): boolean {
    return this.#over ? true : this.#socket.write(bytes);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    if (this.#socket.destroyed) return;
    this.#socket.end();
    // Input is thrown away from here on, so that the peer's end is seen.
    this.#socket.resume();
    const patience = setTimeout(() => this.#socket.destroy(), END_PATIENCE_MS);
    patience.unref();
    this.#socket.once('close', () => clearTimeout(patience));
  }

  leave(): void {
    // Everything is with the kernel, which delivers it: no need to shut down one way and wait for the other.
    if (this.#socket.writableLength === 0) this.#socket.destroy();
    else this.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    this.onEnd();
  }
}
