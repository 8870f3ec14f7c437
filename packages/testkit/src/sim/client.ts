/**
 * A client of the simulated cluster: protocol 3.0, simple queries, one connection that is opened again
 * when it was lost.
 */
import { startupPacket } from '@pgtroupe/libpq/startup';
import type { SimConnection } from './connection.ts';

export interface Answer {
  readonly rows: readonly (readonly (string | null)[])[];
  /** `INSERT 0 1`. */
  readonly tag: string;
}

/** An ErrorResponse. */
export class ServerError extends Error {
  override readonly name = 'ServerError';
  readonly sqlstate: string;
  readonly fatal: boolean;
  constructor(fields: ReadonlyMap<string, string>) {
    super(fields.get('M') ?? 'error without a message');
    this.sqlstate = fields.get('C') ?? '';
    this.fatal = fields.get('S') !== 'ERROR';
  }
}

/** The connection ended without an answer: what was asked may have happened or not. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';
}

type Wait = { readonly resolve: (answers: Answer[]) => void; readonly reject: (error: Error) => void };

/** Where a CancelRequest goes, and what it must know. */
export interface CancelKey {
  readonly pid: number;
  readonly secret: number;
}

export class SimClient {
  /** Of this connection, once the server has told. */
  key: CancelKey | undefined;
  readonly #connect: (startup: Uint8Array) => SimConnection;
  readonly #parameters: Readonly<Record<string, string>>;
  readonly #hears: (sql: string) => void;
  #connection: SimConnection | undefined;
  #buffer = Buffer.alloc(0);
  #wait: Wait | undefined;
  #answers: Answer[] = [];
  #rows: (string | null)[][] = [];
  #error: Error | undefined;

  /** `connect` hands a start-up packet in; it throws when nobody is there to take it. `hears` is told what is asked. */
  constructor(
    connect: (startup: Uint8Array) => SimConnection,
    parameters: Readonly<Record<string, string>> = {},
    hears: (sql: string) => void = () => {},
  ) {
    this.#connect = connect;
    this.#hears = hears;
    this.#parameters = { user: 'postgres', database: 'postgres', ...parameters };
  }

  get connected(): boolean {
    return this.#connection !== undefined;
  }

  async query(sql: string): Promise<Answer[]> {
    if (this.#connection === undefined) await this.#open();
    this.#hears(sql);
    return this.#ask('Q', Buffer.from(`${sql}\0`));
  }

  close(): void {
    this.#connection?.write(frame('X', Buffer.alloc(0)));
    this.#connection?.end();
  }

  /** The client's process is gone, in the middle of whatever it was. */
  vanish(): void {
    this.#connection?.end();
    this.#lost();
  }

  async #open(): Promise<void> {
    this.key = undefined;
    const connection = this.#connect(startupPacket(this.#parameters));
    this.#connection = connection;
    this.#buffer = Buffer.alloc(0);
    connection.onData = chunk => this.#received(chunk);
    connection.onEnd = () => {
      if (this.#connection === connection) this.#lost();
    };
    await this.#ask(undefined, undefined);
  }

  #ask(type: string | undefined, body: Buffer | undefined): Promise<Answer[]> {
    return new Promise((resolve, reject) => {
      this.#wait = { resolve, reject };
      this.#answers = [];
      this.#rows = [];
      this.#error = undefined;
      if (type !== undefined) this.#connection!.write(frame(type, body!));
    });
  }

  #lost(): void {
    this.#connection = undefined;
    const wait = this.#wait;
    this.#wait = undefined;
    wait?.reject(this.#error ?? new ConnectionLost('the server closed the connection'));
  }

  #received(chunk: Uint8Array): void {
    this.#buffer = Buffer.concat([this.#buffer, chunk]);
    while (this.#buffer.length >= 5) {
      const length = 1 + this.#buffer.readUInt32BE(1);
      if (this.#buffer.length < length) return;
      const type = String.fromCharCode(this.#buffer[0]!);
      const body = this.#buffer.subarray(5, length);
      this.#buffer = this.#buffer.subarray(length);
      this.#message(type, body);
    }
  }

  #message(type: string, body: Buffer): void {
    switch (type) {
      case 'D':
        this.#rows.push(readRow(body));
        return;
      case 'C':
        this.#answers.push({ rows: this.#rows, tag: body.toString('utf8', 0, body.length - 1) });
        this.#rows = [];
        return;
      case 'K':
        this.key = { pid: body.readInt32BE(0), secret: body.readUInt32BE(4) };
        return;
      case 'E':
        this.#error = new ServerError(readFields(body));
        return;
      case 'Z': {
        const wait = this.#wait;
        this.#wait = undefined;
        if (this.#error === undefined) wait?.resolve(this.#answers);
        else wait?.reject(this.#error);
      }
    }
  }
}

function frame(type: string, body: Buffer): Uint8Array {
  const bytes = Buffer.alloc(5 + body.length);
  bytes.write(type, 0, 'latin1');
  bytes.writeUInt32BE(4 + body.length, 1);
  body.copy(bytes, 5);
  return bytes;
}

function readRow(body: Buffer): (string | null)[] {
  const row: (string | null)[] = [];
  let at = 2;
  for (let left = body.readInt16BE(0); left > 0; left--) {
    const length = body.readInt32BE(at);
    at += 4;
    row.push(length < 0 ? null : body.toString('utf8', at, at + length));
    at += Math.max(0, length);
  }
  return row;
}

function readFields(body: Buffer): Map<string, string> {
  const fields = new Map<string, string>();
  for (let at = 0; at < body.length && body[at] !== 0; ) {
    const end = body.indexOf(0, at + 1);
    fields.set(String.fromCharCode(body[at]!), body.toString('utf8', at + 1, end));
    at = end + 1;
  }
  return fields;
}
