/**
 * What a NATS client sends, taken apart. Text lines ended by CRLF, messages with a counted payload:
 *
 *   CONNECT {json}
 *   PUB <subject> [reply] <bytes>\r\n<payload>\r\n
 *   HPUB <subject> [reply] <header bytes> <total bytes>\r\n<header><payload>\r\n
 *   SUB <subject> [queue] <sid>        UNSUB <sid> [max]        PING        PONG
 *
 * Nothing is allocated on a client's word: a payload above the limit is refused before it is read.
 */
export type ClientOp =
  | { readonly op: 'CONNECT'; readonly options: Readonly<Record<string, unknown>> }
  | { readonly op: 'PING' }
  | { readonly op: 'PONG' }
  | { readonly op: 'SUB'; readonly subject: string; readonly queue: string | undefined; readonly sid: string }
  | { readonly op: 'UNSUB'; readonly sid: string; readonly max: number }
  | {
      readonly op: 'PUB';
      readonly subject: string;
      readonly reply: string | undefined;
      /** Of the payload's bytes, how many are headers; 0 without HPUB. */
      readonly headerBytes: number;
      readonly payload: Buffer;
    };

/** The text goes to the client as `-ERR '…'`, and the connection ends. */
export class ProtocolViolation extends Error {
  override readonly name = 'ProtocolViolation';
}

const MAX_CONTROL_LINE = 4096;
const CRLF = 2;

interface Publication {
  readonly subject: string;
  readonly reply: string | undefined;
  readonly headerBytes: number;
  readonly totalBytes: number;
}

export class ClientParser {
  readonly #maxPayload: number;
  #rest: Buffer = Buffer.alloc(0);
  /** A PUB whose payload is still to come. */
  #publication: Publication | undefined;

  constructor(maxPayload: number) {
    this.#maxPayload = maxPayload;
  }

  feed(chunk: Buffer, receive: (op: ClientOp) => void): void {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    for (;;) {
      if (this.#publication !== undefined) {
        const { subject, reply, headerBytes, totalBytes } = this.#publication;
        if (bytes.length < totalBytes + CRLF) break;
        if (bytes[totalBytes] !== 0x0d || bytes[totalBytes + 1] !== 0x0a) {
          throw new ProtocolViolation('Unknown Protocol Operation');
        }
        this.#publication = undefined;
        receive({ op: 'PUB', subject, reply, headerBytes, payload: bytes.subarray(0, totalBytes) });
        bytes = bytes.subarray(totalBytes + CRLF);
        continue;
      }
      const end = bytes.indexOf('\r\n');
      if (end < 0 ? bytes.length > MAX_CONTROL_LINE : end > MAX_CONTROL_LINE) {
        throw new ProtocolViolation('Maximum Control Line Exceeded');
      }
      if (end < 0) break;
      const line = bytes.toString('utf8', 0, end);
      bytes = bytes.subarray(end + CRLF);
      this.#line(line, receive);
    }
    // Copied: the rest must not keep a whole socket chunk alive.
    this.#rest = bytes.length === 0 ? bytes : Buffer.from(bytes);
  }

  #line(line: string, receive: (op: ClientOp) => void): void {
    const space = line.search(/[ \t]/);
    const verb = (space < 0 ? line : line.slice(0, space)).toUpperCase();
    const rest = space < 0 ? '' : line.slice(space + 1).trim();
    const words = rest === '' ? [] : rest.split(/[ \t]+/);
    switch (verb) {
      case 'PING':
      case 'PONG':
        return receive({ op: verb });
      case 'CONNECT':
        return receive({ op: 'CONNECT', options: parseOptions(rest) });
      case 'SUB': {
        if (words.length !== 2 && words.length !== 3) throw new ProtocolViolation('Parser Error');
        const queue = words.length === 3 ? words[1] : undefined;
        return receive({ op: 'SUB', subject: words[0]!, queue, sid: words.at(-1)! });
      }
      case 'UNSUB': {
        if (words.length !== 1 && words.length !== 2) throw new ProtocolViolation('Parser Error');
        return receive({ op: 'UNSUB', sid: words[0]!, max: words.length === 2 ? count(words[1]!) : 0 });
      }
      case 'PUB':
      case 'HPUB': {
        const counts = verb === 'PUB' ? 1 : 2;
        if (words.length < 1 + counts || words.length > 2 + counts) throw new ProtocolViolation('Parser Error');
        const totalBytes = count(words.at(-1)!);
        const headerBytes = verb === 'PUB' ? 0 : count(words.at(-2)!);
        if (headerBytes > totalBytes) throw new ProtocolViolation('Parser Error');
        if (totalBytes > this.#maxPayload) throw new ProtocolViolation('Maximum Payload Violation');
        const reply = words.length === 2 + counts ? words[1] : undefined;
        this.#publication = { subject: words[0]!, reply, headerBytes, totalBytes };
        return;
      }
      default:
        throw new ProtocolViolation('Unknown Protocol Operation');
    }
  }
}

function count(word: string): number {
  if (!/^\d{1,9}$/.test(word)) throw new ProtocolViolation('Parser Error');
  return Number(word);
}

function parseOptions(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    throw new ProtocolViolation('Parser Error');
  }
}
