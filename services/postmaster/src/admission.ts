/**
 * The door: listening sockets, the first packet of every client, and where the client goes next.
 *
 * Nothing here trusts a client: packet size, number of packets, time and the number of strangers at the
 * door are limited. What is decided: 57P03 while the cluster starts, recovers or stops; 53300 when it
 * is full; a cancel request goes to the instance that owns the PID; everybody else to an instance. Only
 * the socket and the bytes read so far move on; the instance authenticates.
 */
import { chmodSync } from 'node:fs';
import { lookup } from 'node:dns/promises';
import { connect, createServer, isIP, type Server, type Socket } from 'node:net';
import { ereport } from '@pgtroupe/common/ereport';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { lockSocket } from '@pgtroupe/actor/node/pidfile';
import type { Passed } from './launcher.ts';
import { fatalResponse, newGreeting, readGreeting } from './startup_packet.ts';

export type Verdict =
  | { readonly verdict: 'refuse'; readonly sqlstate: string; readonly message: string }
  /** Nobody can take the client yet; ask again when something changed. */
  | { readonly verdict: 'wait' }
  | {
      readonly verdict: 'admit';
      readonly reserved: boolean;
      pass(message: object, socket: Socket, lost: (socket: Socket | undefined) => void): Passed;
      /** Where to splice to instead. */
      readonly spliceTo: string;
    };

export interface Gatekeeper {
  judge(): Verdict;
  cancel(pid: number, secret: number): void;
  /** Clients that wait for an instance changed in number. */
  waiting(count: number): void;
}

export interface AdmissionLimits {
  readonly authenticationMs: number;
  /** Clients that have not yet sent their start-up packet. */
  readonly strangersMax: number;
}

interface Visitor {
  readonly socket: Socket;
  readonly initial: Buffer;
  readonly peer: { readonly address: string; readonly port: number } | undefined;
}

const BACKLOG = 511;

export class Admission {
  readonly listening: string[] = [];
  readonly #gatekeeper: Gatekeeper;
  readonly #limits: AdmissionLimits;
  readonly #log: (message: string) => void;
  readonly #servers: Server[] = [];
  readonly #unlock: (() => void)[] = [];
  readonly #queue: Visitor[] = [];
  #strangers = 0;

  constructor(options: { gatekeeper: Gatekeeper; limits: AdmissionLimits; log: (message: string) => void }) {
    this.#gatekeeper = options.gatekeeper;
    this.#limits = options.limits;
    this.#log = options.log;
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
    const server = createServer(socket => this.#greet(socket));
    const where = address === '*' ? {} : { host: address };
    try {
      await this.#listen(server, { port, ...where, backlog: BACKLOG });
      return true;
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT') return false;
      const shown = address === '*' ? '0.0.0.0' : address;
      if (code === 'EADDRINUSE') {
        throw ereport(ERRCODE.OBJECT_IN_USE, `could not bind address "${shown}", port ${port}: Address already in use`, {
          hint: `Is another server already running on port ${port}? Stop it, or choose another port: -p ${port + 1}.`,
        });
      }
      if (code === 'EACCES') {
        throw ereport(ERRCODE.INSUFFICIENT_PRIVILEGE, `could not bind address "${shown}", port ${port}: Permission denied`, {
          hint: 'Ports below 1024 need privileges; choose a higher one with -p.',
        });
      }
      throw ereport(ERRCODE.CONFIG_FILE_ERROR, `could not listen on "${shown}", port ${port}: ${message}`, {
        hint: 'Check "listen_addresses".',
      });
    }
  }

  async listenUnix(folder: string, port: number, options: { dataDirectory: string; permissions: number }): Promise<void> {
    const path = `${folder}/.s.PGSQL.${port}`;
    this.#unlock.push(lockSocket(path, options.dataDirectory, port));
    try {
      await this.#listen(createServer(socket => this.#greet(socket)), { path, backlog: BACKLOG });
      chmodSync(path, options.permissions);
    } catch (error) {
      throw ereport(ERRCODE.CONFIG_FILE_ERROR, `could not create Unix-domain socket in directory "${folder}": ${(error as Error).message}`, {
        hint: 'Check "unix_socket_directories".',
      });
    }
    this.listening.push(path);
  }

  /** Listening ends; who is inside stays. */
  close(): void {
    for (const server of this.#servers.splice(0)) server.close();
    for (const unlock of this.#unlock.splice(0)) unlock();
  }

  /** Something changed that may let waiting clients in, or turn them away. */
  reconsider(): void {
    for (const visitor of this.#queue.splice(0)) this.#admit(visitor);
  }

  async #listen(server: Server, options: object): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(options, () => {
        server.off('error', reject);
        server.on('error', error => this.#log(`could not accept new connection: ${error.message}`));
        resolve();
      });
    });
    this.#servers.push(server);
  }

  #greet(socket: Socket): void {
    socket.on('error', () => socket.destroy());
    if (this.#strangers >= this.#limits.strangersMax) {
      return this.#reject(socket, ERRCODE.TOO_MANY_CONNECTIONS, 'sorry, too many clients already');
    }
    this.#strangers++;
    let counted = true;
    const uncount = (): void => {
      if (counted) this.#strangers--;
      counted = false;
    };
    const deadline = setTimeout(() => socket.destroy(), this.#limits.authenticationMs);
    socket.once('close', () => {
      clearTimeout(deadline);
      uncount();
    });
    const greeting = newGreeting();
    const done = (): void => {
      clearTimeout(deadline);
      uncount();
      socket.off('data', onData);
      stopReading(socket);
    };
    const onData = (chunk: Buffer): void => {
      greeting.bytes = greeting.bytes.length === 0 ? chunk : Buffer.concat([greeting.bytes, chunk]);
      for (;;) {
        const found = readGreeting(greeting);
        switch (found.result) {
          case 'more':
            return;
          case 'refuseEncryption':
            socket.write('N');
            continue;
          case 'cancel':
            done();
            this.#gatekeeper.cancel(found.pid, found.secret);
            socket.destroy();
            return;
          case 'reject':
            done();
            this.#log(found.log);
            if (found.message === undefined) socket.destroy();
            else this.#reject(socket, ERRCODE.FEATURE_NOT_SUPPORTED, found.message);
            return;
          case 'startup': {
            done();
            const { remoteAddress, remotePort } = socket;
            const peer = remoteAddress === undefined ? undefined : { address: remoteAddress, port: remotePort ?? 0 };
            return this.#admit({ socket, initial: found.initial, peer });
          }
        }
      }
    };
    socket.on('data', onData);
  }

  #admit(visitor: Visitor): void {
    const { socket, initial, peer } = visitor;
    if (socket.destroyed) return this.#gatekeeper.waiting(this.#queue.length);
    const verdict = this.#gatekeeper.judge();
    switch (verdict.verdict) {
      case 'refuse':
        return this.#reject(socket, verdict.sqlstate, verdict.message);
      case 'wait':
        return this.#wait(visitor);
      case 'admit': {
        const message = { kind: 'session', initial: initial.toString('latin1'), reserved: verdict.reserved, peer };
        // Who did not arrive (the instance died) is let in once more.
        const lost = (again: Socket | undefined): void => {
          if (again !== undefined) this.#admit({ socket: again, initial, peer });
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

  #reject(socket: Socket, sqlstate: string, message: string): void {
    socket.end(fatalResponse(sqlstate, message));
    socket.resume();
    setTimeout(() => socket.destroy(), 1_000).unref();
  }
}

async function addresses(host: string): Promise<string[]> {
  if (host === '*' || isIP(host) !== 0) return [host];
  try {
    return (await lookup(host, { all: true })).map(found => found.address);
  } catch (error) {
    throw ereport(ERRCODE.CONFIG_FILE_ERROR, `could not translate host name "${host}" to address: ${(error as Error).message}`, {
      hint: 'Check "listen_addresses".',
    });
  }
}

/**
 * Leaves what the client sends next in the kernel, so that whoever gets the socket reads it. Node
 * has no public way: `pause` alone goes on reading into this process until a buffer is full.
 */
function stopReading(socket: Socket): void {
  socket.pause();
  const handle = (socket as unknown as { _handle?: { readStop(): void; reading: boolean } | null })._handle;
  if (!handle) return;
  handle.reading = false;
  handle.readStop();
}

/** Copies bytes both ways, for an instance that cannot be given the socket itself. */
function splice(socket: Socket, path: string, message: object): void {
  const inner = connect(path);
  inner.on('error', () => socket.destroy());
  inner.on('close', () => socket.destroy());
  socket.on('close', () => inner.destroy());
  inner.write(`${JSON.stringify(message)}\n`);
  socket.setNoDelay(true);
  inner.pipe(socket);
  socket.pipe(inner);
}
