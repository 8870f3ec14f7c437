/**
 * A client of one query: start-up, simple query, results as text. Enough for the command line and for
 * tests; no TLS, no password (`trust` or peer-less local access).
 *
 *   message := type:u8 length:u32 (itself included) body
 */
import { connect, type NetConnectOpts } from 'node:net';
import { ereport } from '@pgtroupe/common/ereport';
import { ERRCODE } from '@pgtroupe/common/errcodes';

export interface Column {
  readonly name: string;
  /** Type's OID. */
  readonly type: number;
}

export interface Result {
  /** undefined: the statement returns no rows. */
  readonly columns: readonly Column[] | undefined;
  readonly rows: readonly (readonly (string | null)[])[];
  /** `INSERT 0 1`. */
  readonly tag: string;
}

/** An ErrorResponse; fields by their protocol letter. */
export class ServerError extends Error {
  override readonly name = 'ServerError';
  readonly fields: Readonly<Record<string, string>>;
  constructor(fields: Readonly<Record<string, string>>) {
    super(fields['M'] ?? 'error without a message');
    this.fields = fields;
  }
}

export interface SessionOptions {
  readonly user: string;
  readonly database: string;
  readonly notice?: (fields: Readonly<Record<string, string>>) => void;
}

const PROTOCOL_VERSION_3 = 196608;

export function simpleQuery(where: NetConnectOpts, session: SessionOptions, sql: string): Promise<Result[]> {
  return new Promise((resolve, reject) => {
    const socket = connect(where);
    const results: Result[] = [];
    let failure: Error | undefined;
    let asked = false;
    let columns: Column[] | undefined;
    let rows: (string | null)[][] = [];
    let buffer = Buffer.alloc(0);
    const receive = (type: string, body: Buffer): void => {
      switch (type) {
        case 'R':
          if (body.readInt32BE(0) !== 0) {
            failure = ereport(ERRCODE.FEATURE_NOT_SUPPORTED, 'the server asks for a password', {
              hint: 'Use psql, or let pg_hba.conf trust local connections.',
            });
            socket.destroy();
          }
          return;
        case 'T':
          columns = readColumns(body);
          return;
        case 'D':
          rows.push(readRow(body));
          return;
        case 'C':
          results.push({ columns, rows, tag: text(body, 0) });
          columns = undefined;
          rows = [];
          return;
        case 'E':
          failure = new ServerError(readFields(body));
          columns = undefined;
          rows = [];
          return;
        case 'N':
          session.notice?.(readFields(body));
          return;
        case 'Z':
          if (asked) return void socket.end(message('X', Buffer.alloc(0)));
          asked = true;
          socket.write(message('Q', Buffer.from(`${sql}\0`)));
      }
    };
    socket.on('connect', () => {
      const options = `user\0${session.user}\0database\0${session.database}\0application_name\0pgtroupe sql\0\0`;
      const body = Buffer.from(options);
      const packet = Buffer.alloc(8 + body.length);
      packet.writeUInt32BE(packet.length, 0);
      packet.writeUInt32BE(PROTOCOL_VERSION_3, 4);
      body.copy(packet, 8);
      socket.write(packet);
    });
    socket.on('data', chunk => {
      buffer = Buffer.concat([buffer, chunk]);
      while (buffer.length >= 5) {
        const length = buffer.readUInt32BE(1);
        if (buffer.length < 1 + length) break;
        receive(String.fromCharCode(buffer[0]!), buffer.subarray(5, 1 + length));
        buffer = buffer.subarray(1 + length);
      }
    });
    socket.on('error', error => {
      failure ??= ereport(ERRCODE.CONNECTION_FAILURE, `connection to server failed: ${error.message}`);
    });
    socket.on('close', () => {
      if (failure) reject(failure);
      else if (!asked) reject(ereport(ERRCODE.CONNECTION_FAILURE, 'server closed the connection unexpectedly'));
      else resolve(results);
    });
  });
}

function message(type: string, body: Buffer): Buffer {
  const bytes = Buffer.alloc(5 + body.length);
  bytes.write(type, 0, 'latin1');
  bytes.writeUInt32BE(4 + body.length, 1);
  body.copy(bytes, 5);
  return bytes;
}

function text(body: Buffer, at: number): string {
  return body.toString('utf8', at, body.indexOf(0, at));
}

function readFields(body: Buffer): Record<string, string> {
  const fields: Record<string, string> = {};
  for (let at = 0; at < body.length && body[at] !== 0; ) {
    const value = text(body, at + 1);
    fields[String.fromCharCode(body[at]!)] = value;
    at += 2 + Buffer.byteLength(value);
  }
  return fields;
}

function readColumns(body: Buffer): Column[] {
  const columns: Column[] = [];
  let at = 2;
  for (let n = body.readUInt16BE(0); n > 0; n--) {
    const name = text(body, at);
    at += Buffer.byteLength(name) + 1;
    columns.push({ name, type: body.readUInt32BE(at + 6) });
    at += 18;
  }
  return columns;
}

function readRow(body: Buffer): (string | null)[] {
  const row: (string | null)[] = [];
  let at = 2;
  for (let n = body.readUInt16BE(0); n > 0; n--) {
    const length = body.readInt32BE(at);
    at += 4;
    row.push(length < 0 ? null : body.toString('utf8', at, at + length));
    if (length > 0) at += length;
  }
  return row;
}
