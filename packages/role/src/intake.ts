/**
 * How clients reach an instance's process. The postmaster that launched it lends it the door
 * (lent-door.ts), or passes an accepted socket over the IPC channel; a postmaster that adopted it
 * splices the bytes through `<name>.sessions.sock`, each connection opening with one line of JSON (HandOver). So do
 * background workers, which are no clients: the socket is in the run directory, which is ours alone.
 */
import { rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import type { Arrival, Connection, SessionIntake } from '@pgtroupe/actor/net';
import { SocketConnection } from '@pgtroupe/actor/node/connection';
import type { Attendance } from './attendance.ts';
import { type HandOver, type ListeningHandle, type ToInstance, visitorOf } from './door-messages.ts';
import type { Visitor } from './greeter.ts';
import { type Channel, LentDoor } from './lent-door.ts';

const HAND_OVER_LINE_MAX = 64 * 1024;

export class ProcessIntake implements SessionIntake {
  onArrival: (arrival: Arrival) => void = ({ connection }) => connection.destroy();
  onCancel: (pid: number, secret: number) => void = () => {};
  #attendance: Attendance | undefined;

  attend(attendance: Attendance, log: (message: string) => void): void {
    this.#attendance = attendance;
    const door = new LentDoor(ipcChannel, {
      open: () => attendance.open,
      admit: visitor => this.#admit(visitor),
      isOurs: pid => attendance.hasLeased(pid),
      cancel: (pid, secret) => this.onCancel(pid, secret),
      obeyed: grant => attendance.obeyed(grant),
      log,
    });
    process.on('message', (message: ToInstance, handle?: unknown) => this.#receive(door, message, handle));
    process.on('disconnect', () => door.close());
    // The channel closes with the postmaster; that is not our end.
    process.channel?.unref();
  }

  #receive(door: LentDoor, message: ToInstance, handle: unknown): void {
    switch (message.kind) {
      case 'doorHandle':
        if (handle !== undefined) door.receiveHandle(message, handle as ListeningHandle);
        return;
      case 'grant':
        return door.obey(message);
      case 'session':
        this.#attendance!.received();
        // Without a socket: the client was gone before it got here.
        if (handle !== undefined) this.#arrive(new SocketConnection(handle as Socket, message.peer), message);
        return;
      case 'visitor':
        this.#attendance!.received();
        if (handle === undefined) return;
        return door.visit(visitorOf(message, handle as Socket));
    }
  }

  #admit({ socket, initial, peer }: Visitor): void {
    this.#attendance!.arrived();
    this.onArrival({ connection: new SocketConnection(socket, peer), initial, reserved: false });
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
      if (message.worker === undefined) this.#attendance!.received();
      this.#arrive(connection, message);
      socket.resume();
    };
    const onError = (): void => {};
    socket.on('data', onData);
    socket.on('error', onError);
  }

  #arrive(connection: Connection, message: HandOver): void {
    const { reserved, worker } = message;
    if (worker === undefined) this.#attendance!.arrived();
    const initial = Buffer.from(message.initial, 'latin1');
    this.onArrival({ connection, initial, reserved, worker });
  }
}

const ipcChannel: Channel = {
  get connected() {
    return process.connected;
  },
  // Node's types know of Socket and Server only; it takes what lies below them as well.
  send: (message, handle, done) => void process.send!(message, handle as Socket | undefined, {}, done),
};
