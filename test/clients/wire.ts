/**
 * The protocol's bytes, without a driver in between: messages are sent as written here and the answer is told
 * message by message, each as one line. So two servers can be compared in what no driver shows: the order of
 * messages, transaction status, fields of errors.
 */
import { connect, type Socket } from 'node:net';
import type { Server } from './clients.ts';

const cstring = (text: string): Buffer => Buffer.from(`${text}\0`);
const int16 = (...values: number[]): Buffer => {
  const out = Buffer.alloc(2 * values.length);
  values.forEach((value, n) => out.writeInt16BE(((value << 16) >> 16) as number, 2 * n));
  return out;
};
const int32 = (...values: number[]): Buffer => {
  const out = Buffer.alloc(4 * values.length);
  values.forEach((value, n) => out.writeInt32BE(value | 0, 4 * n));
  return out;
};

export interface Message {
  readonly bytes: Buffer;
  /** Answered by ReadyForQuery. */
  readonly ready: boolean;
}

export function message(type: string, ...body: Buffer[]): Message {
  const content = Buffer.concat(body);
  return {
    bytes: Buffer.concat([Buffer.from(type), int32(content.length + 4), content]),
    ready: type === 'Q' || type === 'S' || type === 'F',
  };
}

export const Q = (sql: string): Message => message('Q', cstring(sql));
export const P = (name: string, sql: string, types: readonly number[] = []): Message =>
  message('P', cstring(name), cstring(sql), int16(types.length), int32(...types));
export function B(
  portal: string,
  statement: string,
  params: readonly (string | Buffer | null)[] = [],
  options: { readonly formats?: readonly number[]; readonly results?: readonly number[] } = {},
): Message {
  const { formats = [], results = [] } = options;
  const values = params.flatMap(value => {
    if (value === null) return [int32(-1)];
    const bytes = Buffer.from(value);
    return [int32(bytes.length), bytes];
  });
  return message(
    'B',
    cstring(portal),
    cstring(statement),
    int16(formats.length, ...formats, params.length),
    ...values,
    int16(results.length, ...results),
  );
}
export const D = (what: string, name = ''): Message => message('D', Buffer.from(what), cstring(name));
export const E = (portal = '', maxRows = 0): Message => message('E', cstring(portal), int32(maxRows));
export const C = (what: string, name = ''): Message => message('C', Buffer.from(what), cstring(name));
export const S: Message = message('S');
export const H: Message = message('H');
/** A statement by the extended protocol. */
export const X = (sql: string): readonly Message[] => [P('', sql), B('', ''), D('P'), E(), S];

const FIELDS = 'CMDHPWstcdn';
/** Only where pgtroupe tells it: PostgreSQL names a routine in every error. */
const ROUTINES: ReadonlySet<string> = new Set(['RevalidateCachedQuery']);

/** One backend message as a line. `routine`: with the name of PostgreSQL's function that raised it. */
export function tell(type: string, body: Buffer): string {
  const texts = body.toString().split('\0');
  switch (type) {
    case 'Z':
    case 'C':
      return `${type} ${texts[0]}`;
    case 'S':
      return `S ${texts[0]}=${texts[1]}`;
    case 'E':
    case 'N': {
      const fields = new Map(texts.filter(text => text !== '').map(text => [text[0]!, text.slice(1)]));
      const shown = [...FIELDS, ...(ROUTINES.has(fields.get('R') ?? '') ? 'R' : '')].filter(letter =>
        fields.has(letter),
      );
      return `${type} ${fields.get('S')} ${shown.map(letter => (letter === 'C' || letter === 'M' ? fields.get(letter) : `${letter}:${fields.get(letter)}`)).join(' ')}`;
    }
    case 'T': {
      const columns: string[] = [];
      let at = 2;
      for (let n = body.readInt16BE(0); n > 0; n--) {
        const end = body.indexOf(0, at);
        const [typid, typlen, typmod] = [
          body.readInt32BE(end + 7),
          body.readInt16BE(end + 11),
          body.readInt32BE(end + 13),
        ];
        columns.push(`${body.toString('utf8', at, end)}:${typid}/${typlen}/${typmod}/${body.readInt16BE(end + 17)}`);
        at = end + 19;
      }
      return `T ${columns.join(',')}`;
    }
    case 'D': {
      const values: string[] = [];
      let at = 2;
      for (let n = body.readInt16BE(0); n > 0; n--) {
        const length = body.readInt32BE(at);
        at += 4;
        const bytes = body.subarray(at, at + Math.max(0, length));
        values.push(
          length < 0
            ? 'null'
            : /^[\x20-\x7e\u0080-\uffff]*$/.test(bytes.toString())
              ? bytes.toString()
              : bytes.toString('hex'),
        );
        at += Math.max(0, length);
      }
      return `D ${values.join('|')}`;
    }
    case 't':
      return `t ${Array.from({ length: body.readUInt16BE(0) }, (_, n) => body.readInt32BE(2 + 4 * n)).join(',')}`;
    case 'v':
      return `v ${body.readInt32BE(0)} ${texts.slice(0).join(' ').trim()}`;
    default:
      return type;
  }
}

/** One connection. */
export class Wire {
  readonly #socket: Socket;
  #bytes: Buffer = Buffer.alloc(0);
  #wake: () => void = () => {};
  #ended = false;
  /** What the server said before its first ReadyForQuery. */
  greeting: readonly string[] = [];
  pid = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', chunk => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      this.#wake();
    });
    const end = (): void => {
      this.#ended = true;
      this.#wake();
    };
    socket.on('error', end);
    socket.on('close', end);
  }

  static async open(
    server: Server,
    parameters: Readonly<Record<string, string>> = {},
    version = 196_608,
  ): Promise<Wire> {
    const wire = new Wire(connect(server.port, server.host));
    const words = Object.entries({ user: 'postgres', database: server.database, ...parameters }).flat();
    const body = Buffer.concat([int32(version), ...words.map(cstring), Buffer.from('\0')]);
    wire.#socket.write(Buffer.concat([int32(body.length + 4), body]));
    wire.greeting = await wire.read(1);
    return wire;
  }

  /** Sends all in one write; the answer up to the last ReadyForQuery it causes, or the end. */
  send(...messages: readonly (Message | readonly Message[])[]): Promise<readonly string[]> {
    const flat = messages.flat() as readonly Message[];
    this.#socket.write(Buffer.concat(flat.map(({ bytes }) => bytes)));
    return this.read(flat.filter(({ ready }) => ready).length);
  }

  async read(readies: number): Promise<readonly string[]> {
    const lines: string[] = [];
    for (let left = readies; left > 0; ) {
      while (this.#bytes.length >= 5 && this.#bytes.length > this.#bytes.readInt32BE(1)) {
        const length = this.#bytes.readInt32BE(1);
        const type = String.fromCharCode(this.#bytes[0]!);
        const body = this.#bytes.subarray(5, length + 1);
        this.#bytes = this.#bytes.subarray(length + 1);
        if (type === 'K') this.pid = body.readInt32BE(0);
        lines.push(tell(type, body));
        if (type === 'Z' && --left === 0) return lines;
        if (type === 'G') return lines;
      }
      if (this.#ended) return [...lines, 'closed'];
      await new Promise<void>(resolve => {
        this.#wake = resolve;
      });
    }
    return lines;
  }

  close(): void {
    this.#socket.destroy();
  }
}
