/**
 * A background worker's way to its session: the socket over which clients are spliced to an instance, in the run directory,
 * which is ours alone. An instance that died is followed by another within seconds.
 */
import { connect, type Socket } from 'node:net';
import type { Connection } from '@pgtroupe/actor/net';
import { SocketConnection } from '@pgtroupe/actor/node/connection';
import type { HandOver } from './door-messages.ts';

const AGAIN_MS = 100;
const PATIENCE_MS = 60_000;

/** `startup` is the start-up packet. Throws what the system says when there is no instance for too long. */
export async function connectWorker(path: string, worker: string, startup: Uint8Array): Promise<Connection> {
  const message: HandOver = {
    kind: 'session',
    initial: Buffer.from(startup).toString('latin1'),
    reserved: false,
    worker,
  };
  for (let waitedMs = 0; ; waitedMs += AGAIN_MS) {
    try {
      const socket = await open(path);
      socket.write(`${JSON.stringify(message)}\n`);
      return new SocketConnection(socket);
    } catch (error) {
      if (waitedMs >= PATIENCE_MS) throw error;
      await new Promise<void>(resolve => setTimeout(resolve, AGAIN_MS));
    }
  }
}

function open(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => {
      socket.off('error', reject);
      resolve(socket);
    });
    socket.once('error', reject);
  });
}
