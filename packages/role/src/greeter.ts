/**
 * Meets clients before anybody trusts them: from accept to the whole start-up packet, within limits of
 * packet size, number of packets, time, and number of strangers. Whoever has the door does this: the
 * postmaster, or the instance it lent the door to.
 */
import type { Socket } from 'node:net';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { fatalResponse, newGreeting, readGreeting } from './startup_packet.ts';
import { goOnReading } from './unread-socket.ts';

const REJECTED_PATIENCE_MS = 1_000;

export interface GreeterLimits {
  readonly authenticationMs: number;
  /** Clients that have not yet sent their start-up packet. */
  readonly strangersMax: number;
}

/** A client whose start-up packet is here. */
export interface Visitor {
  readonly socket: Socket;
  /** The start-up packet and whatever came behind it. */
  readonly initial: Buffer;
  readonly peer: Peer | undefined;
}

/** undefined for a Unix-domain socket. */
export interface Peer {
  readonly address: string;
  readonly port: number;
}

export interface GreeterHandlers {
  startup(visitor: Visitor): void;
  cancel(pid: number, secret: number): void;
  log(message: string): void;
}

export class Greeter {
  readonly #limits: GreeterLimits;
  readonly #handlers: GreeterHandlers;
  #strangers = 0;

  constructor(limits: GreeterLimits, handlers: GreeterHandlers) {
    this.#limits = limits;
    this.#handlers = handlers;
  }

  greet(socket: Socket): void {
    socket.on('error', () => socket.destroy());
    if (this.#strangers >= this.#limits.strangersMax) {
      return reject(socket, ERRCODE.TOO_MANY_CONNECTIONS, 'sorry, too many clients already');
    }
    this.#strangers++;
    const deadline = setTimeout(() => socket.destroy(), this.#limits.authenticationMs);
    const greeting = newGreeting();
    const done = (): void => {
      clearTimeout(deadline);
      this.#strangers--;
      socket.off('data', onData);
      socket.off('close', done);
    };
    const onData = (chunk: Buffer): void => {
      greeting.bytes = greeting.bytes.length === 0 ? chunk : Buffer.concat([greeting.bytes, chunk]);
      for (;;) {
        const found = readGreeting(greeting);
        switch (found.result) {
          case 'more':
            return;
          case 'refuseEncryption':
            socket.write('N', 'latin1');
            continue;
          case 'cancel':
            done();
            this.#handlers.cancel(found.pid, found.secret);
            socket.destroy();
            return;
          case 'reject':
            done();
            this.#handlers.log(found.log);
            if (found.error === undefined) socket.destroy();
            else reject(socket, found.error.sqlstate, found.error.message);
            return;
          case 'startup':
            done();
            return this.#handlers.startup({ socket, initial: found.initial, peer: peerOf(socket) });
        }
      }
    };
    socket.on('data', onData);
    socket.on('close', done);
  }
}

/** Tells a client why not, and closes. */
export function reject(socket: Socket, sqlstate: string, message: string): void {
  socket.end(fatalResponse(sqlstate, message));
  goOnReading(socket);
  socket.resume();
  setTimeout(() => socket.destroy(), REJECTED_PATIENCE_MS).unref();
}

function peerOf(socket: Socket): Peer | undefined {
  const { remoteAddress, remotePort } = socket;
  return remoteAddress === undefined ? undefined : { address: remoteAddress, port: remotePort ?? 0 };
}
