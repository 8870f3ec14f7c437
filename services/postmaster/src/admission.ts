/**
 * The door: listening sockets, and where each client goes.
 *
 * What is decided: 57P03 while the cluster starts, recovers or stops; 53300 when it is full; a cancel
 * request goes to the instance that owns the PID; everybody else to an instance. Only the socket and
 * the bytes read so far move on; the instance authenticates. While the door is lent (door.ts) the
 * instance does all this, and sends us who is beyond its quota.
 */
import { chmodSync, renameSync } from 'node:fs';
import { lookup } from 'node:dns/promises';
import { connect, isIP, type Socket } from 'node:net';
import { ereport } from '@pgtroupe/common/ereport';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { lockSocket } from '@pgtroupe/actor/node/pidfile';
import { type HandOver, type ToInstance, visitorMessage } from '@pgtroupe/role/door-messages';
import { Greeter, type GreeterLimits, reject, type Visitor } from '@pgtroupe/role/greeter';
import { goOnReading, stopReading } from '@pgtroupe/role/unread-socket';
import { Door, type DoorOptions } from './door.ts';
import type { Passed } from './launcher.ts';

export type Verdict =
  | { readonly verdict: 'refuse'; readonly sqlstate: string; readonly message: string }
  /** Nobody can take the client yet; ask again when something changed. */
  | { readonly verdict: 'wait' }
  /** Its instance decides. */
  | { readonly verdict: 'forward'; readonly pass: Pass }
  | {
      readonly verdict: 'admit';
      readonly reserved: boolean;
      readonly pass: Pass;
      /** Where to splice to instead. */
      readonly spliceTo: string;
    };

type Pass = (message: ToInstance, socket: Socket, lost: (socket: Socket | undefined) => void) => Passed;

export interface Gatekeeper {
  judge(): Verdict;
  cancel(pid: number, secret: number): void;
  /** Clients that wait for an instance changed in number. */
  waiting(count: number): void;
}

export class Admission {
  readonly listening: string[] = [];
  readonly door: Door;
  readonly #gatekeeper: Gatekeeper;
  readonly #bindPatience: () => Promise<boolean>;
  readonly #unlock: (() => void)[] = [];
  readonly #queue: Visitor[] = [];

  constructor(options: {
    gatekeeper: Gatekeeper;
    limits: GreeterLimits;
    send: DoorOptions['send'];
    /** An address is in use: false when it is not worth trying again. */
    bindPatience: () => Promise<boolean>;
    log: (message: string) => void;
  }) {
    const { gatekeeper, limits, send, log } = options;
    this.#gatekeeper = gatekeeper;
    this.#bindPatience = options.bindPatience;
    const greeter = new Greeter(limits, {
      startup: visitor => this.#arrived(visitor),
      cancel: (pid, secret) => gatekeeper.cancel(pid, secret),
      log,
    });
    this.door = new Door({ accept: socket => greeter.greet(socket), send, limits, log });
  }

  /** `host`: a name (every address it has), an address, or `*`. */
  async listenTcp(host: string, port: number): Promise<void> {
    let bound = 0;
    for (const address of await addresses(host)) {
      if (await this.#listenAddress(address, port)) bound++;
    }
    if (bound === 0) {
      throw ereport(ERRCODE.CONFIG_FILE_ERROR, `could not create listen socket for "${host}"`, {
        hint: 'Check "listen_addresses".',
      });
    }
    this.listening.push(`${host}:${port}`);
  }

  /** false: this machine has no such address. */
  async #listenAddress(address: string, port: number): Promise<boolean> {
    const where = address === '*' ? {} : { host: address };
    try {
      await this.door.listen({ port, ...where });
      return true;
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT') return false;
      const shown = address === '*' ? '0.0.0.0' : address;
      if (code === 'EADDRINUSE') {
        if (await this.#bindPatience()) return this.#listenAddress(address, port);
        throw ereport(
          ERRCODE.OBJECT_IN_USE,
          `could not bind address "${shown}", port ${port}: Address already in use`,
          {
            hint: `Is another server already running on port ${port}? Stop it, or choose another port: -p ${port + 1}.`,
          },
        );
      }
      if (code === 'EACCES') {
        throw ereport(
          ERRCODE.INSUFFICIENT_PRIVILEGE,
          `could not bind address "${shown}", port ${port}: Permission denied`,
          {
            hint: 'Ports below 1024 need privileges; choose a higher one with -p.',
          },
        );
      }
      throw ereport(ERRCODE.CONFIG_FILE_ERROR, `could not listen on "${shown}", port ${port}: ${message}`, {
        hint: 'Check "listen_addresses".',
      });
    }
  }

  async listenUnix(
    folder: string,
    port: number,
    options: { dataDirectory: string; permissions: number },
  ): Promise<void> {
    const path = `${folder}/.s.PGSQL.${port}`;
    this.#unlock.push(lockSocket(path, options.dataDirectory, port));
    // Node removes the path it bound when that handle is closed, which lending does: so not the true one.
    const bound = `${path}.new`;
    try {
      await this.door.listen({ path: bound });
      chmodSync(bound, options.permissions);
      renameSync(bound, path);
    } catch (error) {
      throw ereport(
        ERRCODE.CONFIG_FILE_ERROR,
        `could not create Unix-domain socket in directory "${folder}": ${(error as Error).message}`,
        {
          hint: 'Check "unix_socket_directories".',
        },
      );
    }
    this.listening.push(path);
  }

  /** Listening ends; who is inside stays. */
  close(): void {
    this.door.close();
    for (const unlock of this.#unlock.splice(0)) unlock();
  }

  /** Something changed that may let waiting clients in, or turn them away. */
  reconsider(): void {
    for (const visitor of this.#queue.splice(0)) this.#admit(visitor);
  }

  /** Sent by the instance that has the door: it is full. */
  sentBack(visitor: Visitor): void {
    visitor.socket.on('error', () => visitor.socket.destroy());
    this.door.takeBack();
    this.#arrived(visitor);
  }

  #arrived(visitor: Visitor): void {
    // It may wait, here or in the channel to its instance.
    stopReading(visitor.socket);
    this.#admit(visitor);
  }

  #admit(visitor: Visitor): void {
    const { socket, initial, peer } = visitor;
    if (socket.destroyed) return this.#gatekeeper.waiting(this.#queue.length);
    // Who did not arrive (the instance died) is let in once more.
    const lost = (again: Socket | undefined): void => {
      if (again !== undefined) this.#admit({ socket: again, initial, peer });
    };
    const verdict = this.#gatekeeper.judge();
    switch (verdict.verdict) {
      case 'refuse':
        return reject(socket, verdict.sqlstate, verdict.message);
      case 'wait':
        return this.#wait(visitor);
      case 'forward':
        if (verdict.pass(visitorMessage(visitor), socket, lost) !== 'passed') this.#wait(visitor);
        return;
      case 'admit': {
        const message: HandOver = {
          kind: 'session',
          initial: initial.toString('latin1'),
          reserved: verdict.reserved,
          peer,
        };
        const passed = verdict.pass(message, socket, lost);
        if (passed === 'adopted') splice(socket, verdict.spliceTo, message);
        else if (passed === 'gone') this.#wait(visitor);
        return;
      }
    }
  }

  #wait(visitor: Visitor): void {
    this.#queue.push(visitor);
    this.#gatekeeper.waiting(this.#queue.length);
  }
}

async function addresses(host: string): Promise<string[]> {
  if (host === '*' || isIP(host) !== 0) return [host];
  try {
    return (await lookup(host, { all: true })).map(found => found.address);
  } catch (error) {
    throw ereport(
      ERRCODE.CONFIG_FILE_ERROR,
      `could not translate host name "${host}" to address: ${(error as Error).message}`,
      {
        hint: 'Check "listen_addresses".',
      },
    );
  }
}

/** Copies bytes both ways, for an instance that cannot be given the socket itself. */
function splice(socket: Socket, path: string, message: HandOver): void {
  const inner = connect(path);
  inner.on('error', () => socket.destroy());
  inner.on('close', () => socket.destroy());
  socket.on('close', () => inner.destroy());
  inner.write(`${JSON.stringify(message)}\n`);
  socket.setNoDelay(true);
  goOnReading(socket);
  inner.pipe(socket);
  socket.pipe(inner);
}
