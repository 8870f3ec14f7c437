/**
 * A client that can take whatever a server answers: rows are counted and summed up, never kept. It speaks the protocol's bytes.
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import { crc32 } from '@node-rs/crc32';

const int32 = (...values) => {
  const out = Buffer.alloc(4 * values.length);
  values.forEach((value, n) => out.writeInt32BE(value | 0, 4 * n));
  return out;
};
const int16 = (...values) => {
  const out = Buffer.alloc(2 * values.length);
  values.forEach((value, n) => out.writeUInt16BE(value, 2 * n));
  return out;
};

function frame(type, ...parts) {
  const bytes = parts.reduce((sum, part) => sum + part.length, 4);
  return [Buffer.from(type), int32(bytes), ...parts];
}

const SHOWN_BYTES = 60;

/** What came back, in one line: rows by number, bytes and sum, a single short one as it is; the SQLSTATE of an error. */
class Digest {
  rows = 0;
  bytes = 0;
  sum = 0;
  first = '';
  tags = [];
  error = '';

  row(body) {
    if (this.rows === 0) this.first = values(body);
    this.rows++;
    this.bytes += body.length;
    this.sum = crc32(body, this.sum);
  }

  toString() {
    const rows =
      this.rows === 0
        ? ''
        : this.rows === 1 && this.bytes <= SHOWN_BYTES
          ? this.first
          : `${this.rows} rows, ${this.bytes} bytes, crc ${this.sum.toString(16)}`;
    return [rows, this.error || (this.rows === 0 ? this.tags.join('; ') : '')].filter(part => part !== '').join(' ');
  }
}

function values(body) {
  const out = [];
  for (let n = body.readInt16BE(0), at = 2; n > 0 && out.length < 10; n--) {
    const length = body.readInt32BE(at);
    at += 4;
    out.push(length < 0 ? 'null' : body.toString('utf8', at, at + Math.min(length, SHOWN_BYTES)));
    at += Math.max(0, length);
  }
  return out.join('|');
}

export class Client {
  #socket;
  #head = Buffer.alloc(0);
  /** A message that is still coming. */
  #body = null;
  #got = 0;
  #type = '';
  #digest = new Digest();
  #settle = () => {};
  #copyIn = null;
  pid = 0;
  secret = 0;
  closed = false;

  static async open({ host, port, database = 'postgres' }) {
    const client = new Client();
    const socket = connect(port, host);
    client.#socket = socket;
    socket.on('data', chunk => client.#data(chunk));
    socket.on('error', () => {});
    socket.on('close', () => {
      client.closed = true;
      client.#digest.error = 'connection lost';
      client.#settle();
    });
    const words = ['user', 'postgres', 'database', database].map(word => Buffer.from(`${word}\0`));
    const body = Buffer.concat([int32(196_608), ...words, Buffer.from('\0')]);
    await client.#ask([int32(body.length + 4), body]);
    return client;
  }

  /** What the server answers, as a line. */
  query(sql) {
    return this.#ask(frame('Q', Buffer.from(sql), Buffer.from('\0')));
  }

  /** The extended protocol, every parameter as text. */
  execute(sql, params) {
    const values = params.flatMap(value => [int32(value.length), value]);
    return this.#ask([
      ...frame('P', Buffer.from(`\0${sql}\0`), int16(0)),
      ...frame('B', Buffer.from('\0\0'), int16(0, params.length), ...values, int16(0)),
      ...frame('E', Buffer.from('\0'), int32(0)),
      ...frame('S'),
    ]);
  }

  /** COPY FROM STDIN, with `data` an iterable of buffers. */
  copyIn(sql, data) {
    this.#copyIn = data;
    return this.query(sql);
  }

  close() {
    this.#socket.destroy();
  }

  async #ask(parts) {
    this.#digest = new Digest();
    const answered = new Promise(resolve => (this.#settle = resolve));
    this.#socket.cork();
    for (const part of parts) this.#socket.write(part);
    this.#socket.uncork();
    await answered;
    return String(this.#digest);
  }

  #data(chunk) {
    let at = 0;
    while (at < chunk.length) {
      if (this.#body === null) {
        const need = 5 - this.#head.length;
        this.#head = Buffer.concat([this.#head, chunk.subarray(at, at + need)]);
        at = Math.min(chunk.length, at + need);
        if (this.#head.length < 5) return;
        this.#type = String.fromCharCode(this.#head[0]);
        this.#body = Buffer.allocUnsafe(this.#head.readInt32BE(1) - 4);
        this.#got = 0;
        this.#head = Buffer.alloc(0);
      }
      const part = chunk.subarray(at, at + this.#body.length - this.#got);
      part.copy(this.#body, this.#got);
      this.#got += part.length;
      at += part.length;
      if (this.#got < this.#body.length) return;
      const body = this.#body;
      this.#body = null;
      this.#message(this.#type, body);
    }
  }

  #message(type, body) {
    switch (type) {
      case 'D':
        return this.#digest.row(body);
      case 'd':
        return this.#digest.row(Buffer.concat([int16(1), int32(body.length), body]));
      case 'C':
        return void this.#digest.tags.push(body.toString('utf8', 0, body.length - 1));
      case 'E':
        this.#digest.error = /(?:^|\0)C(.{5})/.exec(body.toString())[1];
        this.#copyIn = null;
        return undefined;
      case 'G':
        return void this.#sendCopy();
      case 'K':
        this.pid = body.readInt32BE(0);
        this.secret = body.readInt32BE(4);
        return undefined;
      case 'Z':
        return this.#settle();
    }
  }

  async #sendCopy() {
    for (const data of this.#copyIn) {
      if (this.#copyIn === null || this.closed) return;
      let more = true;
      for (const part of frame('d', data)) more = this.#socket.write(part);
      if (!more) await once(this.#socket, 'drain');
    }
    this.#copyIn = null;
    for (const part of frame('c')) this.#socket.write(part);
  }
}

export function cancel({ host, port }, { pid, secret }) {
  connect(port, host)
    .on('error', () => {})
    .end(int32(16, 80_877_102, pid, secret));
}
