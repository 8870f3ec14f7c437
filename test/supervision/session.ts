/** A client of a cluster of stand-ins (stubs/backend.js), below every driver. */
import { connect, type Socket } from 'node:net';
import { until } from '@pgtroupe/testkit/test-cluster';

/** A session that stays open: start-up, then queries answered with one text. */
export class Session {
  readonly socket: Socket;
  pid = 0;
  closed = false;
  #buffer = Buffer.alloc(0);
  readonly #waiting: ((text: string) => void)[] = [];
  error = '';

  /** A TCP port, or the path of a Unix-domain socket. */
  constructor(where: number | string) {
    this.socket = typeof where === 'number' ? connect(where, '127.0.0.1') : connect(where);
    this.socket.on('error', () => {});
    this.socket.on('close', () => (this.closed = true));
    this.socket.on('data', chunk => {
      this.#buffer = Buffer.concat([this.#buffer, chunk]);
      while (this.#buffer.length >= 5 && this.#buffer.length > this.#buffer.readUInt32BE(1)) {
        const length = this.#buffer.readUInt32BE(1);
        this.#message(String.fromCharCode(this.#buffer[0]!), this.#buffer.subarray(5, 1 + length));
        this.#buffer = this.#buffer.subarray(1 + length);
      }
    });
  }

  async open(packet = startupPacket()): Promise<this> {
    this.socket.write(packet);
    await until('an answer to the start-up packet', () => this.pid > 0 || this.closed || this.error !== '');
    return this;
  }

  query(text: string): Promise<string> {
    const body = Buffer.from(`${text}\0`);
    const head = Buffer.from([0x51, 0, 0, 0, 0]);
    head.writeUInt32BE(4 + body.length, 1);
    this.socket.write(Buffer.concat([head, body]));
    return new Promise(resolve => this.#waiting.push(resolve));
  }

  #message(type: string, body: Buffer): void {
    if (type === 'K') this.pid = body.readUInt32BE(0);
    if (type === 'D') this.#waiting.shift()?.(body.toString('utf8', 6));
    if (type === 'E')
      this.error = body
        .toString('utf8')
        .split('\0')
        .filter(f => f[0] === 'C' || f[0] === 'M')
        .join(' ');
  }
}

export function startupPacket(): Buffer {
  const body = Buffer.from('user\0postgres\0\0');
  const packet = Buffer.alloc(8 + body.length);
  packet.writeUInt32BE(packet.length, 0);
  packet.writeUInt32BE(196608, 4);
  body.copy(packet, 8);
  return packet;
}

export const words = (...n: number[]): Buffer => {
  const b = Buffer.alloc(4 * n.length);
  n.forEach((x, i) => b.writeUInt32BE(x, 4 * i));
  return b;
};
