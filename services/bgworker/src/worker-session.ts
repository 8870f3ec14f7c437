/**
 * The worker's end of its session: the frontend/backend protocol as any client speaks it, values as text. One statement at
 * a time; each waits for those before it.
 *
 * idle → asking → idle, until the server closes: then everything that waits fails, and `onEnd` says so.
 */
import type { Connection } from '@pgtroupe/actor/net';
import { ERRCODE, type Sqlstate } from '@pgtroupe/common/errcodes';
import { type ErrorFields, ereport, PgError } from '@pgtroupe/common/ereport';
import { BodyReader, OutBuffer } from '@pgtroupe/libpq/pqformat';
import { BACKEND, FRONTEND } from '@pgtroupe/libpq/protocol';
import type { QueryResult, Row } from './worker.ts';

const HEADER_BYTES = 5;
const NO_COLUMNS: readonly string[] = [];

/** What the server answered; the backend has logged it. */
export class SessionError extends PgError {}

type Value = string | number | boolean | bigint | null;

interface Asked {
  readonly resolve: (result: QueryResult) => void;
  readonly reject: (error: Error) => void;
  columns: readonly string[];
  rows: Row[];
  command: string;
  error: SessionError | undefined;
}

export class WorkerSession {
  /** The server closed it, and said why if it did. */
  onEnd: (error: SessionError) => void = () => {};
  readonly #connection: Connection;
  readonly #out = new OutBuffer();
  #unread: Buffer = Buffer.alloc(0);
  #asked: Asked | undefined;
  #last: Promise<unknown>;
  #ended: SessionError | undefined;
  #fatal: SessionError | undefined;

  constructor(connection: Connection) {
    this.#connection = connection;
    connection.onData = chunk => this.#received(chunk);
    connection.onEnd = () => this.#end();
    // The first ReadyForQuery answers the start-up packet.
    this.#last = this.#expect();
  }

  /** Resolves when the session has begun. */
  async begun(): Promise<void> {
    await this.#last;
  }

  query(text: string, values?: readonly Value[]): Promise<QueryResult> {
    const result = this.#last.then(() => {
      if (this.#ended !== undefined) throw this.#ended;
      if (values === undefined || values.length === 0) this.#simple(text);
      else this.#extended(text, values);
      const answer = this.#expect();
      for (const bytes of this.#out.take()) this.#connection.write(bytes);
      return answer;
    });
    this.#last = result.catch(() => {});
    return result;
  }

  close(): void {
    this.#connection.onEnd = () => {};
    this.#out.begin(FRONTEND.Terminate);
    this.#out.end();
    for (const bytes of this.#out.take()) this.#connection.write(bytes);
    this.#connection.leave();
  }

  // ---- asking --------------------------------------------------------------------------------------

  #expect(): Promise<QueryResult> {
    return new Promise((resolve, reject) => {
      this.#asked = { resolve, reject, columns: NO_COLUMNS, rows: [], command: '', error: undefined };
    });
  }

  #simple(text: string): void {
    const out = this.#out;
    out.begin(FRONTEND.Query);
    out.cstring(text);
    out.end();
  }

  #extended(text: string, values: readonly Value[]): void {
    const out = this.#out;
    out.begin(FRONTEND.Parse);
    out.cstring('');
    out.cstring(text);
    out.int16(0);
    out.end();
    out.begin(FRONTEND.Bind);
    out.cstring('');
    out.cstring('');
    out.int16(0);
    out.int16(values.length);
    for (const value of values) {
      const bytes = value === null ? undefined : Buffer.from(String(value));
      out.int32(bytes?.length ?? -1);
      if (bytes !== undefined) out.bytes(bytes);
    }
    out.int16(0);
    out.end();
    out.begin(FRONTEND.Describe);
    out.byte(0x50);
    out.cstring('');
    out.end();
    out.begin(FRONTEND.Execute);
    out.cstring('');
    out.int32(0);
    out.end();
    out.begin(FRONTEND.Sync);
    out.end();
  }

  // ---- answers -------------------------------------------------------------------------------------

  #received(chunk: Uint8Array): void {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    this.#unread = this.#unread.length === 0 ? bytes : Buffer.concat([this.#unread, bytes]);
    let at = 0;
    for (;;) {
      const left = this.#unread.length - at;
      const length = left < HEADER_BYTES ? 0 : this.#unread.readInt32BE(at + 1);
      if (left < HEADER_BYTES || left < length + 1) break;
      this.#message(this.#unread[at]!, this.#unread.subarray(at + HEADER_BYTES, at + 1 + length));
      at += length + 1;
    }
    this.#unread = this.#unread.subarray(at);
  }

  #message(type: number, body: Buffer): void {
    const asked = this.#asked;
    switch (type) {
      case BACKEND.RowDescription:
        if (asked !== undefined) {
          asked.columns = columnNames(new BodyReader(body));
          asked.rows = [];
        }
        return;
      case BACKEND.DataRow:
        asked?.rows.push(row(asked.columns, new BodyReader(body)));
        return;
      case BACKEND.CommandComplete:
        if (asked === undefined) return;
        asked.command = new BodyReader(body).cstring();
        if (asked.columns === NO_COLUMNS) asked.rows = [];
        return;
      case BACKEND.CopyInResponse:
        this.#refuseCopy();
        return;
      case BACKEND.ErrorResponse: {
        const error = errorOf(new BodyReader(body));
        if (error.severity !== 'ERROR') this.#fatal = error;
        else if (asked !== undefined) asked.error ??= error;
        return;
      }
      case BACKEND.ReadyForQuery:
        this.#asked = undefined;
        if (asked?.error !== undefined) asked.reject(asked.error);
        else asked?.resolve({ command: asked.command, rows: asked.rows });
        return;
      default:
        return;
    }
  }

  /** There is nothing to copy from. */
  #refuseCopy(): void {
    this.#out.begin(FRONTEND.CopyFail);
    this.#out.cstring('a background worker has no data for COPY FROM STDIN');
    this.#out.end();
    for (const bytes of this.#out.take()) this.#connection.write(bytes);
  }

  #end(): void {
    const why = this.#fatal ?? new SessionError(ERRCODE.CONNECTION_FAILURE, 'the session was lost');
    this.#ended = why;
    this.#asked?.reject(why);
    this.#asked = undefined;
    this.onEnd(why);
  }
}

function columnNames(body: BodyReader): readonly string[] {
  return Array.from({ length: body.uint16() }, () => {
    const name = body.cstring();
    body.bytes(18);
    return name;
  });
}

function row(columns: readonly string[], body: BodyReader): Row {
  const values: Record<string, string | null> = {};
  body.uint16();
  for (const name of columns) {
    const length = body.int32();
    values[name] = length < 0 ? null : body.bytes(length).toString();
  }
  return values;
}

function errorOf(body: BodyReader): SessionError {
  const fields = new Map<string, string>();
  for (let letter = body.byte(); letter !== 0; letter = body.byte())
    fields.set(String.fromCharCode(letter), body.cstring());
  const said: ErrorFields = {
    detail: fields.get('D'),
    hint: fields.get('H'),
    where: fields.get('W'),
    severity: fields.get('V') === 'ERROR' ? undefined : 'FATAL',
  };
  const { sqlstate, message, fields: kept } = ereport(fields.get('C') as Sqlstate, fields.get('M') ?? '', said);
  return new SessionError(sqlstate, message, kept);
}
