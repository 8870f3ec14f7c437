/**
 * The postmaster's door while an instance has it: the instance accepts clients itself, so that connecting
 * costs one process and no passing of sockets.
 *
 * Rules: only as many sessions as the grant says; who comes beyond that goes to the postmaster, who
 * knows all instances. Cancel requests for others' sessions go there too. When the postmaster dies the
 * handles are closed at once: its successor must be able to bind the same addresses.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { type ListeningHandle, type ToInstance, type ToPostmaster, visitorMessage } from './door-messages.ts';
import { Greeter, reject, type Visitor } from './greeter.ts';
import { stopReading } from './unread-socket.ts';

export interface LentDoorHandlers {
  /** Sessions there are now. */
  open(): number;
  admit(visitor: Visitor): void;
  /** Is it a session of this instance? */
  isOurs(pid: number): boolean;
  cancel(pid: number, secret: number): void;
  /** The grant with this number is in force. */
  obeyed(grant: number): void;
  log(message: string): void;
}

/** The IPC channel to the postmaster. */
export interface Channel {
  readonly connected: boolean;
  send(message: ToPostmaster, handle: Socket | ListeningHandle | undefined, done: (error: Error | null) => void): void;
}

export class LentDoor {
  readonly #handlers: LentDoorHandlers;
  readonly #channel: Channel;
  #handles: ListeningHandle[] = [];
  #servers: Server[] = [];
  #quota = 0;
  #greeter: Greeter | undefined;

  constructor(channel: Channel, handlers: LentDoorHandlers) {
    this.#channel = channel;
    this.#handlers = handlers;
  }

  receiveHandle({ grant, index }: ToInstance & { kind: 'doorHandle' }, handle: ListeningHandle): void {
    this.#handles.push(handle);
    this.#channel.send({ kind: 'doorCopy', grant, index }, handle, () => {});
  }

  obey({ grant, quota, limits }: ToInstance & { kind: 'grant' }): void {
    this.#quota = quota;
    if (quota === 0) this.close();
    this.#greeter ??= new Greeter(limits, {
      startup: visitor => this.visit(visitor),
      cancel: (pid, secret) => this.#cancel(pid, secret),
      log: this.#handlers.log,
    });
    for (const handle of this.#handles.splice(0)) this.#accept(handle, this.#greeter);
    this.#handlers.obeyed(grant);
  }

  /** Nobody is accepted any more; who was goes on. */
  close(): void {
    for (const server of this.#servers.splice(0)) server.close();
    for (const handle of this.#handles.splice(0)) handle.close();
  }

  visit(visitor: Visitor): void {
    if (this.#handlers.open() < this.#quota) this.#handlers.admit(visitor);
    else this.#passOn(visitor);
  }

  #accept(handle: ListeningHandle, greeter: Greeter): void {
    const server = createServer({ noDelay: true }, socket => greeter.greet(socket));
    server.on('error', error => this.#handlers.log(`could not accept new connection: ${error.message}`));
    server.listen(handle);
    // The instance's life does not hang on it.
    server.unref();
    this.#servers.push(server);
  }

  #passOn(visitor: Visitor): void {
    const { socket } = visitor;
    const full = (): void => reject(socket, ERRCODE.TOO_MANY_CONNECTIONS, 'sorry, too many clients already');
    if (!this.#channel.connected) return full();
    stopReading(socket);
    this.#channel.send(visitorMessage(visitor), socket, error => {
      if (error !== null) full();
    });
  }

  #cancel(pid: number, secret: number): void {
    if (this.#handlers.isOurs(pid)) this.#handlers.cancel(pid, secret);
    else if (this.#channel.connected) this.#channel.send({ kind: 'cancel', pid, secret }, undefined, () => {});
  }
}
