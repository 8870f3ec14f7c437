/**
 * How clients reach an instance's process: the postmaster that launched it passes the accepted
 * socket itself over the IPC channel; a postmaster that adopted it splices the bytes through
 * `<name>.sessions.sock`, each connection opening with one line of JSON (HandOver).
 */
import { rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import type { Arrival, Connection, SessionIntake } from '@pgtroupe/actor/net';
import { SocketConnection } from '@pgtroupe/actor/node/connection';
import type { Attendance } from './attendance.ts';

/** What comes with a client, beside its socket. */
export interface HandOver {
  readonly kind: 'session';
  /** Bytes already read from the client, one character each. */
  readonly initial: string;
  readonly reserved: boolean;
  readonly peer?: { readonly address: string; readonly port: number } | undefined;
}

const HAND_OVER_LINE_MAX = 64 * 1024;

export class ProcessIntake implements SessionIntake {
  onArrival: (arrival: Arrival) => void = ({ connection }) => connection.destroy();
  onCancel: (pid: number, secret: number) => void = () => {};
  #attendance: Attendance | undefined;

  attend(attendance: Attendance): void {
    this.#attendance = attendance;
    process.on('message', (message: HandOver, socket?: Socket) => {
      if (message.kind !== 'session') return;
      if (socket !== undefined) this.#arrive(new SocketConnection(socket, message.peer), message);
      else this.#lost();
    });
    // The channel closes with the postmaster; that is not our end.
    process.channel?.unref();
  }

  leased(first: number, count: number): void {
    this.#attendance!.leased(first, count);
  }

  authenticated(): void {
    this.#attendance!.authenticated();
  }

  ended(authenticated: boolean): void {
    this.#attendance!.ended(authenticated);
  }

  async listen(path: string): Promise<void> {
    rmSync(path, { force: true });
    const server = createServer(socket => this.#greet(socket));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
  }

  /** Reads the line in front of a spliced client's bytes. */
  #greet(socket: Socket): void {
    let head = Buffer.alloc(0);
    const onData = (chunk: Buffer): void => {
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf(0x0a);
      if (end < 0) {
        if (head.length > HAND_OVER_LINE_MAX) socket.destroy();
        return;
      }
      socket.off('data', onData);
      socket.off('error', onError);
      socket.pause();
      if (head.length > end + 1) socket.unshift(head.subarray(end + 1));
      const message = JSON.parse(head.toString('utf8', 0, end)) as HandOver;
      const connection = new SocketConnection(socket, message.peer);
      this.#arrive(connection, message);
      socket.resume();
    };
    const onError = (): void => {};
    socket.on('data', onData);
    socket.on('error', onError);
  }

  #arrive(connection: Connection, message: HandOver): void {
    this.#attendance!.arrived();
    const initial = Buffer.from(message.initial, 'latin1');
    this.onArrival({ connection, initial, reserved: message.reserved });
  }

  /** The client was gone before it got here: the postmaster still counted it. */
  #lost(): void {
    this.#attendance!.arrived();
    this.#attendance!.ended(false);
  }
}
